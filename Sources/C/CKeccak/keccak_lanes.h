// One width of Keccak-f[1600]. Included once a width, with
//   CK_LANE    the type of one lane of the state: a word, or a vector of words, one an input
//   CK_WIDTH   how many inputs that is
//   CK_TARGET  the function attribute that allows the instructions
//   CK_NAME    gives the names of this width
// Vectors stay inside these functions: what crosses a call is plain memory, so no calling convention depends on the target.

CK_TARGET static void CK_NAME(permute)(uint64_t *memory) {
    CK_LANE a[25], b[25], c[5];
    memcpy(a, memory, sizeof a);
    for (int round = 0; round < 24; round++) {
        // Theta: each column takes the parity of its neighbours.
        for (int x = 0; x < 5; x++) c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        CK_LANE d0 = c[4] ^ CK_ROL(c[1], 1), d1 = c[0] ^ CK_ROL(c[2], 1), d2 = c[1] ^ CK_ROL(c[3], 1);
        CK_LANE d3 = c[2] ^ CK_ROL(c[4], 1), d4 = c[3] ^ CK_ROL(c[0], 1);
        // Rho and pi: each word turns by its own amount and moves.
        b[0] = a[0] ^ d0;
        b[10] = CK_ROL(a[1] ^ d1, 1);
        b[20] = CK_ROL(a[2] ^ d2, 62);
        b[5] = CK_ROL(a[3] ^ d3, 28);
        b[15] = CK_ROL(a[4] ^ d4, 27);
        b[16] = CK_ROL(a[5] ^ d0, 36);
        b[1] = CK_ROL(a[6] ^ d1, 44);
        b[11] = CK_ROL(a[7] ^ d2, 6);
        b[21] = CK_ROL(a[8] ^ d3, 55);
        b[6] = CK_ROL(a[9] ^ d4, 20);
        b[7] = CK_ROL(a[10] ^ d0, 3);
        b[17] = CK_ROL(a[11] ^ d1, 10);
        b[2] = CK_ROL(a[12] ^ d2, 43);
        b[12] = CK_ROL(a[13] ^ d3, 25);
        b[22] = CK_ROL(a[14] ^ d4, 39);
        b[23] = CK_ROL(a[15] ^ d0, 41);
        b[8] = CK_ROL(a[16] ^ d1, 45);
        b[18] = CK_ROL(a[17] ^ d2, 15);
        b[3] = CK_ROL(a[18] ^ d3, 21);
        b[13] = CK_ROL(a[19] ^ d4, 8);
        b[14] = CK_ROL(a[20] ^ d0, 18);
        b[24] = CK_ROL(a[21] ^ d1, 2);
        b[9] = CK_ROL(a[22] ^ d2, 61);
        b[19] = CK_ROL(a[23] ^ d3, 56);
        b[4] = CK_ROL(a[24] ^ d4, 14);
        // Chi: the one step that is not linear. Iota: a constant a round, so that no round is like another.
        for (int y = 0; y < 25; y += 5) {
            a[y] = b[y] ^ (~b[y + 1] & b[y + 2]);
            a[y + 1] = b[y + 1] ^ (~b[y + 2] & b[y + 3]);
            a[y + 2] = b[y + 2] ^ (~b[y + 3] & b[y + 4]);
            a[y + 3] = b[y + 3] ^ (~b[y + 4] & b[y]);
            a[y + 4] = b[y + 4] ^ (~b[y] & b[y + 1]);
        }
        a[0] ^= round_constants[round];
    }
    memcpy(memory, a, sizeof a);
}

// Hashes up to CK_WIDTH short inputs. The state is kept word by word, the inputs side by side.
CK_TARGET static void CK_NAME(group)(const uint8_t *const *inputs, const uint8_t *lengths, size_t count, uint8_t *out) {
    uint64_t state[25 * CK_WIDTH] __attribute__((aligned(64)));
    memset(state, 0, sizeof state);
    for (size_t lane = 0; lane < count; lane++) {
        const uint8_t *input = inputs[lane];
        const size_t length = lengths[lane], words = length >> 3;
        for (size_t word = 0; word < words; word++) state[word * CK_WIDTH + lane] = load_le(input + 8 * word);
        state[words * CK_WIDTH + lane] = load_tail(input + 8 * words, length & 7);
        state[16 * CK_WIDTH + lane] ^= LAST_BIT;
    }
    CK_NAME(permute)(state);
    for (size_t lane = 0; lane < count; lane++)
        for (size_t word = 0; word < 4; word++) store_le(out + 32 * lane + 8 * word, state[word * CK_WIDTH + lane]);
}

CK_TARGET static void CK_NAME(many)(const uint8_t *const *inputs, const uint8_t *lengths, size_t count, uint8_t *out) {
    for (size_t at = 0; at < count; at += CK_WIDTH) {
        const size_t rest = count - at;
        CK_NAME(group)(inputs + at, lengths + at, rest < CK_WIDTH ? rest : CK_WIDTH, out + 32 * at);
    }
}

#undef CK_LANE
#undef CK_WIDTH
#undef CK_TARGET
#undef CK_NAME
