// The blooms of a block, computed again from its logs.
//
// A block holds the same few addresses and topics over and over (one event signature makes up a third of all topics on a
// usual day), so each distinct one is hashed once: a small open-addressed table finds repetitions, the distinct inputs are
// hashed many at a time, and a second pass sets the bits. The table gives up after a few probes and takes the input as
// new: logs are written by strangers, and nobody shall be able to make this slow by choosing topics that collide.

#include "ckeccak.h"

#include <stdlib.h>
#include <string.h>

enum { ADDRESS = 20, TOPIC = 32, PROBES = 8, CHUNK = 64 };

// Where the three bits of a hash are: byte of the bloom, and bit in it.
typedef struct {
    uint8_t byte[3], mask[3];
} bits;

typedef struct {
    uint32_t *slots;  // distinct input + 1; 0 is free
    uint32_t slot_mask;
    const uint8_t **inputs;  // the distinct inputs
    uint8_t *lengths;
    bits *positions;
    uint32_t *ids;  // per log 5: address and topics; distinct input + 1, 0 for a topic that is not there
    uint32_t distinct;
} work;

static inline uint64_t load(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return word;
}

static inline uint64_t fold(uint64_t a, uint64_t b) {
    const unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Both lengths are covered by four loads; those of an address overlap.
static inline uint64_t mix(const uint8_t *bytes, uint8_t length) {
    const uint64_t a = load(bytes) ^ 0x9E3779B97F4A7C15, b = load(bytes + 8) ^ 0xD1B54A32D192ED03;
    const uint64_t c = load(bytes + length - 16) ^ 0x8CB92BA72F3D8DD7, d = load(bytes + length - 8) ^ 0xAEF17502108EF2D9;
    return fold(a, b) ^ fold(c, d);
}

static inline uint32_t intern(work *w, const uint8_t *bytes, uint8_t length) {
    uint32_t slot = (uint32_t)(mix(bytes, length) >> 16) & w->slot_mask;
    for (int probe = 0; probe < PROBES; probe++) {
        const uint32_t id = w->slots[slot];
        if (id == 0) {
            w->slots[slot] = w->distinct + 1;
            break;
        }
        if (w->lengths[id - 1] == length && memcmp(w->inputs[id - 1], bytes, length) == 0) return id;
        slot = (slot + 1) & w->slot_mask;
    }
    w->inputs[w->distinct] = bytes;
    w->lengths[w->distinct] = length;
    return ++w->distinct;
}

// Yellow Paper, M3:2048: the low 11 bits of each of the first three pairs of bytes; bit 0 is in the last byte.
static inline bits bits_of(const uint8_t *hash) {
    bits result;
    for (int pair = 0; pair < 3; pair++) {
        const unsigned bit = ((unsigned)hash[2 * pair] << 8 | hash[2 * pair + 1]) & 2047;
        result.byte[pair] = (uint8_t)(CK_BLOOM_BYTES - 1 - (bit >> 3));
        result.mask[pair] = (uint8_t)(1u << (bit & 7));
    }
    return result;
}

static inline void set(uint8_t *bloom, const bits *where) {
    for (int pair = 0; pair < 3; pair++) bloom[where->byte[pair]] |= where->mask[pair];
}

void ck_bloom_set(uint8_t *bloom, const uint8_t hash[32]) {
    const bits where = bits_of(hash);
    set(bloom, &where);
}

void ck_bloom_union(uint8_t *into, const uint8_t *blooms, size_t count) {
    for (size_t bloom = 0; bloom < count; bloom++)
        for (size_t at = 0; at < CK_BLOOM_BYTES; at++) into[at] |= blooms[CK_BLOOM_BYTES * bloom + at];
}

static void find_distinct(work *w, const ck_logs *logs) {
    for (size_t log = 0; log < logs->count; log++) {
        const size_t row = logs->first + log;
        uint32_t *ids = w->ids + 5 * log;
        ids[0] = intern(w, logs->addresses + ADDRESS * row, ADDRESS);
        for (int topic = 0; topic < 4; topic++) {
            const uint8_t *present = logs->present[topic];
            const int there = logs->topics[topic] != NULL && (present == NULL || (present[row >> 3] >> (row & 7) & 1) != 0);
            ids[1 + topic] = there ? intern(w, logs->topics[topic] + TOPIC * row, TOPIC) : 0;
        }
    }
}

static void hash_distinct(work *w) {
    uint8_t digests[32 * CHUNK];
    for (uint32_t at = 0; at < w->distinct; at += CHUNK) {
        const uint32_t rest = w->distinct - at, count = rest < CHUNK ? rest : CHUNK;
        // No input is too long here, so this cannot fail.
        ck_keccak256_many(w->inputs + at, w->lengths + at, count, digests);
        for (uint32_t one = 0; one < count; one++) w->positions[at + one] = bits_of(digests + 32 * one);
    }
}

int ck_blooms(const ck_logs *logs, const uint64_t *receipt_of_log, size_t receipts, uint8_t *blooms) {
    memset(blooms, 0, CK_BLOOM_BYTES * receipts);
    if (logs->count == 0) return 0;
    if (receipt_of_log == NULL && receipts == 0) return -2;
    if (receipt_of_log != NULL)
        for (size_t log = 0; log < logs->count; log++)
            if (receipt_of_log[log] >= receipts) return -2;

    const size_t items = 5 * logs->count;
    size_t slots = 64;
    while (slots < 2 * items) slots *= 2;
    if (items >= UINT32_MAX / 2) return -1;
    // One allocation, the widest first.
    const size_t inputs_size = items * sizeof(uint8_t *), ids_size = items * sizeof(uint32_t), slots_size = slots * sizeof(uint32_t);
    uint8_t *memory = malloc(inputs_size + ids_size + slots_size + items * sizeof(bits) + items);
    if (memory == NULL) return -1;
    work w = {.slot_mask = (uint32_t)(slots - 1)};
    w.inputs = (const uint8_t **)memory;
    w.ids = (uint32_t *)(memory + inputs_size);
    w.slots = (uint32_t *)(memory + inputs_size + ids_size);
    w.positions = (bits *)(memory + inputs_size + ids_size + slots_size);
    w.lengths = memory + inputs_size + ids_size + slots_size + items * sizeof(bits);
    memset(w.slots, 0, slots_size);

    find_distinct(&w, logs);
    hash_distinct(&w);
    for (size_t log = 0; log < logs->count; log++) {
        uint8_t *bloom = blooms + (receipt_of_log != NULL ? CK_BLOOM_BYTES * receipt_of_log[log] : 0);
        for (int item = 0; item < 5; item++) {
            const uint32_t id = w.ids[5 * log + item];
            if (id != 0) set(bloom, &w.positions[id - 1]);
        }
    }
    free(memory);
    return 0;
}
