// Growing columns in Arrow layout.
#pragma once
#include <cstdlib>
#include <cstring>
#include "csimdjson.h"

namespace columns {

// Makes room for `extra` more bytes of values, and a little to write past the end of.
inline bool reserve_values(csj_column &c, size_t extra) {
    size_t need = c.values_size + extra + 32;
    if (need <= c.values_capacity) return true;
    size_t capacity = c.values_capacity * 2 > need ? c.values_capacity * 2 : need;
    void *grown = realloc(c.values, capacity);
    if (!grown) return false;
    c.values = static_cast<uint8_t *>(grown);
    c.values_capacity = capacity;
    return true;
}

inline bool reserve_row(csj_column &c) {
    if (!c.offsets || c.count + 2 <= c.offsets_capacity) return true;
    size_t capacity = c.offsets_capacity * 2 + 16;
    void *grown = realloc(c.offsets, capacity * sizeof(int32_t));
    if (!grown) return false;
    c.offsets = static_cast<int32_t *>(grown);
    c.offsets_capacity = capacity;
    return true;
}

inline bool mark(csj_column &c, bool valid) {
    size_t row = c.count, bytes = (row >> 3) + 1;
    if (c.validity || !valid) {
        if (bytes > c.validity_capacity) {
            size_t capacity = bytes * 2 + 64;
            void *grown = realloc(c.validity, capacity);
            if (!grown) return false;
            // What came before the first null was valid; what comes is set bit by bit.
            if (!c.validity) memset(grown, 0xff, capacity);
            else memset(static_cast<uint8_t *>(grown) + c.validity_capacity, 0xff, capacity - c.validity_capacity);
            c.validity = static_cast<uint8_t *>(grown);
            c.validity_capacity = capacity;
        }
        if (!valid) {
            c.validity[row >> 3] &= uint8_t(~(1u << (row & 7)));
            c.null_count++;
        }
    }
    c.count++;
    return true;
}

// Where the next value of `width` bytes goes; null when memory is out.
inline uint8_t *next_fixed(csj_column &c) {
    if (!reserve_values(c, c.width)) return nullptr;
    return c.values + c.values_size;
}
inline bool commit_fixed(csj_column &c) {
    c.values_size += c.width;
    return mark(c, true);
}

// Where the next `length` bytes go; null when memory is out or the column outgrows its 32-bit offsets.
inline uint8_t *next_variable(csj_column &c, size_t length) {
    if (c.values_size + length > INT32_MAX || !reserve_row(c) || !reserve_values(c, length)) return nullptr;
    return c.values + c.values_size;
}
inline bool commit_variable(csj_column &c, size_t length) {
    c.values_size += length;
    c.offsets[c.count + 1] = int32_t(c.values_size);
    return mark(c, true);
}

inline bool append_null(csj_column &c) {
    if (c.width) {
        uint8_t *at = next_fixed(c);
        if (!at) return false;
        memset(at, 0, c.width);
        c.values_size += c.width;
    } else {
        if (!reserve_row(c)) return false;
        c.offsets[c.count + 1] = int32_t(c.values_size);
    }
    return mark(c, false);
}

inline bool append_u64(csj_column &c, uint64_t value) {
    uint8_t *at = next_fixed(c);
    if (!at) return false;
    memcpy(at, &value, 8);
    return commit_fixed(c);
}

}  // namespace columns
