/* The opening handshake of WebSocket (RFC 6455 section 4), server and client side. */
#ifndef CREACTOR_HANDSHAKE_H
#define CREACTOR_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "export.h"
#include "http_head.h"
#include "http_write.h"

/** Characters of a key, and of the answer to it. */
enum { CRE_WS_KEY_LENGTH = 24, CRE_WS_ACCEPT_LENGTH = 28 };

/** The contents of a valid handshake request. Offsets count from the head's first byte. */
typedef struct cre_ws_handshake {
    uint8_t key[CRE_WS_KEY_LENGTH]; /* as sent */
    bool has_protocols;             /* the client offers subprotocols */
    bool has_extensions;            /* the client offers extensions */
    bool has_origin;                /* most likely a browser */
    uint16_t origin, origin_length; /* the value of Origin, if has_origin */
} cre_ws_handshake;

CRE_BEGIN_DECLS

/**
 * Checks what RFC 6455 section 4.2.1 requires of a handshake request: GET, HTTP/1.1, a Host, Upgrade with
 * "websocket", Connection with "upgrade", a key that is base64 of 16 bytes, version 13, no body, and
 * well-formed subprotocols and extensions. Unknown extensions are valid: a server ignores them.
 *
 * Of a head with CRE_HTTP_2, made of an extended CONNECT (RFC 8441), the version of HTTP, Connection and the
 * key are not checked, and the key in *out is zero.
 *
 * Returns 0 and fills *out, which is the caller's, or returns CRE_EHTTP_HANDSHAKE_..., for which
 * cre_http_status_of gives 400 or 426; a response of 426 should carry cre_ws_version_field. Any thread.
 */
CRE_NODISCARD CRE_API int cre_ws_request_check(const cre_http_head *head, const cre_http_field *fields,
                                               const uint8_t *head_bytes, cre_ws_handshake *out);

/** Computes Sec-WebSocket-Accept for a key and writes 28 characters, without a terminator. Any thread. */
CRE_API void cre_ws_accept(const uint8_t key[CRE_WS_KEY_LENGTH], char out[CRE_WS_ACCEPT_LENGTH]);

/**
 * Writes the response 101 to `out`. `accept` is from cre_ws_accept; `subprotocol` and `extensions` are
 * terminated strings or NULL; `fields` are further fields, checked as in cre_http_write_response. Fields of
 * the handshake itself among them are skipped. Returns the bytes written, CRE_ELIMIT or
 * CRE_EHTTP_INVALID_FIELD. Any thread.
 */
CRE_NODISCARD CRE_API int cre_ws_write_response(char *out, size_t capacity,
                                                const char accept[CRE_WS_ACCEPT_LENGTH],
                                                const char *subprotocol, const char *extensions,
                                                const cre_http_header *fields, size_t field_count);

/**
 * Lists the fields of the response 200 with which a server of HTTP/2 accepts a handshake. The arguments are
 * those of cre_ws_write_response. Writes to `out`, which has `capacity` elements and then borrows the
 * strings. Returns their number, CRE_ELIMIT or CRE_EHTTP_INVALID_FIELD. Any thread.
 */
CRE_NODISCARD CRE_API int cre_ws_response_fields(cre_http_header *out, size_t capacity,
                                                 const char *subprotocol, const char *extensions,
                                                 const cre_http_header *fields, size_t field_count);

/** "Sec-WebSocket-Version: 13", a static field for a response of 426. Any thread. */
CRE_API const cre_http_header *cre_ws_version_field(void);

/** "Upgrade: websocket", a static field that a response of 426 must have. Any thread. */
CRE_API const cre_http_header *cre_ws_upgrade_field(void);

/** Chooses a subprotocol. Returns the index of the first of `supported` (terminated strings, in the server's
 * order of preference) that the client offers, or -1. Names are compared exactly. Any thread. */
CRE_NODISCARD CRE_API int cre_ws_choose_subprotocol(const cre_http_head *head, const cre_http_field *fields,
                                                    const uint8_t *head_bytes, const char *const *supported,
                                                    size_t count);

/**
 * Whether `origin` ("https://example.com:8443") is one of `allowed`. An entry is an origin, "*" for all
 * origins, or an origin whose host starts with "*." for all subdomains (not the host itself). Letter case
 * does not matter; either side may include a default port (80, 443). Any thread.
 */
CRE_NODISCARD CRE_API bool cre_ws_origin_allowed(const char *origin, size_t origin_length,
                                                 const char *const *allowed, size_t count);

/* ---- the client side ---- */

/** Encodes 16 random bytes as Sec-WebSocket-Key and writes 24 characters, without a terminator. Any thread.
 */
CRE_API void cre_ws_key(const uint8_t random[16], char out[CRE_WS_KEY_LENGTH]);

/** A handshake request. Strings are terminated and borrowed. */
typedef struct cre_ws_request {
    const char *host;              /* host[:port] */
    const char *target;            /* "/chat?room=1" */
    const char *key;               /* 24 characters from cre_ws_key */
    const char *subprotocols;      /* "chat, superchat" or NULL */
    const char *extensions;        /* "permessage-deflate" or NULL */
    const char *origin;            /* or NULL */
    const cre_http_header *fields; /* further fields */
    size_t field_count;
} cre_ws_request;

/** Writes the request to `out`. Returns the bytes written, CRE_ELIMIT or CRE_EHTTP_INVALID_FIELD. Any thread.
 */
CRE_NODISCARD CRE_API int cre_ws_write_request(char *out, size_t capacity, const cre_ws_request *request);

/** The fields of a request over HTTP/2 (RFC 8441), in which `host`, `target` and `key` are not read: the
 * version, then those of the request, without fields that belong to the handshake. Copies them to `out` and
 * returns their number, CRE_ELIMIT for more than `capacity`, or CRE_EHTTP_INVALID_FIELD. Any thread. */
CRE_NODISCARD CRE_API int cre_ws_request_fields(cre_http_header *out, size_t capacity,
                                                const cre_ws_request *request);

/**
 * Checks a response head against the key and the offer of the request (RFC 6455 section 4.1, end): 101,
 * Upgrade, Connection and the accept value, or of HTTP/2 a status of 2xx; a subprotocol that was offered (or
 * none), well-formed extensions (none when `offered_extensions` is NULL). Whether the extensions match the
 * offer is for the code that negotiates them to check, such as cre_ws_deflate_agree. *subprotocol is set to
 * the chosen field or NULL; `subprotocol` itself may be NULL. Returns 0 or CRE_EHTTP_HANDSHAKE_... Any
 * thread.
 */
CRE_NODISCARD CRE_API int cre_ws_response_check(const cre_http_head *head, const cre_http_field *fields,
                                                const uint8_t *head_bytes, const char key[CRE_WS_KEY_LENGTH],
                                                const char *offered_subprotocols,
                                                const char *offered_extensions,
                                                const cre_http_field **subprotocol);

CRE_END_DECLS

#endif
