/* The head parser with SSSE3, which x86-64 processors without AVX2 have. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "head_internal.h"
#include "head_tables.h"
#include "target.h"

CRE__TARGET_BEGIN("ssse3")

#define CRE__NAME(name) cre__http_ssse3_##name
#include "head_parse.h"

static inline __m128i load(const uint8_t *at) {
    __m128i bytes;
    memcpy(&bytes, at, 16);
    return bytes;
}

static inline uint64_t mask_at(__m128i bytes, unsigned shift) {
    return (uint64_t)(uint32_t)_mm_movemask_epi8(bytes) << shift;
}

static inline masks classify(const uint8_t *bytes) {
    const __m128i rows = load(cre__row_bits), columns = load(cre__column_bits);
    masks found = { 0, 0 };
    for (unsigned i = 0; i < 32; i += 16) {
        __m128i text = load(bytes + i);
        __m128i row = _mm_and_si128(_mm_srli_epi16(text, 4), _mm_set1_epi8(0x0f));
        __m128i classes = _mm_and_si128(_mm_shuffle_epi8(rows, row), _mm_shuffle_epi8(columns, text));
        __m128i token = _mm_and_si128(classes, _mm_set1_epi8(0x3f));
        found.stop |= mask_at(_mm_cmpeq_epi8(token, _mm_setzero_si128()), i);
        /* the shift by one moves DEL's bit to the sign bit, from which the mask is taken */
        found.other |= mask_at(_mm_or_si128(classes, _mm_slli_epi16(classes, 1)), i);
    }
    return found;
}

static inline masks classify_target(const uint8_t *bytes) {
    masks found = { 0, 0 };
    for (unsigned i = 0; i < 32; i += 16) {
        __m128i text = load(bytes + i);
        /* signed, so that bytes from 0x80 on are small */
        __m128i small = _mm_cmplt_epi8(text, _mm_set1_epi8(0x21));
        __m128i other =
            _mm_or_si128(_mm_cmpeq_epi8(text, _mm_set1_epi8(0x7f)), _mm_cmpeq_epi8(text, _mm_set1_epi8('#')));
        found.stop |= mask_at(_mm_or_si128(small, other), i);
        found.other |= mask_at(_mm_cmpeq_epi8(text, _mm_set1_epi8('?')), i);
    }
    return found;
}

CRE__TARGET_END()

#else
typedef int cre__http_no_ssse3;
#endif
