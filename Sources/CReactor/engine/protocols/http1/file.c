/* Responses whose bodies are files. */
#include <creactor/file.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/protocols/http1/http1.h"

/* How much of a file is read at once for TLS. */
#define FILE_PIECE 65536u

/* A file up to this size is read behind its head, so that both leave in one write. Others go from the file to
 * the socket. */
#define FILE_WITH_HEAD 16384u

struct cre__http1_file {
    int descriptor;
    uint64_t offset, left;   /* of the part that is being sent */
    size_t part, part_count; /* the next one, and how many there are */
    const uint8_t *text;     /* of the next one */
    cre_file_part parts[];   /* and behind them their texts */
};

/* Opens the file and cuts *range at its end. The descriptor or a negative error. */
static int open_file(const char *path, cre_file_range *range) {
    cre_file_info info;
    int descriptor = cre_file_open_path(path, &info);
    if (descriptor < 0) return descriptor;
    if (range->offset > info.size) {
        close(descriptor);
        return CRE_EINVALID;
    }
    if (range->length > info.size - range->offset) range->length = info.size - range->offset;
    return descriptor;
}

/* Goes on to the next part with bytes of the file, or to the end, and queues the texts before it. False: no
 * memory, and the connection was reset, which has freed the file. */
static bool next_part(cre__conn *conn) {
    struct cre__http1_file *file = cre__http1_of(conn)->file;
    while (!file->left && file->part < file->part_count) {
        const cre_file_part *part = &file->parts[file->part++];
        const uint8_t *text = file->text;
        file->text += part->text_length;
        file->offset = part->range.offset;
        file->left = part->range.length;
        if (!cre__conn_append(conn, text, part->text_length)) return false;
    }
    return true;
}

/* Reads a part of a file. False when the file is shorter now, or cannot be read. */
static bool read_file(int descriptor, uint64_t offset, uint8_t *to, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t got = pread(descriptor, to + done, length - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += (size_t)got;
    }
    return true;
}

/* Sends a small file together with its head. */
static int send_with_head(cre__conn *conn, const cre__response *head, const cre__opened_file *opened,
                          bool keep_alive) {
    size_t length = (size_t)opened->length;
    uint8_t *body;
    int result = cre__http1_write_head(conn, head, CRE__FRAMED_BY_LENGTH, length, keep_alive, length, &body);
    bool read = !result && read_file(opened->descriptor, opened->parts[0].range.offset, body, length);
    close(opened->descriptor);
    if (result) return result;
    if (!read) { /* the file is shorter now than the head says */
        CRE__RESET(conn, .reason = CRE_CLOSED_ERROR, .error = -EIO);
        return -EIO;
    }
    if (!keep_alive) cre__http1_set_closing(cre__http1_of(conn));
    cre__http1_answered(conn, keep_alive);
    return 0;
}

int cre__http1_send_opened(cre__conn *conn, const cre__response *head, const cre__opened_file *opened,
                           bool close_after) {
    cre__http1 *http = cre__http1_of(conn);
    bool no_body = http->first_traits & CRE__HEAD_REQUEST || head->status == 204 || head->status == 304;
    bool keep_alive = cre__http1_goes_on(conn, close_after);
    uint64_t length = head->status == 205 ? 0 : opened->length; /* 205 must have an empty body */
    if (!no_body && length && length <= FILE_WITH_HEAD && opened->part_count == 1 && !opened->texts.length)
        return send_with_head(conn, head, opened, keep_alive);
    uint8_t *behind;
    int result = cre__http1_write_head(conn, head, CRE__FRAMED_BY_LENGTH, length, keep_alive, 0, &behind);
    if (result) {
        close(opened->descriptor);
        return result;
    }
    if (!keep_alive) cre__http1_set_closing(http);
    if (no_body || !length) {
        close(opened->descriptor);
        cre__http1_answered(conn, keep_alive);
        return 0;
    }
    size_t parts_size = opened->part_count * sizeof *opened->parts;
    struct cre__http1_file *file = cre__malloc(sizeof *file + parts_size + opened->texts.length);
    if (!file) {
        close(opened->descriptor);
        return cre__conn_no_memory(conn);
    }
    uint8_t *texts = (uint8_t *)file->parts + parts_size;
    memcpy(file->parts, opened->parts, parts_size);
    if (opened->texts.length) memcpy(texts, opened->texts.data, opened->texts.length);
    file->descriptor = opened->descriptor;
    file->offset = file->left = 0;
    file->part = 0;
    file->part_count = opened->part_count;
    file->text = texts;
    http->file = file;
    conn->transport.producing = true;
    if (!next_part(conn)) return CRE_ENOMEM;
    cre__http1_body_discard(conn);
    cre__transport_set_deadline(&conn->transport, conn->port->options.idle_timeout_ms);
    return 0;
}

int cre__http1_respond_file(cre__conn *conn, const cre__file_response *response, bool close_after) {
    if (!cre__http1_answerable(conn)) return CRE_ENO_REQUEST;
    cre_file_part part = { .range = response->range };
    int descriptor = cre__engine_take_file(cre__conn_engine(conn));
    if (descriptor < 0) descriptor = open_file(response->path, &part.range);
    if (descriptor < 0) {
        cre__http1_error(conn, cre__http1_of(conn)->first, cre_file_status(descriptor), close_after);
        return descriptor;
    }
    cre__opened_file opened = { descriptor, part.range.length, &part, 1, { NULL, 0 } };
    return cre__http1_send_opened(conn, &response->head, &opened, close_after);
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

/* The next piece into the output, to be encrypted or carried. */
static ssize_t read_piece(cre__conn *conn, size_t length) {
    cre__http1 *http = cre__http1_of(conn);
    struct cre__http1_file *file = http->file;
    if (length > FILE_PIECE) length = FILE_PIECE;
    uint8_t *at = cre__conn_reserve(conn, length);
    if (!at) return -1; /* the connection has ended */
    /* What is reserved is never sent when it cannot be read: the connection ends. */
    return read_file(file->descriptor, file->offset, at, length) ? (ssize_t)length : 0;
}

bool cre__http1_send_file(cre__conn *conn, uint32_t *budget) {
    cre__http1 *http = cre__http1_of(conn);
    struct cre__http1_file *file = http->file;
    size_t length = file->left < *budget ? (size_t)file->left : *budget;
    const bool direct = !conn->transport.tls && !conn->transport.carried;
    ssize_t sent = 0;
    if (length) {
        sent = direct ? send_quietly(conn->transport.descriptor, file, length) : read_piece(conn, length);
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
        if (direct) cre__queue_sent_directly(&conn->transport, (size_t)sent);
    }
    bool queued = false;
    if (!file->left && file->part < file->part_count) {
        if (!next_part(conn)) return false;
        queued = true;
    }
    if (!file->left) {
        cre__http1_drop_file(conn);
        cre__http1_answered(conn, cre__http1_goes_on(conn, false));
        /* The end of the body, or answers that have waited for it. */
        return cre__queue_pending(&conn->transport);
    }
    if (queued || (!direct && sent > 0)) return true;
    /* The socket is full, or others have their turn; poll reports when it takes more. */
    conn->transport.blocked = true;
    return false;
}
