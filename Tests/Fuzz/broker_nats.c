/*
 * A broker and whatever a server of NATS may send. It must not crash, must not call back for what it was not
 * asked, must deliver in the order of sequences, and must end each recovery and list once, at the latest with
 * its connection, and each publication at most once.
 *
 * Input: whether the server greets properly before it sends the input (bit 0), the number of publications,
 * and whether there are members (bit 4); size of the pieces, the input of the connection.
 */
#include <creactor/broker.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

enum { SETTINGS = 2 };

static const cre_broker_history kept = { .count = 100, .seconds = 60 };

typedef struct caller {
    cre_broker *broker;
    bool wants, connected, unsubscribes;
    int asked, published, recovered, listed, answered;
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
        if (it->last.epoch == position.epoch) REQUIRE(position.offset > it->last.offset);
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
    (void)context; /* a message from before may be on its way */
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

static void on_refused(void *context, uint32_t shard, cre_slice cause) {
    (void)context;
    REQUIRE(shard == 0);
    touch(cause);
}

static void on_server(void *context, uint32_t shard, cre_slice host, uint16_t port) {
    (void)context;
    REQUIRE(shard == 0 && port && host.length);
    touch(host);
}

static void on_member(void *context, cre_slice topic, const cre_broker_member *member, bool joined) {
    (void)context;
    (void)joined;
    REQUIRE(topic.length && member->id.length && member->info.length <= CRE_BROKER_MAX_MEMBER_INFO);
    touch(topic);
    touch(member->id);
    touch(member->info);
}

static void on_present(void *context, uint64_t tag, int result, const cre_broker_presence *presence) {
    REQUIRE(tag == 8 && (result == 0) == (presence != NULL));
    ((caller *)context)->answered++;
    for (size_t i = 0; presence && i < presence->listed; i++) {
        touch(presence->members[i].id);
        touch(presence->members[i].info);
    }
}

/* Members of a topic that changes, and questions for them. */
static void change_members(caller *it, size_t round) {
    if (round % 3 == 1)
        cre_broker_leave(it->broker, text("p"), text("x"));
    else
        REQUIRE(cre_broker_join(it->broker, text("p"), text(round % 2 ? "x" : "y"), text("info")) == 0);
    if (it->listed - it->answered < 4) it->listed += !cre_broker_list_members(it->broker, text("p"), 9, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char greeting[] = "INFO {\"headers\":true,\"max_payload\":1000}\r\nPONG\r\n";
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
        .refused = on_refused,
        .server = on_server,
        .member = on_member,
        .present = on_present,
    };
    const cre_broker_config config = {
        .size = sizeof config, .shards = 1, .seed = 7, .kind = CRE_BROKER_NATS, .sweeps = size && data[0] & 16
    };
    if (size < SETTINGS) return 0;
    const bool has_members = data[0] & 16;
    caller it = { .unsubscribes = true };
    uint64_t now = 1000;
    REQUIRE(cre_broker_create(&config, &handlers, &it, &it.broker) == 0);
    REQUIRE(cre_broker_subscribe(it.broker, text("a"), kept) == 0);
    REQUIRE(cre_broker_subscribe(it.broker, text("b"), (cre_broker_history){ 0 }) == 0);
    for (int i = 0; i < (data[0] >> 1 & 7); i++)
        REQUIRE(cre_broker_publish(it.broker, text("a"), text("x"),
                                   (cre_broker_history){ .count = (uint32_t)i % 2, .seconds = 1 }, 5) == 0);
    cre_broker_tick(it.broker, now);
    REQUIRE(it.wants);
    it.connected = true;
    cre_broker_connected(it.broker, 0, now);
    send_all(&it);
    if (data[0] & 1) cre_broker_received(it.broker, 0, (const uint8_t *)greeting, sizeof greeting - 1, now);
    if (has_members) change_members(&it, 0);
    cre_broker_tick(it.broker, now); /* asks for the streams */
    const size_t step = 1 + data[1];
    for (size_t at = SETTINGS; at < size && it.connected; at += step) {
        const size_t piece = size - at < step ? size - at : step;
        uint8_t *copy = malloc(piece);
        REQUIRE(copy);
        memcpy(copy, data + at, piece);
        send_all(&it);
        cre_broker_received(it.broker, 0, copy, piece, now);
        free(copy);
        /* of another stream, or of the one that messages came from, which any server is asked for */
        const cre_broker_position since = { it.last.epoch ? it.last.epoch : 1, 1 };
        if (it.connected && !has_members)
            it.asked += !cre_broker_recover(it.broker, text(at / 64 % 2 ? "a" : "b"), kept, since, 6);
        if (it.connected && has_members && at / 64 != (at + step) / 64) change_members(&it, at / 64);
        now += step;
        cre_broker_tick(it.broker, now);
    }
    if (it.connected) cre_broker_closed(it.broker, 0, 0, now);
    REQUIRE(it.listed == it.answered);
    REQUIRE(it.recovered == it.asked && it.published <= (data[0] >> 1 & 7));
    REQUIRE(cre_broker_output(it.broker, 0).length == 0);
    cre_broker_destroy(it.broker);
    return 0;
}
