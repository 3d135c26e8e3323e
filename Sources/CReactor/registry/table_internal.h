/* The writing side of the connection table. */
#ifndef CRE_TABLE_INTERNAL_H
#define CRE_TABLE_INTERNAL_H

#include <creactor/table.h>
#include <stdatomic.h>

/* Readers of other threads look at a slot while it is given back and taken again, so everything in it is
 * atomic; what they copied counts only if the session is still there afterwards. */
typedef struct cre__slot {
    _Atomic uint64_t session; /* 0: free; written last when taken, first when given back */
    _Atomic uint64_t place;   /* family, remote port, listening port, worker: 16 bits each from the lowest */
    _Atomic uint64_t address[2];
    _Atomic uint64_t connect_time_ms;
    _Atomic uint32_t queued;        /* bytes of output that wait */
    _Atomic uint32_t request_taken; /* the last one that a worker elsewhere took: runtime/worker.c */
    _Atomic uint32_t queue_limit;   /* a sender in another process stops at so many */
    _Atomic uint16_t owner;
    _Atomic uint8_t state;
    _Atomic uint8_t counted;                  /* for its address */
    _Atomic uint32_t last_receive, last_send; /* the loops' clock in units of CRE__SEEN_SHIFT; 0: none */
} cre__slot;

/* The clock of the loops, which is the system's monotonic one, in units of 128 ms: fine enough to be shown,
 * and coarse enough to be written a few times per second only. */
#define CRE__SEEN_SHIFT 7

static inline uint16_t cre__slot_worker(const cre__slot *slot) {
    return (uint16_t)(atomic_load_explicit(&slot->place, memory_order_relaxed) >> 48);
}

/* How many nodes may get connections. */
#define CRE__TABLE_NODES 1024u

typedef struct cre__table_memory {
    _Alignas(64) _Atomic uint64_t next_session;
    _Alignas(64) _Atomic uint32_t count;
    _Atomic uint64_t seed[2];                 /* of the hash of addresses; 0: not chosen yet */
    _Alignas(64) _Atomic uint32_t turn;       /* of those that are dealt to in turn: dispatch.c */
    _Atomic uint32_t loads[CRE__TABLE_NODES]; /* connections of each worker, by node */
    _Alignas(64) _Atomic uint64_t used[];     /* a bit per slot; the slots follow, 64-byte aligned */
} cre__table_memory;

/* The process's own view. What it computes places from is here and not in the memory, which every process can
 * write to: the master, whose workers run anybody's code, must find nothing outside of the table. */
struct cre_table {
    uint32_t slots; /* a power of two, at least twice the limit */
    uint32_t limit;
    uint64_t seed[2]; /* a copy: a process that overwrites the shared one harms its own counts only */
    cre__table_memory *memory;
};

static inline cre__slot *cre__table_slots(const cre_table *table) {
    uintptr_t end = (uintptr_t)(table->memory->used + (table->slots + 63) / 64);
    return (cre__slot *)((end + 63) & ~(uintptr_t)63);
}

static inline uint32_t cre__table_index(const cre_table *table, cre_session session) {
    return (uint32_t)session & (table->slots - 1);
}

void cre__table_set_worker(cre_table *table, cre_session session, uint16_t worker);
/* The number of a session. They stand behind the counts of addresses. */
_Atomic uint32_t *cre__table_number(const cre_table *table, cre_session session);

/* Takes a slot for a new session, filled from *info, whose session is set. Sessions are dealt in turn to
 * `workers` workers: info->worker, the first of them on entry, is set to the one. CRE_ELIMIT when the table
 * is full. */
int cre__table_claim(cre_table *table, cre_connection_info *info, uint16_t workers);
void cre__table_release(cre_table *table, cre_session session);
void cre__table_set_state(cre_table *table, cre_session session, cre_connection_state state);

/* ---- address.c ---- */

/* Chooses the seed in the table's memory, unless another process did, and copies it to the table. False when
 * the system has no random bytes. */
bool cre__address_seed(cre_table *table);

/* Counts a connection of the address, 16 bytes of which 4 or 16 are used. False when the address has `limit`
 * connections already, or when both of its buckets are full of other addresses: the connection must be
 * refused. Addresses of other families are not counted, the result is true. */
bool cre__address_enter(cre_table *table, uint8_t family, const void *address, uint32_t limit);

/* Counts a connection less; each cre__address_enter that returned true is followed by one call. */
void cre__address_leave(cre_table *table, uint8_t family, const void *address);

size_t cre__address_bytes(uint32_t slots);

/* cre__table_claim for a connection that counts for its address: CRE_ELIMIT also when cre__address_enter
 * refuses it. A `limit` of 0 counts nothing. */
int cre__address_claim(cre_table *table, cre_connection_info *info, uint16_t workers, uint32_t limit);

/* The two node ids of a live session; false when it is gone. */
static inline bool cre__table_owner(const cre_table *table, cre_session session, uint16_t *owner) {
    const cre__slot *slot = &cre__table_slots(table)[cre__table_index(table, session)];
    if (!session || atomic_load_explicit(&slot->session, memory_order_acquire) != session) return false;
    *owner = atomic_load_explicit(&slot->owner, memory_order_relaxed);
    return true;
}

#endif
