/* The ways to validate UTF-8, each for any length; cre_utf8_valid picks the fastest for this processor. */
#ifndef CRE_WS_UTF8_H
#define CRE_WS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool cre__utf8_valid_scalar(const uint8_t *data, size_t length);

#if defined(__x86_64__)
bool cre__utf8_valid_sse41(const uint8_t *data, size_t length); /* SSE4.1 */
bool cre__utf8_valid_avx2(const uint8_t *data, size_t length);  /* AVX2 */
#elif defined(__aarch64__)
bool cre__utf8_valid_neon(const uint8_t *data, size_t length);
#endif

#endif
