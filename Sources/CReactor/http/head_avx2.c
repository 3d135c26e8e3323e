/* The head parser with AVX2. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "head_internal.h"
#include "head_tables.h"
#include "target.h"

CRE__TARGET_BEGIN("avx2,bmi,bmi2")

#define CRE__NAME(name) cre__http_avx2_##name
#include "head_parse.h"

static inline uint64_t both(__m256i low, __m256i high) {
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

static inline __m256i load(const uint8_t *at) {
    __m256i bytes;
    memcpy(&bytes, at, 32);
    return bytes;
}

static inline __m256i twice(const uint8_t half[16]) {
    __m128i bytes;
    memcpy(&bytes, half, 16);
    return _mm256_broadcastsi128_si256(bytes);
}

static inline __m256i classes(__m256i bytes) {
    const __m256i rows = twice(cre__row_bits), columns = twice(cre__column_bits);
    __m256i row = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0f));
    return _mm256_and_si256(_mm256_shuffle_epi8(rows, row), _mm256_shuffle_epi8(columns, bytes));
}

static inline masks classify(const uint8_t *bytes64) {
    const __m256i token = _mm256_set1_epi8(0x3f), zero = _mm256_setzero_si256();
    __m256i a = classes(load(bytes64)), b = classes(load(bytes64 + 32));
    /* a shift by one brings DEL's bit to where the mask is taken from */
    __m256i control_a = _mm256_or_si256(a, _mm256_slli_epi16(a, 1));
    __m256i control_b = _mm256_or_si256(b, _mm256_slli_epi16(b, 1));
    return (masks){
        .no_token = both(_mm256_cmpeq_epi8(_mm256_and_si256(a, token), zero),
                         _mm256_cmpeq_epi8(_mm256_and_si256(b, token), zero)),
        .control = both(control_a, control_b),
    };
}

static inline __m256i no_target(__m256i bytes) {
    /* signed, so that bytes from 0x80 on count as small */
    __m256i small = _mm256_cmpgt_epi8(_mm256_set1_epi8(0x21), bytes);
    __m256i other = _mm256_or_si256(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(0x7f)),
                                    _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('#')));
    return _mm256_or_si256(small, other);
}

static inline target_masks classify_target(const uint8_t *bytes64) {
    __m256i a = load(bytes64), b = load(bytes64 + 32), ask = _mm256_set1_epi8('?');
    return (target_masks){
        .stop = both(no_target(a), no_target(b)),
        .question = both(_mm256_cmpeq_epi8(a, ask), _mm256_cmpeq_epi8(b, ask)),
    };
}

CRE__TARGET_END()

#else
typedef int cre__http_no_avx2;
#endif
