/* Responses as function calls. */
#include <creactor/error.h>
#include <creactor/internal/worker.h>
#include <string.h>
#include <unistd.h>

#include "engine/command.h"
#include "engine/response.h"
#include "registry/table_internal.h"
#include "runtime/worker_internal.h"

/* As cre_worker_command, for a command that was checked. */
static int send_checked(cre_worker *worker, const cre_record *command, const cre_slice *parts, int count) {
    uint16_t owner;
    if (!cre__table_owner(worker->table, command->session, &owner)) return CRE_EGONE;
    if (worker->engine && owner == worker->config.node)
        return cre__command_accepted(worker->engine, command, parts, count);
    return cre__worker_send(worker, owner, command, parts, count);
}

/* Inline in both of its callers: what they get on the stack would be copied there once more. */
static inline __attribute__((always_inline)) int respond(cre_worker *worker, cre_session session,
                                                         uint8_t request, uint16_t record_flags,
                                                         unsigned options, uint16_t status,
                                                         const void *fields, size_t fields_length,
                                                         const void *body, size_t length) {
    if (fields_length > CRE_HTTP_MAX_HEAD || cre__is_too_large(worker, fields_length + length))
        return CRE_ELIMIT;
    if (options & CRE_RESPOND_CLOSE) record_flags |= CRE_RECORD_CLOSE;
    if (worker->engine) { /* most requests are its own, and answered in their order */
        const cre__response own = { .status = status,
                                    .checked = options & CRE_RESPOND_CHECKED,
                                    .text = options & CRE_RESPOND_TEXT,
                                    .fields = { fields, fields_length } };
        const cre_slice whole = { body, length };
        const int result = cre__command_respond(worker->engine, session, request, record_flags, &own, &whole);
        if (result <= 0) return result;
    }
    cre_record command = {
        .kind = CRE_COMMAND_RESPOND, .opcode = request, .flags = record_flags, .session = session
    };
    cre_response response = { .status = status,
                              .flags = options & CRE_RESPOND_TEXT ? CRE_RESPONSE_TEXT : 0,
                              .fields_length = (uint32_t)fields_length };
    cre_slice parts[] = { { (const uint8_t *)&response, sizeof response },
                          { fields, fields_length },
                          { body, length } };
    return options & CRE_RESPOND_CHECKED ? send_checked(worker, &command, parts, 3)
                                         : cre_worker_command(worker, &command, parts, 3);
}

int cre_worker_respond(cre_worker *worker, cre_session session, uint8_t request, uint16_t status,
                       unsigned options, const void *fields, size_t fields_length, const void *body,
                       size_t length) {
    return respond(worker, session, request, 0, options, status, fields, fields_length, body, length);
}

int cre_worker_respond_more(cre_worker *worker, cre_session session, uint8_t request, uint16_t status,
                            unsigned options, const void *fields, size_t fields_length, const void *body,
                            size_t length) {
    return respond(worker, session, request, CRE_RECORD_MORE_BODY, options, status, fields, fields_length,
                   body, length);
}

int cre_worker_respond_interim(cre_worker *worker, cre_session session, uint8_t request, uint16_t status,
                               const void *fields, size_t fields_length) {
    if (fields_length > CRE_HTTP_MAX_HEAD || cre__is_too_large(worker, fields_length)) return CRE_ELIMIT;
    cre_record command = { .kind = CRE_COMMAND_RESPOND_INTERIM, .opcode = request, .session = session };
    cre_response response = { .status = status, .fields_length = (uint32_t)fields_length };
    cre_slice parts[] = { { (const uint8_t *)&response, sizeof response }, { fields, fields_length } };
    return cre_worker_command(worker, &command, parts, 2);
}

int cre_worker_upgrade(cre_worker *worker, cre_session session, uint8_t request, const char *subprotocol,
                       size_t length, const void *fields, size_t fields_length, const void *data,
                       size_t data_length) {
    if (length > UINT16_MAX || fields_length > CRE_HTTP_MAX_HEAD || data_length > CRE_MAX_USER_DATA)
        return CRE_ELIMIT;
    cre_record command = { .kind = CRE_COMMAND_UPGRADE, .opcode = request, .session = session };
    cre_upgrade upgrade = { .subprotocol_length = (uint16_t)length,
                            .chosen = subprotocol != NULL,
                            .fields_length = (uint32_t)fields_length,
                            .data_length = (uint32_t)data_length };
    cre_slice parts[] = { { (const uint8_t *)&upgrade, sizeof upgrade },
                          { (const uint8_t *)subprotocol, length },
                          { fields, fields_length },
                          { data, data_length } };
    return cre_worker_command(worker, &command, parts, 4);
}

int cre_worker_respond_body(cre_worker *worker, cre_session session, uint8_t request, const void *data,
                            size_t length, bool final) {
    cre_record command = { .kind = CRE_COMMAND_RESPOND_BODY,
                           .opcode = request,
                           .flags = final ? CRE_RECORD_FINAL : 0,
                           .session = session };
    cre_slice part = { data, length };
    return cre_worker_command(worker, &command, &part, 1);
}

int cre_worker_respond_trailers(cre_worker *worker, cre_session session, uint8_t request, const void *data,
                                size_t length, const void *trailers, size_t trailers_length) {
    if (trailers_length > CRE_HTTP_MAX_HEAD || cre__is_too_large(worker, trailers_length + length))
        return CRE_ELIMIT;
    cre_record command = { .kind = CRE_COMMAND_RESPOND_BODY,
                           .opcode = request,
                           .flags = CRE_RECORD_FINAL | CRE_RECORD_TRAILERS,
                           .session = session };
    cre_trailers head = { .fields_length = (uint32_t)trailers_length };
    cre_slice parts[] = { { (const uint8_t *)&head, sizeof head },
                          { trailers, trailers_length },
                          { data, length } };
    return cre_worker_command(worker, &command, parts, 3);
}

/* `descriptor`: the file, opened before; -1: none. It is closed in any case. */
static int respond_with_file(cre_worker *worker, const cre_record *command, const cre_slice *parts, int count,
                             size_t fields_length, int descriptor) {
    if (fields_length <= CRE_HTTP_MAX_HEAD && descriptor >= 0 && cre_worker_owns(worker, command->session))
        return cre__command_with_file(worker->engine, command, parts, count, descriptor);
    if (descriptor >= 0) close(descriptor);
    return fields_length > CRE_HTTP_MAX_HEAD ? CRE_ELIMIT : cre_worker_command(worker, command, parts, count);
}

int cre_worker_respond_file(cre_worker *worker, cre_session session, uint8_t request, uint16_t status,
                            bool close, const void *fields, size_t fields_length, const char *path,
                            uint64_t offset, uint64_t length, int descriptor) {
    cre_record command = { .kind = CRE_COMMAND_RESPOND_FILE,
                           .opcode = request,
                           .flags = close ? CRE_RECORD_CLOSE : 0,
                           .session = session };
    cre_response response = { .status = status, .fields_length = (uint32_t)fields_length };
    cre_file_range range = { offset, length };
    cre_slice parts[] = { { (const uint8_t *)&response, sizeof response },
                          { fields, fields_length },
                          { (const uint8_t *)&range, sizeof range },
                          { (const uint8_t *)path, strlen(path) } };
    return respond_with_file(worker, &command, parts, 4, fields_length, descriptor);
}

int cre_worker_respond_folder_file(cre_worker *worker, cre_session session, uint8_t request, uint16_t status,
                                   bool close, const void *fields, size_t fields_length,
                                   const void *description, size_t length, int descriptor) {
    cre_record command = { .kind = CRE_COMMAND_RESPOND_FOLDER_FILE,
                           .opcode = request,
                           .flags = close ? CRE_RECORD_CLOSE : 0,
                           .session = session };
    cre_response response = { .status = status, .fields_length = (uint32_t)fields_length };
    cre_slice parts[] = { { (const uint8_t *)&response, sizeof response },
                          { fields, fields_length },
                          { description, length } };
    return respond_with_file(worker, &command, parts, 3, fields_length, descriptor);
}
