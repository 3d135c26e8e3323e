/* Sessions that collect large messages in memory of their caller. */
#include <creactor/websocket.h>

#include "test.h"

static const uint8_t key[4] = { 0x37, 0xFA, 0x21, 0x8D };
static uint8_t room[100000];
static int rooms_taken, rooms_given;

static uint8_t *take_room(void *context, size_t size) {
    CHECK(context == room && size <= sizeof room);
    rooms_taken++;
    return room;
}

static uint8_t *take_nothing(void *context, size_t size) {
    CHECK(context == room && size > 0);
    return NULL;
}

static void give_room(void *context, uint8_t *memory) {
    CHECK(context == room && memory == room);
    rooms_given++;
}

/* Feeds one frame in pieces. Returns where the message is. */
static const uint8_t *feed_to(const cre_ws_config *config, uint8_t first, size_t length, size_t piece) {
    static uint8_t payload[sizeof room];
    memset(payload, 'r', sizeof payload);
    static uint8_t input[sizeof payload + 2 * CRE_WS_MAX_HEADER];
    size_t size = cre_ws_header(input, first, length, key);
    memcpy(input + size, payload, length);
    cre_ws_mask(input + size, length, key, 0);
    size += length;
    if (!(first & CRE_WS_FIN)) size += cre_ws_header(input + size, CRE_WS_FIN | CRE_WS_CONTINUATION, 0, key);
    cre_ws_session session;
    cre_ws_event event;
    cre_ws_session_init(&session, config);
    int result = 0;
    for (uint8_t *cursor = input, *end = input + size, *at; !result && cursor < end;) {
        size_t direct = cre_ws_session_destination(&session, &at), left = (size_t)(end - cursor);
        size_t n = left < piece ? left : piece;
        if (direct && n > direct) n = direct;
        if (direct) memcpy(at, cursor, n);
        uint8_t *from = cursor;
        cursor += n;
        result = direct ? cre_ws_session_received(&session, n, &event)
                        : cre_ws_session_next(&session, &from, cursor, &event);
    }
    CHECK_EQ(result, 1);
    CHECK_EQ(event.length, length);
    CHECK_MEM(event.data, payload, length);
    const uint8_t *data = event.data;
    CHECK_EQ(rooms_given, 0);
    uint8_t *none = input;
    CHECK_EQ(cre_ws_session_next(&session, &none, none, &event), 0);
    CHECK_EQ(rooms_given, rooms_taken); /* by the call after the message */
    cre_ws_session_deinit(&session);
    CHECK_EQ(rooms_given, rooms_taken);
    return data;
}

TEST(large_messages_are_collected_in_memory_of_the_caller) {
    cre_ws_memory memory = { .take = take_room, .give = give_room, .context = room, .least = 50000 };
    cre_ws_config config = { .memory = &memory };
    const struct {
        uint8_t first;
        size_t length, piece;
        bool in_room;
    } rows[] = {
        { CRE_WS_FIN | CRE_WS_BINARY, 50000, 1000, true },
        { CRE_WS_FIN | CRE_WS_TEXT, 100000, 40000, true },
        { CRE_WS_FIN | CRE_WS_BINARY, 100000, 99999, true },
        { CRE_WS_FIN | CRE_WS_BINARY, 49999, 1000, false },
        { CRE_WS_BINARY, 60000, 20000, false },
        { CRE_WS_FIN | CRE_WS_TEXT, 60000, 70000, true }, /* it is whole in the input */
        { CRE_WS_FIN | CRE_WS_BINARY, 70000, 70000, true },
        { CRE_WS_FIN | CRE_WS_BINARY, 49999, 70000, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rooms_taken = rooms_given = 0;
        bool in_room = feed_to(&config, rows[i].first, rows[i].length, rows[i].piece) == room;
        CHECK(in_room == rows[i].in_room);
        CHECK_EQ(rooms_taken, rows[i].in_room);
        memory.take = take_nothing;
        rooms_taken = rooms_given = 0;
        CHECK(feed_to(&config, rows[i].first, rows[i].length, rows[i].piece) != room);
        memory.take = take_room;
    }
    memory.take = NULL;
    CHECK(feed_to(&config, CRE_WS_FIN | CRE_WS_BINARY, 60000, 20000) != room);
}

TEST_MAIN()
