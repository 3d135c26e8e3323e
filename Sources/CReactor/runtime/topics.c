/* Lists of topics and their subscribers, which are in the memory of the engine that has them. */
#include "engine/topics.h"

#include <creactor/error.h>

#include "core/memory.h"
#include "runtime/worker_internal.h"

int cre__answer_topics(cre_node *node, const cre_engine *engine, uint32_t from, const cre_record *question,
                       const uint8_t *filter) {
    if (question->length > CRE_MAX_TOPIC) return CRE_EINVALID;
    uint8_t *list = cre__malloc(CRE_TOPIC_LIST_BYTES);
    if (!list) return 0; /* who asked waits for a limited time */
    cre_slice part = { list, cre__topics_list(engine, filter, question->length, list) };
    cre_record answer = { .kind = CRE_MESSAGE_TOPIC_LIST, .session = question->session };
    cre_node_send(node, from, &answer, &part, 1);
    cre__free(list);
    return 1; /* a list may take milliseconds, so the next question waits for another turn */
}

int cre_worker_ask_topics(cre_worker *worker, uint32_t owner, uint64_t number, const void *filter,
                          size_t length) {
    if (length > CRE_MAX_TOPIC) return CRE_ELIMIT;
    cre_record question = { .kind = CRE_MESSAGE_TOPICS, .session = number };
    cre_slice part = { filter, length };
    return cre__worker_send(worker, owner, &question, &part, 1);
}

size_t cre_worker_list_topics(cre_worker *worker, const void *filter, size_t length, uint8_t *list) {
    return worker->engine ? cre__topics_list(worker->engine, filter, length, list) : 0;
}

int cre__answer_count(cre_node *node, cre_engine *engine, uint32_t from, const cre_record *question,
                      const uint8_t *topic) {
    if (!question->length || question->length > CRE_MAX_TOPIC) return CRE_EINVALID;
    const uint64_t count = cre__topic_count(engine, topic, question->length);
    const cre_slice part = { (const uint8_t *)&count, sizeof count };
    const cre_record answer = { .kind = CRE_MESSAGE_COUNTED, .session = question->session };
    cre_node_send(node, from, &answer, &part, 1); /* without room: who asked waits for a limited time */
    return 0;
}

int cre_worker_ask_count(cre_worker *worker, uint32_t owner, uint64_t number, const void *topic,
                         size_t length) {
    if (!length || length > CRE_MAX_TOPIC) return CRE_EINVALID;
    const cre_record question = { .kind = CRE_MESSAGE_COUNT, .session = number };
    const cre_slice part = { topic, length };
    return cre__worker_send(worker, owner, &question, &part, 1);
}

uint32_t cre_worker_count(cre_worker *worker, const void *topic, size_t length) {
    return worker->engine ? cre__topic_count(worker->engine, topic, length) : 0;
}

bool cre__count_is_valid(const cre_worker *worker, uint32_t from, const cre_record *answer) {
    const cre_worker_config *config = &worker->config;
    const bool from_owner = from >= config->first_owner && from - config->first_owner < config->owner_count;
    return from_owner && answer->length == sizeof(uint64_t);
}
