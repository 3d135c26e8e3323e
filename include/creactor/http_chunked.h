/* The chunked transfer coding (RFC 9112 section 7.1): a decoder that returns runs of the input, and chunk
 * heads. */
#ifndef CREACTOR_HTTP_CHUNKED_H
#define CREACTOR_HTTP_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"

/** The decoder of one body. Fields are private. */
typedef struct cre_http_chunked {
    uint64_t left;     /* of the current chunk */
    uint64_t room;     /* bytes that further chunks may hold */
    uint32_t overhead; /* bytes left for extensions and trailers */
    uint8_t state;
    uint8_t digits;
    bool reports_trailers;
} cre_http_chunked;

/** Results of cre_http_chunked_next. */
enum {
    CRE_HTTP_CHUNKED_MORE = 0,   /* the input is used up and the body continues */
    CRE_HTTP_CHUNKED_DATA = 1,   /* a run of body bytes */
    CRE_HTTP_CHUNKED_END = 2,    /* the body is complete; *cursor is at the first byte after it */
    CRE_HTTP_CHUNKED_TRAILER = 3 /* a run of trailer lines, after cre_http_chunked_report_trailers */
};

/** The largest body of a decoder without a limit. */
#define CRE_HTTP_CHUNKED_UNLIMITED ((uint64_t)INT64_MAX)

/** The most bytes that the chunk extensions and trailers of a body may have together. */
enum { CRE_HTTP_CHUNKED_OVERHEAD = 16384 };

/** The size of the buffer that cre_http_chunk_head requires. */
enum { CRE_HTTP_CHUNK_HEAD_MAX = 18 };

CRE_BEGIN_DECLS

/** Prepares a decoder for a new body of at most CRE_HTTP_CHUNKED_UNLIMITED bytes. */
CRE_API void cre_http_chunked_init(cre_http_chunked *decoder);

/**
 * Limits the body, over all its chunks, to `limit` bytes; 0 or more than CRE_HTTP_CHUNKED_UNLIMITED stands
 * for CRE_HTTP_CHUNKED_UNLIMITED. Must be called between cre_http_chunked_init and the first input.
 */
CRE_API void cre_http_chunked_set_limit(cre_http_chunked *decoder, uint64_t limit);

/** Reports trailers instead of dropping them: their lines, with the CRLF of each, are runs of
 * CRE_HTTP_CHUNKED_TRAILER. Must be called between cre_http_chunked_init and the first input. */
CRE_API void cre_http_chunked_report_trailers(cre_http_chunked *decoder);

/**
 * Decodes from *cursor up to `end` and moves *cursor past the bytes it used. With CRE_HTTP_CHUNKED_DATA and
 * CRE_HTTP_CHUNKED_TRAILER, *data and *length (> 0) are a run inside the input, valid as long as the input
 * is; call again for the next one. Returns one of the values above or an error, after which the decoder must
 * not be used:
 *
 *   CRE_EHTTP_CHUNK           malformed chunk
 *   CRE_EHTTP_BODY_TOO_LARGE  the size of a chunk exceeds what the limit leaves; noticed with the digit that
 *                             exceeds it, before the chunk's data arrives
 *   CRE_EHTTP_TRAILER         malformed trailer
 *   CRE_EHTTP_OVERHEAD        more than CRE_HTTP_CHUNKED_OVERHEAD bytes of extensions and trailers
 *
 * After the end it keeps returning CRE_HTTP_CHUNKED_END and consumes nothing. Trailers are checked, and
 * dropped unless they are reported. One thread at a time.
 */
CRE_NODISCARD
CRE_API int cre_http_chunked_next(cre_http_chunked *decoder, const uint8_t **cursor, const uint8_t *end,
                                  const uint8_t **data, size_t *length);

/** Writes the line that starts a chunk of `length` > 0 bytes and returns its size. The caller sends CRLF
 * after the chunk's bytes, and "0" CRLF CRLF after the last chunk. Any thread. */
CRE_API size_t cre_http_chunk_head(char out[CRE_HTTP_CHUNK_HEAD_MAX], uint64_t length);

CRE_END_DECLS

#endif
