/*
 * Compression of bodies (Content-Encoding): gzip, Brotli and Zstandard, as far as the library was built with
 * them. Bytes in, bytes out, in pieces of any size.
 */
#ifndef CREACTOR_HTTP_ENCODER_H
#define CREACTOR_HTTP_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "export.h"

/** A content coding. */
typedef enum cre_http_coding {
    CRE_HTTP_GZIP = 1,   /* "gzip", with CRE_HAVE_DEFLATE */
    CRE_HTTP_BROTLI = 2, /* "br", with CRE_HAVE_BROTLI */
    CRE_HTTP_ZSTD = 3,   /* "zstd", with CRE_HAVE_ZSTD */
} cre_http_coding;

/** The configuration of encoders. A zero member means its default. */
typedef struct cre_http_encoders_config {
    size_t size;          /* sizeof(cre_http_encoders_config) */
    uint8_t gzip_level;   /* 1, fast, to 9, small; default 6 */
    uint8_t brotli_level; /* 1...11; default 4 */
    uint8_t zstd_level;   /* 1...19; default 3 */
    uint32_t max_open;    /* encoders that may be open at the same time; default 64 */
} cre_http_encoders_config;

/** Encoders of one thread: their configuration, and the memory of closed ones, which the next ones use. */
typedef struct cre_http_encoders cre_http_encoders;
/** An encoder of one body. It takes 300 KiB (gzip) to 2 MiB. */
typedef struct cre_http_encoder cre_http_encoder;

/** What becomes of the bytes that an encoder has taken. */
typedef enum cre_http_encode_mode {
    CRE_HTTP_ENCODE_MORE = 0,  /* more will follow: the encoder may keep them */
    CRE_HTTP_ENCODE_FLUSH = 1, /* a client can decode all of them from the output so far */
    CRE_HTTP_ENCODE_END = 2,   /* the body ends with them */
} cre_http_encode_mode;

/** The least capacity of the output of cre_http_encode. */
enum { CRE_HTTP_ENCODE_MIN_CAPACITY = 64 };

CRE_BEGIN_DECLS

/** Returns whether this build has the coding. Any thread. */
CRE_NODISCARD CRE_API bool cre_http_coding_supported(int coding);

/** Creates encoders, from `config` (NULL: the defaults), which is borrowed for the call. Returns 0,
 * CRE_ENOMEM, CRE_ECONFIG_SIZE, or CRE_EINVALID for a level out of range. */
CRE_NODISCARD CRE_API int cre_http_encoders_create(const cre_http_encoders_config *config,
                                                   cre_http_encoders **encoders);

/** Destroys encoders; all must be closed. NULL is allowed. */
CRE_API void cre_http_encoders_destroy(cre_http_encoders *encoders);

/** Opens an encoder for one body. Returns 0; CRE_EUNSUPPORTED for a coding that this build does not have;
 * CRE_ELIMIT when max_open are open; or CRE_ENOMEM. On the thread of `encoders`, like all that follows. */
CRE_NODISCARD CRE_API int cre_http_encoder_open(cre_http_encoders *encoders, int coding,
                                                cre_http_encoder **encoder);

/** Closes an encoder, at any point of its body. NULL is allowed. */
CRE_API void cre_http_encoder_close(cre_http_encoder *encoder);

/**
 * Compresses the bytes from *cursor to `end` into `out`, moves *cursor behind those that were taken, and sets
 * *produced to the number of bytes written. `capacity` must be CRE_HTTP_ENCODE_MIN_CAPACITY or more.
 *
 * Returns 0 when everything was done that `mode` demands; 1 when `out` is full before that: the call must be
 * repeated with the same mode. CRE_EINVALID for a capacity that is too small or a mode that does not exist;
 * CRE_ESTATE after the end of the body; CRE_ENOMEM: the encoder can only be closed then.
 */
CRE_NODISCARD CRE_API int cre_http_encode(cre_http_encoder *encoder, const uint8_t **cursor,
                                          const uint8_t *end, cre_http_encode_mode mode, uint8_t *out,
                                          size_t capacity, size_t *produced);

CRE_END_DECLS

#endif
