/* The head of a server's response, written directly into its output. */
#ifndef CRE_HTTP_RESPONSE_H
#define CRE_HTTP_RESPONSE_H

#include <creactor/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the end of the body is marked. */
typedef enum cre__http_framing {
    CRE__FRAMED_BY_NOTHING, /* no body, or one that ends with the connection */
    CRE__FRAMED_BY_LENGTH,  /* "Content-Length" */
    CRE__FRAMED_BY_CHUNKS,  /* "Transfer-Encoding: chunked" */
} cre__http_framing;

/* The Connection field. */
typedef enum cre__http_connection {
    CRE__CONNECTION_DEFAULT, /* none: HTTP/1.1 keeps the connection */
    CRE__CONNECTION_CLOSE,
    CRE__CONNECTION_KEEP_ALIVE, /* for clients of HTTP/1.0 */
} cre__http_connection;

typedef struct cre__http_response {
    uint16_t status;     /* 100 to 999 */
    uint8_t framing;     /* cre__http_framing; 1xx and 204 are written without */
    uint8_t connection;  /* cre__http_connection */
    uint64_t length;     /* for CRE__FRAMED_BY_LENGTH */
    const char *date;    /* CRE_HTTP_DATE_LENGTH characters, skipped when the fields have a Date; or NULL */
    const void *fields;  /* packed, see cre_http_fields_put, or lines */
    size_t fields_size;  /* bytes of them */
    bool text;           /* the type is text/plain, unless the fields have a Content-Type */
    bool field_lines;    /* they are lines: "Name: value" with CRLF; spaces before a value are skipped */
    bool fields_checked; /* they are packed, and cre_http_fields_check has accepted them */
} cre__http_response;

/* The most bytes of the lines other than the fields, with the empty line. */
#define CRE__HTTP_RESPONSE_BASE 208

/* The size of the buffer for cre__http_response_write, an upper bound of the head. */
static inline size_t cre__http_response_room(const cre__http_response *response) {
    /* A line grows by the space behind its colon. */
    size_t growth = response->field_lines ? response->fields_size / 2 : 0;
    return CRE__HTTP_RESPONSE_BASE + response->fields_size + growth;
}

/* Writes the head with its empty line to `out`, which has cre__http_response_room bytes. Fields that frame
 * the message are skipped. Returns the size, CRE_EINVALID when the packing of the fields is damaged, a line
 * is malformed or the status out of range, or CRE_EHTTP_INVALID_FIELD for a name or value that must not be
 * sent. */
CRE_NODISCARD int cre__http_response_write(char *out, const cre__http_response *response);

/* Writes the lines behind the fields, with `date` in place of the response's, and the empty line, and returns
 * the end. `out` has CRE__HTTP_RESPONSE_BASE bytes. */
char *cre__http_response_tail(char *out, const cre__http_response *response, const char *date);

#endif
