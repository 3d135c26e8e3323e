/* Heads of responses and requests, written with checks against injection. */
#ifndef CREACTOR_HTTP_WRITE_H
#define CREACTOR_HTTP_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"

/** A field to send; the bytes stay the caller's and are only read during the call. */
typedef struct cre_http_header {
    const char *name;
    const char *value;
    uint32_t name_length;
    uint32_t value_length;
} cre_http_header;

/**
 * A response head to write. What frames the message is written from the members below, so Content-Length,
 * Transfer-Encoding and Connection among `fields` are left out (a Connection with other options than close
 * and keep-alive is for the 101, see handshake.h). A Date or Server among `fields` replaces the one given
 * here.
 */
typedef struct cre_http_response {
    uint16_t status; /* 100..999 */
    uint8_t minor;   /* HTTP version of the request: decides how keep-alive is spelt */
    bool keep_alive; /* false: "Connection: close" */
    bool chunked;    /* "Transfer-Encoding: chunked" instead of a length */
    bool has_length; /* write content_length (never with 1xx and 204) */
    uint64_t content_length;
    const char *reason; /* NULL: the usual phrase */
    const char *date;   /* 29 characters from cre_http_date, or NULL */
    const char *server; /* NULL: no Server field */
    const cre_http_header *fields;
    size_t field_count;
} cre_http_response;

/** A request head to write (the client role). Framing as above. */
typedef struct cre_http_request {
    const char *method; /* a token */
    const char *target; /* visible ASCII without spaces */
    const char *host;   /* host[:port] */
    bool close;         /* "Connection: close" */
    bool chunked;
    bool has_length;
    uint64_t content_length;
    const cre_http_header *fields; /* a Host among them is left out */
    size_t field_count;
} cre_http_request;

CRE_BEGIN_DECLS

/**
 * Writes the response head, empty line included, to `out`. Returns the bytes written; CRE_ELIMIT when they do
 * not fit in `capacity`; CRE_EHTTP_INVALID_FIELD when a name is not a token or a value (or the reason) holds
 * a control character other than a tab, or has white space at its ends; CRE_EINVALID for a status out of
 * range or both `chunked` and `has_length`. What `out` holds after an error is undefined.
 */
CRE_API int cre_http_write_response(char *out, size_t capacity, const cre_http_response *response);

/** The same for a request head; CRE_EHTTP_INVALID_FIELD also for a bad method, target or host. */
CRE_API int cre_http_write_request(char *out, size_t capacity, const cre_http_request *request);

/** True when the pair may be sent: what the two functions above check. */
CRE_API bool cre_http_header_valid(const cre_http_header *field);

/** The usual phrase of a status ("Not Found"), "Unknown" for others; a static string. */
CRE_API const char *cre_http_reason(int status);

CRE_END_DECLS

#endif
