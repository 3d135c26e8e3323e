/* Commands as function calls. */
#include <errno.h>
#include <string.h>

#include "engine/command.h"
#include "engine/conn.h"
#include "engine/topics.h"

/* The path of each message of an embedder. */
static int run_direct(cre_engine *engine, const cre_record *command, const void *data, size_t length) {
    cre__conn *conn = cre__engine_find(engine, command->session);
    if (!conn) return CRE_EGONE;
    int result = cre__command_fits(cre__command_rule_of(command->kind), cre__conn_state(conn));
    if (result) return result;
    cre_slice part = { data, length };
    return conn->protocol->command(conn, command, &part, 1, CRE__REFUSE_WHEN_FULL);
}

int cre_engine_push(cre_engine *engine, cre_session session, uint8_t opcode, const void *data,
                    size_t length) {
    cre_record command = {
        .kind = CRE_COMMAND_PUSH, .opcode = opcode, .flags = CRE_RECORD_FINAL, .session = session
    };
    return run_direct(engine, &command, data, length);
}

int cre_engine_send(cre_engine *engine, cre_session session, const void *data, size_t length) {
    cre_record command = { .kind = CRE_COMMAND_SEND, .session = session };
    return run_direct(engine, &command, data, length);
}

int cre_engine_send_to(cre_engine *engine, uint16_t port, const cre_address *to, const void *data,
                       size_t length) {
    cre_record command = { .kind = CRE_COMMAND_SENDTO, .flags = cre_record_port_flags(port) };
    cre_slice parts[] = { { (const uint8_t *)to, sizeof *to }, { data, length } };
    return cre_engine_command(engine, &command, parts, 2);
}

int cre_engine_bind(cre_engine *engine, cre_session session, uint32_t user_id) {
    cre_record command = { .kind = CRE_COMMAND_BIND, .session = session };
    cre_binding binding = { .number = user_id };
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

/* ---- responses ---- */

/* The number of the oldest request that is not answered: the number of the first in progress. */
static uint8_t oldest_request(cre_engine *engine, cre_session session) {
    cre__conn *conn = cre__engine_find(engine, session);
    return conn && conn->protocol->oldest_request ? conn->protocol->oldest_request(conn) : 0;
}

static int respond(cre_engine *engine, cre_session session, uint16_t record_flags, uint16_t status,
                   const char *fields, const void *body, size_t length) {
    size_t fields_length = fields ? strlen(fields) : 0;
    if (fields_length > CRE_HTTP_MAX_HEAD) return CRE_ELIMIT;
    cre_record command = { .kind = CRE_COMMAND_RESPOND,
                           .opcode = oldest_request(engine, session),
                           .flags = record_flags,
                           .session = session };
    cre_response response = { .status = status, .fields_length = (uint32_t)fields_length };
    cre_slice parts[] = { { (const uint8_t *)&response, sizeof response },
                          { (const uint8_t *)fields, fields_length },
                          { body, length } };
    return cre_engine_command(engine, &command, parts, 3);
}

int cre_engine_respond(cre_engine *engine, cre_session session, uint16_t status, const char *fields,
                       const void *body, size_t length) {
    return respond(engine, session, 0, status, fields, body, length);
}

int cre_engine_respond_more(cre_engine *engine, cre_session session, uint16_t status, const char *fields,
                            const void *body, size_t length) {
    return respond(engine, session, CRE_RECORD_MORE_BODY, status, fields, body, length);
}

int cre_engine_respond_body(cre_engine *engine, cre_session session, const void *data, size_t length,
                            bool final) {
    cre_record command = { .kind = CRE_COMMAND_RESPOND_BODY,
                           .opcode = oldest_request(engine, session),
                           .flags = final ? CRE_RECORD_FINAL : 0,
                           .session = session };
    cre_slice part = { data, length };
    return cre_engine_command(engine, &command, &part, 1);
}

int cre_engine_respond_file(cre_engine *engine, cre_session session, uint16_t status, const char *fields,
                            const char *path, uint64_t offset, uint64_t length) {
    size_t fields_length = fields ? strlen(fields) : 0, path_length = strlen(path);
    if (fields_length > CRE_HTTP_MAX_HEAD) return CRE_ELIMIT;
    /* No command carries such a path; a folder gets the same error page. */
    int impossible = !path_length ? -ENOENT : path_length > CRE_MAX_PATH ? -ENAMETOOLONG : 0;
    if (impossible) path = "/";
    cre_record command = { .kind = CRE_COMMAND_RESPOND_FILE,
                           .opcode = oldest_request(engine, session),
                           .session = session };
    cre_response response = { .status = status, .fields_length = (uint32_t)fields_length };
    cre_file_range range = { offset, length };
    cre_slice parts[] = { { (const uint8_t *)&response, sizeof response },
                          { (const uint8_t *)fields, fields_length },
                          { (const uint8_t *)&range, sizeof range },
                          { (const uint8_t *)path, strlen(path) } };
    int result = cre_engine_command(engine, &command, parts, 4);
    return impossible && result == -EISDIR ? impossible : result;
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

int cre_engine_unsubscribe(cre_engine *engine, cre_session session, const void *topic, size_t length) {
    return command_topic(engine, session, CRE_COMMAND_UNSUBSCRIBE, topic, length);
}

bool cre_engine_subscribed(cre_engine *engine, cre_session session, const void *topic, size_t length) {
    cre__topic *found = cre__topic_find(engine, topic, length);
    cre__conn *conn = found ? cre__engine_find(engine, session) : NULL;
    return conn && cre__topic_member(conn, found);
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
