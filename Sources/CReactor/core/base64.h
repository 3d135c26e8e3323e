/* Base64 with padding (RFC 4648 section 4). */
#ifndef CRE_CORE_BASE64_H
#define CRE_CORE_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Encodes to (size + 2) / 3 * 4 characters without a terminator, and returns their number. */
size_t cre__base64_encode(const uint8_t *data, size_t size, char *out);

/* Decodes `length` characters into `out`, which has length / 4 * 3 bytes. Returns the number of bytes, or -1
 * when the text is not padded base64. Unused bits before the padding are ignored: the example key in
 * section 4.1 of RFC 6455 has some. */
long cre__base64_decode(const char *text, size_t length, uint8_t *out);

#endif
