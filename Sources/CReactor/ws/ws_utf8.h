/* Validators of UTF-8 for any length; cre_utf8_valid chooses the fastest one for the processor. */
#ifndef CRE_WS_UTF8_H
#define CRE_WS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Whether no byte has its high bit set. Inline, for short texts. */
static inline bool cre__is_ascii(const uint8_t *data, size_t length) {
    uint64_t bits = 0, word;
    if (length < 8) {
        for (size_t i = 0; i < length; i++)
            bits |= data[i];
        return bits < 0x80;
    }
    for (size_t i = 0; i < length - 8; i += 8) {
        memcpy(&word, data + i, 8);
        bits |= word;
    }
    memcpy(&word, data + length - 8, 8);
    return ((bits | word) & 0x8080808080808080u) == 0;
}

bool cre__utf8_valid_scalar(const uint8_t *data, size_t length);

#if defined(__x86_64__)
bool cre__utf8_valid_sse41(const uint8_t *data, size_t length); /* SSE4.1 */
bool cre__utf8_valid_avx2(const uint8_t *data, size_t length);  /* AVX2 */
#elif defined(__aarch64__)
bool cre__utf8_valid_neon(const uint8_t *data, size_t length);
#endif

#endif
