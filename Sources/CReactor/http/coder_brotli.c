/*
 * Brotli. Its library ends the process when an allocation fails, unless it was built otherwise. So the
 * allocator does not return then but jumps out of the library, and the blocks of the encoder, which are in a
 * list, are freed without it.
 */
#include "http/coder.h"

#ifdef CRE_HAVE_BROTLI
#include <brotli/encode.h>
#include <setjmp.h>
#include <stddef.h>

#include "core/memory.h"

/* The window as a power of two: with a larger one an encoder takes megabytes. */
#define WINDOW 18

/* A block of the library's memory, in front of its bytes. */
typedef struct block {
    _Alignas(max_align_t) struct block *next;
    struct block **link; /* what points to this one */
} block;

typedef struct brotli {
    BrotliEncoderState *encoder;
    block *blocks;
    jmp_buf no_memory; /* valid during calls of the library */
} brotli;

static void *allocate(void *context, size_t size) {
    brotli *state = context;
    block *made = cre__malloc(sizeof *made + size);
    if (!made) longjmp(state->no_memory, 1);
    made->next = state->blocks;
    made->link = &state->blocks;
    if (made->next) made->next->link = &made->next;
    state->blocks = made;
    return made + 1;
}

static void give_back(void *context, void *memory) {
    (void)context;
    if (!memory) return;
    block *freed = (block *)memory - 1;
    *freed->link = freed->next;
    if (freed->next) freed->next->link = freed->link;
    cre__free(freed);
}

static void free_state(void *from) {
    brotli *state = from;
    /* Also after a jump, when the library's own structures may be half made. */
    while (state->blocks)
        give_back(state, state->blocks + 1);
    cre__free(state);
}

static void *make(int level) {
    brotli *state = cre__calloc(1, sizeof *state);
    if (!state) return NULL;
    if (setjmp(state->no_memory) == 0) {
        state->encoder = BrotliEncoderCreateInstance(allocate, give_back, state);
        BrotliEncoderSetParameter(state->encoder, BROTLI_PARAM_QUALITY, (uint32_t)level);
        BrotliEncoderSetParameter(state->encoder, BROTLI_PARAM_LGWIN, WINDOW);
        return state;
    }
    free_state(state);
    return NULL;
}

static int compress(BrotliEncoderState *encoder, cre__coder_step *step) {
    static const BrotliEncoderOperation operations[] = { BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH,
                                                         BROTLI_OPERATION_FINISH };
    for (;;) {
        size_t in = (size_t)(step->in_end - step->in), out = (size_t)(step->out_end - step->out);
        bool good = BrotliEncoderCompressStream(encoder, operations[step->mode], &in, &step->in, &out,
                                                &step->out, NULL);
        if (!good) return CRE_ENOMEM;
        bool has_output = BrotliEncoderHasMoreOutput(encoder);
        bool done = step->mode == CRE_HTTP_ENCODE_END ? BrotliEncoderIsFinished(encoder) : !in && !has_output;
        if (done) return 0;
        if (!out) return 1;
    }
}

static int step(void *from, cre__coder_step *step) {
    brotli *state = from;
    return setjmp(state->no_memory) == 0 ? compress(state->encoder, step) : CRE_ENOMEM;
}

const cre__coder cre__coder_brotli = { make, NULL, free_state, step, 4, 11 };

#endif
