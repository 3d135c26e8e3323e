/* The life of a connection: from an accepted socket to the one path on which its stream ends. */
#include "engine/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/probes.h"
#include "engine/command.h"
#include "engine/dispatch.h"
#include "engine/protocols/protocols.h"
#include "engine/publish.h"
#include "net/sockaddr.h"
#include "net/tls.h"

_Static_assert(CRE__ACTIVITY_SHIFT == CRE__SEEN_SHIFT, "activity is shown at the resolution of the table");

/* How many messages of one connection are delivered before the others have their turn. */
#define MESSAGES_PER_TURN 1024u

static cre__slot *slot_of(const cre__conn *conn) {
    const cre_table *table = cre__conn_engine(conn)->table;
    return &cre__table_slots(table)[cre__table_index(table, conn->stream.session)];
}

/* ---- before the protocol: a TLS handshake ---- */

static void handshake_ended(cre__conn *conn) {
    CRE__FINISH(conn, .reason = CRE_CLOSED_PEER);
}

static void handshake_due(cre__conn *conn) {
    CRE__FINISH(conn, .reason = CRE_CLOSED_TIMEOUT);
}

static int handshake_command(cre__conn *conn, const cre_record *command, cre_slice *parts, int count,
                             int policy) {
    (void)conn;
    (void)command;
    (void)parts;
    (void)count;
    (void)policy;
    return CRE_ENO_REQUEST;
}

static int handshake_close(cre__conn *conn, cre_close_reason reason, const cre__closing *closing) {
    (void)closing;
    CRE__FINISH(conn, .reason = reason);
    return 0;
}

static void free_nothing(cre__conn *conn) {
    (void)conn;
}

static const cre__protocol handshake = {
    .state = CRE_CONNECTION_HTTP,
    .ended = handshake_ended,
    .due = handshake_due,
    .command = handshake_command,
    .close = handshake_close,
    .free = free_nothing,
};

/* ---- opening ---- */

static const cre__protocol *first_protocol(const cre__conn *conn) {
    if (conn->port->options.protocol == CRE_PROTOCOL_STREAM) return &cre__protocol_raw;
    if (!conn->port->has_http2) return &cre__protocol_http1;
    const char *name;
    size_t length = cre__tls_protocol(&conn->transport, &name);
    return length == 2 && memcmp(name, "h2", 2) == 0 ? &cre__protocol_http2 : &cre__protocol_http1;
}

void cre__conn_describe_peer(cre__conn *conn, cre_connection_info *info) {
    if (conn->proxied) {
        const cre__remote *remote = cre__conn_remote(conn);
        info->family = remote->family;
        info->remote_port = remote->port;
        memcpy(info->remote_address, remote->bytes, sizeof info->remote_address);
        return;
    }
    cre__sockaddr at = { 0 };
    socklen_t size = sizeof at;
    if (getpeername(conn->transport.descriptor, &at.any, &size)) return;
    info->family = (uint8_t)at.any.sa_family;
    if (info->family == AF_UNIX) return;
    cre_address address;
    cre__address_from_system(&at, size, &address);
    memcpy(info->remote_address, address.bytes, sizeof info->remote_address);
    info->remote_port = address.port;
}

void cre__conn_describe_local(int descriptor, cre_connection_info *info) {
    cre__sockaddr at = { 0 };
    socklen_t size = sizeof at;
    if (getsockname(descriptor, &at.any, &size)) return;
    if (at.any.sa_family != AF_INET && at.any.sa_family != AF_INET6) return;
    cre_address address;
    cre__address_from_system(&at, size, &address);
    info->local_family = (uint8_t)address.family;
    memcpy(info->local_address, address.bytes, sizeof info->local_address);
}

/* A refused connection is closed without an answer: that would need memory and time that are short. */
static int refuse(cre_engine *engine, cre__conn *conn, int descriptor, int error) {
    cre__count_rare(engine, &engine->stats.refused, 1);
    if (error != CRE_ELIMIT) cre__count_rare(engine, &engine->stats.out_of_memory, 1);
    if (conn->transport.net) {
        conn->stream.over = true;
        cre__transport_discard(&conn->transport);
    } else {
        cre__free(conn);
        close(descriptor);
    }
    return error;
}

int cre__conn_enter(cre_engine *engine, cre__conn *conn, cre_connection_info *info) {
    const bool carried = conn->transport.carried; /* it counts as its bearer */
    uint16_t workers = cre__dispatch_connection(engine, info);
    if (!workers) return CRE_ELIMIT;
    uint32_t limit = carried ? 0 : engine->config.max_per_address;
    int result = cre__address_claim(engine->table, info, workers, limit);
    if (result) return result;
    /* A slot that is in use here was freed by somebody else: a worker has overwritten the table. */
    if (engine->streams[info->session & engine->streams_mask]) return CRE_ELIMIT;
    conn->stream.session = info->session;
    conn->stream.worker = info->worker;
    cre__dispatch_count(engine, info->worker, 1);
    engine->streams[info->session & engine->streams_mask] = &conn->stream;
    cre__count_rare(engine, &engine->stats.accepted, !carried);
    cre__slot *slot = slot_of(conn);
    atomic_store_explicit(&slot->queue_limit, conn->port->options.max_queue, memory_order_relaxed);
    atomic_store_explicit(&slot->last_receive, conn->transport.last_receive >> CRE__SEEN_SHIFT,
                          memory_order_relaxed);
    conn->slot_checksum = cre__slot_checksum(engine->table, slot);
    CRE__CALL_PROBE(accept, info->session, info->port, info->worker);
    return 0;
}

/* Makes a connection, with the remote end that a proxy has named; NULL: no memory. */
static cre__conn *make_conn(const cre_address *client) {
    cre__conn *conn = cre__calloc(1, sizeof *conn + (client ? sizeof(cre__remote) : 0));
    if (!conn || !client) return conn;
    cre__remote *remote = cre__conn_remote(conn);
    conn->proxied = true;
    remote->family = (uint8_t)client->family;
    remote->port = client->port;
    memcpy(remote->bytes, client->bytes, sizeof remote->bytes);
    return conn;
}

int cre__conn_open(cre_engine *engine, int descriptor, uint16_t port) {
    if (cre__port_at(engine, port)->proxies) return cre__proxied_open(engine, descriptor, port);
    return cre__conn_begin(engine, descriptor, port, NULL);
}

int cre__conn_begin(cre_engine *engine, int descriptor, uint16_t port, const cre_address *client) {
    cre__conn *conn = make_conn(client);
    if (!conn) {
        close(descriptor);
        cre__count_rare(engine, &engine->stats.refused, 1);
        cre__count_rare(engine, &engine->stats.out_of_memory, 1);
        return CRE_ENOMEM;
    }
    int result = cre__transport_open(&conn->transport, &engine->net, descriptor);
    if (result) return refuse(engine, conn, descriptor, result);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    cre_connection_info info = {
        .state = CRE_CONNECTION_HTTP,
        .port = port,
        .owner = engine->config.node,
        .connect_time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000,
    };
    cre__conn_describe_peer(conn, &info);
    cre__conn_describe_local(descriptor, &info);
    conn->protocol = &handshake;
    conn->port_index = port;
    conn->port = cre__port_at(engine, port);
    cre_tls *tls = cre__port_tls(engine, port);
    if (tls) result = cre__tls_attach(&conn->transport, tls, conn->port->has_http2);
    if (!result) result = cre__conn_enter(engine, conn, &info);
    if (result) return refuse(engine, conn, descriptor, result);
    const cre_port_options *options = &conn->port->options;
    int on = 1;
    if (info.family != AF_UNIX && !options->nagle)
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (tls) cre__transport_set_deadline(&conn->transport, cre__tls_handshake_timeout(&conn->transport));
    cre__transport_start(&conn->transport);
    if (engine->shutting_down) CRE__RESET(conn, .reason = CRE_CLOSED_SHUTDOWN);
    return 0;
}

static void on_ready(cre__transport *transport) {
    cre__conn *conn = cre__conn_of(transport);
    if (cre__conn_live(conn)) cre__conn_switch(conn, first_protocol(conn));
}

void cre__conn_switch(cre__conn *conn, const cre__protocol *protocol) {
    conn->protocol->free(conn);
    memset(conn->state, 0, sizeof conn->state);
    conn->protocol = protocol;
    cre__conn_set_buffered(conn, 0);
    cre__transport_set_deadline(&conn->transport, 0);
    protocol->start(conn);
}

static void free_conn(cre__transport *transport) {
    cre__conn *conn = cre__conn_of(transport);
    if (conn->protocol) conn->protocol->free(conn); /* NULL: it was refused at once */
    cre_block_release(conn->stream.close_text);
    if (conn->stream.deflate) cre_ws_deflate_deinit(conn->stream.deflate);
    cre__free(conn->stream.deflate); /* agreed on, perhaps, by a handshake that was not completed */
    if (transport->carried)
        cre__carried_free(conn);
    else
        cre__free(conn);
}

/* ---- events ---- */

void cre__conn_lost_event(cre__conn *conn, cre_event kind, int error) {
    /* Whoever does not know of its beginning gets no end. */
    bool begins = kind == CRE_EVENT_OPEN || kind == CRE_EVENT_CONNECT;
    if (begins && !conn->stream.has_handshake) conn->stream.opened = false;
    CRE__RESET(conn, .reason = CRE_CLOSED_ERROR, .error = error);
}

/* The protocol may wait for a better event. */
void cre__conn_move(cre__conn *conn, cre_event kind) {
    if (!conn->protocol->may_move || conn->protocol->may_move(conn, kind)) cre__dispatch_move(conn);
}

/* ---- the end ---- */

/* The room of a CLOSE event. */
#define CLOSED_ROOM (sizeof(cre_closed) + CRE_WS_MAX_CONTROL)

/* How the stream ended, in the form of its events. Returns the length. */
static size_t describe_end(const cre__conn *conn, uint8_t payload[CLOSED_ROOM]) {
    const cre__stream *stream = &conn->stream;
    cre_block *text = stream->has_handshake ? NULL : stream->close_text;
    size_t length = text ? cre_block_length(text) : 0;
    cre_closed closed = { .reason = stream->close_reason,
                          .code = stream->close_code,
                          .error = stream->close_error,
                          .text_length = (uint16_t)length };
    memcpy(payload, &closed, sizeof closed);
    if (length) memcpy(payload + sizeof closed, cre_block_data(text), length);
    return sizeof closed + length;
}

static bool report_close(cre__conn *conn, uint16_t flags) {
    _Alignas(8) uint8_t payload[CLOSED_ROOM];
    size_t length = describe_end(conn, payload);
    return cre__conn_report(conn, CRE_EVENT_CLOSE, 0, flags, payload, length) != CRE_ENOMEM;
}

bool cre__conn_report_close(cre__conn *conn) {
    return report_close(conn, CRE_RECORD_FINAL);
}

bool cre__conn_report_unopened(cre__conn *conn) {
    return report_close(conn, CRE_RECORD_FINAL | CRE_RECORD_UNOPENED);
}

void cre__conn_emit_end(cre__conn *conn) {
    _Alignas(8) uint8_t payload[CLOSED_ROOM];
    size_t length = describe_end(conn, payload);
    cre__conn_emit(conn, CRE_EVENT_END, 0, payload, length);
}

bool cre__conn_keep_handshake(cre__conn *conn, const uint8_t *payload, size_t length) {
    cre_block_release(conn->stream.handshake);
    conn->stream.handshake = cre_block_copy(payload, length);
    conn->stream.has_handshake = conn->stream.handshake != NULL;
    if (!conn->stream.has_handshake) cre__conn_no_memory(conn);
    return conn->stream.has_handshake;
}

void cre__conn_drop_handshake(cre__conn *conn) {
    if (!conn->stream.has_handshake) return;
    cre_block_release(conn->stream.handshake);
    conn->stream.handshake = NULL;
    conn->stream.has_handshake = false;
}

/* Without memory for the text CLOSE comes without. */
void cre__conn_set_close_text(cre__conn *conn, cre_slice text) {
    if (!text.length) return;
    cre_block_release(conn->stream.close_text);
    conn->stream.has_handshake = false;
    size_t most = text.length < CRE_WS_MAX_CONTROL ? text.length : CRE_WS_MAX_CONTROL;
    conn->stream.close_text = cre_block_copy(text.data, most);
}

/* The stream ends: nobody finds it any more, and its slot in the table is free before anybody is notified. */
static void end_stream(cre__conn *conn, const cre__ending *ending, bool graceful) {
    cre_engine *engine = cre__conn_engine(conn);
    cre__stream *stream = &conn->stream;
    const cre__protocol *protocol = conn->protocol;
    if (stream->over) return;
    CRE__CALL_PROBE(close, stream->session, (int)ending->reason, ending->code, ending->error);
    if (!conn->transport.carried || stream->opened) {
        engine->stats.closed_by[ending->reason % CRE_CLOSE_REASONS]++;
        engine->rare_changed = true;
    }
    if (graceful) cre__publish_settle(conn);
    if (stream->subscriptions || stream->deferred_publish) cre__topics_leave(conn);
    if (stream->moves && protocol && !protocol->may_move) cre__dispatch_move(conn);
    cre__dispatch_count(engine, stream->worker, -1);
    stream->over = true;
    engine->streams[stream->session & engine->streams_mask] = NULL;
    cre__conn_restore_slot(conn); /* its address is there */
    if (ending->error) cre__table_set_close_error(engine->table, stream->session, ending->error);
    cre__table_release(engine->table, stream->session);
    stream->close_reason = (uint8_t)ending->reason;
    if (protocol->detach) protocol->detach(conn);
    if (stream->opened || (protocol->end_matters && protocol->end_matters(conn))) {
        uint16_t abnormal = protocol->abnormal_code;
        stream->close_code = abnormal ? ending->code ? ending->code : abnormal : 0;
        stream->close_error = ending->error;
        cre__conn_set_close_text(conn, ending->text);
        stream->end_due = true;
        cre__transport_mark_turn(&conn->transport);
    }
}

void cre__conn_finish(cre__conn *conn, const cre__ending *ending) {
    cre_engine *engine = cre__conn_engine(conn);
    bool idle = engine->shutting_down && !conn->stream.opened && !conn->transport.queued;
    end_stream(conn, ending, true);
    const cre_port_options *options = &conn->port->options;
    /* A carried connection ends when its bearer has sent everything, which others may delay. */
    uint32_t linger = conn->transport.carried ? options->idle_timeout_ms : options->close_timeout_ms;
    /* An idle connection has nothing to lose, and a shutdown does not wait for its peer. */
    cre__transport_finish(&conn->transport, idle && !conn->transport.carried ? 0 : linger);
}

void cre__conn_reset(cre__conn *conn, const cre__ending *ending) {
    bool abortive = ending->reason == CRE_CLOSED_SERVER || conn->abortive;
    end_stream(conn, ending, false);
    cre__transport_close(&conn->transport, abortive);
}

int cre__conn_no_memory(cre__conn *conn) {
    CRE__RESET(conn, .reason = CRE_CLOSED_NOMEM, .error = CRE_ENOMEM);
    return CRE_ENOMEM;
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

/* ---- transport events ---- */

static uint64_t delivered(const cre_engine *engine) {
    return engine->stats.messages_in + engine->stats.requests;
}

static bool may_read(cre__transport *transport) {
    cre__conn *conn = cre__conn_of(transport);
    cre_engine *engine = cre__conn_engine(conn);
    if (engine->reading != conn) {
        engine->reading = conn;
        engine->reading_since = delivered(engine);
    } else if (delivered(engine) - engine->reading_since > MESSAGES_PER_TURN && !transport->tls) {
        return false; /* the others have their turn; poll reports the rest of the input */
    }
    return !engine->congested || !cre__congestion_stops(conn);
}

static size_t destination(cre__transport *transport, uint8_t **at) {
    cre__conn *conn = cre__conn_of(transport);
    return conn->protocol->destination(conn, at);
}

static void readable(cre__transport *transport, uint8_t *data, size_t length, bool at_destination) {
    cre__conn *conn = cre__conn_of(transport);
    conn->stream.pinged = false;
    if (at_destination)
        conn->protocol->received(conn, length);
    else
        conn->protocol->input(conn, data, length);
}

static void ended(cre__transport *transport, int error) {
    cre__conn *conn = cre__conn_of(transport);
    if (error == CRE_ETLS) {
        const char *cause = cre__tls_cause(transport);
        CRE__FINISH(conn, .reason = CRE_CLOSED_TLS, .error = CRE_ETLS,
                    .text = { (const uint8_t *)cause, strlen(cause) });
    } else if (error == -ECONNRESET || error == -EPIPE) {
        /* How a peer ends that does not take leave. */
        if (!conn->protocol->lost || !conn->protocol->lost(conn)) CRE__RESET(conn, .reason = CRE_CLOSED_PEER);
    } else if (error) {
        CRE__RESET(conn, .reason = CRE_CLOSED_ERROR, .error = error);
    } else {
        conn->protocol->ended(conn);
    }
}

static bool writable(cre__transport *transport, uint32_t *budget) {
    cre__conn *conn = cre__conn_of(transport);
    return conn->protocol->produce(conn, budget);
}

static void queue_changed(cre__transport *transport) {
    cre__conn_queue_changed(cre__conn_of(transport));
}

static void active(cre__transport *transport, bool received) {
    cre__conn *conn = cre__conn_of(transport);
    if (conn->stream.over) return;
    cre__conn_restore_slot(conn);
    cre__slot *slot = slot_of(conn);
    uint32_t now = (uint32_t)(cre_loop_now(transport->net->loop) >> CRE__SEEN_SHIFT);
    atomic_store_explicit(received ? &slot->last_receive : &slot->last_send, now, memory_order_relaxed);
}

static void due(cre__transport *transport) {
    cre__conn *conn = cre__conn_of(transport);
    conn->protocol->due(conn);
}

static void close_pending(cre__conn *conn) {
    cre_close_reason reason = conn->stream.pending_close;
    conn->stream.pending_close = 0;
    CRE__RESET(conn, .reason = reason, .error = reason == CRE_CLOSED_NOMEM ? CRE_ENOMEM : CRE_EQUEUE_FULL);
}

static bool report_end(cre__conn *conn) {
    if (!conn->protocol->report_end(conn)) return false;
    conn->stream.end_due = false;
    return true;
}

static bool turn(cre__transport *transport) {
    cre__conn *conn = cre__conn_of(transport);
    cre_engine *engine = cre__conn_engine(conn);
    if (conn->stream.end_due && !report_end(conn)) {
        if (engine->destroying) return true;
        transport->turn_due = transport->dirty = true; /* and so its memory stays */
        transport->next_dirty = (cre__transport *)engine->unreported;
        engine->unreported = conn;
        return false;
    }
    if (engine->destroying || transport->state == CRE__TRANSPORT_CLOSED) return true;
    if (conn->protocol->turn && cre__conn_live(conn)) conn->protocol->turn(conn);
    if (conn->stream.pending_close) close_pending(conn);
    if (conn->resume) {
        conn->resume = false;
        if (cre__conn_live(conn) && !(transport->stopped & CRE__STOP_COMMANDED)) { /* RESUME asks again */
            transport->stopped &= (uint8_t)~CRE__STOP_DEFERRED;
            if (conn->protocol->resume) conn->protocol->resume(conn);
            cre__transport_update_watch(transport);
        }
    }
    return true;
}

void cre__conn_resume_later(cre__conn *conn) {
    if (conn->transport.reading || conn->transport.state == CRE__TRANSPORT_CLOSED) return;
    conn->resume = true; /* a read loop goes on by itself */
    cre__transport_mark_turn(&conn->transport);
}

static bool remote(cre__transport *transport, cre_address *address) {
    cre__conn *conn = cre__conn_of(transport);
    if (!conn->proxied) return false;
    const cre__remote *known = cre__conn_remote(conn);
    address->family = known->family;
    address->port = known->port;
    address->length = known->family == AF_INET ? 4 : 16;
    memcpy(address->bytes, known->bytes, address->length);
    return true;
}

const cre__transport_events cre__conn_events = {
    .ready = on_ready,
    .may_read = may_read,
    .destination = destination,
    .readable = readable,
    .ended = ended,
    .writable = writable,
    .queue_changed = queue_changed,
    .active = active,
    .due = due,
    .turn = turn,
    .free = free_conn,
    .remote = remote,
    .carry = cre__carried_turn,
    .uncarry = cre__carried_closed,
};

/* ---- output ---- */

int cre__conn_accept_slowly(cre__conn *conn, size_t length, cre__policy policy) {
    uint64_t limit = conn->port->options.max_queue;
    if (policy == CRE__FORCE) limit += limit + cre__conn_engine(conn)->config.in_flight;
    if (!length || cre__queue_takes(cre__conn_queued(conn), length, limit)) return 0;
    if (policy == CRE__FORCE) CRE__RESET(conn, .reason = CRE_CLOSED_OVERFLOW, .error = CRE_EQUEUE_FULL);
    return CRE_EQUEUE_FULL;
}

uint8_t *cre__conn_reserve(cre__conn *conn, size_t length) {
    uint8_t *at = cre__conn_room(conn, length);
    if (at) cre__queue_commit(&conn->transport, length);
    return at;
}

bool cre__conn_append(cre__conn *conn, const void *data, size_t length) {
    if (!length) return true;
    uint8_t *at = cre__conn_reserve(conn, length);
    if (at) memcpy(at, data, length);
    return at != NULL;
}

int cre__conn_send(cre__conn *conn, const void *head, size_t head_length, const cre_slice *parts, int count,
                   size_t length) {
    if (length > CRE__LARGE_PAYLOAD) {
        if (cre__conn_engine(conn)->batch.topic) cre__publish_settle(conn);
        int result = cre__queue_large(&conn->transport, head, head_length, parts, count);
        return result == CRE_ENOMEM ? cre__conn_no_memory(conn) : result;
    }
    if (!(head_length + length)) return 0;
    uint8_t *at = cre__conn_reserve(conn, head_length + length);
    if (!at) return CRE_ENOMEM;
    if (head_length) memcpy(at, head, head_length);
    cre__slices_join(at + head_length, parts, count);
    return 0;
}

/* The length is in the table too, so that a sender in another process sees it before it sends more. */
void cre__conn_queue_changed(cre__conn *conn) {
    if (conn->stream.over) return;
    cre__stream *stream = &conn->stream;
    const cre_port_options *options = &conn->port->options;
    uint32_t queued = conn->transport.queued;
    atomic_store_explicit(&slot_of(conn)->queued, queued + conn->deferred, memory_order_relaxed);
    if (!stream->full && queued >= options->high_water) {
        stream->full = true;
        if (!options->read_when_full) cre__transport_stop(&conn->transport, CRE__STOP_FULL);
        if (stream->opened || conn->abortive) cre__conn_emit(conn, CRE_EVENT_FULL, 0, NULL, 0);
    } else if (stream->full && queued <= options->low_water) {
        stream->full = false;
        cre__transport_resume(&conn->transport, CRE__STOP_FULL);
        cre__conn_resume_later(conn);
        if (stream->opened || conn->abortive) cre__conn_emit(conn, CRE_EVENT_DRAINED, 0, NULL, 0);
    }
}
