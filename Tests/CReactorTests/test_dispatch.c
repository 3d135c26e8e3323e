/* Dispatch over the bus: one reactor, two workers in threads of their own. */
#include <pthread.h>

#include "link/bus_internal.h"
#include "net.h"

enum { WORKERS = 2, FIRST = 1 };

typedef struct worker_thread {
    cre_bus *bus;
    cre_loop *loop;
    cre_worker *worker;
    uint32_t node;
    pthread_t thread;
    int gate[2];           /* "block" goes on when something can be read here */
    atomic_int events[32]; /* by kind */
    atomic_int blocked;
} worker_thread;

typedef struct dispatch_host {
    cre_bus *bus;
    cre_reactor *reactor;
    int listener;
    uint16_t port;
    worker_thread workers[WORKERS];
} dispatch_host;

static bool is_text(const cre_record *event, const uint8_t *payload, const char *text) {
    return event->length == strlen(text) && memcmp(payload, text, event->length) == 0;
}

static void on_event(void *context, const cre_record *event, uint8_t *payload) {
    worker_thread *it = context;
    atomic_fetch_add(&it->events[event->kind], 1);
    if (event->kind != CRE_EVENT_MESSAGE) return;
    char byte, answer[8];
    if (is_text(event, payload, "block")) {
        atomic_store(&it->blocked, 1);
        CHECK_EQ(read(it->gate[0], &byte, 1), 1);
        atomic_store(&it->blocked, 0);
    } else if (is_text(event, payload, "bind")) {
        CHECK_EQ(cre_worker_bind(it->worker, event->session, 0), CRE_EINVALID);
        CHECK_EQ(cre_worker_bind(it->worker, event->session, 7), 0);
    } else if (is_text(event, payload, "again")) {
        CHECK_EQ(cre_worker_bind(it->worker, event->session, 8), CRE_ESTATE);
    }
    int size = snprintf(answer, sizeof answer, "%u", it->node - FIRST);
    int result = cre_worker_push(it->worker, event->session, CRE_WS_TEXT, true, answer, (size_t)size);
    CHECK(result == 0 || result == CRE_EGONE);
}

static void *run_loop(void *loop) {
    cre_loop_run(loop);
    return NULL;
}

static void start_worker(worker_thread *it, cre_bus *bus, uint32_t node) {
    it->bus = bus;
    it->node = node;
    REQUIRE(pipe(it->gate) == 0);
    REQUIRE(cre_loop_create(&it->loop) == 0);
    cre_worker_config config = { .bus = bus, .node = node, .on_event = on_event, .context = it };
    REQUIRE(cre_worker_create(it->loop, &config, &it->worker) == 0);
    REQUIRE(pthread_create(&it->thread, NULL, run_loop, it->loop) == 0);
}

static void stop_worker(worker_thread *it) {
    cre_loop_stop(it->loop);
    pthread_join(it->thread, NULL);
    cre_worker_destroy(it->worker);
    cre_loop_destroy(it->loop);
    close(it->gate[0]);
    close(it->gate[1]);
}

static void start_host(dispatch_host *it, cre_dispatch dispatch) {
    memset(it, 0, sizeof *it);
    cre_bus_config bus = { .nodes = FIRST + WORKERS, .connections = 100, .max_payload = 1 << 20 };
    REQUIRE(cre_bus_create(&bus, &it->bus) == 0);
    it->listener = cre_listen(
        &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" }, &it->port);
    REQUIRE(it->listener >= 0);
    for (uint32_t i = 0; i < WORKERS; i++)
        start_worker(&it->workers[i], it->bus, FIRST + i);
    cre_reactor_config config = {
        .bus = it->bus,
        .engine = { .first_worker = FIRST, .worker_count = WORKERS, .dispatch = dispatch },
    };
    REQUIRE(cre_reactor_start(&config, &it->reactor) == 0);
}

static void end_host(dispatch_host *it) {
    for (int i = 0; i < WORKERS; i++)
        stop_worker(&it->workers[i]);
    cre_reactor_stop(it->reactor);
    close(it->listener);
    cre_bus_destroy(it->bus);
}

static net_client connect_ws(dispatch_host *it) {
    net_client client = net_connect_to(NULL, it->port);
    int accepted = -1;
    for (int i = 0; accepted < 0 && i < NET_WAITS; i++) {
        accepted = accept4(it->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) net_rest(NULL, it->listener);
    }
    REQUIRE(accepted >= 0);
    REQUIRE(cre_reactor_hand_over(it->reactor, accepted, 0) == 0);
    net_send_text(&client, NET_UPGRADE);
    net_upgraded(&client);
    return client;
}

static int count(dispatch_host *it, int worker, cre_event kind) {
    return atomic_load(&it->workers[worker].events[kind]);
}

/* Peer row dispatch_mode_3: slow code in one worker does not hold up new clients. */
TEST(a_busy_worker_gets_no_new_connections) {
    dispatch_host host;
    start_host(&host, CRE_DISPATCH_IDLE);
    net_client slow = connect_ws(&host), others[6];
    for (int i = 0; i < WORKERS; i++)
        NET_UNTIL(NULL, cre__bus_sleeps(host.bus, (uint32_t)(FIRST + i)));
    net_ws_text(&slow, "block");
    NET_UNTIL(NULL, host.workers[0].blocked || host.workers[1].blocked);
    int busy = host.workers[0].blocked ? 0 : 1;
    for (int i = 0; i < 6; i++) {
        NET_UNTIL(NULL, cre__bus_sleeps(host.bus, (uint32_t)(FIRST + !busy)));
        others[i] = connect_ws(&host);
        net_ws_text(&others[i], "who");
        net_ws_expect_text(&others[i], busy ? "0" : "1");
    }
    CHECK_EQ(write(host.workers[busy].gate[1], "x", 1), 1);
    net_ws_expect_text(&slow, busy ? "1" : "0");
    for (int i = 0; i < 6; i++)
        net_close(&others[i]);
    net_close(&slow);
    end_host(&host);
}

/* Swoole's row bind: from then on the events are the other worker's, CLOSE too, and none is lost or delivered
 * twice. */
TEST(a_bound_connection_is_the_other_workers) {
    dispatch_host host;
    start_host(&host, CRE_DISPATCH_BY_USER);
    net_client client = connect_ws(&host); /* the first session goes to the first worker, 7 to the second */
    net_ws_text(&client, "who");
    net_ws_expect_text(&client, "0");
    net_ws_text(&client, "bind");
    net_ws_expect_text(&client, "0");
    for (int i = 0; i < 20; i++) {
        net_ws_text(&client, "again");
        net_ws_expect_text(&client, "1");
    }
    net_close(&client);
    NET_UNTIL(NULL, count(&host, 1, CRE_EVENT_CLOSE) == 1);
    CHECK_EQ(count(&host, 0, CRE_EVENT_CLOSE), 0);
    CHECK_EQ(count(&host, 0, CRE_EVENT_OPEN), 1);
    CHECK_EQ(count(&host, 1, CRE_EVENT_OPEN), 0);
    CHECK_EQ(count(&host, 0, CRE_EVENT_MESSAGE), 2);
    CHECK_EQ(count(&host, 1, CRE_EVENT_MESSAGE), 20);
    end_host(&host);
}

TEST_MAIN()
