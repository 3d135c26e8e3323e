/* Processes that are killed while they change a shared table. */
#include <creactor/creactor.h>
#include <creactor/internal/process.h>
#include <signal.h>
#include <sys/wait.h>

#include "shared/shared_table_internal.h"
#include "shared_rows.h"

/* That all rows are whole, and are found by their keys. Returns how many there are. */
static uint32_t check_rows(const cre_shared_table *table) {
    uint64_t row[WORDS], other[WORDS];
    uint8_t key[CRE_SHARED_KEY_MAX];
    size_t length;
    uint32_t rows = 0;
    cre_shared_cursor cursor = { 0 };
    while (cre_shared_table_next(table, &cursor, key, &length, row)) {
        rows++;
        CHECK(is_whole(table, row));
        CHECK_EQ(cre_shared_table_get(table, key, length, other), 0);
        CHECK_MEM(other, row, sizeof row);
    }
    return rows;
}

static void lock_all(cre_shared_table *table) {
    for (uint32_t i = 0; i <= table->stripe_mask; i++) {
        cre__stripe *stripe = cre__stripe_of(table, i);
        CHECK_EQ(cre__stripe_lock(table, stripe), 0);
        cre__mutex_unlock(&stripe->mutex);
    }
}

/* Checks that no node is lost: each one is free or has a row, after the locks of dead owners have been taken.
 */
static void check_sound(cre_shared_table *table) {
    uint32_t rows, free = 0;
    lock_all(table);
    /* The last owner of the pool may have died, too; using it mends it. */
    CHECK_EQ(cre_shared_table_edit(table, "mend", 4, true, advance, table), 0);
    CHECK_EQ(cre_shared_table_delete(table, "mend", 4, NULL), 0);
    rows = check_rows(table);
    CHECK_EQ(cre_shared_table_count(table), rows);
    for (uint32_t number = table->head->free; number; number = cre__node_at(table, number)->next)
        free++;
    CHECK_EQ(free + rows, table->head->fresh);
}

static void kill_and_wait(pid_t child) {
    int status = 0;
    kill(child, SIGKILL);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
}

enum { KILLS = 300 / TEST_STRIDE + 10, KEYS = 8 };

/* A child that changes rows until it is killed. */
static pid_t start_writer(cre_shared_table *table, unsigned seed) {
    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (child) return child;
    for (unsigned n = seed;; n = n * 1103515245 + 12345) {
        char key[16];
        snprintf(key, sizeof key, "key %u", (n >> 16) % KEYS);
        if (n >> 28 & 1)
            IGNORE(cre_shared_table_edit(table, key, strlen(key), true, advance, table));
        else
            IGNORE(cre_shared_table_delete(table, key, strlen(key), NULL));
    }
}

static unsigned pause_a_moment(unsigned pause) {
    pause = pause * 1103515245 + 12345;
    usleep(100 + (pause >> 16) % 2000);
    return pause;
}

/* Swoole's force_unlock: a writer is killed at random points, repeatedly. */
TEST(a_writer_that_is_killed_leaves_whole_rows) {
    cre_shared_table *table = make(KEYS + 1);
    unsigned pause = 1;
    for (int i = 0; i < KILLS; i++) {
        pid_t child = start_writer(table, (unsigned)i);
        pause = pause_a_moment(pause);
        kill_and_wait(child);
        check_rows(table);
        check_sound(table);
    }
    cre_shared_table_destroy(table);
}

TEST(other_processes_continue) {
    enum { WRITERS = 3 };
    cre_shared_table *table = make(KEYS / 2); /* too small: it is full at times */
    pid_t writers[WRITERS];
    unsigned pause = 7;
    for (int i = 0; i < WRITERS; i++)
        writers[i] = start_writer(table, (unsigned)i);
    for (int i = 0; i < KILLS; i++) {
        pause = pause_a_moment(pause);
        kill_and_wait(writers[i % WRITERS]);
        writers[i % WRITERS] = start_writer(table, pause);
        uint64_t row[WORDS];
        uint8_t key[CRE_SHARED_KEY_MAX];
        size_t length;
        cre_shared_cursor cursor = { 0 };
        while (cre_shared_table_next(table, &cursor, key, &length, row))
            CHECK(is_whole(table, row));
    }
    for (int i = 0; i < WRITERS; i++)
        kill_and_wait(writers[i]);
    /* Room for the row that check_sound makes. */
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "key %d", i);
        IGNORE(cre_shared_table_delete(table, key, strlen(key), NULL));
    }
    check_sound(table);
    cre_shared_table_destroy(table);
}

/* And at each instant that matters: the step is set, and a part of it is done. */

static void die_here(void) {
    kill(getpid(), SIGKILL);
}

static int die_in_edit(void *context, uint64_t *row, bool exists) {
    (void)exists;
    cre_shared_table *table = context;
    CHECK_EQ(cre_shared_row_set_int(table, row, VISITS, 1234), 0);
    die_here();
    return CRE_SHARED_STORE;
}

static cre__stripe *stripe_of(cre_shared_table *table, const char *text, cre__key *key) {
    REQUIRE(cre__key_make(table, text, strlen(text), key));
    return cre__stripe_of(table, key->hash);
}

static void die_applying(cre_shared_table *table) {
    cre__key key;
    cre__stripe *stripe = stripe_of(table, "row", &key);
    cre__stripe_lock(table, stripe);
    uint32_t number = *cre__bucket_of(table, key.hash);
    cre__get_words(stripe->journal, cre__node_at(table, number)->row, WORDS);
    advance(table, stripe->journal, true);
    stripe->node = number;
    stripe->step = CRE__STEP_APPLY;
    cre__stripe_begin(stripe);
    cre__node_at(table, number)->row[0] = stripe->journal[0]; /* the rest is still the old */
    die_here();
}

static void die_deleting(cre_shared_table *table, bool unlinked) {
    cre__key key;
    cre__stripe *stripe = stripe_of(table, "row", &key);
    cre__stripe_lock(table, stripe);
    _Atomic uint32_t *bucket = cre__bucket_of(table, key.hash);
    cre__node *node = cre__node_at(table, *bucket);
    stripe->step = CRE__STEP_SWEEP;
    cre__stripe_begin(stripe);
    node->state = CRE__NODE_CLAIMED;
    if (unlinked) *bucket = node->next;
    die_here();
}

static void die_inserting(cre_shared_table *table, bool in_pool) {
    cre__key key;
    cre__stripe *stripe = stripe_of(table, "new", &key);
    cre__stripe_lock(table, stripe);
    stripe->step = CRE__STEP_SWEEP;
    uint32_t number = cre__pool_take(table, key.hash);
    if (in_pool) {
        /* As if it had died before it counted the node. */
        cre__mutex_lock(&table->head->pool);
        table->head->fresh = number - 1;
        table->head->count = number - 1;
    }
    cre__stripe_begin(stripe);
    cre__node_at(table, number)->key[0] = 77;
    die_here();
}

TEST(every_point_of_death) {
    for (int way = 0; way < 6; way++) {
        cre_shared_table *table = make(4);
        CHECK_EQ(cre_shared_table_edit(table, "row", 3, true, advance, table), 0);
        CHECK_EQ(cre_shared_table_edit(table, "row", 3, true, advance, table), 0);
        pid_t child = cre_process_fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            switch (way) {
            case 0: IGNORE(cre_shared_table_edit(table, "row", 3, true, die_in_edit, table)); break;
            case 1: die_applying(table); break;
            case 2: die_deleting(table, false); break;
            case 3: die_deleting(table, true); break;
            case 4: die_inserting(table, false); break;
            default: die_inserting(table, true); break;
            }
            cre_process_exit(0);
        }
        int status = 0;
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFSIGNALED(status));
        /* A reader is first: it repairs the stripe that it needs. */
        static const int64_t visits[] = { 2, 3, 2, -1, 2, 2 };
        CHECK_EQ(visits_of(table, "row"), visits[way]);
        CHECK_EQ(visits_of(table, "new"), -1);
        check_sound(table);
        cre_shared_table_stats stats;
        cre_shared_table_get_stats(table, &stats, sizeof stats);
        CHECK_EQ(stats.repaired, 1);
        CHECK_EQ(stats.rows, way == 3 ? 0 : 1);
        /* All places can be used again. */
        char key[2] = "0";
        for (uint32_t i = stats.rows; i < 4; i++, key[0]++)
            CHECK_EQ(set(table, key, 1, NULL), 0);
        CHECK_EQ(set(table, "x", 1, NULL), CRE_ESHARED_FULL);
        cre_shared_table_destroy(table);
    }
}

/* *_reentrancy: a thread of one process that dies while it edits is a process that dies; see above. Those who
 * wait for its lock get it. */
TEST(waiters_for_a_dead_owner_continue) {
    cre_shared_table *table = make(4);
    CHECK_EQ(set(table, "row", 1, NULL), 0);
    for (int i = 0; i < 20; i++) {
        pid_t child = cre_process_fork();
        REQUIRE(child >= 0);
        if (child == 0) IGNORE(cre_shared_table_edit(table, "row", 3, true, die_in_edit, table));
        /* Not reaped yet: a zombie owns nothing. */
        int64_t visits = 0;
        CHECK_EQ(cre_shared_table_add(table, "row", 3, VISITS, 1, &visits), 0);
        CHECK_EQ(visits, i + 2);
        CHECK_EQ(waitpid(child, NULL, 0), child);
    }
    cre_shared_table_destroy(table);
}

TEST_MAIN()
