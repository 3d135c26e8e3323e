// The least that a TCP echo can cost in two processes, as process mode has them: a reactor receives and
// sends, and each message passes through a worker. Messages are received into shared memory and sent from
// there; only references cross, by a ring each way, and an eventfd is written when the reader of a ring
// sleeps. There is no check, no count, no clock, and nothing outlives a process. So what it takes more than
// tcp-epoll is the price of the wake-ups.
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "tcp.h"

// A stride of an odd number of cache lines spreads the beginnings of buffers over the sets of the caches.
enum { CAPACITY = 65536, STRIDE = CAPACITY + 4096 + 64, BUFFERS = 512, DESCRIPTORS = 65536, POLLED = 256 };

typedef struct reference {
    int fd;
    uint32_t buffer, length;
} reference;

// It has room for a reference to each buffer, so it is never full.
typedef struct ring {
    _Alignas(64) _Atomic uint32_t tail;
    _Alignas(64) _Atomic uint32_t head;
    _Alignas(64) _Atomic uint32_t sleeping;
    int eventfd; // of its reader
    reference slots[BUFFERS];
} ring;

typedef struct memory {
    ring to_worker, to_reactor;
    _Alignas(4096) uint8_t buffers[BUFFERS][STRIDE];
} memory;

static memory *shared;

static bool has_more(const ring *from) {
    return atomic_load_explicit(&from->tail, memory_order_acquire) !=
           atomic_load_explicit(&from->head, memory_order_relaxed);
}

static bool take(ring *from, reference *taken) {
    if (!has_more(from)) return false;
    const uint32_t head = atomic_load_explicit(&from->head, memory_order_relaxed);
    *taken = from->slots[head % BUFFERS];
    atomic_store_explicit(&from->head, head + 1, memory_order_release);
    return true;
}

static void put(ring *to, const reference *given) {
    const uint32_t tail = atomic_load_explicit(&to->tail, memory_order_relaxed);
    to->slots[tail % BUFFERS] = *given;
    atomic_store_explicit(&to->tail, tail + 1, memory_order_release);
}

static void wake_reader(ring *of) {
    const uint64_t one = 1;
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&of->sleeping, memory_order_relaxed) || !atomic_exchange(&of->sleeping, 0))
        return;
    if (write(of->eventfd, &one, sizeof one) != sizeof one) fail("eventfd");
}

// Returns whether the ring has nothing, and its writer knows that its reader sleeps.
static bool lies_down(ring *own) {
    atomic_store_explicit(&own->sleeping, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (!has_more(own)) return true;
    atomic_store_explicit(&own->sleeping, 0, memory_order_relaxed);
    return false;
}

// Waits for events, or only looks for them while the ring has more.
static int wait_for_events(int epoll, ring *own, struct epoll_event *events) {
    int n = epoll_wait(epoll, events, POLLED, lies_down(own) ? -1 : 0);
    if (n < 0 && errno != EINTR) fail("epoll_wait");
    atomic_store_explicit(&own->sleeping, 0, memory_order_relaxed);
    return n;
}

static void work(void) {
    struct epoll_event events[POLLED];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, shared->to_worker.eventfd, EPOLLIN | EPOLLET);
    for (;;) {
        if (!has_more(&shared->to_worker)) wait_for_events(epoll, &shared->to_worker, events);
        bool answered = false;
        for (reference message; take(&shared->to_worker, &message); answered = true)
            put(&shared->to_reactor, &message);
        if (answered) wake_reader(&shared->to_reactor);
    }
}

static uint32_t unused[BUFFERS], unused_count; // a stack: what was used last is used next
static struct {
    uint16_t in_flight;
    bool ended;
} connections[DESCRIPTORS];

// Returns whether there is something for the worker. Without a buffer epoll reports the connection again.
static bool receive(int epoll, int fd) {
    if (!unused_count) return false;
    const uint32_t buffer = unused[unused_count - 1];
    ssize_t n = recv(fd, shared->buffers[buffer], CAPACITY, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n <= 0) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
        connections[fd].ended = connections[fd].in_flight != 0;
        if (!connections[fd].ended) close(fd);
        return false;
    }
    unused_count--;
    connections[fd].in_flight++;
    put(&shared->to_worker, &(reference){ fd, buffer, (uint32_t)n });
    return true;
}

static void answer(const reference *message) {
    const int fd = message->fd;
    send_all(fd, shared->buffers[message->buffer], message->length);
    unused[unused_count++] = message->buffer;
    if (--connections[fd].in_flight || !connections[fd].ended) return;
    connections[fd].ended = false;
    close(fd);
}

static void react(int listener) {
    struct epoll_event events[POLLED];
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){ DESCRIPTORS, DESCRIPTORS }); // lower than that it stays
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, listener, EPOLLIN);
    watch(epoll, shared->to_reactor.eventfd, EPOLLIN | EPOLLET);
    for (;;) {
        int n = wait_for_events(epoll, &shared->to_reactor, events);
        bool received = false;
        for (int i = 0; i < n; i++) {
            const int fd = events[i].data.fd;
            if (fd == listener)
                accept_one(epoll, listener);
            else if (fd != shared->to_reactor.eventfd)
                received |= receive(epoll, fd);
        }
        for (reference message; take(&shared->to_reactor, &message);)
            answer(&message);
        if (received) wake_reader(&shared->to_worker);
    }
}

int main(int argc, char **argv) {
    const int port = port_option(argc, argv);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) fail("mmap");
    shared->to_worker.eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    shared->to_reactor.eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    while (unused_count < BUFFERS) {
        unused[unused_count] = BUFFERS - 1 - unused_count;
        unused_count++;
    }
    const pid_t reactor = getpid(), worker = fork();
    if (worker < 0) fail("fork");
    if (worker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != reactor) return 1;
        work();
    }
    react(listen_on(port));
}
