#include "cluster/inquiry.h"

#include <creactor/error.h>
#include <stdio.h>
#include <string.h>

/* The role of a master comes with the list of its replicas, each range of slots with its nodes. */
enum { MAX_REPLY = 64 << 10, MAX_VALUES = 4096, MAX_SLOTS_REPLY = 8 << 20, MAX_SLOTS_VALUES = 512 << 10 };
enum { AUTH = 1, QUESTION = 2 };

static cre_slice text(const char *string) {
    return (cre_slice){ (const uint8_t *)string, strlen(string) };
}

/* ---- questions ---- */

static int begin(cre__inquiry *inquiry, const char *user, const char *password, const cre_slice *question,
                 size_t count) {
    const bool is_slot = inquiry->question == CRE__ASKS_SLOT;
    const cre_redis_session_config config = {
        .size = sizeof config,
        .limits = { .max_bytes = is_slot ? MAX_SLOTS_REPLY : MAX_REPLY,
                    .max_values = is_slot ? MAX_SLOTS_VALUES : MAX_VALUES },
    };
    int result = cre_redis_session_create(&config, &inquiry->session);
    if (!result && password) {
        const cre_slice auth[] = { text("AUTH"), text(user ? user : "default"), text(password) };
        result = cre_redis_session_command(inquiry->session, auth, 3, AUTH);
    }
    if (!result) result = cre_redis_session_command(inquiry->session, question, count, QUESTION);
    if (result) cre__inquiry_end(inquiry);
    return result;
}

int cre__inquiry_begin(cre__inquiry *inquiry, const char *master, const char *user, const char *password) {
    const cre_slice role[] = { text("ROLE") };
    const cre_slice address[] = { text("SENTINEL"), text("GET-MASTER-ADDR-BY-NAME"),
                                  text(master ? master : "") };
    *inquiry = (cre__inquiry){ .question = master ? CRE__ASKS_MASTER : CRE__ASKS_ROLE };
    return begin(inquiry, user, password, master ? address : role, master ? 3 : 1);
}

int cre__inquiry_begin_slot(cre__inquiry *inquiry, uint32_t slot, const char *user, const char *password,
                            void (*node)(void *context, const char *host, uint16_t port), void *context) {
    const cre_slice slots[] = { text("CLUSTER"), text("SLOTS") };
    *inquiry = (cre__inquiry){
        .question = CRE__ASKS_SLOT, .slot = (uint16_t)slot, .node = node, .context = context
    };
    return begin(inquiry, user, password, slots, 2);
}

cre_slice cre__inquiry_output(const cre__inquiry *inquiry) {
    return cre_redis_session_output(inquiry->session);
}

/* ---- replies ---- */

static bool is_host(const cre_redis_value *value) {
    return value->type == CRE_REDIS_STRING && value->text.length && value->text.length <= CRE__MAX_HOST &&
           !memchr(value->text.data, 0, value->text.length);
}

static void copy_host(const cre_redis_value *value, char out[CRE__MAX_HOST + 1]) {
    memcpy(out, value->text.data, value->text.length);
    out[value->text.length] = 0;
}

/* A host and a port. */
static int read_address(cre__inquiry *inquiry, const cre_redis_value *value) {
    if (value->type == CRE_REDIS_NULL) return CRE_EBROKER_NO_MASTER;
    if (value->type != CRE_REDIS_ARRAY || value->count != 2 || value->size != 3) return CRE_EREDIS_PROTOCOL;
    const cre_slice digits = value[2].text;
    if (value[2].type != CRE_REDIS_STRING || !is_host(&value[1])) return CRE_EREDIS_PROTOCOL;
    uint32_t port = 0;
    for (size_t i = 0; i < digits.length && port <= UINT16_MAX; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') return CRE_EREDIS_PROTOCOL;
        port = port * 10 + (digits.data[i] - '0');
    }
    if (!port || port > UINT16_MAX) return CRE_EREDIS_PROTOCOL;
    copy_host(&value[1], inquiry->host);
    inquiry->port = (uint16_t)port;
    return 1;
}

static int read_role(const cre_redis_value *value) {
    if (value->type != CRE_REDIS_ARRAY || !value->count || value[1].type != CRE_REDIS_STRING)
        return CRE_EREDIS_PROTOCOL;
    return cre_redis_text_is(value[1].text, "master") ? 1 : CRE_EBROKER_NO_MASTER;
}

/* A host, a port, and more. A host that the node does not know is the one that was asked. */
static bool read_node(const cre_redis_value *value, char host[CRE__MAX_HOST + 1], uint16_t *port) {
    if (value->type != CRE_REDIS_ARRAY || value->count < 2) return false;
    const cre_redis_value *name = value + 1, *number = name + name->size;
    const bool is_unknown =
        name->type == CRE_REDIS_NULL ||
        (name->type == CRE_REDIS_STRING && (!name->text.length || cre_redis_text_is(name->text, "?")));
    if ((!is_unknown && !is_host(name)) || number->type != CRE_REDIS_INTEGER) return false;
    if (number->integer < 1 || number->integer > UINT16_MAX) return false;
    *port = (uint16_t)number->integer;
    host[0] = 0;
    if (!is_unknown) copy_host(name, host);
    return true;
}

/* Ranges, each with its first and last slot, its master and its replicas. */
static int read_slots(cre__inquiry *inquiry, const cre_redis_value *value) {
    const cre_redis_value *end = value + value->size;
    int result = CRE_EBROKER_NO_NODE;
    if (value->type != CRE_REDIS_ARRAY) return CRE_EREDIS_PROTOCOL;
    for (const cre_redis_value *range = value + 1; range < end; range += range->size) {
        if (range->type != CRE_REDIS_ARRAY || range->count < 3) return CRE_EREDIS_PROTOCOL;
        const cre_redis_value *first = range + 1, *last = range + 2, *node = range + 3;
        if (first->type != CRE_REDIS_INTEGER || last->type != CRE_REDIS_INTEGER) return CRE_EREDIS_PROTOCOL;
        const bool is_wanted = first->integer <= inquiry->slot && inquiry->slot <= last->integer;
        for (bool is_master = true; node < range + range->size; node += node->size, is_master = false) {
            char host[CRE__MAX_HOST + 1];
            uint16_t port;
            /* port 0: a node without the kind of connection that was used to ask */
            if (!read_node(node, host, &port)) {
                if (is_master && is_wanted) return CRE_EREDIS_PROTOCOL;
                continue;
            }
            if (is_master && is_wanted) {
                memcpy(inquiry->host, host, sizeof host);
                inquiry->port = port;
                result = 1;
            }
            if (host[0]) inquiry->node(inquiry->context, host, port);
        }
    }
    return result;
}

static int read_error(cre__inquiry *inquiry, cre_slice error) {
    static const char disabled[] = "ERR This instance has cluster support disabled";
    const size_t length = sizeof disabled - 1;
    const bool is_disabled = error.length >= length && !memcmp(error.data, disabled, length);
    if (inquiry->question == CRE__ASKS_SLOT && is_disabled) return CRE_EBROKER_NO_CLUSTER;
    snprintf(inquiry->refusal, sizeof inquiry->refusal, "%.*s", (int)error.length, (const char *)error.data);
    return CRE_EBROKER_REFUSED;
}

int cre__inquiry_received(cre__inquiry *inquiry, const uint8_t *data, size_t length) {
    const uint8_t *cursor = data;
    cre_redis_event event;
    int result;
    while ((result = cre_redis_session_next(inquiry->session, &cursor, data + length, &event)) > 0) {
        if (result != CRE_REDIS_SESSION_REPLY) continue;
        if (event.value->type == CRE_REDIS_ERROR) return read_error(inquiry, event.value->text);
        if (event.tag != QUESTION) continue;
        switch (inquiry->question) {
        case CRE__ASKS_MASTER: return read_address(inquiry, event.value);
        case CRE__ASKS_ROLE: return read_role(event.value);
        case CRE__ASKS_SLOT: return read_slots(inquiry, event.value);
        }
    }
    return result;
}

void cre__inquiry_end(cre__inquiry *inquiry) {
    cre_redis_session_destroy(inquiry->session);
    inquiry->session = NULL;
}
