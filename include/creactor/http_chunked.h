/* The chunked transfer coding (RFC 9112 section 7.1): a decoder that hands out runs of the input, and chunk
 * heads. */
#ifndef CREACTOR_HTTP_CHUNKED_H
#define CREACTOR_HTTP_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"

/** Decoder of one body. The fields are private. */
typedef struct cre_http_chunked {
    uint64_t left;     /* of the current chunk */
    uint32_t overhead; /* bytes that extensions and trailers may still take */
    uint8_t state;
    uint8_t digits;
} cre_http_chunked;

/** What cre_http_chunked_next found. */
enum {
    CRE_HTTP_CHUNKED_MORE = 0, /* the input is used up and the body goes on */
    CRE_HTTP_CHUNKED_DATA = 1, /* a run of body bytes */
    CRE_HTTP_CHUNKED_END = 2   /* the body is complete; *cursor is at the first byte after it */
};

/** All of a body's chunk extensions and trailers together may take this many bytes. */
enum { CRE_HTTP_CHUNKED_OVERHEAD = 16384 };

/** Room that cre_http_chunk_head needs. */
enum { CRE_HTTP_CHUNK_HEAD_MAX = 18 };

CRE_BEGIN_DECLS

/** Prepares a decoder for a new body. */
CRE_API void cre_http_chunked_init(cre_http_chunked *decoder);

/**
 * Decodes from *cursor up to `end` and moves *cursor over what it used. With CRE_HTTP_CHUNKED_DATA, *data and
 * *length (> 0) are a run inside the input, valid as long as the input is; call again for the next one. Sizes
 * that overflow 64 bits are errors; the sum of the runs is the caller's to limit. Returns one of the three
 * values above, or CRE_EHTTP_CHUNK, CRE_EHTTP_TRAILER or CRE_EHTTP_OVERHEAD, after which the decoder must not
 * be used. After the end it keeps returning CRE_HTTP_CHUNKED_END and consumes nothing. Trailers are checked
 * and dropped.
 */
CRE_API int cre_http_chunked_next(cre_http_chunked *decoder, const uint8_t **cursor, const uint8_t *end,
                                  const uint8_t **data, size_t *length);

/** Writes the line that starts a chunk of `length` > 0 bytes and returns its size. After the chunk's bytes
 * comes CRLF, and after the last chunk "0" CRLF CRLF. */
CRE_API size_t cre_http_chunk_head(char out[CRE_HTTP_CHUNK_HEAD_MAX], uint64_t length);

CRE_END_DECLS

#endif
