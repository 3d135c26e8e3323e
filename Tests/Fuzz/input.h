/* The input of a fuzz driver as a list of steps. What is missing at the end is zero. */
#ifndef CRE_FUZZ_INPUT_H
#define CRE_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef REQUIRE /* test.h has one, too */
#define REQUIRE(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)
#endif

typedef struct input {
    const uint8_t *at, *end;
} input;

static inline uint8_t take(input *in) {
    return in->at < in->end ? *in->at++ : 0;
}

static inline uint16_t take_two(input *in) {
    uint16_t low = take(in);
    return (uint16_t)(low | take(in) << 8);
}

/* Bytes with a length in front, in memory of their own that ends where they end. Free it. */
static inline uint8_t *take_bytes(input *in, uint32_t repeat, uint32_t *length) {
    uint32_t size = take(in);
    if (size > (size_t)(in->end - in->at)) size = (uint32_t)(in->end - in->at);
    uint8_t *bytes = malloc(size * repeat + !(size * repeat));
    REQUIRE(bytes != NULL);
    for (uint32_t i = 0; i < repeat; i++)
        memcpy(bytes + (size_t)i * size, in->at, size);
    in->at += size;
    *length = size * repeat;
    return bytes;
}

#endif
