#ifndef SLUICE_CKBLOOM_H
#define SLUICE_CKBLOOM_H

#include <stddef.h>
#include <stdint.h>

// The logs of one block, in columns: rows `first` up to `first + count` of each.
typedef struct {
    size_t first, count;
    // 20 bytes a row.
    const uint8_t *addresses;
    // 32 bytes a row; NULL when there is no such column.
    const uint8_t *topics[4];
    // Bit r (least significant first) is set when row r has this topic; NULL when all rows have it.
    const uint8_t *present[4];
} ck_logs;

#define CK_BLOOM_BYTES 256

// Computes the blooms of `receipts` receipts, 256 bytes each, into `blooms` (cleared first).
// `receipt_of_log[i]`, for row first + i, says to which receipt the log belongs; NULL puts all into the first bloom.
// Returns 0; -1 without memory; -2 when a log names a receipt that there is not.
int ck_blooms(const ck_logs *logs, const uint64_t *receipt_of_log, size_t receipts, uint8_t *blooms);

// Sets the three bits of a hash in a bloom.
void ck_bloom_set(uint8_t *bloom, const uint8_t hash[32]);

// Ors `count` blooms into `into`.
void ck_bloom_union(uint8_t *into, const uint8_t *blooms, size_t count);

#endif
