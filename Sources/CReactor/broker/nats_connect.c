/* The beginning of a connection: INFO of the server, CONNECT of the broker. */
#include <creactor/signature.h>
#include <stdio.h>

#include "broker/nats.h"
#include "core/base64.h"
#include "core/memory.h"
#include "nats/json.h"
#include "nats/nkey.h"

static bool flag(cre_slice info, const char *name) {
    cre_slice value;
    return cre__json_member(info, name, &value) && cre__json_is_true(value);
}

/* Whether the version, such as "2.12.0-RC.1", is 2.12 or later. */
static bool has_batches(cre_slice info) {
    enum { MAJOR = 2, MINOR = 12 };
    cre_slice value, version;
    char text[32] = "";
    unsigned major, minor;
    if (!cre__json_member(info, "version", &value) || !cre__json_string(value, &version)) return false;
    memcpy(text, version.data, version.length < sizeof text ? version.length : sizeof text - 1);
    if (sscanf(text, "%5u.%5u", &major, &minor) != 2) return false;
    return major > MAJOR || (major == MAJOR && minor >= MINOR);
}

/* "10.0.0.5:4222" or "[::1]:4222". */
static void report_server(cre_broker *broker, uint32_t shard, cre_slice address) {
    uint64_t port;
    size_t colon = address.length;
    while (colon && address.data[colon - 1] != ':')
        colon--;
    if (colon < 2) return;
    if (!cre__json_number((cre_slice){ address.data + colon, address.length - colon }, &port)) return;
    cre_slice host = { address.data, colon - 1 };
    if (host.length > 2 && *host.data == '[' && host.data[host.length - 1] == ']')
        host = (cre_slice){ host.data + 1, host.length - 2 };
    if (port && port <= UINT16_MAX && memchr(host.data, 0, host.length) == NULL)
        broker->handlers.server(broker->context, shard, host, (uint16_t)port);
}

static void report_servers(cre_broker *broker, uint32_t shard, cre_slice info) {
    enum { MOST = 64 };
    cre_slice list, value, address;
    if (!broker->handlers.server || !cre__json_member(info, "connect_urls", &list)) return;
    for (int i = 0; i < MOST && cre__json_next(&list, &value); i++)
        if (cre__json_string(value, &address)) report_server(broker, shard, address);
}

static void refuse(cre_broker *broker, uint32_t shard, const char *text) {
    cre__link_fail(broker, shard, CRE_EBROKER_REFUSED, cre__text(text));
}

void cre__nats_inform(cre_broker *broker, uint32_t shard, cre_slice info) {
    cre__nats_link *nats = cre__nats(broker, shard);
    cre_slice value, nonce;
    if (cre__json_member(info, "max_payload", &value)) cre__json_number(value, &nats->max_payload);
    report_servers(broker, shard, info);
    if (nats->informed) return;
    nats->informed = true;
    nats->batches = has_batches(info);
    nats->clustered =
        cre__json_member(info, "cluster", &value) && cre__json_string(value, &nonce) && nonce.length;
    if (cre__json_member(info, "nonce", &value) && cre__json_string(value, &nonce) &&
        nonce.length <= sizeof nats->nonce) {
        memcpy(nats->nonce, nonce.data, nonce.length);
        nats->nonce_length = nonce.length;
    }
    const bool secure = broker->config.tls == CRE_BROKER_TLS_AFTER_INFO;
    if (!flag(info, "headers")) {
        refuse(broker, shard, "the server has no headers: NATS 2.9 or later is needed");
    } else if (secure && !flag(info, "tls_required") && !flag(info, "tls_available")) {
        refuse(broker, shard, "the server has no TLS");
    } else if (!broker->config.tls && flag(info, "tls_required")) {
        refuse(broker, shard, "the server requires TLS");
    } else if (secure) {
        broker->handlers.secure(broker->context, shard);
    } else {
        cre__nats_connect(broker, shard);
    }
}

/* ---- CONNECT ---- */

static uint8_t *put(uint8_t *out, const char *text) {
    const size_t length = strlen(text);
    memcpy(out, text, length);
    return out + length;
}

static uint8_t *put_member(uint8_t *out, const char *name, const char *value) {
    if (!value) return out;
    out = put(put(put(out, ",\""), name), "\":");
    return cre__json_put(out, cre__text(value));
}

/* Base64 for URLs, without padding. */
static uint8_t *put_signature(uint8_t *out, const uint8_t signature[64]) {
    char text[64 / 3 * 4 + 8];
    size_t length = cre__base64_encode(signature, 64, text);
    while (text[length - 1] == '=')
        length--;
    for (size_t i = 0; i < length; i++)
        *out++ = (uint8_t)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    return out;
}

static uint8_t *put_nkey(cre_broker *broker, uint32_t shard, uint8_t *out) {
    const cre__nats_link *nats = cre__nats(broker, shard);
    uint8_t key[CRE__NKEY], signature[64];
    int error = cre_ed25519_public(broker->seed, key);
    if (!error) error = cre_ed25519_sign(broker->seed, nats->nonce, nats->nonce_length, signature);
    if (error) {
        cre__link_fail(broker, shard, error, (cre_slice){ 0 });
        return out;
    }
    if (!broker->jwt) {
        char user[CRE__NKEY_TEXT + 1];
        cre__nkey_user(key, user);
        user[CRE__NKEY_TEXT] = 0;
        out = put_member(out, "nkey", user);
    }
    out = put_signature(put(out, ",\"sig\":\""), signature);
    return put(out, "\"");
}

static size_t size_of(const char *text) {
    return text ? 6 * strlen(text) : 0;
}

void cre__nats_connect(cre_broker *broker, uint32_t shard) {
    cre__nats_link *nats = cre__nats(broker, shard);
    enum { FIXED = 1024 };
    const size_t most = FIXED + size_of(broker->user) + size_of(broker->password) + size_of(broker->token) +
                        size_of(broker->jwt);
    uint8_t *text = cre__malloc(most), *at = text;
    if (!text) {
        cre__link_fail(broker, shard, CRE_ENOMEM, (cre_slice){ 0 });
        return;
    }
    at = put(at, "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,"
                 "\"protocol\":1,\"lang\":\"c\",\"name\":\"SwiftServer\",\"tls_required\":");
    at = put(at, broker->config.tls ? "true" : "false");
    at = put_member(at, "user", broker->user);
    at = put_member(at, "pass", broker->password);
    at = put_member(at, "auth_token", broker->token);
    at = put_member(at, "jwt", broker->jwt);
    if (broker->has_seed) at = put_nkey(broker, shard, at);
    at = put(at, "}\r\n");
    nats->connected = true;
    /* The PONG shows that the server has accepted it. */
    if (cre__nats_write(broker, shard, text, (size_t)(at - text)) &&
        cre__nats_write(broker, shard, CRE_NATS_PING_LINE, sizeof CRE_NATS_PING_LINE - 1))
        nats->pings++;
    explicit_bzero(text, (size_t)(at - text));
    cre__free(text);
}
