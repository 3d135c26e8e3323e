/* Reactors and workers: sockets in one place, decisions in another thread or process. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "link/bus_internal.h"
#include "net.h"

/* Node 0 is the reactor, 1 the worker. */
typedef struct reactor_host {
    cre_bus *bus;
    cre_reactor *reactor;
    int listener;
    uint16_t port;
    int blocked[2]; /* a worker that hangs writes here */
    atomic_int violations;
    atomic_bool done;
} reactor_host;

static void on_violation(void *context, uint32_t worker) {
    CHECK_EQ(worker, 1);
    atomic_fetch_add(&((reactor_host *)context)->violations, 1);
}

/* Before the reactor, so that a test may fork in between. */
static void make_bus(reactor_host *it, uint32_t ring_bytes) {
    memset(it, 0, sizeof *it);
    cre_bus_config config = {
        .nodes = 3, .ring_bytes = ring_bytes, .connections = 200, .max_payload = 8 << 20, .spin_ns = 2000
    };
    REQUIRE(cre_bus_create(&config, &it->bus) == 0);
    REQUIRE(pipe(it->blocked) == 0);
    it->listener = cre_listen(&(cre_listen_options){ .host = "127.0.0.1" }, &it->port);
    REQUIRE(it->listener >= 0);
}

static void start_reactor(reactor_host *it) {
    cre_reactor_config config = {
        .bus = it->bus,
        .engine = { .first_worker = 1,
                    .worker_count = 1,
                    .http = true,
                    .max_pipelined = 32,
                    .stream_bodies = true,
                    .max_message = 8 << 20,
                    .max_queue = 32 << 20,
                    .close_timeout_ms = 600000 },
        .violation = on_violation,
        .context = it,
    };
    REQUIRE(cre_reactor_start(&config, &it->reactor) == 0);
}

static net_client connect_client(reactor_host *it) {
    net_client client = net_connect_to(NULL, it->port);
    int accepted = -1;
    for (int i = 0; accepted < 0 && i < NET_WAITS; i++) {
        accepted = accept4(it->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) net_rest(NULL, it->listener);
    }
    REQUIRE(accepted >= 0);
    REQUIRE(cre_reactor_hand_over(it->reactor, accepted, 0) == 0);
    return client;
}

static net_client connect_ws(reactor_host *it) {
    net_client client = connect_client(it);
    net_send_text(&client, NET_UPGRADE);
    net_upgraded(&client);
    return client;
}

static void end_host(reactor_host *it) {
    cre_reactor_stop(it->reactor);
    close(it->listener);
    close(it->blocked[0]);
    close(it->blocked[1]);
    cre_bus_destroy(it->bus);
}

/* ---- a worker that echoes ---- */

typedef struct echoer {
    reactor_host *host;
    cre_loop *loop;
    cre_worker *worker;
    int gate[2]; /* "block" is answered when something can be read here */
    int events[8];
    size_t body; /* bytes of one that comes in pieces */
    pthread_t thread;
} echoer;

static void run_wild(echoer *it) {
    cre__ring_control *ring = cre__bus_ring(it->host->bus, 1, 0);
    memset((uint8_t *)ring + sizeof *ring, 0xA5, it->host->bus->config.ring_bytes);
    atomic_fetch_add(&ring->tail, 4096);
    cre__bus_wake(it->host->bus, 0);
}

/* A response of which the last piece has no room on its way: nothing is published while this runs. */
static void flood(echoer *it, cre_session id, uint8_t number) {
    static uint8_t piece[100000];
    int result = cre_worker_respond_more(it->worker, id, number, 200, 0, false, NULL, 0, "x", 1);
    while (!result)
        result = cre_worker_respond_body(it->worker, id, number, piece, sizeof piece, false);
    CHECK_EQ(cre_worker_respond_body(it->worker, id, number, piece, sizeof piece, true), CRE_ELINK_FULL);
}

/* "/keep" is never answered, of "/begin" only the beginning, and "/block" never returns. */
static bool is_odd(echoer *it, const cre_record *event, const uint8_t *payload) {
    cre_request_view view;
    CHECK_EQ(cre_request_view_init(&view, payload, event->length), 0);
    const char *path = (const char *)view.bytes + view.head->path;
    char byte;
    if (memcmp(path, "/block", 6) == 0) {
        CHECK_EQ(write(it->host->blocked[1], "b", 1), 1);
        CHECK_EQ(read(it->gate[0], &byte, 1), 1);
    } else if (memcmp(path, "/begin", 6) == 0) {
        cre_worker_respond_more(it->worker, event->session, event->opcode, 200, 0, false, NULL, 0, "begun",
                                5);
    } else if (memcmp(path, "/flood", 6) == 0) {
        flood(it, event->session, event->opcode);
    } else if (memcmp(path, "/lose", 5) == 0) { /* said, and never published */
        cre_worker_respond(it->worker, event->session, event->opcode, 200, 0, false, NULL, 0, "lost", 4);
        CHECK_EQ(write(it->host->blocked[1], "b", 1), 1);
        CHECK_EQ(read(it->gate[0], &byte, 1), 1);
    } else {
        return memcmp(path, "/keep", 5) == 0;
    }
    return true;
}

/* Each piece is asked for; the answer is how many good bytes there were. */
static void count_body(echoer *it, const cre_record *event, const uint8_t *payload) {
    for (uint32_t i = 0; i < event->length; i++)
        it->body += payload[i] == 'u';
    cre_record command = { .kind = CRE_COMMAND_PAUSE, .session = event->session };
    cre_worker_command(it->worker, &command, NULL, 0);
    command.kind = CRE_COMMAND_RESUME;
    cre_worker_command(it->worker, &command, NULL, 0);
    char text[16];
    int length = snprintf(text, sizeof text, "%zu", it->body);
    if (event->flags & CRE_RECORD_FINAL)
        cre_worker_respond(it->worker, event->session, event->opcode, 200, 0, false, NULL, 0, text,
                           (size_t)length);
}

static void echo(void *context, const cre_record *event, uint8_t *payload) {
    echoer *it = context;
    it->events[event->kind]++;
    if (event->kind == CRE_EVENT_REQUEST) {
        if (is_odd(it, event, payload)) return;
        it->body = 0;
        if (event->flags & CRE_RECORD_MORE_BODY) return;
        cre_worker_respond(it->worker, event->session, event->opcode, 200, 0, false, NULL, 0, "hello", 5);
        return;
    }
    if (event->kind == CRE_EVENT_REQUEST_BODY) count_body(it, event, payload);
    if (event->kind != CRE_EVENT_MESSAGE) return;
    char byte;
    if (event->length == 5 && memcmp(payload, "block", 5) == 0) {
        CHECK_EQ(write(it->host->blocked[1], "b", 1), 1);
        CHECK_EQ(read(it->gate[0], &byte, 1), 1);
    }
    if (event->length == 4 && memcmp(payload, "wild", 4) == 0) {
        run_wild(it);
        return;
    }
    if (event->length == 3 && memcmp(payload, "bye", 3) == 0) {
        cre_worker_end(it->worker, event->session, 4001, "so long", 7);
        return;
    }
    int result = cre_worker_push(it->worker, event->session, event->opcode, true, payload, event->length);
    CHECK(result == 0 || result == CRE_EGONE);
}

static void open_echoer(echoer *it, reactor_host *its_host) {
    it->host = its_host;
    REQUIRE(cre_loop_create(&it->loop) == 0);
    cre_worker_config config = {
        .bus = its_host->bus, .node = 1, .on_event = echo, .context = it, .max_queue = 32 << 20
    };
    REQUIRE(cre_worker_open(it->loop, &config, &it->worker) == 0);
}

static void close_echoer(echoer *it) {
    cre_worker_close(it->worker);
    cre_loop_destroy(it->loop);
}

static void *run_loop(void *loop) {
    cre_loop_run(loop);
    return NULL;
}

static void start_thread(echoer *it, reactor_host *its_host) {
    memset(it, 0, sizeof *it);
    REQUIRE(pipe(it->gate) == 0);
    open_echoer(it, its_host);
    REQUIRE(pthread_create(&it->thread, NULL, run_loop, it->loop) == 0);
}

static void stop_thread(echoer *it) {
    cre_loop_stop(it->loop);
    pthread_join(it->thread, NULL);
    close_echoer(it);
    close(it->gate[0]);
    close(it->gate[1]);
}

/* ---- threads ---- */

TEST(echo_over_the_bus) {
    reactor_host host;
    echoer worker;
    make_bus(&host, 0);
    start_thread(&worker, &host);
    start_reactor(&host);
    net_client client = connect_ws(&host);
    for (int i = 0; i < 200; i++) {
        net_ws_text(&client, "hello");
        net_ws_expect_text(&client, "hello");
    }
    for (int i = 0; i < 1000; i++) /* many in flight */
        net_ws_send(&client, CRE_WS_FIN | CRE_WS_BINARY, &i, sizeof i);
    for (int i = 0; i < 1000; i++)
        net_ws_expect(&client, CRE_WS_BINARY, &i, sizeof i);
    size_t size = 4 << 20;
    uint8_t *large = malloc(size);
    REQUIRE(large != NULL);
    for (size_t i = 0; i < size; i++)
        large[i] = (uint8_t)(i * i >> 8);
    for (int i = 0; i < 3; i++) {
        net_ws_send(&client, CRE_WS_FIN | CRE_WS_BINARY, large, size - (size_t)i);
        net_ws_text(&client, "behind it");
        net_ws_expect(&client, CRE_WS_BINARY, large, size - (size_t)i);
        net_ws_expect_text(&client, "behind it");
    }
    free(large);
    net_client http = connect_client(&host);
    char body[16];
    for (int i = 0; i < 5; i++) {
        net_send_text(&http, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        CHECK_EQ(net_response(&http, body, sizeof body, false), 200);
        CHECK_EQ(net_response(&http, body, sizeof body, false), 200);
        CHECK_STR(body, "hello");
    }
    net_close(&http);
    net_ws_text(&client, "bye");
    CHECK_EQ(net_ws_expect_close(&client), 4001);
    net_ws_send_close(&client, 4001);
    net_await_end(&client);
    net_close(&client);
    stop_thread(&worker);
    end_host(&host);
    CHECK_EQ(worker.events[CRE_EVENT_OPEN], 1);
    CHECK_EQ(worker.events[CRE_EVENT_REQUEST], 10);
}

TEST(bodies_in_pieces_over_the_bus) {
    reactor_host host;
    echoer worker;
    make_bus(&host, 16384);
    start_thread(&worker, &host);
    start_reactor(&host);
    net_client client = connect_client(&host);
    size_t size = 20 << 20;
    char *body = malloc(size), text[100], got[16];
    REQUIRE(body != NULL);
    memset(body, 'u', size);
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", size);
        net_send(&client, text, strlen(text));
        net_send(&client, body, size);
        CHECK_EQ(net_response(&client, got, sizeof got, false), 200);
        CHECK_STR(got, "20971520");
    }
    free(body);
    net_close(&client);
    stop_thread(&worker);
    end_host(&host);
}

TEST(a_worker_that_hangs_stops_the_reading) {
    reactor_host host;
    echoer worker;
    make_bus(&host, 16384);
    start_thread(&worker, &host);
    start_reactor(&host);
    net_client client = connect_ws(&host), other = connect_ws(&host);
    net_ws_text(&client, "block");
    static uint8_t data[60000];
    uint32_t sent = 0;
    size_t size, at = 0;
    uint8_t *frame = NULL;
    /* Until nothing has moved for long; what fits in the queues in between is far less than all of it. */
    for (int still = 0; still < 300 && sent < 2000;) {
        if (!frame) {
            memset(data, (int)sent, sizeof data);
            frame = net_frame(CRE_WS_FIN | CRE_WS_BINARY, data, sizeof data, &size);
            at = 0;
        }
        ssize_t n = send(client.descriptor, frame + at, size - at, MSG_NOSIGNAL);
        still = n > 0 ? 0 : still + 1;
        if (n > 0) at += (size_t)n;
        if (n <= 0) net_rest(NULL, client.descriptor);
        if (at == size) {
            free(frame);
            frame = NULL;
            sent++;
        }
    }
    CHECK(sent < 2000);
    net_ws_text(&other, "me too");
    CHECK_EQ(write(worker.gate[1], "g", 1), 1);
    net_ws_expect_text(&client, "block");
    if (frame) {
        net_send(&client, frame + at, size - at);
        free(frame);
        sent++;
    }
    for (uint32_t i = 0; i < sent; i++) {
        memset(data, (int)i, sizeof data);
        net_ws_expect(&client, CRE_WS_BINARY, data, sizeof data);
    }
    net_ws_expect_text(&other, "me too");
    net_ws_text(&client, "still there");
    net_ws_expect_text(&client, "still there");
    net_close(&client);
    net_close(&other);
    stop_thread(&worker);
    end_host(&host);
}

static void set_flag(void *context) {
    atomic_store((atomic_bool *)context, true);
}

TEST(a_reactor_shuts_down) {
    reactor_host host;
    echoer worker;
    make_bus(&host, 0);
    start_thread(&worker, &host);
    start_reactor(&host);
    net_client polite = connect_ws(&host), stubborn = connect_ws(&host);
    CHECK_EQ(cre_reactor_shutdown(host.reactor, 600000, set_flag, &host.done), 0);
    CHECK_EQ(net_ws_expect_close(&polite), 1001);
    net_ws_send_close(&polite, 1001);
    net_await_end(&polite);
    CHECK(!atomic_load(&host.done));
    CHECK_EQ(cre_reactor_shutdown(host.reactor, 0, set_flag, &host.done), 0);
    NET_UNTIL(NULL, atomic_load(&host.done));
    net_close(&polite);
    net_close(&stubborn);
    stop_thread(&worker);
    end_host(&host);
}

TEST(a_reactor_may_stop_at_any_moment) {
    for (int i = 0; i < 30; i++) {
        reactor_host host;
        make_bus(&host, 0);
        start_reactor(&host);
        net_client client = connect_client(&host);
        if (i % 2) net_send_text(&client, NET_UPGRADE);
        if (i % 3 == 0) cre_reactor_shutdown(host.reactor, 600000, set_flag, &host.done);
        end_host(&host);
        net_close(&client);
    }
}

/* ---- processes ---- */

typedef struct child {
    pid_t pid;
    int start; /* a byte written here lets it open the node */
} child;

/* A worker process that waits for its start. */
static child fork_worker(reactor_host *its_host) {
    int start[2];
    REQUIRE(pipe(start) == 0);
    pid_t pid = cre_process_fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        close(start[1]);
        char byte;
        if (read(start[0], &byte, 1) != 1) _exit(0); /* nobody needs us */
        echoer it = { 0 };
        if (pipe(it.gate)) _exit(1);
        open_echoer(&it, its_host);
        cre_loop_run(it.loop);
        _exit(0);
    }
    close(start[0]);
    return (child){ pid, start[1] };
}

static void start_child(child *it, reactor_host *host) {
    CHECK_EQ(write(it->start, "s", 1), 1);
    NET_UNTIL(NULL, cre_bus_pid(host->bus, 1) == it->pid);
}

static void end_child(child *it, reactor_host *host) {
    int status;
    close(it->start);
    kill(it->pid, SIGKILL);
    CHECK_EQ(waitpid(it->pid, &status, 0), it->pid);
    cre_bus_forget(host->bus, 1);
}

TEST(connections_survive_their_worker) {
    reactor_host host;
    make_bus(&host, 0);
    child first = fork_worker(&host), second = fork_worker(&host);
    start_reactor(&host);
    start_child(&first, &host);
    net_client client = connect_ws(&host), idle = connect_ws(&host), http = connect_client(&host);
    net_ws_text(&client, "one");
    net_ws_expect_text(&client, "one");
    net_ws_text(&client, "block"); /* it dies of this one, which is not served twice */
    static uint8_t large[1000000];
    memset(large, 'L', sizeof large);
    for (int i = 0; i < 100; i++)
        net_ws_send(&client, CRE_WS_FIN | CRE_WS_BINARY, &i, sizeof i);
    net_ws_send(&idle, CRE_WS_FIN | CRE_WS_TEXT, large, sizeof large); /* more than the ring holds */
    net_send_text(&http, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    net_client late = connect_client(&host); /* while nobody serves */
    net_send_text(&late, NET_UPGRADE);
    char byte;
    CHECK_EQ(read(host.blocked[0], &byte, 1), 1);
    end_child(&first, &host);
    start_child(&second, &host);
    net_upgraded(&late);
    for (int i = 0; i < 100; i++)
        net_ws_expect(&client, CRE_WS_BINARY, &i, sizeof i);
    net_ws_expect(&idle, CRE_WS_TEXT, large, sizeof large);
    CHECK_EQ(net_response(&http, NULL, 0, false), 200);
    net_ws_text(&late, "me");
    net_ws_expect_text(&late, "me");
    net_close(&client);
    net_close(&idle);
    net_close(&http);
    net_close(&late);
    end_child(&second, &host);
    end_host(&host);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

/* What was taken is answered with 500, what was not by the successor, and nothing twice. */
TEST(pipelined_requests_survive_their_worker) {
    static const struct {
        const char *text;
        int statuses[6]; /* 0: the end; -1: a reset behind the beginning of an answer */
    } cases[] = {
        { GET("/keep") GET("/ok") GET("/block") GET("/ok") GET("/ok"), { 500, 200, 500, 200, 200 } },
        { GET("/keep") GET("/begin") GET("/block") GET("/ok"), { 500, 500, 500, 200 } },
        { GET("/ok") GET("/ok") GET("/lose") GET("/ok"), { 200, 200, 500, 200 } },
        { GET("/ok") GET("/begin") GET("/block") GET("/ok"), { 200, -1 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reactor_host host;
        make_bus(&host, 0);
        child first = fork_worker(&host), second = fork_worker(&host);
        start_reactor(&host);
        start_child(&first, &host);
        net_client client = connect_client(&host), idle = connect_client(&host);
        char body[200], byte;
        net_send_text(&idle, GET("/ok"));
        CHECK_EQ(net_response(&idle, body, sizeof body, false), 200);
        net_send(&client, cases[i].text, strlen(cases[i].text));
        CHECK_EQ(read(host.blocked[0], &byte, 1), 1);
        if (cases[i].statuses[1] < 0) net_find(&client, "begun");
        end_child(&first, &host);
        start_child(&second, &host);
        for (int at = 0; cases[i].statuses[at] > 0; at++) {
            CHECK_EQ(net_response(&client, body, sizeof body, false), cases[i].statuses[at]);
            if (cases[i].statuses[at] == 200) CHECK_STR(body, "hello");
            if (cases[i].statuses[at + 1] >= 0) continue;
            net_await_end(&client);
            CHECK_EQ(client.error, ECONNRESET);
        }
        if (!client.eof) {
            net_send_text(&client, GET("/ok"));
            CHECK_EQ(net_response(&client, body, sizeof body, false), 200);
            CHECK_EQ(client.length, 0);
        }
        net_send_text(&idle, GET("/ok"));
        CHECK_EQ(net_response(&idle, body, sizeof body, false), 200);
        net_close(&client);
        net_close(&idle);
        end_child(&second, &host);
        end_host(&host);
    }
}

/* The rest of a body whose request went down with its worker is dropped. */
TEST(a_body_in_pieces_survives_its_worker) {
    reactor_host host;
    make_bus(&host, 0);
    child first = fork_worker(&host), second = fork_worker(&host);
    start_reactor(&host);
    start_child(&first, &host);
    net_client client = connect_client(&host);
    static char rest[50000];
    char body[200], byte;
    net_send_text(&client, "POST /block HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
    CHECK_EQ(read(host.blocked[0], &byte, 1), 1);
    net_send(&client, rest, 10000); /* in the ring */
    end_child(&first, &host);
    start_child(&second, &host);
    CHECK_EQ(net_response(&client, body, sizeof body, false), 500);
    net_send(&client, rest, sizeof rest);
    net_send_text(&client, GET("/ok"));
    CHECK_EQ(net_response(&client, body, sizeof body, false), 200);
    net_close(&client);
    end_child(&second, &host);
    end_host(&host);
}

TEST(a_worker_that_runs_wild) {
    reactor_host host;
    make_bus(&host, 0);
    child first = fork_worker(&host), second = fork_worker(&host);
    start_reactor(&host);
    start_child(&first, &host);
    net_client client = connect_ws(&host);
    net_ws_text(&client, "one");
    net_ws_expect_text(&client, "one");
    net_ws_text(&client, "wild");
    NET_UNTIL(NULL, atomic_load(&host.violations) == 1);
    net_ws_text(&client, "unheard"); /* the answer to this is not read any more */
    end_child(&first, &host);
    start_child(&second, &host);
    net_ws_text(&client, "two");
    cre_ws_frame frame;
    bool heard = false; /* "unheard" was either taken by the first, or is answered by the second */
    while (!heard && net_ws_next(&client, &frame)) {
        heard = frame.length == 3 && memcmp(frame.payload, "two", 3) == 0;
        net_take(&client, frame.size);
    }
    CHECK(heard);
    CHECK_EQ(atomic_load(&host.violations), 1);
    net_close(&client);
    end_child(&second, &host);
    end_host(&host);
}

/* ---- workers with engines of their own ---- */

typedef struct owner {
    cre_loop *loop;
    cre_worker *worker;
    uint16_t port;
    pthread_t thread;
} owner;

/* What one worker's client says goes to all connections, whoever owns them. */
static void to_all(void *context, const cre_record *event, uint8_t *payload) {
    owner *it = context;
    if (event->kind != CRE_EVENT_MESSAGE) return;
    cre_table *table = cre_engine_table(cre_worker_engine(it->worker));
    cre_session sessions[16];
    uint32_t cursor = 0;
    for (size_t n; (n = cre_table_list(table, &cursor, sessions, 16));)
        for (size_t i = 0; i < n; i++)
            CHECK_EQ(cre_worker_push(it->worker, sessions[i], CRE_WS_TEXT, true, payload, event->length), 0);
}

TEST(a_push_reaches_connections_of_other_workers) {
    reactor_host host;
    make_bus(&host, 0);
    close(host.listener);
    close(host.blocked[0]);
    close(host.blocked[1]);
    owner owners[2] = { 0 };
    cre_engine_config engine = { .max_message = 8 << 20 };
    for (uint32_t i = 0; i < 2; i++) {
        owner *it = &owners[i];
        cre_worker_config config = {
            .bus = host.bus, .node = i + 1, .on_event = to_all, .context = it, .engine = &engine
        };
        REQUIRE(cre_loop_create(&it->loop) == 0);
        REQUIRE(cre_worker_open(it->loop, &config, &it->worker) == 0);
        REQUIRE(cre_engine_listen(cre_worker_engine(it->worker), &(cre_listen_options){ .host = "127.0.0.1" },
                                  &it->port) == 0);
        REQUIRE(pthread_create(&it->thread, NULL, run_loop, it->loop) == 0);
    }
    net_client a = net_ws_connect_to(NULL, owners[0].port), b = net_ws_connect_to(NULL, owners[1].port);
    for (int i = 0; i < 50; i++) {
        net_ws_text(i % 2 ? &a : &b, "to all");
        net_ws_expect_text(&a, "to all");
        net_ws_expect_text(&b, "to all");
    }
    static uint8_t large[2000000];
    memset(large, 'x', sizeof large);
    net_ws_send(&a, CRE_WS_FIN | CRE_WS_TEXT, large, sizeof large);
    net_ws_expect(&a, CRE_WS_TEXT, large, sizeof large);
    net_ws_expect(&b, CRE_WS_TEXT, large, sizeof large);
    net_close(&a);
    net_close(&b);
    for (int i = 0; i < 2; i++) {
        cre_loop_stop(owners[i].loop);
        pthread_join(owners[i].thread, NULL);
        cre_worker_close(owners[i].worker);
        cre_loop_destroy(owners[i].loop);
    }
    CHECK_EQ(cre_table_count(cre_bus_table(host.bus)), 0);
    cre_bus_destroy(host.bus);
}

TEST(nobody_home) {
    reactor_host host;
    echoer worker = { 0 };
    make_bus(&host, 0);
    open_echoer(&worker, &host);
    CHECK_EQ(cre_worker_push(worker.worker, 1, CRE_WS_TEXT, true, "x", 1), CRE_EGONE);
    CHECK_EQ(cre_worker_end(worker.worker, 0, 1000, NULL, 0), CRE_EGONE);
    CHECK(cre_worker_engine(worker.worker) == NULL);
    cre_reactor_config config = { .bus = host.bus, .engine = { .first_worker = 1, .worker_count = 3 } };
    CHECK_EQ(cre_reactor_start(&config, &host.reactor), CRE_EINVALID); /* workers that there are not */
    close_echoer(&worker);
    close(host.listener);
    close(host.blocked[0]);
    close(host.blocked[1]);
    cre_bus_destroy(host.bus);
}

TEST(a_response_that_cannot_be_completed_is_cut_off) {
    reactor_host host;
    echoer worker;
    make_bus(&host, 0);
    start_thread(&worker, &host);
    start_reactor(&host);
    net_client client = connect_client(&host);
    net_send_text(&client, "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
    net_await_end(&client);
    net_close(&client);
    stop_thread(&worker);
    end_host(&host);
}

static pthread_t started_on;

static int say_yes(void *context) {
    started_on = pthread_self();
    return *(int *)context;
}

TEST(reactors_begin_on_their_thread_or_not_at_all) {
    reactor_host host;
    make_bus(&host, 0);
    int answer = 0;
    cre_reactor_config config = {
        .bus = host.bus, .engine = { .first_worker = 1 }, .started = say_yes, .context = &answer
    };
    started_on = pthread_self();
    REQUIRE(cre_reactor_start(&config, &host.reactor) == 0);
    CHECK(!pthread_equal(started_on, pthread_self()));
    cre_reactor_stop(host.reactor);
    answer = CRE_ENOMEM;
    CHECK_EQ(cre_reactor_start(&config, &host.reactor), CRE_ENOMEM);
    host.reactor = NULL;
    end_host(&host);
}

TEST_MAIN()
