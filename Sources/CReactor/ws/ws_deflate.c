/* Compression and decompression of whole messages with zlib and, where it can be, ISA-L. */
#include "ws/ws_deflate.h"

#ifdef CRE_HAVE_DEFLATE
#include <limits.h>
#include <string.h>

#include "core/memory.h"
#include "ws/ws_deflate_pool.h"
#include "ws/ws_isal.h"

#define MAX_SCRATCH  65536u /* the largest output buffer that a pool keeps */
#define FLUSH_MARKER 4   /* bytes of an empty block at the end of a compressed message, which are not sent */
#define FAST_ROOM    274 /* of output: with less left ISA-L goes on symbol by symbol; zlib with 258 */
#define FINAL_BLOCKS 8   /* the most final blocks in one message: each costs a copy of the window */

static unsigned piece(size_t size) {
    return size < UINT_MAX ? (unsigned)size : UINT_MAX;
}

/* ---- inflating ---- */

/* Continues after a block marked as final, which ends zlib's stream but not the window (RFC 7692
 * section 7.2.3.4). */
static int go_on_after_final_block(z_stream *stream) {
    unsigned size = 0;
    uint8_t *window = cre__malloc(32768);
    if (!window) return CRE_ENOMEM;
    bool good = inflateGetDictionary(stream, window, &size) == Z_OK && inflateReset(stream) == Z_OK &&
                (size == 0 || inflateSetDictionary(stream, window, size) == Z_OK);
    cre__free(window);
    return good ? 0 : CRE_EWS_DEFLATE;
}

static int grow(cre__ws_message **message, size_t limit) {
    size_t have = (*message)->capacity;
    size_t more = have < limit / 2 ? have * 2 : limit;
    return cre__ws_message_reserve(message, more, more, limit) ? 0 : CRE_ENOMEM;
}

/* Inflates all of `data` into *message; more than `limit` bytes are an error. */
static int inflate_into(z_stream *stream, const uint8_t *data, size_t length, size_t limit,
                        cre__ws_message **message, int *final_blocks) {
    for (;;) {
        uint8_t beyond;
        size_t room = (*message)->capacity - (*message)->used;
        bool at_limit = room == 0 && (*message)->used >= limit;
        if (room == 0 && !at_limit) {
            int error = grow(message, limit);
            if (error) return error;
            room = (*message)->capacity - (*message)->used;
        }
        unsigned in = piece(length), out = at_limit ? 1 : piece(room);
        stream->next_in = (z_const Bytef *)(uintptr_t)data;
        stream->avail_in = in;
        stream->next_out = at_limit ? &beyond : (*message)->data + (*message)->used;
        stream->avail_out = out;
        int result = inflate(stream, Z_SYNC_FLUSH);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
            return result == Z_MEM_ERROR ? CRE_ENOMEM : CRE_EWS_DEFLATE;
        size_t used = in - stream->avail_in, made = out - stream->avail_out;
        data += used;
        length -= used;
        if (at_limit && made) return CRE_EWS_TOO_BIG;
        (*message)->used += made;
        if (result == Z_STREAM_END) {
            if (++*final_blocks > FINAL_BLOCKS) return CRE_EWS_DEFLATE;
            int error = go_on_after_final_block(stream);
            if (error) return error;
        } else if (stream->avail_out) { /* no output is left in zlib */
            if (length == 0) return 0;
            if (used == 0 && made == 0) return CRE_EWS_DEFLATE;
        }
    }
}

static int inflate_message(cre_ws_deflate *deflate, const uint8_t *data, size_t length, size_t limit,
                           cre__ws_message **message) {
    static const uint8_t flush[4] = { 0x00, 0x00, 0xFF, 0xFF }; /* the bytes that the sender removed */
    z_stream *stream = cre__ws_take_inflater(deflate);
    if (!stream) return CRE_ENOMEM;
    int final_blocks = 0;
    int error = inflate_into(stream, data, length, limit, message, &final_blocks);
    if (!error) error = inflate_into(stream, flush, sizeof flush, limit, message, &final_blocks);
    /* The message must end between two blocks without remaining bits: in data_type 128 is set between blocks,
     * the low bits count remaining bits, and 64 is set inside a final block. */
    if (!error && (stream->data_type & 0xFF) != 128) error = CRE_EWS_DEFLATE;
    return error;
}

int cre__ws_inflate(cre_ws_deflate *deflate, const uint8_t *data, size_t length, size_t limit,
                    cre__ws_message **out) {
    size_t guess = length < limit / 4 ? length * 4 + FAST_ROOM : limit;
    if (guess > limit) guess = limit;
    cre__ws_message *message = NULL;
    if (!cre__ws_message_reserve(&message, guess, guess, guess)) return CRE_ENOMEM;
    int error = 0;
    if (deflate->read_takeover || !cre__ws_isal_inflate(&deflate->pool->isal, data, length, limit, &message))
        error = inflate_message(deflate, data, length, limit, &message);
    if (error) {
        cre__free(message);
        return error;
    }
    *out = message;
    return 1;
}

/* ---- deflating ---- */

static bool scratch_reserve(cre_ws_deflate_pool *pool, size_t capacity) {
    if (pool->capacity >= capacity) return true;
    uint8_t *scratch = cre__realloc(pool->scratch, CRE_WS_MAX_HEADER + capacity);
    if (!scratch) return false;
    pool->scratch = scratch;
    pool->capacity = capacity;
    return true;
}

/* Frees a large output buffer before a small message. */
static void scratch_trim(cre_ws_deflate_pool *pool, size_t wanted) {
    if (pool->capacity <= MAX_SCRATCH || wanted > MAX_SCRATCH) return;
    cre__free(pool->scratch);
    pool->scratch = NULL;
    pool->capacity = 0;
}

/* Compresses a message into the scratch buffer. Returns the size, 0 without memory. */
static size_t deflate_all(cre_ws_deflate_pool *pool, z_stream *stream, const uint8_t *data, size_t length) {
    size_t size = 0;
    do {
        unsigned in = piece(length);
        stream->next_in = (z_const Bytef *)(uintptr_t)data;
        stream->avail_in = in;
        int flush = in == length ? Z_SYNC_FLUSH : Z_NO_FLUSH;
        do {
            /* zlib repeats the flush marker when the buffer ends with it, so the buffer has spare bytes. */
            if (pool->capacity - size < 16 &&
                !scratch_reserve(pool, pool->capacity + pool->capacity / 2 + 64))
                return 0;
            unsigned out = piece(pool->capacity - size);
            stream->next_out = pool->scratch + CRE_WS_MAX_HEADER + size;
            stream->avail_out = out;
            if (deflate(stream, flush) == Z_STREAM_ERROR) return 0;
            size += out - stream->avail_out;
        } while (stream->avail_out == 0);
        data += in;
        length -= in;
    } while (length);
    return size;
}

static int64_t deflate_by_zlib(cre_ws_deflate *deflate, const uint8_t *data, size_t length) {
    cre_ws_deflate_pool *pool = deflate->pool;
    z_stream *stream = cre__ws_take_deflater(deflate);
    if (!stream) return CRE_ENOMEM;
    size_t bound = deflateBound(stream, (uLong)length) + 32;
    scratch_trim(pool, bound);
    if (!scratch_reserve(pool, bound)) return CRE_ENOMEM;
    size_t size = deflate_all(pool, stream, data, length);
    if (size >= FLUSH_MARKER) return (int64_t)size;
    /* Reset the window: later messages must not refer to bytes that are not sent. */
    deflateReset(stream);
    return CRE_ENOMEM;
}

/* A level is zlib's, and so is the smallest window, which zlib treats in a way of its own. */
static int64_t deflate_by_isal(cre_ws_deflate *deflate, const uint8_t *data, size_t length) {
    cre_ws_deflate_pool *pool = deflate->pool;
    if (deflate->write_takeover || pool->config.level || deflate->write_bits < 9) return CRE_EUNSUPPORTED;
    size_t room = length + FLUSH_MARKER; /* a message that fills it does not shrink */
    scratch_trim(pool, room);
    if (!scratch_reserve(pool, room)) return CRE_ENOMEM;
    return cre__ws_isal_deflate(&pool->isal, deflate->write_bits, data, length,
                                pool->scratch + CRE_WS_MAX_HEADER, room);
}

int cre_ws_deflate_message(cre_ws_deflate *deflate, const uint8_t *data, size_t length, uint8_t **out,
                           size_t *out_length) {
    cre_ws_deflate_pool *pool = deflate->pool;
    if (length < pool->config.threshold) return 0;
    int64_t size = deflate_by_isal(deflate, data, length);
    if (size < 0) size = deflate_by_zlib(deflate, data, length);
    if (size < 0) return (int)size;
    if (size == 0) return 0;
    *out = pool->scratch + CRE_WS_MAX_HEADER;
    *out_length = (size_t)size - FLUSH_MARKER; /* which the receiver adds */
    return *out_length < length || deflate->write_takeover;
}

#else

int cre__ws_inflate(cre_ws_deflate *deflate, const uint8_t *data, size_t length, size_t limit,
                    cre__ws_message **out) {
    (void)deflate, (void)data, (void)length, (void)limit, (void)out;
    return CRE_EUNSUPPORTED;
}

int cre_ws_deflate_message(cre_ws_deflate *deflate, const uint8_t *data, size_t length, uint8_t **out,
                           size_t *out_length) {
    (void)deflate, (void)data, (void)length, (void)out, (void)out_length;
    return 0;
}

#endif
