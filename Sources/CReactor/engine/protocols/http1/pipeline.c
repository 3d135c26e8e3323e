/* Several requests of one connection in progress at once, and their answers in the order of the requests. */
#include <string.h>

#include "core/memory.h"
#include "engine/command.h"
#include "engine/protocols/http1/http1.h"

/* Requests in progress may have this many bytes before the next one waits. */
#define BYTES_IN_PROGRESS (256u << 10)

/* An answer, or a piece of one, that came before its turn: the command as it was. */
typedef struct deferred_answer {
    struct deferred_answer *next;
    cre_record command;
    uint8_t payload[];
} deferred_answer;

typedef struct pipeline_entry {
    deferred_answer *answer, *last;
    uint32_t bytes; /* of the request */
    uint8_t traits;
    bool begun;    /* there is an answer */
    bool complete; /* ...and nothing more of it comes */
} pipeline_entry;

/* Requests behind the first one in progress: a ring, since they come and go in order. */
struct cre__http1_pipeline {
    uint32_t bytes; /* of the requests */
    uint8_t start;
    pipeline_entry entries[CRE_MAX_PIPELINED];
};

/* ---- requests ---- */

/* `ahead` of the first one, at least 1. */
static pipeline_entry *entry_at(cre__conn *conn, uint8_t ahead) {
    cre__http1 *http = cre__http1_of(conn);
    struct cre__http1_pipeline *pipeline = http->pipeline;
    return &pipeline->entries[(pipeline->start + ahead - 1u) % CRE_MAX_PIPELINED];
}

bool cre__http1_may_overlap(const cre__conn *conn) {
    const cre__http1 *http = cre__http1_of(conn);
    if (http->barrier || conn->stream.moves || http->count >= cre__conn_engine(conn)->config.max_pipelined)
        return false;
    uint32_t bytes = http->first_bytes + (http->pipeline ? http->pipeline->bytes : 0);
    return bytes < BYTES_IN_PROGRESS && !cre__conn_engine(conn)->shutting_down;
}

bool cre__http1_begin_behind(cre__conn *conn, size_t bytes) {
    cre__http1 *http = cre__http1_of(conn);
    if (!http->pipeline) {
        http->pipeline = cre__calloc(1, sizeof *http->pipeline);
        if (!http->pipeline) {
            cre__conn_no_memory(conn);
            return false;
        }
    }
    *entry_at(conn, http->count++) = (pipeline_entry){ .bytes = (uint32_t)bytes, .traits = http->traits };
    http->pipeline->bytes += (uint32_t)bytes;
    return true;
}

void cre__http1_set_last(cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    http->barrier = true;
    if (http->count > 1)
        entry_at(conn, (uint8_t)(http->count - 1))->traits &= (uint8_t)~CRE__KEEP_ALIVE;
    else
        cre__http1_set_closing(http);
}

/* ---- answers ---- */

static uint32_t deferred_bytes(const deferred_answer *answer) {
    return (uint32_t)sizeof *answer + answer->command.length;
}

static void drop_answer(cre__conn *conn, deferred_answer *answer) {
    while (answer) {
        deferred_answer *next = answer->next;
        conn->deferred -= deferred_bytes(answer);
        cre__free(answer);
        answer = next;
    }
}

__attribute__((noinline)) void cre__http1_drop_answers(cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    struct cre__http1_pipeline *pipeline = http->pipeline;
    if (!pipeline) return;
    for (size_t i = 0; i < CRE_MAX_PIPELINED; i++)
        drop_answer(conn, pipeline->entries[i].answer);
    cre__free(pipeline);
    http->pipeline = NULL;
}

static int respond_file(cre__conn *conn, cre_slice *parts, int count, bool close, bool checked) {
    cre__file_response response;
    int result = cre__file_response_read(&response, parts, count);
    response.head.checked = checked;
    return result ? result : cre__http1_respond_file(conn, &response, close);
}

static int respond_folder_file(cre__conn *conn, cre_slice *parts, int count, bool close, bool checked) {
    cre__folder_response response;
    int result = cre__folder_response_read(&response, parts, count);
    response.head.checked = checked;
    return result ? result : cre__http1_respond_folder_file(conn, &response, close);
}

static int respond_interim(cre__conn *conn, cre_slice *parts, int count, cre__policy policy) {
    cre__response response;
    int result = cre__interim_read(&response, parts, count);
    response.checked = policy == CRE__FORCE;
    return result ? result : cre__http1_respond_interim(conn, &response, policy);
}

static int respond(cre__conn *conn, const cre_record *command, cre_slice *parts, int count,
                   cre__policy policy) {
    cre__response response;
    int result = cre__response_read(&response, parts, count);
    if (result) return result;
    response.checked = policy == CRE__FORCE; /* by whoever received the command */
    return cre__http1_respond(conn, &response, command->flags, parts, count);
}

/* A command about the first request; the parts are used up. */
static int answer_first(cre__conn *conn, const cre_record *command, cre_slice *parts, int count,
                        cre__policy policy) {
    bool close = command->flags & CRE_RECORD_CLOSE;
    if (command->kind == CRE_COMMAND_RESPOND) return respond(conn, command, parts, count, policy);
    if (command->kind == CRE_COMMAND_RESPOND_BODY)
        return cre__http1_respond_body(conn, parts, count, command->flags, policy);
    if (command->kind == CRE_COMMAND_RESPOND_FILE)
        return respond_file(conn, parts, count, close, policy == CRE__FORCE);
    if (command->kind == CRE_COMMAND_RESPOND_FOLDER_FILE)
        return respond_folder_file(conn, parts, count, close, policy == CRE__FORCE);
    return respond_interim(conn, parts, count, policy);
}

/* Whether it is a piece of a body that is not the last: only that can be refused by the rule of queues
 * without a hole in the response. It has no fields. */
static bool is_piece(const cre_record *command) {
    return command->kind == CRE_COMMAND_RESPOND_BODY && !(command->flags & CRE_RECORD_FINAL);
}

/* Keeps a command about a request whose turn has not come. */
static int defer_answer(cre__conn *conn, pipeline_entry *entry, const cre_record *command, cre_slice *parts,
                        int count, cre__policy policy) {
    cre__http1 *http = cre__http1_of(conn);
    bool body = command->kind == CRE_COMMAND_RESPOND_BODY;
    if (body ? !entry->begun || entry->complete : entry->begun) return CRE_ENO_REQUEST;
    size_t length = cre__slices_length(parts, count);
    int result = 0;
    if (is_piece(command)) {
        /* A full queue refuses it each time it is tried again, so that is known before it is copied. */
        result = cre__command_check(command, parts, count);
        if (!result) result = cre__conn_accept(conn, length, policy);
        if (result) return result;
    }
    deferred_answer *item = cre__malloc(sizeof *item + length);
    if (!item) return cre__conn_no_memory(conn);
    *item = (deferred_answer){ .command = *command };
    item->command.length = (uint32_t)length;
    cre__slices_take(item->payload, length, parts, count);
    /* What is checked is what is sent in its turn: the parts may be memory of another process. */
    const cre_slice own = { item->payload, length };
    if (!is_piece(command)) {
        result = cre__command_check(command, &own, 1);
        if (!result) result = cre__conn_accept(conn, length, CRE__FORCE);
    }
    if (result) {
        cre__free(item);
        return result;
    }
    if (entry->last)
        entry->last->next = item;
    else
        entry->answer = item;
    entry->last = item;
    entry->begun = true;
    entry->complete =
        command->flags & CRE_RECORD_FINAL || (!body && !(command->flags & CRE_RECORD_MORE_BODY));
    if (command->flags & CRE_RECORD_CLOSE) http->barrier = true; /* what follows would be lost */
    conn->deferred += deferred_bytes(item);
    cre__conn_queue_changed(conn);
    return 0;
}

/* Drops the answer to the request as far as there is one; an error page takes its place. */
static int abandon(cre__conn *conn, uint8_t ahead) {
    cre__http1 *http = cre__http1_of(conn);
    if (ahead) {
        pipeline_entry *entry = entry_at(conn, ahead);
        if (entry->complete) return 0;
        drop_answer(conn, entry->answer);
        entry->answer = entry->last = NULL;
        entry->begun = false;
    } else if (http->file) {
        return 0; /* it counts as answered */
    } else if (http->streaming) {
        CRE__RESET(conn, .reason = CRE_CLOSED_SERVER);
        return 0;
    }
    return cre__http1_error(conn, (uint8_t)(http->first + ahead), 500, false);
}

/* From the last one on, as an answer to the first one may be followed by others. */
static int abandon_requests(cre__conn *conn, const cre_record *command) {
    cre__http1 *http = cre__http1_of(conn);
    uint8_t ahead = (uint8_t)(command->opcode - http->first);
    if (ahead >= http->count) return 0; /* all of them are answered */
    if (command->flags & CRE_RECORD_ONLY) return abandon(conn, ahead);
    int result = 0;
    for (int i = ahead; i >= 0 && cre__http1_serves(conn); i--)
        result = abandon(conn, (uint8_t)i);
    return result;
}

int cre__http1_command(cre__conn *conn, const cre_record *command, cre_slice *parts, int count, int policy) {
    cre__http1 *http = cre__http1_of(conn);
    if (!cre__http1_serves(conn)) return CRE_ENO_REQUEST;
    if (command->kind == CRE_COMMAND_ABANDON) return abandon_requests(conn, command);
    uint8_t ahead = (uint8_t)(command->opcode - http->first);
    if (ahead >= http->count) return CRE_ENO_REQUEST;
    if (command->kind == CRE_COMMAND_CONTINUE) return cre__http1_body_continue(conn);
    if (command->kind == CRE_COMMAND_UPGRADE) return cre__http1_upgrade(conn, parts, count, policy);
    /* An interim response before its turn is dropped: it is of use only at once. */
    if (ahead && command->kind == CRE_COMMAND_RESPOND_INTERIM)
        return cre__command_check(command, parts, count);
    if (ahead) return defer_answer(conn, entry_at(conn, ahead), command, parts, count, (cre__policy)policy);
    return answer_first(conn, command, parts, count, (cre__policy)policy);
}

/* ---- turns ---- */

/* The next request becomes the first one. Returns what there is of its answer. */
static inline deferred_answer *advance(cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    struct cre__http1_pipeline *pipeline = http->pipeline;
    pipeline_entry *entry = &pipeline->entries[pipeline->start];
    deferred_answer *answer = entry->answer;
    entry->answer = entry->last = NULL;
    pipeline->start = (uint8_t)((pipeline->start + 1) % CRE_MAX_PIPELINED);
    pipeline->bytes -= entry->bytes;
    http->first_traits = entry->traits;
    http->first_bytes = entry->bytes;
    return answer;
}

static void send_deferred(cre__conn *conn, deferred_answer *answer) {
    for (deferred_answer *item = answer; item; item = item->next)
        conn->deferred -= deferred_bytes(item);
    while (answer) {
        deferred_answer *next = answer->next;
        cre_slice part = { answer->payload, answer->command.length };
        if (cre__http1_serves(conn)) answer_first(conn, &answer->command, &part, 1, CRE__FORCE);
        cre__free(answer);
        answer = next;
    }
}

/* Answers the first request with what was deferred, and those behind it as far as their answers are complete.
 */
static __attribute__((noinline)) void send_all_deferred(cre__conn *conn, deferred_answer *answer) {
    cre__http1 *http = cre__http1_of(conn);
    uint8_t before;
    http->promoting = true;
    do {
        before = http->count;
        send_deferred(conn, answer);
        if (!cre__http1_serves(conn)) return;
        answer = http->count && http->count < before ? advance(conn) : NULL;
    } while (answer);
    http->promoting = false;
}

/* Goes on to the next request. Returns whether no request is in progress any more, and the caller must go on.
 */
static __attribute__((noinline)) bool promote(cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    if (http->promoting) return false; /* the loop of send_all_deferred goes on */
    deferred_answer *answer = advance(conn);
    if (answer) {
        send_all_deferred(conn, answer);
        if (!cre__http1_serves(conn)) return false;
        if (!http->count) return true;
    }
    if (!(conn->transport.stopped & CRE__STOP_DEFERRED)) return false;
    bool enough = http->count <= cre__conn_engine(conn)->config.max_pipelined / 2;
    if (!http->barrier && enough && cre__http1_serves(conn)) cre__conn_resume_later(conn);
    return false;
}

void cre__http1_answered(cre__conn *conn, bool keep_alive) {
    cre__http1 *http = cre__http1_of(conn);
    bool others = --http->count != 0;
    http->first++;
    if (http->upgrading) cre__http1_upgrade_refused(conn);
    if (!keep_alive) {
        CRE__FINISH(conn, .reason = CRE_CLOSED_SERVER);
        return;
    }
    if (http->body) cre__http1_body_discard(conn);
    if (others ? !promote(conn) : http->promoting) return;
    if (http->pipeline) {
        cre__free(http->pipeline); /* all of its answers were sent */
        http->pipeline = NULL;
    }
    http->barrier = false;
    http->idle = true;
    if (conn->transport.reading)
        http->idle_due = true; /* behind a batch of requests the deadline is set once */
    else if (!http->body)
        cre__transport_set_deadline(&conn->transport, conn->port->options.idle_timeout_ms);
    if (http->pending || conn->transport.stopped) cre__conn_resume_later(conn);
}
