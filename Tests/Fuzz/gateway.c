/*
 * The gateway of a cluster, and the processes beside it: whatever one of them writes to shared memory or to
 * its ring, wherever it dies, and whatever comes from other machines, the others neither crash nor stop, a
 * client gets whole frames, and what an honest worker has published to a topic with history arrives once and
 * in order.
 *
 * Input: who writes the records, a process that owns sockets or with an odd byte the gateway, then a list of
 * steps. Each is a byte that says what happens, and its arguments:
 *
 *   record      kind, opcode, flags (2 bytes), session, length, payload: of any form, to the gateway, or with
 *               an odd flag to the worker
 *   publish     topic, opcode, session, length, message, repetitions of that
 *   interest    opcode, topic, position
 *   member      opcode, topic, id, info, a mistake in its length
 *   ask         kind, topic, position or number
 *   deliver     topic, position, opcode, session, length, message: of a gateway, as recovered
 *   recovered   topic, position, outcome, number of messages, mistakes, asker
 *   honest      what: the worker publishes, asks, joins or subscribes
 *   turn        -
 *   serve       time in steps of 100 ms: bytes move between the broker and Redis
 *   cut         bytes: after them the connection with Redis is lost
 *   foreign     channel, length, bytes: a message from another machine
 *   refuse      Redis refuses the next publication
 *   forget      Redis loses its data
 *   replace     the gateway
 *   reopen      the process of the input
 *   damage      place (3 bytes), length, bytes: written to shared memory
 *
 * A topic is a byte that selects one of the usual ones, or is followed by length and name. A position is a
 * byte for the epoch and one for the offset.
 */
#include "gateway_server.h"
#include "input.h"

enum { MAX_STEPS = 36, MAX_REPEAT = 64, JOURNAL_REACH = 1 << 16 };
enum {
    RECORD,
    PUBLISH,
    INTEREST,
    MEMBER,
    ASK,
    DELIVER,
    RECOVERED,
    HONEST,
    TURN,
    SERVE,
    CUT,
    FOREIGN,
    REFUSE,
    FORGET,
    REPLACE,
    REOPEN,
    DAMAGE,
    KINDS
};

/* ---- parts of records ---- */

typedef struct payload {
    uint8_t bytes[MAX_REPEAT * 256 + 1024];
    size_t length;
} payload;

static void add(payload *to, const void *bytes, size_t length) {
    if (length > sizeof to->bytes - to->length) length = sizeof to->bytes - to->length;
    if (length) memcpy(to->bytes + to->length, bytes, length);
    to->length += length;
}

static uint32_t add_input(payload *to, input *in, uint32_t repeat) {
    uint32_t length;
    uint8_t *bytes = take_bytes(in, repeat, &length);
    add(to, bytes, length);
    free(bytes);
    return length;
}

static uint16_t add_topic(payload *to, input *in) {
    static const char *const topics[] = { "kept",      "kept:2",      "live",         "first",
                                          "enveloped", CRE_TOPIC_ALL, CRE_TOPIC_NODES };
    enum { USUAL = sizeof topics / sizeof *topics };
    const uint8_t which = take(in) % (USUAL + 1);
    if (which == USUAL) return (uint16_t)add_input(to, in, 1);
    add(to, topics[which], strlen(topics[which]));
    return (uint16_t)strlen(topics[which]);
}

static cre_topic_position take_position(const target *t, input *in) {
    const uint8_t epoch = take(in), offset = take(in);
    return (cre_topic_position){ epoch == 1 ? t->position.epoch : epoch, offset };
}

static cre_session take_session(const target *t, input *in) {
    const uint8_t which = take(in);
    return which == 1 ? t->session : which == 255 ? UINT64_MAX : which;
}

static void send_record(target *t, uint32_t to, const cre_record *record, const payload *its) {
    const cre_slice part = { its->bytes, its->length };
    /* Refused ones are not sent. */
    IGNORE(cre_node_send(t->rogue, to, record, &part, 1));
}

/* ---- steps ---- */

static void any_record(target *t, input *in) {
    payload its = { .length = 0 };
    cre_record record = { .kind = take(in), .opcode = take(in), .flags = take_two(in) };
    record.session = take_session(t, in);
    add_input(&its, in, 1);
    const uint32_t to = t->rogue_node == GATEWAY || record.flags & 1 ? WORKER : GATEWAY;
    /* A worker may command any connection, and forge what this test looks at. */
    if (to == WORKER || (record.kind == CRE_MESSAGE_PUBLISH && record.opcode == CRE_WS_BINARY))
        t->may_lose = t->may_disorder = true;
    send_record(t, to, &record, &its);
}

static void publish(target *t, input *in) {
    payload its = { .length = 0 };
    cre_publishing head = { 0 };
    add(&its, &head, sizeof head);
    head.topic_length = add_topic(&its, in);
    const uint8_t opcode = take(in);
    const cre_record record = { .kind = CRE_MESSAGE_PUBLISH,
                                .opcode = opcode % 16 == CRE_WS_BINARY ? CRE_WS_TEXT : opcode % 16,
                                .flags = opcode / 16 % 2 ? CRE_RECORD_DELIVERED : 0,
                                .session = take_session(t, in) };
    if (opcode & 128) head.topic_length = (uint16_t)(head.topic_length + 1 + take(in));
    const uint8_t *at = in->at;
    add_input(&its, in, 1);
    input again = { at, in->end };
    for (uint8_t repeat = take(in) % MAX_REPEAT; repeat; repeat--, again.at = at)
        add_input(&its, &again, 1);
    memcpy(its.bytes, &head, sizeof head);
    send_record(t, GATEWAY, &record, &its);
}

static void interest(target *t, input *in) {
    payload its = { .length = 0 };
    const cre_record record = { .kind = CRE_MESSAGE_INTEREST, .opcode = take(in) % 8 };
    const cre_topic_position position = take_position(t, in);
    add(&its, &position, sizeof position);
    if (position.epoch) t->may_lose = true; /* the lowest one of all owners holds */
    if (record.opcode != CRE_INTEREST_BEGIN && record.opcode != CRE_INTEREST_END) add_topic(&its, in);
    send_record(t, GATEWAY, &record, &its);
}

static void member(target *t, input *in) {
    payload its = { .length = 0 };
    cre_joining head = { 0 };
    const cre_record record = { .kind = CRE_MESSAGE_MEMBER, .opcode = take(in) % 3 };
    add(&its, &head, sizeof head);
    head.topic_length = add_topic(&its, in);
    head.id_length = (uint16_t)add_input(&its, in, 1);
    head.info_length = (uint16_t)add_input(&its, in, 5);
    const uint8_t mistake = take(in);
    if (mistake & 128) head.id_length = (uint16_t)(head.id_length + mistake);
    memcpy(its.bytes, &head, sizeof head);
    send_record(t, t->rogue_node == GATEWAY ? WORKER : GATEWAY, &record, &its);
}

static void put_question(const target *t, input *in, uint8_t kind, payload *its) {
    if (kind == CRE_QUESTION_RECOVER) {
        const cre_recovery head = { .session = take_session(t, in), .since = take_position(t, in) };
        add(its, &head, sizeof head);
    } else if (kind == CRE_QUESTION_MEMBERS) {
        const cre_members_question head = { .most = take(in) * 100u };
        add(its, &head, sizeof head);
    } else if (kind == CRE_QUESTION_COUNT) {
        const cre_count_question head = { .timeout_ms = take(in) };
        add(its, &head, sizeof head);
    }
    add_topic(its, in);
}

static void ask(target *t, input *in) {
    payload its = { .length = 0 };
    const cre_record record = { .kind = CRE_MESSAGE_ASK, .opcode = take(in) % 16, .session = take(in) };
    if (record.opcode == CRE_QUESTION_RECOVER) t->may_lose = true; /* it may subscribe the client again */
    put_question(t, in, record.opcode, &its);
    send_record(t, GATEWAY, &record, &its);
}

static void deliver(target *t, input *in) {
    payload its = { .length = 0 };
    cre_delivery head = { 0 };
    add(&its, &head, sizeof head);
    head.topic_length = add_topic(&its, in);
    head.position = take_position(t, in);
    cre_record record = { .kind = CRE_MESSAGE_DELIVER, .opcode = take(in) };
    if (record.opcode & 128) head.topic_length = (uint16_t)(head.topic_length + record.opcode);
    record.opcode &= 127;
    record.session = take_session(t, in);
    add_input(&its, in, MAX_REPEAT);
    memcpy(its.bytes, &head, sizeof head);
    t->may_disorder = true;
    send_record(t, WORKER, &record, &its);
}

static void recovered(target *t, input *in) {
    payload its = { .length = 0 };
    cre_missed head = { 0 };
    add(&its, &head, sizeof head);
    head.topic_length = add_topic(&its, in);
    head.position = take_position(t, in);
    head.outcome = take(in) % 4;
    const uint8_t count = take(in) % 16, mistakes = take(in);
    for (uint8_t i = 0; i < count; i++) {
        const size_t at = its.length;
        cre_missed_message message = { .opcode = mistakes & 1 ? take(in) : 1 };
        add(&its, &message, sizeof message);
        message.length = add_input(&its, in, 1) + (mistakes & 2 ? take(in) : 0);
        memcpy(its.bytes + at, &message, sizeof message);
    }
    head.messages = count + (mistakes & 4 ? 1u : 0);
    head.asker = take(in) % (NODES + 1);
    head.mark = mistakes & 8 ? UINT64_MAX : 0;
    memcpy(its.bytes, &head, sizeof head);
    t->may_disorder = true;
    send_record(t, WORKER, &(cre_record){ .kind = CRE_MESSAGE_RECOVERED, .session = take_session(t, in) },
                &its);
}

static void publish_number(target *t, const char *topic, char front, numbers *of) {
    char text[16];
    const int length = snprintf(text, sizeof text, "%c%d", front, of->accepted + 1);
    if (cre_worker_publish(t->worker, topic, strlen(topic), CRE_WS_BINARY, text, (size_t)length, 0) == 0)
        of->accepted++;
}

static void ask_honestly(target *t, cre_question kind, uint8_t most) {
    const cre_members_question head = { .most = most };
    const cre_slice parts[] = { { (const uint8_t *)&head, kind == CRE_QUESTION_MEMBERS ? sizeof head : 0 },
                                { (const uint8_t *)"kept", 4 } };
    t->asked += cre_worker_ask(t->worker, t->asked + 1, kind, parts, 2) == 0;
}

/* It resumes the topic of its second numbers from any position, so they may begin anywhere. */
static void resume(target *t, input *in) {
    payload its = { .length = 0 };
    const cre_recovery head = { .session = t->session, .since = take_position(t, in) };
    add(&its, &head, sizeof head);
    add(&its, "kept:2", 6);
    const cre_slice part = { its.bytes, its.length };
    IGNORE(cre_worker_subscribe(t->worker, t->session, "kept:2", 6, false));
    t->resumed.arrived = 0;
    t->asked += cre_worker_ask(t->worker, t->asked + 1, CRE_QUESTION_RECOVER, &part, 1) == 0;
}

static void honest(target *t, input *in) {
    const cre_slice topic = { (const uint8_t *)"kept", 4 };
    const uint8_t what = take(in) % 8, id = take(in);
    switch (what) {
    case 0:
    case 1: publish_number(t, "kept", 'k', &t->kept); break;
    case 2: publish_number(t, "kept:2", 'r', &t->resumed); break;
    case 3: ask_honestly(t, CRE_QUESTION_POSITION, 0); break;
    case 4: ask_honestly(t, CRE_QUESTION_MEMBERS, id); break;
    case 5: resume(t, in); break;
    case 6: IGNORE(cre_worker_join(t->worker, t->session, topic, (cre_slice){ &id, 1 }, topic)); break;
    default: IGNORE(cre_worker_publish(t->worker, "live", 4, CRE_WS_TEXT, "hello", 5, t->session));
    }
}

static void foreign(target *t, input *in) {
    const server_connection *connection = &redis.connections[0];
    const uint8_t which = take(in);
    payload its = { .length = 0 };
    add_input(&its, in, 1);
    if (!connection->count) return;
    const char *channel = connection->channels[which % connection->count];
    t->may_lose = t->may_disorder = true;
    server_publish(&redis, (cre_slice){ (const uint8_t *)channel, strlen(channel) }, (const char *)its.bytes,
                   its.length);
}

/* What a process may do to what others read: the control block, nodes, table, and the beginning of the
 * journal. Rings have a driver of their own. */
static void damage(target *t, input *in) {
    uint8_t *memory = t->bus->memory;
    const size_t front = (size_t)(t->bus->rings - memory) - CRE__CONTROL_OFFSET;
    size_t at = take_two(in);
    const bool is_journal = take(in) & 1;
    uint32_t length;
    uint8_t *bytes = take_bytes(in, 1, &length);
    uint8_t *place_of = is_journal ? t->bus->journal : memory + CRE__CONTROL_OFFSET;
    const size_t reach = is_journal ? JOURNAL_REACH : front;
    at %= reach;
    if (length > reach - at) length = (uint32_t)(reach - at);
    memcpy(place_of + at, bytes, length);
    free(bytes);
    t->may_lose = t->may_disorder = true;
}

static void step(target *t, input *in) {
    switch (take(in) % KINDS) {
    case RECORD: any_record(t, in); break;
    case PUBLISH: publish(t, in); break;
    case INTEREST: interest(t, in); break;
    case MEMBER: member(t, in); break;
    case ASK: ask(t, in); break;
    case DELIVER: deliver(t, in); break;
    case RECOVERED: recovered(t, in); break;
    case HONEST: honest(t, in); break;
    case SERVE:
        now += take(in) * 100u;
        serve_cluster();
        turn(t);
        break;
    case CUT: cut_after = 1 + take_two(in) % 2048; break;
    case FOREIGN: foreign(t, in); break;
    case REFUSE:
        redis.refuses = "-ERR no\r\n";
        t->may_lose = true;
        break;
    case FORGET:
        server_forget(&redis);
        t->may_lose = t->may_disorder = true;
        break;
    case REPLACE: replace_gateway(t); break;
    case REOPEN:
        close_rogue(t);
        open_rogue(t);
        break;
    case DAMAGE: damage(t, in); break;
    default: turn(t);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static target t;
    input in = { data, data + size };
    target_open(&t, take(&in) & 1 ? GATEWAY : ROGUE);
    for (int i = 0; i < MAX_STEPS && in.at < in.end; i++)
        step(&t, &in);
    target_check(&t);
    target_close(&t);
    return 0;
}
