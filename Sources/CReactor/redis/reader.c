/* The reader of RESP2 and RESP3. */
#include <creactor/redis.h>
#include <stdbool.h>
#include <string.h>

#include "core/append.h"
#include "core/memory.h"

enum {
    MAX_BYTES = 16 << 20,
    MAX_VALUES = 65536,
    MAX_LINE = 65536,
    MAX_NUMBER = 32,  /* bytes of a line with a length or an integer */
    ATTRIBUTE = 0x80, /* the type of a value that is skipped, with all its members */
};
static const size_t most_bytes = (size_t)1 << 30;

int cre_redis_reader_init(cre_redis_reader *reader, const cre_redis_limits *limits) {
    *reader = (cre_redis_reader){ .limits = { MAX_BYTES, MAX_VALUES, MAX_LINE } };
    if (!limits) return 0;
    if (limits->max_bytes > most_bytes) return CRE_EINVALID;
    if (limits->max_bytes) reader->limits.max_bytes = limits->max_bytes;
    if (limits->max_values) reader->limits.max_values = limits->max_values;
    if (limits->max_line) reader->limits.max_line = limits->max_line;
    return 0;
}

void cre_redis_reader_deinit(cre_redis_reader *reader) {
    cre__free(reader->buffer);
    cre__free(reader->values);
    *reader = (cre_redis_reader){ .limits = reader->limits };
}

size_t cre_redis_reader_pending(const cre_redis_reader *reader) {
    return reader->used;
}

/* A decimal integer in its whole line. */
static bool parse_integer(const uint8_t *text, size_t length, int64_t *out) {
    bool negative = length && *text == '-';
    if (length && (*text == '-' || *text == '+')) {
        text++;
        length--;
    }
    if (!length) return false;
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        if (__builtin_mul_overflow(number, 10, &number)) return false;
        if (__builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number)) return false;
    }
    if (number > (uint64_t)INT64_MAX + negative) return false;
    *out = (int64_t)(negative ? 0 - number : number);
    return true;
}

/* Adds a value. Its text, if it has one, is at this offset. */
static int add(cre_redis_reader *reader, unsigned type, size_t offset, size_t length, int64_t integer) {
    if (reader->count == reader->capacity_values) {
        enum { FIRST = 16 };
        uint32_t capacity = reader->capacity_values ? 2 * reader->capacity_values : FIRST;
        if (capacity > reader->limits.max_values) capacity = reader->limits.max_values;
        cre_redis_value *values = cre__realloc(reader->values, capacity * sizeof *values);
        if (!values) return CRE_ENOMEM;
        reader->values = values;
        reader->capacity_values = capacity;
    }
    reader->values[reader->count++] = (cre_redis_value){
        .type = (cre_redis_type)type,
        .size = 1,
        .integer = integer,
        .text = { (const uint8_t *)offset, length },
    };
    return 0;
}

/* Ends the levels whose last member is complete. An attribute is removed, and the value that it belongs to
 * takes its place: its level expects one member more. */
static void complete(cre_redis_reader *reader) {
    while (reader->depth && reader->levels[reader->depth - 1].left == 0) {
        const uint32_t index = reader->levels[--reader->depth].value;
        cre_redis_value *value = &reader->values[index];
        if ((unsigned)value->type == ATTRIBUTE) {
            reader->count = index;
            if (reader->depth) reader->expected++;
            return;
        }
        value->size = reader->count - index;
        if (reader->depth) reader->levels[reader->depth - 1].left--;
    }
}

/* A value without members is complete. */
static void complete_one(cre_redis_reader *reader) {
    if (reader->depth) reader->levels[reader->depth - 1].left--;
    complete(reader);
}

static int begin_aggregate(cre_redis_reader *reader, unsigned type, int64_t members) {
    if (members < 0 || members > INT32_MAX) return CRE_EREDIS_PROTOCOL;
    if (type == CRE_REDIS_MAP || type == ATTRIBUTE) members *= 2;
    reader->expected += (uint64_t)members;
    if (reader->count + 1 + reader->expected > reader->limits.max_values) return CRE_EREDIS_TOO_LARGE;
    if (reader->depth == CRE_REDIS_MAX_DEPTH) return CRE_EREDIS_DEPTH;
    const int error = add(reader, type, 0, 0, 0);
    if (error) return error;
    reader->values[reader->count - 1].count = (uint32_t)members;
    reader->levels[reader->depth].value = reader->count - 1;
    reader->levels[reader->depth++].left = (uint32_t)members;
    complete(reader);
    return 0;
}

/* The first `format` bytes of the string are not a part of its text. */
static int begin_bulk(cre_redis_reader *reader, unsigned type, int64_t length, unsigned format) {
    const size_t most = reader->limits.max_bytes;
    if (length < (int64_t)format) return CRE_EREDIS_PROTOCOL;
    if ((uint64_t)length > most || reader->at + (size_t)length + 2 > most) return CRE_EREDIS_TOO_LARGE;
    const int error = add(reader, type, reader->at + format, (size_t)length - format, 0);
    if (!error) reader->body = (size_t)length + 2;
    return error;
}

static int add_simple(cre_redis_reader *reader, unsigned type, size_t offset, size_t length,
                      int64_t integer) {
    const int error = add(reader, type, offset, length, integer);
    if (!error) complete_one(reader);
    return error;
}

static bool is_decimal(const uint8_t *text, size_t length) {
    if (length && (*text == '-' || *text == '+')) {
        text++;
        length--;
    }
    for (size_t i = 0; i < length; i++)
        if (text[i] < '0' || text[i] > '9') return false;
    return length > 0;
}

/* A line at `offset`, without its type and its end. `reader->at` is behind it. */
static int read_line(cre_redis_reader *reader, uint8_t type, const uint8_t *data, size_t offset,
                     size_t length) {
    const uint8_t *text = data + offset;
    const uint64_t all = reader->count + 1 + reader->expected;
    if (all > reader->limits.max_values) return CRE_EREDIS_TOO_LARGE;
    switch (type) {
    case '+': return add_simple(reader, CRE_REDIS_STRING, offset, length, 0);
    case '-': return add_simple(reader, CRE_REDIS_ERROR, offset, length, 0);
    case ',': return length ? add_simple(reader, CRE_REDIS_DOUBLE, offset, length, 0) : CRE_EREDIS_PROTOCOL;
    case '(':
        if (!is_decimal(text, length)) return CRE_EREDIS_PROTOCOL;
        return add_simple(reader, CRE_REDIS_BIG, offset, length, 0);
    case '_': return length ? CRE_EREDIS_PROTOCOL : add_simple(reader, CRE_REDIS_NULL, 0, 0, 0);
    case '#':
        if (length != 1 || (*text != 't' && *text != 'f')) return CRE_EREDIS_PROTOCOL;
        return add_simple(reader, CRE_REDIS_BOOLEAN, 0, 0, *text == 't');
    default: break;
    }
    int64_t number;
    if (!parse_integer(text, length, &number)) return CRE_EREDIS_PROTOCOL;
    if (number == -1 && (type == '$' || type == '*')) return add_simple(reader, CRE_REDIS_NULL, 0, 0, 0);
    switch (type) {
    case ':': return add_simple(reader, CRE_REDIS_INTEGER, 0, 0, number);
    case '$': return begin_bulk(reader, CRE_REDIS_STRING, number, 0);
    case '=': return begin_bulk(reader, CRE_REDIS_STRING, number, 4); /* "txt:" */
    case '!': return begin_bulk(reader, CRE_REDIS_ERROR, number, 0);
    case '*': return begin_aggregate(reader, CRE_REDIS_ARRAY, number);
    case '~': return begin_aggregate(reader, CRE_REDIS_SET, number);
    case '%': return begin_aggregate(reader, CRE_REDIS_MAP, number);
    case '>': return reader->depth ? CRE_EREDIS_PROTOCOL : begin_aggregate(reader, CRE_REDIS_PUSH, number);
    default: return begin_aggregate(reader, ATTRIBUTE, number); /* '|': the scan knows the types */
    }
}

static size_t longest_line(const cre_redis_reader *reader, uint8_t type) {
    switch (type) {
    case '+':
    case '-':
    case '(': return reader->limits.max_line;
    case ',':
    case '_':
    case '#':
    case ':':
    case '$':
    case '=':
    case '!':
    case '*':
    case '~':
    case '%':
    case '>':
    case '|': return MAX_NUMBER;
    default: return 0;
    }
}

static int end_bulk(cre_redis_reader *reader, const uint8_t *data) {
    cre_redis_value *value = &reader->values[reader->count - 1];
    const size_t offset = (size_t)value->text.data, end = offset + value->text.length;
    if (data[end] != '\r' || data[end + 1] != '\n') return CRE_EREDIS_PROTOCOL;
    reader->at += reader->body;
    reader->body = 0;
    complete_one(reader);
    return 0;
}

/* Understands more of the value, of which `have` bytes are at `data`. Returns 1 when it is complete, 0 when
 * *missing more bytes are needed, 0 of them standing for those up to the end of a line. */
static int scan(cre_redis_reader *reader, const uint8_t *data, size_t have, size_t *missing) {
    for (;;) {
        int error = 0;
        if (reader->body) {
            if (have - reader->at < reader->body) {
                *missing = reader->body - (have - reader->at);
                return 0;
            }
            error = end_bulk(reader, data);
        } else {
            *missing = 0;
            if (have == reader->at) return 0;
            const uint8_t type = data[reader->at];
            const size_t longest = longest_line(reader, type), start = reader->at + 1;
            if (!longest) return CRE_EREDIS_PROTOCOL;
            const size_t from = reader->searched > start ? reader->searched : start;
            const uint8_t *found = memchr(data + from, '\n', have - from);
            const size_t length = (found ? (size_t)(found - data) : have) - start; /* with the CR */
            const size_t known = length < longest + 1 ? length : longest + 1;
            if (start + known > reader->limits.max_bytes) return CRE_EREDIS_TOO_LARGE;
            if (length > longest + 1)
                return longest == MAX_NUMBER ? CRE_EREDIS_PROTOCOL : CRE_EREDIS_TOO_LARGE;
            if (!found) {
                reader->searched = have;
                return 0;
            }
            if (!length || found[-1] != '\r') return CRE_EREDIS_PROTOCOL;
            reader->at = (size_t)(found + 1 - data);
            if (reader->at > reader->limits.max_bytes) return CRE_EREDIS_TOO_LARGE;
            if (reader->depth) reader->expected--;
            error = read_line(reader, type, data, start, length - 1);
        }
        if (error) return error;
        /* without a value there was an attribute, and the value follows */
        if (!reader->depth && !reader->body && reader->count) return 1;
    }
}

static void set_texts(cre_redis_reader *reader, const uint8_t *data) {
    for (uint32_t i = 0; i < reader->count; i++) {
        cre_redis_value *value = &reader->values[i];
        switch (value->type) {
        case CRE_REDIS_STRING:
        case CRE_REDIS_ERROR:
        case CRE_REDIS_DOUBLE:
        case CRE_REDIS_BIG: value->text.data = data + (size_t)value->text.data; break;
        default: value->text = (cre_slice){ 0 };
        }
    }
}

/* Forgets the value that the last call returned, and memory that a large one has taken. */
static void begin(cre_redis_reader *reader) {
    enum { KEPT_BYTES = 65536, KEPT_VALUES = 1024 };
    if (reader->capacity > KEPT_BYTES) {
        cre__free(reader->buffer);
        reader->buffer = NULL;
        reader->capacity = 0;
    }
    if (reader->capacity_values > KEPT_VALUES) {
        cre__free(reader->values);
        reader->values = NULL;
        reader->capacity_values = 0;
    }
    reader->used = reader->at = reader->searched = 0;
    reader->count = 0;
    reader->expected = 0;
}

int cre_redis_reader_next(cre_redis_reader *reader, const uint8_t **cursor, const uint8_t *end,
                          const cre_redis_value **value) {
    const bool returned = reader->count && !reader->depth && !reader->body;
    if (returned) begin(reader);
    for (;;) {
        const size_t available = (size_t)(end - *cursor);
        const uint8_t *data = reader->used ? reader->buffer : *cursor;
        size_t missing = 0;
        const int result = scan(reader, data, reader->used ? reader->used : available, &missing);
        if (result < 0) return result;
        if (result) {
            if (!reader->used) *cursor += reader->at;
            set_texts(reader, data);
            *value = reader->values;
            return 1;
        }
        if (!available) return 0;
        /* only bytes of this value, so that the next one can be returned from the input */
        size_t take = available;
        if (reader->used) {
            const uint8_t *line_end = missing ? NULL : memchr(*cursor, '\n', available);
            if (line_end) take = (size_t)(line_end - *cursor) + 1;
            if (missing && missing < take) take = missing;
        }
        const int error = cre__append(&reader->buffer, &reader->used, &reader->capacity, *cursor, take);
        if (error) return error;
        *cursor += take;
    }
}
