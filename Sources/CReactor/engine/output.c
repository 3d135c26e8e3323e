/* The write queue. What one turn writes to a connection is collected in chunks and goes out in one system
 * call. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/memory.h"
#include "engine/engine_internal.h"

#define MAX_FREE_CHUNKS 64
#define MAX_VECTORS     64

static cre__chunk *take_chunk(cre_engine *engine, size_t capacity) {
    cre__chunk *chunk = engine->free_chunks;
    if (capacity <= CRE__CHUNK_BYTES && chunk) {
        engine->free_chunks = chunk->next;
        engine->free_count--;
    } else {
        if (capacity < CRE__CHUNK_BYTES) capacity = CRE__CHUNK_BYTES;
        chunk = cre__malloc(sizeof *chunk + capacity);
        if (!chunk) return NULL;
        chunk->capacity = (uint32_t)capacity;
    }
    chunk->next = NULL;
    chunk->block = NULL;
    chunk->start = chunk->end = 0;
    return chunk;
}

static void give_chunk(cre_engine *engine, cre__chunk *chunk) {
    cre_block_release(chunk->block);
    if (chunk->block || chunk->capacity != CRE__CHUNK_BYTES || engine->free_count >= MAX_FREE_CHUNKS) {
        cre__free(chunk);
        return;
    }
    chunk->next = engine->free_chunks;
    engine->free_chunks = chunk;
    engine->free_count++;
}

void cre__engine_free_chunks(cre_engine *engine) {
    while (engine->free_chunks) {
        cre__chunk *next = engine->free_chunks->next;
        cre__free(engine->free_chunks);
        engine->free_chunks = next;
    }
    engine->free_count = 0;
}

static void out_of_memory(cre__conn *conn) {
    cre__conn_end(conn, CRE_CLOSED_NOMEM, conn->opened ? 1006 : 0, CRE_ENOMEM, (cre_slice){ 0 }, false);
}

void cre__conn_mark_dirty(cre__conn *conn) {
    if (conn->dirty || conn->phase == CRE__DEAD) return;
    conn->dirty = true;
    conn->next_dirty = conn->engine->dirty;
    conn->engine->dirty = conn;
}

static void add_chunk(cre__conn *conn, cre__chunk *chunk) {
    if (conn->out_last)
        conn->out_last->next = chunk;
    else
        conn->out_first = chunk;
    conn->out_last = chunk;
}

static uint8_t *reserve(cre__conn *conn, size_t length) {
    cre__chunk *chunk = conn->out_last;
    if (!chunk || chunk->capacity - chunk->end < length) {
        chunk = take_chunk(conn->engine, length);
        if (!chunk) return NULL;
        add_chunk(conn, chunk);
    }
    uint8_t *at = chunk->data + chunk->end;
    chunk->end += (uint32_t)length;
    conn->queued += (uint32_t)length;
    cre__conn_mark_dirty(conn);
    return at;
}

uint8_t *cre__out_reserve(cre__conn *conn, size_t length) {
    if (conn->engine->batch.topic) cre__batch_settle(conn);
    uint8_t *at = reserve(conn, length);
    if (!at) out_of_memory(conn);
    return at;
}

bool cre__out_append_published(cre__conn *conn, const void *data, size_t length) {
    uint8_t *at = reserve(conn, length);
    if (at) memcpy(at, data, length);
    return at != NULL;
}

bool cre__out_share(cre__conn *conn, cre_block *block, uint32_t start, uint32_t end) {
    cre__chunk *last = conn->out_last;
    if (last && last->block == block && last->end == start) {
        last->end = last->capacity = end; /* right behind what waits already */
    } else {
        cre__chunk *chunk = cre__malloc(sizeof *chunk);
        if (!chunk) return false;
        /* No room is left in it, so nothing is ever appended. */
        *chunk =
            (cre__chunk){ .block = cre_block_retain(block), .start = start, .end = end, .capacity = end };
        add_chunk(conn, chunk);
    }
    conn->queued += end - start;
    cre__conn_mark_dirty(conn);
    return true;
}

bool cre__out_append(cre__conn *conn, const void *data, size_t length) {
    if (!length) return true;
    uint8_t *at = cre__out_reserve(conn, length);
    if (at) memcpy(at, data, length);
    return at != NULL;
}

/* The queue's length is in the table too, so that a sender in another process sees it before it sends more.
 */
void cre__out_show(cre__conn *conn) {
    cre_engine *engine = conn->engine;
    if (!conn->session) return;
    cre__slot *slot = &cre__table_slots(engine->table)[cre__table_index(engine->table, conn->session)];
    atomic_store_explicit(&slot->queued, conn->queued + cre__http_kept(conn), memory_order_relaxed);
    if (!conn->opened) return;
    if (!conn->full && conn->queued >= conn->settings->options.high_water) {
        conn->full = true;
        cre__conn_emit(conn, CRE_EVENT_FULL, 0, NULL, 0);
    } else if (conn->full && conn->queued <= conn->settings->options.low_water) {
        conn->full = false;
        cre__conn_emit(conn, CRE_EVENT_DRAINED, 0, NULL, 0);
    }
}

/* Takes `sent` bytes off the queue. */
static void consume(cre__conn *conn, size_t sent) {
    conn->queued -= (uint32_t)sent;
    cre__seen(conn, false);
    conn->engine->stats.bytes_out += sent;
    while (sent) {
        cre__chunk *chunk = conn->out_first;
        uint32_t n = chunk->end - chunk->start;
        if (sent < n) {
            chunk->start += (uint32_t)sent;
            return;
        }
        sent -= n;
        conn->out_first = chunk->next;
        if (!conn->out_first) conn->out_last = NULL;
        give_chunk(conn->engine, chunk);
    }
}

static ssize_t send_vectors(cre__conn *conn, struct iovec *vectors, size_t count) {
    struct msghdr message = { .msg_iov = vectors, .msg_iovlen = count };
    ssize_t sent;
    if (conn->tls) return cre__tls_send(conn, vectors, count);
    do
        sent = count == 1 ? send(conn->descriptor, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL)
                          : sendmsg(conn->descriptor, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

size_t cre__out_send_now(cre__conn *conn, const uint8_t *data, size_t length) {
    struct iovec vector = { (void *)(uintptr_t)data, length };
    if (conn->tls) return 0; /* encrypting may end the connection, and its errors are to show at the flush */
    ssize_t sent = send_vectors(conn, &vector, 1);
    if (sent <= 0) return 0;
    cre__seen(conn, false);
    conn->engine->stats.bytes_out += (size_t)sent;
    return (size_t)sent;
}

static size_t queue_vectors(const cre__conn *conn, struct iovec *vectors, size_t capacity) {
    size_t count = 0;
    for (cre__chunk *chunk = conn->out_first; chunk && count < capacity; chunk = chunk->next) {
        uint8_t *data = chunk->block ? cre_block_data(chunk->block) : chunk->data;
        vectors[count++] = (struct iovec){ data + chunk->start, chunk->end - chunk->start };
    }
    return count;
}

/* Sends the queue; false: the connection is gone. */
static bool send_queue(cre__conn *conn) {
    while (cre__out_waits(conn) && conn->phase != CRE__DEAD) {
        struct iovec vectors[MAX_VECTORS];
        size_t count = queue_vectors(conn, vectors, MAX_VECTORS), asked = 0;
        for (size_t i = 0; i < count; i++)
            asked += vectors[i].iov_len;
        ssize_t sent = send_vectors(conn, vectors, count);
        if (sent < 0 && errno != EAGAIN) {
            cre__conn_failed(conn, errno);
            return false;
        }
        if (sent > 0) consume(conn, (size_t)sent);
        conn->blocked = conn->tls ? conn->tls->sealed != NULL : sent < (ssize_t)asked;
        if (sent < (ssize_t)asked || conn->blocked) break;
    }
    return conn->phase != CRE__DEAD;
}

void cre__out_flush(cre__conn *conn) {
    uint32_t budget = CRE__FILE_PER_TURN;
    do {
        if (!send_queue(conn)) return;
    } while (conn->file && !conn->blocked && !cre__out_waits(conn) && cre__http_send_file(conn, &budget));
    if (conn->phase == CRE__DEAD) return;
    if (conn->blocked && !cre__out_waits(conn) && !conn->file) conn->blocked = false;
    if (conn->blocked || conn->full || (conn->watching & UV_WRITABLE)) {
        cre__out_show(conn);
        cre__conn_update_watch(conn);
    }
    if (conn->phase == CRE__LEAVING && !cre__out_waits(conn)) cre__conn_leave(conn);
}

int cre__out_large(cre__conn *conn, const void *head, size_t head_length, const cre_slice *parts, int count) {
    if (conn->engine->batch.topic) cre__batch_settle(conn);
    size_t total = head_length, sent = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].length;
    struct iovec vectors[MAX_VECTORS];
    size_t used = 0;
    if (!conn->blocked) used = queue_vectors(conn, vectors, MAX_VECTORS - 8);
    bool whole_queue = !conn->blocked && used < MAX_VECTORS - 8 && count <= 7;
    if (whole_queue) {
        size_t before = conn->queued;
        vectors[used++] = (struct iovec){ (void *)(uintptr_t)head, head_length };
        for (int i = 0; i < count; i++)
            if (parts[i].length)
                vectors[used++] = (struct iovec){ (void *)(uintptr_t)parts[i].data, parts[i].length };
        ssize_t result = send_vectors(conn, vectors, used);
        if (result < 0 && errno != EAGAIN) {
            cre__conn_failed(conn, errno);
            return CRE_EGONE;
        }
        if (result > 0) {
            size_t of_queue = (size_t)result < before ? (size_t)result : before;
            consume(conn, of_queue);
            sent = (size_t)result - of_queue;
            conn->engine->stats.bytes_out += sent;
            cre__seen(conn, false);
        }
        if (sent < total) conn->blocked = true;
        if (sent == total) return 0; /* with TLS it may be encrypted and wait; the flush sees to that */
    }
    /* What is left goes into one chunk of its own. */
    size_t left = total - sent;
    uint8_t *at = cre__out_reserve(conn, left);
    if (!at) return CRE_ENOMEM;
    cre_slice first = { head, head_length };
    for (int i = -1; i < count; i++) {
        cre_slice part = i < 0 ? first : parts[i];
        size_t skip = sent < part.length ? sent : part.length;
        sent -= skip;
        if (part.length > skip) memcpy(at, part.data + skip, part.length - skip);
        at += part.length - skip;
    }
    if (conn->blocked) cre__conn_update_watch(conn); /* its queue is shown by the flush */
    return 0;
}

void cre__out_drop(cre__conn *conn) {
    while (conn->out_first) {
        cre__chunk *next = conn->out_first->next;
        give_chunk(conn->engine, conn->out_first);
        conn->out_first = next;
    }
    conn->out_last = NULL;
    conn->queued = 0;
}

static void end_doomed(cre__conn *conn) {
    cre_close_reason reason = conn->doomed;
    conn->doomed = 0;
    cre__conn_end(conn, reason, conn->opened ? 1006 : 0,
                  reason == CRE_CLOSED_NOMEM ? CRE_ENOMEM : CRE_EQUEUE_FULL, (cre_slice){ 0 }, false);
}

static void flush_first(cre_engine *engine) {
    cre__conn *conn = engine->dirty;
    engine->dirty = conn->next_dirty;
    conn->dirty = false;
    if (conn->ended && !cre__conn_tell_end(conn)) {
        conn->dirty = true; /* and so its memory stays */
        conn->next_dirty = engine->untold;
        engine->untold = conn;
        return;
    }
    if (conn->closed) {
        cre__conn_free(conn);
        return;
    }
    if (conn->phase == CRE__HTTP && conn->http.body) cre__body_tell_dropped(conn);
    if (conn->doomed) end_doomed(conn);
    if (conn->resume) {
        conn->resume = false;
        cre__conn_resume_now(conn);
    }
    if (!conn->blocked)
        cre__out_flush(conn);
    else
        cre__out_show(conn); /* it has grown */
}

/* The end of a session must be told, whenever that becomes possible. */
static void retry_untold(cre_engine *engine) {
    while (engine->untold) {
        cre__conn *conn = engine->untold;
        engine->untold = conn->next_dirty;
        conn->next_dirty = engine->dirty;
        engine->dirty = conn;
    }
}

bool cre__engine_on_flush(cre__hook *hook) {
    cre_engine *engine = (cre_engine *)((char *)hook - offsetof(cre_engine, flush));
    retry_untold(engine);
    do { /* handlers of what happens in one round may publish for the next */
        if (engine->batch.topic) cre__batch_flush(engine);
        while (engine->dirty)
            flush_first(engine);
    } while (engine->batch.topic);
    if (engine->untold) cre__ticker_start(engine); /* or the next turn may be far away */
    cre__stats_show(engine);
    if (engine->shutting_down) cre__engine_check_shutdown(engine);
    return false;
}

void cre__out_forget(cre_engine *engine) {
    retry_untold(engine);
    while (engine->dirty) {
        cre__conn *conn = engine->dirty;
        engine->dirty = conn->next_dirty;
        conn->dirty = false;
        if (conn->ended) cre__conn_tell_end(conn);
        if (conn->closed) cre__conn_free(conn);
    }
}
