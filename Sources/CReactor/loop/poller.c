#include "loop/poller.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

int cre__poller_open(cre__poller *poller) {
    poller->descriptor = epoll_create1(EPOLL_CLOEXEC);
    return poller->descriptor < 0 ? -errno : 0;
}

void cre__poller_close(cre__poller *poller) {
    close(poller->descriptor);
    poller->descriptor = -1;
}

static int control(cre__poller *poller, int operation, int descriptor, cre__watcher *watcher,
                   uint32_t events) {
    /* The kernel reports errors whether they are watched or not; this way it does so once. */
    struct epoll_event event = { .events = events ? events : EPOLLONESHOT, .data.ptr = watcher };
    return epoll_ctl(poller->descriptor, operation, descriptor, &event) ? -errno : 0;
}

int cre__poller_add(cre__poller *poller, int descriptor, cre__watcher *watcher, uint32_t events) {
    int result = control(poller, EPOLL_CTL_ADD, descriptor, watcher, events);
    if (!result) poller->watched++;
    return result;
}

void cre__poller_change(cre__poller *poller, int descriptor, cre__watcher *watcher, uint32_t events) {
    (void)control(poller, EPOLL_CTL_MOD, descriptor, watcher, events); /* needs no memory */
}

void cre__poller_remove(cre__poller *poller, int descriptor, cre__watcher *watcher) {
    /* Not left to close(): a forked process may have the descriptor, too. */
    (void)control(poller, EPOLL_CTL_DEL, descriptor, watcher, 0);
    poller->watched--;
    for (int i = poller->next; i < poller->received; i++)
        if (poller->events[i].data.ptr == watcher) poller->events[i].data.ptr = NULL;
}

void cre__poller_wait(cre__poller *poller, int timeout) {
    int received = epoll_wait(poller->descriptor, poller->events, CRE__POLLED, timeout);
    poller->next = 0;
    poller->received = received > 0 ? received : 0; /* a signal has interrupted it */
}

void cre__poller_deliver(cre__poller *poller) {
    while (poller->next < poller->received) {
        const struct epoll_event *event = &poller->events[poller->next++];
        cre__watcher *watcher = event->data.ptr;
        if (watcher) watcher->ready(watcher, event->events);
    }
}
