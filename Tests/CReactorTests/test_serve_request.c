/* Requests that are served out of the input of the one that is being emitted. */
#include "both.h"
#include "engine/command.h"
#include "engine/further.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

static char log_text[4096];
static bool asking;
static uint64_t served;
static cre_record later; /* the last request for "/later", which is answered by the test, or by "/first" */

static void answer(net_server *net, const cre_record *request, const char *path) {
    if (strcmp(path, "/later") == 0) {
        later = *request;
        return;
    }
    cre_response response = { .status = 200 };
    cre_record command = { .kind = CRE_COMMAND_RESPOND,
                           .opcode = request->opcode,
                           .flags = strcmp(path, "/last") == 0 ? CRE_RECORD_CLOSE : 0,
                           .session = request->session };
    cre_slice parts[] = { { (const uint8_t *)&response, sizeof response },
                          { (const uint8_t *)path, strlen(path) } };
    CHECK_EQ(cre_engine_command(net->engine, &command, parts, 2), 0);
}

/* Answers the request, and has those behind it served, whose events are in brackets. "/alone" has none
 * served. */
static int serve_all(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind != CRE_EVENT_REQUEST) return 0;
    cre_request_view view;
    REQUIRE(cre_request_view_init(&view, payload, event->length) == 0);
    char path[64] = "";
    REQUIRE(view.head->path_length < sizeof path);
    memcpy(path, view.bytes + view.head->path, view.head->path_length);
    strcat(log_text, path);
    if (view.body_length) {
        size_t used = strlen(log_text);
        snprintf(log_text + used, sizeof log_text - used, ":%.*s", (int)view.body_length,
                 (const char *)view.body);
    }
    strcat(log_text, " ");
    answer(net, event, path);
    if (asking || strcmp(path, "/alone") == 0) return 0;
    asking = true;
    CHECK(!cre__engine_has_requests(net->engine, event->session + 1));
    strcat(log_text, "[ ");
    while (cre__engine_has_requests(net->engine, event->session) && cre__engine_serve_request(net->engine))
        served++;
    strcat(log_text, "] ");
    asking = false;
    if (strcmp(path, "/first") == 0) answer(net, &later, "later");
    return 0;
}

static net_server *start(net_client *client) {
    log_text[0] = 0;
    served = 0;
    net_server *net = net_start((cre_engine_config){ .http = true, .max_pipelined = 4 }, serve_all);
    *client = net_connect(net);
    return net;
}

static void send_text(net_client *client, const char *text) {
    net_send(client, text, strlen(text));
}

static void expect(net_client *client, int status, const char *body) {
    char got[8192];
    CHECK_EQ(net_response(client, got, sizeof got, false), status);
    if (body) CHECK_STR(got, body);
}

TEST_BOTH(requests_of_one_read_are_served_inside_the_event_of_the_first) {
    net_client client;
    net_server *net = start(&client);
    send_text(&client, GET("/a") GET("/b") GET("/c"));
    expect(&client, 200, "/a");
    expect(&client, 200, "/b");
    expect(&client, 200, "/c");
    CHECK_STR(log_text, "/a [ /b /c ] ");
    CHECK_EQ(served, 2);
    CHECK_EQ(net_stats(net).requests, 3);
    cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    CHECK(!cre__engine_has_requests(net->engine, session)); /* outside of an event */
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(what_is_not_asked_for_is_emitted) {
    net_client client;
    net_server *net = start(&client);
    send_text(&client, GET("/alone") GET("/b") GET("/c"));
    expect(&client, 200, "/alone");
    expect(&client, 200, "/b");
    expect(&client, 200, "/c");
    CHECK_STR(log_text, "/alone /b [ /c ] ");
    net_close(&client);
    net_stop(net);
}

/* The last request may come in two reads. */
TEST_BOTH(a_request_that_is_not_whole_is_served_when_it_is) {
    static const char both[] = GET("/a") GET("/b");
    const size_t whole = sizeof GET("/a") - 1;
    for (size_t split = whole; split < sizeof both - 1; split++) {
        net_client client;
        net_server *net = start(&client);
        net_send(&client, both, split);
        expect(&client, 200, "/a");
        net_send(&client, both + split, sizeof both - 1 - split);
        expect(&client, 200, "/b");
        CHECK_STR(log_text, "/a [ ] /b [ ] ");
        net_close(&client);
        net_stop(net);
    }
}

TEST_BOTH(bodies_are_served_too) {
    net_client client;
    net_server *net = start(&client);
    send_text(&client, GET("/a") "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz" GET(
                           "/c") "POST /d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12");
    expect(&client, 200, "/a");
    expect(&client, 200, "/b");
    expect(&client, 200, "/c");
    send_text(&client, "345" GET("/e"));
    expect(&client, 200, "/d");
    expect(&client, 200, "/e");
    CHECK_STR(log_text, "/a [ /b:xyz /c ] /d:12345 [ /e ] ");
    net_close(&client);
    net_stop(net);
}

/* None is served behind one that is not answered: a handler may answer that before the read ends, which then
 * goes on with those that must not overlap. */
TEST_BOTH(a_request_that_is_answered_in_the_same_read_holds_up_nothing) {
    net_client client;
    net_server *net = start(&client);
    send_text(&client, GET("/first") GET(
                           "/later") "POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" GET("/d"));
    expect(&client, 200, "/first");
    expect(&client, 200, "later");
    expect(&client, 200, "/c");
    expect(&client, 200, "/d");
    CHECK_STR(log_text, "/first [ /later ] /c [ /d ] ");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(no_more_is_served_than_may_be_in_progress) {
    net_client client;
    net_server *net = start(&client);
    send_text(&client, GET("/later") GET("/later") GET("/later") GET("/later") GET("/a"));
    net_settle(net);
    CHECK_STR(log_text, "/later [ ] /later [ ] /later [ ] /later [ ] ");
    for (int i = 0; i < 4; i++) {
        cre_record request = net_expect_event(net, CRE_EVENT_REQUEST)->record;
        answer(net, &request, "later");
        expect(&client, 200, "later");
    }
    expect(&client, 200, "/a");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(nothing_is_served_behind_the_end) {
    net_client client;
    net_server *net = start(&client);
    send_text(&client, GET("/a") GET("/last") GET("/b"));
    expect(&client, 200, "/a");
    expect(&client, 200, "/last");
    CHECK(net_await_end(&client));
    CHECK_STR(log_text, "/a [ /last ] ");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_malformed_request_is_refused_and_nothing_behind_it_is_served) {
    net_client client;
    net_server *net = start(&client);
    send_text(&client, GET("/a") "malformed\r\n\r\n" GET("/b"));
    expect(&client, 200, "/a");
    expect(&client, 400, NULL);
    CHECK(net_await_end(&client));
    CHECK_STR(log_text, "/a [ ] ");
    CHECK_EQ(served, 0);
    net_close(&client);
    net_stop(net);
}

/* Its refusal waits for the answer before it, and the malformed bytes are not looked at again meanwhile. */
TEST_BOTH(a_malformed_request_is_refused_once) {
    net_client client;
    net_server *net = start(&client);
    send_text(&client, GET("/later") "malformed\r\n\r\n" GET("/b"));
    cre_record request = net_expect_event(net, CRE_EVENT_REQUEST)->record;
    net_settle(net);
    answer(net, &request, "later");
    expect(&client, 200, "later");
    expect(&client, 400, NULL);
    CHECK(net_await_end(&client));
    CHECK_EQ(client.length, 0);
    CHECK_STR(log_text, "/later [ ] ");
    net_close(&client);
    net_stop(net);
}

TEST_MAIN()
