/*
 * The arena of a node: shared memory for the payloads of its large records.
 *
 * A large payload is written to the sender's arena once, and its record in the ring only has a reference to
 * it. The receiver serves it from there, in one piece. Which parts are in use only the sender knows, in
 * memory of its own; no word in the arena has a meaning for anybody else.
 *
 * A payload lives as long as its record occupies the ring: when the receiver has freed that (`head`), its run
 * is free. So what holds for a record holds for its payload, whichever side dies, and whenever: a record that
 * was not published leaves nothing behind; one that was being served is freed by the receiver's successor;
 * and the sender's successor finds the runs that are in use by reading the records that are still in its
 * rings.
 *
 * A receiver may return the payload that it is being served: its record refers to the arena of the node that
 * receives the record. So a run is free when its record is, and everything has been served that its receiver
 * had published until then. Only payloads of CRE_EVENT_MESSAGE are returned: reactors send them, and have no
 * successor, which would know nothing of returned runs.
 *
 * References are never written to a spill, whose records are freed before they are served. When the arena or
 * the ring is full, large records travel in chunks.
 */
#ifndef CRE_LINK_ARENA_H
#define CRE_LINK_ARENA_H

#include "link/ring.h"

/* The unit of allocation, and the least payload that is sent by reference. A simulation has smaller ones. */
#ifndef CRE__GRANULE
#define CRE__GRANULE      2048u
#define CRE__BY_REFERENCE 4096u
#endif

#define CRE__NO_RUN UINT32_MAX

/* The payload of a record that has CRE_RECORD_REFERENCE. */
typedef struct cre__reference {
    uint32_t granule; /* the first one in the sender's arena, with CRE_RECORD_RETURNED in the receiver's */
    uint32_t length;
} cre__reference;

/* Consecutive granules. */
typedef struct cre__run {
    uint64_t end;   /* sent: the position in the ring behind its record */
    uint32_t count; /* of granules; 0: no run begins here */
    uint32_t next;  /* sent: the run that was sent to the same receiver after it */
    uint32_t to;    /* sent: the receiver */
    bool kept;      /* its owner has not given it back */
    bool sent;      /* its record is in a ring */
} cre__run;

/* What the sender knows. */
typedef struct cre__arena {
    uint8_t *memory;
    uint32_t granule; /* its size in bytes */
    uint32_t granules;
    uint32_t touched; /* granules below this one may have pages */
    uint32_t taken;   /* granules in runs */
    uint32_t sent;    /* granules in runs whose record is in a ring */
    bool active;      /* a run was taken since the last look */
    uint64_t *map;    /* a bit for each granule: taken */
    cre__run *runs;   /* by first granule; NULL: not open */
} cre__arena;

/* The runs that were sent to one receiver, in order. */
typedef struct cre__sent_runs {
    uint32_t to;
    uint32_t first, last; /* valid while `granules` is not 0 */
    uint32_t granules;
    bool lends; /* they may be returned */
    /* Runs of records up to `freed` may have been returned in records up to `barrier`, which are not served.
     */
    bool waits;
    uint64_t freed, barrier;
} cre__sent_runs;

/* Opens an arena whose runs are all free. Returns 0 or CRE_ENOMEM. `memory` begins with a page; `granule` is
 * CRE__GRANULE for payloads that are sent. */
int cre__arena_open(cre__arena *arena, void *memory, uint32_t bytes, uint32_t granule);
void cre__arena_close(cre__arena *arena);

/* Returns room for `size` bytes, at least 1, which the caller keeps until cre__arena_give; NULL when there is
 * none. */
uint8_t *cre__arena_take(cre__arena *arena, size_t size);
/* The successor of an owner: keeps the run of `size` bytes that begins at `granule`, and returns it; NULL
 * when it is not within the arena, or not free. */
uint8_t *cre__arena_keep(cre__arena *arena, uint32_t granule, size_t size);
/* Gives back the run at `memory`; one that was sent is freed when its record is. */
void cre__arena_give(cre__arena *arena, const uint8_t *memory);
/* Returns the kept run that begins at `data`, has `length` bytes, and was not sent; else CRE__NO_RUN. */
uint32_t cre__arena_run_at(const cre__arena *arena, const uint8_t *data, size_t length);

/* Marks a run as sent in a record that ends at position `end` of the receiver's ring. */
void cre__arena_send(cre__arena *arena, cre__sent_runs *sent, uint32_t run, uint64_t end);
/* The successor of a sender: the same for a run that a record in the ring refers to. Ignores an invalid
 * reference. */
void cre__arena_restore(cre__arena *arena, cre__sent_runs *sent, const cre__reference *reference,
                        uint64_t end);
/* Returns the payload of a reference that the receiver of `sent` returned, or NULL when it is invalid. */
uint8_t *cre__arena_returned(const cre__arena *arena, const cre__sent_runs *sent,
                             const cre__reference *reference);
/* Whether the record of the first of the runs, which are some, is before position `head`. */
static inline bool cre__arena_is_freed(const cre__arena *arena, const cre__sent_runs *sent, uint64_t head) {
    return (int64_t)(head - arena->runs[sent->first].end) >= 0;
}
/* Frees the runs of records up to position `head`. */
void cre__arena_reclaim(cre__arena *arena, cre__sent_runs *sent, uint64_t head);
/* The same, except for those that records between `served` and `tail` in the other direction may have
 * returned. */
void cre__arena_reclaim_served(cre__arena *arena, cre__sent_runs *sent, uint64_t head, uint64_t served,
                               uint64_t tail);
/* Frees all runs of a receiver whose ring was reset. */
void cre__arena_reclaim_all(cre__arena *arena, cre__sent_runs *sent);

/* Gives back the pages of an arena that is not used. */
void cre__arena_trim(cre__arena *arena);

/* Receiver: returns the payload of a reference in an arena of `granules`, or NULL when it is invalid. */
static inline uint8_t *cre__arena_find(uint8_t *memory, uint32_t granules, const cre__reference *reference) {
    if (reference->granule >= granules ||
        reference->length > (uint64_t)(granules - reference->granule) * CRE__GRANULE)
        return NULL;
    return memory + (size_t)reference->granule * CRE__GRANULE;
}

#endif
