/* The kernel of the machine: one file of shared memory, eventfds, sockets whose other ends are clients, and
 * epoll for both. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "machine.h"

enum { FIRST = 1000, FILES = 512, MOST_MAPPED = 12 << 20, SPILLS = 64, SPILL_ROOM = 512 << 10 };

typedef enum file_kind { FILE_FREE, FILE_MEMORY, FILE_EVENT, FILE_SOCKET, FILE_POLL, FILE_SIGNAL } file_kind;

typedef struct file {
    file_kind kind;
    process *owner;  /* NULL: the master */
    uint64_t count;  /* of an eventfd */
    bool written;    /* since it was reported last */
    thread *waiting; /* at a FILE_POLL; NULL: nobody */
    /* Where it is watched: */
    struct file *poll; /* NULL: nowhere */
    struct epoll_event watched;
    process *watched_by;
    wire *wire;
} file;

static struct {
    file files[FILES];
    int most; /* files were used up to here */
    _Alignas(4096) uint8_t memory[MOST_MAPPED];
    uint64_t mapped, size; /* of the file: the mapped part, and all */
    uint8_t *spills[SPILLS];
    uint64_t spill_at[SPILLS];
    uint32_t spill_count;
    wire *wires[FILES];
    int wire_count;
    wire *free_wires;
} kernel;

static _Noreturn void refuse(const char *what) {
    fprintf(stderr, "the simulated kernel has no %s\n", what);
    abort();
}

static file *file_of(int descriptor) {
    if (descriptor < FIRST || descriptor >= FIRST + FILES) return NULL;
    file *it = &kernel.files[descriptor - FIRST];
    return it->kind == FILE_FREE ? NULL : it;
}

static int new_file(file_kind kind) {
    for (int i = 0; i < FILES; i++) {
        if (kernel.files[i].kind != FILE_FREE) continue;
        kernel.files[i] = (file){ .kind = kind, .owner = machine_self() };
        if (i >= kernel.most) kernel.most = i + 1;
        return FIRST + i;
    }
    refuse("more descriptors");
}

static void wake_watcher(const file *it) {
    if (it->poll) machine_wake(it->poll->waiting);
}

/* ---- queues and wires ---- */

static uint32_t room_of(const pipe_queue *queue) {
    return queue->capacity - queue->length;
}

static size_t put(pipe_queue *queue, const uint8_t *data, size_t length) {
    if (length > room_of(queue)) length = room_of(queue);
    for (size_t done = 0; done < length;) {
        const uint32_t at = (queue->start + queue->length) % PIPE_ROOM;
        size_t n = length - done < PIPE_ROOM - at ? length - done : PIPE_ROOM - at;
        memcpy(queue->bytes + at, data + done, n);
        queue->length += (uint32_t)n;
        done += n;
    }
    return length;
}

static size_t take(pipe_queue *queue, uint8_t *data, size_t room) {
    size_t length = room < queue->length ? room : queue->length;
    for (size_t done = 0; done < length;) {
        size_t n = length - done < PIPE_ROOM - queue->start ? length - done : PIPE_ROOM - queue->start;
        memcpy(data + done, queue->bytes + queue->start, n);
        queue->start = (queue->start + (uint32_t)n) % PIPE_ROOM;
        queue->length -= (uint32_t)n;
        done += n;
    }
    return length;
}

wire *kernel_connect(int id, process *owner, uint32_t capacity) {
    wire *it = calloc(1, sizeof *it);
    if (!it || kernel.wire_count == FILES) abort();
    it->up.capacity = it->down.capacity = capacity;
    it->descriptor = new_file(FILE_SOCKET);
    it->id = id;
    file *socket = file_of(it->descriptor);
    socket->wire = it;
    socket->owner = owner;
    kernel.wires[kernel.wire_count++] = it;
    return it;
}

static void touch_server(const wire *it) {
    if (!it->server_closed) wake_watcher(file_of(it->descriptor));
}

size_t wire_write(wire *it, const void *data, size_t length) {
    if (it->client_ended || it->client_closed || it->server_closed) return 0;
    size_t written = put(&it->up, data, length);
    if (written) touch_server(it);
    return written;
}

size_t wire_read(wire *it, void *data, size_t room) {
    size_t got = take(&it->down, data, room);
    if (got) touch_server(it);
    return got;
}

void wire_end(wire *it) {
    it->client_ended = true;
    touch_server(it);
}

void wire_close(wire *it, bool reset) {
    it->client_ended = it->client_closed = true;
    if (reset || it->down.length) {
        it->client_reset = true;
        it->up.length = 0;
    }
    touch_server(it);
}

static void close_socket(file *it) {
    wire *of = it->wire;
    of->server_closed = of->server_ended = true;
    if (of->linger_off || of->up.length) {
        of->server_reset = true;
        of->down.length = 0;
    }
    it->kind = FILE_FREE;
}

/* ---- for the machine ---- */

void kernel_reset(void) {
    for (int i = 0; i < kernel.most; i++)
        kernel.files[i].kind = FILE_FREE;
    kernel.most = 0;
    for (int i = 0; i < kernel.wire_count; i++)
        free(kernel.wires[i]);
    kernel.wire_count = 0;
    memset(kernel.memory, 0, kernel.mapped);
    kernel.mapped = kernel.size = 0;
    kernel.spill_count = 0;
}

void kernel_release(process *of) {
    for (int i = 0; i < kernel.most; i++) {
        file *it = &kernel.files[i];
        if (it->kind == FILE_FREE) continue;
        if (it->watched_by == of) it->poll = NULL;
        if (it->owner != of) continue;
        if (it->kind == FILE_SOCKET) close_socket(it);
        if (it->kind == FILE_POLL || it->kind == FILE_SIGNAL) it->kind = FILE_FREE;
    }
}

int kernel_open_files(void) {
    int count = 0;
    for (int i = 0; i < kernel.most; i++)
        count += kernel.files[i].kind == FILE_SOCKET;
    return count;
}

int kernel_make_signal(void) {
    return new_file(FILE_SIGNAL);
}

void kernel_set_signal(int descriptor, bool on) {
    file *it = file_of(descriptor);
    it->count = on;
    if (on) wake_watcher(it);
}

void kernel_free_signal(int descriptor) {
    file_of(descriptor)->kind = FILE_FREE;
}

/* ---- epoll ---- */

static uint32_t ready(const file *it) {
    uint32_t found = 0;
    if (it->watched.events & EPOLLET && !it->written) return 0;
    if (it->kind != FILE_SOCKET) {
        found = it->count ? EPOLLIN : 0;
    } else {
        const wire *of = it->wire;
        if (of->client_reset) return it->watched.events ? EPOLLERR | EPOLLHUP : 0;
        if (of->up.length || of->client_ended) found |= EPOLLIN;
        if (room_of(&of->down) || of->client_closed) found |= EPOLLOUT;
    }
    return found & it->watched.events;
}

static int find_ready(const file *poll, file **found) {
    int count = 0;
    for (int i = 0; i < kernel.most; i++) {
        file *it = &kernel.files[i];
        if (it->kind != FILE_FREE && it->poll == poll && ready(it)) found[count++] = it;
    }
    return count;
}

/* ---- system calls ---- */

#define REAL(type, name, ...)        \
    type __real_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__)

REAL(int, memfd_create, const char *name, unsigned flags) {
    (void)name, (void)flags;
    machine_step();
    return new_file(FILE_MEMORY);
}

REAL(int, ftruncate, int descriptor, off_t size) {
    if (!file_of(descriptor)) refuse("such file");
    kernel.size = (uint64_t)size;
    return 0;
}

REAL(int, fstat, int descriptor, struct stat *out) {
    if (!file_of(descriptor)) return __real_fstat(descriptor, out);
    memset(out, 0, sizeof *out);
    out->st_size = (off_t)kernel.size;
    return 0;
}

int __wrap_fcntl(int descriptor, int command, ...);
int __wrap_fcntl(int descriptor, int command, ...) {
    (void)descriptor;
    switch (command) {
    case F_ADD_SEALS: return 0;
    case F_GET_SEALS: return F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    case F_GETFL: return O_RDWR | O_NONBLOCK;
    default: refuse("such fcntl");
    }
}

/* All processes have the one file at the same address. Other mappings are memory of their process. */
REAL(void *, mmap, void *at, size_t size, int protection, int flags, int descriptor, off_t offset) {
    (void)at, (void)protection, (void)flags, (void)offset;
    if (descriptor < 0) return __real_mmap(at, size, protection, flags, descriptor, offset);
    if (size > MOST_MAPPED) refuse("memory of that size");
    if (kernel.mapped < size) kernel.mapped = size;
    return kernel.memory;
}

REAL(int, munmap, void *at, size_t size) {
    return at == kernel.memory ? 0 : __real_munmap(at, size);
}

REAL(int, madvise, void *at, size_t size, int advice) {
    if (advice != MADV_REMOVE) refuse("such advice");
    machine_step();
    memset(at, 0, size);
    return 0;
}

REAL(int, eventfd, unsigned count, int flags) {
    (void)flags;
    const int descriptor = new_file(FILE_EVENT);
    file_of(descriptor)->count = count;
    return descriptor;
}

REAL(int, close, int descriptor) {
    file *it = file_of(descriptor);
    if (!it) return __real_close(descriptor);
    machine_step();
    if (it->kind == FILE_SOCKET) close_socket(it);
    if (it->kind == FILE_POLL) it->kind = FILE_FREE;
    return 0; /* the others are those of the bus: other processes have them */
}

REAL(int, epoll_create1, int flags) {
    (void)flags;
    return new_file(FILE_POLL);
}

REAL(int, epoll_ctl, int descriptor, int operation, int of, struct epoll_event *event) {
    file *poll = file_of(descriptor), *it = file_of(of);
    if (!poll || !it) refuse("such file");
    it->poll = operation == EPOLL_CTL_DEL ? NULL : poll;
    it->watched = *event;
    it->written = true;
    it->watched_by = machine_self();
    return 0;
}

/* The kernel reports descriptors in no order that one may rely on. */
REAL(int, epoll_wait, int descriptor, struct epoll_event *events, int most, int timeout) {
    file *poll = file_of(descriptor), *found[FILES];
    if (!poll) refuse("such file");
    machine_step();
    const uint64_t due = timeout < 0 ? UINT64_MAX : machine_now() + (uint64_t)timeout * 1000000u;
    int count = find_ready(poll, found);
    while (!count && machine_current() && machine_now() < due) {
        poll->waiting = machine_current();
        machine_block(due);
        poll->waiting = NULL;
        count = find_ready(poll, found);
    }
    if (count > most) count = most;
    const int first = count > 1 ? (int)machine_below((uint32_t)count) : 0;
    for (int n = 0; n < count; n++) {
        file *it = found[(n + first) % count];
        events[n] = (struct epoll_event){ .events = ready(it), .data = it->watched.data };
        if (it->watched.events & EPOLLONESHOT) it->watched.events = 0;
        it->written = false;
    }
    return count;
}

REAL(ssize_t, read, int descriptor, void *data, size_t length) {
    file *it = file_of(descriptor);
    if (!it) return __real_read(descriptor, data, length);
    if (it->kind != FILE_EVENT) refuse("such read");
    machine_step();
    if (!it->count) {
        errno = EAGAIN;
        return -1;
    }
    memcpy(data, &it->count, sizeof it->count);
    it->count = 0;
    return sizeof it->count;
}

REAL(ssize_t, write, int descriptor, const void *data, size_t length) {
    file *it = file_of(descriptor);
    if (!it) return __real_write(descriptor, data, length);
    if (it->kind != FILE_EVENT) refuse("such write");
    machine_step();
    it->count++;
    it->written = true;
    wake_watcher(it);
    return sizeof it->count;
}

/* Each place in the file at which a spill begins has memory of its own. */
static uint8_t *spill_at(off_t offset, size_t length) {
    for (uint32_t i = 0; i < kernel.spill_count; i++) {
        const uint64_t distance = (uint64_t)offset - kernel.spill_at[i];
        if ((uint64_t)offset >= kernel.spill_at[i] && distance + length <= SPILL_ROOM)
            return kernel.spills[i] + distance;
    }
    if (kernel.spill_count == SPILLS) refuse("more spills");
    uint8_t **memory = &kernel.spills[kernel.spill_count];
    if (!*memory) *memory = malloc(SPILL_ROOM);
    if (!*memory) abort();
    kernel.spill_at[kernel.spill_count++] = (uint64_t)offset;
    return *memory;
}

REAL(ssize_t, pwritev, int descriptor, const struct iovec *parts, int count, off_t offset) {
    if (!file_of(descriptor)) refuse("such file");
    machine_step();
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    uint8_t *to = spill_at(offset, total);
    for (int i = 0; i < count; i++) {
        memcpy(to, parts[i].iov_base, parts[i].iov_len);
        to += parts[i].iov_len;
    }
    return (ssize_t)total;
}

REAL(ssize_t, pread, int descriptor, void *data, size_t length, off_t offset) {
    if (!file_of(descriptor)) refuse("such file");
    machine_step();
    memcpy(data, spill_at(offset, length), length);
    return (ssize_t)length;
}

REAL(int, fallocate, int descriptor, int mode, off_t offset, off_t length) {
    if (!file_of(descriptor) || !(mode & FALLOC_FL_PUNCH_HOLE)) refuse("such fallocate");
    machine_step();
    for (uint32_t i = 0; i < kernel.spill_count; i++) {
        const int64_t base = (int64_t)kernel.spill_at[i];
        int64_t from = offset - base, to = offset + length - base;
        if (from < 0) from = 0;
        if (to > SPILL_ROOM) to = SPILL_ROOM;
        if (from < to) memset(kernel.spills[i] + from, 0, (size_t)(to - from));
    }
    return 0;
}

/* ---- sockets ---- */

static wire *socket_of(int descriptor) {
    file *it = file_of(descriptor);
    if (!it || it->kind != FILE_SOCKET) refuse("such socket");
    return it->wire;
}

REAL(ssize_t, recv, int descriptor, void *data, size_t room, int flags) {
    (void)flags;
    wire *it = socket_of(descriptor);
    machine_step();
    if (it->client_reset) {
        errno = ECONNRESET;
        return -1;
    }
    if (it->up.length) return (ssize_t)take(&it->up, data, room);
    if (it->client_ended) return 0;
    errno = EAGAIN;
    return -1;
}

static ssize_t send_some(wire *it, const void *data, size_t length) {
    if (it->client_reset || it->client_closed) {
        it->client_reset = true;
        errno = it->client_reset ? ECONNRESET : EPIPE;
        return -1;
    }
    const size_t sent = put(&it->down, data, length);
    if (sent || !length) return (ssize_t)sent;
    errno = EAGAIN;
    return -1;
}

REAL(ssize_t, send, int descriptor, const void *data, size_t length, int flags) {
    (void)flags;
    machine_step();
    return send_some(socket_of(descriptor), data, length);
}

REAL(ssize_t, sendmsg, int descriptor, const struct msghdr *message, int flags) {
    (void)flags;
    machine_step();
    ssize_t total = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *part = &message->msg_iov[i];
        ssize_t sent = send_some(socket_of(descriptor), part->iov_base, part->iov_len);
        if (sent < 0) return total ? total : sent;
        total += sent;
        if ((size_t)sent < part->iov_len) break;
    }
    return total;
}

REAL(int, shutdown, int descriptor, int how) {
    (void)how;
    machine_step();
    wire *it = socket_of(descriptor);
    it->server_ended = true;
    return 0;
}

REAL(int, setsockopt, int descriptor, int level, int name, const void *value, socklen_t length) {
    (void)length;
    if (level == SOL_SOCKET && name == SO_LINGER)
        socket_of(descriptor)->linger_off = ((const struct linger *)value)->l_onoff != 0;
    return 0;
}

REAL(int, getsockopt, int descriptor, int level, int name, void *value, socklen_t *length) {
    (void)level, (void)name;
    const int error = socket_of(descriptor)->client_reset ? ECONNRESET : 0;
    memcpy(value, &error, sizeof error);
    *length = sizeof error;
    return 0;
}

static int give_address(struct sockaddr *out, socklen_t *length, int port) {
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(out, &at, *length < sizeof at ? *length : sizeof at);
    *length = sizeof at;
    return 0;
}

REAL(int, getsockname, int descriptor, struct sockaddr *out, socklen_t *length) {
    socket_of(descriptor);
    return give_address(out, length, 9501);
}

REAL(int, getpeername, int descriptor, struct sockaddr *out, socklen_t *length) {
    return give_address(out, length, 20000 + socket_of(descriptor)->id);
}

REAL(int, sched_getaffinity, pid_t pid, size_t size, cpu_set_t *out) {
    (void)pid;
    memset(out, 0, size);
    CPU_SET(0, out);
    CPU_SET(1, out);
    return 0;
}

REAL(ssize_t, getrandom, void *out, size_t length, unsigned flags) {
    (void)flags;
    for (size_t i = 0; i < length; i++)
        ((uint8_t *)out)[i] = (uint8_t)machine_random();
    return (ssize_t)length;
}
