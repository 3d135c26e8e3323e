/*
 * The WebSocket protocol (RFC 6455) after the handshake, without I/O.
 *
 *   cre_ws_session_init(&session, &config);
 *   uint8_t *cursor = received, *end = received + size;
 *   while ((result = cre_ws_session_next(&session, &cursor, end, &event)) == 1) handle(&event);
 *   if (result < 0) send(answer, cre_ws_session_fail(&session, result, NULL, answer));
 *
 * One thread at a time may use a session; different sessions are independent. No function calls back.
 */
#ifndef CREACTOR_WEBSOCKET_H
#define CREACTOR_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "export.h"
#include "websocket_frame.h"
#include "websocket_utf8.h"

CRE_BEGIN_DECLS

#define CRE_WS_DEFAULT_MAX_MESSAGE   1048576u /* 1 MiB */
#define CRE_WS_DEFAULT_MAX_FRAGMENTS 16384u   /* limits the work that tiny or empty fragments cause */

/** Where the payloads of large messages are collected, instead of memory of the allocator: those of one
 * frame, without compression. Other processes may read and change what is in it. */
typedef struct cre_ws_memory {
    /** Returns `size` bytes, or NULL: the allocator's memory is used. */
    uint8_t *(*take)(void *context, size_t size);
    /** Gives back what `take` returned. */
    void (*give)(void *context, uint8_t *memory);
    void *context;  /* of both */
    uint64_t least; /* bytes of the smallest message that is large */
} cre_ws_memory;

/** The configuration that sessions share. All zero is a valid server configuration. It is borrowed by the
 * sessions initialised with it: it must outlive them and not change meanwhile. Like a session it has no size
 * and does not grow while the shared library keeps its name. */
typedef struct cre_ws_config {
    uint64_t max_message;   /* bytes of one message, over all its fragments; 0: CRE_WS_DEFAULT_MAX_MESSAGE */
    uint32_t max_fragments; /* fragments of one message; 0: CRE_WS_DEFAULT_MAX_FRAGMENTS */
    bool client;            /* this side is the client: frames received are unmasked */
    bool skip_utf8;         /* do not validate received text */
    bool fragments;         /* deliver each fragment instead of merging them to messages */
    const cre_ws_memory *memory; /* NULL, or with `take` NULL: the allocator's */
} cre_ws_config;

/** A received message, fragment or control frame. */
typedef struct cre_ws_event {
    uint8_t opcode; /* cre_ws_opcode; CRE_WS_CONTINUATION only when the configuration asks for fragments */
    bool final;     /* false only for a fragment that is not the last */
    uint16_t close_code; /* with CRE_WS_CLOSE: the code received, 1005 when there was none */
    uint8_t *data;       /* unmasked payload, may be written to; with CRE_WS_CLOSE the reason */
    size_t length;       /* `data` is valid until the next call on the session, or until the caller reuses the
                          * buffer passed to cre_ws_session_next */
} cre_ws_event;

struct cre_ws_deflate;
struct cre__ws_message;

/** The state of one connection. Between messages it holds no memory. Fields are private. */
typedef struct cre_ws_session {
    const cre_ws_config *config;
    struct cre_ws_deflate *deflate;  /* NULL: permessage-deflate was not negotiated */
    struct cre__ws_message *message; /* NULL, or the buffered part of an incomplete message or frame */
    union {
        uint8_t header[CRE_WS_MAX_HEADER]; /* of an incomplete header */
        struct {
            uint64_t remaining; /* bytes of the current payload not received yet */
            uint32_t key;       /* rotated to the next byte */
        } frame;
    } part;
    uint8_t state;
    uint8_t first;       /* first byte of the current frame */
    uint8_t header_size; /* bytes in part.header */
    uint8_t opcode;      /* of the current message */
    uint8_t closing;     /* close frames sent and received, and which was first */
    uint16_t close_code; /* of the first one */
} cre_ws_session;

/** Initialises a session. `config` is borrowed. Allocates nothing. */
CRE_API void cre_ws_session_init(cre_ws_session *session, const cre_ws_config *config);

/** Frees the session's memory; the data of the last event becomes invalid. The session may be initialised
 * again. */
CRE_API void cre_ws_session_deinit(cre_ws_session *session);

/**
 * Parses from *cursor up to `end` and moves *cursor past the bytes it used. The buffer is borrowed for the
 * call and, when an event points into it, as long as the caller uses that event. It is written to: payloads
 * are unmasked in place. Returns
 *
 *   1   *event is filled; call again, even when *cursor has reached `end`
 *   0   all input was used; more is needed
 *  <0   CRE_EWS_* or CRE_ENOMEM: fail the connection, see cre_ws_session_fail
 *
 * After CRE_WS_CLOSE and after an error further input is ignored and the result is 0.
 */
CRE_NODISCARD CRE_API int cre_ws_session_next(cre_ws_session *session, uint8_t **cursor, uint8_t *end,
                                              cre_ws_event *event);

/**
 * Returns a buffer for the next bytes of a large payload, which saves copying them: its size, at most what is
 * left of the frame, with *destination set. The buffer is valid until the next call of another function on
 * the session; call this again before each read. 0: receive into a buffer of the caller and call
 * cre_ws_session_next, which is always allowed.
 */
CRE_NODISCARD CRE_API size_t cre_ws_session_destination(cre_ws_session *session, uint8_t **destination);

/** Parses `size` bytes received into the destination, at most its size. Returns CRE_ESTATE when there is no
 * destination, else the results of cre_ws_session_next. After an event call cre_ws_session_next,
 * with an empty range if there is no input, which frees the message's memory. */
CRE_NODISCARD CRE_API int cre_ws_session_received(cre_ws_session *session, size_t size, cre_ws_event *event);

/* ---- sending ---- */

/** The order of the frames that one side sends, in four bytes. All zero: no frame was sent. A copy taken
 * before a check can be put back to undo it when the frame is not sent. Fields are private. */
typedef struct cre_ws_send_state {
    cre_utf8 utf8;   /* of the current text */
    uint8_t message; /* opcode of the current message; CRE_WS_CLOSE after a close frame */
} cre_ws_send_state;

/**
 * Checks a frame before it is compressed, masked and sent. `first` is the opcode with CRE_WS_FIN; `data` is
 * the payload, borrowed for the call, and may be NULL when `length` is 0. Returns 0 and records the frame in
 * *state, or returns an error and changes nothing; the frame must then not be sent. One thread at a time for
 * each state.
 *
 *   CRE_EWS_CONTINUATION      a continuation without a message to continue
 *   CRE_EWS_INTERLEAVED       a new message before the last fragment of the previous one
 *   CRE_EWS_UTF8              invalid text, or text whose last fragment ends within a code point
 *   CRE_EWS_CONTROL_SIZE, CRE_EWS_CONTROL_FRAGMENT, CRE_EWS_OPCODE, CRE_EWS_RSV
 *   CRE_EWS_CLOSE_SIZE, CRE_EWS_CLOSE_CODE, CRE_EWS_CLOSE_REASON
 *   CRE_ESTATE                a close frame was sent before
 */
CRE_NODISCARD
CRE_API int cre_ws_send_check(cre_ws_send_state *state, uint8_t first, const void *data, size_t length);

/* ---- answers of the protocol, and the closing handshake ---- */

/** Bytes of the longest answer of the protocol: a close or pong frame. */
#define CRE_WS_MAX_ANSWER (CRE_WS_MAX_HEADER + CRE_WS_MAX_CONTROL)

/** How far the closing handshake is. */
typedef enum cre_ws_closing {
    CRE_WS_OPEN,           /* no close frame in either direction */
    CRE_WS_CLOSE_SENT,     /* sent by this side: nothing more may be sent; input continues up to the peer's */
    CRE_WS_CLOSE_RECEIVED, /* sent by the peer: cre_ws_session_answer or cre_ws_session_close must follow */
    CRE_WS_CLOSED,         /* sent by both */
    CRE_WS_FAILED          /* cre_ws_session_fail was called: the connection is closed without an answer */
} cre_ws_closing;

/**
 * Writes the frame that the protocol requires as an answer to an event and returns its size: a pong to a
 * ping, a close frame with the same code to a close frame that is not itself an answer. 0: nothing is to be
 * sent. `mask` is the key for a client's frame, NULL for a server's. An event may be answered once.
 */
CRE_NODISCARD CRE_API size_t cre_ws_session_answer(cre_ws_session *session, const cre_ws_event *event,
                                                   const uint8_t *mask, uint8_t out[CRE_WS_MAX_ANSWER]);

/**
 * Starts the closing handshake, or answers the peer's close frame with a code and reason of the caller:
 * writes a close frame as cre_ws_close_payload does and returns its size; 0 when one was sent before.
 * Afterwards nothing else may be sent. Input continues up to the peer's close frame; messages before it may
 * be dropped.
 */
CRE_NODISCARD CRE_API size_t cre_ws_session_close(cre_ws_session *session, uint16_t code, const char *reason,
                                                  size_t reason_length, const uint8_t *mask,
                                                  uint8_t out[CRE_WS_MAX_ANSWER]);

/**
 * Fails the connection after an error of cre_ws_session_next or of the caller: writes a close frame with
 * cre_ws_close_code and cre_error_message of the error and returns its size; 0 when a close frame was sent
 * before. Further input is ignored; the caller closes the connection when the frame is sent.
 */
CRE_NODISCARD CRE_API size_t cre_ws_session_fail(cre_ws_session *session, int error, const uint8_t *mask,
                                                 uint8_t out[CRE_WS_MAX_ANSWER]);

/** The state of the closing handshake. */
CRE_API cre_ws_closing cre_ws_session_closing(const cre_ws_session *session);

/** Whether frames may be sent: this side has sent no close frame. */
CRE_API bool cre_ws_session_may_send(const cre_ws_session *session);

/** Whether the closing handshake is complete or the connection failed. The server then closes the connection
 * as soon as its output is sent; a client waits for that, for a limited time. */
CRE_API bool cre_ws_session_closed(const cre_ws_session *session);

/**
 * The code to report when the connection ends: that of the first close frame, of either side (1005: it had
 * none); cre_ws_close_code of the error after cre_ws_session_fail; 1006 without a close frame. The reason
 * that belongs to it is the one passed to cre_ws_session_close, or the payload of the peer's CRE_WS_CLOSE
 * event.
 */
CRE_API uint16_t cre_ws_session_close_code(const cre_ws_session *session);

/** Whether the peer closed the connection: its close frame was the first, and the connection did not fail. */
CRE_API bool cre_ws_session_closed_by_peer(const cre_ws_session *session);

/** Whether a message or frame is incomplete, so that the end of the input would lose data. */
CRE_API bool cre_ws_session_busy(const cre_ws_session *session);

/** The bytes of memory that the session has for a message or frame. */
CRE_API size_t cre_ws_session_buffered(const cre_ws_session *session);

/** The close code for an error: 1002, 1007 or 1009 for CRE_EWS_..., 1011 for errors that are not the peer's
 * fault. Any thread. */
CRE_API uint16_t cre_ws_close_code(int error);

CRE_END_DECLS

#endif
