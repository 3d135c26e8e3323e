/*
 * permessage-deflate (RFC 7692): compressed WebSocket messages.
 *
 * There is one pool for each loop thread and one cre_ws_deflate for each connection that negotiated the
 * extension. Without context takeover a connection uses the compressor and decompressor of its pool for each
 * message and holds no memory; with it, the connection allocates its own with the first compressed message
 * and keeps them.
 *
 * In a build with ISA-L the shared compressor and decompressor use it where that pays: messages at the
 * default level, and compressed ones from 1 KiB on. Their output is a few per cent larger than zlib's at
 * level 6.
 *
 * In a build without zlib cre_ws_deflate_pool_create returns CRE_EUNSUPPORTED and the extension must not be
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
#define CRE_WS_DEFLATE_MAX_EXTENSION     160 /* bytes that cre_ws_deflate_accept and _offer write */

/** The preferences of this side. Only `size` is required: zeros stand for full windows, and context takeover
 * if the peer allows it. */
typedef struct cre_ws_deflate_config {
    size_t size;                     /* sizeof(cre_ws_deflate_config) */
    bool server_no_context_takeover; /* the server starts each message with an empty window: less memory there
                                      */
    bool client_no_context_takeover; /* likewise the client */
    uint8_t server_window_bits;      /* most for the server's window, 8 to 15; 0: 15 */
    uint8_t client_window_bits;      /* most for the client's; a client may be unable to limit it */
    uint8_t level;        /* 1 fast to 9 small; 0: 6, or ISA-L where it is built in and can be used */
    uint8_t memory_level; /* 1 to 9; 0: zlib's default, 8 */
    size_t threshold;     /* messages below it are not compressed; 0: the default above */
} cre_ws_deflate_config;

/** The parameters that both sides agreed on. */
typedef struct cre_ws_deflate_parameters {
    bool server_no_context_takeover; /* the server compresses each message by itself */
    bool client_no_context_takeover; /* the client compresses each message by itself */
    uint8_t server_window_bits;      /* 8 to 15 */
    uint8_t client_window_bits;      /* the client's window: 8..15 */
} cre_ws_deflate_parameters;

/* ---- negotiation ---- */

/**
 * Server: finds the first acceptable offer in the value of Sec-WebSocket-Extensions (several field lines
 * joined by commas). Returns the length of the extension to answer, written to `out` without a terminator,
 * and fills *agreed; 0 when there is none, or the size of `config` is invalid, and the answer must have no
 * such field. Everything is borrowed for the call. Any thread.
 */
CRE_NODISCARD CRE_API size_t cre_ws_deflate_accept(const cre_ws_deflate_config *config, const char *offers,
                                                   size_t length, cre_ws_deflate_parameters *agreed,
                                                   char out[CRE_WS_DEFLATE_MAX_EXTENSION]);

/** Client: writes the extension to offer, without a terminator, and returns its length; 0 when the size of
 * `config` is invalid. Any thread. */
CRE_NODISCARD CRE_API size_t cre_ws_deflate_offer(const cre_ws_deflate_config *config,
                                                  char out[CRE_WS_DEFLATE_MAX_EXTENSION]);

/** Client: reads the server's answer to the offer. Returns 1 and fills *agreed, 0 when the server declined,
 * CRE_EWS_EXTENSION for an answer that does not match the offer: fail the connection, or CRE_ECONFIG_SIZE.
 * Any thread. */
CRE_NODISCARD CRE_API int cre_ws_deflate_agree(const cre_ws_deflate_config *config, const char *answer,
                                               size_t length, cre_ws_deflate_parameters *agreed);

/* ---- pools ---- */

/** The compressor, decompressor and output buffer that connections share. One thread at a time. */
typedef struct cre_ws_deflate_pool cre_ws_deflate_pool;

/** Creates a pool; `config` is copied. Returns 0 and *pool, which the caller destroys, or CRE_ECONFIG_SIZE,
 * CRE_EINVALID (a level or window out of range), CRE_ENOMEM, or CRE_EUNSUPPORTED in a build without zlib. Any
 * thread. */
CRE_NODISCARD CRE_API int cre_ws_deflate_pool_create(const cre_ws_deflate_config *config,
                                                     cre_ws_deflate_pool **pool);

/** Destroys a pool after all connections that use it are deinitialised. NULL is ignored. */
CRE_API void cre_ws_deflate_pool_destroy(cre_ws_deflate_pool *pool);

/* ---- connections ---- */

/** The state of the extension on one connection. Fields are private. */
typedef struct cre_ws_deflate {
    cre_ws_deflate_pool *pool;
    void *inflater, *deflater; /* its own, with context takeover and after the first compressed message */
    uint8_t read_bits, write_bits;
    bool read_takeover, write_takeover;
    bool outdated; /* the peer's window has bytes that the deflater's lacks */
} cre_ws_deflate;

/** Initialises the extension on a connection; `client` is the role of this side. `pool` is borrowed and must
 * outlive it. Allocates nothing. */
CRE_API void cre_ws_deflate_init(cre_ws_deflate *deflate, cre_ws_deflate_pool *pool,
                                 const cre_ws_deflate_parameters *agreed, bool client);

/** Frees the memory of the connection. */
CRE_API void cre_ws_deflate_deinit(cre_ws_deflate *deflate);

/** Makes a session accept compressed messages. It must be called before the session's first input. `deflate`
 * is borrowed until cre_ws_session_deinit. Compressed messages are always merged, even when the configuration
 * asks for fragments. */
CRE_API void cre_ws_session_set_deflate(cre_ws_session *session, cre_ws_deflate *deflate);

/**
 * Compresses a whole text or binary message, to be sent in one or several frames with CRE_WS_RSV1 on the
 * first.
 *
 * Returns 1 and sets *out to the payload, which belongs to the pool and is valid until the pool's next use;
 * the CRE_WS_MAX_HEADER bytes before it may be written to. With context takeover messages must be sent in the
 * order of their compression. Returns 0 when the message is too short or does not shrink: send it
 * uncompressed. Returns CRE_ENOMEM; the connection may continue with uncompressed messages.
 */
CRE_NODISCARD CRE_API int cre_ws_deflate_message(cre_ws_deflate *deflate, const uint8_t *data, size_t length,
                                                 uint8_t **out, size_t *out_length);

/**
 * Records that a message compressed elsewhere, without context takeover and for a window that is no larger,
 * is sent on this connection. The peer understands it in any case, but its window then has bytes that this
 * compressor has never seen, so the next message refers to nothing before it.
 */
CRE_API void cre_ws_deflate_skip(cre_ws_deflate *deflate);

CRE_END_DECLS

#endif
