/*
 * Servers whose calls fail. Each scenario is a server and its clients, run again and again while the first,
 * second, third... call of a kind fails, until a run gets by without the failure. Whatever fails: what is
 * opened is closed, once; nobody waits for ever; the next client is served; nothing is left behind.
 */
#include "calls.h"

#include "both.h"
#include "faults.h"

/* ---- the server ---- */

#define SESSIONS 16

typedef struct bench {
    net_server net;
    cre_bus *bus; /* process mode: these four, and no engine */
    cre_acceptor *acceptor;
    cre_reactor *reactor;
    cre_worker *worker;
    bool (*start)(struct bench *it); /* false: it could not, and left nothing */
    bool (*visit)(struct bench *it); /* whether all was as it should be; it ends in any case */
    void (*stop)(struct bench *it);
    cre_engine_config config;
    cre_port_options port;
    uint64_t skipped; /* published messages that were lost, when the visit began */
    cre_session open[SESSIONS];
} bench;

/* Each session is opened once, then closed once. */
static void note(bench *it, const cre_record *event) {
    bool begins = event->kind == CRE_EVENT_OPEN || event->kind == CRE_EVENT_CONNECT;
    if (!begins && event->kind != CRE_EVENT_CLOSE) return;
    int at = 0, free_at = -1;
    for (; at < SESSIONS && it->open[at] != event->session; at++)
        if (!it->open[at]) free_at = at;
    CHECK_EQ(at < SESSIONS, !begins);
    if (!begins && at < SESSIONS) it->open[at] = 0;
    if (begins) REQUIRE(free_at >= 0);
    if (begins) it->open[free_at] = event->session;
}

static bool all_closed(const bench *it) {
    for (int i = 0; i < SESSIONS; i++)
        if (it->open[i]) return false;
    return !it->net.engine || it->net.engine->net.open == 0;
}

static uint8_t large[200000];
static char path[] = "/tmp/creactor-faults-XXXXXX";

static int answer_request(cre_engine *engine, const cre_record *event, const uint8_t *payload) {
    cre_request_view request;
    if (cre_request_view_init(&request, payload, event->length)) return 0;
    cre_session session = event->session;
    switch (request.bytes[request.head->path + 1]) {
    case 'l': return cre_engine_respond(engine, session, 200, NULL, large, sizeof large);
    case 'f': return cre_engine_respond_file(engine, session, 200, NULL, path, 0, CRE_FILE_REST);
    case 's': {
        int result = cre_engine_respond_more(engine, session, 200, NULL, "begin", 5);
        if (!result) result = cre_engine_respond_body(engine, session, large, sizeof large, false);
        if (!result) result = cre_engine_respond_body(engine, session, "small", 5, false);
        return result ? result : cre_engine_respond_body(engine, session, "END", 3, true);
    }
    default: return cre_engine_respond(engine, session, 200, "X-A: b\r\n", "hello", 5);
    }
}

static int serve(net_server *net, const cre_record *event, uint8_t *payload) {
    bench *it = net->context;
    cre_engine *engine = net->engine;
    cre_session session = event->session;
    int result = 0;
    note(it, event);
    switch (event->kind) {
    case CRE_EVENT_OPEN: result = cre_engine_subscribe(engine, session, "t", 1); break;
    case CRE_EVENT_MESSAGE:
        if (payload[0] == 'p')
            result = cre_engine_publish(engine, "t", 1, event->opcode, payload, event->length, 0);
        else
            result = cre_engine_push(engine, session, event->opcode, payload, event->length);
        break;
    case CRE_EVENT_REQUEST: result = answer_request(engine, event, payload); break;
    case CRE_EVENT_RECEIVE: result = cre_engine_send(engine, session, payload, event->length); break;
    case CRE_EVENT_END: result = cre_engine_close(engine, session, 0, NULL); break;
    case CRE_EVENT_PACKET:
        cre_engine_send_to(engine, 0, (cre_address *)(void *)payload, payload + sizeof(cre_address),
                           event->length - sizeof(cre_address));
        break;
    default: break;
    }
    /* A failed answer ends the connection, or its client would wait for ever. */
    if (result < 0)
        cre_engine_command(engine, &(cre_record){ .kind = CRE_COMMAND_RESET, .session = session }, NULL, 0);
    return 0;
}

static bool start(bench *it) {
    memset(it->open, 0, sizeof it->open);
    it->net = (net_server){ .act = serve, .context = it, .quiet = true };
    it->config.size = sizeof it->config;
    it->config.context = &it->net;
    it->config.on_event = net_on_event;
    it->config.ports = &it->port;
    it->config.port_count = 1;
    it->config.http = true;
    it->config.close_slow = true;
    it->config.max_connections = SESSIONS;
    it->config.close_timeout_ms = 600000;
    if (cre_loop_create(&it->net.loop)) return false;
    cre_listen_options where = { .size = sizeof where, .host = "127.0.0.1", .tls = net_tls_now };
    if (!cre_engine_create(it->net.loop, &it->config, &it->net.engine) &&
        !cre_engine_listen(it->net.engine, &where, &it->net.port))
        return true;
    cre_engine_destroy(it->net.engine);
    cre_loop_destroy(it->net.loop);
    return false;
}

static void stop(bench *it) {
    cre_engine_destroy(it->net.engine);
    cre_loop_destroy(it->net.loop);
}

/* ---- clients that expect anything ---- */

/* What another process publishes may get lost for want of memory, and that is counted. */
static uint64_t skipped(const bench *it) {
    cre_engine_stats stats = { 0 };
    if (it->bus) cre_bus_get_stats(it->bus, &stats);
    return stats.skipped;
}

/* Waits until `text` comes. False: it never will, because the connection ended or it was lost. */
static bool receive_text(net_client *client, const char *text) {
    size_t size = strlen(text);
    for (int waits = 0; waits < NET_WAITS; waits++) {
        uint8_t *at = client->length ? memmem(client->data, client->length, text, size) : NULL;
        if (at) {
            net_take(client, (size_t)(at - client->data) + size);
            return true;
        }
        const bench *it = client->net->context;
        if (client->eof || skipped(it) > it->skipped) return false;
        net_turn(client->net);
        if (!net_pull(client)) net_rest(client->net, client->descriptor);
    }
    TEST_FAIL("a client waits for ever for %s", text);
    return false;
}

static void say(net_client *client, const char *text) {
    net_send(client, text, strlen(text));
}

static bool ask(net_client *client, const char *request, const char *answer) {
    say(client, request);
    return receive_text(client, answer);
}

static void say_frame(net_client *client, uint8_t opcode, const void *data, size_t length) {
    net_ws_send(client, CRE_WS_FIN | opcode, data, length);
}

#define GET(path)      "GET /" path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_LAST(path) "GET /" path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static bool visit_http(bench *it) {
    net_client client = net_connect(&it->net);
    bool good = ask(&client, GET(""), "hello");
    say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    net_turn(&it->net);
    good = good && ask(&client, "56789", "hello");
    good =
        good &&
        ask(&client, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "hello");
    good = good && ask(&client, GET("") GET("l"), "hello") && receive_text(&client, "LARGE");
    say(&client, "GET / HT");
    net_turn(&it->net);
    good = good && ask(&client, "TP/1.0\r\n\r\n", "hello");
    net_close(&client);
    return good;
}

static bool visit_pieces(bench *it) {
    net_client client = net_connect(&it->net);
    bool good = ask(&client, GET("s"), "LARGE") && receive_text(&client, "END\r\n0\r\n\r\n");
    good = good && ask(&client, GET_LAST("f"), "LARGE");
    net_close(&client);
    return good;
}

static bool upgrade(net_client *client) {
    return ask(client, NET_UPGRADE, "\r\n\r\n");
}

static bool visit_websocket(bench *it) {
    net_client client = net_connect(&it->net);
    bool good = upgrade(&client);
    if (good) say_frame(&client, CRE_WS_TEXT, "hello", 5);
    good = good && receive_text(&client, "hello");
    if (good) say_frame(&client, CRE_WS_PING, "pinged", 6);
    good = good && receive_text(&client, "pinged");
    if (good) say_frame(&client, CRE_WS_BINARY, large, sizeof large);
    good = good && receive_text(&client, "LARGE");
    if (good) net_ws_send(&client, CRE_WS_TEXT, "frag", 4);
    if (good) net_turn(&it->net);
    if (good) net_ws_send(&client, CRE_WS_FIN, "ment", 4);
    good = good && receive_text(&client, "fragment");
    if (good) net_ws_send_close(&client, 1000);
    good = good && receive_text(&client, "\x88\x02\x03\xe8");
    net_close(&client);
    return good;
}

static bool visit_broadcast(bench *it) {
    net_client clients[3];
    bool good = true;
    for (int i = 0; i < 3; i++) {
        clients[i] = net_connect(&it->net);
        good = upgrade(&clients[i]) && good;
    }
    if (good) say_frame(&clients[0], CRE_WS_TEXT, "published", 9);
    for (int i = 0; i < 3 && good; i++)
        good = receive_text(&clients[i], "published");
    static uint8_t copy[sizeof large];
    memcpy(copy, large, sizeof copy);
    copy[0] = 'p';
    if (good) say_frame(&clients[0], CRE_WS_BINARY, copy, sizeof copy);
    for (int i = 0; i < 3 && good; i++)
        good = receive_text(&clients[i], "LARGE");
    for (int i = 0; i < 3; i++)
        net_close(&clients[i]);
    return good;
}

static bool visit_stream(bench *it) {
    net_client client = net_connect(&it->net);
    bool good = ask(&client, "one\r\ntwo\r\nthr", "two\r\n");
    good = good && ask(&client, "ee\r\n", "three\r\n");
    if (good) net_send(&client, large, sizeof large);
    good = good && ask(&client, "\r\n", "LARGE\r\n");
    say(&client, "last\r\n");
    shutdown(client.descriptor, SHUT_WR);
    good = good && receive_text(&client, "last\r\n");
    for (int waits = 0; !client.eof && waits < NET_WAITS; waits++) {
        net_turn(&it->net);
        if (!net_pull(&client)) net_rest(&it->net, client.descriptor);
    }
    CHECK(client.eof);
    net_close(&client);
    return good;
}

/* Datagrams may be lost; a client says it again. */
static bool visit_datagram(bench *it) {
    int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(it->net.port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    REQUIRE(client >= 0 && connect(client, (struct sockaddr *)&at, sizeof at) == 0);
    char answer[16];
    bool good = true;
    for (int i = 0; i < 3 && good; i++) {
        ssize_t got = -1;
        for (int waits = 0; got != 5 && waits < NET_WAITS; waits++) {
            if (waits % 8 == 0) send(client, "hello", 5, 0);
            net_turn(&it->net);
            got = recv(client, answer, sizeof answer, 0);
            if (got < 0) net_rest(&it->net, client);
        }
        good = got == 5;
        CHECK(good);
    }
    close(client);
    return good;
}

/* ---- process mode: a reactor in its thread, a worker that the test turns ---- */

static void serve_pair(void *context, const cre_record *event, uint8_t *payload) {
    bench *it = context;
    cre_session session = event->session;
    cre_worker *worker = it->worker;
    int result = 0;
    note(it, event);
    switch (event->kind) {
    case CRE_EVENT_OPEN: result = cre_worker_subscribe(worker, session, "t", 1, true); break;
    case CRE_EVENT_MESSAGE:
        if (payload[0] == 'p')
            result = cre_worker_publish(worker, "t", 1, event->opcode, payload, event->length, 0);
        else
            result = cre_worker_push(worker, session, event->opcode, true, payload, event->length);
        break;
    case CRE_EVENT_REQUEST: {
        cre_request_view request;
        if (cre_request_view_init(&request, payload, event->length)) break;
        bool much = request.bytes[request.head->path + 1] == 'l';
        result = cre_worker_respond(worker, session, event->opcode, 200, false, NULL, 0,
                                    much ? (void *)large : "hello", much ? sizeof large : 5);
        break;
    }
    case CRE_EVENT_END: result = cre_worker_close(worker, session, 0, NULL, 0); break;
    default: break;
    }
    cre_record reset = { .kind = CRE_COMMAND_RESET, .session = session };
    while (result < 0 && cre_worker_command(worker, &reset, NULL, 0) == CRE_ENOMEM) {
    }
}

static void hand_over(void *context, int descriptor) {
    cre_reactor_hand_over(((bench *)context)->reactor, descriptor, 0);
}

static bool start_pair(bench *it) {
    memset(it->open, 0, sizeof it->open);
    it->net = (net_server){ .context = it };
    it->bus = NULL;
    it->reactor = NULL;
    it->worker = NULL;
    it->acceptor = NULL;
    cre_bus_config shape = { .nodes = 2, .connections = SESSIONS, .ring_bytes = 65536 };
    cre_reactor_config reactor = { .engine = it->config };
    cre_worker_config worker = { .node = 1, .owner_count = 1, .on_event = serve_pair, .context = it };
    reactor.engine.first_worker = 1;
    reactor.engine.worker_count = 1;
    reactor.engine.tls = &net_tls_now;
    reactor.engine.tls_count = 1;
    if (cre_bus_create(&shape, &it->bus)) return false;
    worker.bus = reactor.bus = it->bus;
    bool good = !cre_loop_create(&it->net.loop) && !cre_worker_create(it->net.loop, &worker, &it->worker);
    good = good && !cre_reactor_start(&reactor, &it->reactor);
    int listener =
        good ? cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" },
                          &it->net.port)
             : -1;
    if (listener >= 0) {
        if (!cre_acceptor_start(it->net.loop, listener, hand_over, it, &it->acceptor)) return true;
        close(listener);
    }
    it->stop(it);
    return false;
}

static void stop_pair(bench *it) {
    cre_acceptor_stop(it->acceptor);
    cre_reactor_stop(it->reactor);
    cre_worker_destroy(it->worker);
    cre_loop_destroy(it->net.loop);
    cre_bus_destroy(it->bus);
}

/* ---- runs ---- */

static bool make_visit(bench *it) {
    it->skipped = skipped(it);
    bool good = it->visit(it);
    NET_UNTIL(&it->net, all_closed(it));
    return good;
}

static void run_faults(const fault *faults, bench *it) {
    bool at_start = faults == start_faults;
    REQUIRE(it->start(it)); /* what libuv and OpenSSL make once is there afterwards */
    CHECK(make_visit(it));
    it->stop(it);
    for (const fault *now = faults; now->error; now++) {
        bool hit = true;
        for (long n = 1; hit; n += TEST_STRIDE) {
            long live = atomic_load(&test_live_allocations);
            int descriptors = net_descriptors(), failures = test_failures;
            REQUIRE(n < 3000);
            if (at_start) {
                calls_enter();
                arm(now, n);
            }
            bool started = it->start(it), good = started;
            if (at_start) {
                hit = disarm(now);
                calls_leave();
            } else {
                REQUIRE(started);
                arm(now, n);
                good = make_visit(it);
                hit = disarm(now);
            }
            if (!hit) CHECK(good);
            if (started) {
                CHECK(make_visit(it)); /* whoever comes next is served */
                it->stop(it);
            }
            CHECK_EQ(atomic_load(&test_live_allocations), live);
            CHECK_EQ(net_descriptors(), descriptors);
            if (test_failures != failures)
                fprintf(stderr, "    call %d of %d, n = %ld, error %d\n", (int)now->kind, CALLS, n,
                        now->error);
        }
    }
}

__attribute__((constructor)) static void make_large(void) {
    memset(large, 'x', sizeof large);
    memcpy(large + sizeof large - 5, "LARGE", 5);
    int descriptor = mkstemp(path);
    REQUIRE(descriptor >= 0 && write(descriptor, large, sizeof large) == sizeof large);
    close(descriptor);
}

__attribute__((destructor)) static void remove_file(void) {
    unlink(path);
}

static void run(const fault *faults, cre_protocol protocol, bool (*visit)(bench *it)) {
    static const cre_framing_config lines = { .size = sizeof lines,
                                              .kind = CRE_FRAMING_MARKER_SPLIT,
                                              .marker = "\r\n",
                                              .marker_length = 2,
                                              .max_length = 1 << 20 };
    bench it = {
        .start = start, .stop = stop, .visit = visit, .port = { .size = sizeof it.port, .protocol = protocol }
    };
    if (protocol == CRE_PROTOCOL_STREAM) it.port.framing = &lines;
    run_faults(faults, &it);
}

static void run_pair(const fault *faults, bool (*visit)(bench *it)) {
    bench it = { .start = start_pair,
                 .stop = stop_pair,
                 .visit = visit,
                 .config = { .http = true, .close_slow = true, .close_timeout_ms = 600000 } };
    run_faults(faults, &it);
}

TEST(accepting) {
    run(accept_faults, CRE_PROTOCOL_HTTP, visit_pieces);
}

TEST_BOTH(http) {
    run(stream_faults, CRE_PROTOCOL_HTTP, visit_http);
}

TEST_BOTH(pieces_and_files) {
    run(stream_faults, CRE_PROTOCOL_HTTP, visit_pieces);
}

TEST_BOTH(websocket) {
    run(stream_faults, CRE_PROTOCOL_WEBSOCKET, visit_websocket);
}

TEST_BOTH(broadcast) {
    run(publish_faults, CRE_PROTOCOL_WEBSOCKET, visit_broadcast);
}

TEST_BOTH(streams) {
    run(stream_faults, CRE_PROTOCOL_STREAM, visit_stream);
}

TEST(datagrams) {
    run(datagram_faults, CRE_PROTOCOL_DATAGRAM, visit_datagram);
}

TEST(starting) {
    run(start_faults, CRE_PROTOCOL_WEBSOCKET, visit_websocket);
    run(start_faults, CRE_PROTOCOL_DATAGRAM, visit_datagram);
}

TEST_BOTH(reactor_and_worker) {
    run_pair(link_faults, visit_websocket);
}

TEST(requests_over_the_bus) {
    run_pair(link_faults, visit_http);
}

TEST(publishing_over_the_bus) {
    run_pair(link_faults, visit_broadcast);
}

TEST(starting_a_reactor_and_a_worker) {
    run_pair(start_faults, visit_websocket);
}

/* Not one allocation but several in a row, so that what is done about the first fails, too. */
TEST_BOTH(no_memory_for_a_while) {
    static const fault no_memory[] = { { MEMORY, ENOMEM }, { CALLS, 0 } };
    for (test_fail_span = 2; test_fail_span <= 16; test_fail_span *= 8) {
        run(no_memory, CRE_PROTOCOL_HTTP, visit_http);
        run(no_memory, CRE_PROTOCOL_HTTP, visit_pieces);
        run(no_memory, CRE_PROTOCOL_WEBSOCKET, visit_websocket);
        run(no_memory, CRE_PROTOCOL_WEBSOCKET, visit_broadcast);
        run(no_memory, CRE_PROTOCOL_STREAM, visit_stream);
        run_pair(no_memory, visit_websocket);
        run_pair(no_memory, visit_http);
        run_pair(no_memory, visit_broadcast);
    }
    test_fail_span = 1;
}

TEST_MAIN()
