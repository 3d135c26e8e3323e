/* Numbers as 16 hexadecimal digits. */
#ifndef CRE_CORE_HEX_H
#define CRE_CORE_HEX_H

#include <creactor/buffer.h>
#include <stdbool.h>
#include <stdint.h>

enum { CRE__HEX = 16 };

/* Writes 16 digits without a terminator. */
static inline void cre__put_hex(char out[CRE__HEX], uint64_t number) {
    for (int i = CRE__HEX; i--; number >>= 4)
        out[i] = "0123456789abcdef"[number & 15];
}

/* Reads 16 digits, of which letters are small ones. False: malformed. */
static inline bool cre__parse_hex(cre_slice text, uint64_t *out) {
    if (text.length != CRE__HEX) return false;
    *out = 0;
    for (size_t i = 0; i < CRE__HEX; i++) {
        const uint8_t c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        *out = *out << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

#endif
