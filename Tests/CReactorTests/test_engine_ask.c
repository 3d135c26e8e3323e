/* Handshakes that the owner of the connections decides, and connections that get a new owner. */
#include "both.h"

static const cre_port_options asking = { .size = sizeof(cre_port_options),
                                         .protocol = CRE_PROTOCOL_WEBSOCKET,
                                         .http = true,
                                         .ask_upgrade = true,
                                         .keep_handshake = true };

static int echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_MESSAGE)
        cre_engine_push(net->engine, event->session, event->opcode, payload, event->length);
    return 0;
}

static net_server *start_asking(int (*act)(net_server *, const cre_record *, uint8_t *)) {
    return net_start((cre_engine_config){ .ports = &asking, .port_count = 1, .half_open = true }, act);
}

#define HANDSHAKE(more)                                                                      \
    "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"           \
    "Sec-WebSocket-Protocol: v1.chat, v2.chat\r\n" more "\r\n"

#define HEAD_MAX 2048

/* The head of the next answer. */
static void read_head(net_client *client, char head[HEAD_MAX]) {
    size_t length = net_find(client, "\r\n\r\n");
    REQUIRE(length > 0 && length < HEAD_MAX);
    memcpy(head, client->data, length);
    head[length] = 0;
    net_take(client, length);
}

static cre_session asked(net_server *net) {
    const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST);
    cre_request_view view;
    REQUIRE(cre_request_view_init(&view, event->payload, event->record.length) == 0);
    CHECK(view.head->flags & CRE_HTTP_UPGRADE_WEBSOCKET);
    return event->record.session;
}

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

TEST_BOTH(an_upgrade_is_answered_with_what_its_owner_says) {
    net_server *net = start_asking(echo);
    net_client client = net_connect(net);
    char head[HEAD_MAX];
    net_send_text(&client, HANDSHAKE(""));
    cre_session session = asked(net);
    net_settle(net);
    CHECK(!net_pull(&client)); /* nothing is said before the owner has decided */
    CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_TEXT, "x", 1), CRE_ENOT_WEBSOCKET);
    CHECK_EQ(cre_engine_upgrade(net->engine, session, "v2.chat", "Set-Cookie: a=b\r\nX-Room: 7\r\n"), 0);
    CHECK_EQ(net_expect_event(net, CRE_EVENT_OPEN)->record.flags & CRE_RECORD_RESUMED, 0);
    read_head(&client, head);
    CHECK(starts(head, "HTTP/1.1 101 "));
    CHECK(strstr(head, "Sec-WebSocket-Protocol: v2.chat\r\n") != NULL);
    CHECK(strstr(head, "Set-Cookie: a=b\r\n") != NULL);
    CHECK(strstr(head, "X-Room: 7\r\n") != NULL);
    net_ws_text(&client, "hello");
    net_expect_event(net, CRE_EVENT_MESSAGE);
    net_ws_expect_text(&client, "hello");
    CHECK_EQ(cre_engine_upgrade(net->engine, session, NULL, NULL), CRE_ENO_REQUEST);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(an_upgrade_may_be_refused_and_the_connection_goes_on) {
    net_server *net = start_asking(echo);
    net_client client = net_connect(net);
    char head[HEAD_MAX];
    for (int round = 0; round < 3; round++) {
        net_send_text(&client, HANDSHAKE(""));
        cre_session session = asked(net);
        CHECK_EQ(cre_engine_respond(net->engine, session, 401, "WWW-Authenticate: Basic\r\n", "no", 2), 0);
        CHECK_EQ(cre_engine_upgrade(net->engine, session, NULL, NULL), CRE_ENO_REQUEST);
        read_head(&client, head);
        CHECK(starts(head, "HTTP/1.1 401 "));
        NET_UNTIL(net, (net_pull(&client), client.length >= 2));
        net_take(&client, 2);
        /* A plain request is no handshake, whatever came before it. */
        net_send_text(&client, "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n");
        session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
        CHECK_EQ(cre_engine_upgrade(net->engine, session, NULL, NULL), CRE_ESTATE);
        CHECK_EQ(cre_engine_respond(net->engine, session, 204, NULL, NULL, 0), 0);
        read_head(&client, head);
        CHECK(starts(head, "HTTP/1.1 204 "));
    }
    net_close(&client);
    net_settle(net);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 0); /* it was never a WebSocket */
    net_stop(net);
}

TEST(a_wrong_answer_leaves_the_handshake_as_it_was) {
    net_server *net = start_asking(echo);
    net_client client = net_connect(net);
    char head[HEAD_MAX], name[300];
    net_send_text(&client, HANDSHAKE(""));
    cre_session session = asked(net);
    CHECK_EQ(cre_engine_upgrade(net->engine, session, "v3.chat", NULL), CRE_EINVALID);
    CHECK_EQ(cre_engine_upgrade(net->engine, session, NULL, "X-A: b\nc\r\n"), CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_engine_upgrade(net->engine, session, NULL, "no field\r\n"), CRE_EINVALID);
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = 0;
    CHECK_EQ(cre_engine_upgrade(net->engine, session, name, NULL), CRE_EINVALID);
    char many[65 * 6 + 1] = "";
    for (int i = 0; i < 65; i++)
        strcat(many, "a: b\r\n");
    CHECK_EQ(cre_engine_upgrade(net->engine, session, NULL, many), CRE_ELIMIT);
    CHECK_EQ(cre_engine_upgrade(net->engine, session, "", many + 6), 0);
    read_head(&client, head);
    CHECK(starts(head, "HTTP/1.1 101 "));
    CHECK(strstr(head, "Sec-WebSocket-Protocol") == NULL);
    net_close(&client);
    net_stop(net);
}

TEST(records_of_an_upgrade_are_checked) {
    cre_record command = { .kind = CRE_COMMAND_UPGRADE };
    cre_upgrade good = { .chosen = 1, .subprotocol_length = 4 };
    static const cre_upgrade bad[] = {
        { .chosen = 2 },
        { .chosen = 0, .subprotocol_length = 4 },
        { .chosen = 1, .subprotocol_length = 5 },
        { .chosen = 1, .subprotocol_length = 256 },
        { .chosen = 1, .subprotocol_length = 3 },
        { .chosen = 1, .subprotocol_length = 4, .fields_length = 1 },
        { .chosen = 1, .subprotocol_length = 4, .fields_length = UINT32_MAX },
    };
    cre_slice parts[] = { { (const uint8_t *)&good, sizeof good }, { (const uint8_t *)"chat", 4 } };
    CHECK_EQ(cre__command_check(&command, parts, 2), 0);
    parts[1].data = (const uint8_t *)"ch\0t";
    CHECK_EQ(cre__command_check(&command, parts, 2), CRE_EINVALID);
    parts[1].data = (const uint8_t *)"chat";
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        parts[0].data = (const uint8_t *)&bad[i];
        CHECK_EQ(cre__command_check(&command, parts, 2), CRE_EINVALID);
    }
    CHECK_EQ(cre__command_check(&command, NULL, 0), CRE_EINVALID);
}

TEST_BOTH(handshakes_that_are_none_are_refused_without_asking) {
    net_server *net = start_asking(echo);
    net_client client = net_connect(net);
    char head[HEAD_MAX];
    net_send_text(&client, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n");
    read_head(&client, head);
    CHECK(starts(head, "HTTP/1.1 400 "));
    CHECK_EQ(net->count, 0);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_client_that_leaves_before_the_answer_is_reported) {
    net_server *net = start_asking(echo);
    net_client client = net_connect(net);
    net_send_text(&client, HANDSHAKE(""));
    cre_session session = asked(net);
    net_abort(&client);
    const net_event *event = net_next(net);
    CHECK_EQ(event->record.session, session);
    CHECK_EQ(net_closed(event).reason, CRE_CLOSED_PEER);
    CHECK_EQ(cre_engine_upgrade(net->engine, session, NULL, NULL), CRE_EGONE);
    net_stop(net);
}

TEST_BOTH(frames_that_came_with_the_handshake_wait_for_the_answer) {
    net_server *net = start_asking(echo);
    net_client client = net_connect(net);
    char head[HEAD_MAX];
    net_send_text(&client, HANDSHAKE(""));
    net_ws_text(&client, "early");
    cre_session session = asked(net);
    net_ws_text(&client, "and late");
    net_settle(net);
    CHECK_EQ(net_count_events(net, CRE_EVENT_MESSAGE), 0);
    CHECK_EQ(cre_engine_upgrade(net->engine, session, NULL, NULL), 0);
    net_expect_event(net, CRE_EVENT_OPEN);
    read_head(&client, head);
    net_ws_expect_text(&client, "early");
    net_ws_expect_text(&client, "and late");
    net_close(&client);
    net_stop(net);
}

static int accept_at_once(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_REQUEST)
        CHECK_EQ(cre_engine_upgrade(net->engine, event->session, "", NULL), 0);
    return echo(net, event, payload);
}

TEST_BOTH(an_answer_inside_the_event_is_as_good) {
    net_server *net = start_asking(accept_at_once);
    net_client client = net_connect(net);
    char head[HEAD_MAX];
    net_send_text(&client, HANDSHAKE(""));
    net_ws_text(&client, "early");
    read_head(&client, head);
    CHECK(starts(head, "HTTP/1.1 101 "));
    net_ws_expect_text(&client, "early");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_new_owner_gets_the_handshake_again) {
    net_server *net = start_asking(accept_at_once);
    net_client client = net_connect(net);
    char head[HEAD_MAX];
    net_send_text(&client, HANDSHAKE("X-Who: me\r\n"));
    read_head(&client, head);
    net_expect_event(net, CRE_EVENT_REQUEST);
    const net_event *open = net_expect_event(net, CRE_EVENT_OPEN);
    cre_record adopt = { .kind = CRE_COMMAND_ADOPT, .session = open->record.session };
    CHECK_EQ(cre_engine_command(net->engine, &adopt, NULL, 0), 0);
    const net_event *again = net_expect_event(net, CRE_EVENT_OPEN);
    open = &net->events[1];
    CHECK(again->record.flags & CRE_RECORD_RESUMED);
    CHECK_EQ(again->record.length, open->record.length);
    CHECK_MEM(again->payload, open->payload, open->record.length);
    net_ws_text(&client, "still here");
    net_ws_expect_text(&client, "still here");
    CHECK_EQ(cre_engine_close(net->engine, adopt.session, 4000, "enough"), 0);
    CHECK_EQ(cre_engine_command(net->engine, &adopt, NULL, 0), CRE_EGONE);
    net_close(&client);
    net_stop(net);
}

TEST(a_handshake_is_kept_only_where_the_port_says_so) {
    cre_port_options port = asking;
    port.keep_handshake = false;
    net_server *net = net_start((cre_engine_config){ .ports = &port, .port_count = 1 }, accept_at_once);
    net_client client = net_connect(net);
    char head[HEAD_MAX];
    net_send_text(&client, HANDSHAKE(""));
    read_head(&client, head);
    cre_record adopt = { .kind = CRE_COMMAND_ADOPT, .session = net->events[0].record.session };
    CHECK_EQ(cre_engine_command(net->engine, &adopt, NULL, 0), CRE_ESTATE);
    net_close(&client);
    net_stop(net);

    port = (cre_port_options){ .size = sizeof port, .keep_handshake = true };
    net = net_start((cre_engine_config){ .ports = &port, .port_count = 1 }, echo);
    client = net_connect(net);
    net_send_text(&client, HANDSHAKE(""));
    read_head(&client, head);
    adopt.session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    CHECK_EQ(cre_engine_command(net->engine, &adopt, NULL, 0), 0);
    CHECK(net_expect_event(net, CRE_EVENT_OPEN)->record.flags & CRE_RECORD_RESUMED);
    net_close(&client);
    net_stop(net);
}

TEST(an_answer_of_another_process_that_is_wrong_is_an_end) {
    net_server *net = start_asking(echo);
    net_client client = net_connect(net);
    char head[HEAD_MAX];
    net_send_text(&client, HANDSHAKE(""));
    cre_record command = { .kind = CRE_COMMAND_UPGRADE, .session = asked(net) };
    cre_upgrade upgrade = { .chosen = 1, .subprotocol_length = 5 };
    cre_slice parts[] = { { (const uint8_t *)&upgrade, sizeof upgrade }, { (const uint8_t *)"other", 5 } };
    cre__command_accepted(net->engine, &command, parts, 2);
    read_head(&client, head);
    CHECK(starts(head, "HTTP/1.1 500 "));
    CHECK_EQ(net_closed(net_next(net)).reason, CRE_CLOSED_SERVER);
    net_close(&client);
    net_stop(net);
}

static void note_shutdown(void *context) {
    *(bool *)context = true;
}

TEST(a_shutdown_answers_a_late_upgrade_with_503) {
    net_server *net = start_asking(echo);
    net_client client = net_connect(net);
    char head[HEAD_MAX];
    bool done = false;
    net_send_text(&client, HANDSHAKE(""));
    cre_session session = asked(net);
    cre_engine_shutdown(net->engine, 60000, note_shutdown, &done);
    net_settle(net);
    CHECK(!done); /* a request in progress is answered first */
    CHECK_EQ(cre_engine_upgrade(net->engine, session, NULL, NULL), 0);
    read_head(&client, head);
    CHECK(starts(head, "HTTP/1.1 503 "));
    net_closed(net_next(net));
    net_close(&client);
    NET_UNTIL(net, done);
    net_stop(net);
}

TEST_MAIN()
