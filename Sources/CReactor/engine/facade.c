/* Commands as function calls. */
#include <errno.h>
#include <string.h>

#include "core/memory.h"
#include "engine/command.h"
#include "engine/conn.h"
#include "engine/response.h"
#include "engine/topics.h"

/* Why a connection in its present state takes no command of a kind. */
static int misfit(const cre__conn *conn, cre_command kind) {
    return cre__command_fits(cre__command_rule_of((uint8_t)kind), cre__conn_state(conn));
}

int cre_engine_push(cre_engine *engine, cre_session session, uint8_t opcode, const void *data,
                    size_t length) {
    cre__conn *conn = cre__engine_find(engine, session);
    return conn ? cre__conn_push(conn, opcode, data, length) : CRE_EGONE;
}

int cre_engine_send(cre_engine *engine, cre_session session, const void *data, size_t length) {
    cre__conn *conn = cre__engine_find(engine, session);
    if (!conn) return CRE_EGONE;
    int result = misfit(conn, CRE_COMMAND_SEND);
    cre_record command = { .kind = CRE_COMMAND_SEND, .session = session };
    cre_slice part = { data, length };
    return result ? result : conn->protocol->command(conn, &command, &part, 1, CRE__REFUSE_WHEN_FULL);
}

int cre_engine_send_to(cre_engine *engine, uint16_t port, const cre_address *to, const void *data,
                       size_t length) {
    cre_record command = { .kind = CRE_COMMAND_SENDTO, .flags = cre_record_port_flags(port) };
    cre_slice parts[] = { { (const uint8_t *)to, sizeof *to }, { data, length } };
    return cre_engine_command(engine, &command, parts, 2);
}

int cre_engine_bind(cre_engine *engine, cre_session session, uint32_t user_id) {
    cre_record command = { .kind = CRE_COMMAND_BIND, .session = session };
    cre_binding binding = { .user_id = user_id };
    cre_slice part = { (const uint8_t *)&binding, sizeof binding };
    return cre_engine_command(engine, &command, &part, 1);
}

int cre_engine_close(cre_engine *engine, cre_session session, uint16_t code, const char *reason) {
    cre_record command = { .kind = CRE_COMMAND_CLOSE, .session = session };
    cre_closing closing = { .code = code };
    cre_slice parts[] = { { (const uint8_t *)&closing, sizeof closing },
                          { (const uint8_t *)reason, reason ? strlen(reason) : 0 } };
    return cre_engine_command(engine, &command, parts, 2);
}

/* ---- responses: to the oldest request that is not answered ---- */

/* The head of a response in the form of commands. */
typedef struct response_head {
    cre_response head;
    uint8_t *fields; /* packed; `room`, or memory of their own */
    uint8_t room[512];
} response_head;

/* Packs field lines ("Name: value" with CRLF). Returns the size or CRE_EINVALID. */
static int pack_fields(const char *lines, size_t length, uint8_t *out, size_t capacity) {
    const char *end = lines + length;
    uint8_t *at = out;
    while (lines < end) {
        const char *line_end = memchr(lines, '\r', (size_t)(end - lines));
        const char *colon = line_end ? memchr(lines, ':', (size_t)(line_end - lines)) : NULL;
        if (!colon || line_end + 1 >= end || line_end[1] != '\n') return CRE_EINVALID;
        const char *value = colon + 1;
        while (value < line_end && *value == ' ')
            value++;
        size_t size = cre_http_fields_put(at, capacity - (size_t)(at - out), lines, (size_t)(colon - lines),
                                          value, (size_t)(line_end - value));
        if (!size) return CRE_EINVALID;
        at += size;
        lines = line_end + 2;
    }
    return (int)(at - out);
}

static void close_head(response_head *head) {
    if (head->fields != head->room) cre__free(head->fields);
}

/* Packs the fields. Returns 0, or a negative error; then there is nothing to close. */
static int open_head(response_head *out, uint16_t status, const char *fields) {
    size_t length = fields ? strlen(fields) : 0, capacity = 2 * length; /* "a:b" is longer when packed */
    if (length > CRE_HTTP_MAX_HEAD) return CRE_ELIMIT;
    out->fields = capacity > sizeof out->room ? cre__malloc(capacity) : out->room;
    if (!out->fields) return CRE_ENOMEM;
    int size = pack_fields(fields, length, out->fields, capacity);
    out->head = (cre_response){ .status = status, .fields_length = size < 0 ? 0 : (uint32_t)size };
    if (size < 0) close_head(out);
    return size < 0 ? size : 0;
}

/* A command about the oldest request of a session. */
static int command_request(cre_engine *engine, cre_session session, cre_command kind, uint16_t flags,
                           cre_slice *parts, int count) {
    cre__conn *conn = cre__engine_find(engine, session);
    if (!conn) return CRE_EGONE;
    if (!conn->protocol->oldest_request) return CRE_ENO_REQUEST;
    cre_record command = { .kind = (uint8_t)kind,
                           .opcode = conn->protocol->oldest_request(conn),
                           .flags = flags,
                           .session = session };
    return conn->protocol->command(conn, &command, parts, count, CRE__REFUSE_WHEN_FULL);
}

static int respond(cre_engine *engine, cre_session session, uint16_t flags, uint16_t status,
                   const char *fields, const void *body, size_t length) {
    if (status < 200 || status > 999) return CRE_EINVALID;
    cre__conn *conn = cre__engine_find(engine, session);
    if (!conn) return CRE_EGONE;
    if (!conn->protocol->respond) return CRE_ENO_REQUEST;
    cre__response response = { .status = status,
                               .lines = true,
                               .fields = { (const uint8_t *)fields, fields ? strlen(fields) : 0 } };
    if (response.fields.length > CRE_HTTP_MAX_HEAD) return CRE_ELIMIT;
    cre_slice part = { body, length };
    return conn->protocol->respond(conn, &response, flags, &part, 1);
}

int cre_engine_respond(cre_engine *engine, cre_session session, uint16_t status, const char *fields,
                       const void *body, size_t length) {
    return respond(engine, session, 0, status, fields, body, length);
}

int cre_engine_respond_more(cre_engine *engine, cre_session session, uint16_t status, const char *fields,
                            const void *body, size_t length) {
    return respond(engine, session, CRE_RECORD_MORE_BODY, status, fields, body, length);
}

int cre_engine_respond_interim(cre_engine *engine, cre_session session, uint16_t status, const char *fields) {
    response_head head;
    int result = open_head(&head, status, fields);
    if (result) return result;
    cre_slice parts[] = { { (const uint8_t *)&head.head, sizeof head.head },
                          { head.fields, head.head.fields_length } };
    result = command_request(engine, session, CRE_COMMAND_RESPOND_INTERIM, 0, parts, 2);
    close_head(&head);
    return result;
}

int cre_engine_respond_body(cre_engine *engine, cre_session session, const void *data, size_t length,
                            bool final) {
    cre_slice part = { data, length };
    return command_request(engine, session, CRE_COMMAND_RESPOND_BODY, final ? CRE_RECORD_FINAL : 0, &part, 1);
}

int cre_engine_respond_file(cre_engine *engine, cre_session session, uint16_t status, const char *fields,
                            const char *path, uint64_t offset, uint64_t length) {
    /* No command carries such a path; a folder gets the same error page. */
    size_t path_length = strlen(path);
    int impossible = !path_length ? -ENOENT : path_length > CRE_MAX_PATH ? -ENAMETOOLONG : 0;
    if (impossible) path = "/";
    response_head head;
    cre_file_range range = { offset, length };
    int result = open_head(&head, status, fields);
    if (result) return result;
    cre_slice parts[] = { { (const uint8_t *)&head.head, sizeof head.head },
                          { head.fields, head.head.fields_length },
                          { (const uint8_t *)&range, sizeof range },
                          { (const uint8_t *)path, strlen(path) } };
    result = command_request(engine, session, CRE_COMMAND_RESPOND_FILE, 0, parts, 4);
    close_head(&head);
    return impossible && result == -EISDIR ? impossible : result;
}

int cre_engine_upgrade(cre_engine *engine, cre_session session, const char *subprotocol, const char *fields) {
    size_t length = subprotocol ? strlen(subprotocol) : 0;
    if (length > CRE_MAX_SUBPROTOCOL) return CRE_EINVALID;
    response_head head;
    int result = open_head(&head, 101, fields);
    if (result) return result;
    cre_upgrade upgrade = { .subprotocol_length = (uint16_t)length,
                            .chosen = subprotocol != NULL,
                            .fields_length = head.head.fields_length };
    cre_slice parts[] = { { (const uint8_t *)&upgrade, sizeof upgrade },
                          { (const uint8_t *)subprotocol, length },
                          { head.fields, head.head.fields_length } };
    result = command_request(engine, session, CRE_COMMAND_UPGRADE, 0, parts, 3);
    close_head(&head);
    return result;
}

/* ---- topics ---- */

static int command_topic(cre_engine *engine, cre_session session, cre_command kind, const void *topic,
                         size_t length) {
    cre_record command = { .kind = (uint8_t)kind, .session = session };
    cre_slice part = { topic, length };
    return cre_engine_command(engine, &command, &part, 1);
}

int cre_engine_subscribe(cre_engine *engine, cre_session session, const void *topic, size_t length) {
    return command_topic(engine, session, CRE_COMMAND_SUBSCRIBE, topic, length);
}

int cre_engine_join(cre_engine *engine, cre_session session, cre_slice topic, cre_slice id, cre_slice info) {
    if (topic.length > CRE_MAX_TOPIC || id.length > CRE_MAX_MEMBER_ID || info.length > CRE_MAX_MEMBER_INFO)
        return CRE_EINVALID;
    const cre_record command = { .kind = CRE_COMMAND_JOIN, .session = session };
    const cre_joining joining = { .topic_length = (uint16_t)topic.length,
                                  .id_length = (uint16_t)id.length,
                                  .info_length = (uint16_t)info.length };
    const cre_slice parts[] = { { (const uint8_t *)&joining, sizeof joining }, topic, id, info };
    return cre_engine_command(engine, &command, parts, 4);
}

int cre_engine_unsubscribe(cre_engine *engine, cre_session session, const void *topic, size_t length) {
    return command_topic(engine, session, CRE_COMMAND_UNSUBSCRIBE, topic, length);
}

bool cre_engine_subscribed(cre_engine *engine, cre_session session, const void *topic, size_t length) {
    cre__conn *conn = cre__engine_find(engine, session);
    if (!conn || !conn->stream.subscriptions) return false;
    cre__topic *found = cre__topic_find(engine, topic, length);
    return found && cre__topic_member(conn, found);
}

int cre_engine_publish(cre_engine *engine, const void *topic, size_t topic_length, uint8_t opcode,
                       const void *data, size_t length, cre_session except) {
    cre_record command = { .kind = CRE_COMMAND_PUBLISH, .opcode = opcode, .session = except };
    if (topic_length > CRE_MAX_TOPIC) return CRE_EINVALID;
    cre_publishing publishing = { .topic_length = (uint16_t)topic_length };
    cre_slice parts[] = { { (const uint8_t *)&publishing, sizeof publishing },
                          { topic, topic_length },
                          { data, length } };
    return cre_engine_command(engine, &command, parts, 3);
}

int cre_engine_broadcast(cre_engine *engine, uint8_t opcode, const void *data, size_t length,
                         cre_session except) {
    cre_record command = { .kind = CRE_COMMAND_BROADCAST, .opcode = opcode, .session = except };
    cre_slice part = { data, length };
    return cre_engine_command(engine, &command, &part, 1);
}
