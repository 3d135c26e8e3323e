/* What flows over TLS: in any pieces, large and slow, and every way to end. */
#ifndef CRE_HAVE_TLS
#include "test.h"

TEST(nothing_without_tls) {
    CHECK(true);
}

#else
#include "tls_net.h"

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/* ---- input in any pieces ---- */

TEST(byte_by_byte) {
    for (int i = 0; i < 2; i++) {
        net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
        SSL_CTX *context = client_context(&authority, versions[i]);
        tls_client client = tls_new(net, context, NULL);
        client.step = 1;
        CHECK(tls_shake(&client));
        tls_write(&client, request, sizeof request - 1);
        tls_expect_response(&client, 200, "hello");
        tls_upgrade(&client);
        tls_ws_echo(&client, "byte by byte");
        tls_close(&client);
        SSL_CTX_free(context);
        tls_stop(net);
    }
}

static uint8_t *pattern(size_t size) {
    uint8_t *bytes = malloc(size);
    REQUIRE(bytes != NULL);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    return bytes;
}

/* What is left in OpenSSL is seen without a further event of the socket: whole records, half a record, and
 * the end, also between new keys, and with errors of somebody else in the thread's queue. */
TEST(records_that_arrive_together) {
    for (int i = 0; i < 2; i++) {
        net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
        SSL_CTX *context = client_context(&authority, versions[i]);
        tls_client client = tls_connect(net, context, NULL);
        tls_upgrade(&client);
        net_expect_event(net, CRE_EVENT_OPEN);
        static const char *const texts[] = { "one", "two", "three" };
        uint8_t bytes[1000];
        int ends[3], length = 0;
        for (int n = 0; n < 3; n++) {
            size_t size;
            uint8_t *frame = net_frame(CRE_WS_FIN | CRE_WS_TEXT, texts[n], strlen(texts[n]), &size);
            if (n == 1 && versions[i] == TLS1_3_VERSION)
                CHECK_EQ(SSL_key_update(client.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
            CHECK_EQ(SSL_write(client.ssl, frame, (int)size), (int)size);
            length += BIO_read(SSL_get_wbio(client.ssl), bytes + length, (int)sizeof bytes - length);
            ends[n] = length;
            free(frame);
        }
        SSL_shutdown(client.ssl);
        length += BIO_read(SSL_get_wbio(client.ssl), bytes + length, (int)sizeof bytes - length);
        const int half = (ends[1] + ends[2]) / 2;
        ERR_raise(ERR_LIB_USER, 1);
        net_send(&client.raw, bytes, (size_t)half);
        net_expect_event(net, CRE_EVENT_MESSAGE);
        net_expect_event(net, CRE_EVENT_MESSAGE);
        ERR_raise(ERR_LIB_USER, 1);
        net_send(&client.raw, bytes + half, (size_t)(length - half));
        net_expect_event(net, CRE_EVENT_MESSAGE);
        const cre_closed closed = net_closed(net_next(net));
        CHECK_EQ(closed.reason, CRE_CLOSED_PEER);
        CHECK_EQ(closed.error, 0);
        for (int n = 0; n < 3; n++)
            tls_ws_expect(&client, CRE_WS_FIN | CRE_WS_TEXT, texts[n], strlen(texts[n]));
        tls_close(&client);
        SSL_CTX_free(context);
        tls_stop(net);
    }
}

TEST(messages_of_all_sizes) {
    static const size_t sizes[] = { 0,     1,     125,   126,   3999,   4000,   4001,   16370,
                                    16384, 16385, 65535, 65536, 131072, 300001, 1048576 };
    uint8_t *bytes = pattern(1 << 20);
    for (int i = 0; i < 2; i++) {
        net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
        net->quiet = true;
        SSL_CTX *context = client_context(&authority, versions[i]);
        tls_client client = tls_connect(net, context, NULL);
        tls_upgrade(&client);
        for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
            tls_ws_send(&client, CRE_WS_FIN | CRE_WS_BINARY, bytes, sizes[n]);
            tls_ws_expect(&client, CRE_WS_FIN | CRE_WS_BINARY, bytes, sizes[n]);
        }
        tls_close(&client);
        SSL_CTX_free(context);
        tls_stop(net);
    }
    free(bytes);
}

/* Messages that arrive together are answered together: by few records, not by one each. */
TEST(small_answers_share_a_record) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    SSL_CTX *context = client_context(&authority, 0);
    tls_client client = tls_connect(net, context, NULL);
    tls_upgrade(&client);
    uint8_t all[2000];
    size_t used = 0, size;
    for (int i = 0; i < 16; i++) {
        uint8_t *frame =
            net_frame(CRE_WS_FIN | CRE_WS_TEXT, "0123456789012345678901234567890123456789", 40, &size);
        memcpy(all + used, frame, size);
        used += size;
        free(frame);
    }
    tls_write(&client, all, used);
    CHECK(net_await(&client.raw, 16 * 42 + 22)); /* one record: 5 bytes before, 17 behind */
    CHECK_EQ(client.raw.length, 16 * 42 + 22);
    tls_pull_in(&client);
    CHECK(tls_await(&client, 16 * 42));
    tls_close(&client);
    SSL_CTX_free(context);
    tls_stop(net);
}

static void pause_all(net_server *net, uint8_t kind) {
    cre_session sessions[4];
    uint32_t cursor = 0;
    size_t count = cre_table_list(cre_engine_table(net->engine), &cursor, sessions, 4);
    for (size_t i = 0; i < count; i++)
        cre_engine_command(net->engine, &(cre_record){ .kind = kind, .session = sessions[i] }, NULL, 0);
}

static int pausing(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_MESSAGE && payload[0] == 'P') pause_all(net, CRE_COMMAND_PAUSE);
    return tls_echo(net, event, payload);
}

/* What is decrypted but not read when reading stops is not in the socket: nothing but us knows of it. */
TEST(reading_goes_on_after_a_pause) {
    uint8_t *bytes = pattern(200000);
    for (int i = 0; i < 2; i++) {
        net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
        net->act = pausing;
        SSL_CTX *context = client_context(&authority, versions[i]);
        tls_client client = tls_connect(net, context, NULL);
        tls_upgrade(&client);
        /* The first fills reads of its own; the pause comes somewhere in the middle of what was read. */
        tls_ws_send(&client, CRE_WS_FIN | CRE_WS_BINARY, bytes, 100000);
        tls_ws_send(&client, CRE_WS_FIN | CRE_WS_TEXT, "P", 1);
        for (int n = 0; n < 10; n++)
            tls_ws_send(&client, CRE_WS_FIN | CRE_WS_BINARY, bytes + n, 9000);
        tls_ws_send(&client, CRE_WS_FIN | CRE_WS_TEXT, "P", 1);
        SSL_shutdown(client.ssl); /* the end is behind all of it */
        tls_push_out(&client);
        tls_ws_expect(&client, CRE_WS_FIN | CRE_WS_BINARY, bytes, 100000);
        tls_ws_expect(&client, CRE_WS_FIN | CRE_WS_TEXT, "P", 1);
        net_settle(net);
        pause_all(net, CRE_COMMAND_RESUME);
        for (int n = 0; n < 10; n++)
            tls_ws_expect(&client, CRE_WS_FIN | CRE_WS_BINARY, bytes + n, 9000);
        tls_ws_expect(&client, CRE_WS_FIN | CRE_WS_TEXT, "P", 1);
        net_settle(net);
        CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 0);
        pause_all(net, CRE_COMMAND_RESUME);
        NET_UNTIL(net, net_count_events(net, CRE_EVENT_CLOSE) == 1);
        tls_await_end(&client);
        CHECK_EQ(client.end, SSL_ERROR_ZERO_RETURN);
        tls_close(&client);
        SSL_CTX_free(context);
        tls_stop(net);
    }
    free(bytes);
}

static int late_answer(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)net;
    (void)event;
    (void)payload;
    return 0;
}

TEST(requests_behind_one_that_is_not_answered) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    net->act = late_answer;
    SSL_CTX *context = client_context(&authority, 0);
    tls_client client = tls_connect(net, context, NULL);
    for (int i = 0; i < 5; i++)
        tls_write(&client, request, sizeof request - 1);
    for (int i = 0; i < 5; i++) {
        const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST);
        net_settle(net);
        CHECK_EQ(net->count, i + 1);
        CHECK_EQ(cre_engine_respond(net->engine, event->record.session, 200, NULL, "hello", 5), 0);
        tls_expect_response(&client, 200, "hello");
    }
    tls_close(&client);
    SSL_CTX_free(context);
    tls_stop(net);
}

/* ---- files, which are encrypted piece by piece ---- */

TEST(a_file) {
    size_t size = 5 << 20;
    uint8_t *bytes = pattern(size);
    for (int i = 0; i < 2; i++) {
        char path[] = "/tmp/creactor-test-XXXXXX", head[64];
        int descriptor = mkstemp(path);
        REQUIRE(descriptor >= 0);
        REQUIRE(write(descriptor, bytes, size) == (ssize_t)size);
        close(descriptor);
        net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
        net->act = late_answer;
        SSL_CTX *context = client_context(&authority, versions[i]);
        tls_client client = tls_connect(net, context, NULL);
        tls_write(&client, request, sizeof request - 1);
        cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
        CHECK_EQ(cre_engine_respond_file(net->engine, session, 200, NULL, path, 0, CRE_FILE_REST), 0);
        unlink(path);
        snprintf(head, sizeof head, "Content-Length: %zu\r\n\r\n", size);
        CHECK(tls_await(&client, size));
        uint8_t *body = memmem(client.plain, client.length, head, strlen(head));
        REQUIRE(body != NULL);
        size_t prefix = (size_t)(body - client.plain) + strlen(head);
        CHECK(tls_await(&client, prefix + size));
        CHECK_EQ(client.length, prefix + size);
        CHECK_MEM(client.plain + prefix, bytes, size);
        client.length = 0;
        tls_write(&client, request, sizeof request - 1);
        session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
        CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "hello", 5), 0);
        tls_expect_response(&client, 200, "hello");
        tls_close(&client);
        SSL_CTX_free(context);
        tls_stop(net);
    }
    free(bytes);
}

/* ---- output that is not taken ---- */

TEST(slow_reader) {
    uint8_t *bytes = pattern(100000);
    for (int i = 0; i < 2; i++) {
        net_server *net = tls_start((cre_engine_config){ .max_queue = 4 << 20, .high_water = 1 << 20 },
                                    (cre_tls_config){ 0 });
        SSL_CTX *context = client_context(&authority, versions[i]);
        tls_client client = tls_connect(net, context, NULL);
        tls_upgrade(&client);
        cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
        int pushed = 0, result;
        while ((result = cre_engine_push(net->engine, session, CRE_WS_BINARY, bytes + pushed % 50, 90000)) ==
               0) {
            pushed++;
            REQUIRE(pushed < 10000);
            if (pushed % 3 == 0) cre_engine_push(net->engine, session, CRE_WS_TEXT, "small", 5);
            if (pushed % 7 == 0) net_turn(net);
        }
        CHECK_EQ(result, CRE_EQUEUE_FULL);
        net_turn(net);
        CHECK_EQ(net_count_events(net, CRE_EVENT_FULL), 1);
        CHECK_EQ(net_count_events(net, CRE_EVENT_DRAINED), 0);
        for (int n = 0; n < pushed; n++) {
            tls_ws_expect(&client, CRE_WS_FIN | CRE_WS_BINARY, bytes + n % 50, 90000);
            if ((n + 1) % 3 == 0) tls_ws_expect(&client, CRE_WS_FIN | CRE_WS_TEXT, "small", 5);
        }
        NET_UNTIL(net, net_count_events(net, CRE_EVENT_DRAINED) == 1);
        const cre__slot *slots = cre__table_slots(cre_engine_table(net->engine));
        CHECK_EQ(slots[cre__table_index(cre_engine_table(net->engine), session)].queued, 0);
        CHECK_EQ(cre__engine_find(net->engine, session)->transport.queued, 0);
        tls_close(&client);
        SSL_CTX_free(context);
        tls_stop(net);
    }
    free(bytes);
}

TEST(broadcast) {
    uint8_t *bytes = pattern(200000);
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    SSL_CTX *context = client_context(&authority, 0);
    tls_client clients[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = tls_connect(net, context, NULL);
        tls_upgrade(&clients[i]);
    }
    CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_TEXT, "small", 5, 0), 0);
    CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_BINARY, bytes, 200000, 0), 0);
    for (int i = 0; i < 3; i++) {
        tls_ws_expect(&clients[i], CRE_WS_FIN | CRE_WS_TEXT, "small", 5);
        tls_ws_expect(&clients[i], CRE_WS_FIN | CRE_WS_BINARY, bytes, 200000);
        tls_close(&clients[i]);
    }
    SSL_CTX_free(context);
    tls_stop(net);
    free(bytes);
}

/* Whoever does not read gets what was sent before the end, and then the end. */
TEST(close_behind_a_full_queue) {
    uint8_t *bytes = pattern(1 << 20);
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    SSL_CTX *context = client_context(&authority, 0);
    tls_client client = tls_connect(net, context, NULL);
    tls_upgrade(&client);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    for (int i = 0; i < 6; i++)
        CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_BINARY, bytes, 1 << 20), 0);
    CHECK_EQ(cre_engine_close(net->engine, session, 1000, NULL), 0);
    tls_ws_send(&client, CRE_WS_FIN | CRE_WS_CLOSE, "\x03\xe8", 2);
    for (int i = 0; i < 6; i++)
        tls_ws_expect(&client, CRE_WS_FIN | CRE_WS_BINARY, bytes, 1 << 20);
    tls_ws_expect(&client, CRE_WS_FIN | CRE_WS_CLOSE, "\x03\xe8", 2);
    tls_await_end(&client);
    CHECK_EQ(client.end, SSL_ERROR_ZERO_RETURN);
    tls_close(&client);
    NET_UNTIL(net, net->engine->net.open == 0);
    SSL_CTX_free(context);
    tls_stop(net);
    free(bytes);
}

/* ---- ends ---- */

TEST(half_close) {
    for (int i = 0; i < 6; i++) {
        net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
        net->act = late_answer;
        SSL_CTX *context = client_context(&authority, versions[i % 2]);
        tls_client client = tls_connect(net, context, NULL);
        tls_write(&client, request, sizeof request - 1);
        /* By a good-bye, by the end of the stream, by both. */
        if (i / 2 != 1) SSL_shutdown(client.ssl);
        tls_push_out(&client);
        if (i / 2 >= 1) shutdown(client.raw.descriptor, SHUT_WR);
        const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST);
        net_settle(net);
        CHECK_EQ(cre_engine_respond(net->engine, event->record.session, 200, NULL, "hello", 5), 0);
        tls_expect_response(&client, 200, "hello");
        tls_await_end(&client);
        CHECK_EQ(client.end, SSL_ERROR_ZERO_RETURN);
        CHECK_EQ(client.raw.error, 0);
        NET_UNTIL(net, net->engine->net.open == 0);
        tls_close(&client);
        SSL_CTX_free(context);
        tls_stop(net);
    }
}

TEST(ends_and_their_reasons) {
    for (int i = 0; i < 8; i++) {
        net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
        SSL_CTX *context = client_context(&authority, versions[i % 2]);
        tls_client client = tls_connect(net, context, NULL);
        tls_upgrade(&client);
        net_expect_event(net, CRE_EVENT_OPEN);
        int reason = CRE_CLOSED_PEER;
        switch (i / 2) {
        case 0: /* good-bye without a closing handshake */
            SSL_shutdown(client.ssl);
            tls_push_out(&client);
            break;
        case 1: shutdown(client.raw.descriptor, SHUT_WR); break;
        case 2: net_abort(&client.raw); break;
        default:
            tls_ws_send(&client, CRE_WS_FIN | CRE_WS_TEXT, "!", 1); /* the server resets */
            reason = CRE_CLOSED_SERVER;
            net_expect_event(net, CRE_EVENT_MESSAGE);
        }
        cre_closed closed = net_closed(net_next(net));
        CHECK_EQ(closed.reason, reason);
        CHECK_EQ(closed.code, 1006);
        if (i / 2 < 2) tls_await_end(&client);
        if (i / 2 == 3) {
            net_await_end(&client.raw);
            CHECK_EQ(client.raw.error, ECONNRESET);
        }
        NET_UNTIL(net, net->engine->net.open == 0);
        CHECK_EQ(net_stats(net).tls_failed, 0);
        tls_close(&client);
        SSL_CTX_free(context);
        tls_stop(net);
    }
}

TEST(a_damaged_record_ends_the_connection) {
    for (int i = 0; i < 2; i++) {
        net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
        SSL_CTX *context = client_context(&authority, versions[i]);
        tls_client client = tls_connect(net, context, NULL);
        tls_upgrade(&client);
        net_expect_event(net, CRE_EVENT_OPEN);
        size_t size;
        uint8_t *frame = net_frame(CRE_WS_FIN | CRE_WS_TEXT, "whole", 5, &size), bytes[200];
        SSL_write(client.ssl, frame, (int)size);
        SSL_write(client.ssl, frame, (int)size);
        int length = BIO_read(SSL_get_wbio(client.ssl), bytes, sizeof bytes);
        bytes[length - 1] ^= 1;
        net_send(&client.raw, bytes, (size_t)length);
        net_expect_event(net, CRE_EVENT_MESSAGE); /* the first was good */
        const net_event *event = net_next(net);
        cre_closed closed = net_closed(event);
        CHECK_EQ(closed.reason, CRE_CLOSED_TLS);
        CHECK_EQ(closed.error, CRE_ETLS);
        CHECK_EQ(closed.code, 1006);
        const char *text = (const char *)event->payload + sizeof closed;
        if (!strstr(text, "bad record mac")) TEST_FAIL("closed for %s", text);
        CHECK_STR(cre_close_reason_text(closed.reason), "TLS failure");
        tls_await_end(&client);
        CHECK_EQ(ERR_GET_REASON(client.cause), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
        CHECK_EQ(client.raw.error, 0);
        tls_close(&client);
        NET_UNTIL(net, net->engine->net.open == 0);
        free(frame);
        SSL_CTX_free(context);
        tls_stop(net);
    }
}

TEST(plain_http_and_garbage) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    net_client client = net_connect(net);
    char body[100];
    net_send_text(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_EQ(net_response(&client, body, sizeof body, false), 400);
    CHECK_STR(body, "This port uses TLS: use https:// or wss://\n");
    net_await_end(&client);
    CHECK_EQ(client.error, 0);
    CHECK_STR(tls_failure, "http request");
    net_close(&client);
    uint8_t bytes[3000];
    for (unsigned seed = 1; seed < 200; seed++) {
        unsigned state = seed;
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)((state = state * 1103515245 + 12345) >> 16);
        if (seed % 2) memcpy(bytes, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11); /* as it begins */
        client = net_connect(net);
        net_send(&client, bytes, sizeof bytes);
        net_await_end(&client);
        CHECK_EQ(client.error, 0);
        net_close(&client);
    }
    NET_UNTIL(net, net->engine->net.open == 0);
    CHECK_EQ(net_stats(net).tls_failed, 200);
    CHECK_EQ(net->count, 0);
    tls_stop(net);
}

TEST(handshakes_that_break_off) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    SSL_CTX *context = client_context(&authority, 0);
    tls_client client = tls_new(net, context, "localhost");
    uint8_t hello[2000];
    SSL_do_handshake(client.ssl);
    int length = BIO_read(SSL_get_wbio(client.ssl), hello, sizeof hello);
    tls_close(&client);
    for (int cut = 0; cut <= length; cut += 7) {
        net_client raw = net_connect(net);
        net_send(&raw, hello, (size_t)cut);
        net_turn(net);
        if (cut % 2) {
            net_abort(&raw);
        } else {
            shutdown(raw.descriptor, SHUT_WR);
            net_await_end(&raw);
            CHECK_EQ(raw.error, 0);
            net_close(&raw);
        }
    }
    NET_UNTIL(net, net->engine->net.open == 0);
    CHECK_EQ(tls_failures, 0);
    SSL_CTX_free(context);
    tls_stop(net);
}

TEST(a_handshake_has_its_time) {
    net_server *net = tls_start((cre_engine_config){ .head_timeout_ms = 60000 },
                                (cre_tls_config){ .handshake_timeout_ms = 200 });
    net_client silent = net_connect(net), half = net_connect(net);
    net_send(&half, "\x16\x03\x01\x02\x00\x01\x00", 7);
    net_await_end(&silent);
    net_await_end(&half);
    CHECK_EQ(half.error, 0);
    net_close(&silent);
    net_close(&half);
    NET_UNTIL(net, net->engine->net.open == 0);
    tls_stop(net);
    /* After it the head's time runs. */
    net = tls_start((cre_engine_config){ .head_timeout_ms = 200 },
                    (cre_tls_config){ .handshake_timeout_ms = 60000 });
    SSL_CTX *context = client_context(&authority, 0);
    tls_client client = tls_connect(net, context, NULL);
    tls_await_end(&client);
    CHECK_EQ(client.end, SSL_ERROR_ZERO_RETURN);
    tls_close(&client);
    SSL_CTX_free(context);
    tls_stop(net);
}

static void finished(void *context) {
    *(bool *)context = true;
}

TEST(shutdown_during_handshakes_and_after) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    SSL_CTX *context = client_context(&authority, 0);
    tls_client open = tls_connect(net, context, NULL), idle = tls_connect(net, context, NULL);
    net_client early = net_connect(net);
    tls_upgrade(&open);
    NET_UNTIL(net, net->engine->net.open == 3);
    bool done = false;
    cre_engine_shutdown(net->engine, 20000, finished, &done);
    net_await_end(&early);
    net_close(&early);
    tls_await_end(&idle);
    CHECK_EQ(idle.end, SSL_ERROR_ZERO_RETURN);
    tls_close(&idle);
    tls_ws_expect(&open, CRE_WS_FIN | CRE_WS_CLOSE, "\x03\xe9server shutdown", 17);
    tls_ws_send(&open, CRE_WS_FIN | CRE_WS_CLOSE, "\x03\xe9", 2);
    tls_await_end(&open);
    tls_close(&open);
    NET_UNTIL(net, done);
    SSL_CTX_free(context);
    tls_stop(net);
}

/* ---- what else TLS knows ---- */

TEST(new_keys) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    SSL_CTX *context = client_context(&authority, TLS1_3_VERSION);
    tls_client client = tls_connect(net, context, NULL);
    tls_upgrade(&client);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        tls_ws_echo(&client, "with new keys");
    }
    tls_close(&client);
    SSL_CTX_free(context);
    tls_stop(net);
}

TEST(no_renegotiation) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    SSL_CTX *context = client_context(&authority, TLS1_2_VERSION);
    tls_client client = tls_connect(net, context, NULL);
    tls_upgrade(&client);
    CHECK_EQ(SSL_renegotiate(client.ssl), 1);
    SSL_do_handshake(client.ssl);
    tls_push_out(&client);
    net_settle(net);
    CHECK_EQ(net_stats(net).tls_handshakes, 1);
    tls_close(&client);
    SSL_CTX_free(context);
    NET_UNTIL(net, net->engine->net.open == 0);
    tls_stop(net);
}

TEST(no_memory_for_a_connection) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    SSL_CTX *context = client_context(&authority, 0);
    for (long n = 1; n < 40; n++) {
        tls_client client = tls_new(net, context, NULL);
        SSL_do_handshake(client.ssl);
        tls_push_out(&client);
        atomic_store(&test_fail_at, n);
        for (int i = 0; i < 10; i++)
            net_turn(net);
        atomic_store(&test_fail_at, 0);
        if (tls_shake(&client)) {
            tls_write(&client, request, sizeof request - 1);
            tls_expect_response(&client, 200, "hello");
        }
        tls_close(&client);
        NET_UNTIL(net, net->engine->net.open == 0);
    }
    SSL_CTX_free(context);
    tls_stop(net);
}
#endif

TEST_MAIN()
