/* Encoders of bodies: their limit, and states that are used again. */
#include <creactor/http_encoder.h>

#include "core/config.h"
#include "core/memory.h"
#include "http/coder.h"

CRE__CONFIG(cre_http_encoders_config, max_open);

/* Closed encoders that are kept for each coding. */
#define MAX_IDLE 4

struct cre_http_encoder {
    cre_http_encoders *pool;
    cre_http_encoder *next; /* among idle ones */
    void *state;
    uint8_t coding;
    bool ended, failed;
};

typedef struct idle_list {
    cre_http_encoder *first;
    unsigned count;
} idle_list;

struct cre_http_encoders {
    cre_http_encoders_config config;
    uint32_t open;
    idle_list idle[CRE_HTTP_ZSTD + 1];
};

static const cre__coder *coder_of(int coding) {
    switch (coding) {
#ifdef CRE_HAVE_DEFLATE
    case CRE_HTTP_GZIP: return &cre__coder_gzip;
#endif
#ifdef CRE_HAVE_BROTLI
    case CRE_HTTP_BROTLI: return &cre__coder_brotli;
#endif
#ifdef CRE_HAVE_ZSTD
    case CRE_HTTP_ZSTD: return &cre__coder_zstd;
#endif
    default: return NULL;
    }
}

bool cre_http_coding_supported(int coding) {
    return coder_of(coding) != NULL;
}

static int level_of(const cre_http_encoders_config *config, int coding, const cre__coder *coder) {
    const uint8_t levels[] = { [CRE_HTTP_GZIP] = config->gzip_level,
                               [CRE_HTTP_BROTLI] = config->brotli_level,
                               [CRE_HTTP_ZSTD] = config->zstd_level };
    return levels[coding] ? levels[coding] : coder->default_level;
}

int cre_http_encoders_create(const cre_http_encoders_config *config, cre_http_encoders **encoders) {
    cre_http_encoders_config own = { .size = sizeof own };
    if (config) {
        int result = cre__config_take(&own, sizeof own, config);
        if (result) return result;
    }
    if (own.gzip_level > 9 || own.brotli_level > 11 || own.zstd_level > 19) return CRE_EINVALID;
    if (!own.max_open) own.max_open = 64;
    cre_http_encoders *made = cre__calloc(1, sizeof *made);
    if (!made) return CRE_ENOMEM;
    made->config = own;
    *encoders = made;
    return 0;
}

static void free_encoder(cre_http_encoder *encoder) {
    coder_of(encoder->coding)->free(encoder->state);
    cre__free(encoder);
}

void cre_http_encoders_destroy(cre_http_encoders *encoders) {
    if (!encoders) return;
    for (int coding = 0; coding <= CRE_HTTP_ZSTD; coding++) {
        for (cre_http_encoder *encoder = encoders->idle[coding].first; encoder;) {
            cre_http_encoder *next = encoder->next;
            free_encoder(encoder);
            encoder = next;
        }
    }
    cre__free(encoders);
}

static cre_http_encoder *take_idle(cre_http_encoders *pool, int coding) {
    idle_list *list = &pool->idle[coding];
    cre_http_encoder *encoder = list->first;
    if (!encoder) return NULL;
    list->first = encoder->next;
    list->count--;
    return encoder;
}

static cre_http_encoder *make_encoder(cre_http_encoders *pool, int coding, const cre__coder *coder) {
    cre_http_encoder *encoder = cre__calloc(1, sizeof *encoder);
    if (!encoder) return NULL;
    encoder->pool = pool;
    encoder->coding = (uint8_t)coding;
    encoder->state = coder->make(level_of(&pool->config, coding, coder));
    if (encoder->state) return encoder;
    cre__free(encoder);
    return NULL;
}

int cre_http_encoder_open(cre_http_encoders *encoders, int coding, cre_http_encoder **encoder) {
    const cre__coder *coder = coder_of(coding);
    if (!coder) return CRE_EUNSUPPORTED;
    if (encoders->open >= encoders->config.max_open) return CRE_ELIMIT;
    cre_http_encoder *found = take_idle(encoders, coding);
    if (!found) found = make_encoder(encoders, coding, coder);
    if (!found) return CRE_ENOMEM;
    found->ended = found->failed = false;
    encoders->open++;
    *encoder = found;
    return 0;
}

void cre_http_encoder_close(cre_http_encoder *encoder) {
    if (!encoder) return;
    cre_http_encoders *pool = encoder->pool;
    idle_list *list = &pool->idle[encoder->coding];
    const cre__coder *coder = coder_of(encoder->coding);
    pool->open--;
    if (encoder->failed || list->count >= MAX_IDLE || !coder->reuse || !coder->reuse(encoder->state)) {
        free_encoder(encoder);
        return;
    }
    encoder->next = list->first;
    list->first = encoder;
    list->count++;
}

int cre_http_encode(cre_http_encoder *encoder, const uint8_t **cursor, const uint8_t *end,
                    cre_http_encode_mode mode, uint8_t *out, size_t capacity, size_t *produced) {
    *produced = 0;
    if (capacity < CRE_HTTP_ENCODE_MIN_CAPACITY || (unsigned)mode > CRE_HTTP_ENCODE_END) return CRE_EINVALID;
    if (encoder->ended || encoder->failed) return CRE_ESTATE;
    static const uint8_t nothing;
    cre__coder_step step = { *cursor, end, out, out + capacity, mode };
    if (!step.in) step.in = step.in_end = &nothing;
    int result = coder_of(encoder->coding)->step(encoder->state, &step);
    if (*cursor) *cursor = step.in;
    *produced = (size_t)(step.out - out);
    if (result < 0) encoder->failed = true;
    if (!result && mode == CRE_HTTP_ENCODE_END) encoder->ended = true;
    return result;
}
