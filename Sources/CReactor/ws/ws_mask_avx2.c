#include "ws/ws_mask.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i load(const uint8_t *data) {
    return _mm256_loadu_si256((const __m256i *)(const void *)data);
}

AVX2 static inline void store(uint8_t *data, __m256i value) {
    _mm256_storeu_si256((__m256i *)(void *)data, value);
}

AVX2 uint64_t cre__ws_mask_avx2(uint8_t *to, const uint8_t *from, size_t length, uint32_t key) {
    size_t last = length - 32, i = 0;
    __m256i mask = _mm256_set1_epi32((int)key);
    /* As in cre__ws_mask_blocks: the overlapping last block is read first and written last. */
    __m256i tail = _mm256_xor_si256(load(from + last), _mm256_set1_epi32((int)cre__ws_key_rotate(key, last)));
    /* One for each block of a turn: a single one would be a chain of four operations, and that is the limit
     * then. */
    __m256i seen = tail, seen_b = tail, seen_c = tail, seen_d = tail;
    for (; i + 128 <= last; i += 128) {
        __m256i a = _mm256_xor_si256(load(from + i), mask);
        __m256i b = _mm256_xor_si256(load(from + i + 32), mask);
        __m256i c = _mm256_xor_si256(load(from + i + 64), mask);
        __m256i d = _mm256_xor_si256(load(from + i + 96), mask);
        store(to + i, a);
        store(to + i + 32, b);
        store(to + i + 64, c);
        store(to + i + 96, d);
        seen = _mm256_or_si256(seen, a);
        seen_b = _mm256_or_si256(seen_b, b);
        seen_c = _mm256_or_si256(seen_c, c);
        seen_d = _mm256_or_si256(seen_d, d);
    }
    seen = _mm256_or_si256(_mm256_or_si256(seen, seen_b), _mm256_or_si256(seen_c, seen_d));
    for (; i < last; i += 32) {
        __m256i block = _mm256_xor_si256(load(from + i), mask);
        store(to + i, block);
        seen = _mm256_or_si256(seen, block);
    }
    store(to + last, tail);
    return (uint64_t)(unsigned)_mm256_movemask_epi8(seen);
}
#else
typedef int cre__ws_mask_avx2_is_empty;
#endif
