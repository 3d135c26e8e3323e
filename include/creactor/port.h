/* Ports: the protocols of an engine's listening sockets, and their limits. */
#ifndef CREACTOR_PORT_H
#define CREACTOR_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "export.h"
#include "framing.h"

CRE_BEGIN_DECLS

/** The protocol of a port, and the events that it emits. */
typedef enum cre_protocol {
    CRE_PROTOCOL_WEBSOCKET = 0, /* HTTP with the upgrade to WebSocket: REQUEST, OPEN, MESSAGE, CLOSE */
    CRE_PROTOCOL_HTTP,          /* HTTP only: REQUEST */
    CRE_PROTOCOL_STREAM,        /* bytes, or packets cut by `framing`: CONNECT, RECEIVE, END, CLOSE */
    CRE_PROTOCOL_DATAGRAM,      /* UDP and Unix datagrams: PACKET */
} cre_protocol;

/** The most ports of an engine. */
enum { CRE_MAX_PORTS = 256 };

/** The most ranges of addresses of `proxies`. */
enum { CRE_MAX_PROXIES = 1024 };

/** The settings of one port. `size` is required; another member of 0 takes the value of the engine's
 * configuration. */
typedef struct cre_port_options {
    size_t size;           /* sizeof(cre_port_options) */
    cre_protocol protocol; /* what connections of the port use */
    bool http; /* WEBSOCKET: plain requests are REQUEST events; false: they are answered with status 400 */
    bool ask_upgrade; /* WEBSOCKET: a handshake is a REQUEST event, answered by UPGRADE or RESPOND; false: the
                         port's settings decide */
    bool keep_handshake; /* WEBSOCKET: the request of a handshake is kept while its connection is open, for
                            ADOPT */
    bool nagle; /* TCP: small segments wait for the acknowledgement of earlier ones; false: TCP_NODELAY */

    /** STREAM: where a packet ends; copied. NULL: RECEIVE has the bytes as they arrive, at most 64 KiB. A
     * packet above the limit ends its connection with reason PROTOCOL and a CRE_EFRAMING_... error. */
    const cre_framing_config *framing;

    /** REQUEST is emitted when the head is complete, and the body follows in pieces (CRE_EVENT_REQUEST_BODY),
     * unless it arrived with the head. PAUSE and RESUME stop and resume reading it. */
    bool stream_bodies;
    uint64_t max_streamed_body; /* bytes of such a body; 0: no limit */

    /* The limits and timeouts of cre_engine_config. */
    uint64_t max_message;                      /* as in cre_engine_config */
    uint32_t max_head, max_body;               /* as in cre_engine_config */
    uint32_t max_queue, high_water, low_water; /* as in cre_engine_config */
    bool read_when_full;                       /* as in cre_engine_config */
    /** As in cre_engine_config. */
    uint32_t head_timeout_ms, body_timeout_ms, message_timeout_ms, idle_timeout_ms, close_timeout_ms;
    /** WEBSOCKET: control frames that are MESSAGE events, too, with the opcode and the payload of the frame.
     * The owner of the connection answers the pings then. A close frame is still answered, with the code and
     * the reason of the CLOSE command that follows, or with its own code when that has none. */
    bool deliver_close, deliver_ping, deliver_pong;
    uint8_t reserved;     /* 0 */
    uint32_t proxy_count; /* of `proxies` */
    /** Not DATAGRAM: each connection begins with a header of the PROXY protocol, version 1 or 2, in front of
     * everything else, and its remote address is the one that the header names. Connections from other
     * addresses than these, and those whose header is malformed, has more than 4096 bytes behind its fixed
     * part, or is not complete within head_timeout_ms, are closed and counted (stats.proxies_refused,
     * stats.proxy_headers_invalid). Before its header is complete a connection has no session; as many of
     * them as connections may wait for it. Copied; at most CRE_MAX_PROXIES. NULL: connections begin without
     * it. */
    const cre_address_range *proxies;
    /* HTTP/2, for HTTP, and WEBSOCKET with `http`, in builds that have it (cre_http2_supported). A client
     * chooses it by ALPN, or by its preface on ports without TLS. Each of its streams is a session of its
     * own. */
    uint32_t max_streams;       /* of a connection at the same time: default 100, at most 10,000 */
    uint32_t stream_window;     /* bytes of a request's body that may wait: default 65,535, at most 16 MiB */
    uint32_t connection_window; /* ...of all streams of a connection: default 1 MiB, at most 64 MiB */
    bool http1_only;            /* HTTP/2 is not served */
    uint8_t reserved_http2[3];  /* 0 */
} cre_port_options;

CRE_END_DECLS

#endif
