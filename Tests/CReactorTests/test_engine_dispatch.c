/* Who gets a connection or a datagram: each rule by itself, on one engine. */
#include "net.h"

enum { WORKERS = 3 };

/* The worker of each event, in the order of net->events. */
static uint16_t received_by[NET_EVENTS];
static bool is_idle[WORKERS];

static uint16_t worker_of(net_server *net, cre_session session) {
    cre_connection_info info = { 0 };
    CHECK(cre_table_get_info(cre_engine_table(net->engine), session, &info, sizeof info));
    return info.worker;
}

static int note_worker(net_server *net, const cre_record *event, uint8_t *payload) {
    uint16_t worker;
    if (event->kind == CRE_EVENT_PACKET)
        worker = ((const cre_address *)(const void *)payload)->worker;
    else
        worker = net->engine->event_worker;
    received_by[net->count - 1] = worker;
    return 0;
}

static bool idle(void *context, uint16_t worker) {
    (void)context;
    return is_idle[worker];
}

/* Port 0 is for streams, port 1 for datagrams. */
static net_server *start(cre_engine_config config) {
    static const cre_port_options ports[] = {
        { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_STREAM },
        { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_DATAGRAM }
    };
    config.ports = ports;
    config.port_count = 2;
    config.worker_count = WORKERS;
    config.idle = idle;
    memset(is_idle, 0, sizeof is_idle);
    return net_start(config, note_worker);
}

static net_client connect_from(net_server *net, const char *host) {
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };
    REQUIRE(inet_pton(AF_INET, host, &from.sin_addr) == 1);
    REQUIRE(bind(descriptor, (struct sockaddr *)&from, sizeof from) == 0);
    to.sin_port = htons(net->port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(descriptor, (struct sockaddr *)&to, sizeof to) == 0);
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    return (net_client){ .net = net, .descriptor = descriptor };
}

static int next_worker(net_server *net, cre_event kind) {
    net_expect_event(net, kind);
    return received_by[net->seen - 1];
}

static int connected_to(net_server *net, net_client *client) {
    *client = net_connect(net);
    return next_worker(net, CRE_EVENT_CONNECT);
}

static int datagram_port(net_server *net) {
    uint16_t port;
    REQUIRE(cre_engine_listen(
                net->engine, &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" },
                &port) == 0);
    int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    REQUIRE(connect(client, (struct sockaddr *)&to, sizeof to) == 0);
    return client;
}

static int packet_to(net_server *net, int client) {
    REQUIRE(send(client, "x", 1, 0) == 1);
    return next_worker(net, CRE_EVENT_PACKET);
}

/* Peer row dispatch_mode_1. */
TEST(in_turn_gives_equal_shares) {
    net_server *net = start((cre_engine_config){ .dispatch = CRE_DISPATCH_ROUND_ROBIN });
    net_client clients[9];
    for (int i = 0; i < 9; i++)
        CHECK_EQ(connected_to(net, &clients[i]), i % WORKERS);
    net_send_text(&clients[4], "more");
    CHECK_EQ(next_worker(net, CRE_EVENT_RECEIVE), 1);
    for (int i = 0; i < 9; i++)
        net_close(&clients[i]);
    for (int i = 0; i < 9; i++)
        next_worker(net, CRE_EVENT_CLOSE);
    int client = datagram_port(net);
    for (int i = 0; i < 9; i++)
        CHECK_EQ(packet_to(net, client), i % WORKERS);
    close(client);
    net_stop(net);
}

/* Peer row dispatch_mode_3. */
TEST(an_idle_worker_comes_first) {
    net_server *net = start((cre_engine_config){ .dispatch = CRE_DISPATCH_IDLE });
    net_client clients[9];
    int client = datagram_port(net), shares[WORKERS] = { 0 };
    is_idle[2] = true;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(connected_to(net, &clients[i]), 2);
        CHECK_EQ(packet_to(net, client), 2);
    }
    is_idle[2] = false; /* all are busy: the one with three has enough */
    for (int i = 3; i < 9; i++)
        shares[connected_to(net, &clients[i])]++;
    CHECK_EQ(shares[0], 3);
    CHECK_EQ(shares[1], 3);
    memset(shares, 0, sizeof shares);
    for (int i = 0; i < 9; i++)
        shares[packet_to(net, client)]++;
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(shares[i], 3);
    for (int i = 0; i < 9; i++)
        net_close(&clients[i]);
    close(client);
    net_stop(net);
}

TEST(the_fewest_connections) {
    net_server *net = start((cre_engine_config){ .dispatch = CRE_DISPATCH_LEAST_CONNECTIONS });
    net_client clients[6], more[2];
    int workers[6], shares[WORKERS] = { 0 };
    for (int i = 0; i < 6; i++)
        shares[workers[i] = connected_to(net, &clients[i])]++;
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(shares[i], 2);
    for (int i = 0; i < 6; i++) {
        if (workers[i] != 1) continue;
        net_close(&clients[i]);
        CHECK_EQ(next_worker(net, CRE_EVENT_CLOSE), 1);
    }
    for (int i = 0; i < 2; i++)
        CHECK_EQ(connected_to(net, &more[i]), 1);
    for (int i = 0; i < 2; i++)
        net_close(&more[i]);
    for (int i = 0; i < 6; i++)
        net_close(&clients[i]);
    net_stop(net);
}

TEST(an_address_has_its_worker) {
    net_server *net = start((cre_engine_config){ .dispatch = CRE_DISPATCH_BY_ADDRESS });
    unsigned seen = 0;
    for (int i = 1; i < 30; i++) {
        char host[16];
        snprintf(host, sizeof host, "127.0.1.%d", i);
        int worker = -1;
        for (int n = 0; n < 3; n++) {
            net_client client = connect_from(net, host);
            int found = next_worker(net, CRE_EVENT_CONNECT);
            if (worker >= 0) CHECK_EQ(found, worker);
            worker = found;
            net_close(&client);
            next_worker(net, CRE_EVENT_CLOSE);
        }
        seen |= 1u << worker;
    }
    CHECK_EQ(seen, 7);
    /* So have datagrams, whatever port they come from. */
    net_client client = connect_from(net, "127.0.0.1");
    int worker = next_worker(net, CRE_EVENT_CONNECT);
    int first = datagram_port(net);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(packet_to(net, first), worker);
    close(first);
    net_close(&client);
    net_stop(net);
}

TEST(a_number_moves_the_connection_once) {
    net_server *net = start((cre_engine_config){ .dispatch = CRE_DISPATCH_BY_USER });
    net_client clients[3];
    cre_session sessions[3];
    cre_connection_info info;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(connected_to(net, &clients[i]), i);
        sessions[i] = net->events[net->seen - 1].record.session;
        CHECK(cre_table_get_info(cre_engine_table(net->engine), sessions[i], &info, sizeof info));
        CHECK_EQ(info.user_id, 0);
    }
    CHECK_EQ(cre_engine_bind(net->engine, sessions[0], 0), CRE_EINVALID);
    CHECK_EQ(cre_engine_bind(net->engine, sessions[0], 7), 0);
    CHECK_EQ(cre_engine_bind(net->engine, sessions[0], 8), CRE_ESTATE);
    CHECK_EQ(cre_engine_bind(net->engine, sessions[1], 0xffffffffu), 0); /* 0 of 3 */
    CHECK_EQ(cre_engine_bind(net->engine, sessions[0] + 3, 7), CRE_EGONE);
    CHECK_EQ(worker_of(net, sessions[0]), 0); /* until something happens to it */
    net_send_text(&clients[0], "first");
    CHECK_EQ(next_worker(net, CRE_EVENT_RECEIVE), 1);
    net_send_text(&clients[0], "second");
    CHECK_EQ(next_worker(net, CRE_EVENT_RECEIVE), 1);
    CHECK(cre_table_get_info(cre_engine_table(net->engine), sessions[0], &info, sizeof info));
    CHECK_EQ(info.user_id, 7);
    CHECK_EQ(info.worker, 1);
    /* CLOSE may be the first event of the new one. */
    net_close(&clients[1]);
    CHECK_EQ(next_worker(net, CRE_EVENT_CLOSE), 0);
    net_close(&clients[0]);
    CHECK_EQ(next_worker(net, CRE_EVENT_CLOSE), 1);
    net_close(&clients[2]);
    CHECK_EQ(next_worker(net, CRE_EVENT_CLOSE), 2);
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(atomic_load(&cre_engine_table(net->engine)->memory->loads[i]), 0);
    net_stop(net);
}

TEST(a_number_moves_nothing_by_another_rule) {
    net_server *net = start((cre_engine_config){ 0 });
    net_client client;
    CHECK_EQ(connected_to(net, &client), 0);
    cre_session session = net->events[0].record.session;
    CHECK_EQ(cre_engine_bind(net->engine, session, 7), 0);
    net_send_text(&client, "x");
    CHECK_EQ(next_worker(net, CRE_EVENT_RECEIVE), 0);
    uint8_t bytes[9] = { 1 };
    cre_slice part = { bytes, sizeof bytes };
    cre_record command = { .kind = CRE_COMMAND_BIND, .session = session };
    CHECK_EQ(cre_engine_command(net->engine, &command, &part, 1), CRE_EINVALID);
    net_close(&client);
    net_stop(net);
}

/* ---- the function ---- */

static struct {
    int answer, calls;
    cre_dispatch_info last;
    cre_address from;
    char data[16];
} function;

static int decide(void *context, const cre_dispatch_info *info) {
    CHECK(context == &function);
    function.calls++;
    function.last = *info;
    function.from = *info->from;
    memset(function.data, 0, sizeof function.data);
    if (info->length) memcpy(function.data, info->data, info->length);
    return function.answer;
}

static net_server *start_function(void) {
    memset(&function, 0, sizeof function);
    return start((cre_engine_config){
        .dispatch = CRE_DISPATCH_FUNCTION, .dispatch_function = decide, .dispatch_context = &function });
}

/* Peer rows dispatch_func and dispatch_fallback. */
TEST(a_function_decides) {
    net_server *net = start_function();
    net_client clients[3];
    int client = datagram_port(net);
    function.answer = 2;
    CHECK_EQ(connected_to(net, &clients[0]), 2);
    CHECK_EQ(function.last.port, 0);
    CHECK_EQ(function.last.worker_count, WORKERS);
    CHECK(!function.last.datagram && !function.last.data);
    CHECK_EQ(function.from.family, AF_INET);
    CHECK_EQ(function.from.length, 4);
    CHECK_EQ(function.from.bytes[0], 127);
    CHECK(function.from.port != 0);
    REQUIRE(send(client, "hello", 5, 0) == 5);
    CHECK_EQ(next_worker(net, CRE_EVENT_PACKET), 2);
    CHECK_EQ(function.last.port, 1);
    CHECK(function.last.datagram);
    CHECK_STR(function.data, "hello");
    function.answer = CRE_DISPATCH_RULE;
    CHECK_EQ(connected_to(net, &clients[1]), 1);
    int usual = packet_to(net, client);
    function.answer = WORKERS; /* no worker has this index */
    CHECK_EQ(connected_to(net, &clients[2]), 2);
    CHECK_EQ(packet_to(net, client), usual);
    CHECK_EQ(function.calls, 6);
    for (int i = 0; i < 3; i++)
        net_close(&clients[i]);
    close(client);
    net_stop(net);
}

/* Peer row dispatch_func_discard. */
TEST(what_the_function_refuses_goes_nowhere) {
    net_server *net = start_function();
    int client = datagram_port(net);
    function.answer = CRE_DISPATCH_REFUSE;
    for (int i = 0; i < 5; i++)
        REQUIRE(send(client, "x", 1, 0) == 1);
    NET_UNTIL(net, function.calls == 5);
    net_client refused = net_connect(net);
    net_await_end(&refused);
    CHECK_EQ(refused.length, 0);
    CHECK_EQ(net->count, 0);
    cre_engine_stats stats = net_stats(net);
    CHECK_EQ(stats.dropped_packets, 5);
    CHECK_EQ(stats.refused, 1);
    CHECK_EQ(cre_table_count(cre_engine_table(net->engine)), 0);
    function.answer = 0;
    CHECK_EQ(packet_to(net, client), 0);
    net_close(&refused);
    close(client);
    net_stop(net);
}

TEST(what_cannot_be_is_refused) {
    cre_loop *loop;
    cre_engine *engine;
    REQUIRE(cre_loop_create(&loop) == 0);
    cre_engine_config config = { .size = sizeof config,
                                 .on_event = net_on_event,
                                 .dispatch = CRE_DISPATCH_FUNCTION };
    CHECK_EQ(cre_engine_create(loop, &config, &engine), CRE_EINVALID);
    config.dispatch = (cre_dispatch)99;
    CHECK_EQ(cre_engine_create(loop, &config, &engine), CRE_EINVALID);
    config = (cre_engine_config){
        .size = sizeof config, .on_event = net_on_event, .first_worker = 1000, .worker_count = 25
    };
    CHECK_EQ(cre_engine_create(loop, &config, &engine), CRE_EINVALID);
    cre_loop_destroy(loop);
}

TEST_MAIN()
