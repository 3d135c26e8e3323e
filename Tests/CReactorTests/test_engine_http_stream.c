/* Responses in pieces and from files, on real sockets. */
#include <signal.h>
#include <sys/stat.h>

#include "http_net.h"

#include "engine/command.h"

/* ---- pieces ---- */

TEST_BOTH(pieces_are_chunks) {
    net_server *net = start(0);
    net_client client = net_connect(net);
    cre_session session = request(net, &client, GET("/") GET("/next"));
    CHECK_EQ(cre_engine_respond_body(net->engine, session, "x", 1, true), CRE_ENO_REQUEST);
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 99, NULL, NULL, 0), CRE_EINVALID);
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, "X-A: 1\r\n", "one", 3), 0);
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, "one", 3), CRE_ENO_REQUEST);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "one", 3), CRE_ENO_REQUEST);
    CHECK_EQ(cre_engine_respond_body(net->engine, session, "", 0, false), 0);
    expect(&client, "one\r\n", "HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    net_settle(net);
    CHECK_EQ(net->count, net->seen); /* the next request waits */
    CHECK_EQ(cre_engine_respond_body(net->engine, session, "0123456789abcdefXYZ", 19, false), 0);
    CHECK_EQ(cre_engine_respond_body(net->engine, session, "end", 3, true), 0);
    CHECK_EQ(cre_engine_respond_body(net->engine, session, "late", 4, true), CRE_ENO_REQUEST);
    expect(&client, "0\r\n\r\n", "13\r\n0123456789abcdefXYZ\r\n3\r\nend\r\n0\r\n\r\n");
    session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 404, NULL, NULL, 0), 0);
    CHECK_EQ(cre_engine_respond_body(net->engine, session, NULL, 0, true), 0);
    expect(&client, "0\r\n\r\n", "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    /* Corked: a turn's pieces leave together, and with "Connection: close" the end follows. */
    session = request(net, &client, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, "a", 1), 0);
    CHECK_EQ(cre_engine_respond_body(net->engine, session, "b", 1, true), 0);
    expect(&client, "0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
           "1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
    net_await_end(&client);
    CHECK_EQ(client.length, 0);
    net_close(&client);
    net_stop(net);
}

/* Nothing of it is queued, and the request can still be answered in a later turn. */
TEST_BOTH(fields_that_must_not_be_sent) {
    net_server *net = start(0);
    net_client client = net_connect(net);
    cre_session session = request(net, &client, GET("/"));
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, "X-A: b\x01\r\n", "x", 1),
             CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, "no colon\r\n", "x", 1), CRE_EINVALID);
    net_settle(net);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, "X-A:b\r\n", "fine", 4), 0);
    expect(&client, "fine", "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 4\r\n\r\nfine");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(many_pieces_reach_a_decoder) {
    net_server *net = start(64u << 20);
    net_client client = net_connect(net);
    cre_session session = request(net, &client, GET("/"));
    static uint8_t piece[100000];
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, NULL, 0), 0);
    size_t total = 0;
    for (int i = 0; i < 300; i++) {
        size_t size = (size_t)i * i % sizeof piece;
        for (size_t at = 0; at < size; at++)
            piece[at] = (uint8_t)(total + at);
        CHECK_EQ(cre_engine_respond_body(net->engine, session, piece, size, i == 299), 0);
        total += size;
        if (i % 7 == 0) net_turn(net);
    }
    net_take(&client, net_find(&client, "\r\n\r\n"));
    cre_http_chunked decoder;
    cre_http_chunked_init(&decoder);
    size_t seen = 0, wrong = 0;
    int result = 0;
    for (int waits = 0; result == CRE_HTTP_CHUNKED_MORE && waits < NET_WAITS; waits++) {
        const uint8_t *cursor = client.data, *end = cursor + client.length, *data;
        size_t length;
        while ((result = cre_http_chunked_next(&decoder, &cursor, end, &data, &length)) ==
               CRE_HTTP_CHUNKED_DATA)
            for (size_t i = 0; i < length; i++, seen++)
                wrong += data[i] != (uint8_t)seen;
        net_take(&client, (size_t)(cursor - client.data));
        if (!result) net_await(&client, client.length + 1);
    }
    CHECK_EQ(result, CRE_HTTP_CHUNKED_END);
    CHECK_EQ(seen, total);
    CHECK_EQ(wrong, 0);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(answers_without_a_body) {
    net_server *net = start(0);
    net_client client = net_connect(net);
    static const struct {
        const char *method;
        uint16_t status;
        const char *head;
    } cases[] = {
        { "HEAD", 200, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" },
        { "GET", 204, "HTTP/1.1 204 No Content\r\n\r\n" },
        { "GET", 304, "HTTP/1.1 304 Not Modified\r\n\r\n" },
        { "GET", 205, "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[100];
        snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: a\r\n\r\n", cases[i].method);
        cre_session session = request(net, &client, text);
        CHECK_EQ(cre_engine_respond_more(net->engine, session, cases[i].status, NULL, "one", 3), 0);
        CHECK_EQ(cre_engine_respond_body(net->engine, session, "two", 3, true), 0);
        expect(&client, "\r\n\r\n", cases[i].head);
        net_settle(net);
        net_pull(&client);
        CHECK_EQ(client.length, 0);
    }
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(http_1_0_reads_to_the_end) {
    net_server *net = start(0);
    net_client client = net_connect(net);
    cre_session session = request(net, &client, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, "one ", 4), 0);
    CHECK_EQ(cre_engine_respond_body(net->engine, session, "two", 3, true), 0);
    expect(&client, "two", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\none two");
    net_await_end(&client);
    CHECK_EQ(client.error, 0);
    CHECK_EQ(client.length, 0);
    net_close(&client);
    /* Cut off, it must not look complete. */
    client = net_connect(net);
    session = request(net, &client, "GET / HTTP/1.0\r\n\r\n");
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, "one ", 4), 0);
    net_find(&client, "one ");
    CHECK_EQ(cre_engine_close(net->engine, session, 0, NULL), 0);
    net_await_end(&client);
    CHECK_EQ(client.error, ECONNRESET);
    net_close(&client);
    net_stop(net);
}

/* RESPOND_BODY with trailers, in the form of the wire. */
static int respond_trailers(net_server *net, cre_session session, uint8_t request, uint16_t flags,
                            const void *fields, size_t length, const char *rest) {
    cre_record record = {
        .kind = CRE_COMMAND_RESPOND_BODY, .opcode = request, .flags = flags, .session = session
    };
    cre_trailers head = { .fields_length = (uint32_t)length };
    cre_slice parts[] = { { (const uint8_t *)&head, sizeof head },
                          { fields, length },
                          { (const uint8_t *)rest, strlen(rest) } };
    return cre_engine_command(net->engine, &record, parts, 3);
}

TEST_BOTH(trailers_follow_the_body) {
    const uint16_t flags = CRE_RECORD_FINAL | CRE_RECORD_TRAILERS;
    uint8_t fields[200], *end = fields;
    end += cre_http_fields_put(end, 50, "X-A", 3, "1", 1);
    end += cre_http_fields_put(end, 50, "Content-Length", 14, "9", 1);
    end += cre_http_fields_put(end, 50, "x-b", 3, "", 0);
    size_t size = (size_t)(end - fields);
    net_server *net = start(0);
    net_client client = net_connect(net);
    cre_session session = request(net, &client, GET("/") GET("/next"));
    CHECK_EQ(respond_trailers(net, session, 0, flags, fields, size, "x"), CRE_ENO_REQUEST);
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, "one", 3), 0);
    CHECK_EQ(respond_trailers(net, session, 0, CRE_RECORD_TRAILERS, fields, size, "x"), CRE_EINVALID);
    CHECK_EQ(respond_trailers(net, session, 0, flags, fields, size - 1, ""), CRE_EINVALID);
    CHECK_EQ(respond_trailers(net, session, 0, flags, "\1\0\1\0a\n", 6, ""), CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(respond_trailers(net, session, 0, flags, fields, size, "two"), 0);
    CHECK_EQ(respond_trailers(net, session, 0, flags, fields, size, "late"), CRE_ENO_REQUEST);
    expect(
        &client, "x-b: \r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\nX-A: 1\r\nx-b: \r\n"
        "\r\n");
    session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    /* Without a piece, and without fields. */
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, NULL, 0), 0);
    CHECK_EQ(respond_trailers(net, session, 1, flags, fields, 8, ""), 0);
    expect(&client, "X-A: 1\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: 1\r\n\r\n");
    session = request(net, &client, GET("/"));
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, NULL, 0), 0);
    CHECK_EQ(respond_trailers(net, session, 2, flags, NULL, 0, "x"), 0);
    expect(&client, "0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
    /* A response whose body is not sent, and one that is not in chunks, have none. */
    session = request(net, &client, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, NULL, 0), 0);
    CHECK_EQ(respond_trailers(net, session, 3, flags, fields, size, "x"), 0);
    expect(&client, "\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    session = request(net, &client, "GET / HTTP/1.0\r\n\r\n");
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, NULL, 0), 0);
    CHECK_EQ(respond_trailers(net, session, 4, flags, fields, size, "old"), 0);
    expect(&client, "old", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nold");
    net_await_end(&client);
    CHECK_EQ(client.length, 0);
    net_close(&client);
    net_stop(net);
}

/* RESPOND of a text. */
static int respond_text(net_server *net, cre_session session, uint8_t request, uint16_t status,
                        const char *type, uint16_t flags) {
    uint8_t fields[100];
    size_t size =
        type ? cre_http_fields_put(fields, sizeof fields, "CONTENT-type", 12, type, strlen(type)) : 0;
    cre_record record = { .kind = CRE_COMMAND_RESPOND, .opcode = request, .session = session };
    cre_response response = { .status = status, .flags = flags, .fields_length = (uint32_t)size };
    cre_slice parts[] = { { (const uint8_t *)&response, sizeof response },
                          { fields, size },
                          { (const uint8_t *)"text", 4 } };
    return cre_engine_command(net->engine, &record, parts, 3);
}

TEST_BOTH(texts_have_a_type) {
    net_server *net = start(0);
    net_client client = net_connect(net);
    cre_session session = request(net, &client, GET("/"));
    CHECK_EQ(respond_text(net, session, 0, 200, NULL, 0x8001), CRE_EINVALID);
    CHECK_EQ(respond_text(net, session, 0, 200, NULL, CRE_RESPONSE_TEXT), 0);
    expect(&client, "\r\n\r\ntext",
           "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n\r\ntext");
    session = request(net, &client, GET("/"));
    CHECK_EQ(respond_text(net, session, 1, 200, "a/b", CRE_RESPONSE_TEXT), 0);
    expect(&client, "\r\n\r\ntext", "HTTP/1.1 200 OK\r\nCONTENT-type: a/b\r\nContent-Length: 4\r\n\r\ntext");
    session = request(net, &client, GET("/"));
    CHECK_EQ(respond_text(net, session, 2, 200, NULL, 0), 0);
    expect(&client, "\r\n\r\ntext", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntext");
    session = request(net, &client, GET("/"));
    CHECK_EQ(respond_text(net, session, 3, 204, NULL, CRE_RESPONSE_TEXT), 0);
    expect(&client, "\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_slow_reader_is_waited_for) {
    net_server *net = start(100000);
    net_client client = net_connect(net);
    cre_session session = request(net, &client, GET("/"));
    static uint8_t piece[50000];
    int taken = 0, result = cre_engine_respond_more(net->engine, session, 200, NULL, NULL, 0);
    while (!result && taken < 100000) {
        result = cre_engine_respond_body(net->engine, session, piece, sizeof piece, false);
        taken += !result;
        net_turn(net);
    }
    CHECK_EQ(result, CRE_EQUEUE_FULL);
    net_expect_event(net, CRE_EVENT_FULL);
    net_take(&client, net_find(&client, "\r\n\r\n"));
    size_t seen = 0;
    while (!net_count_events(net, CRE_EVENT_DRAINED)) {
        REQUIRE(net_await(&client, 1));
        seen += client.length;
        net_take(&client, client.length);
    }
    net_expect_event(net, CRE_EVENT_DRAINED);
    CHECK_EQ(cre_engine_respond_body(net->engine, session, "!", 1, true), 0);
    size_t each = 4 + 2 + sizeof piece + 2; /* "c350", CRLF, bytes, CRLF */
    CHECK(net_await(&client, (size_t)taken * each + 11 - seen));
    CHECK_MEM(client.data + (size_t)taken * each - seen, "1\r\n!\r\n0\r\n\r\n", 11);
    net_take(&client, client.length);
    /* What comes over a link has been said: when it is too much, the connection ends, visibly. */
    session = request(net, &client, GET("/"));
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, NULL, 0), 0);
    cre_record late = { .kind = CRE_COMMAND_RESPOND_BODY, .opcode = 1, .session = session };
    cre_slice part = { piece, sizeof piece };
    for (result = 0; !result;) {
        result = cre__command_accepted(net->engine, &late, &part, 1);
        net_turn(net);
    }
    CHECK_EQ(result, CRE_EQUEUE_FULL);
    CHECK_EQ(cre__command_accepted(net->engine, &late, &part, 1), CRE_EGONE);
    net_await_end(&client);
    CHECK_EQ(client.error, ECONNRESET);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(clients_that_leave_in_the_middle) {
    net_server *net = start(0);
    net_client client = net_connect(net);
    cre_session session = request(net, &client, GET("/"));
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, "one", 3), 0);
    net_find(&client, "one");
    net_abort(&client);
    NET_UNTIL(net, cre_engine_respond_body(net->engine, session, "two", 3, false) == CRE_EGONE);
    client = net_connect(net); /* and one that only has said all */
    session = request(net, &client, GET("/"));
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, "one", 3), 0);
    shutdown(client.descriptor, SHUT_WR);
    net_settle(net);
    CHECK_EQ(cre_engine_respond_body(net->engine, session, "two", 3, true), 0);
    net_find(&client, "3\r\ntwo\r\n0\r\n\r\n");
    net_await_end(&client);
    CHECK_EQ(client.error, 0);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_shutdown_waits_for_the_last_piece) {
    net_server *net = start(0);
    net_client client = net_connect(net);
    cre_session session = request(net, &client, GET("/"));
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, "one", 3), 0);
    cre_engine_shutdown(net->engine, 600000, NULL, NULL);
    net_settle(net);
    CHECK_EQ(cre_engine_respond_body(net->engine, session, "two", 3, true), 0);
    net_find(&client, "3\r\ntwo\r\n0\r\n\r\n");
    net_await_end(&client);
    net_close(&client);
    net_stop(net);
}

/* ---- files ---- */

static char path[64];

static uint8_t *make_file(size_t size) {
    uint8_t *bytes = malloc(size + 1);
    REQUIRE(bytes != NULL);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * i >> 7);
    strcpy(path, "/tmp/creactor-test-XXXXXX");
    int descriptor = mkstemp(path);
    REQUIRE(descriptor >= 0);
    for (size_t done = 0; done < size;) {
        ssize_t n = write(descriptor, bytes + done, size - done);
        REQUIRE(n > 0);
        done += (size_t)n;
    }
    close(descriptor);
    return bytes;
}

static void expect_file(net_client *client, const uint8_t *bytes, size_t length) {
    char field[64];
    snprintf(field, sizeof field, "Content-Length: %zu\r\n", length);
    net_find(client, field);
    net_take(client, net_find(client, "\r\n\r\n"));
    CHECK(net_await(client, length));
    CHECK_EQ(client->length, length);
    if (client->length == length) CHECK_MEM(client->data, bytes, length);
    net_take(client, client->length);
}

TEST_BOTH(files_whole_and_in_part) {
    net_server *net = start(0);
    net_client client = net_connect(net);
    static const struct {
        size_t size;
        uint64_t offset, length, sent;
    } cases[] = {
        { 1000, 0, CRE_FILE_REST, 1000 },
        { 1000, 10, 5, 5 },
        { 1000, 990, 100, 10 },
        { 1000, 1000, CRE_FILE_REST, 0 },
        { 0, 0, CRE_FILE_REST, 0 },
        { 1000, 5, 0, 0 },
        { 8 << 20, 0, CRE_FILE_REST, 8 << 20 },
        { 8 << 20, 4097, 5 << 20, 5 << 20 },
    };
    NET_UNTIL(net, net->engine->net.open == 1);
    int descriptors = net_descriptors();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *bytes = make_file(cases[i].size);
        cre_session session = request(net, &client, GET("/"));
        CHECK_EQ(cre_engine_respond_file(net->engine, session, 200, "X-A: 1\r\n", path, cases[i].offset,
                                         cases[i].length),
                 0);
        unlink(path); /* it is open */
        int again = cre_engine_respond(net->engine, session, 200, NULL, NULL, 0);
        CHECK_EQ(again, CRE_ENO_REQUEST);
        expect_file(&client, bytes + cases[i].offset, cases[i].sent);
        free(bytes);
    }
    /* A request behind it, and the command over a link. */
    uint8_t *bytes = make_file(2 << 20);
    cre_session session =
        request(net, &client, GET("/") "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    uint8_t number = net->events[net->seen - 1].record.opcode;
    cre_response response = { .status = 206, .fields_length = 8 };
    cre_file_range range = { 1, CRE_FILE_REST };
    for (int i = 0; i < 2; i++) {
        uint8_t payload[200], *at = payload;
        memcpy(at, &response, sizeof response);
        CHECK_EQ(cre_http_fields_put(at += sizeof response, 8, "X-A", 3, "1", 1), 8);
        memcpy(at += 8, &range, sizeof range);
        memcpy(at += sizeof range, path, strlen(path));
        cre_slice part = { payload, (size_t)(at - payload) + strlen(path) };
        cre_record command = { .kind = CRE_COMMAND_RESPOND_FILE, .opcode = number++, .session = session };
        CHECK_EQ(cre__command_check(&command, &part, 1), 0);
        CHECK_EQ(cre__command_accepted(net->engine, &command, &part, 1), 0);
        part.length = sizeof response + 8 + sizeof range; /* no path */
        CHECK_EQ(cre__command_check(&command, &part, 1), CRE_EINVALID);
        if (i == 0) {
            net_take(&client, net_find(&client, "\r\n\r\n"));
            CHECK(net_await(&client, (2 << 20) - 1));
            CHECK_MEM(client.data, bytes + 1, (2 << 20) - 1);
            net_take(&client, (2 << 20) - 1);
            session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
        }
    }
    net_await_end(&client);
    CHECK(client.length > 4 && memcmp(client.data + client.length - 4, "\r\n\r\n", 4) == 0);
    free(bytes);
    unlink(path);
    net_close(&client);
    NET_UNTIL(net, net->engine->net.open == 0);
    CHECK_EQ(net_descriptors(), descriptors - 2);
    net_stop(net);
}

static int answer_at_once(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind != CRE_EVENT_REQUEST) return 0;
    if (cre_request_is(payload, event->length, "/file"))
        return cre_engine_respond_file(net->engine, event->session, 200, NULL, path, 0, CRE_FILE_REST);
    cre_response response = { .status = 200 };
    cre_slice parts[] = { { (const uint8_t *)&response, sizeof response }, { (const uint8_t *)"next", 4 } };
    cre_record command = { .kind = CRE_COMMAND_RESPOND, .opcode = event->opcode, .session = event->session };
    return cre_engine_command(net->engine, &command, parts, 2);
}

/* What has waited for the end of a file that was sent at once must not wait for another event. */
TEST_BOTH(answers_behind_a_file) {
    net_server *net = net_start((cre_engine_config){ .http = true, .max_pipelined = 4 }, NULL);
    net->act = answer_at_once;
    net_client client = net_connect(net);
    uint8_t *bytes = make_file(1000);
    net_send_text(&client, GET("/file") GET("/a") GET("/b"));
    for (int i = 0; i < 3; i++) {
        size_t length = i ? 4 : 1000;
        net_take(&client, net_find(&client, "\r\n\r\n"));
        REQUIRE(net_await(&client, length));
        CHECK_MEM(client.data, i ? (const uint8_t *)"next" : bytes, length);
        net_take(&client, length);
    }
    free(bytes);
    unlink(path);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(files_that_cannot_be_sent) {
    net_server *net = start(0);
    net_client client = net_connect(net);
    free(make_file(100));
    char fifo[80], body[500];
    snprintf(fifo, sizeof fifo, "%s.fifo", path);
    REQUIRE(mkfifo(fifo, 0600) == 0);
    static char lengthy[5000];
    memset(lengthy, 'x', sizeof lengthy - 1);
    const struct {
        const char *path;
        uint64_t offset;
        int result, status;
    } cases[] = {
        { "/nowhere/at/all", 0, -ENOENT, 404 }, { "/tmp", 0, -EISDIR, 404 },
        { path, 101, CRE_EINVALID, 500 },       { fifo, 0, CRE_EINVALID, 500 },
        { "/dev/null", 0, CRE_EINVALID, 500 },  { "", 0, -ENOENT, 404 },
        { lengthy, 0, -ENAMETOOLONG, 404 },
    };
    NET_UNTIL(net, net->engine->net.open == 1);
    int descriptors = net_descriptors();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cre_session session = request(net, &client, GET("/"));
        CHECK_EQ(cre_engine_respond_file(net->engine, session, 200, "X-A: 1\r\n", cases[i].path,
                                         cases[i].offset, CRE_FILE_REST),
                 cases[i].result);
        CHECK_EQ(net_response(&client, body, sizeof body, false), cases[i].status);
    }
    CHECK_EQ(net_descriptors(), descriptors);
    unlink(fifo);
    unlink(path);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_file_that_shrinks_cuts_the_connection) {
    net_server *net = start(0);
    net_client client = net_connect(net);
    free(make_file(16 << 20));
    cre_session session = request(net, &client, GET("/"));
    CHECK_EQ(cre_engine_respond_file(net->engine, session, 200, NULL, path, 0, CRE_FILE_REST), 0);
    net_turn(net);
    REQUIRE(truncate(path, 1 << 20) == 0);
    net_await_end(&client);
    CHECK(client.length < 16 << 20);
    net_close(&client);
    unlink(path);
    net_stop(net);
}

TEST_BOTH(readers_of_files_that_leave) {
    net_server *net = start(0);
    free(make_file(32 << 20));
    signal(SIGPIPE, SIG_DFL); /* a host's own: none may come */
    for (int i = 0; i < 4; i++) {
        net_client client = net_connect(net);
        cre_session session = request(net, &client, GET("/"));
        CHECK_EQ(cre_engine_respond_file(net->engine, session, 200, NULL, path, 0, CRE_FILE_REST), 0);
        if (i != 1) net_turn(net);
        if (i == 3) cre_engine_close(net->engine, session, 0, NULL); /* after all of it */
        if (i < 2) {
            net_abort(&client);
        } else if (i == 2) {
            net_close(&client);
        } else {
            net_await_end(&client);
            CHECK(client.length > 32 << 20);
            net_close(&client);
        }
        NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 0);
    }
    net_client client = net_connect(net); /* the engine goes in the middle */
    cre_session session = request(net, &client, GET("/"));
    CHECK_EQ(cre_engine_respond_file(net->engine, session, 200, NULL, path, 0, CRE_FILE_REST), 0);
    net_turn(net);
    unlink(path);
    net_stop(net);
    net_close(&client);
}

static net_server *failing;

static bool without_memory(void) {
    net_client client = net_connect(failing);
    net_send_text(&client, GET("/") GET("/"));
    for (int i = 0; i < 2 && !client.eof; i++) {
        while (failing->count == failing->seen && !client.eof) {
            net_turn(failing);
            if (!net_pull(&client)) net_rest(failing, client.descriptor);
        }
        if (client.eof) break;
        cre_session session = failing->events[failing->seen++].record.session;
        static uint8_t piece[9000];
        if (i == 0) {
            cre_engine_respond_more(failing->engine, session, 200, NULL, piece, 10);
            cre_engine_respond_body(failing->engine, session, piece, sizeof piece, false);
            cre_engine_respond_body(failing->engine, session, NULL, 0, true);
        } else {
            cre_engine_respond_file(failing->engine, session, 200, "X-A: 1\r\n", path, 0, CRE_FILE_REST);
        }
    }
    bool whole = !client.eof && net_await(&client, 9000 + 3000);
    net_close(&client);
    NET_UNTIL(failing, failing->engine->net.open == 0);
    net_settle(failing);
    net_forget(failing);
    return whole;
}

TEST_BOTH(no_memory) {
    failing = start(0);
    free(make_file(3000));
    without_memory(); /* what stays with the engine is there afterwards */
    for (long n = 1; n < 12; n++) {
        atomic_store(&test_fail_at, n);
        bool whole = without_memory();
        bool untouched = atomic_exchange(&test_fail_at, 0) > 0;
        if (untouched) CHECK(whole);
    }
    unlink(path);
    net_stop(failing);
}

TEST_MAIN()
