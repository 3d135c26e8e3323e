/* Numbers as text. */
#ifndef CRE_CORE_DECIMAL_H
#define CRE_CORE_DECIMAL_H

#include <creactor/buffer.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The most digits of a number. */
#define CRE__MAX_DECIMAL 20

/* Writes a number in decimal, without a terminator, and returns the end. `out` must have CRE__MAX_DECIMAL
 * bytes, all of which may be written to. */
static inline char *cre__put_decimal(char *out, uint64_t number) {
    if (number < 100) { /* the lengths of short bodies */
        const unsigned small = (unsigned)number, tens = small / 10;
        if (tens) *out++ = (char)('0' + tens);
        *out++ = (char)('0' + (small - 10 * tens));
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

/* Writes a number in decimal, without a terminator, and returns the end. `out` must have 1 byte more than
 * CRE__MAX_DECIMAL. */
static inline char *cre__put_integer(char *out, int64_t number) {
    if (number < 0) *out++ = '-';
    return cre__put_decimal(out, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

/* Reads a number in the only form in which one is written. False: it is not in this form, or too large. */
static inline bool cre__parse_integer(cre_slice text, int64_t *out) {
    const bool negative = text.length && *text.data == '-';
    const uint64_t most = (uint64_t)INT64_MAX + negative;
    const size_t first = negative;
    uint64_t number = 0;
    if (text.length == first || text.length > CRE__MAX_DECIMAL) return false;
    if (text.data[first] == '0' && text.length > 1) return false;
    for (size_t i = first; i < text.length; i++) {
        const unsigned digit = text.data[i] - (unsigned)'0';
        if (digit > 9 || number > (most - digit) / 10) return false;
        number = number * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - number) : (int64_t)number;
    return true;
}

#endif
