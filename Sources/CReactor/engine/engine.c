/* The engine as a whole: made, commanded, shut down. */
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/engine_internal.h"
#include "net/sockaddr.h"

static uint32_t or_default(uint32_t value, uint32_t fallback) {
    return value ? value : fallback;
}

static void fill_defaults(cre_engine_config *config) {
    config->max_connections = or_default(config->max_connections, 10000);
    if (!config->worker_count) config->worker_count = 1;
    if (!config->max_message) config->max_message = CRE_WS_DEFAULT_MAX_MESSAGE;
    config->max_head = or_default(config->max_head, CRE_HTTP_MAX_HEAD);
    config->max_body = or_default(config->max_body, 8u << 20);
    config->max_queue = or_default(config->max_queue, 8u << 20);
    config->high_water = or_default(config->high_water, config->max_queue / 5 * 4);
    config->max_topics = or_default(config->max_topics, 100000);
    config->max_subscriptions = or_default(config->max_subscriptions, 256);
    config->head_timeout_ms = or_default(config->head_timeout_ms, 10000);
    config->body_timeout_ms = or_default(config->body_timeout_ms, 60000);
    config->idle_timeout_ms = or_default(config->idle_timeout_ms, 75000);
    config->pong_timeout_ms = or_default(config->pong_timeout_ms, config->ping_interval_ms);
    config->close_timeout_ms = or_default(config->close_timeout_ms, 5000);
    if (!config->max_pipelined) config->max_pipelined = 1;
}

static bool dispatch_valid(const cre_engine_config *config) {
    if (config->dispatch > CRE_DISPATCH_FUNCTION) return false;
    if (config->dispatch == CRE_DISPATCH_FUNCTION && !config->dispatch_function) return false;
    return (uint32_t)config->first_worker + config->worker_count <= CRE__TABLE_NODES;
}

/* ---- connections from elsewhere ---- */

int cre_engine_adopt(cre_engine *engine, int descriptor, uint16_t port) {
    return cre__conn_open(engine, descriptor, port);
}

typedef struct handed_over {
    struct handed_over *next;
    int descriptor;
    uint16_t port;
} handed_over;

/* Sockets from other threads. Apart from the engine, because a handle lives until its loop has closed it. */
struct cre__inbox {
    uv_async_t wake;
    cre_engine *engine;
    _Atomic(handed_over *) items; /* a stack */
};

static void on_handed_over(uv_async_t *handle) {
    struct cre__inbox *inbox = handle->data;
    cre__loop_begin(inbox->engine->loop);
    handed_over *stack = atomic_exchange_explicit(&inbox->items, NULL, memory_order_acquire), *queue = NULL;
    while (stack) { /* the first shall be the first */
        handed_over *next = stack->next;
        stack->next = queue;
        queue = stack;
        stack = next;
    }
    while (queue) {
        handed_over *next = queue->next;
        cre__conn_open(inbox->engine, queue->descriptor, queue->port);
        cre__free(queue);
        queue = next;
    }
}

static int open_inbox(cre_engine *engine) {
    struct cre__inbox *inbox = cre__calloc(1, sizeof *inbox);
    if (!inbox) return CRE_ENOMEM;
    inbox->engine = engine;
    inbox->wake.data = inbox;
    int result = uv_async_init(cre__loop_uv(engine->loop), &inbox->wake, on_handed_over);
    if (result)
        cre__free(inbox);
    else
        engine->inbox = inbox;
    return result;
}

static void free_inbox(uv_handle_t *handle) {
    cre__free(handle->data);
}

/* What was handed over and not taken yet is closed. */
static void close_inbox(struct cre__inbox *inbox) {
    handed_over *item = atomic_exchange_explicit(&inbox->items, NULL, memory_order_acquire);
    while (item) {
        handed_over *next = item->next;
        close(item->descriptor);
        cre__free(item);
        item = next;
    }
    uv_close((uv_handle_t *)&inbox->wake, free_inbox);
}

int cre_engine_hand_over(cre_engine *engine, int descriptor, uint16_t port) {
    handed_over *item = cre__malloc(sizeof *item);
    if (!item) {
        close(descriptor);
        return CRE_ENOMEM;
    }
    struct cre__inbox *inbox = engine->inbox;
    *item = (handed_over){ atomic_load_explicit(&inbox->items, memory_order_relaxed), descriptor, port };
    while (!atomic_compare_exchange_weak_explicit(&inbox->items, &item->next, item, memory_order_release,
                                                  memory_order_relaxed)) {
    }
    uv_async_send(&inbox->wake);
    return 0;
}

/* ---- beginning and end ---- */

static void free_engine(cre_engine *engine) {
    cre__tls_free_ports(engine);
    if (engine->conns && engine->conns != MAP_FAILED) munmap(engine->conns, engine->conns_size);
    cre_ws_deflate_pool_free(engine->deflate_pool);
    if (engine->own_table) cre_table_close(engine->table);
    cre__free(engine->own_table);
    cre__free(engine->slab);
    cre__free(engine->scratch);
    cre__free(engine->ports);
    cre__free(engine);
}

int cre_engine_create(cre_loop *loop, const cre_engine_config *config, cre_engine **out) {
    cre_engine *engine = cre__calloc(1, sizeof *engine);
    if (!engine) return CRE_ENOMEM;
    engine->config = *config;
    fill_defaults(&engine->config);
    int result = cre__tls_copy_ports(engine); /* first: what is freed is what was copied */
    bool good =
        config->on_event && dispatch_valid(&engine->config) && config->max_pipelined <= CRE_MAX_PIPELINED;
    if (!result) result = good ? cre__ports_open(engine) : CRE_EINVALID;
    if (result) {
        free_engine(engine);
        return result;
    }
    engine->loop = loop;
    engine->table = config->table;
    if (!engine->table) {
        size_t size = cre_table_size(engine->config.max_connections);
        engine->own_table = size ? cre__calloc(1, size + 64) : NULL;
        if (engine->own_table) {
            uintptr_t aligned = ((uintptr_t)engine->own_table + 63) & ~(uintptr_t)63;
            engine->table = cre_table_open((void *)aligned, engine->config.max_connections);
        }
    }
    engine->slab = cre__malloc(CRE__SLAB);
    /* A head with its table, and a body that came in the same read. */
    engine->scratch = cre__malloc(sizeof(cre_http_head) + CRE_HTTP_DEFAULT_FIELDS * sizeof(cre_http_field) +
                                  CRE_HTTP_MAX_HEAD + CRE__SLAB);
    if (engine->table) {
        engine->conns_mask = engine->table->slots - 1;
        engine->conns_size = engine->table->slots * sizeof *engine->conns;
        engine->conns = mmap(NULL, engine->conns_size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    result = CRE_ENOMEM;
    if (engine->table && engine->slab && engine->scratch && engine->conns != MAP_FAILED)
        result = open_inbox(engine);
    if (!result && config->deflate) {
        engine->deflate_config = *config->deflate;
        engine->config.deflate = NULL; /* borrowed for this call */
        result = cre_ws_deflate_pool_new(&engine->deflate_config, &engine->deflate_pool);
        uint8_t bits = engine->deflate_config.server_window_bits;
        cre_ws_deflate_parameters shared = { .server_no_context_takeover = true,
                                             .server_window_bits = bits ? bits : 15 };
        cre_ws_deflate_init(&engine->deflate_shared, engine->deflate_pool, &shared, false);
    }
    if (result) {
        if (engine->inbox) close_inbox(engine->inbox);
        free_engine(engine);
        return result;
    }
    /* A predecessor may have counted there. */
    if (config->shared_stats) memcpy(&engine->stats, config->shared_stats, sizeof engine->stats);
    engine->flush.run = cre__engine_on_flush;
    cre__loop_add_hook(loop, CRE__FLUSH, &engine->flush);
    *out = engine;
    return 0;
}

/* Calls `visit` for each connection that has a session. */
static void each_session(cre_engine *engine, void (*visit)(cre__conn *conn, void *context), void *context) {
    cre_session sessions[256];
    uint32_t cursor = 0;
    for (size_t n; (n = cre_table_list(engine->table, &cursor, sessions, 256));) {
        for (size_t i = 0; i < n; i++) {
            cre__conn *conn = cre__engine_find(engine, sessions[i]);
            if (conn) visit(conn, context);
        }
    }
}

/* The same by the engine's own memory: a worker that overwrites the shared table must not keep connections
 * from being closed. It looks at every slot, so it is for the end only. */
static void each_conn(cre_engine *engine, void (*visit)(cre__conn *conn, void *context), void *context) {
    for (size_t i = 0; i <= engine->conns_mask; i++)
        if (engine->conns[i]) visit(engine->conns[i], context);
}

static void visit_reset(cre__conn *conn, void *context) {
    (void)context;
    cre__conn_end(conn, CRE_CLOSED_SHUTDOWN, conn->opened ? 1006 : 0, 0, (cre_slice){ 0 }, false);
}

void cre_engine_destroy(cre_engine *engine) {
    if (!engine) return;
    engine->shutting_down = true; /* a handler of the events below may hand over what it likes */
    engine->shutdown_done = NULL;
    cre__listeners_close(engine);
    cre__datagrams_close(engine);
    each_conn(engine, visit_reset, NULL);
    cre__engine_drop_leaving(engine);
    cre__out_forget(engine);
    cre_timer_stop(engine->ticker);
    cre_timer_stop(engine->shutdown_timer);
    cre__loop_remove_hook(engine->loop, CRE__FLUSH, &engine->flush);
    cre__topics_free(engine);
    cre__stats_show(engine);
    cre__engine_free_chunks(engine);
    close_inbox(engine->inbox);
    free_engine(engine);
}

/* ---- commands ---- */

/* More than any datagram can have; the system knows the limit of each kind. */
#define MAX_DATAGRAM (1u << 20)

static int read_binding(cre_slice *parts, int count, uint32_t *number) {
    cre_binding binding;
    if (cre__slices_length(parts, count) != sizeof binding) return CRE_EINVALID;
    cre__slices_take(&binding, sizeof binding, parts, count);
    *number = binding.number;
    return binding.number ? 0 : CRE_EINVALID;
}

/* The bytes of a close frame behind its code. */
#define CLOSE_REASON (CRE_WS_MAX_CONTROL - 2)

/* What a CLOSE command carries. */
typedef struct closing_text {
    cre_closing closing;
    char text[CRE_WS_MAX_CONTROL];
    size_t length;
} closing_text;

static int read_closing(cre_slice *parts, int count, closing_text *out) {
    size_t length = cre__slices_length(parts, count);
    *out = (closing_text){ .closing.code = 1000 };
    if (!length) return 0;
    if (!cre__slices_take(&out->closing, sizeof out->closing, parts, count)) return CRE_EINVALID;
    length -= sizeof out->closing;
    out->length = length < sizeof out->text ? length : sizeof out->text;
    if (!cre__slices_take(out->text, out->length, parts, count)) return CRE_EINVALID;
    /* What is too long is cut here, between two code points, so that the cut does not make it invalid. */
    if (length > CLOSE_REASON) {
        out->length = CLOSE_REASON;
        while (out->length && ((uint8_t)out->text[out->length] & 0xC0) == 0x80)
            out->length--;
    }
    if (!out->closing.code) out->closing.code = 1000;
    bool good =
        cre_ws_close_code_valid(out->closing.code) && cre_utf8_valid((uint8_t *)out->text, out->length);
    return good ? 0 : CRE_EINVALID;
}

static int check_push(const cre_record *command, const cre_slice *parts, int count) {
    uint8_t opcode = command->opcode;
    if (opcode <= CRE_WS_BINARY) return 0;
    bool control = opcode == CRE_WS_PING || opcode == CRE_WS_PONG, final = command->flags & CRE_RECORD_FINAL;
    return control && final && cre__slices_length(parts, count) <= CRE_WS_MAX_CONTROL ? 0 : CRE_EINVALID;
}

/* The address of a SENDTO; `parts` are the data then. */
static int read_address(cre_slice *parts, int count, cre_address *address) {
    if (!cre__slices_take(address, sizeof *address, parts, count) || !cre__address_valid(address))
        return CRE_EINVALID;
    return cre__slices_length(parts, count) <= MAX_DATAGRAM ? 0 : CRE_ELIMIT;
}

int cre__command_check(const cre_record *command, const cre_slice *parts, int count) {
    if (count > CRE__MAX_PARTS) return CRE_EINVALID;
    cre_slice own[CRE__MAX_PARTS];
    for (int i = 0; i < count; i++)
        own[i] = parts[i];
    closing_text text;
    cre_address address;
    uint32_t number;
    switch (command->kind) {
    case CRE_COMMAND_BIND: return read_binding(own, count, &number);
    case CRE_COMMAND_PUSH: return check_push(command, own, count);
    case CRE_COMMAND_CLOSE: return read_closing(own, count, &text);
    case CRE_COMMAND_RESPOND:
    case CRE_COMMAND_RESPOND_FILE: return cre__http_command_check(command, own, count);
    case CRE_COMMAND_SENDTO: return read_address(own, count, &address);
    case CRE_COMMAND_RESPOND_BODY:
    case CRE_COMMAND_CONTINUE:
    case CRE_COMMAND_ABANDON:
    case CRE_COMMAND_SEND:
    case CRE_COMMAND_RESET:
    case CRE_COMMAND_PROTECT:
    case CRE_COMMAND_PAUSE:
    case CRE_COMMAND_RESUME: return 0;
    default: return cre__publishing_check(command, own, count);
    }
}

static int command_push(cre__conn *conn, const cre_record *command, const cre_slice *parts, int count,
                        bool late) {
    int result = check_push(command, parts, count);
    if (result) return result;
    uint8_t first = command->opcode | (command->flags & CRE_RECORD_FINAL ? CRE_WS_FIN : 0);
    return late ? cre__ws_push_late(conn, first, parts, count) : cre__ws_push(conn, first, parts, count);
}

static int command_close(cre__conn *conn, cre_slice *parts, int count) {
    closing_text text;
    int result = read_closing(parts, count, &text);
    if (result) return result;
    if (conn->phase == CRE__WEBSOCKET)
        cre__ws_close(conn, CRE_CLOSED_SERVER, text.closing.code, text.text, text.length);
    else if (conn->phase == CRE__STREAM)
        cre__stream_close(conn, CRE_CLOSED_SERVER);
    else if (conn->file)
        conn->keep_alive = false; /* it is queued, so to speak */
    else if (conn->phase == CRE__HTTP)
        cre__conn_end(conn, CRE_CLOSED_SERVER, 0, 0, (cre_slice){ 0 }, !conn->streaming);
    return 0;
}

static int command_bind(cre__conn *conn, cre_slice *parts, int count) {
    uint32_t number;
    int result = read_binding(parts, count, &number);
    return result ? result : cre__dispatch_bind(conn, number);
}

static int command_pause(cre__conn *conn, bool pause) {
    if (conn->phase == CRE__CLOSE_SENT) return 0; /* the answer must be read */
    conn->paused = pause;
    if (!pause && conn->stash) cre__conn_continue(conn);
    cre__conn_update_watch(conn);
    return 0;
}

static int command_send_to(cre_engine *engine, const cre_record *command, cre_slice *parts, int count) {
    cre_address address;
    int result = read_address(parts, count, &address);
    return result ? result : cre__datagram_send(engine, cre_record_port(command), &address, parts, count);
}

static int carry_out(cre_engine *engine, const cre_record *command, const cre_slice *parts, int count,
                     bool late) {
    if (count > CRE__MAX_PARTS) return CRE_EINVALID;
    cre_slice own[CRE__MAX_PARTS];
    for (int i = 0; i < count; i++)
        own[i] = parts[i];
    if (cre__is_publishing(command->kind)) return cre__publishing_command(engine, command, own, count);
    if (command->kind == CRE_COMMAND_SENDTO) return command_send_to(engine, command, own, count);
    cre__conn *conn = cre__engine_find(engine, command->session);
    if (!conn) {
        engine->stats.stale_commands++;
        return CRE_EGONE;
    }
    switch (command->kind) {
    case CRE_COMMAND_BIND: return command_bind(conn, own, count);
    case CRE_COMMAND_PUSH: return command_push(conn, command, own, count, late);
    case CRE_COMMAND_SEND: return cre__stream_send(conn, own, count, late);
    case CRE_COMMAND_RESPOND:
    case CRE_COMMAND_RESPOND_BODY:
    case CRE_COMMAND_RESPOND_FILE:
    case CRE_COMMAND_CONTINUE:
    case CRE_COMMAND_ABANDON: return cre__http_command(conn, command, own, count, late);
    case CRE_COMMAND_CLOSE: return command_close(conn, own, count);
    case CRE_COMMAND_RESET:
        cre__conn_end(conn, CRE_CLOSED_SERVER, conn->opened ? 1006 : 0, 0, (cre_slice){ 0 }, false);
        return 0;
    case CRE_COMMAND_PROTECT: cre__heartbeat_protect(conn, command->opcode); return 0;
    case CRE_COMMAND_PAUSE:
    case CRE_COMMAND_RESUME: return command_pause(conn, command->kind == CRE_COMMAND_PAUSE);
    default: return CRE_EINVALID;
    }
}

int cre_engine_command(cre_engine *engine, const cre_record *command, const cre_slice *parts, int count) {
    return carry_out(engine, command, parts, count, false);
}

void cre__command_lost(cre_engine *engine, const cre_record *command) {
    if (command->kind == CRE_COMMAND_SENDTO) engine->stats.dropped_packets++;
    if (cre__is_publishing(command->kind)) {
        engine->stats.left_out++;
        return; /* its session is the one that is left out on purpose */
    }
    cre__conn *conn = cre__engine_find(engine, command->session);
    if (conn)
        cre__conn_end(conn, CRE_CLOSED_NOMEM, conn->opened ? 1006 : 0, CRE_ENOMEM, (cre_slice){ 0 }, false);
}

int cre__command_late(cre_engine *engine, const cre_record *command, const cre_slice *parts, int count) {
    int result = carry_out(engine, command, parts, count, true);
    if (result == CRE_ENOMEM) cre__command_lost(engine, command);
    return result;
}

int cre_engine_push(cre_engine *engine, cre_session session, uint8_t opcode, const void *data,
                    size_t length) {
    cre__conn *conn = cre__engine_find(engine, session);
    if (!conn) return CRE_EGONE;
    cre_record command = { .kind = CRE_COMMAND_PUSH, .opcode = opcode, .flags = CRE_RECORD_FINAL };
    cre_slice part = { data, length };
    return command_push(conn, &command, &part, 1, false);
}

int cre_engine_send(cre_engine *engine, cre_session session, const void *data, size_t length) {
    cre__conn *conn = cre__engine_find(engine, session);
    if (!conn) return CRE_EGONE;
    cre_slice part = { data, length };
    return cre__stream_send(conn, &part, 1, false);
}

int cre_engine_send_to(cre_engine *engine, uint16_t port, const cre_address *to, const void *data,
                       size_t length) {
    cre_slice part = { data, length };
    return length <= MAX_DATAGRAM ? cre__datagram_send(engine, port, to, &part, 1) : CRE_ELIMIT;
}

int cre_engine_bind(cre_engine *engine, cre_session session, uint32_t number) {
    cre_record command = { .kind = CRE_COMMAND_BIND, .session = session };
    cre_binding binding = { .number = number };
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

/* These answer the oldest request that is not answered. */

int cre_engine_respond(cre_engine *engine, cre_session session, uint16_t status, const char *fields,
                       const void *body, size_t length) {
    cre__conn *conn = cre__engine_find(engine, session);
    if (!conn) return CRE_EGONE;
    cre_response response = { .status = status };
    cre_slice lines = { (const uint8_t *)fields, fields ? strlen(fields) : 0 }, part = { body, length };
    return cre__http_respond(conn, &response, lines, &part, 1, false);
}

int cre_engine_respond_more(cre_engine *engine, cre_session session, uint16_t status, const char *fields,
                            const void *body, size_t length) {
    cre__conn *conn = cre__engine_find(engine, session);
    if (!conn) return CRE_EGONE;
    cre_response response = { .status = status };
    cre_slice lines = { (const uint8_t *)fields, fields ? strlen(fields) : 0 }, part = { body, length };
    return cre__http_respond_more(conn, &response, lines, &part, 1, false);
}

int cre_engine_respond_body(cre_engine *engine, cre_session session, const void *data, size_t length,
                            bool final) {
    cre__conn *conn = cre__engine_find(engine, session);
    if (!conn) return CRE_EGONE;
    cre_slice part = { data, length };
    return cre__http_respond_body(conn, &part, 1, final, false);
}

int cre_engine_respond_file(cre_engine *engine, cre_session session, uint16_t status, const char *fields,
                            const char *path, uint64_t offset, uint64_t length) {
    cre__conn *conn = cre__engine_find(engine, session);
    if (!conn) return CRE_EGONE;
    cre_response response = { .status = status };
    cre_file_range range = { offset, length };
    cre_slice lines = { (const uint8_t *)fields, fields ? strlen(fields) : 0 };
    return cre__http_respond_file(conn, &response, lines, path, &range, false);
}

static void visit_resume(cre__conn *conn, void *context) {
    if (!conn->congested || conn->worker != *(uint16_t *)context) return;
    conn->congested = false;
    cre__conn_update_watch(conn);
}

void cre_engine_resume(cre_engine *engine, uint16_t worker) {
    each_session(engine, visit_resume, &worker);
}

/* ---- shutdown ---- */

void cre__engine_check_shutdown(cre_engine *engine) {
    if (engine->open) return;
    void (*done)(void *) = engine->shutdown_done;
    engine->shutdown_done = NULL;
    cre_timer_stop(engine->shutdown_timer);
    engine->shutdown_timer = NULL;
    if (done) done(engine->shutdown_context);
}

static void visit_shutdown(cre__conn *conn, void *context) {
    (void)context;
    if (conn->phase == CRE__WEBSOCKET) {
        cre__ws_close(conn, CRE_CLOSED_SHUTDOWN, 1001, "server shutdown", 15);
        if (conn->dirty && !conn->blocked) cre__out_flush(conn);
    } else if (conn->phase == CRE__STREAM) {
        cre__stream_close(conn, CRE_CLOSED_SHUTDOWN);
    } else if (conn->phase == CRE__HTTP && !conn->http.count) {
        cre__conn_end(conn, CRE_CLOSED_SHUTDOWN, 0, 0, (cre_slice){ 0 }, true);
    }
}

static void on_shutdown_deadline(void *context, cre_timer *timer) {
    cre_engine *engine = context;
    (void)timer;
    each_conn(engine, visit_reset, NULL);
    cre__engine_drop_leaving(engine);
}

void cre_engine_shutdown(cre_engine *engine, uint32_t deadline_ms, void (*done)(void *context),
                         void *context) {
    bool first = !engine->shutting_down;
    engine->shutting_down = true;
    if (first) {
        engine->shutdown_done = done;
        engine->shutdown_context = context;
        cre_engine_stop_listening(engine);
        each_conn(engine, visit_shutdown, NULL);
    }
    cre_timer_stop(engine->shutdown_timer);
    if (cre_timer_start(engine->loop, deadline_ms, 0, on_shutdown_deadline, engine,
                        &engine->shutdown_timer)) {
        engine->shutdown_timer = NULL;
        on_shutdown_deadline(engine, NULL);
    }
}

void cre_engine_stop_listening(cre_engine *engine) {
    cre__listeners_close(engine);
    cre__datagrams_stop(engine); /* answers may still be sent */
}

cre_table *cre_engine_table(cre_engine *engine) {
    return engine->table;
}

cre_loop *cre_engine_loop(cre_engine *engine) {
    return engine->loop;
}

cre_engine_stats cre_engine_get_stats(const cre_engine *engine) {
    return engine->stats;
}
