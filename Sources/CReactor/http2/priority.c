/*
 * The Priority field (RFC 9218): a dictionary of structured fields (RFC 8941 section 4.2), of which `u` and
 * `i` have a meaning. All of it is parsed, because a dictionary that is invalid anywhere is ignored.
 */
#include "core/memory.h"

#ifdef CRE_HAVE_HTTP2
#include "http/chars.h"
#include "http2/http2_internal.h"

typedef struct cursor {
    const uint8_t *at, *end;
} cursor;

/* What a member is, as far as that has a meaning here. */
typedef struct item {
    enum { OTHER, INTEGER, BOOLEAN } kind;
    int64_t number;
} item;

static bool next_is(const cursor *in, char byte) {
    return in->at < in->end && *in->at == (uint8_t)byte;
}

static bool skip(cursor *in, char byte) {
    if (!next_is(in, byte)) return false;
    in->at++;
    return true;
}

static void skip_spaces(cursor *in, bool tabs) {
    while (skip(in, ' ') || (tabs && skip(in, '\t')))
        ;
}

static bool is_digit(const cursor *in) {
    return in->at < in->end && cre__is(*in->at, CRE__DIGIT);
}

static bool is_lower(const cursor *in) {
    return in->at < in->end && (uint8_t)(*in->at - 'a') < 26;
}

/* ---- items ---- */

static bool key(cursor *in) {
    if (!is_lower(in) && !next_is(in, '*')) return false;
    while (is_lower(in) || is_digit(in) || next_is(in, '_') || next_is(in, '-') || next_is(in, '.') ||
           next_is(in, '*'))
        in->at++;
    return true;
}

static bool number(cursor *in, item *found) {
    const bool negative = skip(in, '-');
    int64_t sum = 0;
    int digits = 0, behind = 0;
    for (; is_digit(in); digits++) {
        if (digits == 15) return false;
        sum = sum * 10 + (*in->at++ - '0');
    }
    if (!digits) return false;
    if (!skip(in, '.')) {
        *found = (item){ INTEGER, negative ? -sum : sum };
        return true;
    }
    for (; is_digit(in); behind++)
        in->at++;
    return digits <= 12 && behind >= 1 && behind <= 3;
}

static bool string(cursor *in) {
    for (in->at++; in->at < in->end; in->at++) {
        if (*in->at < ' ' || *in->at >= 0x7F) return false;
        if (skip(in, '"')) return true;
        if (skip(in, '\\') && !next_is(in, '"') && !next_is(in, '\\')) return false;
    }
    return false;
}

static bool bytes(cursor *in) {
    for (in->at++; in->at < in->end; in->at++) {
        if (skip(in, ':')) return true;
        if (!cre__is(*in->at, CRE__ALPHA | CRE__DIGIT) && !next_is(in, '+') && !next_is(in, '/') &&
            !next_is(in, '='))
            return false;
    }
    return false;
}

static bool boolean(cursor *in, item *found) {
    in->at++;
    if (!next_is(in, '0') && !next_is(in, '1')) return false;
    *found = (item){ BOOLEAN, *in->at++ == '1' };
    return true;
}

static bool token(cursor *in) {
    if (!cre__is(*in->at, CRE__ALPHA) && *in->at != '*') return false;
    while (in->at < in->end && (cre__is(*in->at, CRE__TOKEN) || *in->at == ':' || *in->at == '/'))
        in->at++;
    return true;
}

static bool bare_item(cursor *in, item *found) {
    *found = (item){ OTHER, 0 };
    if (in->at == in->end) return false;
    switch (*in->at) {
    case '"': return string(in);
    case ':': return bytes(in);
    case '?': return boolean(in, found);
    default: return *in->at == '-' || is_digit(in) ? number(in, found) : token(in);
    }
}

static bool parameters(cursor *in) {
    item value;
    while (skip(in, ';')) {
        skip_spaces(in, false);
        if (!key(in) || (skip(in, '=') && !bare_item(in, &value))) return false;
    }
    return true;
}

static bool list(cursor *in) {
    item value;
    in->at++;
    for (;;) {
        skip_spaces(in, false);
        if (skip(in, ')')) return parameters(in);
        if (!bare_item(in, &value) || !parameters(in)) return false;
        if (!next_is(in, ' ') && !next_is(in, ')')) return false;
    }
}

/* ---- the dictionary ---- */

static bool member(cursor *in, cre__h2_priority *priority) {
    const uint8_t *name = in->at;
    item value = { BOOLEAN, 1 };
    if (!key(in)) return false;
    const bool short_name = in->at - name == 1;
    if (!skip(in, '=')) {
        if (!parameters(in)) return false;
    } else if (next_is(in, '(')) {
        value.kind = OTHER;
        if (!list(in)) return false;
    } else if (!bare_item(in, &value) || !parameters(in)) {
        return false;
    }
    /* the last value of a key holds; one that cannot be used stands for the default */
    const bool is_urgency = value.kind == INTEGER && value.number >= 0 && value.number <= 7;
    if (short_name && *name == 'u')
        priority->urgency = is_urgency ? (uint8_t)value.number : NGHTTP2_EXTPRI_DEFAULT_URGENCY;
    if (short_name && *name == 'i') priority->incremental = value.kind == BOOLEAN && value.number;
    return true;
}

bool cre__h2_priority_read(const uint8_t *value, size_t length, cre__h2_priority *priority) {
    cursor in = { value, value + length };
    skip_spaces(&in, false);
    while (in.at < in.end) {
        if (!member(&in, priority)) return false;
        skip_spaces(&in, true);
        if (in.at == in.end) break;
        if (!skip(&in, ',')) return false;
        skip_spaces(&in, true);
        if (in.at == in.end) return false;
    }
    return true;
}

#endif
