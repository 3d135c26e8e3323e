/* The interface of the compression libraries to the decompressor. */
#ifndef CRE_HTTP_DECODER_H
#define CRE_HTTP_DECODER_H

#include <creactor/error.h>
#include <creactor/http_decompress.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Input and output of one step, both of which it moves on. */
typedef struct cre__decode_step {
    const uint8_t *in, *in_end;
    uint8_t *out, *out_end;
} cre__decode_step;

/* A content coding: functions on the state of one body. */
typedef struct cre__decoder {
    /* Makes a state; NULL: no memory. */
    void *(*make)(void);
    void (*free)(void *state);
    /* Returns a result of cre_http_decompress. There is room for output. */
    int (*step)(void *state, cre__decode_step *step);
    /* Whether the body may end here: before the first byte, and after the end of the compressed data. */
    bool (*complete)(const void *state);
} cre__decoder;

#ifdef CRE_HAVE_DEFLATE
extern const cre__decoder cre__decoder_gzip, cre__decoder_deflate;
#endif
#ifdef CRE_HAVE_BROTLI
extern const cre__decoder cre__decoder_brotli;
#endif
#ifdef CRE_HAVE_ZSTD
extern const cre__decoder cre__decoder_zstd;
#endif

#endif
