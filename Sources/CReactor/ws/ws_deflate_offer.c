/* Negotiation of permessage-deflate (RFC 7692 section 7.1). */
#include <creactor/websocket_deflate.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/config.h"

enum { ABSENT = 0, NO_VALUE = 255 };

/* The parameters of one extension as sent. */
typedef struct offer {
    bool server_no_context_takeover, client_no_context_takeover;
    uint8_t server_bits, client_bits; /* ABSENT, 8 to 15, or for the client NO_VALUE */
} offer;

typedef enum kind { END, OTHER, INVALID, DEFLATE } kind;

typedef struct reader {
    const char *at, *end;
} reader;

typedef struct word {
    const char *text;
    size_t length;
} word;

static bool is_token(char c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is(word w, const char *text) {
    return w.length == strlen(text) && strncasecmp(w.text, text, w.length) == 0;
}

static void skip_space(reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
        r->at++;
}

static bool skip(reader *r, char c) {
    skip_space(r);
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

static bool read_token(reader *r, word *out) {
    skip_space(r);
    out->text = r->at;
    while (r->at < r->end && is_token(*r->at))
        r->at++;
    out->length = (size_t)(r->at - out->text);
    return out->length > 0;
}

/* Reads a token, plain or quoted. A quoted one with escapes is no known value and becomes empty. */
static bool read_value(reader *r, word *out) {
    if (!skip(r, '"')) return read_token(r, out);
    out->text = r->at;
    bool escaped = false;
    for (; r->at < r->end && *r->at != '"'; r->at++) {
        if (*r->at != '\\') continue;
        escaped = true;
        if (++r->at == r->end) return false;
    }
    if (r->at == r->end) return false;
    out->length = escaped ? 0 : (size_t)(r->at - out->text);
    r->at++;
    return true;
}

/* Skips to the next extension of the list, past quoted strings. */
static void skip_element(reader *r) {
    bool quoted = false;
    for (; r->at < r->end && (quoted || *r->at != ','); r->at++) {
        if (*r->at == '"') quoted = !quoted;
        if (quoted && *r->at == '\\' && r->at + 1 < r->end) r->at++;
    }
}

static uint8_t window_bits(word value) {
    if (value.length == 1 && value.text[0] >= '8' && value.text[0] <= '9')
        return (uint8_t)(value.text[0] - '0');
    if (value.length == 2 && value.text[0] == '1' && value.text[1] >= '0' && value.text[1] <= '5')
        return (uint8_t)(10 + value.text[1] - '0');
    return ABSENT;
}

/* Records a parameter. False: it is unknown, repeated, or has an invalid value. */
static bool take_parameter(offer *o, word name, const word *value) {
    if (is(name, "server_no_context_takeover") || is(name, "client_no_context_takeover")) {
        bool *flag =
            (name.text[0] | 0x20) == 's' ? &o->server_no_context_takeover : &o->client_no_context_takeover;
        if (*flag || value) return false;
        *flag = true;
        return true;
    }
    bool server = is(name, "server_max_window_bits");
    if (!server && !is(name, "client_max_window_bits")) return false;
    uint8_t *bits = server ? &o->server_bits : &o->client_bits;
    if (*bits != ABSENT) return false;
    *bits = value ? window_bits(*value) : server ? ABSENT : NO_VALUE;
    return *bits != ABSENT;
}

/* Reads the next extension of the list. */
static kind read_extension(reader *r, offer *o) {
    *o = (offer){ 0 };
    while (skip(r, ','))
        ;
    if (r->at == r->end) return END;
    word name, value;
    bool good = read_token(r, &name);
    kind result = good && is(name, "permessage-deflate") ? DEFLATE : OTHER;
    while (good && skip(r, ';')) {
        good = read_token(r, &name);
        if (!good) break;
        bool has_value = skip(r, '=');
        if (has_value) good = read_value(r, &value);
        if (good && result == DEFLATE && !take_parameter(o, name, has_value ? &value : NULL))
            result = INVALID;
    }
    skip_space(r);
    if (!good || (r->at < r->end && *r->at != ',')) result = INVALID;
    skip_element(r);
    return result;
}

static uint8_t or_full(uint8_t bits) {
    return bits >= 8 && bits <= 15 ? bits : 15;
}

static uint8_t least(uint8_t a, uint8_t b) {
    return a < b ? a : b;
}

static size_t write_extension(char out[CRE_WS_DEFLATE_MAX_EXTENSION], bool server_no, bool client_no,
                              uint8_t server_bits, uint8_t client_bits) {
    char server[40] = "", client[40] = "";
    if (server_bits) snprintf(server, sizeof server, "; server_max_window_bits=%d", server_bits);
    if (client_bits == NO_VALUE)
        snprintf(client, sizeof client, "; client_max_window_bits");
    else if (client_bits)
        snprintf(client, sizeof client, "; client_max_window_bits=%d", client_bits);
    char text[CRE_WS_DEFLATE_MAX_EXTENSION + 1];
    int length = snprintf(text, sizeof text, "permessage-deflate%s%s%s%s",
                          server_no ? "; server_no_context_takeover" : "",
                          client_no ? "; client_no_context_takeover" : "", server, client);
    memcpy(out, text, (size_t)length);
    return (size_t)length;
}

size_t cre_ws_deflate_accept(const cre_ws_deflate_config *config, const char *offers, size_t length,
                             cre_ws_deflate_parameters *agreed, char out[CRE_WS_DEFLATE_MAX_EXTENSION]) {
    cre_ws_deflate_config own;
    if (cre__config_take(&own, sizeof own, config)) return 0;
    config = &own;
    reader r = { offers, offers + length };
    offer o;
    kind found;
    do
        found = read_extension(&r, &o);
    while (found == OTHER || found == INVALID);
    if (found == END) return 0;

    uint8_t server_bits = or_full(config->server_window_bits), client_bits = 15;
    if (o.server_bits) server_bits = least(server_bits, o.server_bits);
    if (o.client_bits) /* otherwise the client may be unable to limit its window */
        client_bits = least(or_full(config->client_window_bits), o.client_bits);
    *agreed = (cre_ws_deflate_parameters){
        .server_no_context_takeover = config->server_no_context_takeover || o.server_no_context_takeover,
        .client_no_context_takeover = config->client_no_context_takeover || o.client_no_context_takeover,
        .server_window_bits = server_bits,
        .client_window_bits = client_bits,
    };
    return write_extension(out, agreed->server_no_context_takeover, agreed->client_no_context_takeover,
                           server_bits < 15 || o.server_bits ? server_bits : 0,
                           client_bits < 15 ? client_bits : 0);
}

size_t cre_ws_deflate_offer(const cre_ws_deflate_config *config, char out[CRE_WS_DEFLATE_MAX_EXTENSION]) {
    cre_ws_deflate_config own;
    if (cre__config_take(&own, sizeof own, config)) return 0;
    config = &own;
    uint8_t server = or_full(config->server_window_bits), client = or_full(config->client_window_bits);
    return write_extension(out, config->server_no_context_takeover, config->client_no_context_takeover,
                           server < 15 ? server : 0, client < 15 ? client : NO_VALUE);
}

int cre_ws_deflate_agree(const cre_ws_deflate_config *config, const char *answer, size_t length,
                         cre_ws_deflate_parameters *agreed) {
    cre_ws_deflate_config own;
    int result = cre__config_take(&own, sizeof own, config);
    if (result) return result;
    config = &own;
    reader r = { answer, answer + length };
    offer o, more;
    kind found = read_extension(&r, &o);
    if (found == END) return 0;
    if (found != DEFLATE || read_extension(&r, &more) != END) return CRE_EWS_EXTENSION;
    uint8_t server_bits = or_full(config->server_window_bits),
            client_bits = or_full(config->client_window_bits);
    if (o.client_bits == NO_VALUE || o.client_bits > client_bits) return CRE_EWS_EXTENSION;
    if (config->server_no_context_takeover && !o.server_no_context_takeover) return CRE_EWS_EXTENSION;
    if (or_full(o.server_bits) > server_bits) return CRE_EWS_EXTENSION;
    *agreed = (cre_ws_deflate_parameters){
        .server_no_context_takeover = o.server_no_context_takeover,
        .client_no_context_takeover = config->client_no_context_takeover || o.client_no_context_takeover,
        .server_window_bits = or_full(o.server_bits),
        .client_window_bits = o.client_bits ? o.client_bits : client_bits,
    };
    return 1;
}
