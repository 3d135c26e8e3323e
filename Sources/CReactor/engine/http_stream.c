/* Responses that are not sent at once: bodies that come in pieces, and files. */
#include <creactor/http_chunked.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/engine_internal.h"

/* From here on bytes are sent from where they are instead of being copied to the write queue first. */
#define LARGE_PAYLOAD 4000u

/* How much of a file is read at once for TLS. */
#define FILE_PIECE 65536u

struct cre__file {
    int descriptor;
    uint64_t offset, left;
};

/* ---- bodies in pieces ---- */

/* The head of a response, whose body follows. */
static bool put_head(cre__conn *conn, const cre_response *response, cre_slice fields, uint64_t length,
                     bool keep_alive) {
    char head[CRE__HTTP_HEAD_ROOM];
    size_t head_length = cre__http_write_head(conn, head, response, length, keep_alive);
    conn->engine->stats.responses++;
    return cre__out_append(conn, head, head_length) && cre__out_append(conn, fields.data, fields.length) &&
           cre__out_append(conn, "\r\n", 2);
}

/* One piece as it is sent. */
static int put_piece(cre__conn *conn, const cre_slice *parts, int count, size_t length, bool final) {
    static const char end[] = "\r\n0\r\n\r\n";
    char head[CRE_HTTP_CHUNK_HEAD_MAX];
    cre_slice pieces[CRE__MAX_PARTS + 1], tail = { 0 };
    size_t head_length = 0;
    if (conn->chunked) {
        if (length) head_length = cre_http_chunk_head(head, length);
        tail = (cre_slice){ (const uint8_t *)end + (length ? 0 : 2), (length ? 2 : 0) + (final ? 5 : 0) };
    }
    int used = 0;
    for (int i = 0; i < count; i++)
        if (parts[i].length) pieces[used++] = parts[i];
    if (tail.length) pieces[used++] = tail;
    if (length > LARGE_PAYLOAD) return cre__out_large(conn, head, head_length, pieces, used);
    size_t total = head_length + length + tail.length;
    if (!total) return 0;
    uint8_t *at = cre__out_reserve(conn, total);
    if (!at) return CRE_ENOMEM;
    memcpy(at, head, head_length);
    at += head_length;
    for (int i = 0; i < used; i++) {
        memcpy(at, pieces[i].data, pieces[i].length);
        at += pieces[i].length;
    }
    return 0;
}

/* Whether so much more is too much. `limit` times the queue's limit is allowed; an empty queue takes any
 * piece. */
static bool overflows(const cre__conn *conn, size_t length, unsigned limit) {
    return length && conn->queued &&
           conn->queued + (uint64_t)length > (uint64_t)conn->settings->options.max_queue * limit;
}

static int overflow(cre__conn *conn) {
    cre__conn_end(conn, CRE_CLOSED_OVERFLOW, 0, CRE_EQUEUE_FULL, (cre_slice){ 0 }, false);
    return CRE_EQUEUE_FULL;
}

int cre__http_respond_more(cre__conn *conn, const cre_response *response, cre_slice fields,
                           const cre_slice *body, int count, bool close) {
    if (!cre__http_answerable(conn)) return CRE_ENO_REQUEST;
    if (response->status < 200 || response->status > 999) return CRE_EINVALID;
    size_t length = cre__slices_length(body, count);
    bool no_body = response->status == 204 || response->status == 304;
    bool muted = no_body || conn->head_request, chunked = !no_body && !conn->http10;
    if (!muted && overflows(conn, length, 2)) return overflow(conn);
    /* A body that still comes may be complete when the response is. */
    bool last = conn->engine->shutting_down && conn->http.count == 1;
    conn->keep_alive = conn->keep_alive && !close && !last && (muted || !conn->http10);
    conn->streaming = true;
    conn->chunked = chunked;
    conn->muted = muted;
    uint64_t framing = chunked ? CRE__HTTP_LENGTH_CHUNKED : CRE__HTTP_LENGTH_OPEN;
    if (!put_head(conn, response, fields, framing, conn->keep_alive)) return CRE_ENOMEM;
    return muted || !length ? 0 : put_piece(conn, body, count, length, false);
}

int cre__http_respond_body(cre__conn *conn, const cre_slice *parts, int count, bool final, bool late) {
    if (conn->phase != CRE__HTTP || !conn->streaming) return CRE_ENO_REQUEST;
    if (!conn->muted) {
        size_t length = cre__slices_length(parts, count);
        /* As with frames: what came over a link is never left out. Nor is an end, for want of another. */
        bool must = late || final;
        if (overflows(conn, length, must ? 2 : 1)) return must ? overflow(conn) : CRE_EQUEUE_FULL;
        int result = length || final ? put_piece(conn, parts, count, length, final) : 0;
        if (result) return result;
    }
    if (!final) return 0;
    conn->streaming = false;
    cre__http_answered(conn, cre__http_goes_on(conn, false));
    return 0;
}

/* ---- files ---- */

int cre__http_read_file(cre_slice *parts, int count, cre_file_range *range, char path[CRE_MAX_PATH + 1]) {
    if (!cre__slices_take(range, sizeof *range, parts, count)) return CRE_EINVALID;
    size_t length = cre__slices_length(parts, count);
    if (!length || length > CRE_MAX_PATH || !cre__slices_take(path, length, parts, count))
        return CRE_EINVALID;
    path[length] = 0;
    return strlen(path) == length ? 0 : CRE_EINVALID;
}

/* Opens the file and makes *range what there is of it. The descriptor or a negative error. */
static int open_file(const char *path, cre_file_range *range) {
    /* Without O_NONBLOCK a pipe would have us wait for its writer. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0) return -errno;
    struct stat status;
    int result = fstat(descriptor, &status) ? -errno : descriptor;
    if (result >= 0 && S_ISDIR(status.st_mode)) result = -EISDIR;
    if (result >= 0 && (!S_ISREG(status.st_mode) || range->offset > (uint64_t)status.st_size))
        result = CRE_EINVALID;
    if (result < 0) {
        close(descriptor);
        return result;
    }
    uint64_t rest = (uint64_t)status.st_size - range->offset;
    if (range->length > rest) range->length = rest;
    return descriptor;
}

static int status_of(int error) {
    switch (error) {
    case -ENOENT:
    case -ENOTDIR:
    case -EISDIR:
    case -ENAMETOOLONG:
    case -ELOOP: return 404;
    default: return 500;
    }
}

int cre__http_respond_file(cre__conn *conn, const cre_response *response, cre_slice fields, const char *path,
                           const cre_file_range *asked, bool close_after) {
    if (!cre__http_answerable(conn)) return CRE_ENO_REQUEST;
    if (response->status < 200 || response->status > 999) return CRE_EINVALID;
    cre_file_range range = *asked;
    int descriptor = open_file(path, &range);
    if (descriptor < 0) {
        cre__http_error(conn, conn->http.first, status_of(descriptor), close_after);
        return descriptor;
    }
    bool no_body = conn->head_request || response->status == 204 || response->status == 304;
    conn->keep_alive = cre__http_goes_on(conn, close_after);
    if (!put_head(conn, response, fields, range.length, conn->keep_alive)) {
        close(descriptor);
        return CRE_ENOMEM;
    }
    if (no_body || !range.length) {
        close(descriptor);
        cre__http_answered(conn, conn->keep_alive);
        return 0;
    }
    conn->file = cre__malloc(sizeof *conn->file);
    if (!conn->file) {
        close(descriptor);
        cre__conn_end(conn, CRE_CLOSED_NOMEM, 0, CRE_ENOMEM, (cre_slice){ 0 }, false);
        return CRE_ENOMEM;
    }
    *conn->file = (struct cre__file){ descriptor, range.offset, range.length };
    cre__body_discard(conn);
    cre__conn_set_deadline(conn, conn->settings->options.idle_timeout_ms);
    return 0;
}

void cre__http_drop_file(cre__conn *conn) {
    if (!conn->file) return;
    close(conn->file->descriptor);
    cre__free(conn->file);
    conn->file = NULL;
}

/* As sendfile, but a peer that is gone is an error and not a signal. */
static ssize_t send_quietly(int socket, struct cre__file *file, size_t length) {
    sigset_t pipe, before, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    off_t offset = (off_t)file->offset;
    ssize_t sent;
    do
        sent = sendfile(socket, file->descriptor, &offset, length);
    while (sent < 0 && errno == EINTR);
    int error = errno;
    if (sent < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE)) {
        const struct timespec now = { 0 };
        while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return sent;
}

/* The next piece into the output, to be encrypted. */
static ssize_t read_piece(cre__conn *conn, size_t length) {
    struct cre__file *file = conn->file;
    if (length > FILE_PIECE) length = FILE_PIECE;
    uint8_t *at = cre__out_reserve(conn, length);
    if (!at) return -1; /* the connection has ended */
    for (size_t done = 0; done < length;) {
        ssize_t got = pread(file->descriptor, at + done, length - done, (off_t)(file->offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return 0; /* what is reserved is never sent: the connection ends */
        done += (size_t)got;
    }
    return (ssize_t)length;
}

bool cre__http_send_file(cre__conn *conn, uint32_t *budget) {
    struct cre__file *file = conn->file;
    size_t length = file->left < *budget ? (size_t)file->left : *budget;
    ssize_t sent = 0;
    if (length) {
        sent = conn->tls ? read_piece(conn, length) : send_quietly(conn->descriptor, file, length);
        if (!conn->file) return false;
        if (sent < 0 && errno != EAGAIN) {
            cre__conn_failed(conn, errno);
            return false;
        }
        if (sent == 0) { /* it has become shorter than what the head said */
            cre__conn_end(conn, CRE_CLOSED_ERROR, 0, -EIO, (cre_slice){ 0 }, false);
            return false;
        }
    }
    if (sent > 0) {
        file->offset += (uint64_t)sent;
        file->left -= (uint64_t)sent;
        *budget -= (uint32_t)sent;
        cre__conn_set_deadline(conn, conn->settings->options.idle_timeout_ms);
        if (!conn->tls) {
            cre__seen(conn, false);
            conn->engine->stats.bytes_out += (uint64_t)sent;
        }
    }
    if (!file->left) {
        cre__http_drop_file(conn);
        cre__http_answered(conn, cre__http_goes_on(conn, false));
        return conn->tls != NULL;
    }
    if (conn->tls && sent > 0) return true;
    /* The socket is full, or others have their turn; the poll tells when it goes on. */
    conn->blocked = true;
    return false;
}
