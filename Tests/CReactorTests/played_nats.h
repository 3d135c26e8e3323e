/* A broker at a server of NATS that the test plays: it answers the requests one after the other, or not at
 * all. Time is its own. */
#ifndef CRE_PLAYED_NATS_H
#define CRE_PLAYED_NATS_H

#include <creactor/broker.h>
#include <errno.h>

#include "core/base64.h"
#include "test.h"
#include "text.h"

enum { MOST = 32, LONGEST = 32768 };

typedef struct request {
    char subject[128], reply[64], headers[256], payload[LONGEST];
} request;

static cre_broker *broker;
static uint64_t now;
static bool wants;
static int closed, refusals;
static char refusal[256];      /* the last one */
static request requests[MOST]; /* without replies */
static int count;
static int subscriptions;

static inline void on_connect(void *context, uint32_t shard) {
    (void)context, (void)shard;
    wants = true;
}

static inline void on_disconnect(void *context, uint32_t shard) {
    (void)context, (void)shard;
    closed++;
}

static inline void on_state(void *context, uint32_t shard, cre_broker_state state, int error,
                            cre_slice cause) {
    (void)context, (void)shard, (void)state, (void)error, (void)cause;
}

static inline void on_refused(void *context, uint32_t shard, cre_slice cause) {
    (void)context, (void)shard;
    snprintf(refusal, sizeof refusal, "%.*s", (int)cause.length, (const char *)cause.data);
    refusals++;
}

/* ---- the server ---- */

static inline void deliver(const char *bytes, size_t length) {
    cre_broker_received(broker, 0, (const uint8_t *)bytes, length, now);
}

/* Takes what the broker has sent. */
static inline void turn(void) {
    cre_broker_tick(broker, now);
    for (cre_slice out; (out = cre_broker_output(broker, 0)).length;) {
        char *bytes = strndup((const char *)out.data, out.length);
        REQUIRE(bytes);
        cre_broker_sent(broker, 0, out.length);
        for (char *line = bytes, *end; (end = strstr(line, "\r\n")); line = end + 2) {
            request *next = &requests[count];
            int head = 0, size = 0;
            *end = 0;
            if (strncmp(line, "PING", 4) == 0) deliver("PONG\r\n", 6);
            subscriptions += strncmp(line, "SUB", 3) == 0;
            subscriptions -= strncmp(line, "UNSUB", 5) == 0;
            REQUIRE(count < MOST);
            const bool has_head =
                sscanf(line, "HPUB %127s %63s %d %d", next->subject, next->reply, &head, &size) == 4;
            if (!has_head && sscanf(line, "PUB %127s %63s %d", next->subject, next->reply, &size) != 3)
                continue;
            REQUIRE(head < (int)sizeof next->headers && size - head < (int)sizeof next->payload);
            snprintf(next->headers, sizeof next->headers, "%.*s", head, end + 2);
            snprintf(next->payload, sizeof next->payload, "%.*s", size - head, end + 2 + head);
            end += size + 2;
            count++;
        }
        free(bytes);
        cre_broker_tick(broker, now);
    }
}

/* Answers the first request, whose subject ends with `subject`. */
static inline void answer(const char *subject, const char *json) {
    static char bytes[2 * LONGEST];
    if (!count) TEST_FAIL("no request for %s", subject);
    REQUIRE(count > 0);
    const request *first = &requests[0];
    const size_t length = strlen(first->subject), tail = strlen(subject);
    if (length < tail || strcmp(first->subject + length - tail, subject) != 0)
        TEST_FAIL("a request for %s instead of %s", first->subject, subject);
    const int size =
        snprintf(bytes, sizeof bytes, "MSG %s 1 %zu\r\n%s\r\n", first->reply, strlen(json), json);
    memmove(requests, requests + 1, (size_t)--count * sizeof *requests);
    deliver(bytes, (size_t)size);
    turn();
}

/* Answers with a message of a stream, which has this subject. */
static const char *stored_subject = "x";
static inline void answer_message(const char *subject, int sequence, const char *headers,
                                  const char *payload) {
    static char json[2 * LONGEST], encoded[2 * LONGEST];
    char head[512];
    encoded[cre__base64_encode((const uint8_t *)payload, strlen(payload), encoded)] = 0;
    head[cre__base64_encode((const uint8_t *)headers, strlen(headers), head)] = 0;
    REQUIRE((size_t)snprintf(json, sizeof json,
                             "{\"message\":{\"subject\":\"%s\",\"seq\":%d,\"hdrs\":\"%s\",\"data\":\"%s\","
                             "\"time\":\"1970-01-02T00:00:00.25Z\"}}",
                             stored_subject, sequence, head, encoded) < sizeof json);
    answer(subject, json);
}

static inline void connect_broker(void) {
    static const char info[] = "INFO {\"headers\":true,\"max_payload\":65792}\r\n";
    cre_broker_tick(broker, now);
    REQUIRE(wants);
    wants = false;
    cre_broker_connected(broker, 0, now);
    deliver(info, sizeof info - 1);
    turn();
}

/* Creates the broker, and connects it. `settings` and `more` are what differs from the usual. */
static inline void start(cre_broker_config settings, cre_broker_handlers more) {
    more.connect = on_connect;
    more.disconnect = on_disconnect;
    more.state = on_state;
    more.refused = on_refused;
    settings.size = sizeof settings;
    settings.shards = 1;
    settings.seed = 7;
    settings.kind = CRE_BROKER_NATS;
    settings.probe_ms = 1000000;
    now = 1001;
    wants = false;
    closed = refusals = count = subscriptions = 0;
    REQUIRE(cre_broker_create(&settings, &more, NULL, &broker) == 0);
    connect_broker();
}

#endif
