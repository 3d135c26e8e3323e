/*
 * The descriptors that a loop watches, in an epoll descriptor of its own. libuv's handle for a descriptor
 * takes 160 bytes, and its part of a turn as long as a message.
 */
#ifndef CRE_LOOP_POLLER_H
#define CRE_LOOP_POLLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* The most events that one turn delivers. */
#define CRE__POLLED 512

/* Part of whatever owns the descriptor. */
typedef struct cre__watcher cre__watcher;
struct cre__watcher {
    /* Called in each turn in which one of the watched events is there. `events` are EPOLLIN and EPOLLOUT, and
     * EPOLLERR and EPOLLHUP whether they are watched or not; with no watched events at most once. */
    void (*ready)(cre__watcher *watcher, uint32_t events);
};

typedef struct cre__poller {
    int descriptor;
    uint32_t watched;   /* descriptors */
    int next, received; /* of the events of this turn: the first that is not delivered, and their number */
    struct epoll_event events[CRE__POLLED];
} cre__poller;

/* Returns 0 or a negative error. */
int cre__poller_open(cre__poller *poller);
void cre__poller_close(cre__poller *poller);

/* Returns 0 or a negative error. `watcher` stays where it is until cre__poller_remove. */
int cre__poller_add(cre__poller *poller, int descriptor, cre__watcher *watcher, uint32_t events);
/* Changes the watched events, which may be none. */
void cre__poller_change(cre__poller *poller, int descriptor, cre__watcher *watcher, uint32_t events);
/* Its events of this turn are not delivered any more. The descriptor must still be open. */
void cre__poller_remove(cre__poller *poller, int descriptor, cre__watcher *watcher);

/* Waits for events, for at most `timeout` ms; negative: without a limit. */
void cre__poller_wait(cre__poller *poller, int timeout);
/* Calls the watchers of the events that the last wait has found. */
void cre__poller_deliver(cre__poller *poller);

#endif
