/* The opening handshake on the engine: what is negotiated, who is let in. */
#include "both.h"

static int echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_MESSAGE)
        cre_engine_push(net->engine, event->session, event->opcode, payload, event->length);
    return 0;
}

/* Sends a handshake with these extra field lines and returns the head of the answer. */
static const char *ask(net_client *client, const char *extra) {
    static char request[2048], answer[2048];
    int size =
        snprintf(request, sizeof request,
                 "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                 extra);
    net_send(client, request, (size_t)size);
    size_t length = net_find(client, "\r\n\r\n");
    REQUIRE(length > 0 && length < sizeof answer);
    memcpy(answer, client->data, length);
    answer[length] = 0;
    net_take(client, length);
    return answer;
}

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

#ifdef CRE_HAVE_DEFLATE

/* One compressed message there and back. */
static void exchange(net_client *client, const cre_ws_deflate_parameters *agreed, const uint8_t *text,
                     size_t length) {
    static const cre_ws_config role = { .client = true, .max_message = 1 << 20 };
    cre_ws_deflate_pool *pool = NULL;
    REQUIRE(cre_ws_deflate_pool_create(
                &(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config), .threshold = 1 }, &pool) ==
            0);
    cre_ws_deflate deflate;
    cre_ws_deflate_init(&deflate, pool, agreed, true);
    cre_ws_session session;
    cre_ws_session_init(&session, &role);
    cre_ws_session_set_deflate(&session, &deflate);
    for (int round = 0; round < 3; round++) {
        uint8_t *payload, header[CRE_WS_MAX_HEADER];
        size_t size;
        REQUIRE(cre_ws_deflate_message(&deflate, text, length, &payload, &size) == 1);
        CHECK(size < length / 2);
        const uint8_t key[4] = { 1, 2, 3, 4 };
        cre_ws_mask(payload, size, key, 0);
        size_t head = cre_ws_header(header, CRE_WS_FIN | CRE_WS_RSV1 | CRE_WS_TEXT, size, key);
        net_send(client, header, head);
        net_send(client, payload, size);
        cre_ws_event event;
        int result = 0;
        for (int waits = 0; result == 0 && waits < NET_WAITS; waits++) {
            net_turn(client->net);
            if (!net_pull(client)) net_rest(client->net, client->descriptor);
            CHECK(client->length < length); /* it came back compressed */
            uint8_t *cursor = client->data;
            result = cre_ws_session_next(&session, &cursor, client->data + client->length, &event);
            if (result) {
                REQUIRE(result == 1);
                CHECK_EQ(event.length, length);
                CHECK_MEM(event.data, text, length);
            }
            net_take(client, (size_t)(cursor - client->data));
        }
        CHECK_EQ(result, 1);
        uint8_t *none = NULL;
        CHECK_EQ(cre_ws_session_next(&session, &none, NULL, &event), 0);
    }
    cre_ws_session_deinit(&session);
    cre_ws_deflate_deinit(&deflate);
    cre_ws_deflate_pool_destroy(pool);
}

static void deflate_with(const cre_ws_deflate_config *config, const char *offer, const char *expected,
                         const cre_ws_deflate_parameters *agreed) {
    uint8_t text[6000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)('a' + i % 7 + i / 900);
    net_server *net = net_start((cre_engine_config){ .deflate = config }, echo);
    net_client client = net_connect(net);
    const char *answer = ask(&client, offer);
    CHECK(starts(answer, "HTTP/1.1 101 "));
    CHECK(strstr(answer, expected) != NULL);
    exchange(&client, agreed, text, sizeof text);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(messages_are_compressed_both_ways_when_agreed) {
    deflate_with(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config),
                                           .server_no_context_takeover = true,
                                           .client_no_context_takeover = true },
                 "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
                 "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                 &(cre_ws_deflate_parameters){ true, true, 15, 15 });
}

TEST_BOTH(a_window_may_be_kept_from_message_to_message) {
    deflate_with(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) },
                 "Sec-WebSocket-Extensions: x-unknown\r\nSec-WebSocket-Extensions: "
                 "permessage-deflate\r\n",
                 "Sec-WebSocket-Extensions: permessage-deflate\r\n",
                 &(cre_ws_deflate_parameters){ false, false, 15, 15 });
}

TEST_BOTH(without_the_setting_or_the_offer_nothing_is_agreed_on) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    net_client client = net_connect(net);
    CHECK(strstr(ask(&client, "Sec-WebSocket-Extensions: permessage-deflate\r\n"), "Extensions") == NULL);
    net_close(&client);
    net_stop(net);
    net = net_start(
        (cre_engine_config){ .deflate = &(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) } },
        echo);
    client = net_connect(net);
    CHECK(strstr(ask(&client, ""), "Extensions") == NULL);
    net_close(&client);
    client = net_connect(net);
    CHECK(strstr(ask(&client, "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n"),
                 "Extensions") == NULL);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(an_inflated_message_above_the_limit_ends_with_1009) {
    net_server *net = net_start(
        (cre_engine_config){ .deflate = &(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) },
                             .max_message = 4096 },
        echo);
    net_client client = net_connect(net);
    ask(&client, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    cre_ws_deflate_pool *pool = NULL;
    REQUIRE(cre_ws_deflate_pool_create(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) },
                                       &pool) == 0);
    cre_ws_deflate deflate;
    cre_ws_deflate_init(&deflate, pool, &(cre_ws_deflate_parameters){ false, false, 15, 15 }, true);
    static uint8_t zeros[1 << 20];
    uint8_t *payload, header[CRE_WS_MAX_HEADER];
    size_t size;
    REQUIRE(cre_ws_deflate_message(&deflate, zeros, sizeof zeros, &payload, &size) == 1);
    REQUIRE(size < 4096); /* small on the wire */
    const uint8_t key[4] = { 0 };
    net_send(&client, header, cre_ws_header(header, CRE_WS_FIN | CRE_WS_RSV1 | CRE_WS_BINARY, size, key));
    net_send(&client, payload, size);
    net_expect_event(net, CRE_EVENT_OPEN);
    cre_closed closed = net_closed(net_next(net));
    CHECK_EQ(closed.reason, CRE_CLOSED_PROTOCOL);
    CHECK_EQ(closed.code, 1009);
    CHECK_EQ(closed.error, CRE_EWS_TOO_BIG);
    cre_ws_deflate_deinit(&deflate);
    cre_ws_deflate_pool_destroy(pool);
    net_close(&client);
    net_stop(net);
}

#endif

TEST_BOTH(the_first_subprotocol_of_ours_that_is_offered_is_chosen) {
    static const char *const names[] = { "v2.chat", "v1.chat", NULL };
    net_server *net = net_start((cre_engine_config){ .subprotocols = names }, echo);
    net_client client = net_connect(net);
    CHECK(strstr(ask(&client, "Sec-WebSocket-Protocol: v1.chat, v2.chat\r\n"),
                 "Sec-WebSocket-Protocol: v2.chat\r\n"));
    net_close(&client);
    client = net_connect(net);
    const char *answer = ask(&client, "Sec-WebSocket-Protocol: other\r\n");
    CHECK(starts(answer, "HTTP/1.1 101 "));
    CHECK(strstr(answer, "Protocol:") == NULL);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(pages_of_other_origins_are_refused) {
    static const char *const origins[] = { "https://example.com", NULL };
    net_server *net = net_start((cre_engine_config){ .origins = origins }, echo);
    static const struct {
        const char *line, *status;
    } cases[] = {
        { "Origin: https://example.com\r\n", "HTTP/1.1 101 " },
        { "Origin: https://evil.example\r\n", "HTTP/1.1 403 " },
        { "Origin: null\r\n", "HTTP/1.1 403 " },
        { "", "HTTP/1.1 101 " }, /* no browser */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        net_client client = net_connect(net);
        CHECK(starts(ask(&client, cases[i].line), cases[i].status));
        net_close(&client);
    }
    net_stop(net);
}

TEST_MAIN()
