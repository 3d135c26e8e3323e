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
    REQUIRE(cre_ws_session_close(&server.session, 1000, NULL, 0, NULL, frame) > 0);
    size_t size = cre_ws_pack(frame, sizeof frame, CRE_WS_FIN | CRE_WS_PING, NULL, 0, key);
    cre_ws_event event = receive(&server, frame, size);
    CHECK_EQ(cre_ws_session_answer(&server.session, &event, NULL, answer), 0);
}

TEST_MAIN()
