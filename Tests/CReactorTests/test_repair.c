/* What a process may overwrite in shared memory, and what becomes of it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

#include "hosts.h"
#include "link/node_internal.h"
#include "registry/table_internal.h"

static void fill(cre_bus *bus, const void *from, const void *to, int byte) {
    REQUIRE((const uint8_t *)from >= (uint8_t *)bus->memory && from < to);
    memset((void *)(uintptr_t)from, byte, (size_t)((const uint8_t *)to - (const uint8_t *)from));
}

static void fill_table(cre_bus *bus, int byte) {
    uint8_t *table = (uint8_t *)bus->table->shown;
    fill(bus, table, table + cre_table_size(bus->config.connections), byte);
}

static void fill_nodes(cre_bus *bus, int byte) {
    fill(bus, bus->nodes, bus->nodes + bus->config.nodes, byte);
}

/* ---- descriptors ---- */

TEST(no_process_can_truncate_the_bus) {
    reactor_host host;
    make_bus(&host, 0);
    int descriptors[4], status;
    CHECK_EQ(cre_bus_descriptors(host.bus, descriptors, 4), 4);
    pid_t pid = fork();
    if (pid == 0) {
        bool refused = ftruncate(descriptors[0], 4096) < 0 && errno == EPERM;
        refused = refused && ftruncate(descriptors[0], (off_t)host.bus->size * 2) < 0 && errno == EPERM;
        refused = refused && fcntl(descriptors[0], F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0 && errno == EPERM;
        _exit(refused ? 0 : 1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    start_reactor(&host);
    echoer worker;
    start_thread(&worker, &host);
    net_client client = connect_ws(&host);
    net_ws_text(&client, "alive");
    net_ws_expect_text(&client, "alive");
    net_close(&client);
    stop_thread(&worker);
    end_host(&host);
}

TEST(only_a_sealed_bus_is_attached_to) {
    cre_bus_config config = { .nodes = 3, .connections = 100 };
    cre_bus *bus, *again;
    REQUIRE(cre_bus_create(&config, &bus) == 0);
    int descriptors[4];
    REQUIRE(cre_bus_descriptors(bus, descriptors, 4) <= 4);
    int copy = memfd_create("copy", MFD_CLOEXEC);
    REQUIRE(copy >= 0 && ftruncate(copy, (off_t)bus->size) == 0);
    CHECK_EQ(pwrite(copy, bus->memory, 4096, 0), 4096);
    descriptors[0] = copy;
    CHECK_EQ(cre_bus_attach(&config, descriptors, 4, &again), CRE_ELINK_MISMATCH);
    close(copy);
    cre_bus_destroy(bus);
}

/* ---- blocks of nodes ---- */

typedef struct receiver {
    cre_loop *loop;
    cre_node *node;
    atomic_ullong received;
    uint32_t repaired;
    int violations;
    bool rests; /* it is not checked while it is not used */
} receiver;

static int on_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    (void)from;
    (void)payload;
    atomic_fetch_add(&((receiver *)context)->received, 1);
    return record->opcode == 99 ? CRE_EINVALID : 0;
}

static void count_violation(void *context, uint32_t from) {
    CHECK_EQ(from, 0);
    ((receiver *)context)->violations++;
}

static bool on_check(void *context, uint32_t repaired) {
    ((receiver *)context)->repaired += repaired;
    return !((receiver *)context)->rests;
}

static void open_receiver(receiver *it, cre_bus *bus, uint32_t id) {
    *it = (receiver){ 0 };
    REQUIRE(cre_loop_create(&it->loop) == 0);
    cre_node_handlers handlers = { .record = on_record, .violation = count_violation, .check = on_check };
    REQUIRE(cre_node_open(bus, id, it->loop, &handlers, it, &it->node) == 0);
}

static void close_receiver(receiver *it) {
    cre_node_close(it->node);
    cre_loop_destroy(it->loop);
}

static void turn(receiver *it) {
    cre__loop_turn(it->loop, false);
}

static void send_one(receiver *from, uint8_t opcode) {
    cre_record record = { .kind = 2, .opcode = opcode };
    CHECK_EQ(cre_node_send(from->node, 1, &record, NULL, 0), 0);
    turn(from);
}

#define TWO_NODES()                                            \
    cre_bus_config config = { .nodes = 3, .connections = 10 }; \
    cre_bus *bus;                                              \
    REQUIRE(cre_bus_create(&config, &bus) == 0);               \
    receiver a, b;                                             \
    open_receiver(&a, bus, 0);                                 \
    open_receiver(&b, bus, 1)

#define END_NODES()     \
    close_receiver(&a); \
    close_receiver(&b); \
    cre_bus_destroy(bus)

TEST(the_block_of_a_node_is_restored) {
    TWO_NODES();
    send_one(&a, 1);
    turn(&b);
    turn(&b);
    CHECK_EQ(b.received, 1);
    CHECK_EQ(cre__node_repair(a.node) + cre__node_repair(b.node), 0);
    static const int bytes[] = { 0, 0xA5, 0xFF };
    for (int i = 0; i < 3; i++) {
        fill_nodes(bus, bytes[i]);
        CHECK(cre__node_repair(a.node) > 0);
        CHECK(cre__node_repair(b.node) > 0);
        CHECK_EQ(cre__node_repair(a.node) + cre__node_repair(b.node), 0);
        CHECK_EQ(cre_bus_pid(bus, 0), getpid());
        CHECK_EQ(cre_bus_pid(bus, 1), getpid());
        send_one(&a, 1);
        turn(&b);
        turn(&b);
        CHECK_EQ(b.received, (uint64_t)i + 2);
    }
    END_NODES();
}

TEST(the_reader_remembers_who_sends) {
    TWO_NODES();
    send_one(&a, 1);
    turn(&b);
    turn(&b);
    fill_nodes(bus, 0);
    send_one(&a, 1); /* nobody restored anything yet; b does not sleep */
    turn(&b);
    CHECK_EQ(b.received, 2);
    END_NODES();
}

/* Whoever waits with its flag of sleeping overwritten is not woken at once. */
TEST(a_wake_up_that_was_prevented_is_late) {
    TWO_NODES();
    send_one(&a, 1);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, run_loop, b.loop) == 0);
    NET_UNTIL(NULL, atomic_load(&b.received) == 1 && atomic_load(&bus->nodes[1].sleeping));
    atomic_store(&bus->nodes[1].sleeping, 0);
    send_one(&a, 1);
    while (atomic_load(&b.received) < 2)
        cre__loop_turn(a.loop, true);
    cre_loop_stop(b.loop);
    pthread_join(thread, NULL);
    END_NODES();
}

/* The timer that reminds is started in the turn that sleeps next. */
TEST(a_process_that_has_rested_reminds_too) {
    TWO_NODES();
    a.rests = b.rests = true;
    send_one(&a, 1);
    turn(&b);
    turn(&b);
    while (b.node->check)
        cre__loop_turn(b.loop, true);
    while (a.node->check)
        cre__loop_turn(a.loop, true);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, run_loop, b.loop) == 0);
    NET_UNTIL(NULL, atomic_load(&bus->nodes[1].sleeping));
    atomic_store(&bus->nodes[1].sleeping, 0);
    cre_record record = { .kind = 2, .opcode = 1 };
    CHECK_EQ(cre_node_send(a.node, 1, &record, NULL, 0), 0);
    while (atomic_load(&b.received) < 2)
        cre__loop_turn(a.loop, true);
    cre_loop_stop(b.loop);
    pthread_join(thread, NULL);
    END_NODES();
}

TEST(the_positions_of_rings_are_restored) {
    TWO_NODES();
    send_one(&a, 1);
    turn(&b);
    turn(&b);
    cre__ring_control *ring = cre__bus_ring(bus, 0, 1);
    uint64_t tail = atomic_load(&ring->tail);
    static const int bytes[] = { 0, 0xA5, 0xFF };
    for (int i = 0; i < 3; i++) {
        memset(ring, bytes[i], sizeof *ring);
        cre__node_repair(b.node);
        cre__node_repair(a.node);
        CHECK_EQ(atomic_load(&ring->tail), tail);
        CHECK_EQ(atomic_load(&ring->taken), tail);
        CHECK_EQ(atomic_load(&ring->head), tail);
        CHECK_EQ(atomic_load(&ring->broken), 0);
    }
    send_one(&a, 1);
    turn(&b);
    CHECK_EQ(b.received, 2);
    CHECK_EQ(b.violations, 0);
    END_NODES();
}

/* A process that could not be ended, as its pid had been overwritten, is reported until it is replaced. */
TEST(a_violation_is_reported_until_the_process_is_replaced) {
    TWO_NODES();
    send_one(&a, 99);
    turn(&b);
    turn(&b);
    CHECK_EQ(b.violations, 1);
    while (b.violations < 2)
        cre__loop_turn(b.loop, true);
    cre_bus_forget(bus, 0);
    for (uint32_t checks = b.repaired; b.repaired == checks;) {
        atomic_store(&bus->nodes[1].pid, 1); /* so that a check shows */
        cre__loop_turn(b.loop, true);
    }
    CHECK_EQ(b.violations, 2);
    END_NODES();
}

/* Returns 0 if the write waited until the descriptor was repaired, EAGAIN if it came after that. */
static void *write_one(void *bus) {
    uint64_t one = 1;
    return (void *)(intptr_t)(write(((cre_bus *)bus)->eventfds[1], &one, sizeof one) == sizeof one ? 0
                                                                                                   : errno);
}

/* Which of both comes first is up to the scheduler, so the writer gets more time with each attempt. */
static intptr_t repair_while_one_writes(cre_bus *bus, cre_node *node, useconds_t time) {
    int flags = fcntl(bus->eventfds[1], F_GETFL);
    uint64_t most = UINT64_MAX - 1, count;
    if (read(bus->eventfds[1], &count, sizeof count) < 0) CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(write(bus->eventfds[1], &most, sizeof most), sizeof most);
    CHECK_EQ(fcntl(bus->eventfds[1], F_SETFL, flags & ~O_NONBLOCK), 0);
    pthread_t writer;
    REQUIRE(pthread_create(&writer, NULL, write_one, bus) == 0);
    usleep(time);
    CHECK_EQ(cre__node_repair(node), 1);
    void *result;
    pthread_join(writer, &result);
    CHECK_EQ(fcntl(bus->eventfds[1], F_GETFL), flags);
    CHECK_EQ(cre__node_repair(node), 0);
    return (intptr_t)result;
}

TEST(an_eventfd_that_blocks_is_repaired) {
    TWO_NODES();
    bus->guard = getpid();
    intptr_t result = EAGAIN;
    for (useconds_t time = 0; result == EAGAIN && time < 1000000; time = 2 * time + 100)
        result = repair_while_one_writes(bus, a.node, time);
    CHECK_EQ(result, 0);
    END_NODES();
}

/* ---- the table ---- */

static bool is_shown(cre_bus *bus, cre_session session) {
    cre_connection_info info;
    return cre_table_get_info(bus->table, session, &info, sizeof info) && info.state == CRE_CONNECTION_OPEN &&
           info.owner == 0 && info.worker == 1 && info.family == AF_INET && info.remote_port &&
           info.remote_address[0] == 127 && info.local_family == AF_INET && info.local_address[0] == 127;
}

TEST(an_overwritten_table_is_restored) {
    static const int bytes[] = { 0, 0xA5, 0xFF };
    reactor_host host;
    make_bus(&host, 0);
    start_reactor(&host);
    echoer worker;
    start_thread(&worker, &host);
    net_client idle = connect_ws(&host), busy = connect_ws(&host);
    for (int i = 0; i < 3; i++) {
        NET_UNTIL(NULL, is_shown(host.bus, 1) && is_shown(host.bus, 2));
        fill_table(host.bus, bytes[i]);
        fill_nodes(host.bus, bytes[i]);
        /* New connections are opened at once, and found. */
        net_client client = connect_ws(&host);
        net_ws_text(&client, "new");
        net_ws_expect_text(&client, "new");
        net_close(&client);
        NET_UNTIL(NULL, is_shown(host.bus, 1) && is_shown(host.bus, 2));
        net_ws_text(&idle, "idle");
        net_ws_expect_text(&idle, "idle");
        net_ws_text(&busy, "busy");
        net_ws_expect_text(&busy, "busy");
        NET_UNTIL(NULL, cre_table_count(host.bus->table) == 2);
        NET_UNTIL(NULL, atomic_load(&host.bus->table->shown->count) == 2);
    }
    CHECK(atomic_load(&host.repaired) > 0);
    cre_engine_stats stats;
    NET_UNTIL(NULL, (cre_bus_get_stats(host.bus, &stats), stats.repaired > 0));
    net_close(&idle);
    net_close(&busy);
    NET_UNTIL(NULL, cre_table_count(host.bus->table) == 0);
    stop_thread(&worker);
    end_host(&host);
}

TEST(an_owner_frees_a_slot_whatever_is_in_it) {
    enum { LIMIT = 10 };
    cre_bus_config config = { .nodes = 3, .connections = LIMIT };
    cre_bus *bus;
    REQUIRE(cre_bus_create(&config, &bus) == 0);
    cre_table *table = bus->table;
    CHECK_EQ(cre__table_keep(table), 0);
    CHECK_EQ(cre__table_keep(table), 0);
    for (int round = 0; round < 20; round++) {
        cre_session sessions[LIMIT];
        cre_connection_info info = { .family = AF_INET, .remote_address = { 127, 0, 0, 1 } };
        for (int i = 0; i < LIMIT; i++) {
            CHECK_EQ(cre__address_claim(table, &info, 1, LIMIT), 0);
            sessions[i] = info.session;
            CHECK_EQ(sessions[i], (cre_session)(round * LIMIT + i + 1));
        }
        CHECK_EQ(cre__address_claim(table, &info, 1, 0), CRE_ELIMIT);
        fill_table(bus, round % 2 ? 0xFF : 0xA5);
        CHECK_EQ(cre_table_sweep(table, 0), 0);
        info.worker = 5;
        for (int i = 0; i < LIMIT; i++) {
            CHECK(!cre__table_shows(table, &info, 1, 0));
            info.session = sessions[i];
            cre__table_restore(table, &info, true);
            cre__slot *slot = &cre__table_slots(table)[cre__table_index(table, info.session)];
            CHECK(cre__table_shows(table, &info, cre__slot_checksum(table, slot), 0xA5A5A5A5u) ||
                  cre__table_shows(table, &info, cre__slot_checksum(table, slot), UINT32_MAX));
            if (i % 2) memset(slot, 0x11, sizeof *slot); /* again, right before the end */
            if (i % 2)
                atomic_store(&slot->counted, 0), cre__address_leave(table, AF_INET, info.remote_address);
            cre__table_release(table, info.session);
        }
        CHECK(cre__table_restore_counts(table) > 0);
        CHECK_EQ(cre_table_count(table), 0);
        CHECK_EQ(atomic_load(&table->shown->count), 0);
        CHECK_EQ(atomic_load(&table->shown->used[0]), 0);
    }
    cre_bus_destroy(bus);
}

/* Where several processes own connections, they share the decisions, too. */
TEST(a_shared_table_that_seems_full_is_counted_again) {
    enum { LIMIT = 100 };
    cre_bus_config config = { .nodes = 3, .connections = LIMIT };
    cre_bus *bus;
    REQUIRE(cre_bus_create(&config, &bus) == 0);
    cre_table *table = bus->table;
    cre_connection_info first = { .owner = 1 }, info = { .owner = 1 };
    CHECK_EQ(cre__table_claim(table, &first, 1), 0);
    atomic_store(&table->memory->count, 0xA5A5A5A5u);
    while (cre__table_claim(table, &info, 1) == CRE_ELIMIT) {
    }
    CHECK_EQ(cre_table_count(table), 2);
    fill_table(bus, 0xFF);
    cre__table_restore(table, &first, false);
    cre__table_restore(table, &info, false);
    int tries = 0;
    do
        tries++;
    while (cre__table_claim(table, &first, 1) == CRE_ELIMIT);
    CHECK(tries > 1);
    CHECK_EQ(cre_table_count(table), 3);
    cre_bus_destroy(bus);
}

TEST_MAIN()
