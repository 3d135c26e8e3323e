/* UDP and Unix datagrams: a socket, and packets with addresses instead of connections. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/dispatch.h"
#include "net/sockaddr.h"

#define BATCH        16
#define MAX_DATAGRAM 65536u
#define ROOM         (sizeof(cre_address) + MAX_DATAGRAM)

/* How many batches before the other sockets of the loop have their turn. */
#define BATCHES_PER_TURN 4

typedef struct cre__datagram cre__datagram;

struct cre__datagram {
    cre__datagram *next;
    cre_engine *engine;
    cre_watch *watch; /* NULL: it no longer receives, but still sends */
    int descriptor;
    uint16_t port;
    bool own;      /* its file is removed with it */
    uint8_t *room; /* BATCH packets, each behind its address; pages are taken as they are touched */
};

static void deliver(cre__datagram *datagram, uint8_t *at, const cre__sockaddr *from, socklen_t size,
                    size_t length) {
    cre_engine *engine = datagram->engine;
    cre_address *address = (cre_address *)(void *)at;
    cre__address_from_system(from, size, address);
    engine->net.bytes_in += length;
    engine->stats.messages_in++;
    if (!cre__dispatch_datagram(engine, datagram->port, address, at + sizeof *address, length)) {
        cre__count_rare(engine, &engine->stats.dropped_packets, 1);
        return;
    }
    cre_record record = { .length = (uint32_t)(sizeof *address + length),
                          .kind = CRE_EVENT_PACKET,
                          .flags = CRE_RECORD_FINAL | cre_record_port_flags(datagram->port) };
    /* A sender cannot be stopped, so a datagram without room is lost, as it would be in a full socket buffer.
     */
    if ((engine->config.congested && engine->config.congested(engine->config.context, address->worker)) ||
        engine->config.on_event(engine->config.context, engine, &record, at) < 0)
        cre__count_rare(engine, &engine->stats.dropped_packets, 1);
}

static void on_readable(void *context, int descriptor) {
    cre__datagram *datagram = context;
    for (int batch = 0; batch < BATCHES_PER_TURN; batch++) {
        struct mmsghdr messages[BATCH];
        struct iovec vectors[BATCH];
        cre__sockaddr from[BATCH];
        memset(messages, 0, sizeof messages);
        for (int i = 0; i < BATCH; i++) {
            vectors[i] =
                (struct iovec){ datagram->room + (size_t)i * ROOM + sizeof(cre_address), MAX_DATAGRAM };
            messages[i].msg_hdr.msg_iov = &vectors[i];
            messages[i].msg_hdr.msg_iovlen = 1;
            messages[i].msg_hdr.msg_name = &from[i];
            messages[i].msg_hdr.msg_namelen = sizeof from[i];
        }
        int got = recvmmsg(descriptor, messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < got; i++) {
            if (messages[i].msg_hdr.msg_flags & MSG_TRUNC)
                cre__count_rare(datagram->engine, &datagram->engine->stats.dropped_packets, 1);
            else
                deliver(datagram, datagram->room + (size_t)i * ROOM, &from[i],
                        messages[i].msg_hdr.msg_namelen, messages[i].msg_len);
        }
        /* An error is about a packet that was sent and refused somewhere: reporting clears it. */
        if (got < BATCH || !datagram->watch) return;
    }
}

int cre__datagram_open(cre_engine *engine, int descriptor, uint16_t port, bool own) {
    cre__datagram *datagram = cre__calloc(1, sizeof *datagram);
    if (!datagram) return CRE_ENOMEM;
    datagram->engine = engine;
    datagram->descriptor = descriptor;
    datagram->port = port;
    datagram->own = own;
    datagram->room = cre__malloc(BATCH * ROOM);
    int result = datagram->room
                     ? cre_watch_start(engine->loop, descriptor, on_readable, datagram, &datagram->watch)
                     : CRE_ENOMEM;
    if (result) {
        cre__free(datagram->room);
        cre__free(datagram);
        return result;
    }
    datagram->next = engine->datagrams;
    engine->datagrams = datagram;
    return 0;
}

void cre__datagrams_stop(cre_engine *engine) {
    for (cre__datagram *datagram = engine->datagrams; datagram; datagram = datagram->next) {
        cre_watch_stop(datagram->watch);
        datagram->watch = NULL;
    }
}

void cre__datagrams_close(cre_engine *engine) {
    cre__datagrams_stop(engine);
    while (engine->datagrams) {
        cre__datagram *datagram = engine->datagrams;
        engine->datagrams = datagram->next;
        if (datagram->own) cre_listen_remove(datagram->descriptor);
        close(datagram->descriptor);
        cre__free(datagram->room);
        cre__free(datagram);
    }
}

int cre__datagram_send(cre_engine *engine, uint16_t port, const cre_address *to, const cre_slice *parts,
                       int count) {
    cre__datagram *datagram = engine->datagrams;
    while (datagram && datagram->port != port)
        datagram = datagram->next;
    if (!datagram) return CRE_EGONE;
    cre__sockaddr address;
    struct iovec vectors[CRE__MAX_PARTS];
    struct msghdr message = { .msg_name = &address, .msg_namelen = cre__address_to_system(to, &address) };
    if (!message.msg_namelen || count > CRE__MAX_PARTS) return CRE_EINVALID;
    for (int i = 0; i < count; i++)
        if (parts[i].length)
            vectors[message.msg_iovlen++] =
                (struct iovec){ (void *)(uintptr_t)parts[i].data, parts[i].length };
    message.msg_iov = vectors;
    ssize_t sent;
    do
        sent = sendmsg(datagram->descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) return errno == EAGAIN || errno == ENOBUFS ? CRE_EQUEUE_FULL : -errno;
    engine->net.bytes_out += (uint64_t)sent;
    engine->stats.messages_out++;
    return 0;
}
