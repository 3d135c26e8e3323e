/* Published messages are compressed once for all who agreed on it, between messages of their own. */
#include "both.h"
#include "engine/publish.h"

#ifdef CRE_HAVE_DEFLATE

/* A client that understands compressed messages. */
typedef struct receiver {
    net_client net;
    cre_session id;
    cre_ws_config config;
    cre_ws_deflate_pool *pool;
    cre_ws_deflate deflate;
    cre_ws_session session;
    int compressed; /* frames that were */
} receiver;

#define PLAIN    NULL
#define TAKEOVER "permessage-deflate"
#define FORGETS  "permessage-deflate; server_no_context_takeover"
#define SMALL    "permessage-deflate; server_max_window_bits=9"

static void join(receiver *it, net_server *net, const char *offer) {
    static const cre_ws_deflate_config nothing = { .size = sizeof nothing };
    char request[512];
    cre_ws_deflate_parameters agreed = { .server_window_bits = 15, .client_window_bits = 15 };
    memset(it, 0, sizeof *it);
    snprintf(request, sizeof request, "%.*s%s%s\r\n\r\n", (int)(sizeof NET_UPGRADE - 3), NET_UPGRADE,
             offer ? "Sec-WebSocket-Extensions: " : "X-None: ", offer ? offer : "x");
    it->net = net_connect(net);
    net_send(&it->net, request, strlen(request));
    size_t head = net_find(&it->net, "\r\n\r\n");
    REQUIRE(head > 0);
    it->net.data[head - 1] = 0;
    CHECK_EQ(strstr((char *)it->net.data, "permessage-deflate") != NULL, offer != NULL);
    net_take(&it->net, head);
    it->id = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    it->config = (cre_ws_config){ .client = true, .max_message = 1 << 20 };
    cre_ws_session_init(&it->session, &it->config);
    if (!offer) return;
    agreed.server_no_context_takeover = strcmp(offer, FORGETS) == 0;
    if (strcmp(offer, SMALL) == 0) agreed.server_window_bits = 9;
    REQUIRE(cre_ws_deflate_pool_create(&nothing, &it->pool) == 0);
    cre_ws_deflate_init(&it->deflate, it->pool, &agreed, true);
    cre_ws_session_set_deflate(&it->session, &it->deflate);
}

static void leave(receiver *it) {
    cre_ws_session_deinit(&it->session);
    cre_ws_deflate_deinit(&it->deflate);
    cre_ws_deflate_pool_destroy(it->pool);
    net_close(&it->net);
}

/* The next frame holds this message. */
static void expect(receiver *it, const void *data, size_t length) {
    cre_ws_frame frame;
    REQUIRE(net_ws_next(&it->net, &frame));
    it->compressed += frame.rsv1;
    uint8_t *cursor = it->net.data, *end = cursor + frame.size;
    size_t size = frame.size;
    cre_ws_event event;
    CHECK_EQ(cre_ws_session_next(&it->session, &cursor, end, &event), 1);
    CHECK_EQ(event.length, length);
    if (event.length == length) CHECK_MEM(event.data, data, length);
    while (cursor < end && cre_ws_session_next(&it->session, &cursor, end, &event) > 0) {
    }
    net_take(&it->net, size);
}

/* Texts with much in common, so that whoever remembers the last one refers to it. */
static size_t text(char out[600], int number) {
    size_t size = 0;
    while (size < 400)
        size += (size_t)snprintf(out + size, 600 - size, "{\"name\":\"%d\",\"value\":%d,\"unit\":\"ms\"},",
                                 number * 7919 % 1000, number + (int)size);
    return size;
}

static void broadcast(net_server *net, int number, cre_session except) {
    char data[600];
    size_t size = text(data, number);
    CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_TEXT, data, size, except), 0);
}

static void push(net_server *net, receiver *it, int number) {
    char data[600];
    size_t size = text(data, number);
    CHECK_EQ(cre_engine_push(net->engine, it->id, CRE_WS_TEXT, data, size), 0);
}

static void expect_text(receiver *it, int number) {
    char data[600];
    expect(it, data, text(data, number));
}

static net_server *start(cre_ws_deflate_config deflate) {
    return net_start((cre_engine_config){ .deflate = &deflate }, NULL);
}

TEST_BOTH(each_kind_of_receiver_understands) {
    static const char *const offers[] = { PLAIN, TAKEOVER, FORGETS, SMALL };
    net_server *net = start((cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) });
    receiver all[4];
    for (int i = 0; i < 4; i++)
        join(&all[i], net, offers[i]);
    /* Pushes before and between, in the same turn and in others: the order is that of the calls. */
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 4; i++)
            push(net, &all[i], round);
        broadcast(net, 100 + round, 0);
        broadcast(net, 200 + round, all[2].id);
        for (int i = 0; i < 4; i++)
            push(net, &all[i], 300 + round);
        broadcast(net, 400 + round, 0);
        if (round % 3 == 0) net_settle(net);
        for (int i = 0; i < 4; i++) {
            expect_text(&all[i], round);
            expect_text(&all[i], 100 + round);
            if (i != 2) expect_text(&all[i], 200 + round);
            expect_text(&all[i], 300 + round);
            expect_text(&all[i], 400 + round);
        }
    }
    CHECK_EQ(all[0].compressed, 0);
    CHECK_EQ(all[1].compressed, 20 * 5);
    CHECK_EQ(all[2].compressed, 20 * 4);
    CHECK_EQ(all[3].compressed, 20 * 2); /* a smaller window than that of all */
    for (int i = 0; i < 4; i++)
        leave(&all[i]);
    net_stop(net);
}

TEST(a_small_window_for_all_is_shared) {
    net_server *net =
        start((cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config), .server_window_bits = 9 });
    receiver all[2];
    join(&all[0], net, SMALL);
    join(&all[1], net, SMALL);
    broadcast(net, 1, 0);
    push(net, &all[0], 2);
    broadcast(net, 3, 0);
    expect_text(&all[0], 1);
    expect_text(&all[0], 2);
    expect_text(&all[0], 3);
    expect_text(&all[1], 1);
    expect_text(&all[1], 3);
    CHECK_EQ(all[0].compressed + all[1].compressed, 5);
    leave(&all[0]);
    leave(&all[1]);
    net_stop(net);
}

/* What does not shrink, or is too short, is sent as it is, and costs nobody what they remember. */
TEST(short_messages_are_not_compressed) {
    net_server *net = start((cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) });
    receiver it;
    join(&it, net, TAKEOVER);
    push(net, &it, 1);
    CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_TEXT, "short", 5, 0), 0);
    push(net, &it, 1);
    expect_text(&it, 1);
    expect(&it, "short", 5);
    cre_ws_frame frame;
    REQUIRE(net_ws_next(&it.net, &frame));
    CHECK(frame.rsv1 && frame.length < 40); /* all of it was said before */
    expect_text(&it, 1);
    uint8_t noise[200];
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
    CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_BINARY, noise, sizeof noise, 0), 0);
    expect(&it, noise, sizeof noise);
    CHECK_EQ(it.compressed, 2);
    leave(&it);
    net_stop(net);
}

TEST(topics_between_fragments) {
    net_server *net = start((cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) });
    receiver it;
    join(&it, net, TAKEOVER);
    CHECK_EQ(cre_engine_subscribe(net->engine, it.id, "t", 1), 0);
    push(net, &it, 1);
    expect_text(&it, 1);
    cre_record command = { .kind = CRE_COMMAND_PUSH, .opcode = CRE_WS_TEXT, .session = it.id };
    cre_slice part = { (const uint8_t *)"begin ", 6 };
    CHECK_EQ(cre_engine_command(net->engine, &command, &part, 1), 0);
    char data[600];
    size_t size = text(data, 2);
    CHECK_EQ(cre_engine_publish(net->engine, "t", 1, CRE_WS_TEXT, data, size, 0), 0);
    net_settle(net);
    command.opcode = CRE_WS_CONTINUATION;
    command.flags = CRE_RECORD_FINAL;
    CHECK_EQ(cre_engine_command(net->engine, &command, &part, 1), 0);
    push(net, &it, 3);
    net_settle(net);
    CHECK(net_await(&it.net, 16));
    net_take(&it.net, 16); /* two frames of 6 bytes */
    expect_text(&it, 2);
    expect_text(&it, 3);
    CHECK_EQ(it.compressed, 3);
    leave(&it);
    net_stop(net);
}

/* A slow receiver keeps a share of the compressed block, and goes on to understand. */
TEST(a_slow_receiver_catches_up) {
    net_server *net = start((cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config), .level = 1 });
    receiver slow, quick;
    join(&slow, net, TAKEOVER);
    join(&quick, net, FORGETS);
    uint8_t *large = malloc(300000);
    REQUIRE(large != NULL);
    uint32_t state = 7;
    for (size_t i = 0; i < 300000; i++)
        large[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 28); /* half of it shrinks */
    int sent = 0;
    for (; sent < 12; sent++) {
        CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_BINARY, large, 300000, 0), 0);
        net_turn(net);
        expect(&quick, large, 300000);
    }
    push(net, &slow, 5);
    for (int i = 0; i < sent; i++)
        expect(&slow, large, 300000);
    expect_text(&slow, 5);
    free(large);
    leave(&slow);
    leave(&quick);
    net_stop(net);
}

static bool one_run(void) {
    net_server *net = calloc(1, sizeof *net);
    cre_ws_deflate_config deflate = { .size = sizeof deflate };
    cre_engine_config config = {
        .size = sizeof config, .on_event = net_on_event, .context = net, .deflate = &deflate
    };
    REQUIRE(net != NULL);
    if (cre_loop_create(&net->loop)) {
        free(net);
        return false;
    }
    bool good =
        cre_engine_create(net->loop, &config, &net->engine) == 0 &&
        cre_engine_listen(net->engine,
                          &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" },
                          &net->port) == 0;
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                  "Sec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    if (good) {
        net_client client = net_connect(net);
        net_send_text(&client, request);
        net_settle(net);
        char data[600];
        size_t size = text(data, 1);
        good = net_count_events(net, CRE_EVENT_OPEN) == 1;
        good = cre_engine_broadcast(net->engine, CRE_WS_TEXT, data, size, 0) == 0 && good;
        net_settle(net);
        net_pull(&client);
        good = good && client.length > 200;
        net_close(&client);
        net_settle(net);
    }
    if (net->engine) cre_engine_destroy(net->engine);
    cre_loop_destroy(net->loop);
    net_forget(net);
    free(net);
    return good;
}

TEST(without_memory_nothing_is_lost) {
    test_fail_each_allocation(one_run);
}

#else

TEST(not_in_this_build) {
    cre_ws_deflate_pool *pool;
    CHECK_EQ(
        cre_ws_deflate_pool_create(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) }, &pool),
        CRE_EUNSUPPORTED);
}

#endif

TEST_MAIN()
