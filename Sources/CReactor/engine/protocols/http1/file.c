/* Responses whose bodies are files. */
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
#include "engine/protocols/http1/http1.h"

/* How much of a file is read at once for TLS. */
#define FILE_PIECE 65536u

struct cre__http1_file {
    int descriptor;
    uint64_t offset, left;
};

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

int cre__http1_respond_file(cre__conn *conn, const cre__file_response *response, bool close_after) {
    cre__http1 *http = cre__http1_of(conn);
    const cre__response *head = &response->head;
    if (!cre__http1_answerable(conn)) return CRE_ENO_REQUEST;
    cre_file_range range = response->range;
    int descriptor = open_file(response->path, &range);
    if (descriptor < 0) {
        cre__http1_error(conn, http->first, status_of(descriptor), close_after);
        return descriptor;
    }
    bool no_body = http->first_traits & CRE__HEAD_REQUEST || head->status == 204 || head->status == 304;
    bool keep_alive = cre__http1_goes_on(conn, close_after);
    uint8_t *behind;
    int result =
        cre__http1_write_head(conn, head, CRE__FRAMED_BY_LENGTH, range.length, keep_alive, 0, &behind);
    if (result) {
        close(descriptor);
        return result;
    }
    if (!keep_alive) cre__http1_set_closing(http);
    if (no_body || !range.length) {
        close(descriptor);
        cre__http1_answered(conn, keep_alive);
        return 0;
    }
    http->file = cre__malloc(sizeof *http->file);
    if (!http->file) {
        close(descriptor);
        return cre__conn_no_memory(conn);
    }
    *http->file = (struct cre__http1_file){ descriptor, range.offset, range.length };
    conn->transport.producing = true;
    cre__http1_body_discard(conn);
    cre__transport_set_deadline(&conn->transport, conn->port->options.idle_timeout_ms);
    return 0;
}

void cre__http1_drop_file(cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    if (!http->file) return;
    close(http->file->descriptor);
    cre__free(http->file);
    http->file = NULL;
    conn->transport.producing = false;
}

/* As sendfile, but a peer that is gone is an error and not a signal. */
static ssize_t send_quietly(int socket, struct cre__http1_file *file, size_t length) {
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
    cre__http1 *http = cre__http1_of(conn);
    struct cre__http1_file *file = http->file;
    if (length > FILE_PIECE) length = FILE_PIECE;
    uint8_t *at = cre__conn_reserve(conn, length);
    if (!at) return -1; /* the connection has ended */
    for (size_t done = 0; done < length;) {
        ssize_t got = pread(file->descriptor, at + done, length - done, (off_t)(file->offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return 0; /* what is reserved is never sent: the connection ends */
        done += (size_t)got;
    }
    return (ssize_t)length;
}

bool cre__http1_send_file(cre__conn *conn, uint32_t *budget) {
    cre__http1 *http = cre__http1_of(conn);
    struct cre__http1_file *file = http->file;
    size_t length = file->left < *budget ? (size_t)file->left : *budget;
    ssize_t sent = 0;
    if (length) {
        sent = conn->transport.tls ? read_piece(conn, length)
                                   : send_quietly(conn->transport.descriptor, file, length);
        if (!http->file) return false;
        if (sent < 0 && errno != EAGAIN) {
            cre__transport_failed(&conn->transport, errno);
            return false;
        }
        if (sent == 0) { /* the file is shorter now than the head says */
            CRE__RESET(conn, .reason = CRE_CLOSED_ERROR, .error = -EIO);
            return false;
        }
    }
    if (sent > 0) {
        file->offset += (uint64_t)sent;
        file->left -= (uint64_t)sent;
        *budget -= (uint32_t)sent;
        cre__transport_set_deadline(&conn->transport, conn->port->options.idle_timeout_ms);
        if (!conn->transport.tls) cre__queue_sent_directly(&conn->transport, (size_t)sent);
    }
    if (!file->left) {
        cre__http1_drop_file(conn);
        cre__http1_answered(conn, cre__http1_goes_on(conn, false));
        return conn->transport.tls != NULL;
    }
    if (conn->transport.tls && sent > 0) return true;
    /* The socket is full, or others have their turn; poll reports when it takes more. */
    conn->transport.blocked = true;
    return false;
}
