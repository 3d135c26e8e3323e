/* The check of the origins that may open a WebSocket. */
#include <creactor/handshake.h>
#include <string.h>

#include "chars.h"

typedef struct origin_parts {
    const char *scheme, *host, *port;
    size_t scheme_length, host_length, port_length;
} origin_parts;

/* Splits scheme://host[:port]. False for other texts, such as "null". */
static bool split(const char *text, size_t length, origin_parts *parts) {
    const char *end = text + length, *at = text;
    while (at < end && *at != ':')
        at++;
    if (end - at < 4 || at == text || memcmp(at, "://", 3) != 0) return false;
    parts->scheme = text;
    parts->scheme_length = (size_t)(at - text);
    parts->host = at += 3;
    if (*at == '[') {
        while (at < end && *at != ']')
            at++;
        if (at == end) return false;
        at++;
    } else {
        while (at < end && *at != ':')
            at++;
    }
    parts->host_length = (size_t)(at - parts->host);
    if (at < end && *at != ':') return false;
    parts->port = at < end ? at + 1 : at;
    parts->port_length = (size_t)(end - parts->port);
    if (at < end && !parts->port_length) return false;
    if (memchr(parts->host, '/', (size_t)(end - parts->host))) return false;
    if (!parts->port_length) {
        bool secure = cre__is_word(text, parts->scheme_length, "https") ||
                      cre__is_word(text, parts->scheme_length, "wss");
        parts->port = secure ? "443" : "80";
        parts->port_length = secure ? 3 : 2;
    }
    return parts->host_length > 0;
}

static bool same(const char *a, size_t a_length, const char *b, size_t b_length) {
    if (a_length != b_length) return false;
    for (size_t i = 0; i < a_length; i++)
        if (cre__lower((uint8_t)a[i]) != cre__lower((uint8_t)b[i])) return false;
    return true;
}

bool cre_ws_origin_allowed(const char *origin, size_t origin_length, const char *const *allowed,
                           size_t count) {
    origin_parts parts, entry;
    bool is_origin = split(origin, origin_length, &parts);
    for (size_t i = 0; i < count; i++) {
        const size_t length = strlen(allowed[i]);
        if (length == 1 && allowed[i][0] == '*') return true;
        if (!is_origin || !split(allowed[i], length, &entry)) {
            if (same(origin, origin_length, allowed[i], length)) return true;
            continue;
        }
        if (!same(parts.scheme, parts.scheme_length, entry.scheme, entry.scheme_length) ||
            !same(parts.port, parts.port_length, entry.port, entry.port_length))
            continue;
        if (entry.host_length > 2 && entry.host[0] == '*' && entry.host[1] == '.') {
            /* with the dot: "evilexample.com" is no subdomain of "example.com" */
            const size_t tail = entry.host_length - 1;
            if (parts.host_length > tail &&
                same(parts.host + parts.host_length - tail, tail, entry.host + 1, tail))
                return true;
        } else if (same(parts.host, parts.host_length, entry.host, entry.host_length)) {
            return true;
        }
    }
    return false;
}
