/* The connection table, for the code that writes to it. */
#ifndef CRE_TABLE_INTERNAL_H
#define CRE_TABLE_INTERNAL_H

#include <creactor/buffer.h>
#include <creactor/table.h>
#include <stdatomic.h>
#include <sys/types.h>

/* Other threads read a slot while it is released and claimed again, so everything in it is atomic; a copy is
 * valid only if the slot has the same session afterwards. */
typedef struct cre__slot {
    _Atomic uint64_t session; /* 0: free; written last when claimed, first when released */
    /* From the lowest bit: family (8 bits), index of the local address (8), remote port, listening port and
     * worker (16 each). */
    _Atomic uint64_t place;
    _Atomic uint64_t address[2];
    _Atomic uint64_t connect_time_ms;
    _Atomic uint32_t queued; /* bytes of queued output */
    _Atomic uint32_t
        request_taken; /* the last request taken by a worker in another process: runtime/worker.c */
    _Atomic uint32_t queue_limit; /* the limit of `queued` for senders in other processes */
    _Atomic uint16_t owner;
    _Atomic uint8_t state;
    _Atomic uint8_t counted;                  /* in the counters of addresses */
    _Atomic uint32_t last_receive, last_send; /* times of the loops' clock >> CRE__SEEN_SHIFT; 0: none */
} cre__slot;

/* What a slot has no room for. These are stored behind the user ids, and the bytes of notes behind them. */
typedef struct cre__slot_rest {
    _Atomic uint64_t closed; /* the last session of the slot, once it has ended; 0: none */
    _Atomic int32_t close_error;
    _Atomic uint32_t note; /* the lengths of its note and CRE__NOTE_ASKING: notes.c */
} cre__slot_rest;

/* In cre__slot_rest.note: a handshake waits for its answer. */
#define CRE__NOTE_ASKING (1u << 31)

/* In cre__slot_rest.note: the connection is excepted from the heartbeat. */
#define CRE__NOTE_PROTECTED (1u << 30)

/* The bytes of a note. */
#define CRE__NOTE_BYTES 512u

/* Converts the loops' clock, which is the system's monotonic clock, to units of 128 ms: precise enough for
 * statistics, and written a few times per second only. */
#define CRE__SEEN_SHIFT 7

static inline uint16_t cre__slot_worker(const cre__slot *slot) {
    return (uint16_t)(atomic_load_explicit(&slot->place, memory_order_relaxed) >> 48);
}

/* The number of nodes that may have connections. */
#define CRE__TABLE_NODES 1024u

/* A local address that connections have. They are few, so a slot has the index of one. */
typedef struct cre__local {
    _Atomic uint64_t address[2];
    _Atomic uint8_t family; /* or 0: free; see local.c */
} cre__local;

/* The most local addresses; connections of further ones show none. */
#define CRE__TABLE_LOCALS 255u

typedef struct cre__table_memory {
    _Alignas(64) _Atomic uint64_t next_session;
    _Alignas(64) _Atomic uint32_t count;
    _Atomic uint64_t seed[2];                 /* of the hash of addresses; 0: not chosen yet */
    _Alignas(64) _Atomic uint32_t turn;       /* for dispatch in turn: dispatch.c */
    _Atomic uint32_t loads[CRE__TABLE_NODES]; /* connections of each worker, by node */
    _Alignas(64) cre__local locals[CRE__TABLE_LOCALS];
    _Alignas(64) _Atomic uint64_t held;   /* bytes that all connections have queued and buffered */
    _Alignas(64) _Atomic uint64_t used[]; /* a bit per slot; the slots follow, 64-byte aligned */
} cre__table_memory;

/*
 * The table as seen by one process. Values from which addresses are computed are here and not in the shared
 * memory, to which every process can write: the master must never leave the table, whatever its workers do.
 *
 * `memory` decides: sessions, slots in use, limits and counts per address. `shown` is what all processes read
 * of it, and has the slots. Both are the same memory until the process that owns all connections keeps its
 * decisions to itself, by cre__table_keep; then it publishes to `shown` and reads nothing there.
 */
struct cre_table {
    uint32_t slots; /* a power of two, at least twice the limit */
    uint32_t limit;
    uint64_t seed[2]; /* a copy: a process that overwrites the shared one harms its own counts only */
    cre__table_memory *memory;
    cre__table_memory *shown;
    cre__slot *shown_slots;        /* behind it */
    _Atomic uint32_t *shown_users; /* the user ids of their sessions are behind the counters of addresses */
    pid_t keeper;                  /* the process that keeps it; 0: none does */
    uint64_t *invalid; /* repair.c: a bit per slot that had no valid session; NULL: never counted */
    uint32_t surplus;  /* by which the number of connections was too large then */
    _Atomic uint64_t recounted_at; /* in milliseconds of the monotonic clock */
};

/* Has this process, which owns all connections of the table from now on, decide in private memory. Returns 0
 * or a system error. Call it before an engine uses the table; again it does nothing. */
int cre__table_keep(cre_table *table);

/* In a child of the process that keeps the table: what was private to that is stale from the fork on, so it
 * is read from the memory that all share. Elsewhere it does nothing. */
void cre__table_share(cre_table *table);

static inline bool cre__table_is_kept(const cre_table *table) {
    return table->memory != table->shown;
}

/* Where the slots are in memory laid out as a table. */
static inline cre__slot *cre__table_slots_in(const cre_table *table, cre__table_memory *memory) {
    uintptr_t end = (uintptr_t)(memory->used + (table->slots + 63) / 64);
    return (cre__slot *)((end + 63) & ~(uintptr_t)63);
}

static inline cre__slot *cre__table_slots(const cre_table *table) {
    return table->shown_slots;
}

static inline uint32_t cre__table_index(const cre_table *table, cre_session session) {
    return (uint32_t)session & (table->slots - 1);
}

/* Bytes of queued output and of unfinished input of all connections of the server. */
static inline _Atomic uint64_t *cre__table_held(const cre_table *table) {
    return &table->memory->held;
}

static inline uint64_t cre__table_total(const cre_table *table) {
    uint64_t total = atomic_load_explicit(&table->memory->held, memory_order_relaxed);
    return (int64_t)total < 0 ? 0 : total; /* others can write there */
}

/* The user id of a session. */
static inline _Atomic uint32_t *cre__table_user(const cre_table *table, cre_session session) {
    return table->shown_users + cre__table_index(table, session);
}

void cre__table_set_worker(cre_table *table, cre_session session, uint16_t worker);

/* ---- notes.c ---- */

/* The bytes of a table for the rest of its slots, and for their notes. */
size_t cre__notes_bytes(uint32_t slots);
cre__slot_rest *cre__table_rest(const cre_table *table, cre_session session);
/* Resets the rest of a slot that is claimed. */
void cre__table_forget_last(const cre_table *table, cre_session session);
/* Stores the note of a session, once: up to CRE_MAX_SUBPROTOCOL and CRE_MAX_USER_DATA bytes. */
void cre__table_set_note(cre_table *table, cre_session session, cre_slice subprotocol, cre_slice data);
/* Shows the error with which the connection ends, before its slot is released. */
void cre__table_set_close_error(cre_table *table, cre_session session, int error);
/* Shows whether a handshake waits for its answer (CRE__NOTE_ASKING), or whether the connection is excepted
 * from the heartbeat (CRE__NOTE_PROTECTED). */
void cre__table_flag(cre_table *table, cre_session session, uint32_t flag, bool on);

/* Claims a slot for a new session, fills it from *info and sets info->session; info->connect_time_ms is not
 * 0, by which a slot that was used before is known. Sessions are dispatched in turn to `workers` workers:
 * info->worker is the first of them on entry and the chosen one on return. Returns 0, or CRE_ELIMIT when the
 * table is full. */
int cre__table_claim(cre_table *table, cre_connection_info *info, uint16_t workers);
/* Releases the slot of a session. In a table that is kept, whatever is in the slot; else only if the session
 * is. */
void cre__table_release(cre_table *table, cre_session session);
void cre__table_set_state(cre_table *table, cre_session session, cre_connection_state state);

/* ---- local.c ---- */

/* The index of the local address in *info, from 1 on: that of a connection that has it already, or else a
 * free one. 0: it has none, or there is no room. */
uint8_t cre__local_enter(cre_table *table, const cre_connection_info *info);

/* Sets the local address of *info to the one at an index, if that is shown. */
void cre__local_get(const cre_table *table, uint8_t index, cre_connection_info *info);

/* Shows the addresses of a kept table again where they were overwritten. Returns their number. */
uint32_t cre__local_restore(cre_table *table);

/* ---- repair.c: other processes can overwrite what is shown ---- */

/* Fills a slot, except for its session. */
void cre__slot_fill(cre_table *table, cre__slot *slot, const cre_connection_info *info);

/* A number for those parts of a slot that nobody changes while the connection lives. */
uint8_t cre__slot_checksum(const cre_table *table, const cre__slot *slot);

/* Whether the table shows a live session as its owner knows it. `checksum` is that of the slot when it was
 * claimed; of *info session, owner, worker, user_id and state are compared. Its worker may show it as closing
 * before its owner does. */
bool cre__table_shows(const cre_table *table, const cre_connection_info *info, uint8_t checksum,
                      uint32_t queue_limit);

/* Writes the slot of a live session again from *info; `counted`: the connection counts for its address. */
void cre__table_restore(cre_table *table, const cre_connection_info *info, bool counted);

/* Makes the number of connections, the slots in use and the local addresses that a kept table shows those
 * that it has. Returns how many words of slots, and how many addresses, differed. */
uint32_t cre__table_restore_counts(cre_table *table);

/* For a table that is not kept and seems to be full: counts the connections again, at most once in a second,
 * and corrects what was wrong the last time, too: the count, and slots without a valid session. Returns
 * whether the count has changed. */
bool cre__table_recount(cre_table *table);

/* ---- address.c ---- */

/* Chooses the seed in the table's memory, unless another process did, and copies it to the table. False when
 * the system has no random bytes. */
bool cre__address_seed(cre_table *table);

/* Counts a connection of the address, 16 bytes of which 4 or 16 are used. False when the address has `limit`
 * connections already, or when both of its buckets are full of other addresses: the connection must be
 * refused. Addresses of other families are not counted, the result is true. */
bool cre__address_enter(cre_table *table, uint8_t family, const void *address, uint32_t limit);

/* Removes a connection from the count; each successful cre__address_enter requires one call. */
void cre__address_leave(cre_table *table, uint8_t family, const void *address);

size_t cre__address_bytes(uint32_t slots);

/* cre__table_claim for a connection that counts for its address: CRE_ELIMIT also when cre__address_enter
 * refuses it. A `limit` of 0 counts nothing. */
int cre__address_claim(cre_table *table, cre_connection_info *info, uint16_t workers, uint32_t limit);

/* The owner node of a live session; false when it has been removed. */
static inline bool cre__table_owner(const cre_table *table, cre_session session, uint16_t *owner) {
    const cre__slot *slot = &cre__table_slots(table)[cre__table_index(table, session)];
    if (!session || atomic_load_explicit(&slot->session, memory_order_acquire) != session) return false;
    *owner = atomic_load_explicit(&slot->owner, memory_order_relaxed);
    return true;
}

#endif
