/*
 * A broker and whatever a server may send. It must not crash, must not call back for what it was not asked,
 * and must end each publication, each recovery and each question for members once, at the latest with its
 * connection.
 *
 * Input: whether the server greets properly before it sends the input (bit 0), the number of publications,
 * whether there are members (bit 4) and whether it is a node of a cluster (bit 5), size of the pieces, the
 * input of the connection.
 */
#include <creactor/broker.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

enum { SETTINGS = 2, SCRIPTS = 5 };

static const cre_broker_history kept = { .count = 100, .seconds = 60 };

typedef struct caller {
    cre_broker *broker;
    bool wants, connected, unsubscribes;
    int asked, published, recovered, questions, answers;
    cre_broker_position last;
} caller;

static cre_slice text(const char *string) {
    return (cre_slice){ (const uint8_t *)string, strlen(string) };
}

static void on_connect(void *context, uint32_t shard) {
    REQUIRE(shard == 0);
    ((caller *)context)->wants = true;
}

static void on_disconnect(void *context, uint32_t shard) {
    REQUIRE(shard == 0);
    ((caller *)context)->connected = ((caller *)context)->wants = false;
}

static uint8_t touched;

static void touch(cre_slice bytes) {
    for (size_t i = 0; i < bytes.length; i++)
        touched ^= bytes.data[i];
}

static void on_message(void *context, cre_slice topic, cre_slice payload, cre_broker_position position) {
    caller *it = context;
    touch(payload);
    REQUIRE(topic.length == 1 && (*topic.data == 'a' || *topic.data == 'b'));
    if (*topic.data == 'a' && position.epoch) {
        /* without gaps and duplicates, unless a loss was reported */
        if (it->last.epoch)
            REQUIRE(position.epoch == it->last.epoch && position.offset == it->last.offset + 1);
        it->last = position;
    }
    if (it->unsubscribes && payload.length && payload.data[0] == 'u') {
        cre_broker_unsubscribe(it->broker, topic);
        it->last.epoch = 0;
        it->unsubscribes = false;
    }
}

static void on_subscribed(void *context, cre_slice topic, cre_broker_position position) {
    REQUIRE(topic.length == 1 && position.epoch);
    ((caller *)context)->last = position;
}

static void on_lost(void *context, cre_slice topic, cre_broker_position position) {
    REQUIRE(topic.length == 1 && *topic.data == 'a');
    ((caller *)context)->last = position;
}

static void on_published(void *context, uint64_t tag, int result, cre_broker_position position) {
    REQUIRE(tag == 5 && (result == 0 || position.epoch == 0));
    ((caller *)context)->published++;
}

static void on_missed(void *context, uint64_t tag, cre_slice payload, cre_broker_position position) {
    (void)context;
    touch(payload);
    REQUIRE(tag == 6 && position.epoch && position.offset);
}

static void on_recovered(void *context, uint64_t tag, int result, cre_broker_position position) {
    (void)result;
    (void)position;
    REQUIRE(tag == 6);
    ((caller *)context)->recovered++;
}

static void on_member(void *context, cre_slice topic, const cre_broker_member *member, bool joined) {
    (void)context;
    (void)joined;
    touch(topic);
    touch(member->id);
    touch(member->info);
}

static void on_present(void *context, uint64_t tag, int result, const cre_broker_presence *presence) {
    REQUIRE(tag == 8 && (result == 0) == (presence != NULL));
    ((caller *)context)->answers++;
    for (size_t i = 0; presence && i < presence->listed; i++) {
        touch(presence->members[i].id);
        touch(presence->members[i].info);
    }
}

static void on_state(void *context, uint32_t shard, cre_broker_state state, int error, cre_slice cause) {
    (void)context;
    (void)shard;
    (void)state;
    (void)error;
    touch(cause);
}

static void send_all(caller *it) {
    cre_broker_sent(it->broker, 0, cre_broker_output(it->broker, 0).length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char hello[] = "%1\r\n+proto\r\n:3\r\n";
    static const char script[] = "$40\r\n0000000000000000000000000000000000000000\r\n";
    const cre_broker_handlers handlers = {
        .connect = on_connect,
        .disconnect = on_disconnect,
        .message = on_message,
        .subscribed = on_subscribed,
        .lost = on_lost,
        .published = on_published,
        .missed = on_missed,
        .recovered = on_recovered,
        .state = on_state,
        .member = on_member,
        .present = on_present,
    };
    if (size < SETTINGS) return 0;
    const cre_broker_config config = { .size = sizeof config,
                                       .shards = 1,
                                       .seed = 7,
                                       .presence_ms = 480,
                                       .sweeps = 1,
                                       .kind =
                                           data[0] >> 5 & 1 ? CRE_BROKER_REDIS_CLUSTER : CRE_BROKER_REDIS };
    caller it = { .unsubscribes = true };
    uint64_t now = 1000;
    REQUIRE(cre_broker_create(&config, &handlers, &it, &it.broker) == 0);
    REQUIRE(cre_broker_subscribe(it.broker, text("a"), kept) == 0);
    REQUIRE(cre_broker_subscribe(it.broker, text("b"), (cre_broker_history){ 0 }) == 0);
    const bool has_members = data[0] >> 4 & 1;
    if (has_members) REQUIRE(cre_broker_join(it.broker, text("a"), text("m"), text("info")) == 0);
    for (int i = 0; i < (data[0] >> 1 & 7); i++)
        REQUIRE(cre_broker_publish(it.broker, text("a"), text("x"),
                                   (cre_broker_history){ .count = (uint32_t)i % 2, .seconds = 1 }, 5) == 0);
    cre_broker_tick(it.broker, now);
    REQUIRE(it.wants);
    it.connected = true;
    cre_broker_connected(it.broker, 0, now);
    send_all(&it);
    if (data[0] & 1) cre_broker_received(it.broker, 0, (const uint8_t *)hello, sizeof hello - 1, now);
    for (int i = 0; data[0] & 1 && i < SCRIPTS; i++)
        cre_broker_received(it.broker, 0, (const uint8_t *)script, sizeof script - 1, now);
    const size_t step = 1 + data[1];
    for (size_t at = SETTINGS; at < size && it.connected; at += step) {
        const size_t piece = size - at < step ? size - at : step;
        uint8_t *copy = malloc(piece);
        REQUIRE(copy);
        memcpy(copy, data + at, piece);
        send_all(&it);
        cre_broker_received(it.broker, 0, copy, piece, now);
        free(copy);
        if (it.connected)
            it.asked += !cre_broker_recover(it.broker, text("b"), kept, (cre_broker_position){ 1, 1 }, 6);
        if (it.connected && has_members)
            it.questions += !cre_broker_list_members(it.broker, text("a"), 100, 8);
        now += step;
        cre_broker_tick(it.broker, now);
    }
    if (it.connected) cre_broker_closed(it.broker, 0, 0, now);
    REQUIRE(it.answers == it.questions && it.recovered == it.asked && it.published <= (data[0] >> 1 & 7));
    REQUIRE(cre_broker_output(it.broker, 0).length == 0);
    cre_broker_destroy(it.broker);
    return 0;
}
