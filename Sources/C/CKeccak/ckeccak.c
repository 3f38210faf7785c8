#include "ckeccak.h"
