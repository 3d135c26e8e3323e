/* Reading, changing and iterating over the rows of a shared table. */
#include <creactor/error.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "shared/shared_table_internal.h"

/* Whether this thread is inside an edit callback, with a stripe locked. */
static _Thread_local bool is_editing;

/* ---- reading ---- */

static uint32_t load(const _Atomic uint32_t *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

static bool has_key(const cre__node *node, const cre__key *key) {
    if (atomic_load_explicit(&node->hash, memory_order_relaxed) != key->hash) return false;
    for (unsigned i = 0; i < key->used; i++)
        if (atomic_load_explicit(&node->key[i], memory_order_relaxed) != key->words[i]) return false;
    return true;
}

/* Returns the stripe's sequence when no change is in progress. A change takes less than a microsecond, unless
 * its thread is not running or is dead; locking the stripe of a dead owner repairs it. */
static uint32_t read_begin(const cre_shared_table *table, cre__stripe *stripe) {
    for (unsigned tries = 0;; tries++) {
        uint32_t sequence = atomic_load_explicit(&stripe->sequence, memory_order_acquire);
        if (!(sequence & 1)) return sequence;
        if (tries < 32) continue;
        if (cre__stripe_try(table, stripe) == 0) {
            cre__mutex_unlock(&stripe->mutex);
        } else if (tries < 1000) {
            sched_yield();
        } else {
            nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
        }
    }
}

static bool read_end(const cre__stripe *stripe, uint32_t sequence) {
    atomic_thread_fence(memory_order_acquire);
    return load(&stripe->sequence) == sequence;
}

/* The number of the row's node, 0: none. A reader that passes the stripe's sequence also gets 0 when a change
 * has redirected the chain, and notices it in read_end. */
static uint32_t find(const cre_shared_table *table, const cre__key *key, const cre__stripe *stripe,
                     uint32_t sequence) {
    uint32_t number = load(cre__bucket_of(table, key->hash));
    while (number && !has_key(cre__node_at(table, number), key)) {
        if (!read_end(stripe, sequence)) return 0;
        number = load(&cre__node_at(table, number)->next);
    }
    return number;
}

int cre_shared_table_get(const cre_shared_table *table, const void *bytes, size_t length, uint64_t *row) {
    cre__key key;
    if (!cre__key_make(table, bytes, length, &key)) return CRE_ESHARED_NO_ROW;
    cre__stripe *stripe = cre__stripe_of(table, key.hash);
    for (;;) {
        uint32_t sequence = read_begin(table, stripe);
        uint32_t number = find(table, &key, stripe, sequence);
        if (number && row) cre__get_words(row, cre__node_at(table, number)->row, table->words);
        if (read_end(stripe, sequence)) return number ? 0 : CRE_ESHARED_NO_ROW;
    }
}

int cre_shared_table_next(const cre_shared_table *table, cre_shared_cursor *cursor,
                          uint8_t bytes[CRE_SHARED_KEY_MAX], size_t *length, uint64_t *row) {
    if (!cursor->next) {
        /* Rows inserted from here on are skipped, including a key that is deleted and inserted again.
         */
        cursor->born = atomic_load(&table->head->born);
        cursor->next = 1;
    }
    uint32_t last = atomic_load(&table->head->fresh);
    while (cursor->next <= last) {
        const cre__node *node = cre__node_at(table, cursor->next);
        uint64_t hash = atomic_load(&node->hash), key[CRE__KEY_WORDS];
        cre__stripe *stripe = cre__stripe_of(table, hash);
        uint32_t sequence = read_begin(table, stripe);
        bool is_row = load(&node->state) == CRE__NODE_ROW &&
                      atomic_load_explicit(&node->born, memory_order_relaxed) <= cursor->born;
        if (is_row) {
            cre__get_words(key, node->key, CRE__KEY_WORDS);
            if (row) cre__get_words(row, node->row, table->words);
            /* Does the node now have a row of another stripe? */
            if (atomic_load_explicit(&node->hash, memory_order_relaxed) != hash) continue;
        }
        if (!read_end(stripe, sequence)) continue;
        cursor->next++;
        if (!is_row) continue;
        const uint8_t *from = (const uint8_t *)key;
        *length = from[0];
        memcpy(bytes, from + 1, from[0]);
        return 1;
    }
    return 0;
}

/* ---- the three kinds of change, with the stripe locked ---- */

static void count(_Atomic uint64_t *counter) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* The stores happen in this order, wherever the process is killed. */
static void set_step(cre__stripe *stripe, uint32_t step) {
    atomic_store_explicit(&stripe->step, step, memory_order_release);
    atomic_thread_fence(memory_order_release);
}

static void store(const cre_shared_table *table, cre__stripe *stripe, uint32_t number) {
    atomic_store_explicit(&stripe->node, number, memory_order_relaxed);
    set_step(stripe, CRE__STEP_APPLY);
    cre__stripe_begin(stripe);
    cre__put_words(cre__node_at(table, number)->row, stripe->journal, table->words);
    cre__stripe_end(stripe);
    set_step(stripe, CRE__STEP_NONE);
    count(&stripe->updated);
}

static int insert(const cre_shared_table *table, cre__stripe *stripe, const cre__key *key) {
    set_step(stripe, CRE__STEP_SWEEP);
    uint32_t number = cre__pool_take(table, key->hash);
    if (number) {
        cre__node *node = cre__node_at(table, number);
        _Atomic uint32_t *bucket = cre__bucket_of(table, key->hash);
        cre__stripe_begin(stripe);
        cre__put_words(node->key, key->words, CRE__KEY_WORDS);
        cre__put_words(node->row, stripe->journal, table->words);
        atomic_store_explicit(&node->next, load(bucket), memory_order_relaxed);
        /* From here on the row exists, even if the process is killed. */
        atomic_store_explicit(bucket, number, memory_order_release);
        atomic_store_explicit(&node->state, CRE__NODE_ROW, memory_order_release);
        cre__stripe_end(stripe);
        count(&stripe->inserted);
    }
    set_step(stripe, CRE__STEP_NONE);
    return number ? 0 : CRE_ESHARED_FULL;
}

static void delete(const cre_shared_table *table, cre__stripe *stripe, uint32_t number) {
    cre__node *node = cre__node_at(table, number);
    _Atomic uint32_t *link = cre__bucket_of(table, atomic_load_explicit(&node->hash, memory_order_relaxed));
    while (load(link) != number)
        link = &cre__node_at(table, load(link))->next;
    set_step(stripe, CRE__STEP_SWEEP);
    cre__stripe_begin(stripe);
    atomic_store_explicit(&node->state, CRE__NODE_CLAIMED, memory_order_release);
    /* From here on the row is deleted, even if the process is killed. */
    atomic_store_explicit(link, load(&node->next), memory_order_release);
    cre__stripe_end(stripe);
    cre__pool_give(table, number);
    set_step(stripe, CRE__STEP_NONE);
    count(&stripe->deleted);
}

static int carry_out(const cre_shared_table *table, cre__stripe *stripe, const cre__key *key, uint32_t number,
                     int verdict) {
    switch (verdict) {
    case CRE_SHARED_STORE:
        if (!number) return insert(table, stripe, key);
        store(table, stripe, number);
        return 0;
    case CRE_SHARED_DELETE:
        if (number) delete (table, stripe, number);
        return 0;
    default: return verdict < 0 ? verdict : 0;
    }
}

int cre_shared_table_edit(cre_shared_table *table, const void *bytes, size_t length, bool insert_it,
                          cre_shared_edit_cb edit, void *context) {
    cre__key key;
    if (!cre__key_make(table, bytes, length, &key)) return CRE_ESHARED_KEY;
    if (is_editing) return CRE_ESHARED_NESTED;
    cre__stripe *stripe = cre__stripe_of(table, key.hash);
    int result = cre__stripe_lock(table, stripe);
    if (result) return result;
    uint32_t number = find(table, &key, stripe, load(&stripe->sequence));
    if (!number && !insert_it) {
        result = CRE_ESHARED_NO_ROW;
    } else {
        /* The copy is in the journal already, so a stored result need not be copied there. */
        if (number)
            cre__get_words(stripe->journal, cre__node_at(table, number)->row, table->words);
        else
            memset(stripe->journal, 0, table->words * sizeof *stripe->journal);
        is_editing = true;
        int verdict = edit(context, stripe->journal, number != 0);
        is_editing = false;
        result = carry_out(table, stripe, &key, number, verdict);
    }
    cre__mutex_unlock(&stripe->mutex);
    return result;
}

/* ---- common edits ---- */

typedef struct addition {
    const cre_shared_table *table;
    uint32_t column;
    int64_t by, total;
    double by_double, total_double;
} addition;

static int add_int(void *context, uint64_t *row, bool exists) {
    (void)exists;
    addition *sum = context;
    int64_t value;
    int result = cre_shared_row_int(sum->table, row, sum->column, &value);
    if (result) return result;
    sum->total = (int64_t)((uint64_t)value + (uint64_t)sum->by);
    result = cre_shared_row_set_int(sum->table, row, sum->column, sum->total);
    return result ? result : CRE_SHARED_STORE;
}

static int add_double(void *context, uint64_t *row, bool exists) {
    (void)exists;
    addition *sum = context;
    double value;
    int result = cre_shared_row_double(sum->table, row, sum->column, &value);
    if (result) return result;
    sum->total_double = value + sum->by_double;
    result = cre_shared_row_set_double(sum->table, row, sum->column, sum->total_double);
    return result ? result : CRE_SHARED_STORE;
}

int cre_shared_table_add(cre_shared_table *table, const void *key, size_t length, uint32_t column,
                         int64_t value, int64_t *total) {
    addition sum = { .table = table, .column = column, .by = value };
    int result = cre_shared_table_edit(table, key, length, true, add_int, &sum);
    if (!result && total) *total = sum.total;
    return result;
}

int cre_shared_table_add_double(cre_shared_table *table, const void *key, size_t length, uint32_t column,
                                double value, double *total) {
    addition sum = { .table = table, .column = column, .by_double = value };
    int result = cre_shared_table_edit(table, key, length, true, add_double, &sum);
    if (!result && total) *total = sum.total_double;
    return result;
}

typedef struct removal {
    uint64_t *row;
    size_t words;
} removal;

static int take(void *context, uint64_t *row, bool exists) {
    (void)exists;
    removal *removed = context;
    if (removed->row) memcpy(removed->row, row, removed->words * sizeof *row);
    return CRE_SHARED_DELETE;
}

int cre_shared_table_delete(cre_shared_table *table, const void *key, size_t length, uint64_t *row) {
    removal removed = { row, table->words };
    int result = cre_shared_table_edit(table, key, length, false, take, &removed);
    return result == CRE_ESHARED_KEY ? CRE_ESHARED_NO_ROW : result;
}
