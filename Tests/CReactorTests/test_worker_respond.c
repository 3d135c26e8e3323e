/* Responses of a worker that owns the sockets of its clients. */
#include <creactor/http_write.h>

#include "net.h"
#include "runtime/worker_internal.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

typedef struct server {
    cre_bus *bus;
    cre_worker *worker;
    net_server net; /* for clients: their waits turn the loop */
    cre_record requests[4];
    int count;
} server;

static void on_event(void *context, const cre_record *event, uint8_t *payload) {
    server *it = context;
    (void)payload;
    if (event->kind == CRE_EVENT_REQUEST && it->count < 4) it->requests[it->count++] = *event;
}

static void start(server *it) {
    *it = (server){ 0 };
    cre_bus_config bus = { .nodes = 2, .connections = 10 };
    REQUIRE(cre_bus_create(&bus, &it->bus) == 0);
    cre_engine_config engine = { .size = sizeof engine, .http = true, .max_pipelined = 4 };
    cre_worker_config config = {
        .bus = it->bus, .node = 1, .on_event = on_event, .context = it, .engine = &engine
    };
    REQUIRE(cre_loop_create(&it->net.loop) == 0);
    REQUIRE(cre_worker_create(it->net.loop, &config, &it->worker) == 0);
    cre_listen_options where = { .size = sizeof where, .host = "127.0.0.1" };
    REQUIRE(cre_engine_listen(cre_worker_engine(it->worker), &where, &it->net.port) == 0);
}

static void stop(server *it) {
    cre_worker_destroy(it->worker);
    cre_loop_destroy(it->net.loop);
    cre_bus_destroy(it->bus);
}

static int respond(server *it, int request, unsigned status, unsigned options, const char *name,
                   const char *value, const char *body) {
    const cre_record *to = &it->requests[request];
    uint8_t fields[64];
    size_t size =
        name ? cre_http_fields_put(fields, sizeof fields, name, strlen(name), value, strlen(value)) : 0;
    return cre_worker_respond(it->worker, to->session, to->opcode, (uint16_t)status, options, fields, size,
                              body, strlen(body));
}

static void expect(net_client *client, const char *body) {
    char got[256];
    CHECK_EQ(net_response(client, got, sizeof got, false), 200);
    CHECK_STR(got, body);
}

TEST(answers_are_sent_in_the_order_of_the_requests) {
    server it;
    start(&it);
    net_client client = net_connect(&it.net);
    net_send_text(&client, GET("/0") GET("/1") GET("/2"));
    NET_UNTIL(&it.net, it.count == 3);
    CHECK_EQ(respond(&it, 1, 200, 0, NULL, NULL, "one"), 0);
    CHECK_EQ(respond(&it, 2, 200, CRE_RESPOND_CLOSE, NULL, NULL, "two"), 0);
    CHECK_EQ(respond(&it, 1, 200, 0, NULL, NULL, "again"), CRE_ENO_REQUEST);
    CHECK_EQ(respond(&it, 0, 200, CRE_RESPOND_CHECKED | CRE_RESPOND_TEXT, "X-A", "b", "zero"), 0);
    CHECK_EQ(respond(&it, 0, 200, 0, NULL, NULL, "again"), CRE_EGONE);
    CHECK(net_find(&client, "X-A: b\r\n") > 0);
    CHECK(net_find(&client, "Content-Type: text/plain; charset=utf-8\r\n") > 0);
    expect(&client, "zero");
    expect(&client, "one");
    CHECK(net_find(&client, "Connection: close\r\n") > 0);
    expect(&client, "two");
    net_await_end(&client);
    net_close(&client);
    stop(&it);
}

TEST(answers_that_are_refused_leave_their_request_unanswered) {
    server it;
    start(&it);
    net_client client = net_connect(&it.net);
    net_send_text(&client, GET("/0"));
    NET_UNTIL(&it.net, it.count == 1);
    CHECK_EQ(respond(&it, 0, 199, 0, NULL, NULL, "x"), CRE_EINVALID);
    CHECK_EQ(respond(&it, 0, 1000, CRE_RESPOND_CHECKED, NULL, NULL, "x"), CRE_EINVALID);
    CHECK_EQ(respond(&it, 0, 200, 0, "X-A", "\n", "x"), CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(
        cre_worker_respond(it.worker, it.requests[0].session, 0, 200, 0, "", CRE_HTTP_MAX_HEAD + 1, "x", 1),
        CRE_ELIMIT);
    CHECK_EQ(cre_worker_respond(it.worker, it.requests[0].session, 1, 200, 0, NULL, 0, "x", 1),
             CRE_ENO_REQUEST);
    CHECK_EQ(cre_worker_respond(it.worker, it.requests[0].session + 1, 0, 200, 0, NULL, 0, "x", 1),
             CRE_EGONE);
    CHECK_EQ(respond(&it, 0, 200, 0, NULL, NULL, "zero"), 0);
    expect(&client, "zero");
    CHECK_EQ(respond(&it, 0, 200, 0, NULL, NULL, "again"), CRE_ENO_REQUEST);
    net_close(&client);
    stop(&it);
}

TEST(a_body_in_pieces_follows_its_beginning) {
    server it;
    start(&it);
    net_client client = net_connect(&it.net);
    net_send_text(&client, GET("/0"));
    NET_UNTIL(&it.net, it.count == 1);
    const cre_session session = it.requests[0].session;
    CHECK_EQ(cre_worker_respond_more(it.worker, session, 0, 200, 0, NULL, 0, "be", 2), 0);
    CHECK_EQ(cre_worker_respond_body(it.worker, session, 0, "gun", 3, true), 0);
    CHECK(net_find(&client, "2\r\nbe\r\n3\r\ngun\r\n0\r\n\r\n") > 0);
    net_close(&client);
    stop(&it);
}

/* ---- both ways: to the oldest request at once, to others as a command ---- */

typedef struct answer {
    const char *request;
    unsigned status, options;
    const char *name, *value; /* of a field; NULL: none */
    size_t length;            /* of the body */
    bool pieces, closes;
} answer;

static const answer answers[] = {
    { .request = GET("/"), .status = 200, .length = 5 },
    { .request = GET("/"), .status = 200, .length = 100000 },
    { .request = GET("/"), .status = 200, .options = CRE_RESPOND_TEXT, .length = 5 },
    { .request = GET("/"), .status = 404, .options = CRE_RESPOND_CHECKED, .name = "X-A", .value = "b" },
    { .request = GET("/"),
      .status = 200,
      .options = CRE_RESPOND_CHECKED,
      .name = "Content-Length",
      .value = "3",
      .length = 5 },
    { .request = GET("/"), .status = 200, .name = "Transfer-Encoding", .value = "chunked", .length = 5 },
    { .request = GET("/"), .status = 200, .options = CRE_RESPOND_CLOSE, .length = 5, .closes = true },
    { .request = GET("/"), .status = 204, .length = 5 },
    { .request = GET("/"), .status = 205, .length = 5 },
    { .request = GET("/"), .status = 304 },
    { .request = GET("/"), .status = 304, .length = 5 },
    { .request = GET("/"), .status = 200, .length = 5, .pieces = true },
    { .request = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200, .length = 5 },
    { .request = "GET / HTTP/1.0\r\n\r\n", .status = 200, .length = 5, .closes = true },
    { .request = "GET / HTTP/1.0\r\n\r\n", .status = 200, .length = 5, .pieces = true, .closes = true },
    { .request = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", .status = 200, .length = 5 },
};

static void respond_as(server *it, int request, const answer *as) {
    static char body[100000];
    const cre_record *to = &it->requests[request];
    uint8_t fields[64];
    memset(body, 'x', sizeof body);
    size_t size = as->name ? cre_http_fields_put(fields, sizeof fields, as->name, strlen(as->name), as->value,
                                                 strlen(as->value))
                           : 0;
    CHECK_EQ((as->pieces ? cre_worker_respond_more : cre_worker_respond)(it->worker, to->session, to->opcode,
                                                                         (uint16_t)as->status, as->options,
                                                                         fields, size, body, as->length),
             0);
    if (as->pieces)
        CHECK_EQ(cre_worker_respond_body(it->worker, to->session, to->opcode, body, as->length, true), 0);
}

/* What a client receives, which is to be freed. `behind`: another request was before it, and is answered
 * later. */
static char *received(const answer *as, bool behind) {
    server it;
    start(&it);
    net_client client = net_connect(&it.net);
    if (behind) net_send_text(&client, GET("/0"));
    net_send(&client, as->request, strlen(as->request));
    NET_UNTIL(&it.net, it.count == 1 + behind);
    respond_as(&it, behind, as);
    if (behind) {
        CHECK_EQ(respond(&it, 0, 200, 0, NULL, NULL, "zero"), 0);
        expect(&client, "zero");
    }
    if (as->closes) {
        net_await_end(&client);
    } else {
        net_send_text(&client, GET("/end"));
        NET_UNTIL(&it.net, it.count == 2 + behind);
        CHECK_EQ(respond(&it, 1 + behind, 200, 0, NULL, NULL, "the end"), 0);
        net_find(&client, "the end");
    }
    char *text = calloc(1, client.length + 1);
    REQUIRE(text != NULL);
    memcpy(text, client.data, client.length);
    for (char *date = text; (date = strstr(date, "\r\nDate: ")); date += 8)
        memset(date + 8, '-', 29); /* the two may be of different seconds */
    net_close(&client);
    stop(&it);
    return text;
}

TEST(an_answer_is_the_same_at_once_and_later) {
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        char *at_once = received(&answers[i], false), *later = received(&answers[i], true);
        CHECK(strncmp(at_once, "HTTP/1.1 ", 9) == 0);
        CHECK_EQ(atoi(at_once + 9), answers[i].status);
        CHECK_STR(at_once, later);
        free(at_once);
        free(later);
    }
}

TEST_MAIN()
