/* How many connections of the other servers are subscribed to a topic: questions from one gateway to the
 * others.
 *
 * A gateway publishes its question to the topic of everyone, which all gateways receive, and each of the
 * others publishes its number to the topic of the server that has asked. At the same time the gateway lists
 * the servers that are alive. The count is complete when all of them have answered: one that was killed, that
 * is not connected, or whose version does not know the question is missing, and is never counted as 0. Until
 * then both steps are repeated, for messages that were lost, and for servers that have started or stopped.
 *
 * A question is 'q', the server that asks, its number of the question, and the topic. An answer is 'a', the
 * server that answers, the number of the question, and the count. Servers and numbers have 16 hexadecimal
 * digits, the count is decimal.
 *
 * The number of receivers that PUBLISH of Redis returns would name the same servers without a list. But it
 * includes other programs that listen, a Redis Cluster counts one node only, and NATS returns none.
 */
#include <creactor/error.h>
#include <stdlib.h>
#include <string.h>

#include "core/decimal.h"
#include "core/hex.h"
#include "core/memory.h"
#include "core/slices.h"
#include "gateway/gateway_internal.h"

enum {
    MOST_COUNTINGS = 1024, /* at a time */
    REPEAT_MS = 500,
    HEAD = 1 + 2 * CRE__HEX, /* bytes before the topic or the count */
    TOPIC_LENGTH = sizeof CRE_TOPIC_SERVER - 1 + CRE__HEX
};

/* A question that waits for other servers. */
struct cre__counting {
    cre__counting *next, **link;
    cre_gateway *gateway;
    cre__asker asker;
    uint64_t number, deadline;
    cre_timer *timer;
    uint64_t list;  /* the first list that was requested after the question */
    bool is_listed; /* there was one, to which `missing` belongs */
    size_t missing; /* servers of the last list that have not answered */
    uint64_t count;
    uint64_t *answered; /* servers, in ascending order */
    size_t answered_count, capacity;
    uint8_t topic_length;
    uint8_t topic[CRE_MAX_TOPIC];
};

/* ---- messages ---- */

static cre_slice topic_of_all(void) {
    return (cre_slice){ (const uint8_t *)CRE_TOPIC_ALL, sizeof CRE_TOPIC_ALL - 1 };
}

static cre_slice topic_of_server(uint64_t server, char out[TOPIC_LENGTH]) {
    memcpy(out, CRE_TOPIC_SERVER, TOPIC_LENGTH - CRE__HEX);
    cre__put_hex(out + TOPIC_LENGTH - CRE__HEX, server);
    return (cre_slice){ (const uint8_t *)out, TOPIC_LENGTH };
}

static void put_head(char out[HEAD], char kind, uint64_t server, uint64_t number) {
    out[0] = kind;
    cre__put_hex(out + 1, server);
    cre__put_hex(out + 1 + CRE__HEX, number);
}

/* Reads the head of a message of this kind, and leaves what is behind it. */
static bool take_head(cre_slice *payload, char kind, uint64_t *server, uint64_t *number) {
    if (payload->length < HEAD || *payload->data != (uint8_t)kind) return false;
    const uint8_t *at = payload->data + 1;
    *payload = (cre_slice){ payload->data + HEAD, payload->length - HEAD };
    return cre__parse_hex((cre_slice){ at, CRE__HEX }, server) &&
           cre__parse_hex((cre_slice){ at + CRE__HEX, CRE__HEX }, number);
}

/* Without a connection messages wait for one, and these would be late. */
static int send_to(cre_gateway *gateway, cre_slice topic, cre_slice payload) {
    if (!cre_broker_is_connected(gateway->broker, cre_broker_shard(gateway->broker, topic)))
        return CRE_EBROKER_UNAVAILABLE;
    return cre_broker_publish(gateway->broker, topic, payload, (cre_broker_history){ 0 }, CRE__GATEWAY_TAG);
}

int cre__gateway_open_counts(cre_gateway *gateway) {
    char topic[TOPIC_LENGTH];
    return cre_broker_subscribe(gateway->broker, topic_of_server(gateway->server, topic),
                                (cre_broker_history){ 0 });
}

static int publish_question(cre_gateway *gateway, const cre__counting *counting) {
    char message[HEAD + CRE_MAX_TOPIC];
    put_head(message, 'q', gateway->server, counting->number);
    memcpy(message + HEAD, counting->topic, counting->topic_length);
    return send_to(gateway, topic_of_all(),
                   (cre_slice){ (const uint8_t *)message, HEAD + counting->topic_length });
}

void cre__gateway_answer_count(cre_gateway *gateway, uint64_t server, uint64_t number, uint64_t count) {
    char message[HEAD + CRE__MAX_DECIMAL], topic[TOPIC_LENGTH];
    put_head(message, 'a', gateway->server, number);
    const size_t length = (size_t)(cre__put_decimal(message + HEAD, count) - message);
    const int result =
        send_to(gateway, topic_of_server(server, topic), (cre_slice){ (const uint8_t *)message, length });
    (void)result; /* the question is repeated */
}

/* ---- ends ---- */

static void end(cre_gateway *gateway, cre__counting *counting) {
    *counting->link = counting->next;
    if (counting->next) counting->next->link = counting->link;
    gateway->counting_count--;
    cre__gateway_publish_question_count(gateway);
    cre_timer_stop(counting->timer);
    cre__free(counting->answered);
    cre__free(counting);
}

/* Answers with what is known. Without room for the answer the question ends by the limit of time of its
 * asker. */
static void answer(cre_gateway *gateway, cre__counting *counting, int result) {
    const cre_count count = { .count = counting->count, .missing = (uint32_t)counting->missing };
    const cre_slice part = { (const uint8_t *)&count, sizeof count };
    const int sent = cre__gateway_answer(gateway, counting->asker, result, true, &part, result == 0);
    (void)sent;
    end(gateway, counting);
}

void cre__gateway_drop_countings(cre_gateway *gateway) {
    while (gateway->countings)
        end(gateway, gateway->countings);
    cre__free(gateway->servers);
}

/* ---- the servers that are alive ---- */

static int compare(const void *one, const void *other) {
    const uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return a < b ? -1 : a > b;
}

/* Where a number is in ascending ones, or belongs. */
static size_t place_of(const uint64_t *numbers, size_t count, uint64_t number) {
    size_t low = 0;
    while (count) {
        const size_t half = count / 2;
        if (numbers[low + half] < number) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

static bool contains(const uint64_t *numbers, size_t count, uint64_t number) {
    const size_t place = place_of(numbers, count, number);
    return place < count && numbers[place] == number;
}

static int request_list(cre_gateway *gateway) {
    if (gateway->lists_requested != gateway->lists_received) return 0; /* one is under way */
    const int result = cre_broker_list_members(gateway->broker, cre__gateway_topic_of_nodes(),
                                               CRE_BROKER_MAX_LISTED, CRE__SERVERS_TAG);
    if (!result) gateway->lists_requested++;
    return result;
}

/* A list under way may be older than the question, so it is the next one that counts. */
static int ask(cre_gateway *gateway, cre__counting *counting) {
    int result = publish_question(gateway, counting);
    counting->list = gateway->lists_requested + 1;
    if (!result) result = request_list(gateway);
    return result;
}

/* Keeps the numbers of the other servers. */
static int keep(cre_gateway *gateway, const cre_broker_presence *presence) {
    if (!presence->complete) return CRE_EBROKER_UNAVAILABLE;
    uint64_t *servers = cre__malloc((presence->listed + 1) * sizeof *servers);
    if (!servers) return CRE_ENOMEM;
    size_t count = 0;
    for (size_t i = 0; i < presence->listed; i++)
        if (cre__parse_hex(presence->members[i].id, &servers[count]) && servers[count] != gateway->server)
            count++;
    qsort(servers, count, sizeof *servers, compare);
    cre__free(gateway->servers);
    gateway->servers = servers;
    gateway->server_count = count;
    return 0;
}

static void compare_with_list(cre_gateway *gateway, cre__counting *counting) {
    counting->is_listed = true;
    counting->missing = 0;
    for (size_t i = 0; i < gateway->server_count; i++)
        counting->missing += !contains(counting->answered, counting->answered_count, gateway->servers[i]);
    if (!counting->missing) answer(gateway, counting, 0);
}

void cre__gateway_servers(cre_gateway *gateway, int result, const cre_broker_presence *presence) {
    bool is_next_due = false;
    gateway->lists_received++;
    if (!result) result = keep(gateway, presence);
    for (cre__counting *counting = gateway->countings, *next; counting; counting = next) {
        next = counting->next;
        const bool is_due = counting->list > gateway->lists_received;
        is_next_due |= is_due;
        if (!result && (!is_due || counting->is_listed))
            compare_with_list(gateway, counting);
        else if (result && !counting->is_listed)
            answer(gateway, counting, result);
    }
    if (!is_next_due) return;
    result = request_list(gateway);
    for (cre__counting *counting = gateway->countings, *next; result && counting; counting = next) {
        next = counting->next;
        if (!counting->is_listed) answer(gateway, counting, result);
    }
}

/* ---- questions ---- */

static int start_timer(cre_gateway *gateway, cre__counting *counting);

static void repeat(void *context, cre_timer *timer) {
    cre__counting *counting = context;
    cre_gateway *gateway = counting->gateway;
    cre_timer_stop(timer);
    counting->timer = NULL;
    if (cre_loop_now(gateway->loop) >= counting->deadline || start_timer(gateway, counting)) {
        answer(gateway, counting, counting->is_listed ? 0 : CRE_EBROKER_UNAVAILABLE);
        return;
    }
    const int result = ask(gateway, counting);
    (void)result; /* again the next time */
}

static int start_timer(cre_gateway *gateway, cre__counting *counting) {
    const uint64_t left = counting->deadline - cre_loop_now(gateway->loop);
    return cre_timer_start(gateway->loop, left < REPEAT_MS ? left : REPEAT_MS, 0, repeat, counting,
                           &counting->timer);
}

static int begin(cre_gateway *gateway, cre__asker asker, uint32_t timeout_ms, cre_slice topic) {
    if (gateway->counting_count >= MOST_COUNTINGS) return CRE_EBROKER_UNAVAILABLE;
    cre__counting *counting = cre__calloc(1, sizeof *counting);
    if (!counting) return CRE_ENOMEM;
    counting->gateway = gateway;
    counting->asker = asker;
    counting->number = ++gateway->last_counting;
    counting->deadline = cre_loop_now(gateway->loop) + timeout_ms;
    counting->topic_length = (uint8_t)topic.length;
    memcpy(counting->topic, topic.data, topic.length);
    counting->next = gateway->countings;
    counting->link = &gateway->countings;
    if (counting->next) counting->next->link = &counting->next;
    gateway->countings = counting;
    gateway->counting_count++;
    cre__gateway_publish_question_count(gateway);
    int result = ask(gateway, counting);
    if (!result) result = start_timer(gateway, counting);
    if (result) end(gateway, counting);
    return result;
}

int cre__gateway_ask_count(cre_gateway *gateway, cre__asker asker, cre_slice payload) {
    cre_count_question question;
    if (payload.length <= sizeof question || payload.length > sizeof question + CRE_MAX_TOPIC)
        return CRE_EINVALID;
    memcpy(&question, payload.data, sizeof question);
    const cre_slice topic = { payload.data + sizeof question, payload.length - sizeof question };
    if (gateway->cluster) return begin(gateway, asker, question.timeout_ms, topic);
    const cre_count none = { 0 }; /* there are no other servers */
    const cre_slice part = { (const uint8_t *)&none, sizeof none };
    return cre__gateway_answer(gateway, asker, 0, true, &part, 1);
}

/* ---- answers ---- */

static bool add_answered(cre__counting *counting, uint64_t server) {
    const size_t place = place_of(counting->answered, counting->answered_count, server);
    if (place < counting->answered_count && counting->answered[place] == server) return false;
    if (counting->answered_count == counting->capacity) {
        const size_t capacity = counting->capacity ? 2 * counting->capacity : 8;
        if (capacity > 2 * CRE_BROKER_MAX_LISTED) return false;
        uint64_t *larger = cre__realloc(counting->answered, capacity * sizeof *larger);
        if (!larger) return false;
        counting->answered = larger;
        counting->capacity = capacity;
    }
    uint64_t *at = counting->answered + place;
    memmove(at + 1, at, (counting->answered_count++ - place) * sizeof *at);
    *at = server;
    return true;
}

/* Only the first answer of a server counts. */
static void take_answer(cre_gateway *gateway, uint64_t server, uint64_t number, uint64_t count) {
    cre__counting *counting = gateway->countings;
    while (counting && counting->number != number)
        counting = counting->next;
    if (!counting || !add_answered(counting, server)) return;
    counting->count += count;
    if (!counting->is_listed || !contains(gateway->servers, gateway->server_count, server)) return;
    if (!--counting->missing) answer(gateway, counting, 0);
}

bool cre__gateway_receive_count(cre_gateway *gateway, cre_slice topic, cre_slice payload) {
    char own[TOPIC_LENGTH];
    uint64_t server, number;
    int64_t count;
    if (cre__slice_is(topic, CRE_TOPIC_ALL)) {
        if (!payload.length || *payload.data != 'q') return false;
        const bool is_valid = take_head(&payload, 'q', &server, &number);
        if (is_valid && payload.length && payload.length <= CRE_MAX_TOPIC && server != gateway->server)
            cre__gateway_count_here(gateway, server, number, payload);
        return true;
    }
    if (!cre__slice_equals(topic, topic_of_server(gateway->server, own))) return false;
    const bool is_valid = take_head(&payload, 'a', &server, &number);
    /* Anybody may publish here. */
    if (is_valid && cre__parse_integer(payload, &count) && count >= 0 && count <= UINT32_MAX)
        take_answer(gateway, server, number, (uint64_t)count);
    return true;
}
