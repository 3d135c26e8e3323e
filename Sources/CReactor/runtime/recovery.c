/* Missed messages in a process that owns sockets.
 *
 * The gateway sends them in the ring of the topic's live messages, behind those that they include. Here the
 * connection gets them and the subscription in one step, so the next live message is the one after them. */
#include "runtime/recovery.h"

#include <creactor/error.h>
#include <errno.h>
#include <string.h>

#include "engine/recovery.h"
#include "engine/topics.h"
#include "runtime/worker_internal.h"

/* The messages are whole, and as many as announced. */
static bool is_well_formed(cre_slice messages, uint32_t count) {
    cre_missed_message head;
    for (; count; count--) {
        if (messages.length < sizeof head) return false;
        memcpy(&head, messages.data, sizeof head);
        if (head.length > messages.length - sizeof head) return false;
        if (head.opcode != 1 && head.opcode != 2) return false;
        messages.data += sizeof head + head.length;
        messages.length -= sizeof head + head.length;
    }
    return !messages.length;
}

/* Returns an error, or 0 and the outcome. */
static int deliver(cre_engine *engine, cre_session session, const cre_missed *missed, cre_slice topic,
                   cre_slice messages, cre_recovered *recovered) {
    uint32_t outcome = missed->outcome, count = missed->messages;
    int result = cre__topic_recover(engine, session, topic, messages, count);
    if (result == CRE_EBROKER_GAP) { /* more than the connection's queue can ever hold */
        outcome = CRE_RECOVERY_LOST;
        count = 0;
        result = cre__topic_recover(engine, session, topic, (cre_slice){ 0 }, 0);
    }
    if (result < 0) return result;
    if (result == CRE__WAS_SUBSCRIBED) {
        outcome = CRE_RECOVERY_SUBSCRIBED;
        count = 0;
    }
    cre__topic_advance(engine, topic, missed->position);
    *recovered = (cre_recovered){ .position = missed->position, .outcome = outcome, .messages = count };
    return 0;
}

int cre__recover(const cre__interest *interest, cre_engine *engine, uint32_t from, const cre_record *record,
                 const uint8_t *payload, cre__recovery_answer *answer) {
    cre_missed missed;
    if (!interest->gateway || from != interest->gateway || record->length < sizeof missed)
        return CRE_EINVALID;
    memcpy(&missed, payload, sizeof missed);
    const size_t head = sizeof missed + missed.topic_length;
    if (!missed.topic_length || missed.topic_length > CRE_MAX_TOPIC || head > record->length)
        return CRE_EINVALID;
    const cre_slice topic = { payload + sizeof missed, missed.topic_length };
    const cre_slice messages = { payload + head, record->length - head };
    if (missed.outcome > CRE_RECOVERY_LOST || !is_well_formed(messages, missed.messages)) return CRE_EINVALID;
    *answer = (cre__recovery_answer){ .asker = missed.asker };
    /* An unsubscription that the asker has sent before must not end this subscription. */
    answer->head.result = cre__node_has_taken(interest->node, missed.asker, missed.mark)
                              ? deliver(engine, record->session, &missed, topic, messages, &answer->recovered)
                              : -EAGAIN;
    const size_t behind = answer->head.result ? 0 : sizeof answer->recovered;
    answer->record = (cre_record){ .length = (uint32_t)(sizeof answer->head + behind),
                                   .kind = CRE_MESSAGE_ANSWER,
                                   .flags = CRE_RECORD_FINAL,
                                   .session = missed.number };
    return 0;
}

static void send_answer(cre_node *node, const cre__recovery_answer *answer) {
    const cre_slice parts[] = { { (const uint8_t *)&answer->head, sizeof answer->head },
                                { (const uint8_t *)&answer->recovered, sizeof answer->recovered } };
    if (cre_node_send(node, answer->asker, &answer->record, parts, answer->head.result ? 1 : 2)) {
        /* without room for the answer the question ends by its limit of time */
    }
}

int cre__owner_recovered(const cre__interest *interest, cre_engine *engine, uint32_t from,
                         const cre_record *record, const uint8_t *payload) {
    cre__recovery_answer answer;
    const int result = cre__recover(interest, engine, from, record, payload, &answer);
    if (!result) send_answer(interest->node, &answer);
    return result;
}

int cre__worker_recovered(cre_worker *worker, uint32_t from, const cre_record *record,
                          const uint8_t *payload) {
    cre__recovery_answer answer;
    if (!worker->engine) return CRE_EINVALID;
    const int result = cre__recover(&worker->interest, worker->engine, from, record, payload, &answer);
    if (result) return result;
    if (answer.asker != worker->config.node) {
        send_answer(worker->node, &answer);
        return 0;
    }
    uint8_t bytes[sizeof answer.head + sizeof answer.recovered];
    memcpy(bytes, &answer.head, sizeof answer.head);
    memcpy(bytes + sizeof answer.head, &answer.recovered, sizeof answer.recovered);
    return cre__message(worker, from, &answer.record, bytes);
}
