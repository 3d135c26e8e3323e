#include <creactor/websocket_deflate.h>
#include <string.h>

#ifdef CRE_HAVE_DEFLATE
#include "core/config.h"
#include "core/memory.h"
#include "core/zlib_memory.h"
#include "ws/ws_deflate_pool.h"

CRE__CONFIG(cre_ws_deflate_config, threshold);

static z_stream *new_stream(void) {
    z_stream *stream = cre__calloc(1, sizeof *stream);
    if (!stream) return NULL;
    stream->zalloc = cre__zlib_allocate;
    stream->zfree = cre__zlib_free;
    return stream;
}

static z_stream *new_inflater(int bits) {
    z_stream *stream = new_stream();
    if (stream && inflateInit2(stream, -bits) != Z_OK) {
        cre__free(stream);
        return NULL;
    }
    return stream;
}

/*
 * zlib has no raw window of 256 bytes. Run-length encoding never refers back more than one byte, which suits
 * any window.
 */
static z_stream *new_deflater(const cre_ws_deflate_config *config, int bits) {
    z_stream *stream = new_stream();
    int strategy = bits < 9 ? Z_RLE : Z_DEFAULT_STRATEGY;
    if (bits < 9) bits = 9;
    int level = config->level ? config->level : Z_DEFAULT_COMPRESSION;
    int memory_level = config->memory_level ? config->memory_level : 8;
    if (stream && deflateInit2(stream, level, Z_DEFLATED, -bits, memory_level, strategy) != Z_OK) {
        cre__free(stream);
        return NULL;
    }
    return stream;
}

static void free_inflater(z_stream *stream) {
    if (stream) inflateEnd(stream);
    cre__free(stream);
}

static void free_deflater(z_stream *stream) {
    if (stream) deflateEnd(stream);
    cre__free(stream);
}

z_stream *cre__ws_take_inflater(cre_ws_deflate *deflate) {
    if (deflate->read_takeover) {
        if (!deflate->inflater) deflate->inflater = new_inflater(deflate->read_bits);
        return deflate->inflater;
    }
    cre_ws_deflate_pool *pool = deflate->pool;
    if (!pool->inflater)
        pool->inflater = new_inflater(15);
    else
        inflateReset(pool->inflater);
    return pool->inflater;
}

z_stream *cre__ws_take_deflater(cre_ws_deflate *deflate) {
    cre_ws_deflate_pool *pool = deflate->pool;
    if (deflate->write_takeover) {
        if (!deflate->deflater)
            deflate->deflater = new_deflater(&pool->config, deflate->write_bits);
        else if (deflate->outdated)
            deflateReset(deflate->deflater);
        deflate->outdated = false;
        return deflate->deflater;
    }
    if (pool->deflater && pool->deflater_bits != deflate->write_bits) {
        free_deflater(pool->deflater);
        pool->deflater = NULL;
    }
    if (!pool->deflater) {
        pool->deflater = new_deflater(&pool->config, deflate->write_bits);
        pool->deflater_bits = deflate->write_bits;
    } else {
        deflateReset(pool->deflater);
    }
    return pool->deflater;
}

static bool window_is_valid(uint8_t bits) {
    return bits == 0 || (bits >= 8 && bits <= 15);
}

int cre_ws_deflate_pool_create(const cre_ws_deflate_config *config, cre_ws_deflate_pool **pool) {
    cre_ws_deflate_config own;
    int result = cre__config_take(&own, sizeof own, config);
    if (result) return result;
    config = &own;
    if (config->level > 9 || config->memory_level > 9 || !window_is_valid(config->server_window_bits) ||
        !window_is_valid(config->client_window_bits))
        return CRE_EINVALID;
    cre_ws_deflate_pool *made = cre__calloc(1, sizeof *made);
    if (!made) return CRE_ENOMEM;
    made->config = *config;
    if (!made->config.threshold) made->config.threshold = CRE_WS_DEFLATE_DEFAULT_THRESHOLD;
    *pool = made;
    return 0;
}

void cre_ws_deflate_pool_destroy(cre_ws_deflate_pool *pool) {
    if (!pool) return;
    free_inflater(pool->inflater);
    free_deflater(pool->deflater);
    cre__ws_isal_free(&pool->isal);
    cre__free(pool->scratch);
    cre__free(pool);
}

void cre_ws_deflate_deinit(cre_ws_deflate *deflate) {
    free_inflater(deflate->inflater);
    free_deflater(deflate->deflater);
    deflate->inflater = deflate->deflater = NULL;
}

#else

int cre_ws_deflate_pool_create(const cre_ws_deflate_config *config, cre_ws_deflate_pool **pool) {
    (void)config;
    (void)pool;
    return CRE_EUNSUPPORTED;
}

void cre_ws_deflate_pool_destroy(cre_ws_deflate_pool *pool) {
    (void)pool;
}

void cre_ws_deflate_deinit(cre_ws_deflate *deflate) {
    (void)deflate;
}

#endif

void cre_ws_deflate_init(cre_ws_deflate *deflate, cre_ws_deflate_pool *pool,
                         const cre_ws_deflate_parameters *agreed, bool client) {
    *deflate = (cre_ws_deflate){
        .pool = pool,
        .read_bits = client ? agreed->server_window_bits : agreed->client_window_bits,
        .write_bits = client ? agreed->client_window_bits : agreed->server_window_bits,
        .read_takeover = client ? !agreed->server_no_context_takeover : !agreed->client_no_context_takeover,
        .write_takeover = client ? !agreed->client_no_context_takeover : !agreed->server_no_context_takeover,
    };
}

void cre_ws_deflate_skip(cre_ws_deflate *deflate) {
    deflate->outdated = true;
}

void cre_ws_session_set_deflate(cre_ws_session *session, cre_ws_deflate *deflate) {
    session->deflate = deflate;
}
