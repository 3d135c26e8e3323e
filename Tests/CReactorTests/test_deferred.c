/* Events that a worker defers: they outlive its process, in order, and each is served once. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>
#include <creactor/internal/worker.h>
#include <string.h>
#include <sys/wait.h>

#include "link/bus_internal.h"
#include "loop/loop_internal.h"
#include "runtime/worker_internal.h"
#include "test.h"

enum { OWNER, WORKER, NODES };

typedef struct receiver {
    cre_worker *worker;
    char log[4096];
    size_t used;
    cre_session defers; /* events of this session are deferred; 0: of none */
    cre_session keeps;  /* by a worker that is leaving */
    uint32_t tickets[64], count;
} receiver;

typedef struct setting {
    cre_bus *bus;
    cre_loop *loop, *next_loop;
    cre_node *owner;
    receiver it;
    int abandoned;
} setting;

static int on_command(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    (void)from;
    (void)payload;
    ((setting *)context)->abandoned += record->kind == CRE_COMMAND_ABANDON;
    return 0;
}

static void on_event(void *context, const cre_record *event, uint8_t *payload) {
    receiver *it = context;
    if (event->session == it->defers) {
        const uint32_t ticket = cre_worker_defer(it->worker);
        CHECK_EQ(cre_worker_defer(it->worker), 0); /* once */
        it->used += (size_t)snprintf(it->log + it->used, sizeof it->log - it->used, ticket ? "(" : "!");
        if (ticket) it->tickets[it->count++] = ticket;
    }
    it->used +=
        (size_t)snprintf(it->log + it->used, sizeof it->log - it->used, "%u:%.*s ", (unsigned)event->session,
                         event->length < 9 ? (int)event->length : 1, (const char *)payload);
}

static bool keeps(void *context, cre_session session) {
    return session == ((receiver *)context)->keeps;
}

static void open_worker(setting *all) {
    const cre_worker_config config = { .bus = all->bus,
                                       .node = WORKER,
                                       .on_event = on_event,
                                       .keeps = keeps,
                                       .context = &all->it,
                                       .first_owner = OWNER,
                                       .owner_count = 1 };
    REQUIRE(cre_loop_create(&all->loop) == 0);
    REQUIRE(cre_worker_create(all->loop, &config, &all->it.worker) == 0);
}

static void start_with(setting *all, uint32_t backlog_bytes) {
    memset(all, 0, sizeof *all);
    const cre_bus_config config = { .nodes = NODES,
                                    .ring_bytes = 1 << 16,
                                    .connections = 10,
                                    .max_payload = 1 << 16,
                                    .backlog_bytes = backlog_bytes };
    REQUIRE(cre_bus_create(&config, &all->bus) == 0);
    const cre_node_handlers handlers = { .record = on_command };
    REQUIRE(cre_loop_create(&all->next_loop) == 0);
    REQUIRE(cre_node_open(all->bus, OWNER, all->next_loop, &handlers, all, &all->owner) == 0);
}

static void start(setting *all) {
    start_with(all, 0);
}

static void stop(setting *all) {
    cre_worker_destroy(all->it.worker);
    cre_loop_destroy(all->loop);
    cre_node_close(all->owner);
    cre_loop_destroy(all->next_loop);
    cre_bus_destroy(all->bus);
}

static void give(setting *all, cre_event kind, cre_session session, const char *text) {
    const cre_record record = { .kind = (uint8_t)kind, .flags = CRE_RECORD_FINAL, .session = session };
    const cre_slice part = { (const uint8_t *)text, strlen(text) };
    CHECK_EQ(cre_node_send(all->owner, WORKER, &record, &part, 1), 0);
}

static void run(setting *all) {
    for (int i = 0; i < 10; i++) {
        cre__loop_turn(all->next_loop, false);
        cre__loop_turn(all->loop, false);
    }
}

/* A worker in a process of its own, which ends without a word after `work`. */
static void live_and_die(setting *all, void (*work)(setting *all)) {
    pid_t pid = cre_process_fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        open_worker(all);
        work(all);
        _exit(test_failures > 0);
    }
    int status;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK_EQ(status, 0);
    cre_bus_forget(all->bus, WORKER);
}

static void serve_turns(setting *all) {
    for (int i = 0; i < 10; i++)
        cre__loop_turn(all->loop, false);
}

static void defer_all(setting *all) {
    all->it.defers = 1;
    serve_turns(all);
    CHECK_STR(all->it.log, "(1:a 2:b (1:c (1: ");
}

static void defer_and_drop(setting *all) {
    defer_all(all);
    cre_worker_drop_deferred(all->it.worker, all->it.tickets[1]);
    cre_worker_drop_deferred(all->it.worker, all->it.tickets[1]);
    cre_worker_drop_deferred(all->it.worker, 77);
}

static void give_three(setting *all) {
    give(all, CRE_EVENT_MESSAGE, 1, "a");
    give(all, CRE_EVENT_MESSAGE, 2, "b");
    give(all, CRE_EVENT_MESSAGE, 1, "c");
    give(all, CRE_EVENT_CLOSE, 1, "");
    cre_node_flush(all->owner);
}

TEST(a_successor_serves_deferred_events_before_newer_ones) {
    setting all;
    start(&all);
    give_three(&all);
    live_and_die(&all, defer_all);
    give(&all, CRE_EVENT_MESSAGE, 3, "d");
    cre_node_flush(all.owner);
    open_worker(&all);
    run(&all);
    CHECK_STR(all.it.log, "1:a 1:c 1: 3:d ");
    stop(&all);
}

TEST(a_dropped_event_is_not_served) {
    setting all;
    start(&all);
    give_three(&all);
    live_and_die(&all, defer_and_drop);
    open_worker(&all);
    run(&all);
    CHECK_STR(all.it.log, "1:a 1: ");
    stop(&all);
}

static void defer_again(setting *all) {
    all->it.defers = 1;
    serve_turns(all);
    CHECK_STR(all->it.log, "(1:a (1:c (1: (1:e ");
    all->it.defers = 0;
    cre_worker_serve_deferred(all->it.worker, all->it.tickets[0]);
    cre_worker_serve_deferred(all->it.worker, all->it.tickets[0]); /* it was served */
    all->it.defers = 1;
    cre_worker_serve_deferred(all->it.worker, all->it.tickets[1]);
    CHECK_STR(all->it.log, "(1:a (1:c (1: (1:e 1:a (1:c ");
    CHECK_EQ(all->it.tickets[4], all->it.tickets[1]);
}

TEST(the_order_stays_over_several_deaths) {
    setting all;
    start(&all);
    give_three(&all);
    live_and_die(&all, defer_all);
    give(&all, CRE_EVENT_MESSAGE, 1, "e");
    cre_node_flush(all.owner);
    live_and_die(&all, defer_again);
    open_worker(&all);
    run(&all);
    CHECK_STR(all.it.log, "1:c 1: 1:e ");
    CHECK_EQ(all.it.worker->backlog.count, 0);
    stop(&all);
}

/* ---- the orderly end ---- */

static void leave(setting *all) {
    all->it.keeps = 3;
    cre_worker_leave(all->it.worker);
    serve_turns(all);
    CHECK_STR(all->it.log, "3:b 2:d ");
    REQUIRE(cre_worker_end_receiving(all->it.worker));
    cre_worker_destroy(all->it.worker);
}

TEST(a_worker_that_is_leaving_serves_what_it_keeps) {
    setting all;
    start(&all);
    give(&all, CRE_EVENT_MESSAGE, 1, "a");
    give(&all, CRE_EVENT_REQUEST_BODY, 3, "b");
    give(&all, CRE_EVENT_REQUEST, 2, "c");
    give(&all, CRE_EVENT_DRAINED, 2, "d"); /* concerns what this worker has sent */
    give(&all, CRE_EVENT_REQUEST_BODY, 2, "e");
    cre_node_flush(all.owner);
    live_and_die(&all, leave);
    open_worker(&all);
    run(&all);
    CHECK_STR(all.it.log, "1:a 2:c 2:e ");
    CHECK_EQ(all.abandoned, 0);
    stop(&all);
}

/* ---- bounds ---- */

static void fill(setting *all) {
    all->it.defers = 1;
    serve_turns(all);
    CHECK_STR(all->it.log, "(1:b (1:b (1:b !1:b ");
}

TEST(what_has_no_room_is_not_deferred) {
    char text[1100];
    memset(text, 'b', sizeof text - 1);
    text[sizeof text - 1] = 0;
    setting all;
    start_with(&all, 4096);
    for (int i = 0; i < 4; i++)
        give(&all, CRE_EVENT_MESSAGE, 1, text);
    cre_node_flush(all.owner);
    live_and_die(&all, fill);
    open_worker(&all);
    run(&all);
    CHECK_STR(all.it.log, "1:b 1:b 1:b ");
    stop(&all);
}

TEST(without_a_backlog_nothing_is_deferred) {
    setting all;
    start_with(&all, CRE_BUS_NO_BACKLOG);
    open_worker(&all);
    all.it.defers = 1;
    give(&all, CRE_EVENT_MESSAGE, 1, "a");
    run(&all);
    CHECK_STR(all.it.log, "!1:a ");
    cre_worker_leave(all.it.worker);
    give(&all, CRE_EVENT_MESSAGE, 2, "b");
    run(&all);
    CHECK_STR(all.it.log, "!1:a "); /* it is left in the ring */
    stop(&all);
}

TEST(invalid_entries_are_dropped) {
    setting all;
    start(&all);
    give_three(&all);
    live_and_die(&all, defer_all);
    cre__backlog_slot *slots =
        (cre__backlog_slot *)((cre__backlog_control *)cre__bus_backlog(all.bus, WORKER) + 1);
    slots[0].granule = UINT32_MAX;       /* beyond the end */
    slots[1].record.length = UINT32_MAX; /* longer than the memory */
    slots[2].granule = 0;
    open_worker(&all);
    run(&all);
    CHECK_STR(all.it.log, "1: ");
    stop(&all);

    start(&all);
    ((cre__backlog_control *)cre__bus_backlog(all.bus, WORKER))->used = UINT32_MAX;
    open_worker(&all);
    run(&all);
    CHECK_STR(all.it.log, "");
    stop(&all);
}

TEST_MAIN()
