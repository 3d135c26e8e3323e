/* Tasks: who gets them, who is notified, and what a dead task worker leaves. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>

#include "loop/loop_internal.h"
#include "runtime/worker_internal.h"
#include "test.h"

/* Nodes: 0 and 1 post, 2 and 3 are task workers. All are turned by hand. */
#define TASK_NODES 2u

typedef struct process {
    cre_bus *bus;
    cre_loop *loop;
    cre_worker *worker;
    uint32_t node;
    int results, finals, messages, tasks;
    uint64_t last; /* number of the last task or result */
    uint32_t from;
    uint8_t opcode;
    char text[32];
    size_t bytes;
    bool suspends;
    int answers; /* results of each task */
} process;

static void on_message(void *context, uint32_t from, const cre_record *message, uint8_t *payload) {
    process *it = context;
    it->last = message->session;
    it->opcode = message->opcode;
    it->from = from;
    it->bytes += message->length;
    snprintf(it->text, sizeof it->text, "%.*s", (int)(message->length < 31 ? message->length : 31),
             (const char *)payload);
    if (message->kind == CRE_MESSAGE_RESULT) {
        it->results++;
        if (message->flags & CRE_RECORD_FINAL) it->finals++;
    }
    if (message->kind == CRE_MESSAGE_PIPE) it->messages++;
    if (message->kind != CRE_MESSAGE_TASK) return;
    it->tasks++;
    for (int i = 0; i < it->answers; i++)
        cre_task_answer(it->worker, CRE_TASK_RESULT, payload, message->length);
    if (it->suspends) cre_task_suspend(it->worker);
}

static cre_bus *make_bus(uint32_t queue_bytes) {
    cre_bus *bus;
    /* Without arenas, so that large records travel in chunks. */
    cre_bus_config config = { .nodes = 4,
                              .ring_bytes = 4096,
                              .connections = 64,
                              .queue_bytes = queue_bytes,
                              .arena_bytes = CRE_BUS_NO_ARENA };
    REQUIRE(cre_bus_create(&config, &bus) == 0);
    return bus;
}

static process begin(cre_bus *bus, uint32_t node) {
    process it = { .bus = bus, .node = node };
    REQUIRE(cre_loop_create(&it.loop) == 0);
    return it;
}

static void open_process(process *it) {
    cre_worker_config config = { .bus = it->bus,
                                 .node = it->node,
                                 .on_message = on_message,
                                 .context = it,
                                 .first_task = 2,
                                 .task_count = TASK_NODES };
    REQUIRE(cre_worker_create(it->loop, &config, &it->worker) == 0);
}

static void end_process(process *it) {
    cre_worker_destroy(it->worker);
    cre_loop_destroy(it->loop);
}

#define FAMILY(queue_bytes)                                                          \
    cre_bus *bus = make_bus(queue_bytes);                                            \
    process all[4] = { begin(bus, 0), begin(bus, 1), begin(bus, 2), begin(bus, 3) }; \
    for (int i = 0; i < 4; i++)                                                      \
    open_process(&all[i])

#define FAMILY_END_WITHOUT_BUS() \
    for (int i = 0; i < 4; i++)  \
    end_process(&all[i])

#define FAMILY_END()            \
    for (int i = 0; i < 4; i++) \
        end_process(&all[i]);   \
    cre_bus_destroy(bus)

static void turn(process *it) {
    cre__loop_turn(it->loop, false);
}

static void turn_all(process *all) {
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < 4; i++)
            turn(&all[i]);
}

static cre_task_posting post(process *from, int chosen, cre_task_kind kind, const char *text) {
    cre_task_posting posting;
    REQUIRE(cre_task_post(from->worker, chosen, kind, text, strlen(text), &posting) == 0);
    return posting;
}

TEST(a_task_is_done_and_its_poster_gets_the_result) {
    FAMILY(0);
    all[2].answers = 1;
    CHECK_EQ(post(&all[0], 0, CRE_TASK_NOTED, "work").number, 1);
    turn_all(all);
    CHECK_EQ(all[2].tasks, 1);
    CHECK_EQ(all[2].from, 0);
    CHECK_EQ(all[0].results, 2); /* the result, and that it is over */
    CHECK_EQ(all[0].finals, 1);
    CHECK_EQ(all[0].opcode, CRE_TASK_DONE);
    CHECK_EQ(all[0].last, 1);
    cre_activity activity;
    cre_bus_get_activity(bus, 2, &activity);
    CHECK_EQ(activity.tasks_given, 1);
    CHECK_EQ(activity.tasks_done, 1);
    CHECK_EQ(activity.kind, CRE_MESSAGE_TASK);
    CHECK(!activity.running);
    FAMILY_END();
}

TEST(a_one_way_task_has_no_result) {
    FAMILY(0);
    all[2].answers = 1;
    post(&all[0], 0, CRE_TASK_ONE_WAY, "work");
    turn_all(all);
    CHECK_EQ(all[2].tasks, 1);
    CHECK_EQ(all[0].results, 0);
    CHECK_EQ(cre_task_answer(all[2].worker, CRE_TASK_RESULT, "x", 1), CRE_EGONE);
    FAMILY_END();
}

/* Others may overwrite what a process publishes of its tasks. */
TEST(overwritten_activities_are_restored) {
    FAMILY(0);
    all[2].answers = 1;
    static const int bytes[] = { 0, 0xA5, 0xFF };
    for (int i = 0; i < 3; i++) {
        post(&all[0], 0, CRE_TASK_NOTED, "before");
        turn_all(all);
        memset(bus->activities, bytes[i], 4 * sizeof *bus->activities);
        /* Counted twice, as a task on its way looks the same. */
        uint32_t repaired = cre__activity_repair(all[2].worker) + cre__activity_repair(all[2].worker);
        CHECK_EQ(repaired > 0, bytes[i] != 0);
        CHECK_EQ(cre__activity_repair(all[2].worker), 0);
        cre_activity activity;
        cre_bus_get_activity(bus, 2, &activity);
        CHECK(!activity.running);
        CHECK_EQ(activity.tasks_given, activity.tasks_done);
        cre_task_posting posting = post(&all[0], 0, CRE_TASK_NOTED, "after");
        CHECK_EQ(posting.number, 2 * (uint64_t)i + 2);
        CHECK_EQ(posting.waiting, 0);
        turn_all(all);
        CHECK_EQ(all[0].finals, 2 * i + 2);
        CHECK_EQ(all[0].last, posting.number);
    }
    FAMILY_END();
}

TEST(the_idle_come_first) {
    FAMILY(0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(post(&all[0], 0, CRE_TASK_NOTED, "long").waiting, (uint64_t)i);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(post(&all[1], -1, CRE_TASK_NOTED, "short").node, 3);
    uint32_t first = post(&all[1], -1, CRE_TASK_NOTED, "even").node;
    CHECK(post(&all[1], -1, CRE_TASK_NOTED, "even").node != first);
    turn_all(all);
    turn_all(all);
    CHECK_EQ(all[2].tasks + all[3].tasks, 8);
    CHECK_EQ(all[0].finals, 3);
    CHECK_EQ(all[1].finals, 5);
    FAMILY_END();
}

TEST(nobody_posts_to_himself_or_to_nobody) {
    FAMILY(0);
    cre_task_posting posting;
    CHECK_EQ(cre_task_post(all[0].worker, 2, CRE_TASK_NOTED, "x", 1, &posting), CRE_EINVALID);
    CHECK_EQ(cre_task_post(all[2].worker, 0, CRE_TASK_NOTED, "x", 1, &posting), CRE_EINVALID);
    CHECK_EQ(post(&all[2], -1, CRE_TASK_ONE_WAY, "x").node, 3);
    CHECK_EQ(cre_worker_send_message(all[0].worker, 0, "x", 1), CRE_EINVALID);
    CHECK_EQ(cre_worker_send_message(all[0].worker, 4, "x", 1), CRE_EINVALID);
    FAMILY_END();
}

TEST(a_suspended_task_holds_those_behind_it) {
    FAMILY(0);
    all[2].suspends = true;
    post(&all[0], 0, CRE_TASK_NOTED, "first");
    post(&all[0], 0, CRE_TASK_NOTED, "second");
    turn_all(all);
    CHECK_EQ(all[2].tasks, 1);
    CHECK_EQ(all[0].results, 0);
    all[2].suspends = false;
    cre_task_end(all[2].worker, CRE_TASK_FAILED, "why", 3);
    turn_all(all);
    CHECK_EQ(all[2].tasks, 2);
    CHECK_EQ(all[0].finals, 2);
    FAMILY_END();
}

TEST(a_death_is_reported_and_costs_one_task) {
    FAMILY(0);
    all[2].suspends = true;
    post(&all[0], 0, CRE_TASK_AWAITED, "fatal");
    post(&all[0], 0, CRE_TASK_AWAITED, "next");
    turn_all(all);
    /* What a killed process leaves is what it had published: it does not close. */
    cre_worker *dead = all[2].worker;
    cre_loop *loop = all[2].loop;
    cre_bus_forget(bus, 2);
    all[2] = begin(bus, 2);
    open_process(&all[2]);
    turn(&all[0]);
    CHECK_EQ(all[0].opcode, CRE_TASK_CRASHED | CRE_TASK_AWAITED << 4);
    CHECK_EQ(all[0].last, 1);
    turn_all(all);
    CHECK_EQ(all[0].finals, 2);
    CHECK_EQ(all[0].opcode, CRE_TASK_DONE | CRE_TASK_AWAITED << 4);
    CHECK_EQ(all[0].last, 2);
    FAMILY_END_WITHOUT_BUS();
    cre_worker_destroy(dead);
    cre_loop_destroy(loop);
    cre_bus_destroy(bus);
}

TEST(each_task_of_a_poster_has_a_turn_of_its_own) {
    FAMILY(0);
    for (int i = 0; i < 3; i++)
        post(&all[0], 0, CRE_TASK_NOTED, "task");
    post(&all[1], 0, CRE_TASK_NOTED, "task");
    turn(&all[0]);
    turn(&all[1]);
    turn(&all[2]);
    CHECK_EQ(all[2].tasks, 2);
    turn(&all[2]);
    CHECK_EQ(all[2].tasks, 3);
    turn(&all[2]);
    CHECK_EQ(all[2].tasks, 4);
    FAMILY_END();
}

TEST(a_suspended_task_holds_large_ones_that_came_in_part) {
    FAMILY(0);
    static char large[30000]; /* in chunks */
    cre_task_posting posting;
    REQUIRE(cre_task_post(all[0].worker, 0, CRE_TASK_NOTED, large, sizeof large, &posting) == 0);
    turn(&all[0]);
    turn(&all[2]);
    CHECK(!cre_worker_end_receiving(all[2].worker));
    all[2].suspends = true;
    post(&all[1], 0, CRE_TASK_NOTED, "first");
    for (int round = 0; round < 16; round++)
        turn_all(all);
    CHECK_EQ(all[2].tasks, 1);
    CHECK_EQ(all[2].from, 1);
    all[2].suspends = false;
    cre_task_end(all[2].worker, CRE_TASK_DONE, NULL, 0);
    turn_all(all);
    CHECK_EQ(all[1].finals, 1);
    for (int round = 0; round < 16; round++)
        turn_all(all);
    CHECK(cre_worker_end_receiving(all[2].worker));
    CHECK_EQ(all[2].tasks, 2);
    CHECK_EQ(all[0].finals, 1);
    FAMILY_END();
}

TEST(a_death_within_a_large_task_is_reported) {
    FAMILY(0);
    static char large[8000];
    cre_task_posting posting;
    REQUIRE(cre_task_post(all[0].worker, 0, CRE_TASK_AWAITED, large, sizeof large, &posting) == 0);
    turn(&all[0]);
    turn(&all[2]); /* its beginning is taken; the rest has no room in the ring yet */
    cre_worker *dead = all[2].worker;
    cre_loop *loop = all[2].loop;
    all[2] = begin(bus, 2);
    open_process(&all[2]);
    turn_all(all);
    CHECK_EQ(all[2].tasks, 0);
    CHECK_EQ(all[0].finals, 1);
    CHECK_EQ(all[0].opcode & 15, CRE_TASK_CRASHED);
    CHECK_EQ(all[0].last, posting.number);
    post(&all[0], 0, CRE_TASK_NOTED, "next");
    turn_all(all);
    CHECK_EQ(all[2].tasks, 1);
    CHECK_EQ(all[0].finals, 2);
    FAMILY_END_WITHOUT_BUS();
    cre_worker_destroy(dead);
    cre_loop_destroy(loop);
    cre_bus_destroy(bus);
}

TEST(numbers_go_on_when_the_poster_was_replaced) {
    FAMILY(0);
    CHECK_EQ(post(&all[0], 0, CRE_TASK_NOTED, "a").number, 1);
    cre_worker_destroy(all[0].worker);
    open_process(&all[0]);
    CHECK_EQ(post(&all[0], 0, CRE_TASK_NOTED, "b").number, 2);
    turn_all(all);
    CHECK_EQ(all[0].finals, 2); /* the successor is notified of both */
    FAMILY_END();
}

TEST(a_task_worker_that_stops_receiving_leaves_its_tasks) {
    FAMILY(0);
    cre_worker_stop_receiving(all[2].worker);
    post(&all[0], 0, CRE_TASK_NOTED, "a");
    turn_all(all);
    CHECK_EQ(all[2].tasks, 0);
    cre_worker_destroy(all[2].worker);
    open_process(&all[2]);
    turn_all(all);
    CHECK_EQ(all[2].tasks, 1);
    CHECK_EQ(all[0].finals, 1);
    FAMILY_END();
}

TEST(what_has_no_room_is_refused_and_nothing_is_lost) {
    FAMILY(16384);
    char data[1000] = { 'x' };
    cre_task_posting posting;
    int given = 0, result;
    while ((result = cre_task_post(all[0].worker, 0, CRE_TASK_NOTED, data, sizeof data, &posting)) == 0)
        given++;
    CHECK_EQ(result, CRE_ELINK_FULL);
    CHECK(given > 10);
    for (int i = 0; i < 40; i++)
        turn_all(all);
    CHECK_EQ(all[2].tasks, given);
    CHECK_EQ(all[0].finals, given);
    CHECK_EQ(cre_task_post(all[0].worker, 0, CRE_TASK_NOTED, data, sizeof data, &posting), 0);
    CHECK_EQ(posting.number, (uint64_t)given + 1);
    FAMILY_END();
}

TEST(megabytes_go_both_ways) {
    FAMILY(0);
    static char data[3 << 20];
    memset(data, 'm', sizeof data);
    all[3].answers = 1;
    cre_task_posting posting;
    REQUIRE(cre_task_post(all[0].worker, 1, CRE_TASK_NOTED, data, sizeof data, &posting) == 0);
    for (int i = 0; i < 5000 && !all[0].finals; i++)
        turn_all(all);
    CHECK_EQ(all[3].bytes, sizeof data);
    CHECK_EQ(all[0].bytes, sizeof data);
    FAMILY_END();
}

TEST(everybody_talks_to_everybody) {
    FAMILY(0);
    for (uint32_t from = 0; from < 4; from++)
        for (uint32_t to = 0; to < 4; to++)
            if (from != to) CHECK_EQ(cre_worker_send_message(all[from].worker, to, "hello", 5), 0);
    turn_all(all);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(all[i].messages, 3);
        CHECK(strcmp(all[i].text, "hello") == 0);
    }
    FAMILY_END();
}

TEST(who_has_no_loop_sends_all_the_same) {
    FAMILY(0);
    cre_worker_destroy(all[1].worker);
    cre_worker_config config = { .bus = bus, .node = 1, .first_task = 2, .task_count = TASK_NODES };
    cre_worker *sender;
    REQUIRE(cre_worker_create(NULL, &config, &sender) == 0);
    CHECK_EQ(cre_worker_send_message(sender, 0, "hello", 5), 0);
    turn_all(all);
    CHECK_EQ(all[0].messages, 1);
    cre_worker_destroy(sender);
    open_process(&all[1]);
    FAMILY_END();
}

static int refuse(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    (void)context, (void)from, (void)record, (void)payload;
    return 0;
}

static void note_violation(void *context, uint32_t from) {
    ((process *)context)->from = from;
}

TEST(a_task_for_a_node_without_tasks_is_malformed) {
    FAMILY(0);
    cre_worker_destroy(all[0].worker);
    cre_worker_config config = { .bus = bus, .violation = note_violation, .context = &all[0] };
    REQUIRE(cre_worker_create(all[0].loop, &config, &all[0].worker) == 0);
    cre_worker_destroy(all[1].worker);
    cre_node_handlers handlers = { .record = refuse };
    cre_node *node;
    REQUIRE(cre_node_open(bus, 1, all[1].loop, &handlers, NULL, &node) == 0);
    cre_record record = { .kind = CRE_MESSAGE_TASK, .session = 1 };
    CHECK_EQ(cre_node_send(node, 0, &record, NULL, 0), 0);
    for (int i = 0; i < 4; i++) {
        turn(&all[1]);
        turn(&all[0]);
    }
    CHECK_EQ(all[0].from, 1);
    cre_node_close(node);
    open_process(&all[1]);
    FAMILY_END();
}

TEST(what_a_process_is_at_can_be_seen) {
    FAMILY(0);
    cre_activity activity;
    CHECK(cre_worker_set_activity(all[0].worker, CRE_AT_TIMER));
    CHECK(!cre_worker_set_activity(all[0].worker, CRE_AT_JOB));
    cre_worker_set_ending(all[0].worker, 7);
    cre_bus_get_activity(bus, 0, &activity);
    CHECK(activity.running);
    CHECK_EQ(activity.kind, CRE_AT_TIMER);
    CHECK_EQ(activity.ending, 7);
    cre_worker_set_activity(all[0].worker, CRE_AT_NOTHING);
    cre_bus_get_activity(bus, 0, &activity);
    CHECK(!activity.running);
    CHECK_EQ(activity.kind, CRE_AT_TIMER);
    cre_bus_get_activity(bus, 99, &activity);
    CHECK_EQ(activity.kind, 0);
    FAMILY_END();
}

TEST_MAIN()
