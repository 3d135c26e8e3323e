/*
 * Negotiation with any text, then messages from a server to a client that agreed on it: each comes out as it
 * went in.
 *
 * Input: one byte of settings, one byte with the length of the offer, the offer, the content of the messages.
 */
#include <creactor/websocket_deflate.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

static cre_ws_deflate_config configuration(uint8_t settings) {
    return (cre_ws_deflate_config){
        .size = sizeof(cre_ws_deflate_config),
        .server_no_context_takeover = settings & 1,
        .client_no_context_takeover = settings & 2,
        .server_window_bits = settings & 4 ? 8 + (settings >> 5) : 0,
        .client_window_bits = settings & 8 ? 15 - (settings >> 5) : 0,
        .level = 1 + (settings >> 4) % 9,
        .threshold = 1,
    };
}

static void in_range(const cre_ws_deflate_parameters *p) {
    REQUIRE(p->server_window_bits >= 8 && p->server_window_bits <= 15);
    REQUIRE(p->client_window_bits >= 8 && p->client_window_bits <= 15);
}

/* False when there is nothing to go on with. */
static bool negotiate(const cre_ws_deflate_config *config, const char *text, size_t length,
                      cre_ws_deflate_parameters *agreed) {
    char answer[CRE_WS_DEFLATE_MAX_EXTENSION], offer[CRE_WS_DEFLATE_MAX_EXTENSION];
    cre_ws_deflate_parameters other;
    int result = cre_ws_deflate_agree(config, text, length, &other);
    REQUIRE(result == 1 || result == 0 || result == CRE_EWS_EXTENSION);
    if (result == 1) in_range(&other);

    /* Our own two sides understand each other. */
    size_t size = cre_ws_deflate_offer(config, offer);
    REQUIRE(size <= sizeof offer);
    size = cre_ws_deflate_accept(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) }, offer,
                                 size, agreed, answer);
    REQUIRE(size && size <= sizeof answer);
    REQUIRE(cre_ws_deflate_agree(config, answer, size, &other) == 1);
    REQUIRE(memcmp(agreed, &other, sizeof other) == 0);

    size = cre_ws_deflate_accept(config, text, length, agreed, answer);
    REQUIRE(size <= sizeof answer);
    if (size == 0) return false;
    in_range(agreed);
    /* A client whose offer said all this would take the answer. */
    const cre_ws_deflate_config asked = {
        .size = sizeof asked,
        .server_no_context_takeover = agreed->server_no_context_takeover,
        .client_no_context_takeover = agreed->client_no_context_takeover,
        .server_window_bits = agreed->server_window_bits,
        .client_window_bits = agreed->client_window_bits,
    };
    REQUIRE(cre_ws_deflate_agree(&asked, answer, size, &other) == 1);
    REQUIRE(memcmp(agreed, &other, sizeof other) == 0);
    return true;
}

static void talk(const cre_ws_deflate_config *config, const cre_ws_deflate_parameters *agreed,
                 const uint8_t *data, size_t size) {
    cre_ws_deflate_pool *pool;
    if (cre_ws_deflate_pool_create(config, &pool) != 0) return;
    const cre_ws_config receiver = { .client = true };
    cre_ws_deflate out, in;
    cre_ws_session session;
    cre_ws_deflate_init(&out, pool, agreed, false);
    cre_ws_deflate_init(&in, pool, agreed, true);
    cre_ws_session_init(&session, &receiver);
    cre_ws_session_set_deflate(&session, &in);
    for (size_t i = 0, n = 1; i < size; i += n, n = n * 3 % 1009 + 1) {
        if (n > size - i) n = size - i;
        uint8_t *payload;
        size_t length;
        int result = cre_ws_deflate_message(&out, data + i, n, &payload, &length);
        REQUIRE(result >= 0);
        if (result == 0) continue;
        uint8_t header[CRE_WS_MAX_HEADER];
        size_t head = cre_ws_header(header, CRE_WS_FIN | CRE_WS_RSV1 | CRE_WS_BINARY, length, NULL);
        uint8_t *frame = payload - head, *cursor = frame;
        memcpy(frame, header, head);
        cre_ws_event event;
        REQUIRE(cre_ws_session_next(&session, &cursor, payload + length, &event) == 1);
        REQUIRE(event.length == n && memcmp(event.data, data + i, n) == 0);
        REQUIRE(cre_ws_session_next(&session, &cursor, payload + length, &event) == 0);
    }
    cre_ws_session_deinit(&session);
    cre_ws_deflate_deinit(&in);
    cre_ws_deflate_deinit(&out);
    cre_ws_deflate_pool_destroy(pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size - 2 < data[1]) return 0;
    size_t length = data[1];
    cre_ws_deflate_config config = configuration(data[0]);
    char *offer = malloc(length ? length : 1); /* nothing behind its end */
    REQUIRE(offer);
    memcpy(offer, data + 2, length);
    cre_ws_deflate_parameters agreed;
    if (negotiate(&config, offer, length, &agreed))
        talk(&config, &agreed, data + 2 + length, size - 2 - length);
    free(offer);
    return 0;
}
