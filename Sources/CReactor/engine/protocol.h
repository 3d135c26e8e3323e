/* What the engine needs of a protocol on a connection. */
#ifndef CRE_ENGINE_PROTOCOL_H
#define CRE_ENGINE_PROTOCOL_H

#include <creactor/record.h>
#include <creactor/table.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cre__response;
struct cre__upgrade;
typedef struct cre__conn cre__conn;

/* A CLOSE command: code 0 where the protocol has none. */
typedef struct cre__closing {
    uint16_t code;
    const char *text;
    size_t length;
    bool chosen; /* the caller has given the code; false: it is the default */
} cre__closing;

typedef struct cre__protocol {
    cre_connection_state state; /* shown in the connection table */
    uint16_t abnormal_code;     /* of CLOSE events without a closing handshake; 0: it has no codes */

    /* The protocol begins on the connection, whose state is zeroed. */
    void (*start)(cre__conn *conn);
    /* A request in wire form asks for the protocol: whether it may. Returns 0, or an HTTP status to refuse it
     * with. NULL: nothing upgrades to it. */
    int (*check_upgrade)(cre__conn *conn, const uint8_t *payload, size_t length);
    /* Begins the protocol as such a request asks, once it was checked; `upgrade` NULL: as the port's settings
     * say. Returns 0, also when the connection has ended meanwhile, or a negative error, and nothing has
     * happened. */
    int (*upgrade)(cre__conn *conn, uint8_t *payload, size_t length, const struct cre__upgrade *upgrade);
    /* Bytes were received; they may be written to. */
    void (*input)(cre__conn *conn, uint8_t *data, size_t length);
    /* Where to receive next; then `received` instead of `input`. May be NULL. */
    size_t (*destination)(cre__conn *conn, uint8_t **at);
    void (*received)(cre__conn *conn, size_t length);
    /* While a MESSAGE of the connection is being emitted: takes the next one out of the same input, as
     * cre__engine_take_message does. NULL: it never sets `input` of its engine. */
    bool (*take_message)(cre__conn *conn, cre_record *message, uint8_t **payload);
    /* While a REQUEST is being emitted: emits the next one out of the same input, as
     * cre__engine_serve_request does, and returns whether there was one. NULL: it never sets `requests` of
     * its engine. */
    bool (*serve_request)(cre__conn *conn);
    /* The peer has ended its side. */
    void (*ended)(cre__conn *conn);
    /* The peer is gone. Ends the stream and returns true where it is known how the peer ended. May be NULL.
     */
    bool (*lost)(cre__conn *conn);
    /* The deadline has passed. */
    void (*due)(cre__conn *conn);
    /* Deferred input may go on. May be NULL. */
    void (*resume)(cre__conn *conn);
    /* The end of a turn in which the connection was marked. May be NULL. */
    void (*turn)(cre__conn *conn);
    /* The queue is empty: sends or queues more. Returns whether to go on at once. May be NULL. */
    bool (*produce)(cre__conn *conn, uint32_t *budget);
    /* Sends a frame of a valid opcode: PUSH without a record. NULL: it has no frames. */
    int (*push)(cre__conn *conn, uint8_t first, const cre_slice *parts, int count, int policy);
    /* Responds to the oldest request: RESPOND without a record; `flags` of it. NULL: it has no requests. */
    int (*respond)(cre__conn *conn, const struct cre__response *response, uint16_t flags,
                   const cre_slice *body, int count);
    /* A command that is not the same for all protocols; its payload was checked, the parts are used up. */
    int (*command)(cre__conn *conn, const cre_record *command, cre_slice *parts, int count, int policy);
    /* The application, or a shutdown, closes the connection. Returns 0, or CRE_EGONE when it is closing. */
    int (*close)(cre__conn *conn, cre_close_reason reason, const cre__closing *closing);
    /* Whether the event may be the first for another worker. NULL: any may. */
    bool (*may_move)(const cre__conn *conn, cre_event kind);
    /* The number of the oldest request without a complete answer. NULL: it has no requests. */
    uint8_t (*oldest_request)(const cre__conn *conn);
    /* Whether a turn is due when the stream has ended though CLOSE is not. NULL: no. */
    bool (*end_matters)(const cre__conn *conn);
    /* The stream has ended: emits what is due. False: there is no memory to pass it on. */
    bool (*report_end)(cre__conn *conn);
    /* The stream is ending: drops what can no longer be sent. May be NULL. */
    void (*detach)(cre__conn *conn);
    /* Frees what the state holds. */
    void (*free)(cre__conn *conn);
} cre__protocol;

#endif
