/* Commands: the table of their kinds, and how an engine carries them out. */
#include "engine/command.h"

#include <creactor/http_write.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/conn.h"
#include "engine/heartbeat.h"
#include "engine/presence.h"
#include "engine/publish.h"
#include "engine/response.h"
#include "engine/user.h"
#include "net/sockaddr.h"

/* More than any datagram can have; the system knows the limit of each kind. */
#define MAX_DATAGRAM (1u << 20)

/* The largest message that can be published. */
#define MAX_PUBLISHED (1u << 30)

/* The bytes of a close frame behind its code. */
#define CLOSE_TEXT (CRE_WS_MAX_CONTROL - 2)

/* ---- payloads ---- */

static int read_binding(cre_slice *parts, int count, cre__user *user) {
    cre_binding binding;
    if (!cre__slices_take(&binding, sizeof binding, parts, count)) return CRE_EINVALID;
    user->id = binding.user_id;
    user->length = cre__slices_length(parts, count);
    if (user->id ? user->length != 0 : !user->length || user->length > CRE_MAX_USER) return CRE_EINVALID;
    if (user->id)
        cre__user_set_decimal(user);
    else
        cre__slices_take(user->name, user->length, parts, count);
    return 0;
}

typedef struct closing_text {
    cre_closing closing;
    char text[CRE_WS_MAX_CONTROL];
    size_t length;
    bool chosen;
} closing_text;

static int read_closing(cre_slice *parts, int count, closing_text *out) {
    size_t length = cre__slices_length(parts, count);
    *out = (closing_text){ .closing.code = 1000 };
    if (!length) return 0;
    if (!cre__slices_take(&out->closing, sizeof out->closing, parts, count)) return CRE_EINVALID;
    length -= sizeof out->closing;
    out->length = length < sizeof out->text ? length : sizeof out->text;
    if (!cre__slices_take(out->text, out->length, parts, count)) return CRE_EINVALID;
    /* A text that is too long is cut between two code points, so that it stays valid. */
    if (length > CLOSE_TEXT) {
        out->length = CLOSE_TEXT;
        while (out->length && ((uint8_t)out->text[out->length] & 0xC0) == 0x80)
            out->length--;
    }
    out->chosen = out->closing.code != 0;
    if (!out->chosen) out->closing.code = 1000;
    bool good =
        cre_ws_close_code_valid(out->closing.code) && cre_utf8_valid((uint8_t *)out->text, out->length);
    return good ? 0 : CRE_EINVALID;
}

static int read_address(cre_slice *parts, int count, cre_address *address) {
    if (!cre__slices_take(address, sizeof *address, parts, count) || !cre__address_valid(address))
        return CRE_EINVALID;
    return cre__slices_length(parts, count) <= MAX_DATAGRAM ? 0 : CRE_ELIMIT;
}

/* The topic of SUBSCRIBE, UNSUBSCRIBE and PUBLISH; behind it the parts are the message. */
typedef struct topic_name {
    uint8_t bytes[CRE_MAX_TOPIC];
    size_t length;
} topic_name;

static bool is_reserved(const topic_name *topic) {
    return cre_topic_is_reserved(topic->bytes, topic->length);
}

static int take_topic(size_t length, cre_slice *parts, int count, topic_name *topic) {
    topic->length = length;
    bool good = length && length <= CRE_MAX_TOPIC && cre__slices_take(topic->bytes, length, parts, count);
    return good ? 0 : CRE_EINVALID;
}

static int check_message(const cre_record *command, cre_slice *parts, int count) {
    bool message = command->opcode == CRE_WS_TEXT || command->opcode == CRE_WS_BINARY;
    return message && cre__slices_length(parts, count) <= MAX_PUBLISHED ? 0 : CRE_EINVALID;
}

/* The payload of a close frame, with which a topic's connections are closed. */
static int read_close_frame(cre_slice *parts, int count, closing_text *out) {
    uint8_t payload[CRE_WS_MAX_CONTROL];
    const size_t length = cre__slices_length(parts, count);
    if (length > sizeof payload || !cre__slices_take(payload, length, parts, count) ||
        !cre_ws_close_payload_valid(payload, length))
        return CRE_EINVALID;
    *out = (closing_text){ .closing.code = (uint16_t)(payload[0] << 8 | payload[1]),
                           .length = length - 2,
                           .chosen = true };
    memcpy(out->text, payload + 2, out->length);
    return 0;
}

static int read_publishing(cre_slice *parts, int count, topic_name *topic) {
    cre_publishing publishing;
    if (!cre__slices_take(&publishing, sizeof publishing, parts, count)) return CRE_EINVALID;
    return take_topic(publishing.topic_length, parts, count, topic);
}

/* ---- checks ---- */

static int check_nothing(const cre_record *command, cre_slice *parts, int count) {
    (void)command;
    (void)parts;
    (void)count;
    return 0;
}

static int check_push(const cre_record *command, cre_slice *parts, int count) {
    uint8_t opcode = command->opcode;
    if (opcode <= CRE_WS_BINARY) return 0;
    bool control = opcode == CRE_WS_PING || opcode == CRE_WS_PONG, final = command->flags & CRE_RECORD_FINAL;
    return control && final && cre__slices_length(parts, count) <= CRE_WS_MAX_CONTROL ? 0 : CRE_EINVALID;
}

static int check_closing(const cre_record *command, cre_slice *parts, int count) {
    closing_text text;
    (void)command;
    return read_closing(parts, count, &text);
}

static int check_binding(const cre_record *command, cre_slice *parts, int count) {
    cre__user user;
    (void)command;
    return read_binding(parts, count, &user);
}

static int check_datagram(const cre_record *command, cre_slice *parts, int count) {
    cre_address address;
    (void)command;
    return read_address(parts, count, &address);
}

static int check_response(const cre_record *command, cre_slice *parts, int count) {
    cre__response response;
    (void)command;
    int result = cre__response_read(&response, parts, count);
    return result ? result : cre_http_fields_check(response.fields.data, response.fields.length);
}

static int check_interim(const cre_record *command, cre_slice *parts, int count) {
    cre__response response;
    (void)command;
    int result = cre__interim_read(&response, parts, count);
    return result ? result : cre_http_fields_check(response.fields.data, response.fields.length);
}

static int check_response_body(const cre_record *command, cre_slice *parts, int count) {
    cre_slice trailers;
    if (!(command->flags & CRE_RECORD_TRAILERS)) return 0;
    if (!(command->flags & CRE_RECORD_FINAL)) return CRE_EINVALID;
    return cre__trailers_read(&trailers, parts, count);
}

static int check_file_response(const cre_record *command, cre_slice *parts, int count) {
    cre__file_response response;
    (void)command;
    const cre_slice *fields = &response.head.fields;
    int result = cre__file_response_read(&response, parts, count);
    return result ? result : cre_http_fields_check(fields->data, fields->length);
}

static int check_folder_response(const cre_record *command, cre_slice *parts, int count) {
    cre__folder_response response;
    (void)command;
    const cre_slice *fields = &response.head.fields;
    int result = cre__folder_response_read(&response, parts, count);
    return result ? result : cre_http_fields_check(fields->data, fields->length);
}

static int check_upgrade(const cre_record *command, cre_slice *parts, int count) {
    cre__upgrade upgrade;
    (void)command;
    return cre__upgrade_read(&upgrade, parts, count);
}

static int check_topic(const cre_record *command, cre_slice *parts, int count) {
    topic_name topic;
    (void)command;
    const int result = take_topic(cre__slices_length(parts, count), parts, count, &topic);
    return result || !is_reserved(&topic) ? result : CRE_EINVALID;
}

static int check_joining(const cre_record *command, cre_slice *parts, int count) {
    cre__joining joining;
    (void)command;
    return cre__joining_read(&joining, parts, count);
}

static int check_publishing(const cre_record *command, cre_slice *parts, int count) {
    topic_name topic;
    closing_text text;
    const int result = read_publishing(parts, count, &topic);
    if (result) return result;
    return command->opcode == CRE_WS_CLOSE ? read_close_frame(parts, count, &text)
                                           : check_message(command, parts, count);
}

/* ---- the table ---- */

#define IN(state) (1u << CRE_CONNECTION_##state)
#define WEBSOCKET (IN(OPEN) | IN(CLOSING))
#define ANY       (IN(HTTP) | WEBSOCKET | IN(STREAM))

/* Indexed by kind; the kinds of commands are few and lie close together. */
enum { FIRST = CRE_COMMAND_PUSH, LAST = CRE_COMMAND_JOIN };

#define RULE(kind) [CRE_COMMAND_##kind - FIRST]

static const cre__command_rule rules[LAST - FIRST + 1] = {
    RULE(PUSH) = { check_push, IN(OPEN), CRE_ENOT_WEBSOCKET,
                   CRE__COMMAND_QUEUES | CRE__COMMAND_FINAL_QUEUES },
    RULE(SEND) = { check_nothing, IN(STREAM), CRE_ENOT_STREAM,
                   CRE__COMMAND_QUEUES | CRE__COMMAND_FINAL_QUEUES },
    RULE(RESPOND) = { check_response, IN(HTTP), CRE_ENO_REQUEST, 0 },
    RULE(RESPOND_INTERIM) = { check_interim, IN(HTTP), CRE_ENO_REQUEST,
                              CRE__COMMAND_QUEUES | CRE__COMMAND_FIELDS },
    RULE(RESPOND_BODY) = { check_response_body, IN(HTTP), CRE_ENO_REQUEST,
                           CRE__COMMAND_QUEUES | CRE__COMMAND_RESETS },
    RULE(RESPOND_FILE) = { check_file_response, IN(HTTP), CRE_ENO_REQUEST, CRE__COMMAND_FIELDS },
    RULE(RESPOND_FOLDER_FILE) = { check_folder_response, IN(HTTP), CRE_ENO_REQUEST, CRE__COMMAND_FIELDS },
    RULE(CONTINUE) = { check_nothing, IN(HTTP), CRE_ENO_REQUEST, 0 },
    RULE(ABANDON) = { check_nothing, ANY, CRE_EGONE, 0 },
    RULE(UPGRADE) = { check_upgrade, IN(HTTP), CRE_ENO_REQUEST, CRE__COMMAND_FIELDS },
    RULE(ADOPT) = { check_nothing, IN(OPEN), CRE_ENOT_WEBSOCKET, 0 },
    RULE(CLOSE) = { check_closing, ANY, CRE_EGONE, 0 },
    RULE(RESET) = { check_nothing, ANY, CRE_EGONE, 0 },
    RULE(PAUSE) = { check_nothing, ANY, CRE_EGONE, 0 },
    RULE(RESUME) = { check_nothing, ANY, CRE_EGONE, 0 },
    RULE(PROTECT) = { check_nothing, ANY, CRE_EGONE, 0 },
    RULE(BIND) = { check_binding, ANY, CRE_EGONE, 0 },
    RULE(UNBIND) = { check_nothing, ANY, CRE_EGONE, 0 },
    RULE(SENDTO) = { check_datagram, ANY, CRE_EGONE, CRE__COMMAND_WITHOUT_STREAM },
    RULE(SUBSCRIBE) = { check_topic, WEBSOCKET, CRE_ENOT_WEBSOCKET, 0 },
    RULE(JOIN) = { check_joining, WEBSOCKET, CRE_ENOT_WEBSOCKET, 0 },
    RULE(UNSUBSCRIBE) = { check_topic, WEBSOCKET, CRE_ENOT_WEBSOCKET, 0 },
    RULE(PUBLISH) = { check_publishing, ANY, CRE_EGONE,
                      CRE__COMMAND_PUBLISHES | CRE__COMMAND_WITHOUT_STREAM },
    RULE(BROADCAST) = { check_message, ANY, CRE_EGONE, CRE__COMMAND_PUBLISHES | CRE__COMMAND_WITHOUT_STREAM },
};

const cre__command_rule *cre__command_rule_of(uint8_t kind) {
    if (kind < FIRST || kind > LAST || !rules[kind - FIRST].check) return NULL;
    return &rules[kind - FIRST];
}

int cre__command_check(const cre_record *command, const cre_slice *parts, int count) {
    const cre__command_rule *rule = cre__command_rule_of(command->kind);
    if (!rule || count > CRE__MAX_PARTS) return CRE_EINVALID;
    cre_slice own[CRE__MAX_PARTS];
    for (int i = 0; i < count; i++)
        own[i] = parts[i];
    return rule->check(command, own, count);
}

int cre__command_fits(const cre__command_rule *rule, int state) {
    if (rule->states & 1u << state) return 0;
    /* A WebSocket that is closing is no other protocol: it is about to be gone. */
    return state == CRE_CONNECTION_CLOSING ? CRE_EGONE : rule->misfit;
}

/* ---- carrying out ---- */

/* Closing a connection may call the application, which may change the topic: its members are listed before.
 */
static int close_topic(cre_engine *engine, const topic_name *name, cre_session except, cre_slice *parts,
                       int count) {
    closing_text text;
    const int result = read_close_frame(parts, count, &text);
    if (result) return result;
    const cre__topic *topic = cre__topic_find(engine, name->bytes, name->length);
    if (!topic) return 0;
    const uint32_t members = topic->count;
    cre_session *sessions = cre__malloc(members * sizeof *sessions);
    if (!sessions) return CRE_ENOMEM;
    for (uint32_t i = 0; i < members; i++)
        sessions[i] = topic->members[i].conn->stream.session;
    const cre__closing closing = { text.closing.code, text.text, text.length, text.chosen };
    for (uint32_t i = 0; i < members; i++) {
        cre__conn *conn = sessions[i] == except ? NULL : cre__engine_find(engine, sessions[i]);
        if (conn && conn->stream.accepts_frames) conn->protocol->close(conn, CRE_CLOSED_SERVER, &closing);
    }
    cre__free(sessions);
    return 0;
}

static int publish(cre_engine *engine, const cre_record *command, cre_slice *parts, int count) {
    cre__topic *topic;
    topic_name name;
    int result;
    if (command->kind == CRE_COMMAND_BROADCAST) {
        result = check_message(command, parts, count);
        if (result) return result;
        topic = cre__topic_everyone(engine);
        if (!topic) return CRE_ENOMEM;
    } else {
        result = read_publishing(parts, count, &name);
        if (!result && command->opcode == CRE_WS_CLOSE)
            return close_topic(engine, &name, command->session, parts, count);
        if (!result) result = check_message(command, parts, count);
        if (result) return result;
        topic = cre__topic_find(engine, name.bytes, name.length);
        if (!topic) return 0; /* nobody has subscribed */
    }
    return cre__publish(engine, topic, command->opcode, cre__engine_find(engine, command->session), parts,
                        count);
}

static int send_datagram(cre_engine *engine, const cre_record *command, cre_slice *parts, int count) {
    cre_address address;
    int result = read_address(parts, count, &address);
    return result ? result : cre__datagram_send(engine, cre_record_port(command), &address, parts, count);
}

static int subscribe(cre__conn *conn, const cre_record *command, cre_slice *parts, int count) {
    topic_name topic;
    int result = take_topic(cre__slices_length(parts, count), parts, count, &topic);
    if (!result && is_reserved(&topic)) result = CRE_EINVALID;
    if (result) return result;
    if (command->kind == CRE_COMMAND_SUBSCRIBE) return cre__topic_subscribe(conn, topic.bytes, topic.length);
    cre__topic_unsubscribe(conn, topic.bytes, topic.length);
    return 0;
}

static int join(cre__conn *conn, cre_slice *parts, int count) {
    cre__joining joining;
    const int result = cre__joining_read(&joining, parts, count);
    return result ? result : cre__topic_join(conn, &joining);
}

static int close_conn(cre__conn *conn, cre_slice *parts, int count) {
    closing_text text;
    int result = read_closing(parts, count, &text);
    if (result) return result;
    cre__closing closing = { text.closing.code, text.text, text.length, text.chosen };
    return conn->protocol->close(conn, CRE_CLOSED_SERVER, &closing);
}

static int bind_user(cre__conn *conn, cre_slice *parts, int count) {
    cre__user user;
    const int result = read_binding(parts, count, &user);
    return result ? result : cre__user_bind(conn, &user);
}

/* The owner of the connection and the application pause independently of each other. */
static void pause_reading(cre__conn *conn, bool pause, uint8_t reason) {
    if (pause && cre__conn_state(conn) == CRE_CONNECTION_CLOSING) return; /* the peer's answer must be read */
    if (pause) {
        cre__transport_stop(&conn->transport, reason);
        return;
    }
    if (conn->transport.stopped & reason) cre__conn_resume_later(conn);
    cre__transport_resume(&conn->transport, reason);
}

static int run_on(cre__conn *conn, const cre_record *command, cre_slice *parts, int count,
                  cre__policy policy) {
    switch (command->kind) {
    case CRE_COMMAND_BIND: return bind_user(conn, parts, count);
    case CRE_COMMAND_UNBIND: cre__user_unbind(conn); return 0;
    case CRE_COMMAND_CLOSE: return close_conn(conn, parts, count);
    case CRE_COMMAND_RESET: CRE__RESET(conn, .reason = CRE_CLOSED_SERVER); return 0;
    case CRE_COMMAND_PROTECT: cre__heartbeat_protect(conn, command->opcode); return 0;
    case CRE_COMMAND_PAUSE:
    case CRE_COMMAND_RESUME:
        pause_reading(conn, command->kind == CRE_COMMAND_PAUSE,
                      command->opcode ? CRE__STOP_HELD : CRE__STOP_PAUSED);
        return 0;
    case CRE_COMMAND_SUBSCRIBE:
    case CRE_COMMAND_UNSUBSCRIBE: return subscribe(conn, command, parts, count);
    case CRE_COMMAND_JOIN: return join(conn, parts, count);
    default: return conn->protocol->command(conn, command, parts, count, policy);
    }
}

/* NULL: the connection is gone, which is counted. */
static inline cre__conn *find_conn(cre_engine *engine, const cre_record *command) {
    cre__conn *conn = cre__engine_find(engine, command->session);
    if (!conn) cre__count_rare(engine, &engine->stats.stale_commands, 1);
    return conn;
}

static int run(cre_engine *engine, const cre_record *command, const cre_slice *parts, int count,
               cre__policy policy) {
    const cre__command_rule *rule = cre__command_rule_of(command->kind);
    if (!rule || count > CRE__MAX_PARTS) return CRE_EINVALID;
    cre_slice own[CRE__MAX_PARTS];
    for (int i = 0; i < count; i++)
        own[i] = parts[i];
    if (rule->traits & CRE__COMMAND_PUBLISHES) return publish(engine, command, own, count);
    if (command->kind == CRE_COMMAND_SENDTO) return send_datagram(engine, command, own, count);
    cre__conn *conn = find_conn(engine, command);
    if (!conn) return CRE_EGONE;
    int result = cre__command_fits(rule, cre__conn_state(conn));
    return result ? result : run_on(conn, command, own, count, policy);
}

int cre_engine_command(cre_engine *engine, const cre_record *command, const cre_slice *parts, int count) {
    return run(engine, command, parts, count, CRE__REFUSE_WHEN_FULL);
}

int cre__command_respond(cre_engine *engine, cre_session session, uint8_t request, uint16_t flags,
                         const cre__response *response, const cre_slice *body) {
    cre__conn *conn = cre__engine_find(engine, session);
    if (!conn || !conn->protocol->respond || conn->protocol->oldest_request(conn) != request ||
        response->status < 200 || response->status > 999)
        return 1;
    return conn->protocol->respond(conn, response, flags, body, 1);
}

int cre__command_with_file(cre_engine *engine, const cre_record *command, const cre_slice *parts, int count,
                           int descriptor) {
    /* An event that it causes may lead to another such command. */
    int before = engine->given_file;
    engine->given_file = descriptor;
    int result = run(engine, command, parts, count, CRE__REFUSE_WHEN_FULL);
    /* The answer was refused, or must wait: the file is opened when it is its turn. */
    int unused = cre__engine_take_file(engine);
    if (unused >= 0) close(unused);
    engine->given_file = before;
    return result;
}

int cre__engine_take_file(cre_engine *engine) {
    int descriptor = engine->given_file;
    engine->given_file = -1;
    return descriptor;
}

/* The connection whose stream has a hole now; NULL: none, and what was lost is counted. */
static cre__conn *find_hole(cre_engine *engine, const cre_record *command) {
    const cre__command_rule *rule = cre__command_rule_of(command->kind);
    if (command->kind == CRE_COMMAND_SENDTO) cre__count_rare(engine, &engine->stats.dropped_packets, 1);
    if (rule && rule->traits & CRE__COMMAND_PUBLISHES) {
        cre__count_rare(engine, &engine->stats.skipped, 1);
        return NULL; /* its session is the one that was excepted */
    }
    return cre__engine_find(engine, command->session);
}

void cre__command_lost(cre_engine *engine, const cre_record *command) {
    cre__conn *conn = find_hole(engine, command);
    if (conn) cre__conn_no_memory(conn);
}

void cre__command_shed(cre_engine *engine, const cre_record *command) {
    cre__conn *conn = find_hole(engine, command);
    if (!conn) return;
    cre__count_rare(engine, &engine->stats.shed, 1);
    CRE__RESET(conn, .reason = CRE_CLOSED_OVERFLOW, .error = CRE_EBUDGET);
}

static int push(cre_engine *engine, const cre_record *command, const cre_slice *payload) {
    cre__conn *conn = find_conn(engine, command);
    if (!conn) return CRE_EGONE;
    if (!conn->stream.accepts_frames)
        return cre__command_fits(&rules[CRE_COMMAND_PUSH - FIRST], cre__conn_state(conn));
    const uint8_t fin = command->flags & CRE_RECORD_FINAL ? CRE_WS_FIN : 0;
    return conn->protocol->push(conn, command->opcode | fin, payload, 1, CRE__FORCE);
}

/* A response is checked while its head is written, as one of this process; and here if it was not written. No
 * queue is too full for it. */
static int respond(cre_engine *engine, const cre_record *command, const cre_slice *payload) {
    cre__response response;
    cre_slice body;
    int result = cre__response_read_whole(&response, payload, &body);
    if (result) return result;
    result =
        cre__command_respond(engine, command->session, command->opcode, command->flags, &response, &body);
    if (result > 0) result = run(engine, command, payload, 1, CRE__REFUSE_WHEN_FULL);
    if (!result) return 0;
    /* valid by itself, but not for its protocol: the client would wait */
    if (result == CRE_ENOMEM || result == CRE_EHTTP_HEAD_TOO_LARGE) cre__command_lost(engine, command);
    return cre__command_check(command, payload, 1);
}

static bool has_fields(const cre_record *command) {
    const cre__command_rule *rule = cre__command_rule_of(command->kind);
    return rule && (rule->traits & CRE__COMMAND_FIELDS ||
                    (command->kind == CRE_COMMAND_RESPOND_BODY && command->flags & CRE_RECORD_TRAILERS));
}

static int check_and_accept(cre_engine *engine, const cre_record *command, const cre_slice *payload) {
    int result = cre__command_check(command, payload, 1);
    if (!result) cre__command_accepted(engine, command, payload, 1);
    return result;
}

/* Fields are sent as they were checked, whatever the sender writes to its memory meanwhile. */
static int receive_copy(cre_engine *engine, const cre_record *command, const cre_slice *payload) {
    uint8_t *copy = cre__malloc(payload->length);
    if (!copy) {
        cre__command_lost(engine, command);
        return 0;
    }
    const cre_slice own = { memcpy(copy, payload->data, payload->length), payload->length };
    int result = check_and_accept(engine, command, &own);
    cre__free(copy);
    return result;
}

int cre__command_receive(cre_engine *engine, const cre_record *command, const cre_slice *payload) {
    /* The most frequent ones take short ways; this one needs no check. */
    if (command->kind == CRE_COMMAND_PUSH && command->opcode <= CRE_WS_BINARY) {
        if (push(engine, command, payload) == CRE_ENOMEM) cre__command_lost(engine, command);
        return 0;
    }
    if (command->kind == CRE_COMMAND_RESPOND) return respond(engine, command, payload);
    return (payload->length && has_fields(command) ? receive_copy : check_and_accept)(engine, command,
                                                                                      payload);
}

int cre__command_accepted(cre_engine *engine, const cre_record *command, const cre_slice *parts, int count) {
    int result = run(engine, command, parts, count, CRE__FORCE);
    if (result == CRE_ENOMEM) cre__command_lost(engine, command);
    return result;
}
