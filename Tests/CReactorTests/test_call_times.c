/* The durations of calls: what is counted, and what is reported as slow. */
#include <creactor/internal/internal.h>
#include <string.h>
#include <unistd.h>

#include "loop/loop_internal.h"
#include "test.h"

#define SLOW_NS 2000000u

/* Node 0 sends, node 1 is a worker with callbacks that sleep. */
typedef struct setting {
    cre_bus *bus;
    cre_loop *loop;
    cre_node *sender;
    cre_worker *worker;
    char log[1024];
    size_t used;
    bool suspends, ends;
} setting;

static void on_slow(void *context, const cre_record *call, const uint8_t *payload, uint64_t ns) {
    setting *all = context;
    CHECK(ns >= SLOW_NS);
    all->used +=
        (size_t)snprintf(all->log + all->used, sizeof all->log - all->used, "%u:%u%.*s ", call->kind,
                         (unsigned)call->session, payload ? (int)call->length : 0, (const char *)payload);
}

static void sleep_if_slow(const uint8_t *payload) {
    if (payload[0] == 's') usleep(SLOW_NS / 1000 + 1000);
}

static void on_event(void *context, const cre_record *event, uint8_t *payload) {
    setting *all = context;
    cre_record next = *event;
    do
        sleep_if_slow(payload);
    while (event->kind == CRE_EVENT_MESSAGE &&
           cre_worker_take_message(all->worker, event->session, &next, &payload));
}

static void on_message(void *context, uint32_t from, const cre_record *message, uint8_t *payload) {
    setting *all = context;
    (void)from;
    sleep_if_slow(payload);
    if (message->kind == CRE_MESSAGE_TASK && all->suspends) cre_task_suspend(all->worker);
    if (message->kind == CRE_MESSAGE_TASK && all->ends) cre_task_end(all->worker, CRE_TASK_DONE, NULL, 0);
}

static int ignore(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    (void)context;
    (void)from;
    (void)record;
    (void)payload;
    return 0;
}

static void start(setting *all, uint64_t slow_ns, bool is_task_worker) {
    memset(all, 0, sizeof *all);
    cre_bus_config config = { .nodes = 2, .connections = 10 };
    REQUIRE(cre_bus_create(&config, &all->bus) == 0);
    REQUIRE(cre_loop_create(&all->loop) == 0);
    cre_node_handlers handlers = { .record = ignore };
    REQUIRE(cre_node_open(all->bus, 0, NULL, &handlers, NULL, &all->sender) == 0);
    cre_worker_config worker = { .bus = all->bus,
                                 .node = 1,
                                 .on_event = is_task_worker ? NULL : on_event,
                                 .on_message = on_message,
                                 .slow = on_slow,
                                 .slow_ns = slow_ns,
                                 .context = all,
                                 .owner_count = 1,
                                 .first_task = 1,
                                 .task_count = is_task_worker };
    REQUIRE(cre_worker_create(all->loop, &worker, &all->worker) == 0);
}

static void stop(setting *all) {
    cre_worker_destroy(all->worker);
    cre_node_close(all->sender);
    cre_loop_destroy(all->loop);
    cre_bus_destroy(all->bus);
}

static void give(setting *all, uint32_t kind, cre_session session, const char *text) {
    cre_record record = { .kind = (uint8_t)kind, .flags = CRE_RECORD_FINAL, .session = session };
    cre_slice part = { (const uint8_t *)text, strlen(text) };
    CHECK_EQ(cre_node_send(all->sender, 1, &record, &part, 1), 0);
}

static void run(setting *all) {
    cre_node_flush(all->sender);
    for (int i = 0; i < 20; i++)
        cre__loop_turn(all->loop, false);
}

static uint64_t counted(setting *all, uint32_t kind) {
    cre_node_stats stats;
    uint64_t sum = 0;
    cre_bus_get_node_stats(all->bus, 1, &stats);
    for (uint32_t i = 0; i < CRE_HANDLERS; i++)
        for (int class = 0; class < CRE_TIME_CLASSES; class ++)
            if (cre_handler_kind(i) == kind) sum += stats.handlers[i].counts[class];
    return sum;
}

/* Each by itself, although several messages are taken within one call. */
TEST(slow_calls_are_reported) {
    setting all;
    start(&all, SLOW_NS, false);
    give(&all, CRE_EVENT_MESSAGE, 1, "f");
    give(&all, CRE_EVENT_MESSAGE, 1, "s");
    give(&all, CRE_EVENT_MESSAGE, 1, "f");
    give(&all, CRE_EVENT_MESSAGE, 2, "sb");
    give(&all, CRE_EVENT_DRAINED, 3, "f");
    give(&all, CRE_EVENT_CONNECT, 4, "sd");
    give(&all, CRE_MESSAGE_PIPE, 0, "s");
    run(&all);
    CHECK_STR(all.log, "2:1 2:2sb 16:4sd 162:0 ");
    CHECK_EQ(counted(&all, CRE_EVENT_MESSAGE), 4);
    CHECK_EQ(counted(&all, CRE_EVENT_DRAINED), 1);
    CHECK_EQ(counted(&all, CRE_EVENT_CONNECT), 1);
    CHECK_EQ(counted(&all, CRE_MESSAGE_PIPE), 1);
    CHECK_EQ(counted(&all, CRE_EVENT_OPEN), 0);
    stop(&all);
}

TEST(slow_timers_and_jobs_are_reported) {
    setting all;
    start(&all, SLOW_NS, false);
    const uint32_t kinds[] = { CRE_AT_TIMER, CRE_AT_JOB, CRE_AT_START };
    for (int i = 0; i < 3; i++) {
        REQUIRE(cre_worker_set_activity(all.worker, kinds[i]));
        CHECK(!cre_worker_set_activity(all.worker, CRE_AT_TIMER)); /* inside: part of the first */
        sleep_if_slow((const uint8_t *)"s");
        cre_worker_set_activity(all.worker, CRE_AT_NOTHING);
    }
    CHECK_STR(all.log, "200:0 201:0 "); /* a start may take long */
    CHECK_EQ(counted(&all, CRE_AT_TIMER), 1);
    stop(&all);
}

/* The time in which a task is suspended belongs to it: its task worker does nothing else. */
TEST(slow_tasks_are_reported_whole) {
    setting all;
    start(&all, SLOW_NS, true);
    give(&all, CRE_MESSAGE_TASK, 1, "f");
    give(&all, CRE_MESSAGE_TASK, 2, "s");
    run(&all);
    CHECK_STR(all.log, "160:2 ");
    all.suspends = true;
    give(&all, CRE_MESSAGE_TASK, 3, "f");
    run(&all);
    REQUIRE(cre_worker_set_activity(all.worker, CRE_AT_JOB));
    sleep_if_slow((const uint8_t *)"s");
    cre_task_end(all.worker, CRE_TASK_DONE, NULL, 0);
    cre_worker_set_activity(all.worker, CRE_AT_NOTHING);
    CHECK_STR(all.log, "160:2 160:3 ");
    CHECK_EQ(counted(&all, CRE_MESSAGE_TASK), 3);
    /* One that ends inside its callback, also after it was suspended, is counted once. */
    all.ends = true;
    give(&all, CRE_MESSAGE_TASK, 4, "s");
    run(&all);
    all.suspends = false;
    give(&all, CRE_MESSAGE_TASK, 5, "s");
    run(&all);
    CHECK_STR(all.log, "160:2 160:3 160:4 160:5 ");
    CHECK_EQ(counted(&all, CRE_MESSAGE_TASK), 5);
    stop(&all);
}

/* Without the setting nothing is reported, and a sample is timed. */
TEST(a_sample_is_timed) {
    setting all;
    start(&all, 0, false);
    for (int i = 0; i < 200; i++)
        give(&all, CRE_EVENT_DRAINED, 1, i ? "f" : "s");
    run(&all);
    CHECK_STR(all.log, "");
    CHECK_EQ(counted(&all, CRE_EVENT_DRAINED), 2);
    stop(&all);
}
TEST_MAIN()
