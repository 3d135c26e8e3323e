/*
 * Heads of HTTP/1.x messages: a strict, fast parser (RFC 9110, RFC 9112).
 *
 * A parsed head consists of cre_http_head, a table of fields and the head's bytes. All three have offsets and
 * no pointers, so they may be copied to other memory or another process and used there.
 */
#ifndef CREACTOR_HTTP_HEAD_H
#define CREACTOR_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "export.h"

/** The methods that the library knows. */
typedef enum cre_http_method {
    CRE_HTTP_OTHER = 0, /* any other token; its text is in the head */
    CRE_HTTP_GET,       /* GET */
    CRE_HTTP_HEAD,      /* HEAD */
    CRE_HTTP_POST,      /* POST */
    CRE_HTTP_PUT,       /* PUT */
    CRE_HTTP_DELETE,    /* DELETE */
    CRE_HTTP_CONNECT,   /* CONNECT */
    CRE_HTTP_OPTIONS,   /* OPTIONS */
    CRE_HTTP_TRACE,     /* TRACE */
    CRE_HTTP_PATCH      /* PATCH */
} cre_http_method;

/** Bits of cre_http_head.flags. */
enum {
    CRE_HTTP_KEEP_ALIVE = 1 << 0,         /* the connection may serve another message after this one */
    CRE_HTTP_CHUNKED = 1 << 1,            /* the body has the chunked coding */
    CRE_HTTP_HAS_BODY = 1 << 2,           /* chunked, content_length > 0, or CRE_HTTP_UNTIL_CLOSE */
    CRE_HTTP_HAS_LENGTH = 1 << 3,         /* there is a Content-Length, perhaps 0 */
    CRE_HTTP_EXPECT_CONTINUE = 1 << 4,    /* the client waits for a 100 before it sends the body */
    CRE_HTTP_UPGRADE_WEBSOCKET = 1 << 5,  /* Upgrade lists "websocket" */
    CRE_HTTP_CONNECTION_UPGRADE = 1 << 6, /* Connection lists "upgrade" */
    CRE_HTTP_HAS_QUERY = 1 << 7,          /* the target has a '?' */
    CRE_HTTP_HAS_HOST = 1 << 8,           /* there is a Host field, perhaps empty */
    CRE_HTTP_UNTIL_CLOSE = 1 << 9,        /* responses: the body ends with the connection */
    /* the form of the target; none of the three: origin form ("/path?query") */
    CRE_HTTP_ABSOLUTE_FORM = 1 << 10,     /* "http://host/path?query" */
    CRE_HTTP_AUTHORITY_FORM = 1 << 11,    /* "host:port", only with CONNECT */
    CRE_HTTP_ASTERISK_FORM = 1 << 12,     /* "*", only with OPTIONS */
    CRE_HTTP_SECURE = 1 << 13,            /* received over TLS; set by an engine, not by the parser */
    CRE_HTTP_2 = 1 << 14,                 /* received with HTTP/2; set by its sessions, not by the parser */
    CRE_HTTP_CLIENT_CERTIFICATE = 1 << 15 /* a client's certificate is behind the head; set by an engine */
};

/** One field line. Offsets count from the head's first byte; the value has no white space around it. */
typedef struct cre_http_field {
    uint16_t name, name_length;   /* place and length of the name */
    uint16_t value, value_length; /* place and length of the value */
} cre_http_field;

/** A parsed head. Offsets count from the head's first byte. Parts that are absent have length 0. */
typedef struct cre_http_head {
    uint32_t head_length; /* with everything up to and including the empty line */
    uint16_t field_count;
    uint8_t method;                       /* cre_http_method; in a response that of the request */
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

/** The limits of a head. A member of 0 means its default. */
typedef struct cre_http_limits {
    uint32_t max_head;   /* bytes of the whole head: default and most 65535 */
    uint32_t max_line;   /* bytes of the first line with its CRLF: default 8192 */
    uint16_t max_fields; /* field lines: default CRE_HTTP_DEFAULT_FIELDS */
} cre_http_limits;

/** The defaults of cre_http_limits, and the longest head. */
enum { CRE_HTTP_DEFAULT_FIELDS = 100, CRE_HTTP_DEFAULT_LINE = 8192, CRE_HTTP_MAX_HEAD = 65535 };

CRE_BEGIN_DECLS

/**
 * Parses a request head at the start of `data`, which may have more bytes than the head (a body, the next
 * request).
 *
 * `already` is the number of these bytes that an earlier call has seen when it returned 0, else 0: with it a
 * head that arrives in many small pieces costs no more than a whole one. `limits` may be NULL for the
 * defaults. `fields` has limits->max_fields entries. `fields` and `head` are the caller's and undefined
 * unless the result is positive. `data` is borrowed for the call.
 *
 * Returns the head's length (also in head->head_length), 0 when more bytes are needed, or CRE_EHTTP_...: the
 * connection is then out of step, so respond with cre_http_status_of and close it. How the bytes are split
 * changes only how early an error is noticed, never the outcome. Up to 4 empty lines before the request are
 * skipped. Any thread.
 */
CRE_NODISCARD CRE_API int cre_http_parse_request(const uint8_t *data, size_t length, size_t already,
                                                 const cre_http_limits *limits, cre_http_head *head,
                                                 cre_http_field *fields);

/**
 * Parses a response head in the same way. `request_method` is the cre_http_method of the request, which
 * decides whether there is a body. A 1xx other than 101 is followed by another head. Any thread.
 */
CRE_NODISCARD CRE_API int cre_http_parse_response(const uint8_t *data, size_t length, size_t already,
                                                  const cre_http_limits *limits, int request_method,
                                                  cre_http_head *head, cre_http_field *fields);

/** The status with which a server responds to an error of the HTTP functions: 400, 413, 414, 415, 417, 426,
 * 431, 501 or 505; 500 for other errors. Any thread. */
CRE_API int cre_http_status_of(int error);

/**
 * Finds the first field of this name. Returns a pointer into `fields`, or NULL. `lowercase_name` must be in
 * lower case; names in the head match in any case. cre_http_find_next continues from the result for a
 * repeated field. Any thread.
 */
CRE_API const cre_http_field *cre_http_find(const cre_http_head *head, const cre_http_field *fields,
                                            const uint8_t *head_bytes, const char *lowercase_name,
                                            size_t name_length);

/** Finds the next field of this name after `previous` (NULL: the first). Returns a pointer into `fields`, or
 * NULL. Any thread. */
CRE_API const cre_http_field *cre_http_find_next(const cre_http_head *head, const cre_http_field *fields,
                                                 const uint8_t *head_bytes, const char *lowercase_name,
                                                 size_t name_length, const cre_http_field *previous);

/** The name of a method ("GET"), "" for CRE_HTTP_OTHER; a static string. Any thread. */
CRE_API const char *cre_http_method_name(int method);

CRE_END_DECLS

#endif
