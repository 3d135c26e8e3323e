/*
 * The time of one call on shared memory that nobody else uses at that time: table, atomic, lock.
 * Best of several rounds of CPU time, so that other load on the machine shows as little as possible.
 *
 *   cc -O3 -D_GNU_SOURCE -Iinclude Benchmarks/micro/shared_micro.c -o shared_micro libcreactor.a
 */
#include <creactor/creactor.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { rounds = 15, times = 200000, rows = 1000 };

static cre_shared_table *table;
static cre_shared_atomic *atomic;
static cre_shared_lock *lock;
static char keys[rows][16];
static size_t lengths[rows];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void get(size_t i) {
    uint64_t row[64];
    if (cre_shared_table_get(table, keys[i % rows], lengths[i % rows], row)) exit(1);
    __asm__ volatile("" : : "r"(row) : "memory");
}

static void add(size_t i) {
    if (cre_shared_table_add(table, keys[i % rows], lengths[i % rows], 0, 1, NULL)) exit(1);
}

static void delete_and_insert(size_t i) {
    cre_shared_table_delete(table, keys[i % rows], lengths[i % rows], NULL);
    add(i);
}

static void add_atomic(size_t i) {
    (void)i;
    cre_shared_atomic_add(atomic, 1);
}

static void lock_write(size_t i) {
    (void)i;
    cre_shared_hold hold;
    if (cre_shared_lock_write(lock, -1, &hold)) exit(1);
    cre_shared_lock_release(lock, &hold);
}

static void lock_read(size_t i) {
    (void)i;
    cre_shared_hold hold;
    if (cre_shared_lock_read(lock, -1, &hold)) exit(1);
    cre_shared_lock_release(lock, &hold);
}

static void measure(const char *name, void (*run)(size_t)) {
    double best = 1e9;
    for (int round = 0; round < rounds; round++) {
        double start = now();
        for (size_t i = 0; i < times; i++)
            run(i);
        double took = now() - start;
        if (took < best) best = took;
    }
    printf("%-40s %8.1f ns\n", name, best / times * 1e9);
}

int main(void) {
    static const cre_column columns[] = {
        { "visits", CRE_COLUMN_INT, 0 },
        { "score", CRE_COLUMN_DOUBLE, 0 },
        { "name", CRE_COLUMN_BYTES, 32 },
    };
    if (cre_shared_table_create(rows, columns, 3, &table) || cre_shared_atomic_create(0, &atomic) ||
        cre_shared_lock_create(&lock))
        return 1;
    for (int i = 0; i < rows; i++) {
        lengths[i] = (size_t)snprintf(keys[i], sizeof keys[i], "user-%d", i);
        add((size_t)i);
    }
    measure("table: get, 3 columns", get);
    measure("table: add to a column", add);
    measure("table: delete and insert a row", delete_and_insert);
    measure("atomic: add", add_atomic);
    measure("lock: write, release", lock_write);
    measure("lock: read, release", lock_read);
    cre_shared_table_destroy(table);
    cre_shared_atomic_destroy(atomic);
    cre_shared_lock_destroy(lock);
    return 0;
}
