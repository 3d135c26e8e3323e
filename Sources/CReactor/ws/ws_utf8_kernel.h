/*
 * UTF-8 validation by table lookups after Keiser and Lemire, "Validating UTF-8 In Less Than One Instruction
 * Per Byte" (2020), written once for all vector widths. The including file defines
 *
 *   VECTOR               a compiler vector of unsigned bytes
 *   TARGET               the attribute that enables its instructions
 *   NAME                 the function
 *   LOAD(data)           a vector from memory, not aligned
 *   LOOKUP(table, index) 16-byte table, repeated over the width; each index is below 16
 *   BEFORE(last, v, n)   v moved up by n bytes, filled from the end of `last`, the vector before it
 *   SUBTRACT(v, n)       v minus the number n, not below zero
 *   HAS_HIGH(v)          whether any byte has its high bit set
 *   IS_ZERO(v)           whether all bytes are zero
 *   REPEAT(...)          a vector constant from 16 bytes
 *
 * Two adjacent bytes can be invalid in eight ways, one bit for each. The high half of the first, the low half
 * of the first and the high half of the second each exclude some of them; the remaining ones are errors. Two
 * continuation bytes in a row are valid only as the third or fourth byte of a sequence, which the last step
 * checks.
 */

enum {
    TOO_SHORT = 1 << 0,      /* a lead, then no continuation */
    TOO_LONG = 1 << 1,       /* ASCII, then a continuation */
    OVERLONG_3 = 1 << 2,     /* E0, then 80-9F */
    TOO_LARGE = 1 << 3,      /* F4 and up, then 90-BF */
    SURROGATE = 1 << 4,      /* ED, then A0-BF */
    OVERLONG_2 = 1 << 5,     /* C0 or C1 */
    OVERLONG_4 = 1 << 6,     /* F0, then 80-8F */
    TOO_LARGE_1000 = 1 << 6, /* F5 and up, then 80-8F */
    TWO_CONTS = 1 << 7,      /* two continuations */
    ANY_LOW = TOO_SHORT | TOO_LONG | TWO_CONTS,
    FOUR = TOO_LARGE | TOO_LARGE_1000, /* F5 and up */
    CONT = TOO_LONG | OVERLONG_2 | TWO_CONTS,
};

TARGET static inline __attribute__((always_inline)) VECTOR wrong_bytes(VECTOR before, VECTOR third,
                                                                       VECTOR fourth, VECTOR now) {
    const VECTOR first_high =
        REPEAT(TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TWO_CONTS,
               TWO_CONTS, TWO_CONTS, TWO_CONTS, TOO_SHORT | OVERLONG_2, TOO_SHORT,
               TOO_SHORT | OVERLONG_3 | SURROGATE, TOO_SHORT | TOO_LARGE | TOO_LARGE_1000 | OVERLONG_4);
    const VECTOR first_low =
        REPEAT(ANY_LOW | OVERLONG_3 | OVERLONG_2 | OVERLONG_4, ANY_LOW | OVERLONG_2, ANY_LOW, ANY_LOW,
               ANY_LOW | TOO_LARGE, ANY_LOW | FOUR, ANY_LOW | FOUR, ANY_LOW | FOUR, ANY_LOW | FOUR,
               ANY_LOW | FOUR, ANY_LOW | FOUR, ANY_LOW | FOUR, ANY_LOW | FOUR, ANY_LOW | FOUR | SURROGATE,
               ANY_LOW | FOUR, ANY_LOW | FOUR);
    const VECTOR second_high =
        REPEAT(TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
               CONT | OVERLONG_3 | TOO_LARGE_1000 | OVERLONG_4, CONT | OVERLONG_3 | TOO_LARGE,
               CONT | SURROGATE | TOO_LARGE, CONT | SURROGATE | TOO_LARGE, TOO_SHORT, TOO_SHORT, TOO_SHORT,
               TOO_SHORT);
    VECTOR wrong =
        LOOKUP(first_high, before >> 4) & LOOKUP(first_low, before & 15) & LOOKUP(second_high, now >> 4);
    /* The high bit of each byte that must be a third or fourth one: E0 and up two before, F0 and up three. */
    VECTOR must_continue = SUBTRACT(third, 0xE0 - 0x80) | SUBTRACT(fourth, 0xF0 - 0x80);
    return wrong ^ (must_continue & 0x80);
}

TARGET static inline __attribute__((always_inline)) VECTOR wrong_in(VECTOR last, VECTOR now) {
    return wrong_bytes(BEFORE(last, now, 1), BEFORE(last, now, 2), BEFORE(last, now, 3), now);
}

TARGET bool NAME(const uint8_t *data, size_t length) {
    enum { width = sizeof(VECTOR) };
    VECTOR last = { 0 }, wrong = { 0 };
    bool open = false; /* `last` may end within a sequence */
    size_t i = 0;
    for (; length - i >= 4 * width; i += 4 * width) {
        VECTOR a = LOAD(data + i), b = LOAD(data + i + width);
        VECTOR c = LOAD(data + i + 2 * width), d = LOAD(data + i + 3 * width);
        if (!HAS_HIGH((a | b) | (c | d))) {
            if (open) wrong |= wrong_in(last, (VECTOR){ 0 });
            open = false;
            continue;
        }
        if (!open) last = (VECTOR){ 0 };
        wrong |= wrong_in(last, a) | wrong_in(a, b);
        wrong |= wrong_in(b, c) | wrong_in(c, d);
        if (!IS_ZERO(wrong)) return false;
        last = d;
        open = true;
    }
    if (!open) last = (VECTOR){ 0 };
    for (; length - i >= width; i += width) {
        VECTOR now = LOAD(data + i);
        wrong |= wrong_in(last, now);
        last = now;
    }
    if (i < length && length >= width + 3) { /* the last bytes, some of them again */
        const uint8_t *at = data + length - width;
        wrong |= wrong_bytes(LOAD(at - 1), LOAD(at - 2), LOAD(at - 3), LOAD(at));
    } else if (i < length) { /* padded with zeros: an unfinished sequence is too short */
        VECTOR now = { 0 };
        memcpy(&now, data + i, length - i);
        return IS_ZERO(wrong | wrong_in(last, now));
    }
    bool unfinished =
        length >= 3 && (data[length - 1] >= 0xC0 || data[length - 2] >= 0xE0 || data[length - 3] >= 0xF0);
    return IS_ZERO(wrong) && !unfinished;
}
