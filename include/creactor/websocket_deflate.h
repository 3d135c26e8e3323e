/*
 * permessage-deflate (RFC 7692): compressed WebSocket messages.
 *
 * One pool for each loop thread, one cre_ws_deflate for each connection that negotiated the extension.
 * Without context takeover a connection uses the compressor and decompressor of its pool, message by message,
 * and holds no memory of its own; with it, it takes its own with the first compressed message and keeps them.
 *
 * In a build without zlib cre_ws_deflate_pool_create returns CRE_EUNSUPPORTED; then nothing is to be
 * negotiated.
 */
#ifndef CREACTOR_WEBSOCKET_DEFLATE_H
#define CREACTOR_WEBSOCKET_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "websocket.h"

CRE_BEGIN_DECLS

#define CRE_WS_DEFLATE_DEFAULT_THRESHOLD 64  /* shorter messages hardly shrink */
#define CRE_WS_DEFLATE_MAX_EXTENSION     160 /* bytes of what cre_ws_deflate_accept and _offer write */

/** What this side wants. All zero is a valid configuration: full windows, context takeover if the peer
 * allows. */
typedef struct cre_ws_deflate_config {
    bool server_no_context_takeover; /* the server starts each message with an empty window: less memory there
                                      */
    bool client_no_context_takeover; /* likewise the client */
    uint8_t server_window_bits;      /* most for the server's window, 8 to 15; 0: 15 */
    uint8_t client_window_bits;      /* most for the client's; a client may be unable to limit it */
    uint8_t level;                   /* 1 fast to 9 small; 0: zlib's default, 6 */
    uint8_t memory_level;            /* 1 to 9; 0: zlib's default, 8 */
    size_t threshold;                /* messages below it are not compressed; 0: the default above */
} cre_ws_deflate_config;

/** What both sides agreed on. */
typedef struct cre_ws_deflate_parameters {
    bool server_no_context_takeover;
    bool client_no_context_takeover;
    uint8_t server_window_bits; /* 8 to 15 */
    uint8_t client_window_bits;
} cre_ws_deflate_parameters;

/* ---- negotiation ---- */

/**
 * Server: looks for the first acceptable offer in the value of Sec-WebSocket-Extensions (several header lines
 * joined by commas). Returns the length of the extension to answer with, written to `out` without a
 * terminator, and fills *agreed; 0 when there is none: answer without the header. Everything is borrowed for
 * the call. Any thread.
 */
CRE_API size_t cre_ws_deflate_accept(const cre_ws_deflate_config *config, const char *offers, size_t length,
                                     cre_ws_deflate_parameters *agreed,
                                     char out[CRE_WS_DEFLATE_MAX_EXTENSION]);

/** Client: writes the extension to offer, without a terminator, and returns its length. */
CRE_API size_t cre_ws_deflate_offer(const cre_ws_deflate_config *config,
                                    char out[CRE_WS_DEFLATE_MAX_EXTENSION]);

/** Client: reads the server's answer to that offer. 1: agreed, *agreed is filled; 0: the server did without;
 * CRE_EWS_EXTENSION: the answer is not one to the offer, fail the connection. */
CRE_API int cre_ws_deflate_agree(const cre_ws_deflate_config *config, const char *answer, size_t length,
                                 cre_ws_deflate_parameters *agreed);

/* ---- pools ---- */

/** The compressor, decompressor and output buffer that connections share. Belongs to one thread at a time. */
typedef struct cre_ws_deflate_pool cre_ws_deflate_pool;

/** Makes a pool; `config` is copied. 0 and *pool, CRE_ENOMEM, CRE_EINVALID (a level or window out of range)
 * or CRE_EUNSUPPORTED. */
CRE_API int cre_ws_deflate_pool_create(const cre_ws_deflate_config *config, cre_ws_deflate_pool **pool);

/** After each connection that uses the pool was cleared. NULL is allowed. */
CRE_API void cre_ws_deflate_pool_destroy(cre_ws_deflate_pool *pool);

/* ---- connections ---- */

/** The extension's state of one connection. Fields are private. */
typedef struct cre_ws_deflate {
    cre_ws_deflate_pool *pool;
    void *inflater, *deflater; /* its own, with context takeover and after the first compressed message */
    uint8_t read_bits, write_bits;
    bool read_takeover, write_takeover;
    bool outdated; /* the peer's window has bytes that the deflater's has not */
} cre_ws_deflate;

/** Starts the extension on a connection; `client` is the role of this side. `pool` is borrowed and must
 * outlive it. Takes no memory. */
CRE_API void cre_ws_deflate_init(cre_ws_deflate *deflate, cre_ws_deflate_pool *pool,
                                 const cre_ws_deflate_parameters *agreed, bool client);

/** Frees what the connection holds. */
CRE_API void cre_ws_deflate_deinit(cre_ws_deflate *deflate);

/** Lets a session receive compressed messages; before its first input. `deflate` is borrowed until the
 * session is cleared. Compressed messages are always merged, also when the configuration asks for fragments.
 */
CRE_API void cre_ws_session_set_deflate(cre_ws_session *session, cre_ws_deflate *deflate);

/**
 * Compresses a whole text or binary message, to be sent in one frame (or several) with CRE_WS_RSV1 on the
 * first.
 *
 *   1   *out has the payload; it belongs to the pool and is valid until the pool's next use, and the
 *       CRE_WS_MAX_HEADER bytes before it may be written to. With context takeover it must be sent, in this
 * order. 0   send the message as it is: too short, or it does not shrink <0   CRE_ENOMEM; the connection can
 * go on with uncompressed messages
 */
CRE_API int cre_ws_deflate_message(cre_ws_deflate *deflate, const uint8_t *data, size_t length, uint8_t **out,
                                   size_t *out_length);

/**
 * A message that was compressed elsewhere, without context takeover and for a window that is no larger, is
 * sent on this connection. Its receiver understands it whatever came before; but from then on its window
 * holds bytes that this compressor has never seen, so the next message refers to nothing before it.
 */
CRE_API void cre_ws_deflate_skip(cre_ws_deflate *deflate);

CRE_END_DECLS

#endif
