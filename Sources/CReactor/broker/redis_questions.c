/*
 * Commands whose replies may be long: the checks of topics, recoveries, lists of members and values.
 *
 * A connection that has subscriptions is dropped by Redis when 32 MB of output are pending for it, or 8 MB
 * for a minute. So a command says how long its reply may be, and is sent again if that is too short; and
 * commands wait as long as the replies on their way may be too long together. At first a reply may be short:
 * most of them are, and many can be on their way then.
 */
#include "redis.h"

enum {
    MOST_AWAITED = 4 << 20, /* bytes of the replies on their way, unless one of them is longer */
    FRAME = 64              /* bytes of a reply besides what it was asked for */
};

static bool fits(const cre__redis_link *redis, size_t bytes) {
    return !redis->awaited || redis->awaited + bytes + FRAME <= MOST_AWAITED;
}

/* ---- checks ---- */

void cre__redis_check(cre_broker *broker, cre__broker_topic *topic) {
    cre__redis_link *redis = cre__redis(broker, topic->shard);
    topic->check_again = topic->check == CRE__CHECK_SENT;
    if (topic->check) return;
    topic->check = CRE__CHECK_QUEUED;
    topic->next_check = NULL;
    if (redis->last_check)
        redis->last_check->next_check = topic;
    else
        redis->first_check = topic;
    redis->last_check = topic;
    topic->checks++;
    cre__redis_pump(broker, topic->shard);
}

/* Frees a topic that was removed. */
static void release(cre__redis_link *redis, cre__broker_topic *topic) {
    if (topic->resumes && !topic->check) {
        topic->resumes = false;
        redis->resuming--;
    }
    cre__broker_topic_release(topic);
}

static void end_check(cre__broker_topic *topic) {
    topic->check = CRE__CHECK_NONE;
    topic->check_again = false;
}

static bool send_check(cre_broker *broker, uint32_t shard) {
    cre__redis_link *redis = cre__redis(broker, shard);
    cre__broker_topic *topic = redis->first_check;
    const size_t first = topic->position.epoch ? CRE__FIRST_REPLY : 0;
    if (topic->check_bytes < first) topic->check_bytes = first;
    if (!topic->removed && !fits(redis, topic->check_bytes)) return false;
    redis->first_check = topic->next_check;
    if (!redis->first_check) redis->last_check = NULL;
    if (!topic->removed && cre__redis_send_check(broker, topic, topic->check_bytes)) {
        topic->check = CRE__CHECK_SENT;
        redis->awaited += topic->check_bytes + FRAME;
        return true;
    }
    end_check(topic);
    release(redis, topic);
    return true;
}

bool cre__redis_check_replied(cre_broker *broker, cre__broker_topic *topic) {
    cre__redis_link *redis = cre__redis(broker, topic->shard);
    const bool again = topic->check_again;
    redis->awaited -= topic->check_bytes + FRAME;
    topic->check_bytes = 0;
    end_check(topic);
    return again;
}

void cre__redis_check_ended(cre_broker *broker, cre__broker_topic *topic) {
    const uint32_t shard = topic->shard;
    release(cre__redis(broker, shard), topic);
    cre__redis_pump(broker, shard);
}

/* ---- questions ---- */

static void append(cre__redis_link *redis, cre__question *question) {
    question->next = NULL;
    if (redis->last_question)
        redis->last_question->next = question;
    else
        redis->first_question = question;
    redis->last_question = question;
}

static void replied(cre_broker *broker, uint32_t shard, cre__request *request, const cre_redis_value *value) {
    cre__question *question = (cre__question *)request;
    cre__redis_link *redis = cre__redis(broker, shard);
    if (value) redis->awaited -= question->bytes + FRAME; /* otherwise the session has ended */
    question->answered(broker, shard, question, value, CRE_EBROKER_UNAVAILABLE);
    if (value) cre__redis_pump(broker, shard);
}

static void drop(cre__request *request) {
    ((cre__question *)request)->drop((cre__question *)request);
}

void cre__redis_ask(cre_broker *broker, uint32_t shard, cre__question *question, size_t bytes) {
    question->request = (cre__request){ .replied = replied, .drop = drop };
    question->bytes = bytes;
    question->is_old = false;
    append(cre__redis(broker, shard), question);
    cre__redis_pump(broker, shard);
}

static bool send_question(cre_broker *broker, uint32_t shard) {
    cre__redis_link *redis = cre__redis(broker, shard);
    cre__question *question = redis->first_question;
    if (!fits(redis, question->bytes)) return false;
    if (!question->send(broker, shard, question)) return false; /* the connection ends, and reports it */
    redis->awaited += question->bytes + FRAME;
    redis->first_question = question->next;
    if (!redis->first_question) redis->last_question = NULL;
    return true;
}

static void report_unanswered(cre_broker *broker, uint32_t shard, cre__question *question, int error) {
    for (cre__question *next; question; question = next) {
        next = question->next;
        question->answered(broker, shard, question, NULL, error);
    }
}

/* ---- the connection ---- */

void cre__redis_pump(cre_broker *broker, uint32_t shard) {
    cre__link *link = &broker->links[shard];
    cre__redis_link *redis = cre__redis(broker, shard);
    for (bool sends = true; sends && cre__link_is_usable(link);)
        sends = redis->first_check      ? send_check(broker, shard)
                : redis->first_question ? send_question(broker, shard)
                                        : false;
    if (link->state != CRE__LINK_RESUMING || !redis->resumed || redis->resuming || link->failure) return;
    redis->resumed = false; /* asked once */
    const cre_slice ping = cre__text("PING");
    if (cre__redis_is_cluster(broker))
        cre__redis_check_slot(broker, shard, CRE__TAG_READY);
    else
        cre__redis_command(broker, shard, &ping, 1, CRE__TAG_READY);
}

/* A question is in the queue for one to two times the limit. */
uint64_t cre__redis_questions_tick(cre_broker *broker, uint32_t shard, uint64_t now) {
    cre__redis_link *redis = cre__redis(broker, shard);
    if (!redis->first_question) redis->expiry = 0;
    if (!redis->first_question) return UINT64_MAX;
    if (!redis->expiry) redis->expiry = now + broker->config.timeout_ms;
    if (redis->expiry > now) return redis->expiry;
    cre__question *question = redis->first_question, *expired = NULL, **end = &expired;
    redis->first_question = redis->last_question = NULL;
    for (cre__question *next; question; question = next) {
        next = question->next;
        if (question->is_old) {
            question->next = NULL;
            *end = question;
            end = &question->next;
        } else {
            question->is_old = true;
            append(redis, question);
        }
    }
    redis->expiry = now + broker->config.timeout_ms;
    report_unanswered(broker, shard, expired, CRE_EBROKER_SILENT);
    return redis->expiry;
}

void cre__redis_drop_questions(cre_broker *broker, uint32_t shard, cre__redis_link *redis, bool reports) {
    for (cre__broker_topic *next, *topic = redis->first_check; topic; topic = next) {
        next = topic->next_check;
        end_check(topic);
        cre__broker_topic_release(topic);
    }
    if (reports) {
        report_unanswered(broker, shard, redis->first_question, CRE_EBROKER_UNAVAILABLE);
        return;
    }
    for (cre__question *next, *question = redis->first_question; question; question = next) {
        next = question->next;
        question->drop(question);
    }
}
