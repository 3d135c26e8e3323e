/* What a message costs: system calls and allocations, counted. */
#include "calls.h"

#include <sys/resource.h>

#include "both.h"
#include "link/bus_internal.h"

#define BATCH 16

static int echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_MESSAGE)
        cre_engine_push(net->engine, event->session, event->opcode, payload, event->length);
    return 0;
}

/* BATCH messages, as one piece. */
static size_t make_batch(uint8_t *out, const char *text) {
    size_t used = 0, size;
    for (int i = 0; i < BATCH; i++) {
        uint8_t *frame = net_frame(CRE_WS_FIN | CRE_WS_TEXT, text, strlen(text), &size);
        memcpy(out + used, frame, size);
        used += size;
        free(frame);
    }
    return used;
}

static void expect_batch(net_client *client, const char *text) {
    for (int i = 0; i < BATCH; i++)
        net_ws_expect_text(client, text);
}

static long reads(void) {
    return atomic_load(&calls_made[CALL_recv]);
}

static long writes(void) {
    return atomic_load(&calls_made[CALL_send]) + atomic_load(&calls_made[CALL_sendmsg]);
}

TEST_BOTH(a_batch_costs_one_read_and_one_write) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    net->quiet = true;
    net_client client = net_ws_connect(net);
    uint8_t batch[BATCH * 64];
    size_t size = make_batch(batch, "hello");
    for (int i = 0; i < 20; i++) {
        long read = reads(), wrote = writes(), allocated = atomic_load(&test_allocations);
        net_send(&client, batch, size);
        expect_batch(&client, "hello");
        CHECK_EQ(reads() - read, 1);
        CHECK_EQ(writes() - wrote, 1);
        if (i) CHECK_EQ(atomic_load(&test_allocations), allocated); /* the first may fill the pool */
    }
    net_close(&client);
    net_stop(net);
}

/* ---- files ---- */

#define SMALL 4096

static char small_file[] = "/tmp/creactor-test-XXXXXX";

static int answer_with_file(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)payload;
    if (event->kind == CRE_EVENT_REQUEST)
        cre_engine_respond_file(net->engine, event->session, 200, NULL, small_file, 0, CRE_FILE_REST);
    return 0;
}

static net_server *start_with_file(void) {
    static const uint8_t bytes[SMALL];
    strcpy(small_file + strlen(small_file) - 6, "XXXXXX");
    int descriptor = mkstemp(small_file);
    REQUIRE(descriptor >= 0);
    CHECK_EQ(write(descriptor, bytes, SMALL), SMALL);
    close(descriptor);
    net_server *net = net_start((cre_engine_config){ .http = true }, answer_with_file);
    net->quiet = true;
    return net;
}

static long file_reads(void) {
    return atomic_load(&calls_made[CALL_pread]);
}

static void request_file(net_client *client) {
    net_send_text(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST_BOTH(a_small_file_leaves_with_its_head) {
    net_server *net = start_with_file();
    net_client client = net_connect(net);
    for (int i = 0; i < 3; i++) {
        long wrote = writes(), read = file_reads(), sent = atomic_load(&calls_made[CALL_sendfile]);
        request_file(&client);
        size_t head = net_find(&client, "\r\n\r\n");
        CHECK(net_await(&client, head + SMALL));
        net_take(&client, client.length);
        if (i) CHECK_EQ(writes() - wrote, 1); /* TLS may send tickets before the first */
        CHECK_EQ(file_reads() - read, 1);
        CHECK_EQ(atomic_load(&calls_made[CALL_sendfile]), sent);
    }
    net_close(&client);
    unlink(small_file);
    net_stop(net);
}

TEST_BOTH(a_small_file_that_cannot_be_read_cuts_the_connection) {
    net_server *net = start_with_file();
    net_client client = net_connect(net);
    NET_UNTIL(net, net->engine->net.open == 1);
    int descriptors = net_descriptors();
    calls_fail(CALL_pread, 1, EIO);
    request_file(&client);
    net_await_end(&client);
    CHECK(calls_heal());
    CHECK_EQ(client.length, 0);
    NET_UNTIL(net, net->engine->net.open == 0);
    CHECK_EQ(net_descriptors(), descriptors - 1);
    net_close(&client);
    unlink(small_file);
    net_stop(net);
}

/* ---- without descriptors ---- */

static void stop_loop(void *context, cre_timer *timer) {
    cre_timer_stop(timer);
    cre_loop_stop(context);
}

static double cpu_ms(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

typedef struct turns {
    cre__hook hook;
    long count;
} turns;

static bool count_turn(cre__hook *hook) {
    ((turns *)hook)->count++;
    return false;
}

/* A client that cannot be accepted stays readable for ever: the loop must neither turn for it all the time
 * nor forget it. */
TEST(without_descriptors_nothing_spins) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    net->quiet = true;
    net_client served = net_ws_connect(net), waiting = net_connect(net);
    turns turned = { .hook.run = count_turn };
    cre_timer *timer;
    struct rlimit before, few;
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    few = before;
    few.rlim_cur = 0; /* also too few to refuse it */
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    cre__loop_add_hook(net->loop, CRE__FLUSH, &turned.hook);
    REQUIRE(cre_timer_start(net->loop, 1000, 0, stop_loop, net->loop, &timer) == 0);
    long accepts = atomic_load(&calls_made[CALL_accept4]);
    uint64_t began = cre_loop_now(net->loop);
    double used = cpu_ms();
    cre_loop_run(net->loop);
    used = cpu_ms() - used;
    uint64_t passed = cre_loop_now(net->loop) - began;
    accepts = atomic_load(&calls_made[CALL_accept4]) - accepts;
    cre__loop_remove_hook(net->loop, CRE__FLUSH, &turned.hook);
    CHECK(accepts > 0);
    CHECK((uint64_t)accepts <= passed / 100 + 3); /* it pauses for 100 ms each time */
    CHECK((uint64_t)turned.count <= (passed / 100 + 2) * 6);
    CHECK(used * 4 < (double)passed);
    net_ws_text(&served, "still there");
    net_ws_expect_text(&served, "still there");
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    net_send_text(&waiting, NET_UPGRADE);
    net_upgraded(&waiting);
    net_close(&waiting);
    net_close(&served);
    net_stop(net);
}

/* ---- over the bus: a reactor in its thread, a worker that the test turns ---- */

typedef struct pair {
    net_server net; /* the worker's loop; no engine */
    cre_bus *bus;
    cre_reactor *reactor;
    cre_worker *worker;
} pair;

static void answer(void *context, const cre_record *event, uint8_t *payload) {
    pair *it = context;
    if (event->kind == CRE_EVENT_MESSAGE)
        CHECK_EQ(cre_worker_push(it->worker, event->session, event->opcode, true, payload, event->length), 0);
}

static void start_pair(pair *it) {
    memset(it, 0, sizeof *it);
    /* Without spinning: a reactor that looks for answers all the time finds them one by one. */
    cre_bus_config shape = { .nodes = 2, .connections = 100 };
    REQUIRE(cre_bus_create(&shape, &it->bus) == 0);
    cre_tls *ports[] = { net_tls_now };
    cre_reactor_config config = {
        .bus = it->bus, .engine = { .first_worker = 1, .worker_count = 1, .tls = ports, .tls_count = 1 }
    };
    REQUIRE(cre_reactor_start(&config, &it->reactor) == 0);
    int listener = cre_listen(
        &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" }, &it->net.port);
    REQUIRE(listener >= 0 && cre_reactor_serve(it->reactor, listener, 0) == 0);
    REQUIRE(cre_loop_create(&it->net.loop) == 0);
    cre_worker_config own = { .bus = it->bus, .node = 1, .on_event = answer, .context = it };
    REQUIRE(cre_worker_create(it->net.loop, &own, &it->worker) == 0);
}

static void stop_pair(pair *it) {
    cre_reactor_stop(it->reactor);
    cre_worker_destroy(it->worker);
    cre_loop_destroy(it->net.loop);
    cre_bus_destroy(it->bus);
}

static bool sleeps(pair *it, int node) {
    return atomic_load(&it->bus->nodes[node].sleeping) == 1;
}

TEST_BOTH(in_process_mode_too) {
    pair it;
    start_pair(&it);
    net_client client = net_ws_connect(&it.net);
    uint8_t batch[BATCH * 64];
    size_t size = make_batch(batch, "hello");
    int alone = 0;
    for (int i = 0; i < 20; i++) {
        NET_UNTIL(&it.net, sleeps(&it, 0));
        long read = reads(), wrote = writes(), allocated = atomic_load(&test_allocations);
        long woken = atomic_load(&calls_made[CALL_write]);
        net_send(&client, batch, size);
        expect_batch(&client, "hello");
        CHECK_EQ(reads() - read, 1);
        CHECK(atomic_load(&calls_made[CALL_write]) - woken <= 2); /* of the worker, and of the reactor */
        /* Now and then the reactor is not asleep yet when the worker's first answers come. */
        alone += writes() - wrote == 1;
        if (i) CHECK_EQ(atomic_load(&test_allocations), allocated);
    }
    CHECK(alone > 0);
    net_close(&client);
    stop_pair(&it);
}

TEST_MAIN()
