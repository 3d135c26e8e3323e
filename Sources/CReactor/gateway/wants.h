/* The topics that processes of a server want, and which of them do; and members of topics in the same way. */
#ifndef CRE_GATEWAY_WANTS_H
#define CRE_GATEWAY_WANTS_H

#include <creactor/broker.h>

/* A topic. Behind the bits of the processes is its name. */
typedef struct cre__want {
    struct cre__want *next; /* in its bucket */
    uint64_t hash;
    cre_broker_position position; /* of the last message, or the lowest one that a process has reported */
    bool subscribed;
    bool history;
    bool enveloped;   /* clients get its messages in envelopes */
    uint8_t expected; /* ticks for which it is wanted by all, because somebody has just subscribed to it */
    uint16_t length;
    uint64_t bits[]; /* of the processes that want it, then of those whose report must confirm that */
} cre__want;

typedef struct cre__wants {
    cre__want **buckets;
    size_t count, mask;
    uint32_t words; /* of bits: one for 64 processes */
    uint64_t seed[2];
} cre__wants;

/* Returns 0 or CRE_ENOMEM. */
int cre__wants_init(cre__wants *wants, uint32_t processes, uint64_t seed);
void cre__wants_deinit(cre__wants *wants);
/* NULL: there is none. */
cre__want *cre__wants_find(const cre__wants *wants, cre_slice name);
/* The topic, added if there is none; NULL: no memory. */
cre__want *cre__wants_add(cre__wants *wants, cre_slice name);
/* Removes and frees a topic. */
void cre__wants_remove(cre__wants *wants, cre__want *want);
/* Visits each topic; `visit` may remove that one. */
void cre__wants_each(cre__wants *wants, void (*visit)(void *context, cre__want *want), void *context);

static inline uint64_t *cre__want_unconfirmed(const cre__wants *wants, cre__want *want) {
    return want->bits + wants->words;
}

/* A process wants it, or does not any more. */
void cre__want_by(const cre__wants *wants, cre__want *want, uint32_t process, bool wanted);
/* A process begins to report all that it wants, and ends: what it has not reported it does not want any more,
 * and `release` is called for that, which may remove it. */
void cre__wants_begin_report(cre__wants *wants, uint32_t process);
void cre__wants_end_report(cre__wants *wants, uint32_t process,
                           void (*release)(void *context, cre__want *want), void *context);

static inline cre_slice cre__want_name(const cre__wants *wants, const cre__want *want) {
    return (cre_slice){ (const uint8_t *)(want->bits + 2 * (size_t)wants->words), want->length };
}

/* Whether a process wants it. */
bool cre__want_is_wanted(const cre__wants *wants, const cre__want *want);

#endif
