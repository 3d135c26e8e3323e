/* Writing the heads of responses and requests, with checks against injection. */
#ifndef CREACTOR_HTTP_WRITE_H
#define CREACTOR_HTTP_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"

/** A field to send. The bytes are borrowed for the call. */
typedef struct cre_http_header {
    const char *name;  /* a token */
    const char *value; /* without control characters */
    uint32_t name_length;
    uint32_t value_length;
} cre_http_header;

/**
 * A response head to write. The fields that frame the message are written from the members below, so
 * Content-Length, Transfer-Encoding and Connection among `fields` are skipped (a Connection with other
 * options than close and keep-alive belongs to the 101, see handshake.h). A Date or Server among `fields`
 * replaces the one given here.
 */
typedef struct cre_http_response {
    uint16_t status;               /* 100..999 */
    uint8_t minor;                 /* of the request's HTTP/1.minor: decides how keep-alive is written */
    bool keep_alive;               /* false: "Connection: close" */
    bool chunked;                  /* "Transfer-Encoding: chunked" instead of a length */
    bool has_length;               /* write content_length (never with 1xx and 204) */
    uint64_t content_length;       /* bytes of the body, with has_length */
    const char *reason;            /* NULL: the usual phrase */
    const char *date;              /* 29 characters from cre_http_date, or NULL */
    const char *server;            /* NULL: no Server field */
    const cre_http_header *fields; /* further fields */
    size_t field_count;
} cre_http_response;

/** A request head to write (the client role). Fields that frame the message are skipped as in a response. */
typedef struct cre_http_request {
    const char *method;            /* a token */
    const char *target;            /* visible ASCII without spaces */
    const char *host;              /* host[:port] */
    bool close;                    /* "Connection: close" */
    bool chunked;                  /* "Transfer-Encoding: chunked" instead of a length */
    bool has_length;               /* write content_length */
    uint64_t content_length;       /* bytes of the body, with has_length */
    const cre_http_header *fields; /* a Host among them is skipped, a TE named in Connection */
    size_t field_count;
} cre_http_request;

CRE_BEGIN_DECLS

/**
 * Writes the response head, empty line included, to `out`. Returns the bytes written; CRE_ELIMIT when they do
 * not fit in `capacity`; CRE_EHTTP_INVALID_FIELD when a name is not a token or a value (or the reason) holds
 * a control character other than a tab, or has white space at its ends; CRE_EINVALID for a status out of
 * range or both `chunked` and `has_length`. What `out` holds after an error is undefined. Any thread.
 */
CRE_NODISCARD
CRE_API int cre_http_write_response(char *out, size_t capacity, const cre_http_response *response);

/** Writes a request head in the same way; CRE_EHTTP_INVALID_FIELD also for a bad method, target or host. */
CRE_NODISCARD
CRE_API int cre_http_write_request(char *out, size_t capacity, const cre_http_request *request);

/**
 * Writes the end of a chunked body: the last chunk and its trailers, empty line included. Returns the bytes
 * written; CRE_ELIMIT when they do not fit in `capacity`; CRE_EHTTP_INVALID_FIELD for a field that may not be
 * sent, or that would change how the message is framed or routed: Content-Length, Transfer-Encoding,
 * Connection, Host and Trailer. Any thread.
 */
CRE_NODISCARD
CRE_API int cre_http_write_last_chunk(char *out, size_t capacity, const cre_http_header *trailers,
                                      size_t trailer_count);

/** Whether the pair may be sent: the name is a token, the value has no control character other than a tab and
 * no white space at its ends. Any thread. */
CRE_NODISCARD CRE_API bool cre_http_header_valid(const cre_http_header *field);

/** The usual phrase of a status ("Not Found"), "Unknown" for others; a static string. Any thread. */
CRE_API const char *cre_http_reason(int status);

/* ---- packed fields ---- */

/**
 * Packed fields are a list in one piece of memory that can cross to another process of the machine: for each
 * field two uint16_t in the machine's byte order, the lengths of name and value, not aligned, and then the
 * bytes of name and value. The size of an entry is that of the line "Name: value" with its CRLF.
 */
enum { CRE_HTTP_FIELD_OVERHEAD = 4 };

/**
 * Writes an entry at `out` and returns its size; 0, writing nothing, when it does not fit in `capacity` or a
 * length exceeds 65535. The bytes are copied as they are: cre_http_fields_check checks them, and so does
 * every function that sends packed fields. Any thread.
 */
CRE_NODISCARD
CRE_API size_t cre_http_fields_put(void *out, size_t capacity, const void *name, size_t name_length,
                                   const void *value, size_t value_length);

/**
 * Checks a field and writes its entry at `out`, in one pass. Returns its size; CRE_ELIMIT when it does not
 * fit in `capacity` or a length exceeds 65535; CRE_EHTTP_INVALID_FIELD when it may not be sent (see
 * cre_http_header_valid), and then the bytes where the entry would be are unspecified. Any thread.
 */
CRE_NODISCARD
CRE_API int cre_http_fields_add(void *out, size_t capacity, const void *name, size_t name_length,
                                const void *value, size_t value_length);

/** Reads the entry at *cursor and moves *cursor past it; *field points into the list. False at `end`, and
 * when less than an entry is left: then *cursor stays before `end`. Any thread. */
CRE_NODISCARD
CRE_API bool cre_http_fields_next(const uint8_t **cursor, const uint8_t *end, cre_http_header *field);

/** Checks a list. Returns 0 when every field may be sent, CRE_EHTTP_INVALID_FIELD when one may not (see
 * cre_http_header_valid), or CRE_EINVALID when the entries do not fill the list exactly. Any thread. */
CRE_NODISCARD CRE_API int cre_http_fields_check(const void *fields, size_t size);

CRE_END_DECLS

#endif
