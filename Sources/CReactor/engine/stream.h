/*
 * Streams: what a handler talks to. A TCP or WebSocket connection is one stream.
 *
 * A stream has the identity (session), the worker that gets its events, its place in the connection table,
 * and what is left to report when it has ended. How its bytes travel is its connection's business.
 */
#ifndef CRE_ENGINE_STREAM_H
#define CRE_ENGINE_STREAM_H

#include <creactor/buffer.h>
#include <creactor/record.h>
#include <creactor/websocket_deflate.h>
#include <stdbool.h>
#include <stdint.h>

struct cre__subscriptions;

typedef struct cre__stream {
    cre_session session;                      /* stays when it has ended: see `over` */
    struct cre__subscriptions *subscriptions; /* NULL: none */
    cre_ws_deflate *deflate;                  /* NULL: messages are not compressed */
    union {
        cre_block *handshake;  /* with `has_handshake`: its request in wire form */
        cre_block *close_text; /* else: the reason for CLOSE; NULL: none */
    };
    uint32_t user_id; /* 0: none */
    union {
        uint32_t pinged_at;  /* of a live stream */
        int32_t close_error; /* of one that has ended */
    };
    uint16_t worker;
    uint16_t close_code;
    uint8_t close_reason;      /* known when closing has begun */
    uint8_t pending_close;     /* the end of the turn closes it with this reason */
    bool has_handshake : 1;    /* see `handshake` */
    bool over : 1;             /* it has ended: no command finds it */
    bool end_due : 1;          /* ...and that must still be reported */
    bool opened : 1;           /* OPEN or CONNECT was emitted, so CLOSE is due */
    bool full : 1;             /* FULL was emitted */
    bool moves : 1;            /* its next event goes to the worker of its user id */
    bool pinged : 1;           /* a ping was sent and nothing was received since */
    bool protected : 1;        /* excepted from the heartbeat */
    bool accepts_frames : 1;   /* an open WebSocket whose closing handshake has not begun */
    bool fragmented : 1;       /* a pushed message is between two of its fragments */
    bool has_user : 1;         /* it is in the topic of its user */
    bool deferred_publish : 1; /* published messages wait for the last fragment of a pushed one */
} cre__stream;

#endif
