#include "cmalloc.h"
#include <stdlib.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

void cmalloc_tune(void) {
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
    mallopt(M_ARENA_MAX, 1);
#endif
}
