/*
 * The memory of a shared table.
 *
 *   head, pool | stripes | buckets | nodes
 *
 * The hash of a key selects its bucket, and the bucket its stripe. A bucket is a chain of nodes; a node is a
 * row with its key. A stripe's mutex protects changes of its rows and chains, the pool's mutex allocation and
 * release of nodes (it is locked while the stripe's is held, never in the other order). Readers use the
 * stripe's sequence: it is odd during a change, and a reader that finds it changed starts again. Memory that
 * readers may see changing is atomic, so each word is consistent; the sequence decides whether the words
 * belong together.
 *
 * Both mutexes may be passed on by a dead owner. `step` is what the next owner of a stripe must do:
 *
 *   APPLY  copy the journal, which has the new row, to the row
 *   SWEEP  release the nodes that are claimed for this stripe, from an interrupted insertion or deletion,
 * except those still in their chain, which are rows
 *
 * The next owner of the pool rebuilds the list of free nodes from their states.
 */
#ifndef CRE_SHARED_TABLE_INTERNAL_H
#define CRE_SHARED_TABLE_INTERNAL_H

#include <creactor/shared_table.h>
#include <stdatomic.h>

#include "shared/mutex.h"
#include "shared/segment.h"

enum { CRE__KEY_WORDS = 8 };

/* A key in the form of a node: length, bytes, zeros. */
typedef struct cre__key {
    uint64_t words[CRE__KEY_WORDS];
    uint64_t hash;
    unsigned used; /* words that may be nonzero */
} cre__key;

enum { CRE__NODE_FREE = 0, CRE__NODE_CLAIMED = 1, CRE__NODE_ROW = 2 };

typedef struct cre__node {
    _Atomic uint32_t next; /* in the chain or the list of free nodes; 0: none. Node numbers start at 1. */
    _Atomic uint32_t state;
    _Atomic uint64_t hash;
    _Atomic uint64_t born; /* the number of its insertion */
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
    _Atomic uint32_t free;  /* the first node of the free list */
    _Atomic uint32_t fresh; /* the nodes that were ever used */
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

/* Between these two calls readers see neither the old nor the new state. The stripe's mutex is held. */
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

/* Converts a key to the form of a node. False: the key is invalid. */
bool cre__key_make(const cre_shared_table *table, const void *bytes, size_t length, cre__key *key);

/* Locks a stripe and completes the interrupted change of a dead owner. Returns 0 or -EDEADLK; try: -EBUSY. */
int cre__stripe_lock(const cre_shared_table *table, cre__stripe *stripe);
int cre__stripe_try(const cre_shared_table *table, cre__stripe *stripe);

/* Allocates a node for a row with this hash; 0: there is none. The stripe is locked, with its step SWEEP. */
uint32_t cre__pool_take(const cre_shared_table *table, uint64_t hash);
void cre__pool_give(const cre_shared_table *table, uint32_t number);

#endif
