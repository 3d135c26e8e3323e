/* Several requests of one connection in progress at once. */
#include <sys/stat.h>

#include "net.h"

#include "engine/command.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

static net_server *start(uint16_t most) {
    return net_start((cre_engine_config){ .http = true, .max_pipelined = most }, NULL);
}

/* The next request; its path must be this. */
static cre_record expect_request(net_server *net, const char *path) {
    const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST);
    cre_request_view view;
    CHECK_EQ(cre_request_view_init(&view, event->payload, event->record.length), 0);
    char got[64] = "";
    memcpy(got, view.bytes + view.head->path, view.head->path_length < 63 ? view.head->path_length : 63);
    CHECK_STR(got, path);
    return event->record;
}

static void expect_nothing(net_server *net) {
    net_settle(net);
    CHECK_EQ(net->count, net->seen);
}

static int answer_with(net_server *net, const cre_record *request, uint16_t flags, const char *body) {
    cre_response response = { .status = 200 };
    cre_record command = {
        .kind = CRE_COMMAND_RESPOND, .opcode = request->opcode, .flags = flags, .session = request->session
    };
    cre_slice parts[] = { { (const uint8_t *)&response, sizeof response },
                          { (const uint8_t *)body, strlen(body) } };
    return cre_engine_command(net->engine, &command, parts, 2);
}

static int answer(net_server *net, const cre_record *request, const char *body) {
    return answer_with(net, request, 0, body);
}

static int piece(net_server *net, const cre_record *request, const char *bytes, size_t length, bool final) {
    cre_record command = { .kind = CRE_COMMAND_RESPOND_BODY,
                           .opcode = request->opcode,
                           .flags = final ? CRE_RECORD_FINAL : 0,
                           .session = request->session };
    cre_slice part = { (const uint8_t *)bytes, length };
    return cre_engine_command(net->engine, &command, &part, 1);
}

static int abandon(net_server *net, const cre_record *request) {
    cre_record command = { .kind = CRE_COMMAND_ABANDON,
                           .opcode = request->opcode,
                           .session = request->session };
    CHECK_EQ(cre__command_check(&command, NULL, 0), 0);
    return cre_engine_command(net->engine, &command, NULL, 0);
}

static void expect(net_client *client, int status, const char *body) {
    char got[8192];
    CHECK_EQ(net_response(client, got, sizeof got, false), status);
    if (body) CHECK_STR(got, body);
}

static void send_gets(net_client *client, int from, int to) {
    char text[64];
    for (int i = from; i < to; i++) {
        int size = snprintf(text, sizeof text, GET("/%d"), i);
        net_send(client, text, (size_t)size);
    }
}

TEST(answers_in_any_order_leave_in_order) {
    net_server *net = start(32);
    net_client client = net_connect(net);
    uint32_t seed = 1;
    char text[24];
    for (int round = 0; round < 40; round++) { /* the numbers begin again several times */
        int count = 1 + round % 32;
        cre_record requests[32];
        bool done[32] = { 0 };
        send_gets(&client, 0, count);
        for (int i = 0; i < count; i++) {
            snprintf(text, sizeof text, "/%d", i);
            requests[i] = expect_request(net, text);
        }
        int first = 0;
        for (int left = count; left; left--) {
            int i = (int)((seed = seed * 1103515245 + 12345) >> 16) % count;
            while (done[i])
                i = (i + 1) % count;
            done[i] = true;
            snprintf(text, sizeof text, "answer %d", i);
            CHECK_EQ(answer(net, &requests[i], text), 0);
            CHECK_EQ(answer(net, &requests[i], text), CRE_ENO_REQUEST);
            net_turn(net);
            for (; first < count && done[first]; first++) {
                snprintf(text, sizeof text, "answer %d", first);
                expect(&client, 200, text);
            }
            net_turn(net);
            net_pull(&client);
            CHECK_EQ(client.length, 0);
        }
    }
    net_close(&client);
    net_stop(net);
}

TEST(no_more_at_once_than_allowed) {
    static const uint16_t most[] = { 0, 1, 4, 32 };
    for (int m = 0; m < 4; m++) {
        net_server *net = start(most[m]);
        net_client client = net_connect(net);
        int limit = most[m] ? most[m] : 1;
        send_gets(&client, 0, 100);
        for (int i = 0; i < 100; i++) {
            net_settle(net);
            CHECK(net->count - i <= limit);
            char text[24];
            snprintf(text, sizeof text, "/%d", i);
            cre_record request = expect_request(net, text);
            CHECK_EQ(answer(net, &request, text), 0);
            expect(&client, 200, text);
        }
        net_close(&client);
        net_stop(net);
    }
    cre_loop *loop;
    cre_engine *engine;
    REQUIRE(cre_loop_create(&loop) == 0);
    cre_engine_config config = { .size = sizeof config,
                                 .on_event = net_on_event,
                                 .max_pipelined = CRE_MAX_PIPELINED + 1 };
    CHECK_EQ(cre_engine_create(loop, &config, &engine), CRE_EINVALID);
    cre_loop_destroy(loop);
}

TEST(half_of_the_answers_make_room) {
    net_server *net = start(4);
    net_client client = net_connect(net);
    cre_record requests[6];
    char path[8];
    send_gets(&client, 0, 6);
    for (int i = 0; i < 6; i++) {
        if (i == 4) {
            expect_nothing(net);
            CHECK_EQ(answer(net, &requests[0], "/0"), 0);
            expect(&client, 200, "/0");
            expect_nothing(net);
            CHECK_EQ(answer(net, &requests[1], "/1"), 0);
            expect(&client, 200, "/1");
        }
        snprintf(path, sizeof path, "/%d", i);
        requests[i] = expect_request(net, path);
    }
    for (int i = 2; i < 6; i++) {
        snprintf(path, sizeof path, "/%d", i);
        CHECK_EQ(answer(net, &requests[i], path), 0);
        expect(&client, 200, path);
    }
    net_close(&client);
    net_stop(net);
}

TEST(large_heads_count_more) {
    net_server *net = start(32);
    net_client client = net_connect(net);
    static char head[60000];
    memset(head, 'x', sizeof head);
    memcpy(head, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 28);
    memcpy(head + sizeof head - 4, "\r\n\r\n", 4);
    for (int i = 0; i < 10; i++)
        net_send(&client, head, sizeof head);
    net_settle(net);
    CHECK_EQ(net->count, 5); /* 256 KiB are reached */
    for (int i = 0; i < 10; i++) {
        cre_record request = expect_request(net, "/");
        CHECK_EQ(answer(net, &request, "x"), 0);
        expect(&client, 200, "x");
    }
    net_close(&client);
    net_stop(net);
}

TEST(unsafe_requests_do_not_overlap) {
    net_server *net = start(32);
    net_client client = net_connect(net);
    net_send_text(&client, GET("/1") "HEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n"
                                     "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" GET(
                                         "/4") "DELETE /5 HTTP/1.1\r\nHost: a\r\n\r\n" GET("/6") GET("/7"));
    cre_record one = expect_request(net, "/1"), two = expect_request(net, "/2");
    expect_nothing(net);
    CHECK_EQ(answer(net, &two, "two"), 0);
    expect_nothing(net);
    CHECK_EQ(answer(net, &one, "one"), 0);
    expect(&client, 200, "one");
    CHECK_EQ(net_response(&client, NULL, 0, true), 200);
    cre_record three = expect_request(net, "/3");
    expect_nothing(net);
    CHECK_EQ(answer(net, &three, "three"), 0);
    cre_record four = expect_request(net, "/4");
    expect_nothing(net);
    CHECK_EQ(answer(net, &four, "four"), 0);
    cre_record five = expect_request(net, "/5");
    expect_nothing(net);
    CHECK_EQ(answer(net, &five, "five"), 0);
    cre_record six = expect_request(net, "/6"), seven = expect_request(net, "/7");
    CHECK_EQ(answer(net, &seven, "seven"), 0);
    CHECK_EQ(answer(net, &six, "six"), 0);
    static const char *const bodies[] = { "three", "four", "five", "six", "seven" };
    for (int i = 0; i < 5; i++)
        expect(&client, 200, bodies[i]);
    net_close(&client);
    net_stop(net);
}

TEST(an_upgrade_waits_for_the_answers_before_it) {
    net_server *net = start(32);
    net_client client = net_connect(net);
    static const uint8_t hello[] = { 0x81, 0x82, 0, 0, 0, 0, 'h', 'i' };
    net_send_text(&client, GET("/1") GET("/2") NET_UPGRADE);
    net_send(&client, hello, sizeof hello);
    cre_record one = expect_request(net, "/1"), two = expect_request(net, "/2");
    expect_nothing(net);
    CHECK_EQ(answer(net, &two, "two"), 0);
    CHECK_EQ(answer(net, &one, "one"), 0);
    expect(&client, 200, "one");
    expect(&client, 200, "two");
    net_upgraded(&client);
    net_expect_event(net, CRE_EVENT_OPEN);
    net_expect_event(net, CRE_EVENT_MESSAGE);
    CHECK_EQ(answer(net, &one, "late"), CRE_ENO_REQUEST);
    net_close(&client);
    net_stop(net);
}

TEST(a_last_request_is_the_last) {
    static const char *const lasts[] = { "GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                                         "GET /2 HTTP/1.0\r\n\r\n" };
    for (int i = 0; i < 2; i++) {
        net_server *net = start(32);
        net_client client = net_connect(net);
        net_send_text(&client, GET("/1"));
        net_send(&client, lasts[i], strlen(lasts[i]));
        net_send_text(&client, GET("/3"));
        cre_record one = expect_request(net, "/1"), two = expect_request(net, "/2");
        expect_nothing(net);
        CHECK_EQ(answer(net, &two, "two"), 0);
        CHECK_EQ(answer(net, &one, "one"), 0);
        expect(&client, 200, "one");
        expect(&client, 200, "two");
        net_await_end(&client);
        CHECK_EQ(client.length, 0);
        net_close(&client);
        net_stop(net);
    }
}

TEST(an_answer_may_close) {
    net_server *net = start(32);
    net_client client = net_connect(net);
    send_gets(&client, 0, 4);
    cre_record requests[4];
    for (int i = 0; i < 4; i++)
        requests[i] = net_expect_event(net, CRE_EVENT_REQUEST)->record;
    CHECK_EQ(answer(net, &requests[3], "lost"), 0);
    CHECK_EQ(answer_with(net, &requests[1], CRE_RECORD_CLOSE, "last"), 0);
    send_gets(&client, 4, 5); /* not even looked at */
    expect_nothing(net);
    CHECK_EQ(answer(net, &requests[0], "first"), 0);
    CHECK_EQ(answer(net, &requests[2], "late"), CRE_EGONE);
    expect(&client, 200, "first");
    expect(&client, 200, "last");
    net_await_end(&client);
    CHECK_EQ(client.length, 0);
    net_close(&client);
    net_stop(net);
}

TEST(an_error_page_comes_behind_earlier_answers) {
    net_server *net = start(32);
    net_client client = net_connect(net);
    net_send_text(&client, GET("/1") GET("/2") "malformed\r\n\r\n" GET("/3"));
    cre_record one = expect_request(net, "/1"), two = expect_request(net, "/2");
    expect_nothing(net);
    CHECK_EQ(client.length, 0);
    CHECK_EQ(answer(net, &two, "two"), 0);
    net_settle(net);
    net_pull(&client);
    CHECK_EQ(client.length, 0);
    CHECK_EQ(answer(net, &one, "one"), 0);
    expect(&client, 200, "one");
    expect(&client, 200, "two");
    expect(&client, 400, NULL);
    net_await_end(&client);
    CHECK_EQ(client.length, 0);
    net_close(&client);
    net_stop(net);
}

TEST(pieces_and_files_wait_for_their_turn) {
    net_server *net = start(32);
    net_client client = net_connect(net);
    char path[] = "/tmp/creactor-pipelining-XXXXXX";
    int file = mkstemp(path);
    REQUIRE(file >= 0 && write(file, "contents", 8) == 8);
    close(file);
    send_gets(&client, 0, 3);
    net_send_text(&client, "HEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n" GET("/4"));
    cre_record requests[5];
    for (int i = 0; i < 5; i++)
        requests[i] = net_expect_event(net, CRE_EVENT_REQUEST)->record;
    CHECK_EQ(piece(net, &requests[1], "x", 1, false), CRE_ENO_REQUEST); /* not begun */
    CHECK_EQ(answer_with(net, &requests[1], CRE_RECORD_MORE_BODY, "one "), 0);
    CHECK_EQ(answer_with(net, &requests[1], CRE_RECORD_MORE_BODY, "one "), CRE_ENO_REQUEST);
    CHECK_EQ(piece(net, &requests[1], "two ", 4, false), 0);
    cre_record command = { .kind = CRE_COMMAND_RESPOND_FILE,
                           .opcode = requests[2].opcode,
                           .session = requests[2].session };
    cre_response response = { .status = 200 };
    cre_file_range range = { 0, CRE_FILE_REST };
    cre_slice parts[] = { { (const uint8_t *)&response, sizeof response },
                          { (const uint8_t *)&range, sizeof range },
                          { (const uint8_t *)path, strlen(path) } };
    CHECK_EQ(cre_engine_command(net->engine, &command, parts, 3), 0);
    CHECK_EQ(piece(net, &requests[2], "x", 1, false), CRE_ENO_REQUEST);
    CHECK_EQ(cre_engine_command(net->engine, &command, parts, 2), CRE_ENO_REQUEST);
    command.opcode = requests[4].opcode;
    CHECK_EQ(cre_engine_command(net->engine, &command, parts, 2), CRE_EINVALID); /* no path */
    response.status = 99;
    command.kind = CRE_COMMAND_RESPOND;
    CHECK_EQ(cre_engine_command(net->engine, &command, parts, 1), CRE_EINVALID);
    CHECK_EQ(answer(net, &requests[3], "length"), 0);
    CHECK_EQ(answer(net, &requests[4], "last"), 0);
    CHECK_EQ(answer(net, &requests[0], "first"), 0);
    expect(&client, 200, "first");
    net_find(&client, "chunked\r\n\r\n4\r\none \r\n4\r\ntwo \r\n");
    net_take(&client, net_find(&client, "two \r\n"));
    net_settle(net);
    net_pull(&client);
    CHECK_EQ(client.length, 0);
    CHECK_EQ(piece(net, &requests[1], "three", 5, true), 0);
    net_take(&client, net_find(&client, "5\r\nthree\r\n0\r\n\r\n"));
    expect(&client, 200, "contents");
    net_find(&client, "Content-Length: 6\r\n");
    CHECK_EQ(net_response(&client, NULL, 0, true), 200);
    expect(&client, 200, "last");
    unlink(path);
    net_close(&client);
    net_stop(net);
}

TEST(what_waits_for_its_turn_has_a_limit) {
    net_server *net =
        net_start((cre_engine_config){ .http = true, .max_pipelined = 32, .max_queue = 100000 }, NULL);
    net_client client = net_connect(net);
    static char bytes[20000];
    memset(bytes, 'b', sizeof bytes - 1);
    send_gets(&client, 0, 3);
    cre_record requests[3];
    for (int i = 0; i < 3; i++)
        requests[i] = net_expect_event(net, CRE_EVENT_REQUEST)->record;
    CHECK_EQ(answer_with(net, &requests[1], CRE_RECORD_MORE_BODY, ""), 0);
    int pieces = 0, result;
    while (!(result = piece(net, &requests[1], bytes, sizeof bytes, false)))
        pieces++;
    CHECK_EQ(result, CRE_EQUEUE_FULL);
    CHECK_EQ(pieces, 4);
    cre_connection_info info;
    CHECK(cre_table_get_info(cre_engine_table(net->engine), requests[0].session, &info, sizeof info));
    CHECK(info.queued >= 4 * sizeof bytes); /* as senders in other processes see it */
    CHECK_EQ(piece(net, &requests[1], "end", 3, true), 0);
    CHECK_EQ(answer(net, &requests[0], "first"), 0);
    expect(&client, 200, "first");
    net_find(&client, "3\r\nend\r\n0\r\n\r\n");
    CHECK_EQ(answer(net, &requests[2], "third"), 0);
    net_find(&client, "third");
    net_take(&client, client.length);
    /* Whole answers have twice the room, and then the connection ends. */
    send_gets(&client, 0, 32);
    for (int i = 0; i < 32; i++)
        CHECK_EQ(net_expect_event(net, CRE_EVENT_REQUEST)->record.opcode, i + 3);
    cre_record request = requests[0];
    for (request.opcode = 4; (result = answer(net, &request, bytes)) == 0;)
        request.opcode++;
    CHECK_EQ(result, CRE_EQUEUE_FULL);
    CHECK_EQ(request.opcode, 4 + 9);
    net_await_end(&client);
    net_close(&client);
    net_stop(net);
}

TEST(requests_that_nobody_answers_any_more) {
    net_server *net = start(32);
    net_client client = net_connect(net);
    send_gets(&client, 0, 6);
    cre_record requests[6];
    for (int i = 0; i < 6; i++)
        requests[i] = net_expect_event(net, CRE_EVENT_REQUEST)->record;
    CHECK_EQ(answer(net, &requests[0], "zero"), 0);
    CHECK_EQ(abandon(net, &requests[0]), 0); /* which is answered */
    CHECK_EQ(answer(net, &requests[2], "two"), 0);
    CHECK_EQ(answer_with(net, &requests[3], CRE_RECORD_MORE_BODY, "beg"), 0);
    CHECK_EQ(abandon(net, &requests[4]), 0);
    expect(&client, 200, "zero");
    expect(&client, 500, NULL);
    expect(&client, 200, "two");
    expect(&client, 500, NULL); /* nobody saw that it had begun */
    expect(&client, 500, NULL);
    CHECK_EQ(answer(net, &requests[4], "late"), CRE_ENO_REQUEST);
    CHECK_EQ(answer(net, &requests[5], "five"), 0);
    expect(&client, 200, "five");
    send_gets(&client, 6, 8);
    requests[0] = net_expect_event(net, CRE_EVENT_REQUEST)->record;
    requests[1] = net_expect_event(net, CRE_EVENT_REQUEST)->record;
    CHECK_EQ(answer_with(net, &requests[0], CRE_RECORD_MORE_BODY, "begun"), 0);
    net_find(&client, "begun");
    CHECK_EQ(answer(net, &requests[1], "lost"), 0);
    CHECK_EQ(abandon(net, &requests[0]), 0);
    net_await_end(&client);
    CHECK_EQ(client.error, ECONNRESET); /* it must not look complete */
    net_close(&client);
    net_stop(net);
}

TEST(a_client_that_ends_its_side_gets_all_answers) {
    net_server *net = start(32);
    net_client client = net_connect(net);
    send_gets(&client, 0, 3);
    net_send_text(&client, "GET /half");
    shutdown(client.descriptor, SHUT_WR);
    cre_record requests[3];
    for (int i = 0; i < 3; i++)
        requests[i] = net_expect_event(net, CRE_EVENT_REQUEST)->record;
    net_settle(net);
    CHECK_EQ(answer(net, &requests[2], "2"), 0);
    CHECK_EQ(answer(net, &requests[0], "0"), 0);
    expect(&client, 200, "0");
    CHECK_EQ(answer(net, &requests[1], "1"), 0);
    expect(&client, 200, "1");
    net_find(&client, "Connection: close\r\n");
    expect(&client, 200, "2");
    net_await_end(&client);
    net_close(&client);
    net_stop(net);
}

TEST(a_shutdown_waits_for_all_answers) {
    net_server *net = start(32);
    net_client client = net_connect(net);
    send_gets(&client, 0, 3);
    cre_record requests[3];
    for (int i = 0; i < 3; i++)
        requests[i] = net_expect_event(net, CRE_EVENT_REQUEST)->record;
    cre_engine_shutdown(net->engine, 600000, NULL, NULL);
    send_gets(&client, 3, 4);
    expect_nothing(net);
    for (int i = 2; i >= 0; i--)
        CHECK_EQ(answer(net, &requests[i], "x"), 0);
    expect(&client, 200, "x");
    expect(&client, 200, "x");
    net_find(&client, "Connection: close\r\n");
    expect(&client, 200, "x");
    net_await_end(&client);
    net_close(&client);
    net_stop(net);
}

/* The first request pauses its connection. */
static int pause_it(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)payload;
    cre_record command = { .kind = CRE_COMMAND_PAUSE, .session = event->session };
    if (event->opcode == 0) CHECK_EQ(cre_engine_command(net->engine, &command, NULL, 0), 0);
    return 0;
}

TEST(a_pause_holds_back_what_came_in_the_same_read) {
    net_server *net = net_start((cre_engine_config){ .http = true, .max_pipelined = 32 }, pause_it);
    net_client client = net_connect(net);
    net_send_text(&client, GET("/1") GET("/2"));
    cre_record one = expect_request(net, "/1");
    expect_nothing(net);
    cre_record command = { .kind = CRE_COMMAND_RESUME, .session = one.session };
    CHECK_EQ(cre_engine_command(net->engine, &command, NULL, 0), 0);
    cre_record two = expect_request(net, "/2");
    CHECK_EQ(answer(net, &two, "two"), 0);
    CHECK_EQ(answer(net, &one, "one"), 0);
    expect(&client, 200, "one");
    expect(&client, 200, "two");
    net_close(&client);
    net_stop(net);
}

TEST(answers_of_connections_that_are_gone) {
    net_server *net = start(32);
    for (int how = 0; how < 3; how++) {
        net_client client = net_connect(net);
        send_gets(&client, 0, 5);
        cre_record requests[5];
        for (int i = 0; i < 5; i++)
            requests[i] = net_expect_event(net, CRE_EVENT_REQUEST)->record;
        for (int i = 4; i; i--)
            CHECK_EQ(answer(net, &requests[i], "early"), 0);
        if (how == 0) CHECK_EQ(cre_engine_close(net->engine, requests[0].session, 1000, NULL), 0);
        if (how == 1) net_abort(&client);
        if (how < 2) NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 0);
        if (how < 2) CHECK_EQ(answer(net, &requests[0], "late"), CRE_EGONE);
        net_close(&client);
        if (how == 2) net_stop(net); /* with answers that wait */
    }
}

/* A connection changes its worker only when the old one has nothing more of it. */
TEST(a_move_waits_for_the_answers) {
    net_server *net = net_start(
        (cre_engine_config){
            .http = true, .max_pipelined = 32, .worker_count = 2, .dispatch = CRE_DISPATCH_BY_USER },
        NULL);
    net_client client = net_connect(net);
    net_send_text(&client, GET("/1") GET("/2"));
    cre_record one = expect_request(net, "/1"), two = expect_request(net, "/2");
    cre_connection_info info;
    CHECK(cre_table_get_info(cre_engine_table(net->engine), one.session, &info, sizeof info));
    uint16_t before = info.worker;
    cre_record command = { .kind = CRE_COMMAND_BIND, .session = one.session };
    cre_binding binding = { .user_id = before + 1u };
    cre_slice part = { (const uint8_t *)&binding, sizeof binding };
    CHECK_EQ(cre_engine_command(net->engine, &command, &part, 1), 0);
    net_send_text(&client, GET("/3"));
    expect_nothing(net);
    CHECK_EQ(answer(net, &one, "1"), 0);
    expect_nothing(net);
    CHECK(cre_table_get_info(cre_engine_table(net->engine), one.session, &info, sizeof info));
    CHECK_EQ(info.worker, before);
    CHECK_EQ(answer(net, &two, "2"), 0);
    cre_record three = expect_request(net, "/3");
    CHECK(cre_table_get_info(cre_engine_table(net->engine), one.session, &info, sizeof info));
    CHECK_EQ(info.worker, (before + 1) % 2);
    CHECK_EQ(answer(net, &three, "3"), 0);
    for (char body[] = "1"; body[0] <= '3'; body[0]++)
        expect(&client, 200, body);
    net_close(&client);
    net_stop(net);
}

TEST(a_split_at_every_byte) {
    static const char text[] =
        GET("/1") GET("/2") "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok" GET("/4");
    net_server *net = start(32);
    for (size_t split = 1; split < sizeof text - 1; split++) {
        net_client client = net_connect(net);
        net_send(&client, text, split);
        net_settle(net);
        net_send(&client, text + split, sizeof text - 1 - split);
        cre_record one = expect_request(net, "/1"), two = expect_request(net, "/2");
        expect_nothing(net);
        CHECK_EQ(answer(net, &two, "2"), 0);
        CHECK_EQ(answer(net, &one, "1"), 0);
        cre_record three = expect_request(net, "/3");
        CHECK_EQ(answer(net, &three, "3"), 0);
        cre_record four = expect_request(net, "/4");
        CHECK_EQ(answer(net, &four, "4"), 0);
        for (char body[] = "1"; body[0] <= '4'; body[0]++)
            expect(&client, 200, body);
        net_close(&client);
        net_forget(net);
    }
    net_stop(net);
}

TEST_MAIN()
