/* Messages that are taken out of the input of the one that is being emitted. */
#include "both.h"
#include "engine/command.h"
#include "engine/further.h"

static char log_text[4096];
static int events;

static void note(const cre_record *message, const uint8_t *payload) {
    size_t used = strlen(log_text);
    snprintf(log_text + used, sizeof log_text - used, "%.*s ", (int)message->length, (const char *)payload);
}

/* Takes all that it can, and answers each; "bye" closes, "pause" takes no more. */
static int take_all(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind != CRE_EVENT_MESSAGE) return 0;
    const cre_session session = event->session;
    cre_record next = *event;
    events++;
    strcat(log_text, "| ");
    const char *first = (const char *)payload;
    char before[8] = "";
    snprintf(before, sizeof before, "%.*s", (int)next.length, first);
    do {
        CHECK_EQ(next.session, session);
        CHECK_EQ(next.kind, CRE_EVENT_MESSAGE);
        CHECK(next.flags & CRE_RECORD_FINAL);
        note(&next, payload);
        CHECK(!cre__engine_take_message(net->engine, session + 1, &next, &payload));
        if (next.length == 5 && memcmp(payload, "pause", 5) == 0) break;
        if (next.length == 3 && memcmp(payload, "bye", 3) == 0)
            cre_engine_close(net->engine, session, 4000, "end");
        else
            cre_engine_push(net->engine, session, next.opcode, payload, next.length);
    } while (cre__engine_take_message(net->engine, session, &next, &payload));
    CHECK(memcmp(first, before, strlen(before)) == 0); /* the first payload is still there */
    return 0;
}

static void add(uint8_t *segment, size_t *used, uint8_t first, const void *data, size_t length) {
    size_t size;
    uint8_t *frame = net_frame(first, data, length, &size);
    memcpy(segment + *used, frame, size);
    *used += size;
    free(frame);
}

static void add_text(uint8_t *segment, size_t *used, const char *text) {
    add(segment, used, CRE_WS_FIN | CRE_WS_TEXT, text, strlen(text));
}

static net_server *start(net_client *client) {
    log_text[0] = 0;
    events = 0;
    net_server *net = net_start((cre_engine_config){ 0 }, take_all);
    *client = net_ws_connect(net);
    return net;
}

TEST_BOTH(messages_of_one_read_are_taken_in_one_event) {
    net_client client;
    net_server *net = start(&client);
    uint8_t segment[2048];
    size_t used = 0;
    char large[300];
    memset(large, 'l', sizeof large - 1);
    large[sizeof large - 1] = 0;
    add_text(segment, &used, "a");
    add_text(segment, &used, large);
    add_text(segment, &used, "b");
    net_send(&client, segment, used);
    net_ws_expect_text(&client, "a");
    net_ws_expect_text(&client, large);
    net_ws_expect_text(&client, "b");
    CHECK_EQ(events, 1);
    CHECK_EQ(net_stats(net).messages_in, 3);
    cre_record record;
    uint8_t *payload;
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    CHECK(!cre__engine_take_message(net->engine, session, &record, &payload)); /* outside of an event */
    net_close(&client);
    net_stop(net);
}

/* A ping is answered, and a fragment kept, by whoever reads the input. */
TEST_BOTH(other_frames_are_left_in_their_order) {
    net_client client;
    net_server *net = start(&client);
    uint8_t segment[2048];
    size_t used = 0;
    add_text(segment, &used, "a");
    add(segment, &used, CRE_WS_FIN | CRE_WS_PING, "p", 1);
    add_text(segment, &used, "b");
    add(segment, &used, CRE_WS_TEXT, "c", 1);
    add(segment, &used, CRE_WS_FIN, "d", 1);
    add_text(segment, &used, "e");
    net_send(&client, segment, used);
    net_ws_expect_text(&client, "a");
    net_ws_expect(&client, CRE_WS_PONG, "p", 1);
    net_ws_expect_text(&client, "b");
    net_ws_expect_text(&client, "cd");
    net_ws_expect_text(&client, "e");
    CHECK_STR(log_text, "| a | b | cd | e ");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(what_is_not_taken_is_emitted) {
    net_client client;
    net_server *net = start(&client);
    uint8_t segment[2048];
    size_t used = 0;
    add_text(segment, &used, "a");
    add_text(segment, &used, "pause");
    add_text(segment, &used, "b");
    net_send(&client, segment, used);
    net_ws_expect_text(&client, "a");
    net_ws_expect_text(&client, "b");
    CHECK_STR(log_text, "| a pause | b ");
    net_close(&client);
    net_stop(net);
}

/* The last frame may come in two reads. */
TEST_BOTH(a_message_that_is_not_whole_is_not_taken) {
    uint8_t segment[64];
    size_t used = 0, whole;
    add_text(segment, &used, "a");
    whole = used;
    add_text(segment, &used, "b");
    for (size_t split = whole; split < used; split++) {
        net_client client;
        net_server *net = start(&client);
        net_send(&client, segment, split);
        net_ws_expect_text(&client, "a");
        net_send(&client, segment + split, used - split);
        net_ws_expect_text(&client, "b");
        CHECK_STR(log_text, "| a | b ");
        net_close(&client);
        net_stop(net);
    }
}

TEST_BOTH(an_invalid_message_is_not_taken_and_ends_the_connection) {
    static const struct {
        uint8_t first;
        const char *text;
        int code;
    } invalid[] = { { CRE_WS_FIN | CRE_WS_TEXT, "\xFF", 1007 },
                    { CRE_WS_FIN | 3, "x", 1002 },
                    { CRE_WS_FIN | CRE_WS_RSV1 | CRE_WS_TEXT, "x", 1002 },
                    { CRE_WS_FIN, "x", 1002 } };
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        net_client client;
        net_server *net = start(&client);
        uint8_t segment[64];
        size_t used = 0;
        add_text(segment, &used, "a");
        add(segment, &used, invalid[i].first, invalid[i].text, 1);
        add_text(segment, &used, "b");
        net_send(&client, segment, used);
        net_ws_expect_text(&client, "a");
        CHECK_EQ(net_ws_expect_close(&client), invalid[i].code);
        CHECK_STR(log_text, "| a ");
        net_close(&client);
        net_stop(net);
    }
}

TEST_BOTH(nothing_is_taken_after_the_close) {
    net_client client;
    net_server *net = start(&client);
    uint8_t segment[64];
    size_t used = 0;
    add_text(segment, &used, "bye");
    add_text(segment, &used, "a");
    net_send(&client, segment, used);
    CHECK_EQ(net_ws_expect_close(&client), 4000);
    CHECK_STR(log_text, "| bye ");
    net_close(&client);
    net_stop(net);
}

TEST_MAIN()
