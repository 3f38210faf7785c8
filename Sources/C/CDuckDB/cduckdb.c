#define _GNU_SOURCE
#include "cduckdb.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define X(result, name, parameters, arguments) static result(*p_##name) parameters;
DUCK_FUNCTIONS(X)
#undef X

#define X(result, name, parameters, arguments) \
    result duck_##name parameters { return p_##name arguments; }
DUCK_FUNCTIONS(X)
#undef X

static void note(char *report, size_t room, const char *candidate, const char *why) {
    size_t used = strlen(report);
    if (used + 1 < room) snprintf(report + used, room - used, "%s%s: %s", used ? "; " : "", candidate, why ? why : "unknown reason");
}

// The first symbol that the library does not have, or NULL when all are resolved.
static const char *resolve(void *library) {
#define X(result, name, parameters, arguments) \
    if (!(p_##name = (result(*) parameters)dlsym(library, "duckdb_" #name))) return "duckdb_" #name;
    DUCK_FUNCTIONS(X)
#undef X
    return NULL;
}

int duck_load(const char *candidates, char *report, size_t room) {
    report[0] = 0;
    for (const char *candidate = candidates; *candidate; candidate += strlen(candidate) + 1) {
        const char *path = candidate;
        const char *bar = strchr(candidate, '|');
        if (bar) {
            char first[1024];
            snprintf(first, sizeof first, "%.*s", (int)(bar - candidate), candidate);
            // Global, so that what is loaded next finds its symbols. Never initialised, and never closed.
            if (!dlopen(first, RTLD_LAZY | RTLD_GLOBAL)) {
                note(report, room, first, dlerror());
                continue;
            }
            path = bar + 1;
        }
        void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
        if (!library) {
            note(report, room, path, dlerror());
            continue;
        }
        const char *missing = resolve(library);
        if (missing) {
            char why[256];
            snprintf(why, sizeof why, "has no %s (another version?)", missing);
            note(report, room, path, why);
            dlclose(library);
            continue;
        }
        snprintf(report, room, "%s", path);
        return 0;
    }
    return 1;
}

static int forget_segments(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    uintptr_t symbol = (uintptr_t)context;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    int holds = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && symbol >= start && symbol < start + segment->p_memsz) holds = 1;
    }
    if (!holds) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        // What can be written to holds what the loader and the library wrote; the rest is as it is in the file.
        if (segment->p_type != PT_LOAD || segment->p_flags & PF_W) continue;
        uintptr_t start = (info->dlpi_addr + segment->p_vaddr + page - 1) & ~(page - 1);
        uintptr_t end = (info->dlpi_addr + segment->p_vaddr + segment->p_memsz) & ~(page - 1);
        if (end > start) madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 1;
}

void duck_forget_code(void) {
    if (p_open_ext) dl_iterate_phdr(forget_segments, (void *)(uintptr_t)p_open_ext);
}
