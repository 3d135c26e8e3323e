/*
 * Packets are the same however the stream is cut; together with what is left over they are the stream.
 *
 * Input: kind, letter, offset, body offset, marker length, maximum, size of the pieces (a byte each), the
 * marker (8 bytes), the stream.
 */
#include <creactor/framing.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

enum { SETTINGS = 7 + CRE_FRAMING_MAX_MARKER };

typedef struct outcome {
    uint8_t *bytes; /* the packets, one after the other */
    uint8_t *ends;  /* where packets end */
    size_t length, left;
    int result;
} outcome;

/* The first byte is the header's length less one, its last byte is the body's length. */
static int64_t own_length(void *context, const uint8_t *data, size_t length) {
    (void)context;
    const size_t header = (size_t)(data[0] & 63) + 1;
    if (data[0] & 64) return -1;
    return length < header ? 0 : (int64_t)(header + data[header - 1]);
}

static outcome cut(const cre_framing_config *config, const uint8_t *data, size_t size, size_t step) {
    outcome out = { .bytes = malloc(size + 1), .ends = calloc(1, size + 1) };
    cre_framing framing;
    REQUIRE(out.bytes && out.ends);
    cre_framing_init(&framing, config);
    for (size_t at = 0; at < size && out.result >= 0;) {
        const size_t piece = size - at < step ? size - at : step;
        uint8_t *copy = malloc(piece);
        REQUIRE(copy);
        memcpy(copy, data + at, piece);
        const uint8_t *cursor = copy, *packet;
        size_t length;
        while ((out.result = cre_framing_next(&framing, &cursor, copy + piece, &packet, &length)) > 0) {
            REQUIRE(length > 0 && out.length + length <= size && cursor <= copy + piece);
            if (config->kind != CRE_FRAMING_NONE) REQUIRE(length <= config->max_length);
            memcpy(out.bytes + out.length, packet, length);
            out.length += length;
            out.ends[out.length] = 1;
        }
        REQUIRE(out.result < 0 || cursor == copy + piece);
        free(copy);
        at += piece;
    }
    out.left = cre_framing_pending(&framing);
    cre_framing_deinit(&framing);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char letters[] = "cCsSnvlLNViIqQJP";
    if (size < SETTINGS) return 0;
    cre_framing_config config = {
        .size = sizeof config,
        .kind = (cre_framing_kind)(data[0] % 6),
        .length_type = letters[data[1] % 16],
        .length_offset = data[2] % 16,
        .body_offset = data[3] % 32,
        .marker_length = data[4] % 9,
        .max_length = 1u + data[5],
        .length_function = own_length,
    };
    memcpy(config.marker, data + 7, CRE_FRAMING_MAX_MARKER);
    const size_t step = 1 + data[6] % 64;
    data += SETTINGS;
    size -= SETTINGS;
    if (cre_framing_config_check(&config) < 0) return 0;
    outcome whole = cut(&config, data, size, size + 1), part = cut(&config, data, size, step);
    REQUIRE(memcmp(whole.bytes, data, whole.length) == 0 && memcmp(part.bytes, data, part.length) == 0);
    if (whole.result >= 0) REQUIRE(whole.length + whole.left == size);
    if (part.result >= 0) REQUIRE(part.length + part.left == size);
    /* these two depend on where the reads end, as they must */
    if (config.kind != CRE_FRAMING_NONE && config.kind != CRE_FRAMING_MARKER_CHECK) {
        REQUIRE(whole.result == part.result && whole.length == part.length);
        REQUIRE(memcmp(whole.ends, part.ends, size + 1) == 0);
    }
    free(whole.bytes);
    free(whole.ends);
    free(part.bytes);
    free(part.ends);
    return 0;
}
