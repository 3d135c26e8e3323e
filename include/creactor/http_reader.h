/*
 * The reader of responses: what a client receives on one connection becomes heads, pieces of bodies and ends
 * (RFC 9112 section 6). It does no I/O.
 *
 *   cre_http_reader_expect(&reader, CRE_HTTP_GET); // for each request
 *   while ((result = cre_http_reader_next(&reader, &cursor, end, &event)) > 0) ...
 */
#ifndef CREACTOR_HTTP_READER_H
#define CREACTOR_HTTP_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "http_chunked.h"
#include "http_head.h"

/** Results of cre_http_reader_next. */
enum {
    CRE_HTTP_READER_MORE = 0,    /* the input is used up and the response continues */
    CRE_HTTP_READER_INTERIM = 1, /* the head of a 1xx response, which another head follows */
    CRE_HTTP_READER_HEAD = 2,    /* the head of the response */
    CRE_HTTP_READER_DATA = 3,    /* a piece of the body */
    CRE_HTTP_READER_END = 4,     /* the response is complete; *cursor is at the first byte after it */
    CRE_HTTP_READER_TRAILERS = 5 /* the fields behind a chunked body; CRE_HTTP_READER_END follows */
};

/** The most interim responses before a response. */
enum { CRE_HTTP_READER_MAX_INTERIM = 32 };

/** The reader of one connection. Fields are private. */
typedef struct cre_http_reader {
    cre_http_limits limits;
    cre_http_chunked chunked;
    cre_http_head parsed;   /* the last head */
    uint64_t left;          /* of a body with a known length */
    cre_http_field *fields; /* limits.max_fields of them; NULL: not allocated yet */
    uint8_t *head;          /* a head that arrives in pieces */
    size_t head_length, head_capacity;
    uint8_t state, method, interim;
    bool keep_alive;
} cre_http_reader;

/** A part of a response. Everything is borrowed from the input or from the reader until its next call. */
typedef struct cre_http_reader_event {
    const cre_http_head *head;    /* INTERIM and HEAD */
    const cre_http_field *fields; /* also TRAILERS */
    const uint8_t *head_bytes;    /* the bytes that the fields point to */
    size_t field_count;
    const uint8_t *data; /* DATA */
    size_t length;       /* > 0 */
} cre_http_reader_event;

CRE_BEGIN_DECLS

/** Prepares a reader. `limits` is copied; NULL or a member of 0 means the defaults. */
CRE_API void cre_http_reader_init(cre_http_reader *reader, const cre_http_limits *limits);

/** Frees the memory of a reader. */
CRE_API void cre_http_reader_deinit(cre_http_reader *reader);

/** Prepares for the response to a request with this cre_http_method. Not before the response to the request
 * before it is complete. */
CRE_API void cre_http_reader_expect(cre_http_reader *reader, int method);

/**
 * Reads from *cursor up to `end` and moves *cursor past the bytes it used. Returns one of the values
 * above; call again unless it is CRE_HTTP_READER_MORE or CRE_HTTP_READER_END. How the input is split changes
 * only the sizes of the pieces of the body. Negative results, after which the reader is of no use:
 *
 *   CRE_ESTATE      there is input although no response is expected
 *   CRE_ELIMIT      more than CRE_HTTP_READER_MAX_INTERIM interim responses
 *   CRE_EHTTP_TOO_MANY_FIELDS  also for trailers
 *   CRE_ENOMEM
 *   CRE_EHTTP_...   those of cre_http_parse_response and cre_http_chunked_next
 *
 * After a 101, and after a 2xx to CONNECT, the response ends with its head: the input that follows belongs to
 * another protocol. One thread at a time.
 */
CRE_NODISCARD CRE_API int cre_http_reader_next(cre_http_reader *reader, const uint8_t **cursor,
                                               const uint8_t *end, cre_http_reader_event *event);

/** The server has ended the connection. Returns CRE_HTTP_READER_END when the response is complete by that,
 * CRE_EGONE when it is not, or CRE_ESTATE when no response is expected. */
CRE_NODISCARD CRE_API int cre_http_reader_finish(cre_http_reader *reader);

/** Whether the body of the response ends with the connection. Valid from its head on. */
CRE_API bool cre_http_reader_until_close(const cre_http_reader *reader);

/** Whether the next result is CRE_HTTP_READER_END, whatever the input is. */
CRE_API bool cre_http_reader_is_complete(const cre_http_reader *reader);

/** Whether the connection can serve another request after this response. Valid from its head on. */
CRE_API bool cre_http_reader_keep_alive(const cre_http_reader *reader);

CRE_END_DECLS

#endif
