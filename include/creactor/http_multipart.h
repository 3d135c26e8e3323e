/*
 * multipart/form-data (RFC 7578) as it arrives: feed bytes, get events. Memory use is bounded and within the
 * parser struct; part bodies are handed out as runs of the input.
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
    CRE_HTTP_DEFAULT_PARTS = 1000
};

typedef enum cre_http_multipart_event {
    CRE_HTTP_MULTIPART_MORE = 0, /* the input is used up */
    CRE_HTTP_MULTIPART_PART = 1, /* a part begins: see `name`, `filename`, `type` */
    CRE_HTTP_MULTIPART_DATA = 2, /* a run of the part's bytes: see `data` */
    CRE_HTTP_MULTIPART_PART_END = 3,
    CRE_HTTP_MULTIPART_END = 4 /* the closing boundary was seen; what follows is ignored */
} cre_http_multipart_event;

/** Some text inside the parser. */
typedef struct cre_http_text {
    const char *text; /* not terminated */
    size_t length;
} cre_http_text;

/** The parser. Read the members of the first group, the others are private. */
typedef struct cre_http_multipart {
    cre_http_text name, filename,
        type;            /* of the part, until the next part; unescaped, in the parser's memory */
    bool has_filename;   /* a file, perhaps with an empty name */
    const uint8_t *data; /* of the DATA event: in the caller's input or, for the start of a boundary
                          * that was none after all, in the parser; until the next call */
    size_t length;

    uint8_t state, boundary_length, matched, borrowed;
    uint16_t head_length;
    uint32_t parts, max_parts;
    char boundary[CRE_HTTP_BOUNDARY_MAX + 4]; /* CRLF, two dashes, the boundary */
    char head[CRE_HTTP_PART_HEAD_MAX];
} cre_http_multipart;

CRE_BEGIN_DECLS

/**
 * Prepares the parser from the value of Content-Type; `max_parts` 0 means CRE_HTTP_DEFAULT_PARTS. Returns 0;
 * CRE_EHTTP_NOT_MULTIPART for another type; CRE_EHTTP_MULTIPART for a missing or malformed boundary.
 */
CRE_API int cre_http_multipart_init(cre_http_multipart *parser, const char *content_type, size_t length,
                                    uint32_t max_parts);

/**
 * Goes on from *cursor up to `end` and moves *cursor over what it used. Returns an event, or
 * CRE_EHTTP_MULTIPART (malformed) or CRE_EHTTP_MULTIPART_LIMIT (too many parts, part head too long). The
 * body's end before CRE_HTTP_MULTIPART_END is an error too, which the caller sees.
 */
CRE_API int cre_http_multipart_next(cre_http_multipart *parser, const uint8_t **cursor, const uint8_t *end);

CRE_END_DECLS

#endif
