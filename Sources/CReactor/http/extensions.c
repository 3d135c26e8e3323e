#include "http/extensions.h"

#include <creactor/http_list.h>

#include "http/chars.h"

static const char *skip_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* Moves *at past a token and the white space after it. False: there is none. */
static bool take_token(const char **at, const char *end) {
    const char *start = *at;
    while (*at < end && cre__is((uint8_t)**at, CRE__TOKEN))
        ++*at;
    bool any = *at > start;
    *at = skip_space(*at, end);
    return any;
}

/* Moves *at past a quoted string, whose content without escapes must be a token, and the white space after
 * it. */
static bool take_quoted(const char **at, const char *end) {
    const char *start = ++*at;
    for (; *at < end && **at != '"'; ++*at) {
        if (**at == '\\' && ++*at == end) return false;
        if (!cre__is((uint8_t)**at, CRE__TOKEN)) return false;
    }
    if (*at == end || *at == start) return false;
    *at = skip_space(*at + 1, end);
    return true;
}

/* Whether a text is token *( ";" token [ "=" ( token | quoted-string ) ] ), with optional white space in
 * between.
 */
static bool extension_valid(const char *at, size_t length) {
    const char *end = at + length;
    if (!take_token(&at, end)) return false;
    while (at < end) {
        if (*at != ';') return false;
        at = skip_space(at + 1, end);
        if (!take_token(&at, end)) return false;
        if (at == end || *at != '=') continue;
        at = skip_space(at + 1, end);
        if (at == end || !(*at == '"' ? take_quoted(&at, end) : take_token(&at, end))) return false;
    }
    return true;
}

bool cre__extensions_valid(const cre_http_head *head, const cre_http_field *fields,
                           const uint8_t *head_bytes) {
    cre_http_list list;
    const char *extension;
    size_t length, count = 0;
    cre_http_list_of(&list, head, fields, head_bytes, "sec-websocket-extensions", 24);
    for (; cre_http_list_next(&list, &extension, &length); count++)
        if (!extension_valid(extension, length)) return false;
    return count > 0;
}
