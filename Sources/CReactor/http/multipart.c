/* The parser of multipart/form-data. */
#include <creactor/http_multipart.h>
#include <string.h>

#include "chars.h"
#include "parameters.h"

enum {
    PREAMBLE,    /* before the first boundary */
    BODY,        /* of a part */
    BOUNDARY,    /* right after a boundary */
    PADDING,     /* white space behind it */
    BOUNDARY_LF, /* after the CR that ends its line */
    CLOSE_DASH,  /* after the first dash of the closing boundary */
    HEAD,        /* a part's fields */
    DONE
};

static bool boundary_valid(const char *text, size_t length) {
    if (!length || length > CRE_HTTP_BOUNDARY_MAX || text[length - 1] == ' ') return false;
    for (size_t i = 0; i < length; i++)
        if (!cre__is((uint8_t)text[i], CRE__ALPHA | CRE__DIGIT) &&
            (!text[i] || !strchr("'()+_,-./:=? ", text[i])))
            return false;
    return true;
}

int cre_http_multipart_init(cre_http_multipart *parser, const char *content_type, size_t length,
                            uint32_t max_parts) {
    const char *at = content_type, *end = at + length;
    size_t type = cre__parameters_start(&at, end);
    if (!cre__is_word(content_type, type, "multipart/form-data")) return CRE_EHTTP_NOT_MULTIPART;
    const char *boundary = NULL;
    size_t boundary_length = 0;
    cre__parameter parameter;
    int more;
    while ((more = cre__parameters_next(&at, end, &parameter)) > 0) {
        if (!cre__is_word(parameter.name, parameter.name_length, "boundary")) continue;
        if (boundary) return CRE_EHTTP_MULTIPART;
        boundary = parameter.value;
        boundary_length = parameter.value_length;
    }
    if (more < 0 || !boundary || !boundary_valid(boundary, boundary_length)) return CRE_EHTTP_MULTIPART;

    memset(parser, 0, offsetof(cre_http_multipart, head));
    memcpy(parser->boundary, "\r\n--", 4);
    memcpy(parser->boundary + 4, boundary, boundary_length);
    parser->boundary_length = (uint8_t)(4 + boundary_length);
    parser->max_parts = max_parts ? max_parts : CRE_HTTP_DEFAULT_PARTS;
    parser->state = PREAMBLE;
    parser->matched = parser->borrowed = 2; /* the start of the body is the start of a line */
    return 0;
}

/* ---- a part's fields ---- */

/* Removes the escapes of a quoted value in place. Only \" and \\ are escapes: some clients send paths with
 * single backslashes. */
static cre_http_text unescape(char *text, size_t length) {
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\\' && i + 1 < length && (text[i + 1] == '"' || text[i + 1] == '\\')) i++;
        text[used++] = text[i];
    }
    return (cre_http_text){ text, used };
}

static int disposition(cre_http_multipart *parser, char *value, size_t length) {
    const char *at = value, *end = value + length;
    cre__parameter parameter;
    int more;
    if (parser->name.text || !cre__is_word(value, cre__parameters_start(&at, end), "form-data"))
        return CRE_EHTTP_MULTIPART;
    while ((more = cre__parameters_next(&at, end, &parameter)) > 0) {
        bool name = cre__is_word(parameter.name, parameter.name_length, "name");
        bool file = cre__is_word(parameter.name, parameter.name_length, "filename");
        if (!name && !file) continue;
        if (name ? parser->name.text != NULL : parser->has_filename) return CRE_EHTTP_MULTIPART;
        cre_http_text text = { parameter.value, parameter.value_length };
        if (parameter.quoted) text = unescape(value + (parameter.value - value), parameter.value_length);
        if (name) {
            parser->name = text;
        } else {
            parser->filename = text;
            parser->has_filename = true;
        }
    }
    return more < 0 || !parser->name.text ? CRE_EHTTP_MULTIPART : 0;
}

/* Parses one line of the part's head, without its line end. */
static int field(cre_http_multipart *parser, char *line, size_t length) {
    const char *colon = memchr(line, ':', length);
    if (!colon || colon == line) return CRE_EHTTP_MULTIPART;
    const size_t name = (size_t)(colon - line);
    char *value = line + name + 1, *end = line + length;
    if (!cre__all(line, name, CRE__TOKEN) || !cre__all(value, (size_t)(end - value), CRE__VALUE))
        return CRE_EHTTP_MULTIPART;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (cre__is_word(line, name, "content-disposition"))
        return disposition(parser, value, (size_t)(end - value));
    if (cre__is_word(line, name, "content-type"))
        parser->type = (cre_http_text){ value, (size_t)(end - value) };
    return 0;
}

static int part_head(cre_http_multipart *parser) {
    const cre_http_text none = { NULL, 0 };
    char *at = parser->head, *end = at + parser->head_length - 2;
    parser->name = parser->filename = parser->type = none;
    parser->has_filename = false;
    if (parser->parts == parser->max_parts) return CRE_EHTTP_MULTIPART_LIMIT;
    parser->parts++;
    while (at < end) {
        char *feed = memchr(at, '\n', (size_t)(end - at));
        if (!feed || feed == at || feed[-1] != '\r') return CRE_EHTTP_MULTIPART;
        int error = field(parser, at, (size_t)(feed - 1 - at));
        if (error) return error;
        at = feed + 1;
    }
    return parser->name.text ? CRE_HTTP_MULTIPART_PART : CRE_EHTTP_MULTIPART;
}

/* Buffers the part's head. 1: it is complete. */
static int collect_head(cre_http_multipart *parser, const uint8_t **cursor, const uint8_t *end) {
    for (const uint8_t *at = *cursor; at < end;) {
        if (parser->head_length == CRE_HTTP_PART_HEAD_MAX) return CRE_EHTTP_MULTIPART_LIMIT;
        const char byte = parser->head[parser->head_length++] = (char)*at++;
        if (byte != '\n') continue;
        const char *tail = parser->head + parser->head_length;
        if (parser->head_length == 2 ? tail[-2] == '\r'
                                     : parser->head_length >= 4 && memcmp(tail - 4, "\r\n\r\n", 4) == 0) {
            *cursor = at;
            return 1;
        }
    }
    *cursor = end;
    return 0;
}

/* ---- bodies and boundaries ---- */

/*
 * Searches for the boundary from *cursor on. Returns DATA with a run before it, PART_END when *cursor is
 * behind the boundary, or MORE. A boundary starts with its only CR, so a failed match can restart only at a
 * CR.
 */
static int body(cre_http_multipart *parser, const uint8_t **cursor, const uint8_t *end) {
    const uint8_t *start = *cursor;
    const size_t size = parser->boundary_length;
    if (parser->matched) {
        const uint8_t *at = start;
        while (parser->matched < size && at < end && *at == (uint8_t)parser->boundary[parser->matched]) {
            parser->matched++;
            at++;
        }
        *cursor = at;
        if (parser->matched == size) {
            parser->matched = parser->borrowed = 0;
            return CRE_HTTP_MULTIPART_PART_END;
        }
        if (at == end) return CRE_HTTP_MULTIPART_MORE;
        parser->data = (const uint8_t *)parser->boundary + parser->borrowed;
        parser->length = (size_t)(parser->matched - parser->borrowed);
        parser->matched = parser->borrowed = 0;
        if (parser->length) return CRE_HTTP_MULTIPART_DATA;
        start = at;
    }
    const uint8_t *run_end = end;
    for (const uint8_t *at = start; at < end; at++) {
        at = memchr(at, '\r', (size_t)(end - at));
        if (!at) break;
        const size_t rest = (size_t)(end - at), seen = rest < size ? rest : size;
        if (memcmp(at, parser->boundary, seen) != 0) continue;
        if (at == start) {
            *cursor = at + seen;
            if (seen == size) return CRE_HTTP_MULTIPART_PART_END;
            parser->matched = (uint8_t)seen;
            return CRE_HTTP_MULTIPART_MORE;
        }
        run_end = at;
        break;
    }
    *cursor = run_end;
    if (run_end == start) return CRE_HTTP_MULTIPART_MORE;
    parser->data = start;
    parser->length = (size_t)(run_end - start);
    return CRE_HTTP_MULTIPART_DATA;
}

/* Parses one byte of a boundary's line. Returns 0 or an error. */
static int boundary_line(cre_http_multipart *parser, uint8_t byte) {
    switch (parser->state) {
    case BOUNDARY:
        if (byte == '-') {
            parser->state = CLOSE_DASH;
            return 0;
        }
        /* fall through */
    case PADDING:
        if (byte == '\r')
            parser->state = BOUNDARY_LF;
        else if (byte == ' ' || byte == '\t')
            parser->state = PADDING;
        else
            return CRE_EHTTP_MULTIPART;
        return 0;
    case BOUNDARY_LF:
        if (byte != '\n') return CRE_EHTTP_MULTIPART;
        parser->head_length = 0;
        parser->state = HEAD;
        return 0;
    default:
        if (byte != '-') return CRE_EHTTP_MULTIPART;
        parser->state = DONE;
        return 0;
    }
}

int cre_http_multipart_next(cre_http_multipart *parser, const uint8_t **cursor, const uint8_t *end) {
    for (;;) {
        int event;
        switch (parser->state) {
        case DONE: *cursor = end; return CRE_HTTP_MULTIPART_END;
        case PREAMBLE:
            event = body(parser, cursor, end);
            if (event == CRE_HTTP_MULTIPART_MORE) return event;
            if (event == CRE_HTTP_MULTIPART_PART_END) parser->state = BOUNDARY;
            break;
        case BODY:
            event = body(parser, cursor, end);
            if (event == CRE_HTTP_MULTIPART_PART_END) parser->state = BOUNDARY;
            return event;
        case HEAD:
            event = collect_head(parser, cursor, end);
            if (event <= 0) return event;
            parser->state = BODY;
            /* the boundary may follow at once: then the empty line also starts it */
            parser->matched = parser->borrowed = 2;
            return part_head(parser);
        default:
            if (*cursor == end) return CRE_HTTP_MULTIPART_MORE;
            event = boundary_line(parser, *(*cursor)++);
            if (event) return event;
        }
    }
}
