/*
 * A parser of multipart/form-data (RFC 7578) that takes bytes and returns events. All its memory is in its
 * struct; the bodies of parts are runs of the input.
 */
#ifndef CREACTOR_HTTP_MULTIPART_H
#define CREACTOR_HTTP_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "export.h"

enum {
    CRE_HTTP_BOUNDARY_MAX = 70,    /* RFC 2046 */
    CRE_HTTP_PART_HEAD_MAX = 2048, /* bytes of one part's fields */
    CRE_HTTP_DEFAULT_PARTS = 1000  /* the most parts of a body, unless the caller sets another limit */
};

/** What cre_http_multipart_next has found. */
typedef enum cre_http_multipart_event {
    CRE_HTTP_MULTIPART_MORE = 0,     /* the input is used up */
    CRE_HTTP_MULTIPART_PART = 1,     /* a part begins: see `name`, `filename`, `type` */
    CRE_HTTP_MULTIPART_DATA = 2,     /* a run of the part's body: see `data` */
    CRE_HTTP_MULTIPART_PART_END = 3, /* the part is complete */
    CRE_HTTP_MULTIPART_END = 4       /* the closing boundary was found; further bytes are ignored */
} cre_http_multipart_event;

/** A text in the parser's memory. */
typedef struct cre_http_text {
    const char *text; /* not terminated */
    size_t length;    /* of `text`, in bytes */
} cre_http_text;

/** The parser. The members of the first group are for the caller to read, the others are private. */
typedef struct cre_http_multipart {
    cre_http_text name, filename, type; /* of the part, unescaped; valid until the next part */
    bool has_filename;                  /* a file, perhaps with an empty name */
    const uint8_t *data; /* of the DATA event, valid until the next call: in the input or, for bytes that
                          * only began like a boundary, in the parser */
    size_t length;       /* of `data`, in bytes */

    uint8_t state, boundary_length, matched, borrowed;
    uint16_t head_length;
    uint32_t parts, max_parts;
    char boundary[CRE_HTTP_BOUNDARY_MAX + 4]; /* CRLF, two dashes, the boundary */
    char head[CRE_HTTP_PART_HEAD_MAX];
} cre_http_multipart;

CRE_BEGIN_DECLS

/**
 * Initialises the parser from the value of Content-Type, borrowed for the call; `max_parts` 0 means
 * CRE_HTTP_DEFAULT_PARTS. Returns 0, CRE_EHTTP_NOT_MULTIPART for another type, or CRE_EHTTP_MULTIPART for a
 * missing or malformed boundary. One thread at a time for each parser.
 */
CRE_NODISCARD CRE_API int cre_http_multipart_init(cre_http_multipart *parser, const char *content_type,
                                                  size_t length, uint32_t max_parts);

/**
 * Parses from *cursor up to `end` and moves *cursor past the bytes it used. Returns an event, or
 * CRE_EHTTP_MULTIPART (malformed) or CRE_EHTTP_MULTIPART_LIMIT (too many parts, or a part head that is too
 * long). A body that ends before CRE_HTTP_MULTIPART_END is incomplete: the caller must treat that as an
 * error.
 */
CRE_NODISCARD CRE_API int cre_http_multipart_next(cre_http_multipart *parser, const uint8_t **cursor,
                                                  const uint8_t *end);

CRE_END_DECLS

#endif
