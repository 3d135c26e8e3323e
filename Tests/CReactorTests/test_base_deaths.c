/* Workers with engines of their own that are killed while records between them are in transit. */
#include <signal.h>
#include <sys/wait.h>

#include "link/bus_internal.h"
#include "net.h"
#include "registry/table_internal.h"
#include "runtime/worker_internal.h"

enum { PARENT = 1, CHILD = 2, SMALL = 100, LARGE = 2000000 };

static uint8_t large[LARGE];

/* A worker of the test's process, or of a child. Its connections echo. */
typedef struct side {
    cre_loop *loop;
    cre_worker *worker;
    uint16_t port;
    int violations;
    net_server turned; /* for clients: their waits turn the loop */
} side;

static void on_event(void *context, const cre_record *event, uint8_t *payload) {
    side *it = context;
    if (event->kind == CRE_EVENT_END) cre_worker_close(it->worker, event->session, 0, NULL, 0);
    if (event->kind == CRE_EVENT_MESSAGE)
        CHECK_EQ(cre_worker_push(it->worker, event->session, event->opcode, true, payload, event->length), 0);
}

static void on_violation(void *context, uint32_t from) {
    (void)from;
    ((side *)context)->violations++;
}

/* So few connections that a later one gets the slot of the first. */
static cre_bus *make_bus(void) {
    cre_bus_config config = { .nodes = 3, .ring_bytes = 65536, .connections = 1, .max_payload = 8 << 20 };
    cre_bus *bus;
    REQUIRE(cre_bus_create(&config, &bus) == 0);
    return bus;
}

static void open_side(side *it, cre_bus *bus, uint32_t node) {
    *it = (side){ 0 };
    cre_engine_config engine = { .size = sizeof engine, .max_message = 8 << 20, .max_queue = 32 << 20 };
    cre_worker_config config = { .bus = bus,
                                 .node = node,
                                 .first_owner = PARENT,
                                 .owner_count = 2,
                                 .on_event = on_event,
                                 .violation = on_violation,
                                 .context = it,
                                 .engine = &engine };
    REQUIRE(cre_loop_create(&it->loop) == 0);
    REQUIRE(cre_worker_create(it->loop, &config, &it->worker) == 0);
    cre_listen_options where = { .size = sizeof where, .host = "127.0.0.1" };
    REQUIRE(cre_engine_listen(cre_worker_engine(it->worker), &where, &it->port) == 0);
    it->turned.loop = it->loop;
}

static void close_side(side *it) {
    cre_worker_destroy(it->worker);
    cre_loop_destroy(it->loop);
}

static cre_session only_session(cre_bus *bus) {
    cre_session session = 0;
    uint32_t cursor = 0;
    CHECK_EQ(cre_table_list(cre_bus_table(bus), &cursor, &session, 1), 1);
    return session;
}

/* More than the ring holds: the rest is in its spill. */
static int push_much(side *it, cre_session session) {
    memset(large, 'L', sizeof large);
    int result = cre_worker_push(it->worker, session, CRE_WS_BINARY, true, large, sizeof large);
    for (int i = 0; !result && i < SMALL; i++)
        result = cre_worker_push(it->worker, session, CRE_WS_BINARY, true, &i, sizeof i);
    return result;
}

/* ---- the worker in the other process ---- */

typedef struct child {
    pid_t pid;
    int commands, answers;
} child;

/* Runs in the child: accepts a client with 'o' and answers with its port, pushes with 'p' to the session that
 * follows. */
static void serve(cre_bus *bus, int commands, int answers) {
    side it;
    char command;
    if (read(commands, &command, 1) != 1) return;
    open_side(&it, bus, CHILD);
    if (command == 'o') {
        if (write(answers, &it.port, sizeof it.port) != sizeof it.port) return;
        cre_loop_run(it.loop);
        return;
    }
    cre_session session;
    if (read(commands, &session, sizeof session) != sizeof session) return;
    if (push_much(&it, session)) return;
    cre_worker_flush(it.worker);
    cre_worker_push(it.worker, session, CRE_WS_TEXT, true, "unpublished", 11);
    if (write(answers, "p", 1) != 1) return;
    pause();
}

static child fork_child(cre_bus *bus) {
    int commands[2], answers[2];
    REQUIRE(pipe(commands) == 0 && pipe(answers) == 0);
    pid_t pid = cre_process_fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        close(commands[1]);
        close(answers[0]);
        serve(bus, commands[0], answers[1]);
        _exit(1);
    }
    close(commands[0]);
    close(answers[1]);
    return (child){ pid, commands[1], answers[0] };
}

static uint16_t listens(const child *it) {
    uint16_t port;
    REQUIRE(write(it->commands, "o", 1) == 1);
    REQUIRE(read(it->answers, &port, sizeof port) == sizeof port);
    return port;
}

static void kill_child(child *it, cre_bus *bus) {
    int status;
    REQUIRE(kill(it->pid, SIGKILL) == 0);
    CHECK_EQ(waitpid(it->pid, &status, 0), it->pid);
    CHECK(WIFSIGNALED(status));
    cre_bus_forget(bus, CHILD);
    close(it->commands);
    close(it->answers);
}

/* ---- tests ---- */

/* Its successor drops pushes to connections that have ended with it, though one of its own has their slot. */
TEST(an_owner_dies_before_it_has_read_pushes) {
    cre_bus *bus = make_bus();
    child first = fork_child(bus), second = fork_child(bus);
    side it;
    open_side(&it, bus, PARENT);
    net_client client = net_ws_connect_to(NULL, listens(&first));
    cre_session session = only_session(bus);
    int status;
    REQUIRE(kill(first.pid, SIGSTOP) == 0);
    REQUIRE(waitpid(first.pid, &status, WUNTRACED) == first.pid && WIFSTOPPED(status));
    CHECK_EQ(push_much(&it, session), 0);
    net_settle(&it.turned);
    const cre__ring_control *ring = cre__bus_ring(bus, PARENT, CHILD);
    CHECK(atomic_load(&ring->tail) > atomic_load(&ring->taken)); /* in transit */
    kill_child(&first, bus);
    net_await_end(&client);
    CHECK_EQ(client.length, 0);
    net_close(&client);
    CHECK_EQ(cre_worker_push(it.worker, session, CRE_WS_TEXT, true, "x", 1), CRE_EGONE);

    const uint16_t port = listens(&second);
    cre_table *table = cre_bus_table(bus);
    cre_session next = 0;
    for (int i = 0; i < 64 && (!next || cre__table_index(table, next) != cre__table_index(table, session));
         i++) {
        if (next) net_close(&client);
        NET_UNTIL(NULL, cre_table_count(table) == 0);
        client = net_ws_connect_to(NULL, port);
        next = only_session(bus);
    }
    CHECK(next != session);
    CHECK_EQ(cre__table_index(table, next), cre__table_index(table, session));
    net_ws_text(&client, "echo");
    net_ws_expect_text(&client, "echo"); /* nothing is before it */
    /* One that was accepted before the slot was given away, and is published only now. */
    cre_record stale = {
        .kind = CRE_COMMAND_PUSH, .opcode = CRE_WS_TEXT, .flags = CRE_RECORD_FINAL, .session = session
    };
    CHECK_EQ(cre__worker_send(it.worker, CHILD, &stale, &(cre_slice){ (const uint8_t *)"stale", 5 }, 1), 0);
    CHECK_EQ(cre_worker_push(it.worker, next, CRE_WS_TEXT, true, "fresh", 5), 0);
    client.net = &it.turned;
    net_ws_expect_text(&client, "fresh");
    CHECK_EQ(it.violations, 0);
    kill_child(&second, bus);
    net_close(&client);
    close_side(&it);
    cre_bus_destroy(bus);
}

/* What it has published arrives whole and in order, and what it has not does not arrive. */
TEST(a_sender_dies_before_its_pushes_are_read) {
    cre_bus *bus = make_bus();
    child first = fork_child(bus), second = fork_child(bus);
    side it;
    open_side(&it, bus, PARENT);
    net_client client = net_ws_connect_to(&it.turned, it.port);
    cre_session session = only_session(bus);
    child *senders[] = { &first, &second };
    for (int round = 0; round < 2; round++) { /* the successor finds what the first has left */
        char done;
        REQUIRE(write(senders[round]->commands, "p", 1) == 1);
        REQUIRE(write(senders[round]->commands, &session, sizeof session) == sizeof session);
        REQUIRE(read(senders[round]->answers, &done, 1) == 1);
        kill_child(senders[round], bus);
    }
    for (int round = 0; round < 2; round++) {
        net_ws_expect(&client, CRE_WS_BINARY, large, sizeof large);
        for (int i = 0; i < SMALL; i++)
            net_ws_expect(&client, CRE_WS_BINARY, &i, sizeof i);
    }
    net_ws_text(&client, "echo");
    net_ws_expect_text(&client, "echo");
    CHECK_EQ(it.violations, 0);
    net_close(&client);
    close_side(&it);
    cre_bus_destroy(bus);
}

TEST_MAIN()
