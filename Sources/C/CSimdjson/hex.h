// Hex digits to bytes: 32 digits a step with AVX2, where the machine has it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hex {

// 0...15, or 0xff for what is no digit.
struct Digits {
    uint8_t value[256];
    constexpr Digits() : value() {
        for (int i = 0; i < 256; i++) value[i] = 0xff;
        for (int i = 0; i < 10; i++) value['0' + i] = uint8_t(i);
        for (int i = 0; i < 6; i++) { value['a' + i] = uint8_t(10 + i); value['A' + i] = uint8_t(10 + i); }
    }
};
inline constexpr Digits digits{};

inline bool decode_plain(uint8_t *target, const char *source, size_t count) {
    uint8_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t high = digits.value[uint8_t(source[2 * i])], low = digits.value[uint8_t(source[2 * i + 1])];
        bad |= high | low;
        target[i] = uint8_t(high << 4 | (low & 15));
    }
    return (bad & 0xf0) == 0;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) inline bool decode_avx2(uint8_t *target, const char *source, size_t count) {
    const __m256i zero = _mm256_set1_epi8('0'), nine = _mm256_set1_epi8(9), letter = _mm256_set1_epi8('a' - 10),
                  fold = _mm256_set1_epi8(0x20), ten = _mm256_set1_epi8(10), fifteen = _mm256_set1_epi8(15),
                  weights = _mm256_set1_epi16(0x0110);
    __m256i all_good = _mm256_set1_epi8(-1);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256i text = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(source + 2 * i));
        __m256i digit = _mm256_sub_epi8(text, zero);
        __m256i alpha = _mm256_sub_epi8(_mm256_or_si256(text, fold), letter);
        __m256i is_digit = _mm256_cmpeq_epi8(_mm256_min_epu8(digit, nine), digit);
        __m256i is_alpha = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_min_epu8(alpha, fifteen), alpha),
                                            _mm256_cmpeq_epi8(_mm256_max_epu8(alpha, ten), alpha));
        all_good = _mm256_and_si256(all_good, _mm256_or_si256(is_digit, is_alpha));
        __m256i nibble = _mm256_blendv_epi8(alpha, digit, is_digit);
        __m256i words = _mm256_maddubs_epi16(nibble, weights);
        __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(words, words), 0x08);
        _mm_storeu_si128(reinterpret_cast<__m128i *>(target + i), _mm256_castsi256_si128(packed));
    }
    bool tail = decode_plain(target + i, source + 2 * i, count - i);
    return tail && _mm256_movemask_epi8(all_good) == -1;
}
inline const bool has_avx2 = __builtin_cpu_supports("avx2");
inline bool decode(uint8_t *target, const char *source, size_t count) {
    return has_avx2 ? decode_avx2(target, source, count) : decode_plain(target, source, count);
}
#else
inline bool decode(uint8_t *target, const char *source, size_t count) { return decode_plain(target, source, count); }
#endif

}  // namespace hex
