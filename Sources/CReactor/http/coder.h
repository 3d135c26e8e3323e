/* The interface of the compression libraries to the encoder. */
#ifndef CRE_HTTP_CODER_H
#define CRE_HTTP_CODER_H

#include <creactor/http_encoder.h>

/* Input and output of one step, both of which it moves on. */
typedef struct cre__coder_step {
    const uint8_t *in, *in_end;
    uint8_t *out, *out_end;
    cre_http_encode_mode mode;
} cre__coder_step;

/* A coding: functions on a state that its library has made. */
typedef struct cre__coder {
    /* Makes a state for a body; NULL: no memory. */
    void *(*make)(int level);
    /* Makes a used state ready for the next body; NULL: it cannot be used again. */
    bool (*reuse)(void *state);
    void (*free)(void *state);
    /* Returns 0 when the mode is satisfied, 1 when there is no room for output, or CRE_ENOMEM. */
    int (*step)(void *state, cre__coder_step *step);
    uint8_t default_level, max_level;
} cre__coder;

#ifdef CRE_HAVE_DEFLATE
extern const cre__coder cre__coder_gzip;
#endif
#ifdef CRE_HAVE_BROTLI
extern const cre__coder cre__coder_brotli;
#endif
#ifdef CRE_HAVE_ZSTD
extern const cre__coder cre__coder_zstd;
#endif

#endif
