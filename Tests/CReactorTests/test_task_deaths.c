/* Processes that are killed at each step of a task: every task ends for its poster in exactly one way. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "link/bus_internal.h"
#include "loop/loop_internal.h"
#include "runtime/worker_internal.h"
#include "test.h"

/* A single step never completes a pair of exclusive load and store, as other processors have them; and with a
 * sanitizer there are too many steps. */
#if defined(__x86_64__) && TEST_STRIDE == 1

enum { POSTER, OTHER, TASKS, NODES, MOST = 8 };

typedef struct process {
    cre_loop *loop;
    cre_worker *worker;
    bool returns, suspends;                /* as a task worker */
    int results[MOST + 1], ends[MOST + 1]; /* as a poster, by task */
    int served[MOST + 1];
    uint8_t status[MOST + 1]; /* of the last end */
} process;

static cre_bus *bus;

static void on_message(void *context, uint32_t from, const cre_record *message, uint8_t *payload) {
    process *it = context;
    REQUIRE(message->session > 0 && message->session <= MOST);
    if (message->kind == CRE_MESSAGE_TASK) {
        CHECK(message->length == 0 || payload[message->length - 1] == 'p');
        it->served[message->session]++;
        if (it->suspends)
            cre_task_suspend(it->worker);
        else if (it->returns)
            cre_task_end(it->worker, CRE_TASK_RESULT, "r", 1);
        else
            cre_task_answer(it->worker, CRE_TASK_RESULT, "r", 1);
        return;
    }
    CHECK_EQ(from, TASKS);
    const uint8_t status = message->opcode & 15;
    it->results[message->session] += status == CRE_TASK_RESULT;
    if (!(message->flags & CRE_RECORD_FINAL)) return;
    it->ends[message->session]++;
    it->status[message->session] = status;
}

static void open_process(process *it, uint32_t node) {
    const cre_worker_config config = { .bus = bus,
                                       .node = node,
                                       .on_message = on_message,
                                       .context = it,
                                       .first_task = TASKS,
                                       .task_count = 1 };
    if (!it->loop) REQUIRE(cre_loop_create(&it->loop) == 0);
    REQUIRE(cre_worker_create(it->loop, &config, &it->worker) == 0);
}

static void close_process(process *it) {
    cre_worker_destroy(it->worker);
    cre_loop_destroy(it->loop);
}

static void turn(process *it) {
    cre__loop_turn(it->loop, false);
}

static void make_bus(void) {
    const cre_bus_config config = {
        .nodes = NODES,
        .ring_bytes = 4096,
        .arena_bytes = CRE_BUS_NO_ARENA,
        .backlog_bytes = CRE_BUS_NO_BACKLOG,
        .connections = 8,
    };
    REQUIRE(cre_bus_create(&config, &bus) == 0);
}

static uint64_t post(cre_worker *worker, cre_task_kind kind, size_t length) {
    static uint8_t data[20000];
    memset(data, 'p', sizeof data);
    cre_task_posting posting;
    REQUIRE(cre_task_post(worker, 0, kind, data, length, &posting) == 0);
    return posting.number;
}

/* ---- each state of shared memory that a process goes through, and its successor there ---- */

enum { SPILLED = 64 << 10 }; /* bytes of a spill that these tests use */

/* The positions of all rings and what processes publish of themselves. */
static size_t watched(uint8_t *copy) {
    size_t size = 0;
    for (uint32_t from = 0; from < NODES; from++)
        for (uint32_t to = 0; to < NODES; to++, size += sizeof(cre__ring_control))
            memcpy(copy + size, cre__bus_ring(bus, from, to), sizeof(cre__ring_control));
    memcpy(copy + size, bus->activities, NODES * sizeof *bus->activities);
    return size + NODES * sizeof *bus->activities;
}

/* The mapped part of the bus, and the spills. */
static void save(uint8_t *copy) {
    memcpy(copy, bus->memory, bus->size);
    for (uint32_t i = 0; i < NODES * NODES; i++)
        REQUIRE(pread(bus->memfd, copy + bus->size + (size_t)i * SPILLED, SPILLED,
                      (off_t)(bus->size + i * bus->spill_bytes)) == SPILLED);
}

static void restore(const uint8_t *copy) {
    memcpy(bus->memory, copy, bus->size);
    for (uint32_t i = 0; i < NODES * NODES; i++)
        REQUIRE(pwrite(bus->memfd, copy + bus->size + (size_t)i * SPILLED, SPILLED,
                       (off_t)(bus->size + i * bus->spill_bytes)) == SPILLED);
}

/* In a process of its own, which leaves shared memory as it was. */
static void judge(void (*check)(bool died), bool died) {
    const size_t size = bus->size + (size_t)NODES * NODES * SPILLED;
    uint8_t *copy = malloc(size);
    REQUIRE(copy);
    save(copy);
    pid_t pid = cre_process_fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        test_failures = 0;
        check(died);
        _exit(test_failures > 0);
    }
    int status;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK_EQ(status, 0);
    restore(copy);
    free(copy);
}

/* Runs `work` in a child, one instruction after the other. After each change to shared memory `check` looks
 * what would be if it had been killed there, and in the end what is. Returns the number of changes. */
static int follow(void (*prepare)(void), void (*work)(void), void (*check)(bool died)) {
    static uint8_t before[1 << 14], now[1 << 14];
    pid_t pid = cre_process_fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        if (prepare) prepare();
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) _exit(2);
        raise(SIGSTOP);
        work();
        _exit(0);
    }
    int status, changes = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFSTOPPED(status)); /* or the system permits no ptrace */
    const size_t size = watched(before);
    REQUIRE(size <= sizeof before);
    for (;;) {
        REQUIRE(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0);
        REQUIRE(waitpid(pid, &status, 0) == pid);
        if (WIFEXITED(status)) break;
        REQUIRE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
        watched(now);
        if (memcmp(before, now, size) == 0) continue;
        memcpy(before, now, size);
        changes++;
        judge(check, true);
    }
    CHECK_EQ(WEXITSTATUS(status), 0);
    judge(check, false);
    return changes;
}

/* ---- the task worker ---- */

static process mortal; /* of the child */

static void be_task_worker(void) {
    open_process(&mortal, TASKS);
}

/* Until each poster's last task was served, or dropped by whoever took over a part of it. */
static void serve(void) {
    const cre__node_block *block = &bus->nodes[TASKS];
    for (int i = 0; i < 8 && (i < 3 || !atomic_load(&block->sleeping)); i++)
        turn(&mortal);
}

static void succeed_and_serve(void) {
    be_task_worker();
    serve();
}

static void settle(process *posters, process *tasks) {
    for (int i = 0; i < 16; i++) {
        turn(&posters[POSTER]);
        turn(&posters[OTHER]);
        turn(tasks);
    }
}

/* Each of the tasks has ended once: with what the handler says, or as crashed. */
static void check_ends(const process *poster, uint64_t count, bool returns, int *crashed) {
    for (uint64_t task = 1; task <= count; task++) {
        CHECK_EQ(poster->ends[task], 1);
        if (poster->status[task] == CRE_TASK_CRASHED) {
            ++*crashed;
            CHECK(poster->results[task] <= !returns);
        } else {
            CHECK_EQ(poster->status[task], returns ? CRE_TASK_RESULT : CRE_TASK_DONE);
            CHECK_EQ(poster->results[task], 1);
        }
    }
}

typedef struct scenario {
    size_t length; /* of the tasks */
    bool returns;  /* the handler ends with its result */
    bool succeeds; /* the one that is killed has taken over from one that died in a task */
} scenario;

static const scenario *now;
static process posters[2];

static void check_tasks(bool died) {
    process last = { .returns = now->returns };
    cre_bus_forget(bus, TASKS);
    open_process(&last, TASKS);
    settle(posters, &last);
    int crashed = 0;
    check_ends(&posters[POSTER], 2, now->returns, &crashed);
    check_ends(&posters[OTHER], 1, now->returns, &crashed);
    /* Those that it had in hand, and no others: perhaps a large one of each poster in part. */
    const int with_one = now->length > 1000 ? 2 : 1;
    CHECK(crashed <= with_one * (died + now->succeeds));
    CHECK(crashed >= now->succeeds);
    CHECK_EQ(post(posters[POSTER].worker, CRE_TASK_NOTED, 1), 3);
    settle(posters, &last);
    CHECK_EQ(posters[POSTER].ends[3], 1);
}

static void follow_tasks(const scenario *it) {
    make_bus();
    now = it;
    memset(posters, 0, sizeof posters);
    process first = { .suspends = true };
    open_process(&posters[POSTER], POSTER);
    open_process(&posters[OTHER], OTHER);
    if (it->succeeds) open_process(&first, TASKS);
    post(posters[POSTER].worker, CRE_TASK_NOTED, it->length);
    post(posters[POSTER].worker, CRE_TASK_AWAITED, it->length);
    post(posters[OTHER].worker, CRE_TASK_NOTED, it->length);
    turn(&posters[POSTER]);
    turn(&posters[OTHER]);
    for (int i = 0; it->succeeds && i < 16 && !first.served[1]; i++)
        turn(&first);
    CHECK_EQ(first.served[1], it->succeeds);
    cre_bus_forget(bus, TASKS);
    mortal = (process){ .returns = it->returns };
    int changes = it->succeeds ? follow(NULL, succeed_and_serve, check_tasks)
                               : follow(be_task_worker, serve, check_tasks);
    CHECK(changes > 20);
    close_process(&posters[POSTER]);
    close_process(&posters[OTHER]);
    if (it->succeeds) close_process(&first);
    cre_bus_destroy(bus);
}

TEST(a_task_worker_dies_at_each_step) {
    static const scenario scenarios[] = {
        { .length = 10 },
        { .length = 10, .returns = true },
        { .length = 2500, .returns = true }, /* in chunks, some of which are in the spill */
        { .length = 10, .returns = true, .succeeds = true },
        { .length = 2500, .succeeds = true },
    };
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        follow_tasks(&scenarios[i]);
}

/* ---- the poster ---- */

static void be_poster(void) {
    open_process(&mortal, POSTER);
    cre_worker_set_immediate(mortal.worker, true);
}

static void post_two(void) {
    post(mortal.worker, CRE_TASK_NOTED, 10);
    post(mortal.worker, CRE_TASK_NOTED, 10);
}

static process tasks;

/* No number is used twice. */
static void check_numbers(bool died) {
    process successor = { 0 };
    cre_bus_forget(bus, POSTER);
    open_process(&successor, POSTER);
    post(successor.worker, CRE_TASK_NOTED, 10);
    for (int i = 0; i < 8; i++) {
        turn(&successor);
        turn(&tasks);
    }
    int served = 0;
    for (int task = 1; task <= MOST; task++) {
        CHECK(tasks.served[task] <= 1);
        CHECK_EQ(successor.ends[task], tasks.served[task]);
        served += tasks.served[task];
    }
    CHECK(served >= 1 && served <= 3);
    if (!died) CHECK_EQ(served, 3);
}

TEST(a_poster_dies_at_each_step) {
    make_bus();
    mortal = tasks = (process){ 0 };
    open_process(&tasks, TASKS);
    CHECK(follow(be_poster, post_two, check_numbers) > 4);
    close_process(&tasks);
    cre_bus_destroy(bus);
}

#endif

TEST_MAIN()
