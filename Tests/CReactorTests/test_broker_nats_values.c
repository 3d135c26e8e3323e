/* Values at a server of NATS that is played by this program, and whose replies come late or not at all. Time
 * is its own. */
#include <creactor/broker.h>
#include <errno.h>

#include "core/base64.h"
#include "test.h"

enum { MOST = 32, TIMEOUT_MS = 5000 };

typedef struct request {
    char subject[128], reply[64], headers[256], payload[1024];
} request;

static cre_broker *broker;
static uint64_t now;
static bool wants;
static int closed, refusals, ended, results[MOST];
static char value[64];
static request requests[MOST]; /* without replies */
static int count;

static cre_slice text(const char *string) {
    return (cre_slice){ (const uint8_t *)string, strlen(string) };
}

static void on_connect(void *context, uint32_t shard) {
    (void)context, (void)shard;
    wants = true;
}

static void on_disconnect(void *context, uint32_t shard) {
    (void)context, (void)shard;
    closed++;
}

static void on_state(void *context, uint32_t shard, cre_broker_state state, int error, cre_slice cause) {
    (void)context, (void)shard, (void)state, (void)error, (void)cause;
}

static void on_refused(void *context, uint32_t shard, cre_slice cause) {
    (void)context, (void)shard, (void)cause;
    refusals++;
}

static void on_value(void *context, uint64_t tag, int result, cre_slice found) {
    (void)context;
    REQUIRE(ended < MOST && found.length < sizeof value);
    CHECK_EQ(tag, ended); /* in order */
    results[ended++] = result;
    if (found.length) memcpy(value, found.data, found.length);
    value[found.length] = 0;
}

/* ---- the server ---- */

static void deliver(const char *bytes, size_t length) {
    cre_broker_received(broker, 0, (const uint8_t *)bytes, length, now);
}

/* Takes what the broker has sent. */
static void turn(void) {
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
static void answer(const char *subject, const char *json) {
    char bytes[4096];
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

/* A message of the stream. */
static void answer_message(const char *subject, int sequence, const char *headers, const char *payload) {
    char json[2048], encoded[512] = "", head[512] = "";
    cre__base64_encode((const uint8_t *)payload, strlen(payload), encoded);
    cre__base64_encode((const uint8_t *)headers, strlen(headers), head);
    snprintf(json, sizeof json,
             "{\"message\":{\"subject\":\"x\",\"seq\":%d,\"hdrs\":\"%s\",\"data\":\"%s\",\"time\":"
             "\"1970-01-02T00:00:00.25Z\"}}",
             sequence, head, encoded);
    answer(subject, json);
}

static const char *const none =
    "{\"error\":{\"code\":404,\"err_code\":10037,\"description\":\"no message found\"}}";
static const char *const conflict =
    "{\"error\":{\"code\":400,\"err_code\":10071,\"description\":\"wrong last\"}}";
static const char *const unavailable =
    "{\"error\":{\"code\":503,\"err_code\":10008,\"description\":\"later\"}}";
static const char *const acknowledged = "{\"stream\":\"sws-values\",\"seq\":9}";
static const char *const get_message = "$JS.API.STREAM.MSG.GET.sws-values";

static void describe(const char *more) {
    char json[512];
    snprintf(json, sizeof json,
             "{\"config\":{\"name\":\"sws-values\",\"subjects\":[\"sws.v.>\"],\"retention\":\"limits\","
             "\"max_msgs_per_subject\":1,\"max_age\":0,\"discard\":\"new\"%s},\"created\":\"today\"}",
             more);
    answer("$JS.API.STREAM.INFO.sws-values", json);
}

static void connect_broker(void) {
    static const char info[] = "INFO {\"headers\":true,\"max_payload\":65792}\r\n";
    cre_broker_tick(broker, now);
    REQUIRE(wants);
    wants = false;
    cre_broker_connected(broker, 0, now);
    deliver(info, sizeof info - 1);
    turn();
}

static void apply(cre_value_operation operation) {
    static uint64_t tag;
    if (!ended && !count) tag = 0;
    operation.key = text("key");
    CHECK_EQ(cre_broker_apply(broker, &operation, tag++), 0);
    turn();
}

static const cre_value_operation get = { .kind = CRE_VALUE_GET };

static void create(void) {
    const cre_broker_handlers handlers = { .connect = on_connect,
                                           .disconnect = on_disconnect,
                                           .state = on_state,
                                           .refused = on_refused,
                                           .value = on_value };
    const cre_broker_config config = {
        .size = sizeof config, .shards = 1, .seed = 7, .kind = CRE_BROKER_NATS, .probe_ms = 1000000
    };
    now = 1000;
    wants = false;
    closed = refusals = ended = count = 0;
    REQUIRE(cre_broker_create(&config, &handlers, NULL, &broker) == 0);
    connect_broker();
}

/* The clock of the server is a day and 250 ms when that of the machine is 1000 ms. */
static void learn_clock(void) {
    answer("sws.v.time", acknowledged);
    answer_message(get_message, 9, "", "");
}

static void begin(const char *more) {
    create();
    apply(get);
    describe(more);
    learn_clock();
    answer(get_message, none);
    CHECK(ended == 1 && results[0] == 0 && count == 0);
}

static void finish(int operations) {
    CHECK_EQ(ended, operations);
    cre_broker_destroy(broker);
    CHECK_EQ(ended, operations);
}

/* ---- tests ---- */

TEST(lifetimes) {
    const cre_value_operation set = { .kind = CRE_VALUE_SET, .value = text("v"), .lifetime_ms = 1500 };
    begin("");
    apply(set);
    CHECK_STR(requests[0].subject, "sws.v.k.key");
    CHECK_STR(requests[0].headers, "NATS/1.0\r\nSws-Expires: 86401750\r\n\r\n");
    answer("sws.v.k.key", acknowledged);
    apply((cre_value_operation){ .kind = CRE_VALUE_ADD, .amount = 2, .lifetime_ms = 5 });
    answer_message(get_message, 9, "NATS/1.0\r\nSws-Expires: 86401750\r\n\r\n", "40");
    CHECK_STR(requests[0].headers,
              "NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 9\r\nSws-Expires: 86401750\r\n\r\n");
    answer("sws.v.k.key", "{\"seq\":10}");
    CHECK_STR(value, "42");
    now += 1499;
    apply(get);
    answer_message(get_message, 10, "NATS/1.0\r\nSws-Expires: 86401750\r\n\r\n", "42");
    CHECK(ended == 4 && results[3] == 1);
    CHECK_EQ(count, 0);
    now++; /* both messages are removed, of which only one is there */
    turn();
    CHECK_STR(requests[0].payload, "{\"seq\":9,\"no_erase\":true}");
    answer("STREAM.MSG.DELETE.sws-values", none);
    answer("STREAM.MSG.DELETE.sws-values", "{\"success\":true}");
    apply(get); /* another machine has not done so */
    answer_message(get_message, 11, "NATS/1.0\r\nSws-Expires: 86401750\r\n\r\n", "42");
    answer("STREAM.MSG.DELETE.sws-values", none);
    CHECK(ended == 5 && results[4] == 0);
    finish(5);
}

/* A server that removes expired messages gets their lifetime, and no requests. */
TEST(lifetimes_at_the_server) {
    const cre_value_operation set = { .kind = CRE_VALUE_SET, .value = text("v"), .lifetime_ms = 1500 };
    begin(",\"allow_msg_ttl\":true");
    apply(set);
    CHECK_STR(requests[0].headers, "NATS/1.0\r\nSws-Expires: 86401750\r\nNats-TTL: 3s\r\n\r\n");
    answer("sws.v.k.key", acknowledged);
    now += 10000;
    turn();
    CHECK_EQ(count, 0);
    finish(2);
}

TEST(conflicts) {
    const cre_value_operation absent = { .kind = CRE_VALUE_SET,
                                         .condition = CRE_VALUE_IF_ABSENT,
                                         .value = text("v") };
    begin("");
    apply(absent);
    answer("sws.v.k.key", conflict);
    answer_message(get_message, 5, "NATS/1.0\r\nSws-Expires: 7\r\n\r\n", "old");
    CHECK_STR(requests[0].headers, "NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 5\r\n\r\n");
    answer("sws.v.k.key", conflict);
    answer_message(get_message, 6, "", "other");
    CHECK(ended == 2 && results[1] == 0);
    /* it ends in time, though others are always first */
    apply((cre_value_operation){ .kind = CRE_VALUE_ADD, .amount = 1 });
    int attempts = 0;
    for (const uint64_t end = now + TIMEOUT_MS; now < end && ended == 2; now += 20, attempts++) {
        turn();
        while (count)
            if (strcmp(requests[0].subject, get_message) == 0)
                answer_message(get_message, 5, "", "1");
            else
                answer(requests[0].subject, conflict);
    }
    turn();
    CHECK(ended == 3 && results[2] == CRE_EBROKER_UNAVAILABLE && attempts > 100);
    finish(3);
}

/* Nothing was changed by an operation that was not sent; of one that was, nobody knows. */
TEST(without_replies) {
    const cre_value_operation set = { .kind = CRE_VALUE_SET, .value = text("v") };
    create();
    apply(get);
    apply(get);
    now += TIMEOUT_MS;
    turn();
    CHECK(ended == 2 && results[0] == CRE_EBROKER_UNAVAILABLE && results[1] == CRE_EBROKER_UNAVAILABLE);
    count = 0;
    now += 1000;
    turn();
    apply(set);
    describe("");
    learn_clock();
    CHECK_EQ(count, 1);
    apply(get); /* behind it */
    CHECK_EQ(count, 1);
    count = 0;
    now += TIMEOUT_MS;
    turn();
    CHECK(results[2] == CRE_EBROKER_UNKNOWN && results[3] == CRE_EBROKER_UNAVAILABLE);
    CHECK_EQ(closed, 0);
    finish(4);
}

/* JetStream is not available for a moment, which nobody notices. */
TEST(retries) {
    begin("");
    apply((cre_value_operation){ .kind = CRE_VALUE_ADD, .amount = 1 });
    answer(get_message, unavailable);
    now += 250;
    turn();
    describe("");
    answer(get_message, none);
    answer("sws.v.k.key", unavailable);
    now += 250;
    turn();
    describe("");
    answer(get_message, none);
    answer("sws.v.k.key", acknowledged);
    CHECK(ended == 2 && results[1] == 1 && refusals == 0);
    CHECK_STR(value, "1");
    finish(2);
}

static void check_malformed(const char *reply) {
    begin("");
    apply(get);
    answer(get_message, reply);
    CHECK_EQ(closed, 1);
    CHECK(ended == 2 && results[1] == CRE_EBROKER_UNKNOWN);
    finish(2);
}

TEST(malformed_replies) {
    check_malformed("{}");
    check_malformed("{\"message\":{\"seq\":0,\"data\":\"eA==\"}}");
    check_malformed("{\"message\":{\"seq\":1,\"data\":\"e\"}}");
    check_malformed("{\"message\":{\"seq\":1,\"hdrs\":\"!\",\"data\":\"eA==\"}}");
    static const char *const times[] = { "", "1970-01-02T00:00:00", "1970-13-02T00:00:00Z", "today",
                                         "1970-01-02T00:00:0xZ" };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char json[128];
        create();
        apply(get);
        describe("");
        answer("sws.v.time", acknowledged);
        snprintf(json, sizeof json, "{\"message\":{\"seq\":1,\"time\":\"%s\"}}", times[i]);
        answer(get_message, json);
        CHECK_EQ(closed, 1);
        CHECK(ended == 1 && results[0] == CRE_EBROKER_UNKNOWN);
        finish(1);
    }
}

TEST(streams_that_differ) {
    create();
    apply(get);
    answer(
        "$JS.API.STREAM.INFO.sws-values",
        "{\"config\":{\"subjects\":[\"sws.v.>\"],\"max_msgs_per_subject\":1,\"max_age\":0,\"discard\":\"old\"},"
        "\"created\":\"today\"}");
    CHECK(ended == 1 && results[0] == CRE_EBROKER_REFUSED && refusals == 1);
    cre_value_operation operation = get;
    operation.key = text("key");
    CHECK_EQ(cre_broker_apply(broker, &operation, 9), CRE_EBROKER_UNAVAILABLE);
    finish(1);
}

TEST(limits) {
    static uint8_t bytes[CRE_VALUE_MAX];
    cre_value_operation set = { .kind = CRE_VALUE_SET,
                                .key = text("key"),
                                .value = { bytes, CRE_VALUE_MAX } };
    begin("");
    CHECK_EQ(cre_broker_apply(broker, &set, 1), 0);
    deliver("INFO {\"headers\":true,\"max_payload\":65000}\r\n", 43);
    CHECK_EQ(cre_broker_apply(broker, &set, 2), CRE_ELIMIT);
    set.value.length = 64000;
    CHECK_EQ(cre_broker_apply(broker, &set, 2), 0);
    finish(1);
}

int main(int argc, char **argv) {
    return test_main(argc, argv);
}
