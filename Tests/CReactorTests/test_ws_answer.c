/* Pongs and the closing handshake, as a server and as a client. */
#include <creactor/websocket.h>

#include "test.h"

static const uint8_t key[4] = { 0x37, 0xfa, 0x21, 0x3d };

/* Two sessions that talk to each other through plain buffers. */
typedef struct side {
    cre_ws_session session;
    const uint8_t *mask;
} side;

static const cre_ws_config as_server = { 0 }, as_client = { .client = true };

static side server_side(void) {
    side it = { .mask = NULL };
    cre_ws_session_init(&it.session, &as_server);
    return it;
}

static side client_side(void) {
    side it = { .mask = key };
    cre_ws_session_init(&it.session, &as_client);
    return it;
}

/* The event that a frame is to `to`. */
static cre_ws_event receive(side *to, uint8_t *frame, size_t size) {
    cre_ws_event event = { 0 };
    REQUIRE(cre_ws_session_next(&to->session, &frame, frame + size, &event) == 1);
    return event;
}

static void ping_pong(side from, side to) {
    uint8_t frame[CRE_WS_MAX_ANSWER], answer[CRE_WS_MAX_ANSWER];
    size_t size =
        cre_ws_pack(frame, sizeof frame, CRE_WS_FIN | CRE_WS_PING, (const uint8_t *)"beat", 4, from.mask);
    cre_ws_event event = receive(&to, frame, size);
    CHECK_EQ(event.opcode, CRE_WS_PING);
    size = cre_ws_session_answer(&to.session, &event, to.mask, answer);
    event = receive(&from, answer, size);
    CHECK_EQ(event.opcode, CRE_WS_PONG);
    CHECK_EQ(event.length, 4);
    CHECK_MEM(event.data, "beat", 4);
    CHECK_EQ(cre_ws_session_answer(&from.session, &event, from.mask, frame), 0); /* a pong wants no answer */
}

TEST(a_ping_is_answered_with_its_payload) {
    ping_pong(client_side(), server_side());
    ping_pong(server_side(), client_side());
}

static void close_by(side first, side second, uint16_t code, uint16_t seen) {
    uint8_t frame[CRE_WS_MAX_ANSWER], answer[CRE_WS_MAX_ANSWER];
    size_t size = cre_ws_session_close(&first.session, code, "going", 5, first.mask, frame);
    REQUIRE(size > 0);
    CHECK(!cre_ws_session_closed(&first.session));
    CHECK_EQ(cre_ws_session_close(&first.session, code, NULL, 0, first.mask, answer), 0); /* once only */
    cre_ws_event event = receive(&second, frame, size);
    CHECK_EQ(event.opcode, CRE_WS_CLOSE);
    CHECK_EQ(event.close_code, seen);
    size = cre_ws_session_answer(&second.session, &event, second.mask, answer);
    REQUIRE(size > 0);
    CHECK(cre_ws_session_closed(&second.session));
    event = receive(&first, answer, size);
    CHECK_EQ(event.opcode, CRE_WS_CLOSE);
    CHECK_EQ(event.close_code, seen);
    CHECK_EQ(cre_ws_session_answer(&first.session, &event, first.mask, frame), 0); /* it was the answer */
    CHECK(cre_ws_session_closed(&first.session));
}

TEST(the_closing_handshake_works_from_either_side) {
    close_by(server_side(), client_side(), 1000, 1000);
    close_by(client_side(), server_side(), 3001, 3001);
    close_by(client_side(), server_side(), 1005, 1005); /* no code at all */
}

TEST(both_sides_may_close_at_once) {
    side server = server_side(), client = client_side();
    uint8_t ours[CRE_WS_MAX_ANSWER], theirs[CRE_WS_MAX_ANSWER], none[CRE_WS_MAX_ANSWER];
    size_t our_size = cre_ws_session_close(&server.session, 1001, NULL, 0, NULL, ours);
    size_t their_size = cre_ws_session_close(&client.session, 1000, NULL, 0, key, theirs);
    cre_ws_event event = receive(&client, ours, our_size);
    CHECK_EQ(cre_ws_session_answer(&client.session, &event, key, none), 0);
    event = receive(&server, theirs, their_size);
    CHECK_EQ(cre_ws_session_answer(&server.session, &event, NULL, none), 0);
    CHECK(cre_ws_session_closed(&client.session));
    CHECK(cre_ws_session_closed(&server.session));
}

TEST(nothing_is_sent_after_our_close_frame) {
    side server = server_side();
    uint8_t frame[CRE_WS_MAX_ANSWER], answer[CRE_WS_MAX_ANSWER];
    CHECK(cre_ws_session_may_send(&server.session));
    REQUIRE(cre_ws_session_close(&server.session, 1000, NULL, 0, NULL, frame) > 0);
    CHECK(!cre_ws_session_may_send(&server.session));
    size_t size = cre_ws_pack(frame, sizeof frame, CRE_WS_FIN | CRE_WS_PING, NULL, 0, key);
    cre_ws_event event = receive(&server, frame, size);
    CHECK_EQ(cre_ws_session_answer(&server.session, &event, NULL, answer), 0);
    CHECK_EQ(cre_ws_session_fail(&server.session, CRE_EWS_UTF8, NULL, answer), 0);
}

static size_t pack(const side *from, uint8_t first, const void *data, size_t length,
                   uint8_t out[CRE_WS_MAX_ANSWER]) {
    return cre_ws_pack(out, CRE_WS_MAX_ANSWER, first, data, length, from->mask);
}

/* Step by step, in either role: the state, what may be sent, what is to be reported. */
static void step_by_step(side us, side peer) {
    uint8_t frame[CRE_WS_MAX_ANSWER], answer[CRE_WS_MAX_ANSWER];
    cre_ws_session *session = &us.session;
    CHECK_EQ(cre_ws_session_closing(session), CRE_WS_OPEN);
    CHECK_EQ(cre_ws_session_close_code(session), 1006); /* if the connection ended now */
    CHECK(!cre_ws_session_closed_by_peer(session));

    side first = us, second = us, none = us;

    /* the peer closes */
    cre_ws_event event = receive(&first, frame,
                                 pack(&peer, 0x88,
                                      "\x0b\xb8"
                                      "bye",
                                      5, frame));
    CHECK_EQ(event.close_code, 3000);
    CHECK_EQ(cre_ws_session_closing(&first.session), CRE_WS_CLOSE_RECEIVED);
    CHECK(cre_ws_session_may_send(&first.session) && !cre_ws_session_closed(&first.session));
    size_t size = cre_ws_session_answer(&first.session, &event, us.mask, answer);
    CHECK(size > 0);
    CHECK_EQ(cre_ws_session_closing(&first.session), CRE_WS_CLOSED);
    CHECK(!cre_ws_session_may_send(&first.session) && cre_ws_session_closed(&first.session));
    CHECK_EQ(cre_ws_session_answer(&first.session, &event, us.mask, answer), 0);
    CHECK_EQ(cre_ws_session_close_code(&first.session), 3000);
    CHECK(cre_ws_session_closed_by_peer(&first.session));

    /* the peer closes, and the application answers with its own code */
    event = receive(&none, frame, pack(&peer, 0x88, NULL, 0, frame));
    CHECK_EQ(cre_ws_session_close_code(&none.session), 1005);
    CHECK(cre_ws_session_close(&none.session, 1001, "later", 5, us.mask, answer) > 0);
    CHECK_EQ(cre_ws_session_closing(&none.session), CRE_WS_CLOSED);
    CHECK_EQ(cre_ws_session_close_code(&none.session), 1005);

    /* this side closes; messages of the peer still arrive, then its close frame with another code */
    CHECK(cre_ws_session_close(&second.session, 4001, "x", 1, us.mask, answer) > 0);
    CHECK_EQ(cre_ws_session_closing(&second.session), CRE_WS_CLOSE_SENT);
    CHECK_EQ(cre_ws_session_close_code(&second.session), 4001);
    event = receive(&second, frame, pack(&peer, 0x81, "late", 4, frame));
    CHECK_EQ(event.opcode, CRE_WS_TEXT);
    CHECK_EQ(cre_ws_session_answer(&second.session, &event, us.mask, answer), 0);
    event = receive(&second, frame, pack(&peer, 0x88, "\x03\xe8", 2, frame));
    CHECK_EQ(cre_ws_session_closing(&second.session), CRE_WS_CLOSED); /* without an answer */
    CHECK_EQ(cre_ws_session_answer(&second.session, &event, us.mask, answer), 0);
    CHECK_EQ(cre_ws_session_close_code(&second.session), 4001);
    CHECK(!cre_ws_session_closed_by_peer(&second.session));
    cre_ws_session_deinit(&second.session);
    cre_ws_session_deinit(&first.session);
    cre_ws_session_deinit(&none.session);
}

TEST(states_of_the_closing_handshake) {
    step_by_step(server_side(), client_side());
    step_by_step(client_side(), server_side());
}

static void fail_after(side us, side peer, bool closed_before) {
    uint8_t frame[CRE_WS_MAX_ANSWER], answer[CRE_WS_MAX_ANSWER], *cursor = frame;
    cre_ws_event event;
    if (closed_before) REQUIRE(cre_ws_session_close(&us.session, 1000, NULL, 0, us.mask, answer) > 0);
    size_t size = pack(&peer, 0x81, "\xff", 1, frame);
    int error = cre_ws_session_next(&us.session, &cursor, frame + size, &event);
    CHECK_EQ(error, CRE_EWS_UTF8);
    size = cre_ws_session_fail(&us.session, error, us.mask, answer);
    CHECK_EQ(size > 0, !closed_before);
    CHECK_EQ(cre_ws_session_closing(&us.session), CRE_WS_FAILED);
    CHECK(cre_ws_session_closed(&us.session) && !cre_ws_session_may_send(&us.session));
    CHECK_EQ(cre_ws_session_close_code(&us.session), 1007);
    CHECK(!cre_ws_session_closed_by_peer(&us.session));
    if (size) {
        event = receive(&peer, answer, size);
        CHECK_EQ(event.opcode, CRE_WS_CLOSE);
        CHECK_EQ(event.close_code, 1007);
        CHECK_EQ(event.length, strlen(cre_error_message(CRE_EWS_UTF8)));
        CHECK_MEM(event.data, cre_error_message(CRE_EWS_UTF8), event.length);
    }
    size = pack(&peer, 0x81, "a", 1, frame);
    cursor = frame;
    CHECK_EQ(cre_ws_session_next(&us.session, &cursor, frame + size, &event), 0);
    CHECK(cursor == frame + size);
    cre_ws_session_deinit(&us.session);
    cre_ws_session_deinit(&peer.session);
}

TEST(a_failed_connection_is_closed_at_once) {
    for (int before = 0; before < 2; before++) {
        fail_after(server_side(), client_side(), before);
        fail_after(client_side(), server_side(), before);
    }
}

/* An application may fail a connection for a reason of its own: then input ends as after an error. */
TEST(input_ends_with_a_failure) {
    side server = server_side();
    uint8_t frame[CRE_WS_MAX_ANSWER], answer[CRE_WS_MAX_ANSWER], *cursor = frame;
    cre_ws_event event;
    CHECK(cre_ws_session_fail(&server.session, CRE_ENOMEM, NULL, answer) > 0);
    CHECK_EQ(cre_ws_session_close_code(&server.session), 1011);
    size_t size = cre_ws_pack(frame, sizeof frame, 0x81, (const uint8_t *)"a", 1, key);
    CHECK_EQ(cre_ws_session_next(&server.session, &cursor, frame + size, &event), 0);
}

TEST(a_code_that_may_not_be_sent_is_none) {
    side server = server_side();
    uint8_t frame[CRE_WS_MAX_ANSWER];
    CHECK_EQ(cre_ws_session_close(&server.session, 1006, "x", 1, NULL, frame), 2);
    CHECK_EQ(cre_ws_session_close_code(&server.session), 1005);
}

TEST(close_codes_of_errors) {
#define XX(name, number, message) { CRE_E##name, #name },
    static const struct {
        int error;
        const char *name;
    } all[] = { CRE_ERROR_MAP(XX) };
#undef XX
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int expected = strncmp(all[i].name, "WS_", 3) == 0 ? 1002 : 1011;
        switch (all[i].error) {
        case CRE_EWS_UTF8:
        case CRE_EWS_CLOSE_REASON:
        case CRE_EWS_DEFLATE: expected = 1007; break;
        case CRE_EWS_TOO_BIG:
        case CRE_EWS_FRAGMENTS: expected = 1009; break;
        }
        if (cre_ws_close_code(all[i].error) != expected)
            TEST_FAIL("%s: %d, expected %d", all[i].name, cre_ws_close_code(all[i].error), expected);
    }
}

TEST(a_session_is_small) {
    CHECK(sizeof(cre_ws_session) <= 48);
}

TEST_MAIN()
