/* The life of a connection: from an accepted socket to the one path on which it ends. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/engine_internal.h"

/* How many full reads of one connection before the others have their turn. */
#define READS_PER_TURN 4

static void on_ready(uv_poll_t *handle, int status, int events);

/* ---- opening ---- */

static void describe_peer(int descriptor, cre_connection_info *info) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage storage;
    } address;
    socklen_t length = sizeof address;
    if (getpeername(descriptor, &address.any, &length)) return;
    info->family = (uint8_t)address.any.sa_family;
    if (address.any.sa_family == AF_INET) {
        memcpy(info->remote_address, &address.v4.sin_addr, 4);
        info->remote_port = ntohs(address.v4.sin_port);
    } else if (address.any.sa_family == AF_INET6) {
        memcpy(info->remote_address, &address.v6.sin6_addr, 16);
        info->remote_port = ntohs(address.v6.sin6_port);
    }
}

void cre__conn_free(cre__conn *conn) {
    if (conn->phase_at_end == CRE__HTTP)
        cre__http_free(conn);
    else if (conn->phase_at_end == CRE__STREAM)
        cre_framing_release(&conn->framing);
    else
        cre_ws_session_clear(&conn->ws);
    if (conn->deflate) cre_ws_deflate_clear(conn->deflate);
    cre__free(conn->deflate); /* agreed on, perhaps, by a handshake that was not completed */
    cre__free(conn->stash);
    cre_block_release(conn->close_text);
    cre__free(conn);
}

/* The list of those to flush may hold it still: then who takes it off that list frees it. */
static void on_closed(uv_handle_t *handle) {
    cre__conn *conn = handle->data;
    conn->closed = true;
    if (!conn->dirty) cre__conn_free(conn);
}

/* The connection is up, with TLS if it has that: its protocol begins. */
static void begin(cre__conn *conn) {
    const cre_port_options *options = &conn->settings->options;
    if (options->protocol == CRE_PROTOCOL_STREAM)
        cre__stream_open(conn);
    else
        cre__conn_set_deadline(conn, options->head_timeout_ms);
}

int cre__conn_open(cre_engine *engine, int descriptor, uint16_t port) {
    cre__conn *conn = cre__calloc(1, sizeof *conn);
    if (!conn) {
        close(descriptor);
        engine->stats.refused++;
        return CRE_ENOMEM;
    }
    int result = uv_poll_init(cre__loop_uv(engine->loop), &conn->poll, descriptor);
    if (result) {
        cre__free(conn);
        close(descriptor);
        engine->stats.refused++;
        return result;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    cre_connection_info info = {
        .state = CRE_CONNECTION_HTTP,
        .port = port,
        .owner = engine->config.node,
        .connect_time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000,
    };
    describe_peer(descriptor, &info);
    conn->poll.data = conn;
    conn->engine = engine;
    conn->descriptor = descriptor;
    conn->port = port;
    conn->settings = cre__port_at(engine, port);
    cre_tls *tls = cre__tls_of_port(engine, port);
    if (tls) result = cre__tls_attach(conn, tls);
    uint16_t workers = result ? 0 : cre__dispatch_connection(engine, &info);
    if (!result) result = workers ? 0 : CRE_ELIMIT;
    if (!result) result = cre__address_claim(engine->table, &info, workers, engine->config.max_per_address);
    /* A slot that is in use here was freed by somebody else: a worker has overwritten the table. */
    if (!result && engine->conns[info.session & engine->conns_mask]) result = CRE_ELIMIT;
    if (result) {
        /* The table is full: an answer would need memory and time that are short, so it is just closed. So is
         * what nobody is to get. */
        cre__tls_detach(conn);
        conn->phase = CRE__DEAD;
        uv_close((uv_handle_t *)&conn->poll, on_closed);
        close(descriptor);
        engine->stats.refused++;
        return result;
    }
    conn->session = info.session;
    conn->worker = info.worker;
    cre__dispatch_count(engine, conn->worker, 1);
    cre__seen(conn, true);
    engine->conns[conn->session & engine->conns_mask] = conn;
    engine->open++;
    engine->stats.accepted++;
    const cre_port_options *options = &conn->settings->options;
    cre__slot *slot = &cre__table_slots(engine->table)[cre__table_index(engine->table, conn->session)];
    atomic_store_explicit(&slot->queue_limit, options->max_queue, memory_order_relaxed);
    int on = 1;
    if (info.family != AF_UNIX && !options->nagle)
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (engine->shutting_down) {
        cre__conn_end(conn, CRE_CLOSED_SHUTDOWN, 0, 0, (cre_slice){ 0 }, false);
        return 0;
    }
    if (conn->tls)
        cre__conn_set_deadline(conn, cre__tls_handshake_timeout(conn));
    else
        begin(conn);
    cre__conn_update_watch(conn);
    return 0;
}

cre__conn *cre__engine_find(cre_engine *engine, cre_session session) {
    cre__conn *conn = session ? engine->conns[session & engine->conns_mask] : NULL;
    return conn && conn->session == session ? conn : NULL;
}

/* ---- events ---- */

int cre__conn_tell(cre__conn *conn, cre_session session, cre_event kind, uint8_t opcode, uint16_t flags,
                   uint8_t *payload, size_t length) {
    cre_engine *engine = conn->engine;
    cre_record record = { .length = (uint32_t)length,
                          .kind = (uint8_t)kind,
                          .opcode = opcode,
                          .flags = flags | cre_record_port_flags(conn->port),
                          .session = session };
    return engine->config.on_event(engine->config.context, engine, &record, payload);
}

/* The requests in progress are one worker's: who takes over from it must know which of them it had. */
static bool may_move(const cre__conn *conn, cre_event kind) {
    return conn->phase != CRE__HTTP || (kind == CRE_EVENT_REQUEST && conn->http.count == 1);
}

int cre__conn_emit(cre__conn *conn, cre_event kind, uint8_t opcode, uint8_t *payload, size_t length) {
    return cre__conn_emit_part(conn, kind, opcode, CRE_RECORD_FINAL, payload, length);
}

int cre__conn_emit_part(cre__conn *conn, cre_event kind, uint8_t opcode, uint16_t flags, uint8_t *payload,
                        size_t length) {
    if (conn->moves && may_move(conn, kind)) cre__dispatch_move(conn);
    int result = cre__conn_tell(conn, conn->session, kind, opcode, flags, payload, length);
    if (result < 0) {
        uint16_t code = conn->opened ? 1006 : 0;
        /* Whoever does not know of its beginning is not told of its end. */
        if (kind == CRE_EVENT_OPEN || kind == CRE_EVENT_CONNECT) conn->opened = false;
        cre__conn_end(conn, CRE_CLOSED_ERROR, code, result, (cre_slice){ 0 }, false);
    }
    return result;
}

/* ---- the end ---- */

static void destroy(cre__conn *conn) {
    cre_engine *engine = conn->engine;
    if (conn->phase == CRE__DEAD) return;
    conn->phase = CRE__DEAD;
    cre__conn_set_deadline(conn, 0);
    cre__out_drop(conn);
    cre__tls_detach(conn);
    uv_close((uv_handle_t *)&conn->poll, on_closed);
    close(conn->descriptor);
    conn->descriptor = -1;
    engine->open--;
    engine->stats.closed++;
}

bool cre__conn_tell_end(cre__conn *conn) {
    cre_session session = conn->ended;
    if (conn->phase_at_end == CRE__HTTP) {
        if (!cre__body_tell_broken(conn, session)) return false;
        conn->ended = 0;
        cre__table_release(conn->engine->table, session);
        return true;
    }
    cre_block *text = conn->close_text;
    _Alignas(8) uint8_t payload[sizeof(cre_closed) + CRE_WS_MAX_CONTROL];
    size_t length = text ? cre_block_length(text) : 0;
    cre_closed closed = { .reason = conn->close_reason,
                          .code = conn->close_code,
                          .error = conn->close_error,
                          .text_length = (uint16_t)length };
    memcpy(payload, &closed, sizeof closed);
    if (length) memcpy(payload + sizeof closed, cre_block_data(text), length);
    if (cre__conn_tell(conn, session, CRE_EVENT_CLOSE, 0, CRE_RECORD_FINAL, payload,
                       sizeof closed + length) == CRE_ENOMEM)
        return false;
    conn->ended = 0;
    cre__table_release(conn->engine->table, session);
    return true;
}

/* What is to be told at the end of the turn; without memory for the text it is told without. */
static void note_end(cre__conn *conn, cre_session session, cre_close_reason reason, uint16_t code, int error,
                     cre_slice text) {
    conn->close_reason = (uint8_t)reason;
    conn->close_code = code;
    conn->close_error = error;
    if (text.length) {
        cre_block_release(conn->close_text);
        size_t most = text.length < CRE_WS_MAX_CONTROL ? text.length : CRE_WS_MAX_CONTROL;
        conn->close_text = cre_block_copy(text.data, most);
    }
    conn->ended = session;
    cre__conn_mark_dirty(conn);
}

void cre__conn_end(cre__conn *conn, cre_close_reason reason, uint16_t code, int error, cre_slice text,
                   bool graceful) {
    cre_engine *engine = conn->engine;
    cre_session session = conn->session;
    if (session) {
        engine->stats.closed_by[reason % CRE_CLOSE_REASONS]++;
        if (graceful) cre__batch_settle(conn);
        if (conn->subscriptions || conn->held_back) cre__topics_leave(conn);
        if (conn->moves && conn->phase != CRE__HTTP) cre__dispatch_move(conn);
        cre__dispatch_count(engine, conn->worker, -1);
        /* From here on nobody finds it. */
        conn->session = 0;
        engine->conns[session & engine->conns_mask] = NULL;
        if (conn->file) cre__http_drop_file(conn);
        conn->phase_at_end = conn->phase == CRE__CLOSE_SENT ? CRE__WEBSOCKET : conn->phase;
        if (conn->phase_at_end == CRE__STREAM) code = 0;
        conn->phase = CRE__LEAVING;
        if (conn->phase_at_end == CRE__HTTP) cre__http_drop_answers(conn);
        if (conn->opened) {
            note_end(conn, session, reason, code, error, text);
        } else if (conn->phase_at_end == CRE__HTTP && cre__body_breaks(conn)) {
            conn->ended = session;
            cre__conn_mark_dirty(conn);
        } else {
            cre__table_release(engine->table, session);
        }
    }
    if (conn->phase == CRE__DEAD) return;
    if (!graceful) {
        /* A body without a length that is not complete must not look as if it were. */
        if (reason == CRE_CLOSED_SERVER || conn->streaming) {
            struct linger reset = { .l_onoff = 1 };
            setsockopt(conn->descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        destroy(conn);
        return;
    }
    conn->paused = conn->congested = conn->held = false;
    cre__conn_set_deadline(conn, conn->settings->options.close_timeout_ms);
    cre__conn_update_watch(conn);
    cre__conn_mark_dirty(conn);
}

void cre__conn_leave(cre__conn *conn) {
    if (conn->tls && !cre__tls_leave(conn)) return; /* the socket is full; the next flush comes here again */
    if (conn->eof) {
        destroy(conn);
        return;
    }
    if (conn->half_closed) return;
    /* Closing now would answer what the peer still sends with a reset, and a reset makes it lose what it has
     * not read yet. So only our side ends; the peer's end, or the deadline, closes the socket. */
    conn->half_closed = true;
    if (shutdown(conn->descriptor, SHUT_WR)) destroy(conn);
}

void cre__conn_timed_out(cre__conn *conn) {
    switch (conn->phase) {
    case CRE__HTTP: cre__http_timed_out(conn); break;
    case CRE__STREAM: cre__stream_due(conn); break;
    case CRE__CLOSE_SENT:
        cre__conn_end(conn, conn->close_reason, conn->close_code, 0, (cre_slice){ 0 }, false);
        break;
    case CRE__LEAVING: destroy(conn); break;
    case CRE__WEBSOCKET: cre__heartbeat_due(conn); break;
    default: break;
    }
}

const char *cre_close_reason_text(int reason) {
    switch (reason) {
#define XX(name, number, text) \
    case number: return text;
        CRE_CLOSE_REASON_MAP(XX)
#undef XX
    default: return "unknown reason";
    }
}

/* ---- reading ---- */

void cre__conn_update_watch(cre__conn *conn) {
    if (conn->phase == CRE__DEAD) return;
    bool read = !conn->paused && !conn->congested && !conn->held && !conn->eof;
    int events = (read ? UV_READABLE : 0) | (conn->blocked ? UV_WRITABLE : 0);
    if (read && conn->tls && conn->tls->unread) cre__conn_continue(conn);
    if (events == conn->watching) return;
    conn->watching = (uint8_t)events;
    if (events)
        uv_poll_start(&conn->poll, events, on_ready);
    else
        uv_poll_stop(&conn->poll);
}

static void input(cre__conn *conn, uint8_t *data, size_t length) {
    uint8_t *cursor = data, *end = data + length;
    if (conn->phase == CRE__STREAM) {
        cre__stream_input(conn, data, length);
        return;
    }
    if (conn->phase == CRE__HTTP) cre__http_input(conn, &cursor, end);
    /* Not "else": what follows a handshake in the same read belongs to the WebSocket. */
    if (cursor && (conn->phase == CRE__WEBSOCKET || conn->phase == CRE__CLOSE_SENT))
        cre__ws_input(conn, cursor, end);
}

static void input_ended(cre__conn *conn) {
    conn->eof = true;
    switch (conn->phase) {
    case CRE__HTTP:
        if (cre__http_ended(conn))
            cre__conn_end(conn, CRE_CLOSED_PEER, 0, 0, (cre_slice){ 0 }, true);
        else
            cre__conn_update_watch(conn);
        return;
    case CRE__STREAM: cre__stream_ended(conn); return;
    case CRE__CLOSE_SENT:
        cre__conn_end(conn, conn->close_reason, conn->close_code, 0, (cre_slice){ 0 }, true);
        return;
    case CRE__WEBSOCKET: cre__conn_end(conn, CRE_CLOSED_PEER, 1006, 0, (cre_slice){ 0 }, true); return;
    case CRE__LEAVING:
        if (!cre__out_waits(conn) && !(conn->tls && !conn->tls->took_leave))
            destroy(conn);
        else
            cre__conn_update_watch(conn);
        return;
    default: return;
    }
}

void cre__conn_failed(cre__conn *conn, int error) {
    uint16_t code = conn->opened ? 1006 : 0;
    bool peer = error == ECONNRESET || error == EPIPE; /* that is how a peer ends that does not take leave */
    conn->eof = true;
    cre__conn_end(conn, peer ? CRE_CLOSED_PEER : CRE_CLOSED_ERROR, code, peer ? 0 : -error, (cre_slice){ 0 },
                  false);
}

static bool may_read(cre__conn *conn) {
    const cre_engine_config *config = &conn->engine->config;
    if (conn->phase == CRE__DEAD || conn->paused || conn->held || conn->eof) return false;
    if (conn->phase == CRE__LEAVING || !config->congested) return true;
    conn->congested = config->congested(config->context, conn->worker);
    return !conn->congested;
}

static ssize_t receive(cre__conn *conn, uint8_t *at, size_t room) {
    if (conn->tls && conn->phase != CRE__LEAVING) {
        ssize_t got = cre__tls_receive(conn, at, room);
        int error = errno;
        bool is_new = conn->phase == CRE__HTTP && conn->settings->options.protocol == CRE_PROTOCOL_STREAM;
        if (is_new && !conn->tls->handshaking) begin(conn);
        errno = error;
        return got;
    }
    if (conn->tls) conn->tls->unread = false;
    return recv(conn->descriptor, at, room, 0);
}

/* Reads the socket up to `reads` times. TLS may have input of its own; it counts reads of the socket itself.
 */
static void read_all(cre__conn *conn, uint8_t reads) {
    cre_engine *engine = conn->engine;
    conn->reading = true;
    if (conn->tls) conn->tls->reads_left = reads;
    for (int round = 0; (conn->tls || round < reads) && may_read(conn); round++) {
        uint8_t *at = NULL;
        size_t room = conn->phase == CRE__WEBSOCKET ? cre__ws_destination(conn, &at) : 0;
        bool direct = room > 0;
        if (!direct) {
            at = engine->slab;
            room = CRE__SLAB;
        }
        ssize_t got = receive(conn, at, room);
        if (got < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) cre__conn_failed(conn, errno);
            break;
        }
        if (got == 0) {
            input_ended(conn);
            break;
        }
        engine->stats.bytes_in += (uint64_t)got;
        cre__seen(conn, true);
        conn->pinged = false;
        if (conn->phase == CRE__LEAVING) continue; /* too late: dropped */
        if (direct)
            cre__ws_received(conn, (size_t)got);
        else
            input(conn, at, (size_t)got);
        if ((size_t)got < room && !(conn->tls && cre__tls_is_over(conn->tls))) break;
    }
    conn->reading = false;
    if (conn->dirty && !conn->blocked) cre__out_flush(conn);
    cre__conn_update_watch(conn);
}

static void on_ready(uv_poll_t *handle, int status, int events) {
    cre__conn *conn = handle->data;
    cre__loop_begin(conn->engine->loop);
    if (status < 0) {
        /* libuv has stopped watching; the socket itself knows the error. */
        conn->watching = 0;
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(conn->descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
        cre__conn_failed(conn, error ? error : ECONNRESET);
        return;
    }
    if (events & UV_WRITABLE) {
        conn->blocked = false;
        cre__out_flush(conn);
    }
    if ((events & UV_READABLE) && conn->phase != CRE__DEAD) read_all(conn, READS_PER_TURN);
}

void cre__conn_continue(cre__conn *conn) {
    if (conn->reading || conn->phase == CRE__DEAD) return; /* its read loop goes on by itself */
    conn->resume = true;
    cre__conn_mark_dirty(conn);
}

void cre__conn_resume_now(cre__conn *conn) {
    if (conn->phase == CRE__DEAD || conn->paused) return; /* RESUME comes here again */
    conn->held = false;
    if (conn->phase == CRE__HTTP) {
        conn->reading = true;
        cre__http_unstash(conn);
        conn->reading = false;
    }
    if (conn->eof && conn->phase == CRE__HTTP && !conn->http.count)
        cre__conn_end(conn, CRE_CLOSED_PEER, 0, 0, (cre_slice){ 0 }, true);
    if (conn->tls && conn->tls->unread)
        read_all(conn, 0);
    else
        cre__conn_update_watch(conn);
}
