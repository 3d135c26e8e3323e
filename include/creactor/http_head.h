/*
 * Heads of HTTP/1.x messages: a strict, fast parser (RFC 9110, RFC 9112).
 *
 * A parsed head is the struct below, a field table and the head's own bytes. All three hold offsets and no
 * pointers, so together they may be copied to other memory or another process and used there.
 */
#ifndef CREACTOR_HTTP_HEAD_H
#define CREACTOR_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "export.h"

typedef enum cre_http_method {
    CRE_HTTP_OTHER = 0, /* any other token; its text is in the head */
    CRE_HTTP_GET,
    CRE_HTTP_HEAD,
    CRE_HTTP_POST,
    CRE_HTTP_PUT,
    CRE_HTTP_DELETE,
    CRE_HTTP_CONNECT,
    CRE_HTTP_OPTIONS,
    CRE_HTTP_TRACE,
    CRE_HTTP_PATCH
} cre_http_method;

/** Bits of cre_http_head.flags. */
enum {
    CRE_HTTP_KEEP_ALIVE = 1 << 0,         /* the connection may serve another message after this one */
    CRE_HTTP_CHUNKED = 1 << 1,            /* the body comes in chunks */
    CRE_HTTP_HAS_BODY = 1 << 2,           /* chunked, content_length > 0, or CRE_HTTP_UNTIL_CLOSE */
    CRE_HTTP_HAS_LENGTH = 1 << 3,         /* there was a Content-Length (perhaps 0) */
    CRE_HTTP_EXPECT_CONTINUE = 1 << 4,    /* send 100 before waiting for the body (set only with a body) */
    CRE_HTTP_UPGRADE_WEBSOCKET = 1 << 5,  /* Upgrade lists "websocket" */
    CRE_HTTP_CONNECTION_UPGRADE = 1 << 6, /* Connection lists "upgrade" */
    CRE_HTTP_HAS_QUERY = 1 << 7,          /* the target has a '?' */
    CRE_HTTP_HAS_HOST = 1 << 8,           /* there was a Host field (perhaps empty) */
    CRE_HTTP_UNTIL_CLOSE = 1 << 9,        /* responses: the body ends where the connection does */
    /* the form of the target; none of the three: origin form ("/path?query") */
    CRE_HTTP_ABSOLUTE_FORM = 1 << 10,  /* "http://host/path?query" */
    CRE_HTTP_AUTHORITY_FORM = 1 << 11, /* "host:port", only with CONNECT */
    CRE_HTTP_ASTERISK_FORM = 1 << 12,  /* "*", only with OPTIONS */
    CRE_HTTP_SECURE = 1 << 13          /* it came over TLS: set by an engine, not by the parser */
};

/** One field line. Offsets count from the head's first byte; the value has no white space around it. */
typedef struct cre_http_field {
    uint16_t name, name_length;
    uint16_t value, value_length;
} cre_http_field;

/** A parsed head. Offsets count from the head's first byte. Parts that are absent have length 0. */
typedef struct cre_http_head {
    uint32_t head_length; /* with everything up to and including the empty line */
    uint16_t field_count;
    uint8_t method;                       /* cre_http_method; in a response the one it answers */
    uint8_t minor;                        /* HTTP/1.minor: 0 or 1 */
    uint16_t method_start, method_length; /* method_start is 0 unless empty lines preceded the request */
    uint16_t target, target_length;       /* as sent; in a response the reason phrase */
    uint16_t path, path_length;           /* empty in authority form, "*" in asterisk form */
    uint16_t query, query_length;         /* without the '?' */
    uint16_t host, host_length;           /* host[:port]: from the target when it has one, else from Host */
    uint16_t flags;                       /* CRE_HTTP_... bits */
    uint16_t status;                      /* responses: 100..999; requests: 0 */
    uint64_t content_length;              /* 0 without CRE_HTTP_HAS_LENGTH */
} cre_http_head;

/** What a head may be at most. A member of 0 means its default. */
typedef struct cre_http_limits {
    uint32_t max_head;   /* bytes of the whole head: default and most 65535 */
    uint32_t max_line;   /* bytes of the first line with its CRLF: default 8192 */
    uint16_t max_fields; /* field lines: default CRE_HTTP_DEFAULT_FIELDS */
} cre_http_limits;

enum { CRE_HTTP_DEFAULT_FIELDS = 100, CRE_HTTP_DEFAULT_LINE = 8192, CRE_HTTP_MAX_HEAD = 65535 };

CRE_BEGIN_DECLS

/**
 * Parses a request head at the start of `data`, which may hold more than the head (body, next request).
 *
 * `already` is how many of these bytes were there in an earlier call that returned 0, else 0: it lets a head
 * that arrives in many small pieces cost no more than one that arrives whole. `limits` may be NULL for the
 * defaults. `fields` has room for limits->max_fields entries; it and `head` are the caller's and hold nothing
 * useful unless the result is positive. `data` is only read, and not kept.
 *
 * Returns the head's length (also in head->head_length), 0 when more bytes are needed, or CRE_EHTTP_...: the
 * connection is then out of step, so answer with cre_http_status_of and close. How the bytes were split never
 * changes the outcome, only how early an error is noticed. At most 4 empty lines before the request are
 * skipped.
 */
CRE_API int cre_http_parse_request(const uint8_t *data, size_t length, size_t already,
                                   const cre_http_limits *limits, cre_http_head *head,
                                   cre_http_field *fields);

/**
 * The same for a response head. `request_method` is the cre_http_method that is answered: it decides whether
 * there is a body. A 1xx other than 101 is followed by another head.
 */
CRE_API int cre_http_parse_response(const uint8_t *data, size_t length, size_t already,
                                    const cre_http_limits *limits, int request_method, cre_http_head *head,
                                    cre_http_field *fields);

/** The status a server answers an error of this library's HTTP functions with: 400, 413, 414, 417, 426, 431,
 * 501 or 505; 500 for other errors. */
CRE_API int cre_http_status_of(int error);

/**
 * The first field of this name, NULL when there is none; points into `fields`. `lowercase_name` must be in
 * lower case; names in the head match in any case. For a repeated field go on from the result with
 * cre_http_find_next.
 */
CRE_API const cre_http_field *cre_http_find(const cre_http_head *head, const cre_http_field *fields,
                                            const uint8_t *head_bytes, const char *lowercase_name,
                                            size_t name_length);

/** The next field of this name after `previous` (NULL: the first), NULL when there is no other. */
CRE_API const cre_http_field *cre_http_find_next(const cre_http_head *head, const cre_http_field *fields,
                                                 const uint8_t *head_bytes, const char *lowercase_name,
                                                 size_t name_length, const cre_http_field *previous);

/** The method's name ("GET"), "" for CRE_HTTP_OTHER; a static string. */
CRE_API const char *cre_http_method_name(int method);

CRE_END_DECLS

#endif
