/*
 * The inside of a shared table.
 *
 *   head, pool | stripes | buckets | nodes
 *
 * A key's hash names its bucket, and the bucket its stripe. A bucket is a chain of nodes; a node is a row
 * with its key. A stripe's mutex is needed to change its rows and chains, the pool's to take nodes and give
 * them back (the stripe's is held then, never the other way round). Readers go by the stripe's sequence: odd
 * while it is being changed, and whoever finds it changed begins anew. What readers may see changing is
 * atomic, so that each word is whole; the sequence says whether they belong together.
 *
 * Both mutexes may be inherited from the dead. `step` tells a stripe's next owner what is left to do:
 *
 *   APPLY  the journal has the row's new content: it is copied again
 *   SWEEP  a node was being inserted or deleted: nodes that are claimed for this stripe are given back,
 *          or, still in their chain, are rows
 *
 * and the pool's next owner makes the list of free nodes anew from their states.
 */
#ifndef CRE_SHARED_TABLE_INTERNAL_H
#define CRE_SHARED_TABLE_INTERNAL_H

#include <creactor/shared_table.h>
#include <stdatomic.h>

#include "shared/mutex.h"
#include "shared/segment.h"

enum { CRE__KEY_WORDS = 8 };

/* A key as it stands in a node: length, bytes, zeros. */
typedef struct cre__key {
    uint64_t words[CRE__KEY_WORDS];
    uint64_t hash;
    unsigned used; /* words that are not zero for sure */
} cre__key;

enum { CRE__NODE_FREE = 0, CRE__NODE_CLAIMED = 1, CRE__NODE_ROW = 2 };

typedef struct cre__node {
    _Atomic uint32_t
        next; /* in the chain, or the list of free nodes; 0: the last. Numbers of nodes start at 1. */
    _Atomic uint32_t state;
    _Atomic uint64_t hash;
    _Atomic uint64_t born; /* counts insertions */
    _Atomic uint64_t key[CRE__KEY_WORDS];
    _Atomic uint64_t row[];
} cre__node;

enum { CRE__STEP_NONE = 0, CRE__STEP_APPLY = 1, CRE__STEP_SWEEP = 2 };

typedef struct cre__stripe {
    cre__mutex mutex;
    _Atomic uint32_t sequence;
    _Atomic uint32_t step;
    _Atomic uint32_t node; /* of APPLY */
    _Atomic uint64_t inserted, updated, deleted, repaired;
    uint64_t journal[];
} cre__stripe;

typedef struct cre__table_head {
    cre__segment_head head;
    cre__mutex pool;
    _Atomic uint32_t free;  /* the first of the list */
    _Atomic uint32_t fresh; /* how many nodes have ever been used */
    _Atomic uint32_t count;
    _Atomic uint64_t born;
    uint64_t seed[2];
} cre__table_head;

typedef struct cre__column {
    char name[64];
    uint32_t type, size, offset; /* in words */
} cre__column;

struct cre_shared_table {
    cre__segment segment;
    cre__table_head *head;
    uint8_t *stripes, *nodes;
    _Atomic uint32_t *buckets;
    uint32_t rows, bucket_mask, stripe_mask;
    uint32_t words; /* of a row */
    size_t stripe_bytes, node_bytes;
    uint32_t column_count;
    cre__column columns[];
};

static inline cre__node *cre__node_at(const cre_shared_table *table, uint32_t number) {
    return (cre__node *)(table->nodes + (number - 1) * table->node_bytes);
}

static inline _Atomic uint32_t *cre__bucket_of(const cre_shared_table *table, uint64_t hash) {
    return &table->buckets[hash & table->bucket_mask];
}

static inline cre__stripe *cre__stripe_of(const cre_shared_table *table, uint64_t hash) {
    return (cre__stripe *)(table->stripes + (hash & table->stripe_mask) * table->stripe_bytes);
}

/* Between these two others see neither the old nor the new. By who has the stripe's mutex. */
static inline void cre__stripe_begin(cre__stripe *stripe) {
    uint32_t sequence = atomic_load_explicit(&stripe->sequence, memory_order_relaxed);
    atomic_store_explicit(&stripe->sequence, sequence | 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static inline void cre__stripe_end(cre__stripe *stripe) {
    uint32_t sequence = atomic_load_explicit(&stripe->sequence, memory_order_relaxed);
    atomic_store_explicit(&stripe->sequence, (sequence | 1) + 1, memory_order_release);
}

static inline void cre__put_words(_Atomic uint64_t *to, const uint64_t *from, size_t count) {
    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(&to[i], from[i], memory_order_relaxed);
}

static inline void cre__get_words(uint64_t *to, const _Atomic uint64_t *from, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
}

/* Brings a key into its form. False: it cannot be one. */
bool cre__key_make(const cre_shared_table *table, const void *bytes, size_t length, cre__key *key);

/* Locks a stripe, and finishes what a dead owner left. Returns 0 or -EDEADLK; try: -EBUSY. */
int cre__stripe_lock(const cre_shared_table *table, cre__stripe *stripe);
int cre__stripe_try(const cre_shared_table *table, cre__stripe *stripe);

/* Takes a node for a row with this hash; 0: there is none. The stripe is held, with its step SWEEP. */
uint32_t cre__pool_take(const cre_shared_table *table, uint64_t hash);
void cre__pool_give(const cre_shared_table *table, uint32_t number);

#endif
