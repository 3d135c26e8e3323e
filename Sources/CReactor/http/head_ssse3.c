/* The head parser with SSSE3, which x86-64 processors without AVX2 have. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "head_internal.h"
#include "head_tables.h"
#include "target.h"

CRE__TARGET_BEGIN("ssse3")

#define CRE__NAME(name) cre__http_ssse3_##name
#define CRE__VECTORS
#include "head_parse.h"

static inline __m128i load(const uint8_t *at) {
    __m128i bytes;
    memcpy(&bytes, at, 16);
    return bytes;
}

static inline uint64_t mask_at(__m128i bytes, unsigned shift) {
    return (uint64_t)(uint32_t)_mm_movemask_epi8(bytes) << shift;
}

#define OPERAND(name) load(cre__head_operands.name)

/* `columns` of one class. */
static inline __m128i classes(__m128i bytes, __m128i columns) {
    __m128i row = _mm_and_si128(_mm_srli_epi16(bytes, 4), OPERAND(low_half));
    return _mm_and_si128(_mm_shuffle_epi8(OPERAND(rows), row), _mm_shuffle_epi8(columns, bytes));
}

static inline masks classify(const uint8_t *bytes) {
    masks found = { 0, 0 };
    for (unsigned i = 0; i < 32; i += 16) {
        const __m128i both = classes(load(bytes + i), OPERAND(columns));
        const __m128i token = _mm_and_si128(both, OPERAND(class_bits));
        found.stop |= mask_at(_mm_cmpeq_epi8(token, _mm_setzero_si128()), i);
        /* the shift by one moves DEL's bit to the sign bit, from which the mask is taken */
        found.other |= mask_at(_mm_or_si128(both, _mm_slli_epi16(both, 1)), i);
    }
    return found;
}

static inline masks classify_target(const uint8_t *bytes) {
    masks found = { 0, 0 };
    for (unsigned i = 0; i < 32; i += 16) {
        __m128i text = load(bytes + i);
        /* signed, so that bytes from 0x80 on are small */
        __m128i small = _mm_cmplt_epi8(text, OPERAND(visible));
        __m128i other = _mm_or_si128(_mm_cmpeq_epi8(text, OPERAND(del)), _mm_cmpeq_epi8(text, OPERAND(hash)));
        found.stop |= mask_at(_mm_or_si128(small, other), i);
        found.other |= mask_at(_mm_cmpeq_epi8(text, OPERAND(question)), i);
    }
    return found;
}

static inline uint32_t classify_host(const uint8_t *bytes) {
    uint64_t outside = 0;
    for (unsigned i = 0; i < 32; i += 16) {
        const __m128i found = classes(load(bytes + i), OPERAND(host_columns));
        outside |= mask_at(_mm_cmpeq_epi8(found, _mm_setzero_si128()), i);
    }
    return (uint32_t)outside;
}

CRE__TARGET_END()

#else
typedef int cre__http_no_ssse3;
#endif
