/* The reader of what a server of NATS sends. */
#include <creactor/nats.h>
#include <string.h>
#include <strings.h>

#include "core/append.h"
#include "core/memory.h"

enum { MAX_LINE = 65536, MAX_PAYLOAD = 8 << 20, PAYLOAD_LIMIT = 1 << 30, MAX_WORDS = 6 };

int cre_nats_reader_init(cre_nats_reader *reader, const cre_nats_limits *limits) {
    *reader = (cre_nats_reader){ .limits = { MAX_LINE, MAX_PAYLOAD } };
    if (!limits) return 0;
    if (limits->max_payload > PAYLOAD_LIMIT) return CRE_EINVALID;
    if (limits->max_line) reader->limits.max_line = limits->max_line;
    if (limits->max_payload) reader->limits.max_payload = limits->max_payload;
    return 0;
}

void cre_nats_reader_deinit(cre_nats_reader *reader) {
    cre__free(reader->buffer);
    *reader = (cre_nats_reader){ .limits = reader->limits };
}

/* ---- lines ---- */

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t';
}

/* Splits a line at white space. Returns the number of words, at most MAX_WORDS + 1. */
static int split(cre_slice line, cre_slice words[MAX_WORDS]) {
    int count = 0;
    for (size_t at = 0;;) {
        while (at < line.length && is_blank(line.data[at]))
            at++;
        if (at == line.length) return count;
        const size_t start = at;
        while (at < line.length && !is_blank(line.data[at]))
            at++;
        if (count == MAX_WORDS) return MAX_WORDS + 1;
        words[count++] = (cre_slice){ line.data + start, at - start };
    }
}

static bool parse_number(cre_slice text, uint64_t *out) {
    *out = 0;
    if (!text.length) return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        if (__builtin_mul_overflow(*out, 10, out)) return false;
        if (__builtin_add_overflow(*out, (uint64_t)(text.data[i] - '0'), out)) return false;
    }
    return true;
}

static bool is_word(cre_slice text, const char *word) {
    return text.length == strlen(word) && strncasecmp((const char *)text.data, word, text.length) == 0;
}

static cre_slice trim(cre_slice text) {
    while (text.length && is_blank(*text.data))
        text = (cre_slice){ text.data + 1, text.length - 1 };
    while (text.length && is_blank(text.data[text.length - 1]))
        text.length--;
    return text;
}

/* The rest of a line, behind its first word. */
static cre_slice rest_of(cre_slice line, cre_slice word) {
    const uint8_t *start = word.data + word.length;
    return trim((cre_slice){ start, (size_t)(line.data + line.length - start) });
}

/* "-ERR 'Authorization Violation'" */
static cre_slice unquote(cre_slice text) {
    if (text.length >= 2 && *text.data == '\'' && text.data[text.length - 1] == '\'')
        return (cre_slice){ text.data + 1, text.length - 2 };
    return text;
}

/* MSG subject subscription [reply] size, HMSG subject subscription [reply] header-size size. */
static int read_message(const cre_nats_reader *reader, const cre_slice *words, int count, bool has_headers,
                        cre_nats_event *event, size_t *body) {
    const int least = has_headers ? 5 : 4;
    uint64_t size, header_size = 0;
    if (count != least && count != least + 1) return CRE_ENATS_PROTOCOL;
    event->subject = words[1];
    if (!parse_number(words[2], &event->subscription)) return CRE_ENATS_PROTOCOL;
    if (count > least) event->reply = words[3];
    if (!parse_number(words[count - 1], &size)) return CRE_ENATS_PROTOCOL;
    if (has_headers && !parse_number(words[count - 2], &header_size)) return CRE_ENATS_PROTOCOL;
    if (header_size > size) return CRE_ENATS_PROTOCOL;
    if (size > reader->limits.max_payload) return CRE_ENATS_TOO_LARGE;
    event->headers.length = (size_t)header_size;
    event->payload.length = (size_t)(size - header_size);
    *body = (size_t)size + 2;
    return CRE_NATS_MESSAGE;
}

/* Reads the line, and sets the bytes of what follows it. Returns the kind of the operation. */
static int read_line(const cre_nats_reader *reader, cre_slice line, cre_nats_event *event, size_t *body) {
    cre_slice words[MAX_WORDS + 1];
    *event = (cre_nats_event){ 0 };
    *body = 0;
    const int count = split(line, words);
    if (!count) return CRE_ENATS_PROTOCOL;
    if (is_word(words[0], "MSG")) return read_message(reader, words, count, false, event, body);
    if (is_word(words[0], "HMSG")) return read_message(reader, words, count, true, event, body);
    event->text = rest_of(line, words[0]);
    if (is_word(words[0], "INFO")) return event->text.length ? CRE_NATS_INFO : CRE_ENATS_PROTOCOL;
    if (is_word(words[0], "-ERR")) {
        event->text = unquote(event->text);
        return CRE_NATS_ERROR;
    }
    event->text = (cre_slice){ 0 };
    if (count > 1) return CRE_ENATS_PROTOCOL;
    if (is_word(words[0], "PING")) return CRE_NATS_PING;
    if (is_word(words[0], "PONG")) return CRE_NATS_PONG;
    return is_word(words[0], "+OK") ? CRE_NATS_OK : CRE_ENATS_PROTOCOL;
}

/* ---- headers ---- */

static const char version[] = "NATS/1.0";

/* "NATS/1.0", perhaps with a status and its description, then lines, of which the last one is empty. */
static bool read_status(cre_slice headers, uint16_t *status) {
    const size_t length = sizeof version - 1;
    if (headers.length < length + 4 || memcmp(headers.data, version, length) != 0) return false;
    if (memcmp(headers.data + headers.length - 4, "\r\n\r\n", 4) != 0) return false;
    const uint8_t *at = headers.data + length;
    *status = 0;
    if (*at == '\r') return at[1] == '\n';
    if (!is_blank(*at)) return false;
    while (is_blank(*at))
        at++;
    for (int i = 0; i < 3; i++, at++) {
        if (*at < '0' || *at > '9') return i == 0 && *at == '\r';
        *status = (uint16_t)(*status * 10 + (*at - '0'));
    }
    return is_blank(*at) || *at == '\r';
}

bool cre_nats_header(cre_slice headers, const char *name, cre_slice *value) {
    const uint8_t *at = headers.data, *end = headers.data + headers.length, *line_end;
    for (bool first = true; at < end && (line_end = memchr(at, '\n', (size_t)(end - at))); first = false) {
        const cre_slice line = { at, (size_t)(line_end - at) - (line_end > at && line_end[-1] == '\r') };
        at = line_end + 1;
        const uint8_t *colon = line.length ? memchr(line.data, ':', line.length) : NULL;
        if (first || !colon) continue;
        if (!is_word((cre_slice){ line.data, (size_t)(colon - line.data) }, name)) continue;
        *value = trim((cre_slice){ colon + 1, (size_t)(line.data + line.length - colon) - 1 });
        return true;
    }
    return false;
}

/* ---- input ---- */

/* Reads one operation, of which `have` bytes are at `data`. Returns its kind, or 0 when *missing more bytes
 * are needed, 0 of them standing for those up to the end of the line. */
static int read_operation(cre_nats_reader *reader, const uint8_t *data, size_t have, size_t *missing,
                          cre_nats_event *event) {
    *missing = 0;
    if (reader->total > have) {
        *missing = reader->total - have;
        return 0;
    }
    if (!have) return 0;
    const size_t most = (size_t)reader->limits.max_line + 1; /* with the CR */
    const uint8_t *found = memchr(data + reader->searched, '\n', have - reader->searched);
    const size_t length = found ? (size_t)(found - data) : have;
    if (length > most) return CRE_ENATS_TOO_LARGE;
    if (!found) {
        reader->searched = have;
        return 0;
    }
    reader->searched = length;
    if (!length || found[-1] != '\r') return CRE_ENATS_PROTOCOL;
    size_t body;
    const int kind = read_line(reader, (cre_slice){ data, length - 1 }, event, &body);
    if (kind < 0) return kind;
    reader->total = length + 1 + body;
    if (have < reader->total) {
        *missing = reader->total - have;
        return 0;
    }
    if (!body) return kind;
    const uint8_t *start = found + 1;
    if (memcmp(start + body - 2, "\r\n", 2) != 0) return CRE_ENATS_PROTOCOL;
    event->headers.data = start;
    event->payload.data = start + event->headers.length;
    if (event->headers.length && !read_status(event->headers, &event->status)) return CRE_ENATS_PROTOCOL;
    return kind;
}

/* Forgets the operation that the last call returned, and memory that a large one has taken. */
static void begin(cre_nats_reader *reader) {
    enum { KEPT = 65536 };
    reader->returned = false;
    reader->used = reader->searched = reader->total = 0;
    if (reader->capacity <= KEPT) return;
    cre__free(reader->buffer);
    reader->buffer = NULL;
    reader->capacity = 0;
}

int cre_nats_reader_next(cre_nats_reader *reader, const uint8_t **cursor, const uint8_t *end,
                         cre_nats_event *event) {
    if (reader->returned) begin(reader);
    for (;;) {
        const size_t available = (size_t)(end - *cursor);
        const bool buffered = reader->used > 0;
        size_t missing;
        const int kind = read_operation(reader, buffered ? reader->buffer : *cursor,
                                        buffered ? reader->used : available, &missing, event);
        if (kind < 0) return kind;
        if (kind) {
            if (!buffered) *cursor += reader->total;
            reader->returned = true;
            return kind;
        }
        if (!available) return CRE_NATS_MORE;
        /* only bytes of this operation, so that the next one can be returned from the input */
        size_t take = available;
        if (buffered) {
            const uint8_t *line_end = missing ? NULL : memchr(*cursor, '\n', available);
            if (line_end) take = (size_t)(line_end - *cursor) + 1;
            if (missing && missing < take) take = missing;
        }
        const int error = cre__append(&reader->buffer, &reader->used, &reader->capacity, *cursor, take);
        if (error) return error;
        *cursor += take;
    }
}
