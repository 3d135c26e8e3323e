/* What tests of responses on real sockets have in common: a server, a request, and the bytes that answer it.
 */
#ifndef CRE_TEST_HTTP_NET_H
#define CRE_TEST_HTTP_NET_H

#include "both.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

static inline net_server *start(uint32_t max_queue) {
    return net_start((cre_engine_config){ .http = true, .max_queue = max_queue }, NULL);
}

static inline cre_session request(net_server *net, net_client *client, const char *text) {
    net_send(client, text, strlen(text));
    return net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
}

/* Checks everything up to the end of `mark`, without Date fields. */
static inline void expect(net_client *client, const char *mark, const char *text) {
    size_t size = net_find(client, mark);
    char got[1000] = "";
    REQUIRE(size < sizeof got);
    memcpy(got, client->data, size);
    got[size] = 0;
    for (char *date; (date = strstr(got, "Date: "));) {
        const char *end = strstr(date, "\r\n") + 2;
        memmove(date, end, strlen(end) + 1);
    }
    CHECK_STR(got, text);
    net_take(client, size);
}

#endif
