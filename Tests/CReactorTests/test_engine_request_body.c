/* Request bodies in pieces, on real sockets. */
#include "net.h"

#include "engine/command.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define HEAD(rest)  "POST /b HTTP/1.1\r\nHost: a\r\n" rest "\r\n\r\n"

static net_server *start_with(cre_port_options options,
                              int (*act)(net_server *net, const cre_record *event, uint8_t *payload)) {
    options.size = sizeof options;
    options.protocol = CRE_PROTOCOL_HTTP;
    options.http = options.stream_bodies = true;
    return net_start((cre_engine_config){ .ports = &options, .port_count = 1, .max_pipelined = 32 }, act);
}

static net_server *start(void) {
    return start_with((cre_port_options){ 0 }, NULL);
}

static int answer(net_server *net, cre_session session, const char *body) {
    return cre_engine_respond(net->engine, session, 200, NULL, body, strlen(body));
}

static int command(net_server *net, const cre_record *request, cre_command kind) {
    cre_record record = { .kind = (uint8_t)kind, .opcode = request->opcode, .session = request->session };
    CHECK_EQ(cre__command_check(&record, NULL, 0), 0);
    return cre_engine_command(net->engine, &record, NULL, 0);
}

static void expect(net_client *client, int status, const char *body) {
    char got[8192];
    CHECK_EQ(net_response(client, got, sizeof got, false), status);
    if (body) CHECK_STR(got, body);
}

/* The head of a request whose body follows. */
static cre_record expect_head(net_server *net) {
    const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST);
    cre_request_view view;
    CHECK_EQ(cre_request_view_init(&view, event->payload, event->record.length), 0);
    CHECK_EQ(view.body_length, 0);
    CHECK_EQ(event->record.flags & (CRE_RECORD_FINAL | CRE_RECORD_MORE_BODY), CRE_RECORD_MORE_BODY);
    return event->record;
}

/* All pieces up to the last one; returns the flags of that. */
static uint16_t collect(net_server *net, const cre_record *request, char *out, size_t capacity) {
    size_t used = 0;
    for (;;) {
        const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST_BODY);
        CHECK_EQ(event->record.opcode, request->opcode);
        CHECK_EQ(event->record.session, request->session);
        REQUIRE(used + event->record.length < capacity);
        if (event->record.length) memcpy(out + used, event->payload, event->record.length);
        out[used += event->record.length] = 0;
        if (event->record.flags & CRE_RECORD_FINAL) return event->record.flags & 7;
        CHECK(event->record.length > 0);
    }
}

static void expect_broken(net_server *net, const cre_record *request) {
    char bytes[100000];
    CHECK_EQ(collect(net, request, bytes, sizeof bytes), CRE_RECORD_FINAL | CRE_RECORD_CLOSE);
}

TEST(bodies_split_everywhere) {
    static const char *const requests[] = {
        HEAD("Content-Length: 11") "hello world",
        HEAD("Transfer-Encoding: chunked") "5\r\nhello\r\n6;x=1\r\n world\r\n0\r\n\r\n",
        HEAD("Transfer-Encoding: chunked") "b\r\nhello world\r\n0\r\nT: 1\r\n\r\n",
        HEAD("Transfer-Encoding: chunked") "1\r\nh\r\n1\r\ne\r\n2\r\nll\r\n7\r\no world\r\n0\r\n\r\n",
    };
    net_server *net = start();
    char body[64];
    for (size_t r = 0; r < 4; r++) {
        net_client client = net_connect(net);
        size_t size = strlen(requests[r]), head = (size_t)(strstr(requests[r], "\r\n\r\n") - requests[r]) + 4;
        for (size_t split = 1; split <= size; split++) {
            net_send(&client, requests[r], split);
            net_settle(net);
            net_send(&client, requests[r] + split, size - split);
            net_send_text(&client, GET("/next"));
            bool whole = r == 0 && (split < head || split == size); /* it came with the head */
            if (whole) {
                const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST);
                cre_request_view view;
                CHECK_EQ(cre_request_view_init(&view, event->payload, event->record.length), 0);
                CHECK_EQ(event->record.flags & 7, CRE_RECORD_FINAL);
                CHECK_EQ(view.body_length, 11);
                CHECK_MEM(view.body, "hello world", 11);
                CHECK_EQ(answer(net, event->record.session, "whole"), 0);
                expect(&client, 200, "whole");
            } else {
                cre_record request = expect_head(net);
                CHECK_EQ(collect(net, &request, body, sizeof body), CRE_RECORD_FINAL);
                CHECK_STR(body, "hello world");
                net_settle(net);
                CHECK_EQ(net->count, net->seen); /* the next request waits */
                CHECK_EQ(answer(net, request.session, "got it"), 0);
                expect(&client, 200, "got it");
            }
            CHECK_EQ(answer(net, net_expect_event(net, CRE_EVENT_REQUEST)->record.session, "next"), 0);
            expect(&client, 200, "next");
            net_forget(net);
        }
        net_close(&client);
    }
    net_stop(net);
}

TEST(pieces_of_one_read_come_together) {
    net_server *net = start();
    net_client client = net_connect(net);
    char text[8000] = HEAD("Transfer-Encoding: chunked"), body[2000];
    for (int i = 0; i < 500; i++)
        strcat(text, "1\r\nx\r\n");
    strcat(text, "0\r\n\r\n");
    net_send(&client, text, strlen(text));
    cre_record request = expect_head(net);
    CHECK_EQ(collect(net, &request, body, sizeof body), CRE_RECORD_FINAL);
    CHECK_EQ(strlen(body), 500);
    CHECK_EQ(net->count, 2);
    net_close(&client);
    net_stop(net);
}

/* Sends until nothing is taken any more; returns how much was. */
static size_t fill(net_server *net, net_client *client, const uint8_t *data, size_t length) {
    size_t sent = 0;
    for (int still = 0; still < 200 && sent < length;) {
        ssize_t n = send(client->descriptor, data + sent, length - sent, MSG_NOSIGNAL);
        still = n > 0 ? 0 : still + 1;
        if (n > 0) sent += (size_t)n;
        net_turn(net);
        if (n <= 0) net_rest(net, client->descriptor);
    }
    return sent;
}

TEST(a_pause_reaches_the_client) {
    net_server *net = start();
    net_client client = net_connect(net);
    size_t size = 64 << 20, seen = 0, wrong = 0;
    uint8_t *data = malloc(size);
    REQUIRE(data != NULL);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i % 251);
    net_send_text(&client, HEAD("Content-Length: 67108864"));
    cre_record request = expect_head(net);
    CHECK_EQ(command(net, &request, CRE_COMMAND_PAUSE), 0);
    size_t sent = fill(net, &client, data, size);
    CHECK(sent < size);
    CHECK_EQ(net->count, net->seen);
    CHECK_EQ(command(net, &request, CRE_COMMAND_RESUME), 0);
    for (bool final = false; !final;) {
        ssize_t n = sent < size ? send(client.descriptor, data + sent, size - sent, MSG_NOSIGNAL) : 0;
        if (n > 0) sent += (size_t)n;
        net_turn(net);
        for (; net->seen < net->count; net->seen++) {
            const net_event *event = &net->events[net->seen];
            CHECK_EQ(event->record.kind, CRE_EVENT_REQUEST_BODY);
            CHECK(event->record.length <= 65536);
            for (size_t i = 0; i < event->record.length; i++, seen++)
                wrong += event->payload[i] != (uint8_t)(seen % 251);
            final = event->record.flags & CRE_RECORD_FINAL;
        }
        net_forget(net);
    }
    CHECK_EQ(seen, size);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(answer(net, request.session, "done"), 0);
    expect(&client, 200, "done");
    free(data);
    net_close(&client);
    net_stop(net);
}

static int pause_each(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)payload;
    if (event->kind == CRE_EVENT_REQUEST_BODY) command(net, event, CRE_COMMAND_PAUSE);
    return 0;
}

TEST(a_pause_at_each_piece) {
    net_server *net = start_with((cre_port_options){ 0 }, pause_each);
    net_client client = net_connect(net);
    net_send_text(&client, HEAD("Transfer-Encoding: chunked"));
    cre_record request = expect_head(net);
    for (int i = 0; i < 5; i++) {
        net_send_text(&client, "3\r\nabc\r\n");
        CHECK_MEM(net_expect_event(net, CRE_EVENT_REQUEST_BODY)->payload, "abc", 3);
        net_send_text(&client, "3\r\ndef\r\n");
        net_settle(net);
        CHECK_EQ(net->count, net->seen);
        CHECK_EQ(command(net, &request, CRE_COMMAND_RESUME), 0);
        CHECK_MEM(net_expect_event(net, CRE_EVENT_REQUEST_BODY)->payload, "def", 3);
        CHECK_EQ(command(net, &request, CRE_COMMAND_RESUME), 0);
    }
    net_send_text(&client, "0\r\n\r\n" GET("/next"));
    CHECK_EQ(net_expect_event(net, CRE_EVENT_REQUEST_BODY)->record.flags & 7, CRE_RECORD_FINAL);
    CHECK_EQ(answer(net, request.session, "x"), 0);
    expect(&client, 200, "x");
    net_settle(net);
    CHECK_EQ(net->count, net->seen);
    CHECK_EQ(command(net, &request, CRE_COMMAND_RESUME), 0);
    net_expect_event(net, CRE_EVENT_REQUEST);
    net_close(&client);
    net_stop(net);
}

TEST(clients_that_leave) {
    for (int how = 0; how < 3; how++) {
        net_server *net = start();
        net_client client = net_connect(net);
        net_send_text(&client, HEAD("Content-Length: 100") "some");
        cre_record request = expect_head(net);
        CHECK_MEM(net_expect_event(net, CRE_EVENT_REQUEST_BODY)->payload, "some", 4);
        if (how == 0) net_close(&client);
        if (how == 1) net_abort(&client);
        if (how == 2) shutdown(client.descriptor, SHUT_WR);
        expect_broken(net, &request);
        CHECK_EQ(answer(net, request.session, "late"), CRE_EGONE);
        if (how == 2) net_await_end(&client);
        net_close(&client);
        net_settle(net);
        CHECK_EQ(net->count, net->seen);
        net_stop(net);
    }
    /* And servers that do. */
    net_server *net = start();
    net_client client = net_connect(net);
    net_send_text(&client, HEAD("Content-Length: 100"));
    cre_record request = expect_head(net);
    CHECK_EQ(command(net, &request, CRE_COMMAND_RESET), 0);
    expect_broken(net, &request);
    net_close(&client);
    client = net_connect(net);
    net_send_text(&client, HEAD("Content-Length: 100"));
    expect_head(net);
    net_stop(net);
    net_close(&client);
}

TEST(what_makes_no_sense) {
    net_server *net = start_with((cre_port_options){ .max_streamed_body = 1000 }, NULL);
    static const struct {
        const char *head, *body;
        int status;
    } cases[] = {
        { HEAD("Transfer-Encoding: chunked"), "3\r\nabc\r\nnonsense", 400 },
        { HEAD("Transfer-Encoding: chunked"), "3e8\r\n", 0 },
        { HEAD("Content-Length: 1001"), NULL, 413 },
    };
    static char thousand[1000];
    memset(thousand, 'x', sizeof thousand);
    for (size_t i = 0; i < 3; i++) {
        net_client client = net_connect(net);
        net_send(&client, cases[i].head, strlen(cases[i].head));
        if (cases[i].body) {
            cre_record request = expect_head(net);
            net_send(&client, cases[i].body, strlen(cases[i].body));
            if (!cases[i].status) { /* one too many */
                net_send(&client, thousand, sizeof thousand);
                net_send_text(&client, "\r\n1\r\nx\r\n");
            }
            expect_broken(net, &request);
            CHECK_EQ(answer(net, request.session, "late"), CRE_EGONE);
        }
        expect(&client, cases[i].status ? cases[i].status : 413, NULL);
        net_await_end(&client);
        net_close(&client);
    }
    /* Where an answer has begun, there is no place for another one. */
    net_client client = net_connect(net);
    net_send_text(&client, HEAD("Transfer-Encoding: chunked"));
    cre_record request = expect_head(net);
    CHECK_EQ(cre_engine_respond_more(net->engine, request.session, 200, NULL, "begun", 5), 0);
    net_find(&client, "begun");
    net_send_text(&client, "malformed");
    expect_broken(net, &request);
    net_await_end(&client);
    CHECK_EQ(client.error, ECONNRESET);
    net_close(&client);
    net_stop(net);
}

TEST(early_answers) {
    static const struct {
        const char *head, *rest;
        size_t rest_bytes; /* more of them */
        bool stays;
    } cases[] = {
        { HEAD("Content-Length: 60000"), "", 60000, true },
        { HEAD("Content-Length: 100000"), "", 0, false },
        { HEAD("Transfer-Encoding: chunked"), "3\r\nabc\r\n0\r\n\r\n", 0, true },
        { HEAD("Transfer-Encoding: chunked"), "ffffff\r\n", 200000, false },
    };
    static char bytes[200000];
    net_server *net = start();
    for (size_t i = 0; i < 4; i++) {
        net_client client = net_connect(net);
        net_send(&client, cases[i].head, strlen(cases[i].head));
        cre_record request = expect_head(net);
        CHECK_EQ(answer(net, request.session, "no, thanks"), 0);
        expect_broken(net, &request);
        expect(&client, 200, "no, thanks");
        net_send(&client, cases[i].rest, strlen(cases[i].rest));
        net_send(&client, bytes, cases[i].rest_bytes);
        if (cases[i].stays) {
            net_send_text(&client, GET("/next"));
            CHECK_EQ(answer(net, net_expect_event(net, CRE_EVENT_REQUEST)->record.session, "next"), 0);
            expect(&client, 200, "next");
        } else {
            net_await_end(&client);
            CHECK_EQ(client.error, 0);
            NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 0);
        }
        CHECK_EQ(net->count, net->seen);
        net_close(&client);
    }
    net_stop(net);
}

TEST(the_next_request_behind_a_body_that_was_dropped) {
    net_server *net = start();
    net_client client = net_connect(net);
    for (int i = 0; i < 3; i++) {
        net_send_text(&client, HEAD("Content-Length: 2"));
        cre_record request = expect_head(net);
        CHECK_EQ(answer(net, request.session, "early"), 0);
        expect_broken(net, &request);
        expect(&client, 200, "early");
        net_send_text(&client, "ab");
        if (i) net_settle(net);
    }
    net_close(&client);
    net_stop(net);
}

/* The body goes back as it comes. */
TEST(both_ways_at_once) {
    net_server *net = start();
    net_client client = net_connect(net);
    net_send_text(&client, HEAD("Transfer-Encoding: chunked"));
    cre_record request = expect_head(net);
    CHECK_EQ(cre_engine_respond_more(net->engine, request.session, 200, NULL, NULL, 0), 0);
    net_take(&client, net_find(&client, "chunked\r\n\r\n"));
    for (int i = 0; i < 20; i++) {
        net_send_text(&client, "4\r\necho\r\n");
        const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST_BODY);
        CHECK_EQ(cre_engine_respond_body(net->engine, request.session, event->payload, 4, false), 0);
        net_find(&client, "4\r\necho\r\n");
        net_take(&client, 9);
    }
    net_send_text(&client, "0\r\n\r\n" GET("/next"));
    CHECK_EQ(net_expect_event(net, CRE_EVENT_REQUEST_BODY)->record.flags & 7, CRE_RECORD_FINAL);
    CHECK_EQ(cre_engine_respond_body(net->engine, request.session, NULL, 0, true), 0);
    net_take(&client, net_find(&client, "0\r\n\r\n"));
    CHECK_EQ(answer(net, net_expect_event(net, CRE_EVENT_REQUEST)->record.session, "next"), 0);
    expect(&client, 200, "next");
    net_close(&client);
    net_stop(net);
}

TEST(continue_is_said_when_the_owner_wants_it) {
    net_server *net = start();
    net_client client = net_connect(net);
    char body[16];
    static const char head[] = HEAD("Content-Length: 2\r\nExpect: 100-continue");
    net_send_text(&client, head);
    cre_record request = expect_head(net);
    net_settle(net);
    net_pull(&client);
    CHECK_EQ(client.length, 0);
    cre_record other = { .opcode = 99, .session = request.session };
    CHECK_EQ(command(net, &other, CRE_COMMAND_CONTINUE), CRE_ENO_REQUEST);
    CHECK_EQ(command(net, &request, CRE_COMMAND_CONTINUE), 0);
    CHECK_EQ(command(net, &request, CRE_COMMAND_CONTINUE), 0); /* once is enough */
    net_take(&client, net_find(&client, "HTTP/1.1 100 Continue\r\n\r\n"));
    net_send_text(&client, "ok");
    CHECK_EQ(collect(net, &request, body, sizeof body), CRE_RECORD_FINAL);
    CHECK_STR(body, "ok");
    CHECK_EQ(answer(net, request.session, "got it"), 0);
    CHECK_EQ(command(net, &request, CRE_COMMAND_CONTINUE), CRE_ENO_REQUEST);
    expect(&client, 200, "got it");
    /* Not wanted: what the client does now is its own affair, so the connection ends. */
    net_send_text(&client, head);
    request = expect_head(net);
    CHECK_EQ(answer(net, request.session, "no"), 0);
    expect_broken(net, &request);
    net_find(&client, "Connection: close\r\n");
    expect(&client, 200, "no");
    net_await_end(&client);
    net_close(&client);
    net_stop(net);
}

TEST(timeouts) {
    net_server *net = start_with((cre_port_options){ .body_timeout_ms = 1, .idle_timeout_ms = 60000 }, NULL);
    net_client client = net_connect(net), waiting = net_connect(net), paused = net_connect(net);
    net_send_text(&paused, HEAD("Content-Length: 10"));
    cre_record slow = expect_head(net);
    CHECK_EQ(command(net, &slow, CRE_COMMAND_PAUSE), 0);
    net_send_text(&waiting, HEAD("Content-Length: 2\r\nExpect: 100-continue"));
    cre_record undecided = expect_head(net);
    net_send_text(&client, HEAD("Content-Length: 10") "abc");
    cre_record request = expect_head(net);
    expect_broken(net, &request);
    expect(&client, 408, NULL);
    net_await_end(&client);
    /* The others wait for the owner. */
    CHECK_EQ(net->count, net->seen);
    CHECK_EQ(answer(net, undecided.session, "no"), 0);
    expect_broken(net, &undecided);
    expect(&waiting, 200, "no");
    CHECK_EQ(command(net, &slow, CRE_COMMAND_RESUME), 0);
    expect_broken(net, &slow);
    expect(&paused, 408, NULL);
    net_close(&client);
    net_close(&waiting);
    net_close(&paused);
    net_stop(net);
}

/* A file as the answer to a request whose body still comes. */
TEST(a_file_as_an_early_answer) {
    char path[] = "/tmp/creactor-body-XXXXXX";
    int file = mkstemp(path);
    REQUIRE(file >= 0 && ftruncate(file, 8 << 20) == 0);
    close(file);
    net_server *net = start();
    net_client client = net_connect(net);
    static char bytes[200000];
    net_send_text(&client, HEAD("Content-Length: 60000"));
    cre_record request = expect_head(net);
    CHECK_EQ(cre_engine_respond_file(net->engine, request.session, 200, NULL, path, 0, CRE_FILE_REST), 0);
    expect_broken(net, &request);
    net_send(&client, bytes, 60000);
    char body[8];
    CHECK_EQ(net_response(&client, body, sizeof body, false), 200);
    net_send_text(&client, GET("/next"));
    CHECK_EQ(answer(net, net_expect_event(net, CRE_EVENT_REQUEST)->record.session, "next"), 0);
    expect(&client, 200, "next");
    net_send_text(&client, HEAD("Transfer-Encoding: chunked"));
    request = expect_head(net);
    CHECK_EQ(cre_engine_respond_file(net->engine, request.session, 200, NULL, path, 0, CRE_FILE_REST), 0);
    expect_broken(net, &request);
    net_send_text(&client, "ffffff\r\n");
    net_send(&client, bytes, sizeof bytes);
    CHECK_EQ(net_response(&client, body, sizeof body, false), 200);
    net_await_end(&client);
    net_close(&client);
    unlink(path);
    net_stop(net);
}

TEST_MAIN()
