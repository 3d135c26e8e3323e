/* Allocation and release of nodes, and completion of changes that a death has interrupted. */
#include "shared/shared_table_internal.h"

/* Rebuilds the list of free nodes and the counters from the states of the nodes. */
static void rebuild(const cre_shared_table *table) {
    cre__table_head *head = table->head;
    uint32_t fresh = atomic_load(&head->fresh), free = 0, count = 0;
    /* A node is claimed before it is counted as used. */
    while (fresh < table->rows && atomic_load(&cre__node_at(table, fresh + 1)->state) != CRE__NODE_FREE)
        fresh++;
    for (uint32_t number = fresh; number > 0; number--) {
        cre__node *node = cre__node_at(table, number);
        if (atomic_load(&node->state) != CRE__NODE_FREE) {
            count++;
            continue;
        }
        atomic_store(&node->next, free);
        free = number;
    }
    atomic_store(&head->free, free);
    atomic_store(&head->fresh, fresh);
    atomic_store(&head->count, count);
}

static void lock_pool(const cre_shared_table *table) {
    if (cre__mutex_lock(&table->head->pool) == 1) rebuild(table);
}

uint32_t cre__pool_take(const cre_shared_table *table, uint64_t hash) {
    cre__table_head *head = table->head;
    lock_pool(table);
    uint32_t number = atomic_load_explicit(&head->free, memory_order_relaxed);
    uint32_t fresh = atomic_load_explicit(&head->fresh, memory_order_relaxed);
    bool recycled = number != 0;
    if (!recycled && fresh < table->rows) number = fresh + 1;
    if (number) {
        cre__node *node = cre__node_at(table, number);
        uint64_t born = atomic_load_explicit(&head->born, memory_order_relaxed) + 1;
        atomic_store_explicit(&node->hash, hash, memory_order_relaxed);
        atomic_store_explicit(&node->born, born, memory_order_relaxed);
        /* Release, here and below: the stores happen in this order, wherever the process is killed. */
        atomic_store_explicit(&head->born, born, memory_order_release);
        atomic_store_explicit(&node->state, CRE__NODE_CLAIMED, memory_order_release);
        if (recycled)
            atomic_store_explicit(&head->free, atomic_load_explicit(&node->next, memory_order_relaxed),
                                  memory_order_release);
        else
            atomic_store_explicit(&head->fresh, fresh + 1, memory_order_release);
        atomic_store_explicit(&head->count, atomic_load_explicit(&head->count, memory_order_relaxed) + 1,
                              memory_order_release);
    }
    cre__mutex_unlock(&head->pool);
    return number;
}

void cre__pool_give(const cre_shared_table *table, uint32_t number) {
    cre__table_head *head = table->head;
    cre__node *node = cre__node_at(table, number);
    lock_pool(table);
    atomic_store_explicit(&node->next, atomic_load_explicit(&head->free, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(&node->state, CRE__NODE_FREE, memory_order_release);
    atomic_store_explicit(&head->free, number, memory_order_release);
    atomic_store_explicit(&head->count, atomic_load_explicit(&head->count, memory_order_relaxed) - 1,
                          memory_order_release);
    cre__mutex_unlock(&head->pool);
}

static bool is_linked(const cre_shared_table *table, uint64_t hash, uint32_t wanted) {
    uint32_t number = atomic_load(cre__bucket_of(table, hash));
    while (number && number != wanted)
        number = atomic_load(&cre__node_at(table, number)->next);
    return number != 0;
}

static void sweep(const cre_shared_table *table, const cre__stripe *stripe) {
    for (uint32_t number = 1; number <= table->rows; number++) {
        cre__node *node = cre__node_at(table, number);
        /* The state before the hash: a claimed node has the hash it was claimed for. */
        uint32_t state = atomic_load(&node->state);
        if (state == CRE__NODE_FREE && number > atomic_load(&table->head->fresh)) break;
        uint64_t hash = atomic_load(&node->hash);
        if (state != CRE__NODE_CLAIMED || cre__stripe_of(table, hash) != stripe) continue;
        if (is_linked(table, hash, number))
            atomic_store(&node->state, CRE__NODE_ROW);
        else
            cre__pool_give(table, number);
    }
}

/* May itself be interrupted and repeated. */
static void repair(const cre_shared_table *table, cre__stripe *stripe) {
    cre__stripe_begin(stripe);
    switch (atomic_load(&stripe->step)) {
    case CRE__STEP_APPLY:
        cre__put_words(cre__node_at(table, atomic_load(&stripe->node))->row, stripe->journal, table->words);
        break;
    case CRE__STEP_SWEEP: sweep(table, stripe); break;
    default: break;
    }
    cre__stripe_end(stripe);
    atomic_store(&stripe->step, CRE__STEP_NONE);
    atomic_fetch_add(&stripe->repaired, 1);
}

static int owned(const cre_shared_table *table, cre__stripe *stripe, int result) {
    if (result != 1) return result;
    repair(table, stripe);
    return 0;
}

int cre__stripe_lock(const cre_shared_table *table, cre__stripe *stripe) {
    return owned(table, stripe, cre__mutex_lock(&stripe->mutex));
}

int cre__stripe_try(const cre_shared_table *table, cre__stripe *stripe) {
    return owned(table, stripe, cre__mutex_try(&stripe->mutex));
}
