/* Streams: their queues, and how nghttp2 takes bodies from them. */
#include "core/memory.h"

#ifdef CRE_HAVE_HTTP2
#include <string.h>

#include "core/decimal.h"
#include "core/slices.h"
#include "http/chars.h"
#include "http/head_internal.h"
#include "http2/http2_internal.h"

/* The least capacity of a chunk, so that many small pieces take little more memory than their bytes. */
#define MIN_CHUNK ((size_t)4096)

cre__h2_stream *cre__h2_stream_create(cre_http2 *session, uint32_t id) {
    cre__h2_stream *stream = cre__h2_allocate(session, sizeof *stream);
    if (!stream) return NULL;
    *stream = (cre__h2_stream){ .id = id, .expected = -1, .next = session->streams };
    if (stream->next) stream->next->previous = stream;
    session->streams = session->recent = stream;
    session->stats.streams++;
    return stream;
}

static void drop_queue(cre_http2 *session, cre__h2_stream *stream) {
    while (stream->first) {
        cre__h2_chunk *chunk = stream->first;
        stream->first = chunk->next;
        cre__free(chunk);
    }
    stream->last = NULL;
    if (stream->queued) session->drained = true; /* others may have waited for it */
    session->queued -= stream->queued;
    stream->queued = 0;
}

void cre__h2_stream_destroy(cre_http2 *session, cre__h2_stream *stream) {
    drop_queue(session, stream);
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        session->streams = stream->next;
    if (stream->next) stream->next->previous = stream->previous;
    if (session->recent == stream) session->recent = stream->previous;
    if (session->requested == stream) session->requested = NULL;
    session->stats.streams--;
    session->drained = true;
    cre__h2_free(session, stream->trailers);
    cre__h2_free(session, stream);
}

cre__h2_stream *cre__h2_stream_of(cre_http2 *session, uint32_t id) {
    if (session->broken || !id || id > INT32_MAX) return NULL;
    cre__h2_stream *stream = cre__h2_stream_find(session, (int32_t)id);
    if (stream || !session->config.client) return stream;
    /* nghttp2 does not know requests before it has sent them */
    for (stream = session->streams; stream && stream->id != id;)
        stream = stream->next;
    return stream;
}

static cre__h2_stream *find(cre_http2 *session, uint32_t id) {
    if (session->failed) return NULL;
    cre__h2_stream *stream = cre__h2_stream_of(session, id);
    return stream && stream->delivered && !stream->resetting ? stream : NULL;
}

int cre__h2_submitted(int result) {
    return result >= 0 ? 0 : result == NGHTTP2_ERR_NOMEM ? CRE_ENOMEM : CRE_EGONE;
}

int cre__h2_stream_reset(cre_http2 *session, cre__h2_stream *stream, uint32_t code) {
    int result = nghttp2_submit_rst_stream(session->protocol, NGHTTP2_FLAG_NONE, (int32_t)stream->id, code);
    if (result < 0) return cre__h2_submitted(result);
    stream->resetting = true;
    session->own_resets++;
    drop_queue(session, stream);
    return 0;
}

int cre_http2_reset(cre_http2 *session, uint32_t id, cre_http2_code code) {
    cre__h2_stream *stream = find(session, id);
    return stream ? cre__h2_stream_reset(session, stream, (uint32_t)code) : CRE_EGONE;
}

/* ---- lists of fields for nghttp2 ---- */

bool cre__h2_pairs_begin(cre__h2_pairs *list, size_t count) {
    list->count = 0;
    list->at = count <= CRE__H2_FEW_PAIRS ? list->few : cre__malloc(count * sizeof *list->at);
    return list->at != NULL;
}

void cre__h2_pairs_end(cre__h2_pairs *list) {
    if (list->at != list->few) cre__free(list->at);
}

void cre__h2_add_pair(cre__h2_pairs *list, const void *name, size_t name_length, const void *value,
                      size_t value_length) {
    /* nghttp2 copies both and changes neither */
    list->at[list->count++] = (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name,
                                            .value = (uint8_t *)(uintptr_t)value,
                                            .namelen = name_length,
                                            .valuelen = value_length };
}

/* A pair whose name is a literal in lower case, which nghttp2 need not copy; with KEPT nor its value. */
enum { KEPT = NGHTTP2_NV_FLAG_NO_COPY_VALUE };
#define ADD_NAMED(list, name, value, value_length, kept)                             \
    do {                                                                             \
        cre__h2_add_pair(list, name, sizeof(name) - 1, value, value_length);         \
        (list)->at[(list)->count - 1].flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | (kept); \
    } while (0)

/* ---- bodies of requests ---- */

int cre__h2_stream_release(cre_http2 *session, cre__h2_stream *stream, size_t length) {
    if (!length) return 0;
    const int32_t id = (int32_t)stream->id;
    /* to a client the window of the connection is open: a response that is not read must not stop others */
    return cre__h2_submitted(session->config.client
                                 ? nghttp2_session_consume_stream(session->protocol, id, length)
                                 : nghttp2_session_consume(session->protocol, id, length));
}

int cre_http2_consume(cre_http2 *session, uint32_t id, size_t length) {
    cre__h2_stream *stream = find(session, id);
    if (!stream) return CRE_EGONE;
    if (length > stream->unconsumed) return CRE_EINVALID;
    stream->unconsumed -= (uint32_t)length;
    return cre__h2_stream_release(session, stream, length);
}

/* ---- the queue of a response ---- */

static int accept(cre_http2 *session, cre__h2_stream *stream, size_t length) {
    if (!length) return 0;
    bool fits = (!stream->queued || stream->queued + length <= session->config.max_queue) &&
                session->queued < session->config.max_total_queue;
    if (fits) return 0;
    stream->wants_room = true;
    stream->wants_memory = 0;
    return CRE_EQUEUE_FULL;
}

/* Copies the parts behind the queue. */
static int enqueue(cre_http2 *session, cre__h2_stream *stream, const cre_slice *parts, size_t length) {
    cre__h2_chunk *tail = stream->last, *made = NULL;
    size_t room = tail ? tail->capacity - tail->end : 0;
    if (room > length) room = length;
    if (length > room) {
        size_t capacity = length - room < MIN_CHUNK ? MIN_CHUNK : length - room;
        made = cre__malloc(sizeof *made + capacity);
        if (!made) return CRE_ENOMEM;
        *made = (cre__h2_chunk){ .end = length - room, .capacity = capacity };
    }
    size_t offset = 0;
    if (room) {
        cre__slices_copy(tail->bytes + tail->end, room, &parts, &offset);
        tail->end += room;
    }
    if (made) {
        cre__slices_copy(made->bytes, length - room, &parts, &offset);
        if (tail)
            tail->next = made;
        else
            stream->first = made;
        stream->last = made;
    }
    stream->queued += length;
    session->queued += length;
    return 0;
}

static void dequeue(cre_http2 *session, cre__h2_stream *stream, uint8_t *out, size_t length) {
    stream->queued -= length;
    session->queued -= length;
    while (length) {
        cre__h2_chunk *chunk = stream->first;
        size_t size = chunk->end - chunk->start < length ? chunk->end - chunk->start : length;
        memcpy(out, chunk->bytes + chunk->start, size);
        chunk->start += size;
        out += size;
        length -= size;
        if (chunk->start < chunk->end) break;
        stream->first = chunk->next;
        if (!stream->first) stream->last = NULL;
        cre__free(chunk);
    }
}

/* Sends the trailers: behind the body, because HEADERS frames would overtake its bytes. */
static int submit_trailers(cre_http2 *session, cre__h2_stream *stream) {
    const uint8_t *at = stream->trailers, *end = at + stream->trailers_length;
    cre_http_header field;
    size_t count = 0;
    while (cre_http_fields_next(&at, end, &field))
        count++;
    cre__h2_pairs list;
    if (!cre__h2_pairs_begin(&list, count)) return NGHTTP2_ERR_NOMEM;
    for (at = stream->trailers; cre_http_fields_next(&at, end, &field);)
        cre__h2_add_pair(&list, field.name, field.name_length, field.value, field.value_length);
    int result = nghttp2_submit_trailer(session->protocol, (int32_t)stream->id, list.at, list.count);
    cre__h2_pairs_end(&list);
    return result;
}

/* Copies from the queue, or has the application do so. */
static size_t take_body(cre_http2 *session, cre__h2_stream *stream, uint8_t *out, size_t capacity,
                        bool *final) {
    const cre_http2_config *config = &session->config;
    if (config->read_body)
        return config->read_body(config->context, stream->id, stream->context, out, capacity, final);
    size_t length = stream->queued < capacity ? stream->queued : capacity;
    dequeue(session, stream, out, length);
    if (length) session->drained = true;
    *final = !stream->queued && stream->ended;
    return length;
}

/* nghttp2 sends a DATA frame. */
static ssize_t read_body(nghttp2_session *protocol, int32_t id, uint8_t *out, size_t capacity,
                         uint32_t *flags, nghttp2_data_source *source, void *context) {
    (void)protocol, (void)id;
    cre_http2 *session = context;
    cre__h2_stream *stream = session->recent = source->ptr;
    bool final = false;
    size_t length = stream->resetting ? 0 : take_body(session, stream, out, capacity, &final);
    if ((!length && !final) || stream->resetting) {
        stream->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (!final) return (ssize_t)length;
    stream->ended = true;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->trailers) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (submit_trailers(session, stream) < 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)length;
}

nghttp2_data_provider cre__h2_body_of(cre__h2_stream *stream) {
    return (nghttp2_data_provider){ .source = { .ptr = stream }, .read_callback = read_body };
}

/* There is more of a body for nghttp2, or its end. */
static int resume(cre_http2 *session, cre__h2_stream *stream) {
    if (!stream->deferred) return 0;
    int result = nghttp2_session_resume_data(session->protocol, (int32_t)stream->id);
    if (result == NGHTTP2_ERR_NOMEM) return CRE_ENOMEM;
    stream->deferred = false;
    return 0;
}

int cre_http2_resume(cre_http2 *session, uint32_t id) {
    cre__h2_stream *stream = find(session, id);
    return stream ? resume(session, stream) : CRE_EGONE;
}

int cre_http2_set_context(cre_http2 *session, uint32_t id, void *context) {
    /* also of one that is being reset: CLOSED is still to come */
    cre__h2_stream *stream = cre__h2_stream_of(session, id);
    if (!stream) return CRE_EGONE;
    stream->context = context;
    return 0;
}

bool cre__h2_report_room(cre_http2 *session) {
    if (!session->drained) return false;
    session->drained = false;
    if (session->queued > session->config.max_total_queue / 2) return false;
    bool any = false;
    for (cre__h2_stream *stream = session->streams, *next; stream; stream = next) {
        next = stream->next; /* events destroy no streams */
        if (!stream->wants_room || stream->resetting || stream->queued > session->config.max_queue / 2)
            continue;
        if (!cre__h2_has_room(session, stream->wants_memory)) {
            session->drained = true; /* memory is given back without notice: look again */
            continue;
        }
        stream->wants_room = false;
        any = true;
        CRE__H2_EMIT(session, .kind = CRE_HTTP2_WRITABLE, .stream = stream->id,
                     .stream_context = stream->context);
    }
    return any;
}

int cre_http2_send(cre_http2 *session, uint32_t id, const cre_slice *parts, int count, bool final) {
    cre__h2_stream *stream = find(session, id);
    if (!stream) return CRE_EGONE;
    if (!stream->responding || stream->ended) return CRE_ESTATE;
    size_t length = cre__slices_length(parts, count);
    if (length && stream->bodiless) return CRE_EINVALID;
    int result = accept(session, stream, length);
    if (!result && length) result = enqueue(session, stream, parts, length);
    if (result) return result;
    if (final) stream->ended = true;
    return length || final ? resume(session, stream) : 0;
}

/* ---- heads ---- */

bool cre__h2_is_skipped(const cre_http_header *field) {
    static const char *const names[] = { "connection",       "content-length",    "keep-alive",
                                         "proxy-connection", "transfer-encoding", "upgrade" };
    static const uint32_t lengths = 1 << 10 | 1 << 14 | 1 << 16 | 1 << 17 | 1 << 7;
    if (field->name_length > 17 || !(lengths >> field->name_length & 1)) return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (cre__h2_is_named(field, names[i])) return true;
    return false;
}

int cre__h2_check_fields(cre_http2 *session, cre__h2_stream *stream, const cre_http_header *fields,
                         size_t count, size_t bytes) {
    /* as nghttp2 counts, whose limit is 64 KiB */
    bytes += 12 + 12 * 8 + 256;
    for (size_t i = 0; i < count; i++) {
        if (!cre_http_header_valid(&fields[i])) return CRE_EHTTP_INVALID_FIELD;
        bytes += 12 + (size_t)fields[i].name_length + fields[i].value_length;
        if (bytes > 65536) return CRE_EHTTP_HEAD_TOO_LARGE;
    }
    if (bytes > session->config.max_memory / 8) return CRE_EHTTP_HEAD_TOO_LARGE; /* it might never fit */
    if (cre__h2_has_room(session, 2 * bytes)) return 0;
    stream->wants_room = true;
    stream->wants_memory = (uint32_t)(2 * bytes);
    session->drained = true;
    return CRE_EQUEUE_FULL;
}

static inline bool among(const cre_http2_response *response, const char *name) {
    for (size_t i = 0; i < response->field_count; i++)
        if (cre__h2_is_named(&response->fields[i], name)) return true;
    return false;
}

/* Most responses have this one: nghttp2 need not copy its name, and lower the copy. */
static bool is_content_type(const cre_http_header *field) {
    const uint8_t *name = (const uint8_t *)field->name;
    return field->name_length == 12 && cre__name8(name, "content-") && cre__name4(name + 8, "type");
}

/* Makes the pairs of a head. False: no memory. */
static bool make_pairs(cre_http2 *session, cre__h2_stream *stream, const cre_http2_response *response,
                       cre__h2_pairs *list) {
    /* nothing but interim responses comes before a response: what is kept of that stays as it is */
    const uint8_t kept = response->status < 200 ? 0 : KEPT;
    if (!cre__h2_pairs_begin(list, response->field_count + 4)) return false;
    stream->status[0] = (char)('0' + response->status / 100);
    stream->status[1] = (char)('0' + response->status / 10 % 10);
    stream->status[2] = (char)('0' + response->status % 10);
    ADD_NAMED(list, ":status", stream->status, 3, kept);
    if (response->date && !among(response, "date")) {
        /* in heads that wait the date becomes that of the last one, and has the same length */
        memcpy(session->date, response->date, sizeof session->date);
        ADD_NAMED(list, "date", session->date, sizeof session->date, KEPT);
    }
    if (response->server && !among(response, "server"))
        ADD_NAMED(list, "server", response->server, strlen(response->server), 0);
    if (response->has_length) {
        const char *end = cre__put_decimal(stream->length, response->content_length);
        ADD_NAMED(list, "content-length", stream->length, (size_t)(end - stream->length), kept);
    }
    for (size_t i = 0; i < response->field_count; i++) {
        const cre_http_header *field = &response->fields[i];
        if (is_content_type(field))
            ADD_NAMED(list, "content-type", field->value, field->value_length, 0);
        else if (!cre__h2_is_skipped(field))
            cre__h2_add_pair(list, field->name, field->name_length, field->value, field->value_length);
    }
    return true;
}

/* Whether there is no body behind the head, whatever is sent. */
static bool is_bodiless(const cre__h2_stream *stream, uint16_t status) {
    return stream->head_request || status == 204 || status == 304;
}

/* Refuses what cannot be sent, before anything has changed. */
static int check_response(cre_http2 *session, cre__h2_stream *stream, const cre_http2_response *response,
                          size_t length, bool final) {
    const uint16_t status = response->status;
    const bool interim = status < 200;
    if (status < 100 || status > 999 || status == 101) return CRE_EINVALID;
    if (interim && (length || final || response->has_length)) return CRE_EINVALID;
    if (length && is_bodiless(stream, status)) return CRE_EINVALID;
    if (status == 204 && response->has_length) return CRE_EINVALID;
    if (stream->extended_connect && status < 300 && response->has_length) return CRE_EINVALID;
    if (response->server) {
        const cre_http_header server = { "server", response->server, 6, (uint32_t)strlen(response->server) };
        if (server.value_length > 1024 || !cre_http_header_valid(&server)) return CRE_EHTTP_INVALID_FIELD;
    }
    int result = cre__h2_check_fields(session, stream, response->fields, response->field_count, 0);
    return result ? result : accept(session, stream, length);
}

static int submit(cre_http2 *session, cre__h2_stream *stream, const cre_http2_response *response, bool end) {
    cre__h2_pairs list;
    if (!make_pairs(session, stream, response, &list)) return CRE_ENOMEM;
    const int32_t id = (int32_t)stream->id;
    int result;
    if (response->status < 200) {
        result =
            nghttp2_submit_headers(session->protocol, NGHTTP2_FLAG_NONE, id, NULL, list.at, list.count, NULL);
    } else {
        nghttp2_data_provider body = cre__h2_body_of(stream);
        result = nghttp2_submit_response(session->protocol, id, list.at, list.count, end ? NULL : &body);
    }
    cre__h2_pairs_end(&list);
    return cre__h2_submitted(result);
}

int cre_http2_respond(cre_http2 *session, uint32_t id, const cre_http2_response *response,
                      const cre_slice *body, int count, bool final) {
    cre__h2_stream *stream = find(session, id);
    if (!stream) return CRE_EGONE;
    if (stream->responding) return CRE_ESTATE;
    size_t length = cre__slices_length(body, count);
    int result = check_response(session, stream, response, length, final);
    if (!result && length) result = enqueue(session, stream, body, length);
    if (!result) result = submit(session, stream, response, final && !length);
    if (result) {
        drop_queue(session, stream);
        return result;
    }
    if (response->status < 200) return 0;
    stream->responding = true;
    stream->tunnel = stream->extended_connect && response->status < 300 && !final;
    stream->bodiless = is_bodiless(stream, response->status);
    stream->ended = final;
    return 0;
}

int cre__h2_stream_refuse(cre_http2 *session, cre__h2_stream *stream, int status) {
    const cre_http2_response response = { .status = (uint16_t)status, .has_length = true };
    int result = submit(session, stream, &response, true);
    if (!result) stream->responding = stream->ended = true;
    return result;
}

static bool has_no_place_in_trailers(const cre_http_header *field) {
    return cre__h2_is_skipped(field) || cre__h2_is_named(field, "host") || cre__h2_is_named(field, "trailer");
}

int cre_http2_send_trailers(cre_http2 *session, uint32_t id, const cre_http_header *fields, size_t count) {
    cre__h2_stream *stream = find(session, id);
    if (!stream) return CRE_EGONE;
    if (!stream->responding || stream->ended) return CRE_ESTATE;
    if (!count) return cre_http2_send(session, id, NULL, 0, true);
    if (stream->tunnel) return CRE_EINVALID;
    int result = cre__h2_check_fields(session, stream, fields, count, 0);
    if (result) return result;
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        if (has_no_place_in_trailers(&fields[i])) return CRE_EHTTP_INVALID_FIELD;
        size += CRE_HTTP_FIELD_OVERHEAD + (size_t)fields[i].name_length + fields[i].value_length;
    }
    uint8_t *packed = cre__h2_allocate(session, size), *at = packed;
    if (!packed) return CRE_ENOMEM;
    for (size_t i = 0; i < count; i++)
        at += cre_http_fields_put(at, (size_t)(packed + size - at), fields[i].name, fields[i].name_length,
                                  fields[i].value, fields[i].value_length);
    stream->trailers = packed;
    stream->trailers_length = size;
    stream->ended = true;
    return resume(session, stream);
}

#endif
