/* Decompression of bodies with the content codings gzip, deflate, br and zstd (RFC 9110 section 8.4.1, RFC
 * 7932, RFC 8878, RFC 9659; no older format of Zstandard). */
#ifndef CREACTOR_HTTP_DECOMPRESS_H
#define CREACTOR_HTTP_DECOMPRESS_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"

/** The state of one body. */
typedef struct cre_http_decompressor cre_http_decompressor;

/** Results of cre_http_decompress. */
enum {
    CRE_HTTP_DECOMPRESS_MORE = 0, /* the input is used up */
    CRE_HTTP_DECOMPRESS_FULL = 1, /* the output is full: call again */
};

CRE_BEGIN_DECLS

/** Creates a decompressor for a content coding, "gzip", "x-gzip", "deflate", "br" or "zstd" in any letter
 * case. Its memory is bounded by the coding's window: 32 KiB, 16 MiB for "br", 8 MiB for "zstd". Returns 0
 * and *decompressor; CRE_EHTTP_UNKNOWN_CODING; CRE_EUNSUPPORTED in a build without the library of the coding;
 * CRE_ENOMEM. Any thread. */
CRE_NODISCARD CRE_API int cre_http_decompressor_create(const char *coding, size_t coding_length,
                                                       cre_http_decompressor **decompressor);

/** Frees it. NULL is ignored. */
CRE_API void cre_http_decompressor_destroy(cre_http_decompressor *decompressor);

/**
 * Decompresses from *cursor up to `end`, moves *cursor past the bytes it used, and writes at most `capacity`
 * > 0 bytes to `out`, *written in fact. Returns one of the two values above, CRE_EHTTP_COMPRESSED for corrupt
 * input, after which the decompressor is of no use, or CRE_ENOMEM. One thread at a time.
 */
CRE_NODISCARD CRE_API int cre_http_decompress(cre_http_decompressor *decompressor, const uint8_t **cursor,
                                              const uint8_t *end, void *out, size_t capacity,
                                              size_t *written);

/** The body has ended. Returns 0, or CRE_EHTTP_COMPRESSED when the compressed data has not. An empty body is
 * complete. */
CRE_NODISCARD CRE_API int cre_http_decompressor_finish(const cre_http_decompressor *decompressor);

CRE_END_DECLS

#endif
