/* Reactors and workers: sockets in one place, decisions in another thread. */
#include "hosts.h"

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
    cre_node_stats stats;
    cre_bus_get_node_stats(host.bus, 1, &stats);
    uint64_t sampled = 0, turns = 0;
    for (int i = 0; i < CRE_TIME_CLASSES; i++) {
        for (int kind = 0; kind < CRE_HANDLERS; kind++)
            sampled += stats.handlers[kind].counts[i];
        turns += stats.loop.turns_by_time[i];
    }
    /* Of more than 1200 calls, about one in 128. */
    CHECK(sampled >= 5 && sampled <= 20);
    CHECK_EQ(cre_handler_kind(1), CRE_EVENT_MESSAGE);
    CHECK(stats.handlers[1].sum_ns > 0);
    CHECK_EQ(cre_handler_kind(CRE_HANDLERS), 0);
    CHECK(turns > 0 && turns == stats.loop.turns);
    cre_loop_stats all;
    cre_bus_get_loop_stats(host.bus, &all);
    for (int i = 0; i < CRE_TIME_CLASSES; i++)
        CHECK(all.turns_by_time[i] >= stats.loop.turns_by_time[i]);
    CHECK_EQ(stats.engine.accepted, 0); /* the sockets are those of the other node */
    cre_bus_get_node_stats(host.bus, 3, &stats);
    CHECK_EQ(stats.loop.turns, 0);
    end_host(&host);
    CHECK_EQ(worker.events[CRE_EVENT_OPEN], 1);
    CHECK_EQ(worker.events[CRE_EVENT_REQUEST], 10);
}

TEST(processes_are_counted_by_their_node) {
    reactor_host host;
    make_bus(&host, 0);
    cre_bus *bus = host.bus;
    cre_bus_count(bus, 1, CRE_COUNT_STARTS);
    cre_bus_count(bus, 1, CRE_COUNT_STARTS);
    cre_bus_count(bus, 1, CRE_COUNT_FAILURES);
    CHECK_EQ(cre_bus_counted(bus, 1, CRE_COUNT_STARTS), 2);
    CHECK_EQ(cre_bus_counted(bus, 1, CRE_COUNT_FAILURES), 1);
    CHECK_EQ(cre_bus_counted(bus, 1, CRE_COUNT_RELOADS_BEGUN), 0);
    CHECK_EQ(cre_bus_counted(bus, 0, CRE_COUNT_STARTS), 0);
    cre_bus_forget(bus, 1); /* its successor continues */
    CHECK_EQ(cre_bus_counted(bus, 1, CRE_COUNT_STARTS), 2);
    cre_bus_count(bus, 1024, CRE_COUNT_STARTS);
    cre_bus_count(bus, 1, CRE_BUS_COUNTERS);
    CHECK_EQ(cre_bus_counted(bus, 1024, CRE_COUNT_STARTS), 0);
    CHECK_EQ(cre_bus_counted(bus, 1, CRE_BUS_COUNTERS), 0);
    end_host(&host);
}

TEST(a_log_level_is_published_to_all_processes) {
    reactor_host host;
    make_bus(&host, 0);
    CHECK_EQ(cre_bus_log_level(host.bus), 0);
    cre_bus_set_log_level(host.bus, 3);
    CHECK_EQ(cre_bus_log_level(host.bus), 3);
    CHECK_EQ(cre_bus_pid(host.bus, 1), 0); /* nothing else has changed */
    cre_bus_set_log_level(host.bus, 0);
    CHECK_EQ(cre_bus_log_level(host.bus), 0);
    end_host(&host);
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
        if (i % 3 == 0) CHECK_EQ(cre_reactor_shutdown(host.reactor, 600000, set_flag, &host.done), 0);
        end_host(&host);
        net_close(&client);
    }
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
    /* Whoever owns the connection, the limit is that of a record. */
    cre_session session = event->session;
    CHECK_EQ(cre_worker_push(it->worker, session, CRE_WS_TEXT, true, payload, SIZE_MAX / 2), CRE_ELIMIT);
    CHECK_EQ(cre_worker_respond(it->worker, session, 0, 200, false, NULL, 0, payload, SIZE_MAX / 2),
             CRE_ELIMIT);
}

TEST(a_push_reaches_connections_of_other_workers) {
    reactor_host host;
    make_bus(&host, 0);
    close(host.listener);
    close(host.blocked[0]);
    close(host.blocked[1]);
    owner owners[2] = { 0 };
    cre_engine_config engine = { .size = sizeof engine, .max_message = 8 << 20 };
    for (uint32_t i = 0; i < 2; i++) {
        owner *it = &owners[i];
        cre_worker_config config = {
            .bus = host.bus, .node = i + 1, .on_event = to_all, .context = it, .engine = &engine
        };
        REQUIRE(cre_loop_create(&it->loop) == 0);
        REQUIRE(cre_worker_create(it->loop, &config, &it->worker) == 0);
        REQUIRE(cre_engine_listen(
                    cre_worker_engine(it->worker),
                    &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" },
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
        cre_worker_destroy(owners[i].worker);
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
    CHECK_EQ(cre_worker_close(worker.worker, 0, 1000, NULL, 0), CRE_EGONE);
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
