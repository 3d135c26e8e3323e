/* Numbers as text. */
#ifndef CRE_CORE_DECIMAL_H
#define CRE_CORE_DECIMAL_H

#include <stdint.h>
#include <string.h>

/* The most digits of a number. */
#define CRE__MAX_DECIMAL 20

/* Writes a number in decimal, without a terminator, and returns the end. `out` must have CRE__MAX_DECIMAL
 * bytes, all of which may be written to. */
static inline char *cre__put_decimal(char *out, uint64_t number) {
    if (number < 100) { /* the lengths of short bodies */
        if (number >= 10) *out++ = (char)('0' + number / 10);
        *out++ = (char)('0' + number % 10);
        return out;
    }
    char digits[2 * CRE__MAX_DECIMAL], *end = digits + CRE__MAX_DECIMAL, *at = end;
    memset(end, 0, CRE__MAX_DECIMAL);
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    memcpy(out, at, CRE__MAX_DECIMAL); /* a constant size is one or two moves */
    return out + (end - at);
}

#endif
