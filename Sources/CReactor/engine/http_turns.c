/* Several requests of one connection in progress at once, and their answers in the order of the requests. */
#include <string.h>

#include "core/memory.h"
#include "engine/engine_internal.h"

/* Requests in progress may have so many bytes before the next one waits. */
#define BYTES_IN_PROGRESS (256u << 10)

/* An answer, or a piece of one, that came before its turn: the command as it was. */
typedef struct early {
    struct early *next;
    cre_record command;
    uint8_t payload[];
} early;

typedef struct behind_entry {
    early *answer, *last;
    uint32_t bytes; /* of the request */
    uint8_t traits;
    bool begun;    /* there is an answer */
    bool complete; /* ...and nothing more of it comes */
} behind_entry;

/* Requests behind the first one in progress: a ring, since they come and go in order. */
struct cre__behind {
    uint32_t bytes; /* of the requests */
    uint32_t kept;  /* of answers */
    uint8_t start;
    behind_entry entries[CRE_MAX_PIPELINED];
};

/* What a RESPOND_FILE command carries. */
typedef struct file_response {
    cre_response response;
    cre_slice fields;
    cre_file_range range;
    char path[CRE_MAX_PATH + 1];
} file_response;

/* ---- requests come ---- */

/* `ahead` of the first one, at least 1. */
static behind_entry *entry_at(cre__conn *conn, uint8_t ahead) {
    struct cre__behind *behind = conn->http.behind;
    return &behind->entries[(behind->start + ahead - 1u) % CRE_MAX_PIPELINED];
}

bool cre__http_may_take(const cre__conn *conn) {
    const cre__http *http = &conn->http;
    if (!http->count) return true;
    if (http->barrier || conn->moves || http->count >= conn->engine->config.max_pipelined) return false;
    uint32_t bytes = http->first_bytes + (http->behind ? http->behind->bytes : 0);
    return bytes < BYTES_IN_PROGRESS && !conn->engine->shutting_down;
}

static void set_first(cre__conn *conn, uint8_t traits, uint32_t bytes) {
    conn->keep_alive = traits & CRE__KEEP_ALIVE;
    conn->head_request = traits & CRE__HEAD_REQUEST;
    conn->http10 = traits & CRE__HTTP_1_0;
    conn->http.first_bytes = bytes;
}

bool cre__http_begin(cre__conn *conn, size_t bytes, uint8_t *number) {
    cre__http *http = &conn->http;
    http->idle = false;
    *number = (uint8_t)(http->first + http->count);
    http->barrier = !(http->traits & CRE__KEEP_ALIVE) || http->alone;
    if (!http->count) {
        set_first(conn, http->traits, (uint32_t)bytes);
        http->count = 1;
        return true;
    }
    if (!http->behind) {
        http->behind = cre__calloc(1, sizeof *http->behind);
        if (!http->behind) {
            cre__conn_end(conn, CRE_CLOSED_NOMEM, 0, CRE_ENOMEM, (cre_slice){ 0 }, false);
            return false;
        }
    }
    *entry_at(conn, http->count++) = (behind_entry){ .bytes = (uint32_t)bytes, .traits = http->traits };
    http->behind->bytes += (uint32_t)bytes;
    return true;
}

void cre__http_set_last(cre__conn *conn) {
    conn->http.barrier = true;
    if (conn->http.count > 1)
        entry_at(conn, (uint8_t)(conn->http.count - 1))->traits &= (uint8_t)~CRE__KEEP_ALIVE;
    else
        conn->keep_alive = false;
}

/* ---- answers ---- */

uint32_t cre__http_kept(const cre__conn *conn) {
    return conn->phase == CRE__HTTP && conn->http.behind ? conn->http.behind->kept : 0;
}

static void drop_answer(struct cre__behind *behind, early *answer) {
    while (answer) {
        early *next = answer->next;
        behind->kept -= (uint32_t)sizeof *answer + answer->command.length;
        cre__free(answer);
        answer = next;
    }
}

void cre__http_drop_answers(cre__conn *conn) {
    struct cre__behind *behind = conn->http.behind;
    if (!behind) return;
    for (size_t i = 0; i < CRE_MAX_PIPELINED; i++)
        drop_answer(behind, behind->entries[i].answer);
    cre__free(behind);
    conn->http.behind = NULL;
}

bool cre__http_goes_on(const cre__conn *conn, bool close) {
    bool last = conn->engine->shutting_down && conn->http.count == 1;
    return conn->keep_alive && !close && !last && !(conn->http.body && !cre__body_is_short(conn));
}

static int read_response(cre_slice *parts, int count, cre_response *response, cre_slice *fields) {
    if (!cre__slices_take(response, sizeof *response, parts, count)) return CRE_EINVALID;
    if (response->status < 200 || response->status > 999) return CRE_EINVALID;
    *fields = (cre_slice){ NULL, 0 };
    /* The field lines lie in one part; whatever is behind them is the body. */
    for (int i = 0; i < count && response->fields_length; i++) {
        if (!parts[i].length) continue;
        if (parts[i].length < response->fields_length) return CRE_EINVALID;
        *fields = (cre_slice){ parts[i].data, response->fields_length };
        parts[i].data += response->fields_length;
        parts[i].length -= response->fields_length;
        return 0;
    }
    return response->fields_length ? CRE_EINVALID : 0;
}

static int read_file_response(cre_slice *parts, int count, file_response *out) {
    int result = read_response(parts, count, &out->response, &out->fields);
    return result ? result : cre__http_read_file(parts, count, &out->range, out->path);
}

int cre__http_command_check(const cre_record *command, cre_slice *parts, int count) {
    cre_response response;
    cre_slice fields;
    file_response file;
    switch (command->kind) {
    case CRE_COMMAND_RESPOND: return read_response(parts, count, &response, &fields);
    case CRE_COMMAND_RESPOND_FILE: return read_file_response(parts, count, &file);
    default: return 0;
    }
}

static int respond_file(cre__conn *conn, cre_slice *parts, int count, bool close) {
    file_response file;
    int result = read_file_response(parts, count, &file);
    if (result) return result;
    return cre__http_respond_file(conn, &file.response, file.fields, file.path, &file.range, close);
}

/* A command about the first request; the parts are used up. */
static int answer_first(cre__conn *conn, const cre_record *command, cre_slice *parts, int count, bool late) {
    bool close = command->flags & CRE_RECORD_CLOSE;
    if (command->kind == CRE_COMMAND_RESPOND_BODY)
        return cre__http_respond_body(conn, parts, count, command->flags & CRE_RECORD_FINAL, late);
    if (command->kind == CRE_COMMAND_RESPOND_FILE) return respond_file(conn, parts, count, close);
    cre_response response;
    cre_slice fields;
    int result = read_response(parts, count, &response, &fields);
    if (result) return result;
    if (command->flags & CRE_RECORD_MORE_BODY)
        return cre__http_respond_more(conn, &response, fields, parts, count, close);
    return cre__http_respond(conn, &response, fields, parts, count, close);
}

/* As with what is queued: of an answer that came over a link nothing is left out, nor is an end. */
static int make_room(cre__conn *conn, const cre_record *command, size_t length, bool late) {
    bool piece = command->kind == CRE_COMMAND_RESPOND_BODY && !(command->flags & CRE_RECORD_FINAL);
    uint64_t waits = (uint64_t)conn->queued + conn->http.behind->kept;
    uint64_t limit = (uint64_t)conn->settings->options.max_queue * (late || !piece ? 2 : 1);
    if (!length || !waits || waits + length <= limit) return 0;
    if (late || !piece) cre__conn_end(conn, CRE_CLOSED_OVERFLOW, 0, CRE_EQUEUE_FULL, (cre_slice){ 0 }, false);
    return CRE_EQUEUE_FULL;
}

/* Keeps a command about a request whose turn has not come. */
static int keep(cre__conn *conn, behind_entry *entry, const cre_record *command, cre_slice *parts, int count,
                bool late) {
    bool body = command->kind == CRE_COMMAND_RESPOND_BODY;
    if (body ? !entry->begun || entry->complete : entry->begun) return CRE_ENO_REQUEST;
    cre_slice own[CRE__MAX_PARTS];
    for (int i = 0; i < count; i++)
        own[i] = parts[i];
    size_t length = cre__slices_length(parts, count);
    int result = cre__http_command_check(command, own, count);
    if (!result) result = make_room(conn, command, length, late);
    if (result) return result;
    early *item = cre__malloc(sizeof *item + length);
    if (!item) {
        cre__conn_end(conn, CRE_CLOSED_NOMEM, 0, CRE_ENOMEM, (cre_slice){ 0 }, false);
        return CRE_ENOMEM;
    }
    *item = (early){ .command = *command };
    item->command.length = (uint32_t)length;
    cre__slices_take(item->payload, length, parts, count);
    if (entry->last)
        entry->last->next = item;
    else
        entry->answer = item;
    entry->last = item;
    entry->begun = true;
    entry->complete =
        command->flags & CRE_RECORD_FINAL || (!body && !(command->flags & CRE_RECORD_MORE_BODY));
    if (command->flags & CRE_RECORD_CLOSE) conn->http.barrier = true; /* what follows would be lost */
    conn->http.behind->kept += (uint32_t)(sizeof *item + length);
    cre__out_show(conn);
    return 0;
}

/* Loses the answer to the request as far as it came; an error page takes its place. */
static int abandon(cre__conn *conn, uint8_t ahead) {
    if (ahead) {
        behind_entry *entry = entry_at(conn, ahead);
        if (entry->complete) return 0;
        drop_answer(conn->http.behind, entry->answer);
        entry->answer = entry->last = NULL;
        entry->begun = false;
    } else if (conn->file) {
        return 0; /* answered, so to speak */
    } else if (conn->streaming) {
        cre__conn_end(conn, CRE_CLOSED_SERVER, 0, 0, (cre_slice){ 0 }, false);
        return 0;
    }
    return cre__http_error(conn, (uint8_t)(conn->http.first + ahead), 500, false);
}

/* From the last one on, as an answer to the first one may be followed by others. */
static int abandon_up_to(cre__conn *conn, uint8_t last) {
    uint8_t ahead = (uint8_t)(last - conn->http.first);
    if (ahead >= conn->http.count) return 0; /* all of them are answered */
    int result = 0;
    for (int i = ahead; i >= 0 && conn->phase == CRE__HTTP; i--)
        result = abandon(conn, (uint8_t)i);
    return result;
}

int cre__http_command(cre__conn *conn, const cre_record *command, cre_slice *parts, int count, bool late) {
    if (conn->phase != CRE__HTTP) return CRE_ENO_REQUEST;
    if (command->kind == CRE_COMMAND_ABANDON) return abandon_up_to(conn, command->opcode);
    uint8_t ahead = (uint8_t)(command->opcode - conn->http.first);
    if (ahead >= conn->http.count) return CRE_ENO_REQUEST;
    if (command->kind == CRE_COMMAND_CONTINUE) return cre__body_continue(conn);
    if (ahead) return keep(conn, entry_at(conn, ahead), command, parts, count, late);
    return answer_first(conn, command, parts, count, late);
}

/* ---- turns ---- */

/* The next request becomes the first one, and gets what there is of its answer. */
static void promote(cre__conn *conn) {
    struct cre__behind *behind = conn->http.behind;
    behind_entry *entry = &behind->entries[behind->start];
    early *answer = entry->answer;
    entry->answer = entry->last = NULL;
    behind->start = (uint8_t)((behind->start + 1) % CRE_MAX_PIPELINED);
    behind->bytes -= entry->bytes;
    set_first(conn, entry->traits, entry->bytes);
    for (early *item = answer; item; item = item->next)
        behind->kept -= (uint32_t)sizeof *item + item->command.length;
    while (answer) {
        early *next = answer->next;
        cre_slice part = { answer->payload, answer->command.length };
        if (conn->phase == CRE__HTTP) answer_first(conn, &answer->command, &part, 1, true);
        cre__free(answer);
        answer = next;
    }
}

void cre__http_answered(cre__conn *conn, bool keep_alive) {
    cre__http *http = &conn->http;
    http->first++;
    http->count--;
    conn->head_request = false;
    if (!keep_alive) {
        cre__conn_end(conn, CRE_CLOSED_SERVER, 0, 0, (cre_slice){ 0 }, true);
        return;
    }
    if (http->body) cre__body_discard(conn);
    if (http->count) {
        if (http->promoting) return; /* the loop below goes on */
        http->promoting = true;
        uint8_t before;
        do {
            before = http->count;
            promote(conn);
        } while (conn->phase == CRE__HTTP && http->count && http->count < before);
        if (conn->phase != CRE__HTTP) return;
        http->promoting = false;
        if (http->count) {
            bool enough = http->count <= conn->engine->config.max_pipelined / 2;
            if (conn->held && !http->barrier && enough) cre__conn_continue(conn);
            return;
        }
    } else if (http->promoting) {
        return;
    }
    if (http->behind) cre__http_drop_answers(conn);
    http->barrier = false;
    http->idle = true;
    if (!http->body) cre__conn_set_deadline(conn, conn->settings->options.idle_timeout_ms);
    if (conn->stash || conn->held || conn->eof) cre__conn_continue(conn);
}
