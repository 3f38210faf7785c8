// What Glibc's module map leaves out.
#pragma once

// Keeps freed memory in the heap and the heap in few pieces: blocks of half a megabyte come and go a thousand times a second, and
// taking them from the kernel anew each time costs more than reading them. To be called before any thread is started: it also sets a
// variable of the environment, for an allocator that a library brings.
void cmalloc_tune(void);
