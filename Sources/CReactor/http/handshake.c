/* The WebSocket opening handshake. */
#include <creactor/handshake.h>
#include <creactor/http_list.h>
#include <string.h>

#include "chars.h"
#include "core/base64.h"
#include "extensions.h"
#include "out.h"
#include "sha1.h"

/* cre_http_find for a constant name in a function whose arguments have the usual names. */
#define FIND(name) cre_http_find(head, fields, head_bytes, name, sizeof(name) - 1)

static bool repeated(const cre_http_head *head, const cre_http_field *fields, const uint8_t *head_bytes,
                     const char *name, const cre_http_field *first) {
    return cre_http_find_next(head, fields, head_bytes, name, strlen(name), first) != NULL;
}

static bool key_valid(const uint8_t *key, size_t length) {
    uint8_t random[CRE_WS_KEY_LENGTH / 4 * 3];
    char text[CRE_WS_KEY_LENGTH];
    if (length != CRE_WS_KEY_LENGTH) return false;
    memcpy(text, key, length);
    return cre__base64_decode(text, length, random) == 16;
}

/* Checks offered subprotocols: a list of at least one token. */
static int protocols_check(const cre_http_head *head, const cre_http_field *fields,
                           const uint8_t *head_bytes) {
    cre_http_list list;
    const char *name;
    size_t length;
    bool any = false;
    cre_http_list_of(&list, head, fields, head_bytes, "sec-websocket-protocol", 22);
    while (cre_http_list_next(&list, &name, &length)) {
        if (!cre__all(name, length, CRE__TOKEN)) return CRE_EHTTP_HANDSHAKE_PROTOCOL;
        any = true;
    }
    return any ? 0 : CRE_EHTTP_HANDSHAKE_PROTOCOL;
}

int cre_ws_request_check(const cre_http_head *head, const cre_http_field *fields, const uint8_t *head_bytes,
                         cre_ws_handshake *out) {
    if (head->method != CRE_HTTP_GET || head->flags & CRE_HTTP_HAS_BODY) return CRE_EHTTP_HANDSHAKE_METHOD;
    const bool http2 = head->flags & CRE_HTTP_2;
    if (head->minor != 1 && !http2) return CRE_EHTTP_HANDSHAKE_HTTP;
    if (!head->host_length) return CRE_EHTTP_HANDSHAKE_HOST;
    if (!(head->flags & CRE_HTTP_UPGRADE_WEBSOCKET)) return CRE_EHTTP_HANDSHAKE_UPGRADE;
    if (!(head->flags & CRE_HTTP_CONNECTION_UPGRADE) && !http2) return CRE_EHTTP_HANDSHAKE_CONNECTION;

    /* the version first: in another version the key may have another form */
    const cre_http_field *version = FIND("sec-websocket-version");
    if (!version || version->value_length != 2 || memcmp(head_bytes + version->value, "13", 2) != 0 ||
        repeated(head, fields, head_bytes, "sec-websocket-version", version))
        return CRE_EHTTP_HANDSHAKE_VERSION;
    const cre_http_field *key = http2 ? NULL : FIND("sec-websocket-key");
    if (!http2 && (!key || !key_valid(head_bytes + key->value, key->value_length) ||
                   repeated(head, fields, head_bytes, "sec-websocket-key", key)))
        return CRE_EHTTP_HANDSHAKE_KEY;
    const cre_http_field *origin = FIND("origin");

    *out = (cre_ws_handshake){
        .has_protocols = FIND("sec-websocket-protocol") != NULL,
        .has_extensions = FIND("sec-websocket-extensions") != NULL,
        .has_origin = origin != NULL,
        .origin = origin ? origin->value : 0,
        .origin_length = origin ? origin->value_length : 0,
    };
    if (key) memcpy(out->key, head_bytes + key->value, CRE_WS_KEY_LENGTH);
    if (out->has_extensions && !cre__extensions_valid(head, fields, head_bytes))
        return CRE_EHTTP_HANDSHAKE_EXTENSION;
    return out->has_protocols ? protocols_check(head, fields, head_bytes) : 0;
}

void cre_ws_accept(const uint8_t key[CRE_WS_KEY_LENGTH], char out[CRE_WS_ACCEPT_LENGTH]) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[CRE_WS_KEY_LENGTH + sizeof guid - 1], digest[20];
    memcpy(text, key, CRE_WS_KEY_LENGTH);
    memcpy(text + CRE_WS_KEY_LENGTH, guid, sizeof guid - 1);
    cre__sha1(text, sizeof text, digest);
    cre__base64_encode(digest, sizeof digest, out);
}

/* Whether a field belongs to the handshake, so that a caller must not add it. */
static bool belongs_to_handshake(const cre_http_header *field) {
    return cre__frames_message(field) || cre__is_word(field->name, field->name_length, "host") ||
           cre__is_word(field->name, field->name_length, "upgrade") ||
           cre__is_word(field->name, field->name_length, "sec-websocket-key") ||
           cre__is_word(field->name, field->name_length, "sec-websocket-version") ||
           cre__is_word(field->name, field->name_length, "sec-websocket-accept") ||
           cre__is_word(field->name, field->name_length, "sec-websocket-protocol") ||
           cre__is_word(field->name, field->name_length, "sec-websocket-extensions");
}

static int finish(cre__out *out, const cre_http_header *fields, size_t field_count) {
    for (size_t i = 0; i < field_count; i++)
        if (!belongs_to_handshake(&fields[i])) cre__put_field(out, &fields[i]);
    cre__put_text(out, "\r\n");
    return cre__out_result(out);
}

static bool subprotocol_valid(const char *name) {
    return !name || (*name && cre__all(name, strlen(name), CRE__TOKEN));
}

int cre_ws_write_response(char *room, size_t capacity, const char accept[CRE_WS_ACCEPT_LENGTH],
                          const char *subprotocol, const char *extensions, const cre_http_header *fields,
                          size_t field_count) {
    cre__out out = cre__out_make(room, capacity);
    if (!subprotocol_valid(subprotocol)) return CRE_EHTTP_INVALID_FIELD;
    cre__put_text(&out, "HTTP/1.1 101 Switching Protocols\r\n"
                        "Upgrade: websocket\r\n"
                        "Connection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: ");
    cre__put(&out, accept, CRE_WS_ACCEPT_LENGTH);
    cre__put_text(&out, "\r\n");
    cre__put_named(&out, "Sec-WebSocket-Protocol", subprotocol);
    cre__put_named(&out, "Sec-WebSocket-Extensions", extensions);
    return finish(&out, fields, field_count);
}

int cre_ws_response_fields(cre_http_header *out, size_t capacity, const char *subprotocol,
                           const char *extensions, const cre_http_header *fields, size_t field_count) {
    const cre_http_header own[] = {
        { "sec-websocket-protocol", subprotocol, 22, subprotocol ? (uint32_t)strlen(subprotocol) : 0 },
        { "sec-websocket-extensions", extensions, 24, extensions ? (uint32_t)strlen(extensions) : 0 },
    };
    size_t count = 0;
    if (!subprotocol_valid(subprotocol)) return CRE_EHTTP_INVALID_FIELD;
    for (size_t i = 0; i < 2 + field_count; i++) {
        const cre_http_header *field = i < 2 ? &own[i] : &fields[i - 2];
        if (i < 2 ? !field->value : belongs_to_handshake(field)) continue;
        if (!cre_http_header_valid(field)) return CRE_EHTTP_INVALID_FIELD;
        if (count == capacity) return CRE_ELIMIT;
        out[count++] = *field;
    }
    return (int)count;
}

const cre_http_header *cre_ws_version_field(void) {
    static const cre_http_header field = { "Sec-WebSocket-Version", "13", 21, 2 };
    return &field;
}

const cre_http_header *cre_ws_upgrade_field(void) {
    static const cre_http_header field = { "Upgrade", "websocket", 7, 9 };
    return &field;
}

int cre_ws_choose_subprotocol(const cre_http_head *head, const cre_http_field *fields,
                              const uint8_t *head_bytes, const char *const *supported, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const size_t wanted = strlen(supported[i]);
        cre_http_list list;
        const char *name;
        size_t length;
        cre_http_list_of(&list, head, fields, head_bytes, "sec-websocket-protocol", 22);
        while (cre_http_list_next(&list, &name, &length))
            if (length == wanted && memcmp(name, supported[i], length) == 0) return (int)i;
    }
    return -1;
}

/* ---- the client side ---- */

void cre_ws_key(const uint8_t random[16], char out[CRE_WS_KEY_LENGTH]) {
    cre__base64_encode(random, 16, out);
}

int cre_ws_write_request(char *room, size_t capacity, const cre_ws_request *request) {
    cre__out out = cre__out_make(room, capacity);
    if (!*request->target || !cre__all(request->target, strlen(request->target), CRE__TARGET) ||
        !*request->host || !cre__all(request->host, strlen(request->host), CRE__TARGET))
        return CRE_EHTTP_INVALID_FIELD;
    cre__put_text(&out, "GET ");
    cre__put_string(&out, request->target);
    cre__put_text(&out, " HTTP/1.1\r\n");
    cre__put_named(&out, "Host", request->host);
    cre__put_text(&out, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ");
    cre__put(&out, request->key, CRE_WS_KEY_LENGTH);
    cre__put_text(&out, "\r\nSec-WebSocket-Version: 13\r\n");
    cre__put_named(&out, "Sec-WebSocket-Protocol", request->subprotocols);
    cre__put_named(&out, "Sec-WebSocket-Extensions", request->extensions);
    cre__put_named(&out, "Origin", request->origin);
    return finish(&out, request->fields, request->field_count);
}

static cre_http_header named(const char *name, const char *value) {
    return (cre_http_header){ name, value, (uint32_t)strlen(name), value ? (uint32_t)strlen(value) : 0 };
}

int cre_ws_request_fields(cre_http_header *out, size_t capacity, const cre_ws_request *request) {
    const cre_http_header own[] = { named("sec-websocket-version", "13"),
                                    named("sec-websocket-protocol", request->subprotocols),
                                    named("sec-websocket-extensions", request->extensions),
                                    named("origin", request->origin) };
    const size_t own_count = sizeof own / sizeof *own;
    size_t count = 0;
    for (size_t i = 0; i < own_count + request->field_count; i++) {
        const cre_http_header *field = i < own_count ? &own[i] : &request->fields[i - own_count];
        if (i < own_count ? !field->value : belongs_to_handshake(field)) continue;
        if (!cre_http_header_valid(field)) return CRE_EHTTP_INVALID_FIELD;
        if (count == capacity) return CRE_ELIMIT;
        out[count++] = *field;
    }
    return (int)count;
}

static bool offered(const char *offer, const char *name, size_t length) {
    cre_http_list list;
    const char *element;
    size_t size;
    if (!offer) return false;
    cre_http_list_of_value(&list, offer, strlen(offer));
    while (cre_http_list_next(&list, &element, &size))
        if (size == length && memcmp(element, name, size) == 0) return true;
    return false;
}

/* The part of the response that only HTTP/1.1 has. */
static int upgrade_check(const cre_http_head *head, const cre_http_field *fields, const uint8_t *head_bytes,
                         const char key[CRE_WS_KEY_LENGTH]) {
    if (head->status != 101) return CRE_EHTTP_HANDSHAKE_STATUS;
    if (head->minor != 1) return CRE_EHTTP_HANDSHAKE_HTTP;
    if (!(head->flags & CRE_HTTP_UPGRADE_WEBSOCKET)) return CRE_EHTTP_HANDSHAKE_UPGRADE;
    if (!(head->flags & CRE_HTTP_CONNECTION_UPGRADE)) return CRE_EHTTP_HANDSHAKE_CONNECTION;

    uint8_t sent[CRE_WS_KEY_LENGTH];
    char expected[CRE_WS_ACCEPT_LENGTH];
    memcpy(sent, key, sizeof sent);
    cre_ws_accept(sent, expected);
    const cre_http_field *accept = FIND("sec-websocket-accept");
    if (!accept || accept->value_length != CRE_WS_ACCEPT_LENGTH ||
        memcmp(head_bytes + accept->value, expected, CRE_WS_ACCEPT_LENGTH) != 0 ||
        repeated(head, fields, head_bytes, "sec-websocket-accept", accept))
        return CRE_EHTTP_HANDSHAKE_ACCEPT;
    return 0;
}

int cre_ws_response_check(const cre_http_head *head, const cre_http_field *fields, const uint8_t *head_bytes,
                          const char key[CRE_WS_KEY_LENGTH], const char *offered_subprotocols,
                          const char *offered_extensions, const cre_http_field **subprotocol) {
    if (subprotocol) *subprotocol = NULL;
    int result = head->flags & CRE_HTTP_2 ? head->status / 100 == 2 ? 0 : CRE_EHTTP_HANDSHAKE_STATUS
                                          : upgrade_check(head, fields, head_bytes, key);
    if (result) return result;
    if (FIND("sec-websocket-extensions") &&
        (!offered_extensions || !cre__extensions_valid(head, fields, head_bytes)))
        return CRE_EHTTP_HANDSHAKE_EXTENSION;
    const cre_http_field *chosen = FIND("sec-websocket-protocol");
    if (!chosen) return 0;
    if (repeated(head, fields, head_bytes, "sec-websocket-protocol", chosen) ||
        !offered(offered_subprotocols, (const char *)head_bytes + chosen->value, chosen->value_length))
        return CRE_EHTTP_HANDSHAKE_PROTOCOL;
    if (subprotocol) *subprotocol = chosen;
    return 0;
}
