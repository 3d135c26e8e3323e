/* Percent-encoding, paths, queries. */
#include <creactor/http_uri.h>
#include <limits.h>
#include <string.h>

#include "chars.h"

/* The byte encoded by the escape at `at`, -1 for an invalid escape. */
static int escaped(const char *at, const char *end) {
    if (end - at < 3) return -1;
    int high = cre__hex[(uint8_t)at[1]], low = cre__hex[(uint8_t)at[2]];
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static int decode(const char *text, size_t length, char *out, bool plus) {
    const char *end = text + length;
    char *to = out;
    if (length > INT_MAX) return CRE_ELIMIT;
    for (const char *at = text; at < end; at++) {
        if (*at == '%') {
            int byte = escaped(at, end);
            if (byte < 0) return CRE_EHTTP_ENCODING;
            *to++ = (char)byte;
            at += 2;
        } else {
            *to++ = plus && *at == '+' ? ' ' : *at;
        }
    }
    return (int)(to - out);
}

int cre_http_percent_decode(const char *text, size_t length, char *out) {
    return decode(text, length, out, false);
}

int cre_http_form_decode(const char *text, size_t length, char *out) {
    return decode(text, length, out, true);
}

int cre_http_percent_encode(const char *text, size_t length, char *out, size_t capacity) {
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)text[i];
        bool plain = cre__is(byte, CRE__PLAIN);
        size_t size = plain ? 1 : 3;
        if (capacity - used < size || used + size > INT_MAX) return CRE_ELIMIT;
        if (plain) {
            out[used] = (char)byte;
        } else {
            out[used] = '%';
            out[used + 1] = "0123456789ABCDEF"[byte >> 4];
            out[used + 2] = "0123456789ABCDEF"[byte & 15];
        }
        used += size;
    }
    return (int)used;
}

/* `out` always has a path that starts with a slash and does not end with one, or is empty. */
int cre_http_path_resolve(const char *path, size_t length, char *out) {
    const char *at = path, *end = path + length;
    size_t used = 0;
    bool folder = true; /* the path ends in a slash, or in a dot segment */
    if (length > INT_MAX) return CRE_ELIMIT;
    if (!length || *path != '/') return CRE_EHTTP_BAD_TARGET;
    while (at < end) {
        while (at < end && *at == '/')
            at++;
        folder = true;
        if (at == end) break;
        const size_t segment = used;
        out[used++] = '/';
        for (; at < end && *at != '/'; at++) {
            int byte = (uint8_t)*at;
            if (byte == '%') {
                byte = escaped(at, end);
                if (byte <= 0 || byte == '/' || byte == '\\') return CRE_EHTTP_ENCODING;
                at += 2;
            } else if (!byte) {
                return CRE_EHTTP_ENCODING;
            }
            out[used++] = (char)byte;
        }
        folder = false;
        const size_t size = used - segment - 1;
        if (size == 1 && out[segment + 1] == '.') {
            used = segment;
            folder = true;
        } else if (size == 2 && out[segment + 1] == '.' && out[segment + 2] == '.') {
            if (segment == 0) return CRE_EHTTP_BAD_TARGET;
            for (used = segment; out[used - 1] != '/';)
                used--;
            used--;
            folder = true;
        }
    }
    if (folder) out[used++] = '/';
    return (int)used;
}

void cre_http_query_of(cre_http_query *query, const char *text, size_t length, size_t max_pairs) {
    *query = (cre_http_query){ text, text + length, max_pairs ? max_pairs : 1000 };
}

int cre_http_query_next(cre_http_query *query, cre_http_pair *pair) {
    while (query->at < query->end && *query->at == '&')
        query->at++;
    if (query->at == query->end) return 0;
    if (!query->left) return CRE_ELIMIT;
    query->left--;
    const char *stop = memchr(query->at, '&', (size_t)(query->end - query->at));
    if (!stop) stop = query->end;
    const char *equals = memchr(query->at, '=', (size_t)(stop - query->at));
    pair->name = query->at;
    pair->name_length = (size_t)((equals ? equals : stop) - query->at);
    pair->value = equals ? equals + 1 : stop;
    pair->value_length = (size_t)(stop - pair->value);
    query->at = stop;
    return 1;
}

/* Whether an encoded name is `name` after decoding. */
static bool named(const cre_http_pair *pair, const char *name, size_t name_length) {
    const char *at = pair->name, *end = at + pair->name_length;
    size_t i = 0;
    for (; at < end && i < name_length; at++, i++) {
        int byte = (uint8_t)*at;
        if (byte == '+') byte = ' ';
        if (byte == '%') {
            byte = escaped(at, end);
            at += 2;
        }
        if (byte != (uint8_t)name[i]) return false;
    }
    return at == end && i == name_length;
}

int cre_http_query_get(const char *text, size_t length, const char *name, size_t name_length, char *out,
                       size_t capacity) {
    cre_http_query query;
    cre_http_pair pair;
    int more;
    cre_http_query_of(&query, text, length, 0);
    while ((more = cre_http_query_next(&query, &pair)) > 0) {
        if (!named(&pair, name, name_length)) continue;
        /* the decoded value may fit when the encoded one does not, so its length is computed first */
        size_t size = pair.value_length;
        for (size_t i = 0; i < pair.value_length; i++)
            if (pair.value[i] == '%' && size >= 2) size -= 2;
        if (size > capacity) return CRE_ELIMIT;
        return cre_http_form_decode(pair.value, pair.value_length, out);
    }
    return more < 0 ? more : CRE_EHTTP_NOT_FOUND;
}
