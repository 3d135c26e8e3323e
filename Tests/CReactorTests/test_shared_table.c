/*
 * The shared table: rows, errors, iterations, concurrent use.
 *
 * Comments name the tests of Swoole that a case corresponds to. stats_before_create, get_before_create and
 * get_after_destroy have no counterpart: a table has no handle before it is created or after it is destroyed.
 */
#include <creactor/creactor.h>
#include <creactor/internal/process.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#include "shared_rows.h"

static void check_name(const cre_shared_table *table, const char *key, const char *name) {
    uint64_t row[WORDS];
    const uint8_t *bytes;
    size_t length;
    REQUIRE(cre_shared_table_get(table, key, strlen(key), row) == 0);
    REQUIRE(cre_shared_row_bytes(table, row, NAME, &bytes, &length) == 0);
    CHECK_EQ(length, strlen(name));
    CHECK_MEM(bytes, name, length);
}

/* Swoole's key_value, int, negative, type_conv. */
TEST(values_of_all_types_and_updates_of_some) {
    cre_shared_table *table = make(64);
    CHECK_EQ(set(table, "alice", INT64_MIN, "Alice"), 0);
    CHECK_EQ(visits_of(table, "alice"), INT64_MIN);
    check_name(table, "alice", "Alice");
    CHECK_EQ(set(table, "alice", INT64_MAX, NULL), 0); /* the name stays */
    CHECK_EQ(visits_of(table, "alice"), INT64_MAX);
    check_name(table, "alice", "Alice");
    CHECK_EQ(set(table, "alice", 0, ""), 0);
    check_name(table, "alice", "");
    double score = 1, sum = 0;
    CHECK_EQ(cre_shared_table_add_double(table, "alice", 5, SCORE, -2.5, &sum), 0);
    CHECK(sum == -2.5);
    uint64_t row[WORDS];
    CHECK_EQ(cre_shared_table_get(table, "alice", 5, row), 0);
    CHECK_EQ(cre_shared_row_double(table, row, SCORE, &score), 0);
    CHECK(score == -2.5);
    CHECK_EQ(cre_shared_table_count(table), 1);
    CHECK_EQ(cre_shared_table_get(table, "bob", 3, row), CRE_ESHARED_NO_ROW);
    CHECK_EQ(cre_shared_table_get(table, "alice", 5, NULL), 0);
    cre_shared_table_destroy(table);
}

/* random_bytes, invalid_key. */
TEST(keys_are_1_to_63_bytes_of_any_kind) {
    cre_shared_table *table = make(64);
    uint8_t key[64];
    for (size_t length = 1; length <= CRE_SHARED_KEY_MAX; length++) {
        memset(key, 0, sizeof key);
        CHECK_EQ(cre_shared_table_add(table, key, length, VISITS, (int64_t)length, NULL), 0);
    }
    CHECK_EQ(cre_shared_table_count(table), CRE_SHARED_KEY_MAX);
    for (size_t length = 1; length <= CRE_SHARED_KEY_MAX; length++) {
        int64_t visits = 0;
        CHECK_EQ(cre_shared_table_add(table, key, length, VISITS, 0, &visits), 0);
        CHECK_EQ(visits, length);
    }
    uint64_t row[WORDS];
    for (size_t length = 0; length <= 64; length += 64) {
        CHECK_EQ(cre_shared_table_add(table, key, length, VISITS, 1, NULL), CRE_ESHARED_KEY);
        CHECK_EQ(cre_shared_table_get(table, key, length, row), CRE_ESHARED_NO_ROW);
        CHECK_EQ(cre_shared_table_delete(table, key, length, NULL), CRE_ESHARED_NO_ROW);
    }
    CHECK_EQ(cre_shared_table_count(table), CRE_SHARED_KEY_MAX);
    cre_shared_table_destroy(table);
}

typedef struct large_fill {
    cre_shared_table *table;
    uint8_t *bytes;
} large_fill;

static int fill_row(void *context, uint64_t *row, bool exists) {
    large_fill *from = context;
    CHECK(!exists);
    CHECK_EQ(cre_shared_row_set_bytes(from->table, row, 0, from->bytes, CRE_SHARED_ROW_MAX - 15),
             CRE_ESHARED_TOO_LONG);
    CHECK_EQ(cre_shared_row_set_bytes(from->table, row, 0, from->bytes, CRE_SHARED_ROW_MAX - 16), 0);
    CHECK_EQ(cre_shared_row_set_int(from->table, row, 1, -1), 0);
    return CRE_SHARED_STORE;
}

/* big_size: a row as large as rows may be. */
TEST(large_rows) {
    static const cre_column large[] = { { "data", CRE_COLUMN_BYTES, CRE_SHARED_ROW_MAX - 16 },
                                        { "last", CRE_COLUMN_INT, 0 } };
    cre_shared_table *table = NULL;
    REQUIRE(cre_shared_table_create(3, large, 2, &table) == 0);
    size_t words = cre_shared_table_row_words(table), length;
    CHECK_EQ(words * 8, CRE_SHARED_ROW_MAX);
    uint64_t *row = malloc(words * 8);
    REQUIRE(row != NULL);
    for (int fill = 1; fill < 4; fill++) {
        char key = (char)fill;
        large_fill from = { table, malloc(CRE_SHARED_ROW_MAX - 16) };
        REQUIRE(from.bytes != NULL);
        memset(from.bytes, fill, CRE_SHARED_ROW_MAX - 16);
        CHECK_EQ(cre_shared_table_edit(table, &key, 1, true, fill_row, &from), 0);
        free(from.bytes);
    }
    for (int fill = 1; fill < 4; fill++) {
        char key = (char)fill;
        const uint8_t *bytes;
        int64_t last = 0;
        CHECK_EQ(cre_shared_table_get(table, &key, 1, row), 0);
        CHECK_EQ(cre_shared_row_bytes(table, row, 0, &bytes, &length), 0);
        CHECK_EQ(length, CRE_SHARED_ROW_MAX - 16);
        CHECK(bytes[0] == fill && bytes[length - 1] == fill);
        CHECK_EQ(cre_shared_row_int(table, row, 1, &last), 0);
        CHECK_EQ(last, -1);
    }
    free(row);
    cre_shared_table_destroy(table);
}

/* incr_decr_invalid_column: refused, and nothing is changed. */
TEST(bad_input_changes_nothing) {
    cre_shared_table *table = make(64);
    int64_t sum = 7;
    CHECK_EQ(cre_shared_table_add(table, "a", 1, NAME, 1, &sum), CRE_ESHARED_COLUMN);
    CHECK_EQ(cre_shared_table_add(table, "a", 1, SCORE, 1, &sum), CRE_ESHARED_COLUMN);
    CHECK_EQ(cre_shared_table_add(table, "a", 1, COLUMNS, 1, &sum), CRE_ESHARED_COLUMN);
    CHECK_EQ(cre_shared_table_add_double(table, "a", 1, VISITS, 1, NULL), CRE_ESHARED_COLUMN);
    CHECK_EQ(sum, 7);
    CHECK_EQ(set(table, "a", 1, "one byte more than 20"), CRE_ESHARED_TOO_LONG);
    CHECK_EQ(cre_shared_table_count(table), 0);
    CHECK_EQ(set(table, "a", 1, "twenty bytes exactly"), 0);
    CHECK_EQ(set(table, "a", 2, "one byte more than 20"), CRE_ESHARED_TOO_LONG);
    CHECK_EQ(visits_of(table, "a"), 1);
    check_name(table, "a", "twenty bytes exactly");
    uint64_t row[WORDS];
    const uint8_t *bytes;
    size_t length;
    double score;
    CHECK_EQ(cre_shared_table_get(table, "a", 1, row), 0);
    CHECK_EQ(cre_shared_row_int(table, row, NAME, &sum), CRE_ESHARED_COLUMN);
    CHECK_EQ(cre_shared_row_double(table, row, VISITS, &score), CRE_ESHARED_COLUMN);
    CHECK_EQ(cre_shared_row_bytes(table, row, 99, &bytes, &length), CRE_ESHARED_COLUMN);
    CHECK_EQ(cre_shared_row_set_int(table, row, NAME, 1), CRE_ESHARED_COLUMN);
    CHECK_EQ(cre_shared_row_set_double(table, row, NAME, 1), CRE_ESHARED_COLUMN);
    CHECK_EQ(cre_shared_row_set_bytes(table, row, VISITS, "", 0), CRE_ESHARED_COLUMN);
    cre_shared_table_destroy(table);
}

/* del, getdel, set_after_del, incr_after_del. */
TEST(deleted_rows_are_inserted_with_zeros) {
    cre_shared_table *table = make(64);
    uint64_t row[WORDS];
    int64_t visits = 0;
    CHECK_EQ(cre_shared_table_delete(table, "a", 1, NULL), CRE_ESHARED_NO_ROW);
    CHECK_EQ(set(table, "a", 5, "A"), 0);
    CHECK_EQ(cre_shared_table_delete(table, "a", 1, row), 0);
    CHECK_EQ(cre_shared_row_int(table, row, VISITS, &visits), 0);
    CHECK_EQ(visits, 5);
    CHECK_EQ(cre_shared_table_count(table), 0);
    CHECK_EQ(visits_of(table, "a"), -1);
    CHECK_EQ(cre_shared_table_add(table, "a", 1, VISITS, 2, &visits), 0);
    CHECK_EQ(visits, 2);
    check_name(table, "a", "");
    CHECK_EQ(cre_shared_table_add(table, "a", 1, VISITS, INT64_MAX, &visits), 0);
    CHECK_EQ(visits, INT64_MIN + 1); /* it wraps */
    cre_shared_table_destroy(table);
}

/* What conditional_* do: any condition is a callback. */
TEST(conditions_are_decided_under_the_lock) {
    cre_shared_table *table = make(64);
    row_change change = { table, 9, NULL, CRE_SHARED_KEEP, true };
    CHECK_EQ(cre_shared_table_edit(table, "a", 1, true, apply, &change), 0);
    CHECK(!change.existed);
    CHECK_EQ(cre_shared_table_count(table), 0);
    change.verdict = CRE_SHARED_DELETE; /* what is not there */
    CHECK_EQ(cre_shared_table_edit(table, "a", 1, true, apply, &change), 0);
    CHECK_EQ(cre_shared_table_edit(table, "a", 1, false, apply, &change), CRE_ESHARED_NO_ROW);
    CHECK_EQ(set(table, "a", 1, NULL), 0);
    change.verdict = -EAGAIN; /* the callback's own error */
    CHECK_EQ(cre_shared_table_edit(table, "a", 1, false, apply, &change), -EAGAIN);
    CHECK(change.existed);
    change.verdict = CRE_SHARED_KEEP;
    CHECK_EQ(cre_shared_table_edit(table, "a", 1, false, apply, &change), 0);
    CHECK_EQ(visits_of(table, "a"), 1);
    change.verdict = CRE_SHARED_DELETE;
    CHECK_EQ(cre_shared_table_edit(table, "a", 1, false, apply, &change), 0);
    CHECK_EQ(cre_shared_table_count(table), 0);
    cre_shared_table_destroy(table);
}

static int edit_within(void *context, uint64_t *row, bool exists) {
    (void)row, (void)exists;
    cre_shared_table *table = context;
    CHECK_EQ(set(table, "b", 1, NULL), CRE_ESHARED_NESTED);
    CHECK_EQ(cre_shared_table_delete(table, "a", 1, NULL), CRE_ESHARED_NESTED);
    CHECK_EQ(visits_of(table, "a"), 1);
    CHECK_EQ(visits_of(table, "c"), -1);
    return CRE_SHARED_KEEP;
}

TEST(edits_do_not_nest_but_may_read) {
    cre_shared_table *table = make(64);
    CHECK_EQ(set(table, "a", 1, NULL), 0);
    CHECK_EQ(cre_shared_table_edit(table, "a", 1, true, edit_within, table), 0);
    CHECK_EQ(set(table, "b", 2, NULL), 0);
    cre_shared_table_destroy(table);
}

/* Swoole's create_10k_object; a table has exactly the room it was created with. */
TEST(the_limit_of_rows_is_exact) {
    enum { ROWS = 10000 };
    cre_shared_table *table = make(ROWS);
    char key[16];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < ROWS; i++) {
            snprintf(key, sizeof key, "key %d", i);
            CHECK_EQ(set(table, key, i, key), 0);
        }
        CHECK_EQ(set(table, "one more", 1, NULL), CRE_ESHARED_FULL);
        CHECK_EQ(cre_shared_table_count(table), ROWS);
        CHECK_EQ(set(table, "key 77", 7, NULL), 0); /* what is there may be changed */
        CHECK_EQ(visits_of(table, "key 77"), 7);
        CHECK_EQ(visits_of(table, "one more"), -1);
        for (int i = 0; i < ROWS; i++) {
            snprintf(key, sizeof key, "key %d", i);
            if (i != 77) CHECK_EQ(visits_of(table, key), i);
            check_name(table, key, key);
            CHECK_EQ(cre_shared_table_delete(table, key, strlen(key), NULL), 0);
        }
        CHECK_EQ(cre_shared_table_count(table), 0);
    }
    cre_shared_table_stats stats;
    cre_shared_table_get_stats(table, &stats, sizeof stats);
    CHECK_EQ(stats.inserted, 2 * ROWS);
    CHECK_EQ(stats.deleted, 2 * ROWS);
    CHECK_EQ(stats.updated, 2);
    CHECK_EQ(stats.repaired, 0);
    CHECK_EQ(stats.rows, 0);
    CHECK_EQ(stats.capacity, ROWS);
    CHECK(stats.memory > ROWS * WORDS * 8);
    cre_shared_table_destroy(table);
}

/* foreach: whole rows, each once, also while the table changes under the walk. */
TEST(iterations) {
    cre_shared_table *table = make(200);
    char key[64];
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "stays %d", i);
        CHECK_EQ(set(table, key, i, key), 0);
        snprintf(key, sizeof key, "goes %d", i);
        CHECK_EQ(set(table, key, i, key), 0);
    }
    cre_shared_cursor cursor = { 0 };
    bool seen[100] = { false };
    int stayed = 0, went = 0, moves = 0;
    size_t length;
    uint64_t row[WORDS];
    while (cre_shared_table_next(table, &cursor, (uint8_t *)key, &length, row)) {
        REQUIRE(length <= CRE_SHARED_KEY_MAX);
        key[length] = 0;
        int64_t visits = -1;
        CHECK_EQ(cre_shared_row_int(table, row, VISITS, &visits), 0);
        if (key[0] == 's') {
            REQUIRE(visits >= 0 && visits < 100);
            CHECK(!seen[visits]);
            seen[visits] = true;
            stayed++;
        } else {
            CHECK(key[0] == 'g');
            went++;
        }
        /* Other rows are deleted and inserted in other nodes. */
        for (int n = 0; n < 2; n++, moves++) {
            snprintf(key, sizeof key, "goes %d", moves * 37 % 100);
            IGNORE(cre_shared_table_delete(table, key, strlen(key), NULL));
            CHECK_EQ(set(table, key, 1000, NULL), 0);
        }
    }
    CHECK_EQ(stayed, 100);
    CHECK(went <= 100);
    CHECK_EQ(cre_shared_table_next(table, &cursor, (uint8_t *)key, &length, row), 0);
    cre_shared_table_destroy(table);
}

TEST(invalid_columns) {
    cre_shared_table *table = NULL;
    char long_name[65];
    memset(long_name, 'x', 64);
    long_name[64] = 0;
    const cre_column bad[][2] = {
        { { "a", CRE_COLUMN_INT, 0 }, { "a", CRE_COLUMN_DOUBLE, 0 } }, /* duplicate_column */
        { { "a", CRE_COLUMN_INT, 0 }, { "", CRE_COLUMN_INT, 0 } },
        { { "a", CRE_COLUMN_INT, 0 }, { NULL, CRE_COLUMN_INT, 0 } },
        { { "a", CRE_COLUMN_INT, 0 }, { long_name, CRE_COLUMN_INT, 0 } },
        { { "a", CRE_COLUMN_INT, 0 }, { "b", CRE_COLUMN_BYTES, 0 } },
        { { "a", CRE_COLUMN_INT, 0 }, { "b", CRE_COLUMN_BYTES, CRE_SHARED_ROW_MAX } },
        { { "a", CRE_COLUMN_INT, 0 }, { "b", (cre_column_type)9, 0 } },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(cre_shared_table_create(8, bad[i], 2, &table), CRE_EINVALID);
    CHECK_EQ(cre_shared_table_create(0, columns, COLUMNS, &table), CRE_EINVALID);
    CHECK_EQ(cre_shared_table_create(CRE_SHARED_ROWS_MAX + 1, columns, COLUMNS, &table), CRE_EINVALID);
    CHECK_EQ(cre_shared_table_create(8, columns, 0, &table), CRE_EINVALID);
    CHECK_EQ(cre_shared_table_create(8, columns, CRE_SHARED_COLUMNS_MAX + 1, &table), CRE_EINVALID);
    CHECK(table == NULL);
    table = make(1);
    CHECK_EQ(cre_shared_table_column(table, "name"), NAME);
    CHECK_EQ(cre_shared_table_column(table, "none"), CRE_ESHARED_COLUMN);
    cre_shared_table_destroy(table);
    cre_shared_table_destroy(NULL);
}

TEST(attached_by_its_descriptor) {
    cre_shared_table *table = make(100), *again = NULL;
    CHECK_EQ(set(table, "a", 1, "A"), 0);
    int copy = dup(cre_shared_table_descriptor(table));
    CHECK((fcntl(cre_shared_table_descriptor(table), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK_EQ(cre_shared_table_attach(copy, 101, columns, COLUMNS, &again), CRE_ESHARED_MISMATCH);
    CHECK_EQ(cre_shared_table_attach(copy, 100, columns, COLUMNS - 1, &again), CRE_ESHARED_MISMATCH);
    cre_column other[COLUMNS];
    memcpy(other, columns, sizeof columns);
    other[VISITS].type = CRE_COLUMN_DOUBLE; /* of the same size */
    CHECK_EQ(cre_shared_table_attach(copy, 100, other, COLUMNS, &again), CRE_ESHARED_MISMATCH);
    CHECK_EQ(cre_shared_table_attach(-1, 100, columns, COLUMNS, &again), -EBADF);
    cre_shared_lock *lock;
    REQUIRE(cre_shared_lock_create(&lock) == 0);
    CHECK_EQ(cre_shared_table_attach(cre_shared_lock_descriptor(lock), 100, columns, COLUMNS, &again),
             CRE_ESHARED_MISMATCH);
    cre_shared_lock_destroy(lock);
    CHECK_EQ(cre_shared_table_attach(copy, 100, columns, COLUMNS, &again), 0);
    cre_shared_table_destroy(table); /* it lives on in the other mapping */
    CHECK_EQ(visits_of(again, "a"), 1);
    CHECK(ftruncate(copy, 0) != 0);
    cre_shared_table_destroy(again);
}

static bool make_one(void) {
    cre_shared_table *table;
    if (cre_shared_table_create(10, columns, COLUMNS, &table)) return false;
    cre_shared_table_destroy(table);
    return true;
}

TEST(no_memory) {
    test_fail_each_allocation(make_one);
}

/* ---- many at once ---- */

enum { THREADS = 4, ROUNDS = 20000 / TEST_STRIDE, PAIRS = 8 };

static void *change_pairs(void *context) {
    cre_shared_table *table = context;
    for (int i = 0; i < ROUNDS; i++) {
        char key = (char)('a' + i % PAIRS);
        CHECK_EQ(cre_shared_table_edit(table, &key, 1, true, advance, table), 0);
        char passing[16];
        snprintf(passing, sizeof passing, "passing %d", i % 5);
        if (i % 3)
            CHECK_EQ(cre_shared_table_edit(table, passing, strlen(passing), true, advance, table), 0);
        else
            IGNORE(cre_shared_table_delete(table, passing, strlen(passing), NULL));
    }
    return NULL;
}

static atomic_bool is_done;

static void *read_pairs(void *context) {
    const cre_shared_table *table = context;
    int64_t last[PAIRS] = { 0 };
    uint64_t row[WORDS];
    uint8_t key[CRE_SHARED_KEY_MAX];
    size_t length;
    while (!atomic_load(&is_done)) {
        for (int i = 0; i < PAIRS; i++) {
            char name = (char)('a' + i);
            if (cre_shared_table_get(table, &name, 1, row)) continue;
            int64_t visits = 0;
            CHECK(is_whole(table, row));
            CHECK_EQ(cre_shared_row_int(table, row, VISITS, &visits), 0);
            CHECK(visits >= last[i]);
            last[i] = visits;
        }
        cre_shared_cursor cursor = { 0 };
        unsigned seen = 0;
        while (cre_shared_table_next(table, &cursor, key, &length, row)) {
            CHECK(is_whole(table, row));
            if (length != 1) continue;
            CHECK(!(seen & 1u << (key[0] - 'a')));
            seen |= 1u << (key[0] - 'a');
        }
        for (int i = 0; i < PAIRS; i++)
            if (last[i]) CHECK(seen & 1u << i);
    }
    return NULL;
}

TEST(threads_count_together_and_readers_see_whole_rows) {
    cre_shared_table *table = make(PAIRS + 5);
    pthread_t writers[THREADS], readers[2];
    atomic_store(&is_done, false);
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&readers[i], NULL, read_pairs, table) == 0);
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&writers[i], NULL, change_pairs, table) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&is_done, true);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    int64_t total = 0;
    for (int i = 0; i < PAIRS; i++) {
        char key[2] = { (char)('a' + i), 0 };
        total += visits_of(table, key);
    }
    CHECK_EQ(total, (int64_t)THREADS * ROUNDS);
    cre_shared_table_destroy(table);
}

TEST(forked_processes_count_together) {
    enum { CHILDREN = 4, TIMES = 5000 };
    cre_shared_table *table = make(8);
    pid_t children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = cre_process_fork();
        REQUIRE(children[i] >= 0);
        if (children[i]) continue;
        int failed = 0;
        for (int n = 0; n < TIMES; n++)
            failed |= cre_shared_table_add(table, "all", 3, VISITS, 1, NULL);
        cre_process_exit(failed != 0);
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status = -1;
        CHECK_EQ(waitpid(children[i], &status, 0), children[i]);
        CHECK_EQ(status, 0);
    }
    CHECK_EQ(visits_of(table, "all"), CHILDREN * TIMES);
    cre_shared_table_destroy(table);
}

TEST_MAIN()
