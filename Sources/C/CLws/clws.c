#include "clws.h"
