/* Missed messages in a process that owns sockets: the gateway has them, the connection gets them. */
#ifndef CRE_RUNTIME_RECOVERY_H
#define CRE_RUNTIME_RECOVERY_H

#include "runtime/interest.h"

/* What the process that has asked gets: an ANSWER of these two parts. */
typedef struct cre__recovery_answer {
    uint32_t asker;
    cre_record record;
    cre_answer head;
    cre_recovered recovered;
} cre__recovery_answer;

/* Delivers a RECOVERED and subscribes its connection. Returns 0 and the answer, or CRE_EINVALID for another
 * sender and a malformed record. */
int cre__recover(const cre__interest *interest, cre_engine *engine, uint32_t from, const cre_record *record,
                 const uint8_t *payload, cre__recovery_answer *answer);

/* The same for a process that asks no questions itself; sends the answer. */
int cre__owner_recovered(const cre__interest *interest, cre_engine *engine, uint32_t from,
                         const cre_record *record, const uint8_t *payload);

#endif
