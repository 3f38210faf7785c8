// Keccak-256 as Ethereum uses it: rate 136 bytes, capacity 64, padding 0x01 ... 0x80.
//
// The permutation is written once, over lanes, and compiled for one, four and eight inputs at a time. Bloom checks hash
// hundreds of short inputs a block, each one permutation: side by side they cost a fraction of one after the other.

#include "ckeccak.h"

#include <string.h>

static const uint64_t round_constants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000, 0x000000000000808B, 0x0000000080000001,
    0x8000000080008081, 0x8000000000008009, 0x000000000000008A, 0x0000000000000088, 0x0000000080008009, 0x000000008000000A,
    0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
    0x000000000000800A, 0x800000008000000A, 0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

enum { RATE = 136 };

// The last bit of the padding, in the last word of a block.
#define LAST_BIT 0x8000000000000000u
#define CK_ROL(value, by) (((value) << (by)) | ((value) >> (64 - (by))))

static inline uint64_t little(uint64_t word) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(word);
#else
    return word;
#endif
}

static inline uint64_t load_le(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return little(word);
}

static inline void store_le(uint8_t *bytes, uint64_t word) {
    word = little(word);
    memcpy(bytes, &word, 8);
}

// The last 0 to 7 bytes of an input, with the first bit of the padding behind them.
static inline uint64_t load_tail(const uint8_t *bytes, size_t count) {
    uint64_t word = 0;
    for (size_t at = 0; at < count; at++) word |= (uint64_t)bytes[at] << (8 * at);
    return word | (uint64_t)1 << (8 * count);
}

#define CK_LANE uint64_t
#define CK_WIDTH 1
#define CK_TARGET
#define CK_NAME(name) name##_1
#include "keccak_lanes.h"

#if defined(__x86_64__)
// The same with instructions that combine "not" with "and", and turn a word without changing it: a sixth less time.
#define CK_LANE uint64_t
#define CK_WIDTH 1
#define CK_TARGET __attribute__((target("bmi,bmi2"), unused))
#define CK_NAME(name) name##_bmi
#include "keccak_lanes.h"

typedef uint64_t lane4 __attribute__((vector_size(32)));
typedef uint64_t lane8 __attribute__((vector_size(64)));

#define CK_LANE lane4
#define CK_WIDTH 4
#define CK_TARGET __attribute__((target("avx2")))
#define CK_NAME(name) name##_4
#include "keccak_lanes.h"

#define CK_LANE lane8
#define CK_WIDTH 8
#define CK_TARGET __attribute__((target("avx512f")))
#define CK_NAME(name) name##_8
#include "keccak_lanes.h"
#endif

int ck_keccak_lanes(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return 8;
    if (__builtin_cpu_supports("avx2")) return 4;
#endif
    return 1;
}

static void permute(uint64_t *state) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")) return permute_bmi(state);
#endif
    permute_1(state);
}

void ck_keccak256(const uint8_t *bytes, size_t length, uint8_t out[32]) {
    uint64_t state[25] = {0};
    while (length >= RATE) {
        for (size_t word = 0; word < RATE / 8; word++) state[word] ^= load_le(bytes + 8 * word);
        permute(state);
        bytes += RATE;
        length -= RATE;
    }
    const size_t words = length >> 3;
    for (size_t word = 0; word < words; word++) state[word] ^= load_le(bytes + 8 * word);
    state[words] ^= load_tail(bytes + 8 * words, length & 7);
    state[RATE / 8 - 1] ^= LAST_BIT;
    permute(state);
    for (size_t word = 0; word < 4; word++) store_le(out + 8 * word, state[word]);
}

int ck_keccak256_many_lanes(int lanes, const uint8_t *const *inputs, const uint8_t *lengths, size_t count, uint8_t *out) {
    for (size_t at = 0; at < count; at++)
        if (lengths[at] > CK_SHORT_MAX) return -1;
    if (lanes > ck_keccak_lanes()) return -2;
    switch (lanes) {
    case 1: many_1(inputs, lengths, count, out); return 0;
#if defined(__x86_64__)
    case 4: many_4(inputs, lengths, count, out); return 0;
    case 8: many_8(inputs, lengths, count, out); return 0;
#endif
    default: return -2;
    }
}

int ck_keccak256_many(const uint8_t *const *inputs, const uint8_t *lengths, size_t count, uint8_t *out) {
    return ck_keccak256_many_lanes(ck_keccak_lanes(), inputs, lengths, count, out);
}
