/* Very many connections, one after the other, that end in every way: nothing is left of them. */
#include "both.h"

static long resident_kib(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    REQUIRE(file != NULL);
    CHECK_EQ(fscanf(file, "%*s %ld", &pages), 1);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int answer(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_REQUEST)
        cre_engine_respond(net->engine, event->session, 200, NULL, "hello", 5);
    else if (event->kind == CRE_EVENT_MESSAGE)
        cre_engine_push(net->engine, event->session, event->opcode, payload, event->length);
    int *balance = net->context;
    *balance += (event->kind == CRE_EVENT_OPEN) - (event->kind == CRE_EVENT_CLOSE);
    return 0;
}

/* Below the protocols: the handshake of TLS, or the head of a request, is not complete. */
static net_client begin_handshake(net_server *net) {
    const net_layer *layer = net_layer_now;
    net_layer_now = NULL;
    net_client client = net_connect(net);
    net_layer_now = layer;
    if (layer)
        net_send_text(&client, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    else
        net_send_text(&client, "GET / HT");
    return client;
}

static void end_half(net_client *client) {
    shutdown(client->descriptor, SHUT_WR);
    net_await_end(client);
    net_close(client);
}

#define WAYS 14

static void come_and_go(net_server *net, int way) {
    static const uint8_t large[2000];
    size_t size;
    uint8_t *frame;
    char body[16];
    net_client client = { .descriptor = -1 };
    if (way < 3)
        client = begin_handshake(net);
    else if (way < 8)
        client = net_connect(net);
    else
        client = net_ws_connect(net);
    switch (way) {
    case 0: net_close(&client); break;
    case 1: net_abort(&client); break;
    case 2: end_half(&client); break;
    case 3: net_close(&client); break;
    case 4: net_abort(&client); break;
    case 5:
        net_send_text(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        CHECK_EQ(net_response(&client, body, sizeof body, false), 200);
        net_close(&client);
        break;
    case 6:
    case 7:
        net_send_text(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
        net_turn(net);
        if (way == 6)
            net_abort(&client);
        else
            end_half(&client);
        break;
    case 8: /* as it should be */
        net_ws_send_close(&client, 1000);
        CHECK_EQ(net_ws_expect_close(&client), 1000);
        net_await_end(&client);
        net_close(&client);
        break;
    case 9:
        net_ws_text(&client, "answered");
        net_ws_expect_text(&client, "answered");
        net_close(&client);
        break;
    case 10: net_abort(&client); break;
    case 11: end_half(&client); break;
    case 12: /* between two frames of a message */
        net_ws_send(&client, CRE_WS_TEXT, "half", 4);
        net_turn(net);
        net_close(&client);
        break;
    default: /* within a frame */
        frame = net_frame(CRE_WS_FIN | CRE_WS_BINARY, large, sizeof large, &size);
        net_send(&client, frame, size / 2);
        free(frame);
        net_turn(net);
        net_abort(&client);
        break;
    }
}

TEST_BOTH(thousands_come_and_go) {
    int balance = 0, count = (net_layer_now ? 2000 : 10000) / TEST_STRIDE;
    net_server *net = net_start((cre_engine_config){ .http = true, .close_timeout_ms = 600000 }, answer);
    net->quiet = true;
    net->context = &balance;
    for (int i = 0; i < 20 * WAYS; i++) /* what stays with the loop and the engine is there afterwards */
        come_and_go(net, i % WAYS);
    NET_UNTIL(net, net->engine->net.open == 0);
    net_settle(net);
    long live = atomic_load(&test_live_allocations), resident = resident_kib();
    int descriptors = net_descriptors();
    cre_engine_stats before = net_stats(net);
    for (int i = 0; i < count; i++)
        come_and_go(net, i % WAYS);
    NET_UNTIL(net,
              net->engine->net.open == 0 && net_stats(net).accepted == before.accepted + (uint64_t)count);
    net_settle(net);
    cre_engine_stats after = net_stats(net);
    CHECK_EQ(after.closed, after.accepted);
    CHECK_EQ(after.refused, 0);
    CHECK_EQ(balance, 0);
    CHECK_EQ(cre_table_count(cre_engine_table(net->engine)), 0);
    CHECK_EQ(net_descriptors(), descriptors);
    CHECK(atomic_load(&test_live_allocations) <= live + 1); /* the ticker of the timeouts */
    /* A sanitizer keeps what was freed, to notice when it is used. */
    if (TEST_STRIDE == 1 && resident_kib() > resident + 1024)
        TEST_FAIL("%ld KiB became %ld KiB", resident, resident_kib());
    net_stop(net);
}

/* The tables have room for all connections that may be, and take memory for those that are. */
TEST_BOTH(room_for_many_connections_takes_no_memory) {
    const long before = resident_kib();
    net_server *net = net_start((cre_engine_config){ .max_connections = 1000000 }, NULL);
    net_client client = net_ws_connect(net);
    const long grown = resident_kib() - before;
    if (grown > 4096) TEST_FAIL("%ld KiB more", grown);
    net_close(&client);
    net_stop(net);
}

TEST_MAIN()
