/* Pushes that were on their way to a reactor when the queue of their connection filled up. */
#include "hosts.h"

enum { LIMIT = 64 << 10, PIECE = 10000, PIECES = 700 };

typedef struct pusher {
    cre_worker *worker;
    cre_session session;
    int closed;
} pusher;

static void on_event(void *context, const cre_record *event, uint8_t *payload) {
    pusher *it = context;
    (void)payload;
    if (event->kind == CRE_EVENT_OPEN || event->kind == CRE_EVENT_CONNECT) it->session = event->session;
    if (event->kind == CRE_EVENT_CLOSE) it->closed++;
}

static void start(reactor_host *host, cre_protocol protocol) {
    cre_port_options port = { .size = sizeof port, .protocol = protocol, .max_queue = LIMIT };
    cre_reactor_config config = {
        .bus = host->bus,
        .engine = { .first_worker = 1, .worker_count = 1, .ports = &port, .port_count = 1 },
    };
    REQUIRE(cre_reactor_start(&config, &host->reactor) == 0);
}

/* What a worker was promised is never the reason to close a connection: nothing is pushed twice as fast as a
 * burst that leaves before the reactor could show a single byte of it. */
static void expect_all(cre_protocol protocol) {
    reactor_host host;
    cre_loop *loop;
    pusher it = { 0 };
    bool web = protocol == CRE_PROTOCOL_WEBSOCKET;
    make_bus(&host, 0);
    REQUIRE(cre_loop_create(&loop) == 0);
    cre_worker_config config = { .bus = host.bus, .node = 1, .on_event = on_event, .context = &it };
    REQUIRE(cre_worker_create(loop, &config, &it.worker) == 0);
    start(&host, protocol);
    net_client client = web ? connect_ws(&host) : connect_client(&host);
    net_server turned = { .loop = loop };
    NET_UNTIL(&turned, it.session != 0);
    static uint8_t piece[PIECE];
    int accepted = 0;
    for (int i = 0; i < PIECES; i++) {
        memset(piece, i, sizeof piece);
        int result = web ? cre_worker_push(it.worker, it.session, CRE_WS_BINARY, true, piece, sizeof piece)
                         : cre_worker_send(it.worker, it.session, piece, sizeof piece);
        if (result) break;
        accepted++;
    }
    CHECK(accepted * PIECE > 8 * LIMIT);
    /* The reactor has all of it, and the client nothing. */
    cre_connection_info info = { 0 };
    NET_UNTIL(&turned, cre_table_get_info(cre_bus_table(host.bus), it.session, &info, sizeof info) &&
                           info.queued > 2 * LIMIT);
    CHECK_EQ(web ? cre_worker_push(it.worker, it.session, CRE_WS_BINARY, true, "x", 1)
                 : cre_worker_send(it.worker, it.session, "x", 1),
             CRE_EQUEUE_FULL);
    client.net = &turned;
    for (int i = 0; i < accepted; i++) {
        memset(piece, i, sizeof piece);
        if (web) {
            net_ws_expect(&client, CRE_WS_BINARY, piece, sizeof piece);
        } else {
            CHECK(net_await(&client, sizeof piece));
            if (client.length < sizeof piece) break;
            CHECK_MEM(client.data, piece, sizeof piece);
            net_take(&client, sizeof piece);
        }
    }
    CHECK_EQ(it.closed, 0);
    net_close(&client);
    NET_UNTIL(&turned, it.closed == 1 || !web);
    cre_reactor_stop(host.reactor);
    host.reactor = NULL;
    cre_worker_destroy(it.worker);
    cre_loop_destroy(loop);
    end_host(&host);
}

TEST(accepted_pushes_are_delivered) {
    expect_all(CRE_PROTOCOL_WEBSOCKET);
}

TEST(accepted_bytes_are_delivered) {
    expect_all(CRE_PROTOCOL_STREAM);
}

TEST_MAIN()
