/* The reader of responses. */
#include <creactor/error.h>
#include <creactor/http_reader.h>
#include <string.h>

#include "core/memory.h"

enum { IDLE, HEAD, LENGTH, CHUNKED, UNTIL_CLOSE, COMPLETE };

/* A larger buffer for heads is freed before the next response. */
enum { KEPT_HEAD = 8192 };

void cre_http_reader_init(cre_http_reader *reader, const cre_http_limits *limits) {
    *reader = (cre_http_reader){ .state = IDLE };
    if (limits) reader->limits = *limits;
    if (!reader->limits.max_fields) reader->limits.max_fields = CRE_HTTP_DEFAULT_FIELDS;
}

static void free_head(cre_http_reader *reader) {
    cre__free(reader->head);
    reader->head = NULL;
    reader->head_length = reader->head_capacity = 0;
}

void cre_http_reader_deinit(cre_http_reader *reader) {
    free_head(reader);
    cre__free(reader->fields);
    reader->fields = NULL;
}

void cre_http_reader_expect(cre_http_reader *reader, int method) {
    reader->state = HEAD;
    reader->method = (uint8_t)method;
    reader->interim = 0;
    reader->keep_alive = false;
    reader->head_length = 0;
    if (reader->head_capacity > KEPT_HEAD) free_head(reader);
}

bool cre_http_reader_until_close(const cre_http_reader *reader) {
    return reader->state == UNTIL_CLOSE;
}

bool cre_http_reader_is_complete(const cre_http_reader *reader) {
    return reader->state == COMPLETE;
}

bool cre_http_reader_keep_alive(const cre_http_reader *reader) {
    return reader->keep_alive;
}

/* ---- heads ---- */

static bool append(cre_http_reader *reader, const uint8_t *data, size_t length) {
    size_t needed = reader->head_length + length;
    if (needed > reader->head_capacity) {
        size_t capacity = needed < 512 ? 1024 : 2 * needed;
        uint8_t *grown = cre__realloc(reader->head, capacity);
        if (!grown) return false;
        reader->head = grown;
        reader->head_capacity = capacity;
    }
    memcpy(reader->head + reader->head_length, data, length);
    reader->head_length = needed;
    return true;
}

/* Decides how the body is framed. */
static void set_framing(cre_http_reader *reader, const cre_http_head *head) {
    bool tunnel = head->status == 101 ||
                  (head->method == CRE_HTTP_CONNECT && head->status >= 200 && head->status < 300);
    reader->keep_alive = !tunnel && head->flags & CRE_HTTP_KEEP_ALIVE;
    if (!(head->flags & CRE_HTTP_HAS_BODY)) {
        reader->state = COMPLETE;
    } else if (head->flags & CRE_HTTP_CHUNKED) {
        reader->state = CHUNKED;
        cre_http_chunked_init(&reader->chunked);
        cre_http_chunked_report_trailers(&reader->chunked);
    } else if (head->flags & CRE_HTTP_UNTIL_CLOSE) {
        reader->state = UNTIL_CLOSE;
    } else {
        reader->state = LENGTH;
        reader->left = head->content_length;
    }
}

/* Parses a head from the input or, when it has begun in earlier input, from the copy. */
static int parse(cre_http_reader *reader, const uint8_t **cursor, const uint8_t *end, cre_http_head *head,
                 const uint8_t **bytes) {
    size_t available = (size_t)(end - *cursor), before = reader->head_length;
    if (!reader->fields) {
        reader->fields = cre__malloc(reader->limits.max_fields * sizeof *reader->fields);
        if (!reader->fields) return CRE_ENOMEM;
    }
    if (!before) {
        int result = cre_http_parse_response(*cursor, available, 0, &reader->limits, reader->method, head,
                                             reader->fields);
        *bytes = *cursor;
        if (result > 0) *cursor += result;
        if (result) return result;
    }
    /* The longest head is 65535 bytes, so that more than this is never needed. */
    if (available > CRE_HTTP_MAX_HEAD - before) available = CRE_HTTP_MAX_HEAD - before;
    if (!append(reader, *cursor, available)) return CRE_ENOMEM;
    if (!before) {
        *cursor = end;
        return 0;
    }
    int result = cre_http_parse_response(reader->head, reader->head_length, before, &reader->limits,
                                         reader->method, head, reader->fields);
    *bytes = reader->head;
    *cursor = result > 0 ? *cursor + ((size_t)result - before) : end;
    if (result > 0) reader->head_length = 0;
    return result;
}

static int next_head(cre_http_reader *reader, const uint8_t **cursor, const uint8_t *end,
                     cre_http_reader_event *event) {
    const cre_http_head *head = &reader->parsed;
    int result = parse(reader, cursor, end, &reader->parsed, &event->head_bytes);
    if (result <= 0) return result;
    event->head = head;
    event->fields = reader->fields;
    event->field_count = head->field_count;
    if (head->status < 200 && head->status != 101) {
        if (++reader->interim > CRE_HTTP_READER_MAX_INTERIM) return CRE_ELIMIT;
        return CRE_HTTP_READER_INTERIM;
    }
    set_framing(reader, head);
    return CRE_HTTP_READER_HEAD;
}

/* ---- bodies ---- */

static int next_data(cre_http_reader *reader, const uint8_t **cursor, const uint8_t *end,
                     cre_http_reader_event *event) {
    size_t available = (size_t)(end - *cursor);
    if (reader->state == LENGTH && available > reader->left) available = (size_t)reader->left;
    if (!available) return CRE_HTTP_READER_MORE;
    event->data = *cursor;
    event->length = available;
    *cursor += available;
    if (reader->state == LENGTH) {
        reader->left -= available;
        if (!reader->left) reader->state = COMPLETE;
    }
    return CRE_HTTP_READER_DATA;
}

/* Finds the fields in the trailer lines, which the decoder has checked and limited to
 * CRE_HTTP_CHUNKED_OVERHEAD bytes. */
static int parse_trailers(cre_http_reader *reader, cre_http_reader_event *event) {
    const uint8_t *lines = reader->head;
    size_t count = 0;
    for (size_t at = 0, next; at < reader->head_length; at = next, count++) {
        if (count == reader->limits.max_fields) return CRE_EHTTP_TOO_MANY_FIELDS;
        size_t rest = reader->head_length - at;
        size_t colon = (size_t)((const uint8_t *)memchr(lines + at, ':', rest) - lines);
        size_t end = (size_t)((const uint8_t *)memchr(lines + at, '\r', rest) - lines);
        size_t value = colon + 1;
        next = end + 2;
        while (value < end && (lines[value] == ' ' || lines[value] == '\t'))
            value++;
        while (end > value && (lines[end - 1] == ' ' || lines[end - 1] == '\t'))
            end--;
        reader->fields[count] = (cre_http_field){ .name = (uint16_t)at,
                                                  .name_length = (uint16_t)(colon - at),
                                                  .value = (uint16_t)value,
                                                  .value_length = (uint16_t)(end - value) };
    }
    event->head = NULL;
    event->fields = reader->fields;
    event->head_bytes = lines;
    event->field_count = count;
    return CRE_HTTP_READER_TRAILERS;
}

static int next_chunk(cre_http_reader *reader, const uint8_t **cursor, const uint8_t *end,
                      cre_http_reader_event *event) {
    int result;
    while ((result = cre_http_chunked_next(&reader->chunked, cursor, end, &event->data, &event->length)) ==
           CRE_HTTP_CHUNKED_TRAILER)
        if (!append(reader, event->data, event->length)) return CRE_ENOMEM;
    if (result == CRE_HTTP_CHUNKED_DATA) return CRE_HTTP_READER_DATA;
    if (result != CRE_HTTP_CHUNKED_END) return result;
    reader->state = reader->head_length ? COMPLETE : IDLE;
    return reader->head_length ? parse_trailers(reader, event) : CRE_HTTP_READER_END;
}

int cre_http_reader_next(cre_http_reader *reader, const uint8_t **cursor, const uint8_t *end,
                         cre_http_reader_event *event) {
    switch (reader->state) {
    case HEAD: return *cursor == end ? CRE_HTTP_READER_MORE : next_head(reader, cursor, end, event);
    case LENGTH:
    case UNTIL_CLOSE: return next_data(reader, cursor, end, event);
    case CHUNKED: return next_chunk(reader, cursor, end, event);
    case COMPLETE: reader->state = IDLE; return CRE_HTTP_READER_END;
    default: return *cursor == end ? CRE_HTTP_READER_MORE : CRE_ESTATE;
    }
}

int cre_http_reader_finish(cre_http_reader *reader) {
    if (reader->state == IDLE) return CRE_ESTATE;
    if (reader->state != UNTIL_CLOSE && reader->state != COMPLETE) return CRE_EGONE;
    reader->state = IDLE;
    return CRE_HTTP_READER_END;
}
