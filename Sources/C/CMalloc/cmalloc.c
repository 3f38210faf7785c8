#define _GNU_SOURCE
#include "cmalloc.h"
#include <stdlib.h>
#if defined(__GLIBC__)
#include <dlfcn.h>
#include <malloc.h>
#endif

void cmalloc_tune(void) {
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
    mallopt(M_ARENA_MAX, 2);
#endif
    // DuckDB's wheel brings an allocator of its own (jemalloc, whose symbols carry this prefix). As it comes, every thread that writes a
    // column keeps freed blocks for itself; without that the whole path into Parquet takes a tenth less memory in the same time.
    // Read when the library is loaded; whoever has set it keeps theirs.
    setenv("DUCKDB_JE_MALLOC_CONF", "narenas:1,tcache:false,dirty_decay_ms:500,muzzy_decay_ms:0", 0);
}

#if defined(__GLIBC__)
// DuckDB calls this whenever it has to make room, some hundred times a second while it writes. Each call walks the heap and gives pages
// back that are faulted in again a moment later, so only one in many is let through. Ours comes before libc's, as the program's
// symbols do.
int malloc_trim(size_t pad) {
    static _Atomic unsigned calls;
    static int (*real)(size_t);
    if (++calls % 3 != 0) return 0;
    if (!real) real = (int (*)(size_t))dlsym(RTLD_NEXT, "malloc_trim");
    return real ? real(pad) : 0;
}
#endif
