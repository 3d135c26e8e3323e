/* What the connection table keeps beside slots: notes of handshakes, and connections that are closed. */
#include "both.h"
#include "engine/command.h"
#include "registry/table_internal.h"

#define LIMIT 8

static cre_table *make(void) {
    void *memory =
        mmap(NULL, cre_table_size(LIMIT), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    cre_table *table = cre_table_open(memory, LIMIT);
    REQUIRE(table != NULL);
    return table;
}

static void drop(cre_table *table) {
    munmap(table->memory, cre_table_size(LIMIT));
    cre_table_close(table);
}

static cre_session claim(cre_table *table) {
    cre_connection_info info = {
        .state = CRE_CONNECTION_HTTP, .family = AF_INET, .remote_port = 4711, .connect_time_ms = 1
    };
    REQUIRE(cre__table_claim(table, &info, 1) == 0);
    return info.session;
}

static cre_slice text(const char *bytes) {
    return (cre_slice){ (const uint8_t *)bytes, strlen(bytes) };
}

TEST(everything_lies_within_the_table) {
    cre_table *table = make();
    uintptr_t end = (uintptr_t)table->memory + cre_table_size(LIMIT);
    uintptr_t last = (uintptr_t)(cre__table_rest(table, table->slots - 1) + 1);
    CHECK(last + (uintptr_t)table->slots * CRE__NOTE_BYTES <= end);
    CHECK((uintptr_t)cre__table_rest(table, 0) >= (uintptr_t)(cre__table_user(table, table->slots - 1) + 1));
    drop(table);
}

TEST(a_note_is_as_long_as_its_session) {
    cre_table *table = make();
    cre_session session = claim(table);
    cre_connection_note note;
    REQUIRE(cre_table_get_note(table, session, &note));
    CHECK_EQ(note.subprotocol_length + note.data_length, 0);
    uint8_t data[CRE_MAX_USER_DATA];
    char name[CRE_MAX_SUBPROTOCOL];
    memset(data, 7, sizeof data);
    memset(name, 'n', sizeof name);
    cre__table_set_note(table, session, (cre_slice){ (const uint8_t *)name, sizeof name },
                        (cre_slice){ data, sizeof data });
    REQUIRE(cre_table_get_note(table, session, &note));
    CHECK_EQ(note.subprotocol_length, CRE_MAX_SUBPROTOCOL);
    CHECK_EQ(note.data_length, CRE_MAX_USER_DATA);
    CHECK(memcmp(note.data, data, sizeof data) == 0 && memcmp(note.subprotocol, name, sizeof name) == 0);
    cre__table_release(table, session);
    CHECK(!cre_table_get_note(table, session, &note));
    for (uint32_t i = 0; i < table->slots; i++) {
        cre_session next = claim(table);
        REQUIRE(cre_table_get_note(table, next, &note));
        CHECK_EQ(note.subprotocol_length + note.data_length, 0);
        cre__table_release(table, next);
    }
    drop(table);
}

TEST(a_handshake_is_shown_until_it_is_answered) {
    cre_table *table = make();
    cre_session session = claim(table);
    cre_connection_info info;
    cre_connection_note note;
    cre__table_flag(table, session, CRE__NOTE_ASKING, true);
    REQUIRE(cre_table_get_info(table, session, &info, sizeof info));
    CHECK_EQ(info.asking, 1);
    REQUIRE(cre_table_get_note(table, session, &note));
    CHECK_EQ(note.subprotocol_length + note.data_length, 0);
    cre__table_set_note(table, session, text("chat"), text(""));
    REQUIRE(cre_table_get_info(table, session, &info, sizeof info));
    CHECK_EQ(info.asking, 0);
    drop(table);
}

TEST(a_closed_connection_is_described_until_its_slot_is_used) {
    cre_table *table = make();
    cre_session session = claim(table);
    cre_connection_info info;
    REQUIRE(cre_table_get_last_info(table, session, &info, sizeof info));
    CHECK_EQ(info.closed, 0);
    cre__table_set_close_error(table, session, -ECONNRESET);
    cre__table_release(table, session);
    CHECK(!cre_table_get_info(table, session, &info, sizeof info));
    REQUIRE(cre_table_get_last_info(table, session, &info, sizeof info));
    CHECK_EQ(info.closed, 1);
    CHECK_EQ(info.close_error, -ECONNRESET);
    CHECK_EQ(info.remote_port, 4711);
    CHECK(!cre_table_get_last_info(table, session + table->slots, &info, sizeof info));
    for (uint32_t i = 1; i < table->slots; i++)
        cre__table_release(table, claim(table));
    CHECK(cre_table_get_last_info(table, session, &info, sizeof info));
    cre_session next = claim(table);
    CHECK_EQ(next, session + table->slots);
    CHECK(!cre_table_get_last_info(table, session, &info, sizeof info));
    REQUIRE(cre_table_get_last_info(table, next, &info, sizeof info));
    CHECK_EQ(info.closed + info.close_error, 0);
    CHECK(!cre_table_get_last_info(table, 0, &info, sizeof info));
    drop(table);
}

TEST(an_exception_from_the_heartbeat_is_shown_with_a_note) {
    cre_table *table = make();
    cre_session session = claim(table);
    cre_connection_info info;
    cre_connection_note note;
    cre__table_flag(table, session, CRE__NOTE_PROTECTED, true);
    cre__table_set_note(table, session, text(""), text("data"));
    REQUIRE(cre_table_get_info(table, session, &info, sizeof info));
    CHECK_EQ(info.excepted, 1);
    cre__table_flag(table, session, CRE__NOTE_PROTECTED, false);
    REQUIRE(cre_table_get_info(table, session, &info, sizeof info));
    CHECK_EQ(info.excepted, 0);
    REQUIRE(cre_table_get_note(table, session, &note));
    CHECK_EQ(note.data_length, 4);
    drop(table);
}

TEST(overwritten_notes_do_no_harm) {
    cre_table *table = make();
    cre_session session = claim(table);
    cre_connection_note note;
    memset(cre__table_rest(table, session), 0xFF, sizeof(cre__slot_rest));
    REQUIRE(cre_table_get_note(table, session, &note));
    CHECK(note.subprotocol_length <= CRE_MAX_SUBPROTOCOL && note.data_length <= CRE_MAX_USER_DATA);
    drop(table);
}

/* ---- of an engine ---- */

static const cre_port_options asking = {
    .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_WEBSOCKET, .http = true, .ask_upgrade = true
};

#define HANDSHAKE                                                                            \
    "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"           \
    "Sec-WebSocket-Protocol: v1.chat, v2.chat\r\n\r\n"

static int ignore(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)net;
    (void)event;
    (void)payload;
    return 0;
}

TEST_BOTH(an_upgrade_leaves_a_note) {
    net_server *net = net_start((cre_engine_config){ .ports = &asking, .port_count = 1 }, ignore);
    net_client client = net_connect(net);
    net_send_text(&client, HANDSHAKE);
    cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    cre_connection_info info;
    REQUIRE(cre_table_get_info(cre_engine_table(net->engine), session, &info, sizeof info));
    CHECK_EQ(info.asking, 1);
    cre_record command = { .kind = CRE_COMMAND_UPGRADE, .session = session };
    cre_upgrade upgrade = { .chosen = 1, .subprotocol_length = 7, .data_length = 5 };
    cre_slice parts[] = { { (const uint8_t *)&upgrade, sizeof upgrade }, text("v2.chat"), text("alice") };
    CHECK_EQ(cre_engine_command(net->engine, &command, parts, 3), 0);
    net_expect_event(net, CRE_EVENT_OPEN);
    cre_connection_note note;
    REQUIRE(cre_table_get_note(cre_engine_table(net->engine), session, &note));
    CHECK(note.subprotocol_length == 7 && memcmp(note.subprotocol, "v2.chat", 7) == 0);
    CHECK(note.data_length == 5 && memcmp(note.data, "alice", 5) == 0);
    REQUIRE(cre_table_get_info(cre_engine_table(net->engine), session, &info, sizeof info));
    CHECK_EQ(info.asking, 0);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_refused_handshake_no_longer_waits) {
    net_server *net = net_start((cre_engine_config){ .ports = &asking, .port_count = 1 }, ignore);
    net_client client = net_connect(net);
    net_send_text(&client, HANDSHAKE);
    cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    CHECK_EQ(cre_engine_respond(net->engine, session, 403, NULL, NULL, 0), 0);
    cre_connection_info info;
    REQUIRE(cre_table_get_info(cre_engine_table(net->engine), session, &info, sizeof info));
    CHECK_EQ(info.asking, 0);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_client_that_leaves_before_the_answer_was_never_open) {
    net_server *net = net_start((cre_engine_config){ .ports = &asking, .port_count = 1 }, ignore);
    net_client client = net_connect(net);
    net_send_text(&client, HANDSHAKE);
    net_expect_event(net, CRE_EVENT_REQUEST);
    net_abort(&client);
    CHECK(net_expect_event(net, CRE_EVENT_CLOSE)->record.flags & CRE_RECORD_UNOPENED);
    client = net_connect(net);
    net_send_text(&client, HANDSHAKE);
    CHECK_EQ(
        cre_engine_upgrade(net->engine, net_expect_event(net, CRE_EVENT_REQUEST)->record.session, NULL, NULL),
        0);
    net_expect_event(net, CRE_EVENT_OPEN);
    net_close(&client);
    CHECK_EQ(net_expect_event(net, CRE_EVENT_CLOSE)->record.flags & CRE_RECORD_UNOPENED, 0);
    net_stop(net);
}

TEST(too_much_data_is_refused) {
    static const uint8_t bytes[CRE_MAX_USER_DATA + 1];
    cre_record command = { .kind = CRE_COMMAND_UPGRADE };
    cre_upgrade upgrade = { .data_length = CRE_MAX_USER_DATA };
    cre_slice parts[] = { { (const uint8_t *)&upgrade, sizeof upgrade }, { bytes, CRE_MAX_USER_DATA } };
    CHECK_EQ(cre__command_check(&command, parts, 2), 0);
    parts[1].length = upgrade.data_length = CRE_MAX_USER_DATA + 1;
    CHECK_EQ(cre__command_check(&command, parts, 2), CRE_EINVALID);
    parts[1].length = 3;
    CHECK_EQ(cre__command_check(&command, parts, 2), CRE_EINVALID);
}

/* ---- pausing for two reasons ---- */

TEST_BOTH(reading_resumes_when_both_have_resumed_it) {
    net_server *net = net_start((cre_engine_config){ .ports = NULL }, ignore);
    net_client client = net_ws_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    const struct {
        uint8_t kind, opcode;
    } steps[] = { { CRE_COMMAND_PAUSE, 1 },
                  { CRE_COMMAND_PAUSE, 0 },
                  { CRE_COMMAND_RESUME, 0 },
                  { CRE_COMMAND_PAUSE, 1 } };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        cre_record command = { .kind = steps[i].kind, .opcode = steps[i].opcode, .session = session };
        CHECK_EQ(cre_engine_command(net->engine, &command, NULL, 0), 0);
    }
    net_ws_text(&client, "hello");
    net_settle(net);
    CHECK_EQ(net_count_events(net, CRE_EVENT_MESSAGE), 0);
    cre_record command = { .kind = CRE_COMMAND_RESUME, .opcode = 1, .session = session };
    CHECK_EQ(cre_engine_command(net->engine, &command, NULL, 0), 0);
    net_expect_event(net, CRE_EVENT_MESSAGE);
    net_close(&client);
    net_stop(net);
}

TEST_MAIN()
