/*
 * Messages with history that a gateway has taken and the cluster has not accepted yet, in shared memory that
 * outlives the process. There is a journal for each shard, so one that cannot be reached fills its own.
 *
 * An entry is written before the end of the journal is moved behind it, and its record is taken from its ring
 * afterwards (CRE_NODE_TAKE). So a process that is killed at any step leaves a whole number of
 * entries, of which the last one may still be in its ring, too.
 */
#ifndef CRE_GATEWAY_JOURNAL_H
#define CRE_GATEWAY_JOURNAL_H

#include <creactor/broker.h>
#include <stdatomic.h>

typedef struct cre__journal_entry {
    uint32_t size;  /* with everything behind it, a multiple of 8 */
    uint32_t state; /* CRE__ENTRY_... */
    uint64_t id;    /* for cre_broker_publish_again */
    uint64_t mark;  /* cre__node_mark of its record */
    uint32_t from;
    uint32_t topic_length, message_length;
    cre_broker_history history;
    uint32_t reserved;
    uint8_t bytes[]; /* the topic, the message with its envelope */
} cre__journal_entry;

enum { CRE__ENTRY_WAITING = 1, CRE__ENTRY_DONE = 2 };

/* The position of the first entry, and that behind the last one, for a successor. Positions grow. */
typedef struct cre__journal_bounds {
    _Alignas(64) _Atomic uint64_t first, end;
} cre__journal_bounds;

typedef struct cre__journal {
    cre__journal_bounds *bounds;
    uint8_t *data;
    uint64_t capacity;   /* a multiple of 4096 */
    uint64_t first, end; /* as in *bounds, which other processes may overwrite */
    uint64_t touched;    /* bytes that were written since the pages were given back */
} cre__journal;

/* The bytes of one journal that holds messages of `bytes`, and one of the largest besides. */
uint64_t cre__journal_size(uint64_t bytes);

/* Opens the journal in this memory, whose size is cre__journal_size, as a predecessor has left it. What is
 * not an entry is dropped with everything behind it. */
void cre__journal_open(cre__journal *journal, void *memory, uint64_t size);

/* Appends an entry: `entry` without its size, state and bytes. Returns its position, UINT64_MAX: no room. */
uint64_t cre__journal_append(cre__journal *journal, const cre__journal_entry *entry, cre_slice topic,
                             cre_slice envelope, cre_slice message);

/* The entry at a position of cre__journal_append or cre__journal_next, as long as it is not done, in shared
 * memory. */
cre__journal_entry *cre__journal_at(const cre__journal *journal, uint64_t position);

/* Copies it without its bytes, which are at *bytes. False: it was overwritten, and is no entry any more. */
bool cre__journal_read(const cre__journal *journal, uint64_t position, cre__journal_entry *entry,
                       const uint8_t **bytes);

/* Moves *position, at first UINT64_MAX, to the next entry that is not done. False: there is none. */
bool cre__journal_next(const cre__journal *journal, uint64_t *position);

/* The cluster has accepted the message, or never will. Nothing is written for an entry that was dropped,
 * since a process has overwritten one before it. */
void cre__journal_done(cre__journal *journal, uint64_t position);

#endif
