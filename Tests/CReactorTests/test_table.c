/* The connection table. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "core/memory.h"
#include "registry/table_internal.h"
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static cre_table *make(uint32_t limit) {
    size_t size = cre_table_size(limit);
    REQUIRE(size > 0);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    cre_table *table = cre_table_open(memory, limit);
    REQUIRE(table != NULL);
    return table;
}

static void drop(cre_table *table, uint32_t limit) {
    munmap(table->memory, cre_table_size(limit));
    cre_table_close(table);
}

static cre_connection_info sample(uint16_t owner) {
    return (cre_connection_info){ .state = CRE_CONNECTION_HTTP,
                                  .family = AF_INET6,
                                  .remote_port = 50000,
                                  .port = 3,
                                  .owner = owner,
                                  .worker = 10,
                                  .remote_address = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
                                  .connect_time_ms = 1234567890123 };
}

TEST(a_slot_is_a_cache_line) {
    CHECK_EQ(sizeof(cre__slot), 64);
}

TEST(sizes) {
    CHECK_EQ(cre_table_size(0), 0);
    CHECK_EQ(cre_table_size((1u << 24) + 1), 0);
    CHECK(cre_table_size(1u << 24) > 0);
    for (uint32_t limit = 1; limit < 3000; limit += 97) {
        cre_table *table = make(limit);
        uint8_t *end = (uint8_t *)table->memory + cre_table_size(limit);
        CHECK((uintptr_t)(cre__table_user(table, table->slots - 1) + 1) <= (uintptr_t)end);
        CHECK_EQ((uintptr_t)cre__table_slots(table) % 64, 0);
        drop(table, limit);
    }
}

static cre_connection_info with_local(uint8_t family, uint32_t number) {
    cre_connection_info info = sample(7);
    info.local_family = family;
    memcpy(info.local_address, &number, sizeof number);
    return info;
}

/* Whether a connection shows the local address of another description. */
static bool shows_local(const cre_table *table, cre_session session, const cre_connection_info *expected) {
    cre_connection_info copy;
    REQUIRE(cre_table_get_last_info(table, session, &copy, sizeof copy));
    CHECK_EQ(copy.family, expected->family);
    CHECK_EQ(copy.remote_port, expected->remote_port);
    return copy.local_family == expected->local_family &&
           memcmp(copy.local_address, expected->local_address, sizeof copy.local_address) == 0;
}

TEST(local_addresses_are_shown_with_their_connections) {
    cre_table *table = make(10);
    const cre_connection_info unknown = with_local(0, 0);
    for (uint32_t i = 1; i <= CRE__TABLE_LOCALS + 10; i++) {
        /* The family of the remote end may be another one, behind a proxy. */
        cre_connection_info info = with_local(i % 2 ? AF_INET : AF_INET6, i / 2), again = info,
                            none = unknown;
        const cre_connection_info *expected = i <= CRE__TABLE_LOCALS ? &info : &unknown;
        CHECK_EQ(cre__table_claim(table, &info, 1), 0);
        CHECK_EQ(cre__table_claim(table, &again, 1), 0);
        CHECK_EQ(cre__table_claim(table, &none, 1), 0);
        CHECK(shows_local(table, info.session, expected));
        CHECK(shows_local(table, again.session, expected));
        CHECK(shows_local(table, none.session, &unknown));
        cre__table_release(table, info.session);
        cre__table_release(table, again.session);
        cre__table_release(table, none.session);
        CHECK(shows_local(table, info.session, expected)); /* also after the close */
    }
    drop(table, 10);
}

TEST(overwritten_local_addresses_are_restored) {
    cre_table *table = make(10);
    cre_connection_info infos[3];
    CHECK_EQ(cre__table_keep(table), 0);
    for (uint32_t i = 0; i < 3; i++) {
        infos[i] = with_local(AF_INET6, i);
        CHECK_EQ(cre__table_claim(table, &infos[i], 1), 0);
    }
    CHECK_EQ(cre__local_restore(table), 0);
    memset(table->shown->locals, 0, sizeof table->shown->locals);
    CHECK(!shows_local(table, infos[1].session, &infos[1]));
    CHECK_EQ(cre__local_enter(table, &infos[1]), 2); /* the owner knows it */
    CHECK_EQ(cre__local_restore(table), 3);
    memset(table->shown->locals[2].address, 0xFF, 16);
    CHECK(!shows_local(table, infos[2].session, &infos[2]));
    CHECK_EQ(cre__local_restore(table), 1);
    for (uint32_t i = 0; i < 3; i++)
        CHECK(shows_local(table, infos[i].session, &infos[i]));
    cre__table_memory *shown = table->shown;
    cre_table_close(table);
    munmap(shown, cre_table_size(10));
}

/* A process that is forked while the table is kept, and lives on while connections come and go. */
TEST(a_child_lists_what_its_parent_has_claimed_later) {
    cre_table *table = make(200);
    int go[2];
    CHECK_EQ(cre__table_keep(table), 0);
    cre_connection_info before = sample(1), later = sample(2);
    CHECK_EQ(cre__table_claim(table, &before, 1), 0);
    REQUIRE(pipe(go) == 0);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        char byte;
        REQUIRE(read(go[0], &byte, 1) == 1);
        cre__table_share(table);
        cre_session sessions[8];
        uint32_t cursor = 0;
        _exit(!(cre_table_list(table, &cursor, sessions, 8) == 1 && sessions[0] != before.session &&
                cre_table_count(table) == 1));
    }
    CHECK_EQ(cre__table_claim(table, &later, 1), 0);
    cre__table_release(table, before.session);
    REQUIRE(write(go[1], "", 1) == 1);
    int status;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK_EQ(status, 0);
    cre__table_share(table);
    CHECK(cre__table_is_kept(table)); /* by this process */
    close(go[0]);
    close(go[1]);
    cre__table_memory *shown = table->shown;
    cre_table_close(table);
    munmap(shown, cre_table_size(200));
}

TEST(connections_are_counted_by_port_and_state) {
    enum { PORTS = 4 };
    cre_table *table = make(200);
    cre_connection_info info = sample(7);
    cre_session last = 0;
    for (int i = 0; i < 130; i++) {
        info.port = (uint16_t)(i % 2 ? 3 : 1);
        CHECK_EQ(cre__table_claim(table, &info, 1), 0);
        if (i < 10) cre__table_set_state(table, info.session, CRE_CONNECTION_OPEN);
        last = info.session;
    }
    uint32_t counts[PORTS][CRE_CONNECTION_STATES];
    memset(counts, 0xFF, sizeof counts);
    cre_table_count_by_port(table, counts, PORTS);
    CHECK_EQ(counts[0][CRE_CONNECTION_HTTP], 0);
    CHECK_EQ(counts[1][CRE_CONNECTION_HTTP], 60);
    CHECK_EQ(counts[1][CRE_CONNECTION_OPEN], 5);
    CHECK_EQ(counts[3][CRE_CONNECTION_HTTP], 60);
    CHECK_EQ(counts[3][CRE_CONNECTION_OPEN], 5);
    cre__table_release(table, last);
    cre_table_count_by_port(table, counts, 2); /* another port is not counted */
    CHECK_EQ(counts[1][CRE_CONNECTION_HTTP], 60);
    cre_table_count_by_port(table, counts, PORTS);
    CHECK_EQ(counts[3][CRE_CONNECTION_HTTP], 59);
    memset(table->memory, 0xFF, cre_table_size(200)); /* another process may write anything */
    cre_table_count_by_port(table, counts, PORTS);
    CHECK_EQ(counts[1][CRE_CONNECTION_HTTP], 0);
    drop(table, 200);
}

/* Other processes may write anything: no memory outside of the table is accessed, and nothing blocks. */
TEST(corrupt_memory_does_no_harm) {
    cre_table *table = make(100), *other = cre_table_open(table->memory, 100);
    REQUIRE(other != NULL);
    for (int filling = 0; filling < 2; filling++) {
        cre_connection_info info = sample(7), copy;
        memset(table->memory, filling ? 0xFF : 0, cre_table_size(100));
        int claimed = cre__address_claim(other, &info, 3, filling);
        CHECK_EQ(claimed, filling ? CRE_ELIMIT : 0);
        memset(table->memory, 0xFF, cre_table_size(100));
        atomic_store(&table->memory->count, 0); /* the count has room, but no bit is free */
        CHECK_EQ(cre__table_claim(other, &info, 3), CRE_ELIMIT);
        CHECK_EQ(cre_table_count(other), 0);
        cre_session sessions[16];
        uint32_t cursor = 0, listed = 0;
        for (size_t n; (n = cre_table_list(other, &cursor, sessions, 16)); listed += (uint32_t)n)
            for (size_t i = 0; i < n; i++)
                IGNORE(cre_table_get_info(other, sessions[i], &copy, sizeof copy));
        CHECK_EQ(listed, other->slots);
        for (uint64_t session = 1; session; session <<= 1) {
            cre_table_state(other, session);
            cre__table_release(other, session);
            cre__table_set_worker(other, session, 5);
        }
        cre_table_sweep(other, 0xFFFF);
    }
    cre_table_close(other);
    drop(table, 100);
}

TEST(connection_info) {
    cre_table *table = make(10);
    cre_connection_info info = sample(7), copy;
    CHECK_EQ(cre__table_claim(table, &info, 3), 0);
    CHECK_EQ(info.session, 1);
    info.last_receive_ms = info.connect_time_ms;
    CHECK(cre_table_get_info(table, info.session, &copy, sizeof copy));
    CHECK_MEM(&copy, &info, sizeof copy);
    CHECK_EQ(cre_table_state(table, info.session), CRE_CONNECTION_HTTP);
    cre__table_set_state(table, info.session, CRE_CONNECTION_OPEN);
    CHECK_EQ(cre_table_state(table, info.session), CRE_CONNECTION_OPEN);
    uint16_t owner = 0;
    CHECK(cre__table_owner(table, info.session, &owner));
    CHECK_EQ(owner, 7);
    CHECK_EQ(cre_table_count(table), 1);
    CHECK(!cre_table_get_info(table, 0, &copy, sizeof copy));
    CHECK(!cre_table_get_info(table, info.session + table->slots, &copy,
                              sizeof copy)); /* the same slot, another connection */
    cre__table_release(table, info.session + table->slots);
    CHECK_EQ(cre_table_count(table), 1);
    cre__table_release(table, info.session);
    cre__table_release(table, info.session);
    CHECK_EQ(cre_table_count(table), 0);
    CHECK(!cre_table_get_info(table, info.session, &copy, sizeof copy));
    CHECK_EQ(cre_table_state(table, info.session), 0);
    CHECK(!cre__table_owner(table, info.session, &owner));
    drop(table, 10);
}

TEST(connections_are_dispatched_in_turn) {
    cre_table *table = make(100);
    int dealt[4] = { 0 };
    for (int i = 0; i < 40; i++) {
        cre_connection_info info = sample(1);
        CHECK_EQ(cre__table_claim(table, &info, 4), 0);
        CHECK(info.worker >= 10 && info.worker < 14);
        dealt[info.worker - 10]++;
    }
    for (int i = 0; i < 4; i++)
        CHECK_EQ(dealt[i], 10);
    drop(table, 100);
}

TEST(ids_are_never_used_again_and_the_limit_holds) {
    enum { LIMIT = 50 };
    cre_table *table = make(LIMIT);
    cre_session live[LIMIT], last = 0;
    size_t count = 0;
    for (int i = 0; i < 20000; i++) {
        cre_connection_info info = sample(1);
        int result = cre__table_claim(table, &info, 1);
        CHECK_EQ(result, count == LIMIT ? CRE_ELIMIT : 0);
        if (!result) {
            CHECK(info.session > last);
            last = info.session;
            live[count++] = last;
        }
        if (i % 3 == 0 || count == LIMIT) {
            size_t at = (size_t)(i * 7) % count;
            cre__table_release(table, live[at]);
            live[at] = live[--count];
        }
        CHECK_EQ(cre_table_count(table), count);
    }
    drop(table, LIMIT);
}

/* Ids only increase, and so would the memory of the table, if it did not begin again with the first slots. */
TEST(few_connections_use_few_slots) {
    enum { LIMIT = 100000, TOTAL = 200000, KEPT = 700 };
    cre_table *table = make(LIMIT);
    cre_session open[KEPT] = { 0 }, last = 0;
    uint32_t most = 0;
    for (int i = 0; i < TOTAL; i++) {
        cre_session *place = &open[i % KEPT];
        if (*place) cre__table_release(table, *place);
        cre_connection_info info = sample(1);
        REQUIRE(cre__table_claim(table, &info, 1) == 0);
        CHECK(info.session > last);
        last = *place = info.session;
        uint32_t index = cre__table_index(table, last);
        if (index > most) most = index;
    }
    CHECK(most < 4096);
    /* All slots are there for those who need them. */
    for (int i = KEPT; i < LIMIT; i++) {
        cre_connection_info info = sample(1);
        REQUIRE(cre__table_claim(table, &info, 1) == 0);
        CHECK(info.session > last);
        last = info.session;
    }
    cre_connection_info info = sample(1);
    CHECK_EQ(cre__table_claim(table, &info, 1), CRE_ELIMIT);
    drop(table, LIMIT);
}

TEST(listing_and_sweeping) {
    enum { COUNT = 500 };
    cre_table *table = make(COUNT);
    for (int i = 0; i < COUNT; i++) {
        cre_connection_info info = sample((uint16_t)(i % 3));
        CHECK_EQ(cre__table_claim(table, &info, 1), 0);
        if (i % 5 == 0) cre__table_release(table, info.session);
    }
    CHECK_EQ(cre_table_count(table), 400);
    for (size_t step = 1; step <= 512; step *= 8) {
        cre_session sessions[512];
        uint32_t cursor = 0;
        size_t found = 0, n;
        bool seen[COUNT + 1] = { false };
        while ((n = cre_table_list(table, &cursor, sessions, step))) {
            CHECK(n <= step);
            for (size_t i = 0; i < n; i++) {
                CHECK(sessions[i] <= COUNT && !seen[sessions[i]]);
                seen[sessions[i]] = true;
            }
            found += n;
        }
        CHECK_EQ(found, 400);
        CHECK_EQ(cre_table_list(table, &cursor, sessions, step), 0);
    }
    CHECK_EQ(cre_table_sweep(table, 1), 134);
    CHECK_EQ(cre_table_sweep(table, 1), 0);
    CHECK_EQ(cre_table_count(table), 266);
    drop(table, COUNT);
}

/* ---- connections for each address ---- */

static const uint8_t *ipv4(uint32_t number) {
    static _Thread_local uint8_t address[16];
    memset(address, 7, sizeof address); /* only the first four bytes count */
    memcpy(address, &number, sizeof number);
    return address;
}

TEST(addresses_are_counted_exactly) {
    enum { LIMIT = 16384 };
    cre_table *table = make(LIMIT);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < LIMIT; i++) {
            for (int n = 0; n < 2; n++)
                CHECK(cre__address_enter(table, AF_INET, ipv4(i), 2));
            CHECK(!cre__address_enter(table, AF_INET, ipv4(i), 2));
            CHECK(cre__address_enter(table, AF_UNIX, ipv4(i), 1));
        }
        for (uint32_t i = 0; i < LIMIT; i++) {
            for (int n = 0; n < 2; n++)
                cre__address_leave(table, AF_INET, ipv4(i));
        }
    }
    uint8_t one[16] = { 0x20, 1, 13, 8, [15] = 1 }, two[16] = { 0x20, 1, 13, 8, [15] = 2 };
    CHECK(cre__address_enter(table, AF_INET6, one, 1));
    CHECK(!cre__address_enter(table, AF_INET6, two, 1)); /* the same /64 */
    CHECK(cre__address_enter(table, AF_INET, one, 1));
    cre__address_leave(table, AF_INET6, two);
    CHECK(cre__address_enter(table, AF_INET6, two, 1));
    drop(table, LIMIT);
}

/* Far more addresses than the table has entries: each connection is either counted or refused. */
TEST(a_full_bucket_refuses_and_never_passes_uncounted) {
    cre_table *table = make(1);
    bool counted[1000];
    for (int round = 0; round < 2; round++) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < 1000; i++)
            sum += counted[i] = cre__address_enter(table, AF_INET, ipv4(i), 1);
        CHECK(sum <= table->slots);
        CHECK(sum > table->slots / 2);
        for (uint32_t i = 0; i < 1000; i++)
            CHECK(!cre__address_enter(table, AF_INET, ipv4(i), 1));
        for (uint32_t i = 0; i < 1000; i++)
            if (counted[i]) cre__address_leave(table, AF_INET, ipv4(i));
    }
    drop(table, 1);
}

TEST(all_users_of_a_table_share_a_random_seed) {
    cre_table *first = make(10), *second = cre_table_open(first->memory, 10), *stranger = make(10);
    REQUIRE(second != NULL);
    CHECK(first->seed[0] && first->seed[1] && first->seed[0] != first->seed[1]);
    CHECK_MEM(first->seed, second->seed, sizeof first->seed);
    CHECK(first->seed[0] != stranger->seed[0] && first->seed[1] != stranger->seed[1]);
    CHECK(cre__address_enter(first, AF_INET, ipv4(1), 1));
    CHECK(!cre__address_enter(second, AF_INET, ipv4(1), 1));
    cre__address_leave(second, AF_INET, ipv4(1));
    CHECK(cre__address_enter(first, AF_INET, ipv4(1), 1));
    cre_table_close(second);
    drop(first, 10);
    drop(stranger, 10);
}

enum { VISITORS = 3, MOST = 2 };
static atomic_int present[4];

static void *visit(void *context) {
    cre_table *table = context;
    for (uint32_t i = 0; i < 30000; i++) {
        uint32_t address = i % 4;
        if (!cre__address_enter(table, AF_INET, ipv4(address), MOST)) continue;
        CHECK(atomic_fetch_add(&present[address], 1) < MOST);
        atomic_fetch_sub(&present[address], 1);
        cre__address_leave(table, AF_INET, ipv4(address));
    }
    return NULL;
}

TEST(the_limit_for_an_address_holds_with_several_threads) {
    cre_table *table = make(1);
    pthread_t visitors[VISITORS];
    for (int i = 0; i < VISITORS; i++)
        REQUIRE(pthread_create(&visitors[i], NULL, visit, table) == 0);
    for (int i = 0; i < VISITORS; i++)
        pthread_join(visitors[i], NULL);
    for (uint32_t i = 0; i < 4; i++)
        for (int n = 0; n < 2 * MOST; n++)
            CHECK_EQ(cre__address_enter(table, AF_INET, ipv4(i), MOST), n < MOST);
    drop(table, 1);
}

/* Writers claim and release slots, each filled with a pattern; readers never see a mixture. */
/* Times are kept in units of an eighth of a second: rounded down, they must not be before the connection was.
 */
TEST(nothing_is_older_than_its_connection) {
    cre_table *table = make(4);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    cre_connection_info info = sample(1), copy;
    info.connect_time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + 1000;
    CHECK_EQ(cre__table_claim(table, &info, 1), 0);
    CHECK(cre_table_get_info(table, info.session, &copy, sizeof copy));
    CHECK_EQ(copy.last_send_ms, 0);
    CHECK_EQ(copy.last_receive_ms, info.connect_time_ms);
    cre__slot *slot = &cre__table_slots(table)[cre__table_index(table, info.session)];
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint32_t seen =
        (uint32_t)(((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) >> CRE__SEEN_SHIFT);
    atomic_store(&slot->last_receive, seen);
    atomic_store(&slot->last_send, seen);
    CHECK(cre_table_get_info(table, info.session, &copy, sizeof copy));
    CHECK_EQ(copy.last_receive_ms, info.connect_time_ms);
    CHECK_EQ(copy.last_send_ms, info.connect_time_ms);
    drop(table, 4);
}

/* Writers take and give back, each its own mark all over the slot; readers never see a mixture. */
static atomic_bool stop_readers;

static void *come_and_go(void *context) {
    cre_table *table = context;
    cre_session mine[8] = { 0 };
    for (int i = 0; i < 40000; i++) {
        cre_session *at = &mine[i % 8];
        if (*at) cre__table_release(table, *at);
        cre_connection_info info = { .state = CRE_CONNECTION_OPEN, .family = 2 };
        info.connect_time_ms = i * 3 + 1;
        info.remote_port = (uint16_t)info.connect_time_ms;
        memset(info.remote_address, (int)(info.connect_time_ms & 0xFF), 16);
        *at = cre__table_claim(table, &info, 1) ? 0 : info.session;
    }
    for (int i = 0; i < 8; i++)
        if (mine[i]) cre__table_release(table, mine[i]);
    return NULL;
}

static void *look_around(void *context) {
    cre_table *table = context;
    while (!atomic_load(&stop_readers)) {
        cre_session sessions[16];
        uint32_t cursor = 0;
        for (size_t n; (n = cre_table_list(table, &cursor, sessions, 16));)
            for (size_t i = 0; i < n; i++) {
                cre_connection_info info;
                if (!cre_table_get_info(table, sessions[i], &info, sizeof info)) continue;
                CHECK_EQ(info.session, sessions[i]);
                CHECK_EQ(info.remote_port, (uint16_t)info.connect_time_ms);
                for (int b = 0; b < 16; b++)
                    CHECK_EQ(info.remote_address[b], (uint8_t)info.connect_time_ms);
            }
    }
    return NULL;
}

TEST(several_threads_at_a_time) {
    cre_table *table = make(20);
    pthread_t writers[3], reader;
    atomic_store(&stop_readers, false);
    REQUIRE(pthread_create(&reader, NULL, look_around, table) == 0);
    for (int i = 0; i < 3; i++)
        REQUIRE(pthread_create(&writers[i], NULL, come_and_go, table) == 0);
    for (int i = 0; i < 3; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&stop_readers, true);
    pthread_join(reader, NULL);
    CHECK_EQ(cre_table_count(table), 0);
    drop(table, 20);
}

TEST_MAIN()
