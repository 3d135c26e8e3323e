#include "cluster/sentinel.h"

#include <creactor/error.h>
#include <string.h>

/* The role of a master comes with the list of its replicas. */
enum { AUTH = 1, QUESTION = 2, MAX_REPLY = 64 << 10, MAX_VALUES = 4096 };

static cre_slice text(const char *string) {
    return (cre_slice){ (const uint8_t *)string, strlen(string) };
}

int cre__inquiry_begin(cre__inquiry *inquiry, const char *master, const char *user, const char *password) {
    const cre_redis_session_config config = {
        .size = sizeof config, .limits = { .max_bytes = MAX_REPLY, .max_values = MAX_VALUES }
    };
    *inquiry = (cre__inquiry){ .asks_role = !master };
    int result = cre_redis_session_create(&config, &inquiry->session);
    if (!result && password) {
        const cre_slice auth[] = { text("AUTH"), text(user ? user : "default"), text(password) };
        result = cre_redis_session_command(inquiry->session, auth, 3, AUTH);
    }
    const cre_slice role[] = { text("ROLE") };
    const cre_slice address[] = { text("SENTINEL"), text("GET-MASTER-ADDR-BY-NAME"),
                                  text(master ? master : "") };
    if (!result)
        result =
            cre_redis_session_command(inquiry->session, master ? address : role, master ? 3 : 1, QUESTION);
    if (result) cre__inquiry_end(inquiry);
    return result;
}

cre_slice cre__inquiry_output(const cre__inquiry *inquiry) {
    return cre_redis_session_output(inquiry->session);
}

/* A host and a port. */
static int read_address(cre__inquiry *inquiry, const cre_redis_value *value) {
    if (value->type == CRE_REDIS_NULL) return CRE_EBROKER_NO_MASTER;
    if (value->type != CRE_REDIS_ARRAY || value->count != 2 || value->size != 3) return CRE_EREDIS_PROTOCOL;
    const cre_slice host = value[1].text, digits = value[2].text;
    if (value[1].type != CRE_REDIS_STRING || value[2].type != CRE_REDIS_STRING || !host.length ||
        host.length > CRE__MAX_MASTER_HOST || memchr(host.data, 0, host.length))
        return CRE_EREDIS_PROTOCOL;
    uint32_t port = 0;
    for (size_t i = 0; i < digits.length && port <= UINT16_MAX; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') return CRE_EREDIS_PROTOCOL;
        port = port * 10 + (digits.data[i] - '0');
    }
    if (!port || port > UINT16_MAX) return CRE_EREDIS_PROTOCOL;
    memcpy(inquiry->host, host.data, host.length);
    inquiry->host[host.length] = 0;
    inquiry->port = (uint16_t)port;
    return 1;
}

static int read_role(const cre_redis_value *value) {
    if (value->type != CRE_REDIS_ARRAY || !value->count || value[1].type != CRE_REDIS_STRING)
        return CRE_EREDIS_PROTOCOL;
    return cre_redis_text_is(value[1].text, "master") ? 1 : CRE_EBROKER_NO_MASTER;
}

int cre__inquiry_received(cre__inquiry *inquiry, const uint8_t *data, size_t length) {
    const uint8_t *cursor = data;
    cre_redis_event event;
    int result;
    while ((result = cre_redis_session_next(inquiry->session, &cursor, data + length, &event)) > 0) {
        if (result != CRE_REDIS_SESSION_REPLY) continue;
        if (event.value->type == CRE_REDIS_ERROR) return CRE_EBROKER_REFUSED;
        if (event.tag != QUESTION) continue;
        return inquiry->asks_role ? read_role(event.value) : read_address(inquiry, event.value);
    }
    return result;
}

void cre__inquiry_end(cre__inquiry *inquiry) {
    cre_redis_session_destroy(inquiry->session);
    inquiry->session = NULL;
}
