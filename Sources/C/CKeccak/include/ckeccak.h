#ifndef SLUICE_CKECCAK_H
#define SLUICE_CKECCAK_H

#include <stddef.h>
#include <stdint.h>

#include "ckbloom.h"

// Longest input of the many-inputs form: one block of the sponge, less the byte of padding.
#define CK_SHORT_MAX 135

// Keccak-256 (the padding of Ethereum, not of SHA-3) of `length` bytes into `out`. `bytes` may be NULL when `length` is 0.
void ck_keccak256(const uint8_t *bytes, size_t length, uint8_t out[32]);

// Keccak-256 of `count` short inputs, each at most CK_SHORT_MAX bytes; the digests land one behind the other in `out`.
// Hashes as many at a time as the processor has lanes for. Returns 0, or -1 (nothing written) when an input is too long.
int ck_keccak256_many(const uint8_t *const *inputs, const uint8_t *lengths, size_t count, uint8_t *out);

// The same with a chosen number of lanes (1, 4 or 8): for tests. Returns -2 when this processor does not have them.
int ck_keccak256_many_lanes(int lanes, const uint8_t *const *inputs, const uint8_t *lengths, size_t count, uint8_t *out);

// The widest form that this processor runs: 1, 4 or 8.
int ck_keccak_lanes(void);

#endif
