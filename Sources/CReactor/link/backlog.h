/*
 * The backlog of a node: records that its process has taken and not served yet.
 *
 * The space of a record in a ring is freed in order, so a record whose handler must wait for another one of
 * its connection cannot stay there without holding up all others. It is copied to the backlog, in shared
 * memory, and the process serves its own copy of it when the time comes. When the process dies first, its
 * successor finds the record here and serves it before those that are still in the rings.
 *
 * A slot is in use while its order is not 0. Storing that is the last step of an entry and the first one of
 * its removal, so a process that is killed anywhere leaves an entry or none. Which parts of the memory are in
 * use only the process knows; its successor finds out by reading the slots.
 */
#ifndef CRE_LINK_BACKLOG_H
#define CRE_LINK_BACKLOG_H

#include <creactor/record.h>
#include <stdatomic.h>

#include "link/arena.h"

/* The bytes of memory for one slot, and the least that an entry takes of the backlog. */
#define CRE__BACKLOG_SHARE   256u
#define CRE__BACKLOG_GRANULE 64u

typedef struct cre__backlog_slot {
    cre_record record;
    _Atomic uint64_t order; /* in which the entries were added; 0: free */
    uint64_t mark;          /* of who added it */
    uint32_t granule;       /* where the payload begins */
    uint32_t unused;
} cre__backlog_slot;

typedef struct cre__backlog_control {
    _Alignas(64) _Atomic uint32_t used; /* slots from here on are free */
} cre__backlog_control;

/* What the process of the node knows of an entry. */
typedef struct cre__backlog_entry {
    uint64_t order; /* 0: the slot is free */
    cre_record record;
    uint64_t mark;
    uint32_t granule;
    uint32_t next_free;
} cre__backlog_entry;

/* What it knows of all. Nothing that others can write is read after the backlog was opened. */
typedef struct cre__backlog {
    cre__backlog_control *control; /* NULL: there is no backlog */
    cre__backlog_slot *slots;
    cre__backlog_entry *entries; /* by slot; NULL: none was ever added */
    uint32_t capacity, used;     /* slots */
    uint32_t count;              /* of entries */
    uint32_t first_free;         /* a ticket; 0: all slots below `used` are in use */
    uint64_t last_order;
    uint8_t *memory; /* for payloads */
    uint32_t bytes;
    cre__arena arena;
} cre__backlog;

/* The bytes of a backlog with `bytes` for payloads. */
size_t cre__backlog_size(uint32_t bytes);

/* Opens the backlog at `memory`, which a predecessor may have used; invalid entries are dropped. Without
 * entries it allocates nothing. `bytes` 0: there is no backlog, and each addition fails. Returns 0 or
 * CRE_ENOMEM, and nothing was changed. */
int cre__backlog_open(cre__backlog *backlog, void *memory, uint32_t bytes);
void cre__backlog_close(cre__backlog *backlog);

/* Adds a record. Returns its ticket, which is valid until the entry is removed, or 0 when there is no room or
 * no memory. By `mark`, unless that is 0, a successor finds the entry. */
uint32_t cre__backlog_add(cre__backlog *backlog, const cre_record *record, const uint8_t *payload,
                          uint64_t mark);

/* Removes an entry: a successor will not find it. Unknown tickets are ignored. */
void cre__backlog_remove(cre__backlog *backlog, uint32_t ticket);

/* Fills `tickets`, which has room for `count`, in the order in which the entries were added. Returns 0 or
 * CRE_ENOMEM. */
int cre__backlog_list(const cre__backlog *backlog, uint32_t *tickets);

/* Whether there is an entry of the session with this mark, or with this kind and opcode. */
bool cre__backlog_has_mark(const cre__backlog *backlog, cre_session session, uint64_t mark);
bool cre__backlog_has_like(const cre__backlog *backlog, const cre_record *record);
bool cre__backlog_has(const cre__backlog *backlog, uint32_t ticket);
/* Returns the payload of an entry, which must exist, and its record. */
uint8_t *cre__backlog_find(const cre__backlog *backlog, uint32_t ticket, cre_record *record);

/* Hides an entry from successors, or shows it again. */
void cre__backlog_show(cre__backlog *backlog, uint32_t ticket, bool shown);

/* Gives back the pages of an empty backlog that was not used since the last call. Returns whether it has any.
 */
bool cre__backlog_tidy(cre__backlog *backlog);

#endif
