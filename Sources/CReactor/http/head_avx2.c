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

static inline uint32_t mask_of(__m256i bytes) {
    return (uint32_t)_mm256_movemask_epi8(bytes);
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

static inline masks classify(const uint8_t *bytes) {
    const __m256i found = classes(load(bytes)), token = _mm256_and_si256(found, _mm256_set1_epi8(0x3f));
    return (masks){
        .stop = mask_of(_mm256_cmpeq_epi8(token, _mm256_setzero_si256())),
        /* the shift by one moves DEL's bit to the sign bit, from which the mask is taken */
        .other = mask_of(_mm256_or_si256(found, _mm256_slli_epi16(found, 1))),
    };
}

static inline masks classify_target(const uint8_t *bytes) {
    const __m256i text = load(bytes);
    /* signed, so that bytes from 0x80 on are small */
    const __m256i small = _mm256_cmpgt_epi8(_mm256_set1_epi8(0x21), text);
    const __m256i bad = _mm256_or_si256(_mm256_cmpeq_epi8(text, _mm256_set1_epi8(0x7f)),
                                        _mm256_cmpeq_epi8(text, _mm256_set1_epi8('#')));
    return (masks){
        .stop = mask_of(_mm256_or_si256(small, bad)),
        .other = mask_of(_mm256_cmpeq_epi8(text, _mm256_set1_epi8('?'))),
    };
}

CRE__TARGET_END()

#else
typedef int cre__http_no_avx2;
#endif
