/*
 * Whole messages through ISA-L, which takes a third of zlib's time, for connections without context takeover.
 * What it does not complete starts again in zlib, which decides what is an error. It accepts one kind of
 * input that zlib does not: distance codes that leave bit patterns without a meaning.
 */
#ifndef CRE_WS_ISAL_H
#define CRE_WS_ISAL_H

#include <stddef.h>
#include <stdint.h>

#include "ws/ws_message.h"

/* Of compressed messages. Below it zlib is faster: ISA-L builds larger tables for each block. */
#define CRE__WS_ISAL_MIN_INFLATE 512

/* Of messages. Smaller ones are compressed with the fixed codes of RFC 1951: to find the best codes takes ten
 * times as long as all else, and their description is as long as what they save. */
#define CRE__WS_ISAL_MIN_DYNAMIC 256

/* The compressor and the decompressor of a pool, both NULL until they are used. */
typedef struct cre__ws_isal {
    struct cre__isal_deflater *deflater;
    struct cre__isal_inflater *inflater;
} cre__ws_isal;

/*
 * Compresses a message, with the flush marker at its end, for a window of 2^bits bytes. Returns the size,
 * which is below `capacity`, or 0 when it does not fit. Negative, CRE_EUNSUPPORTED or CRE_ENOMEM: leave this
 * one to zlib.
 */
int64_t cre__ws_isal_deflate(cre__ws_isal *isal, int bits, const uint8_t *data, size_t length, uint8_t *out,
                             size_t capacity);

/*
 * Inflates a message, and the flush marker behind it, into *message, which is reserved already and grows up
 * to `limit`. Returns 1 when it is complete. 0: leave it to zlib, from its start, into the same block.
 */
int cre__ws_isal_inflate(cre__ws_isal *isal, const uint8_t *data, size_t length, size_t limit,
                         cre__ws_message **message);

void cre__ws_isal_free(cre__ws_isal *isal);

#endif
