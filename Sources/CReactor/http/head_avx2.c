/* The head parser with AVX2. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "head_internal.h"
#include "head_tables.h"
#include "target.h"

CRE__TARGET_BEGIN("avx2,bmi,bmi2")

#define CRE__NAME(name) cre__http_avx2_##name
#define CRE__VECTORS
#include "head_parse.h"

static inline uint32_t mask_of(__m256i bytes) {
    return (uint32_t)_mm256_movemask_epi8(bytes);
}

static inline __m256i load(const uint8_t *at) {
    __m256i bytes;
    memcpy(&bytes, at, 32);
    return bytes;
}

#define OPERAND(name) load(cre__head_operands.name)

/* `columns` of one class. */
static inline __m256i classes(__m256i bytes, __m256i columns) {
    __m256i row = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), OPERAND(low_half));
    return _mm256_and_si256(_mm256_shuffle_epi8(OPERAND(rows), row), _mm256_shuffle_epi8(columns, bytes));
}

static inline masks classify(const uint8_t *bytes) {
    const __m256i found = classes(load(bytes), OPERAND(columns));
    const __m256i token = _mm256_and_si256(found, OPERAND(class_bits));
    return (masks){
        .stop = mask_of(_mm256_cmpeq_epi8(token, _mm256_setzero_si256())),
        /* the shift by one moves DEL's bit to the sign bit, from which the mask is taken */
        .other = mask_of(_mm256_or_si256(found, _mm256_slli_epi16(found, 1))),
    };
}

static inline masks classify_target(const uint8_t *bytes) {
    const __m256i text = load(bytes);
    /* signed, so that bytes from 0x80 on are small */
    const __m256i small = _mm256_cmpgt_epi8(OPERAND(visible), text);
    const __m256i bad =
        _mm256_or_si256(_mm256_cmpeq_epi8(text, OPERAND(del)), _mm256_cmpeq_epi8(text, OPERAND(hash)));
    return (masks){
        .stop = mask_of(_mm256_or_si256(small, bad)),
        .other = mask_of(_mm256_cmpeq_epi8(text, OPERAND(question))),
    };
}

static inline uint32_t classify_host(const uint8_t *bytes) {
    const __m256i found = classes(load(bytes), OPERAND(host_columns));
    return mask_of(_mm256_cmpeq_epi8(found, _mm256_setzero_si256()));
}

CRE__TARGET_END()

#else
typedef int cre__http_no_avx2;
#endif
