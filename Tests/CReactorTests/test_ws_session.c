/* Each case is a byte string and the transcript of what a session makes of it, whole and cut in every way. */
#include <creactor/websocket.h>
#include <stdarg.h>

#include "test.h"
#include "ws/ws_message.h"

static const uint8_t key[4] = { 0x37, 0xFA, 0x21, 0x8D };

typedef struct bytes {
    uint8_t *data;
    size_t size, capacity;
} bytes;

static void add(bytes *b, const void *data, size_t size) {
    if (b->size + size > b->capacity) {
        b->capacity = (b->size + size) * 2;
        b->data = realloc(b->data, b->capacity);
        REQUIRE(b->data != NULL);
    }
    if (size) memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void add_frame(bytes *b, bool masked, uint8_t first, const void *data, size_t size) {
    uint8_t header[CRE_WS_MAX_HEADER];
    add(b, header, cre_ws_header(header, first, size, masked ? key : NULL));
    size_t at = b->size;
    add(b, data, size);
    if (masked) cre_ws_mask(b->data + at, size, key, 0);
}

/* ---- transcripts ---- */

typedef struct transcript {
    char text[1 << 16];
    size_t length;
} transcript;

static void note(transcript *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(transcript *t, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int n = vsnprintf(t->text + t->length, sizeof t->text - t->length, format, list);
    va_end(list);
    REQUIRE(n >= 0 && t->length + (size_t)n < sizeof t->text);
    t->length += (size_t)n;
}

static void say_event(transcript *t, const cre_ws_event *event) {
    static const char *const names[16] = { "cont", "text", "binary", "",     "",    "",
                                           "",     "",     "close",  "ping", "pong" };
    note(t, "%s%s", names[event->opcode], event->final ? "" : "+");
    if (event->opcode == CRE_WS_CLOSE)
        note(t, " %u", event->close_code);
    else
        CHECK_EQ(event->close_code, 0);
    if (event->length && event->length <= 24) {
        note(t, " ");
        for (size_t i = 0; i < event->length; i++)
            note(t, event->data[i] >= ' ' && event->data[i] < 0x7F ? "%c" : "<%02X>", event->data[i]);
    } else if (event->length) {
        uint64_t hash = 14695981039346656037u;
        for (size_t i = 0; i < event->length; i++)
            hash = (hash ^ event->data[i]) * 1099511628211u;
        note(t, " #%zu %016llx", event->length, (unsigned long long)hash);
    }
    note(t, ";");
    memset(event->data, 0xEE, event->length); /* the payload may be written to */
}

static void say_result(transcript *t, int result) {
    if (result < 0) note(t, "%s %u", cre_error_name(result) + 5, cre_ws_close_code(result));
}

/* ---- ways to feed ---- */

static guard_page guard;
static long allocated; /* by the session of the last run */

static int feed_piece(cre_ws_session *session, const uint8_t *data, size_t size, transcript *t) {
    uint8_t *cursor = guard_place(&guard, data, size), *end = cursor + size;
    cre_ws_event event;
    int result;
    while ((result = cre_ws_session_next(session, &cursor, end, &event)) == 1)
        say_event(t, &event);
    if (result == 0) CHECK(cursor == end);
    return result;
}

/* Through the destination as far as it is offered. */
static int feed_direct(cre_ws_session *session, const uint8_t *data, size_t size, size_t most,
                       transcript *t) {
    while (size) {
        uint8_t *destination;
        size_t n = size < most ? size : most;
        size_t room = cre_ws_session_destination(session, &destination);
        int result;
        if (room) {
            if (n > room) n = room;
            memcpy(destination, data, n);
            cre_ws_event event;
            result = cre_ws_session_received(session, n, &event);
            if (result == 1) {
                say_event(t, &event);
                result = feed_piece(session, NULL, 0, t);
            }
        } else {
            result = feed_piece(session, data, n, t);
        }
        if (result < 0) return result;
        data += n;
        size -= n;
    }
    return 0;
}

typedef struct way {
    size_t split; /* cut in two here, or 0 */
    size_t piece; /* pieces of this size, or 0: one piece */
    bool direct;
} way;

static const char *run(const cre_ws_config *config, const bytes *input, way how) {
    static transcript t;
    t.length = 0;
    t.text[0] = 0;
    cre_ws_session session;
    cre_ws_session_init(&session, config);
    long before = atomic_load(&test_allocations);
    int result = 0;
    if (how.direct) {
        result = feed_direct(&session, input->data, input->size, how.piece ? how.piece : input->size, &t);
    } else if (how.piece) {
        for (size_t i = 0; i < input->size && result == 0; i += how.piece) {
            size_t n = input->size - i < how.piece ? input->size - i : how.piece;
            result = feed_piece(&session, input->data + i, n, &t);
        }
    } else {
        result = feed_piece(&session, input->data, how.split, &t);
        if (result == 0) result = feed_piece(&session, input->data + how.split, input->size - how.split, &t);
    }
    say_result(&t, result);
    if (result < 0) { /* input after an error is ignored */
        size_t length = t.length;
        CHECK_EQ(feed_piece(&session, input->data, input->size, &t), 0);
        CHECK_EQ(t.length, length);
    }
    allocated = atomic_load(&test_allocations) - before;
    if (!cre_ws_session_busy(&session)) CHECK(session.message == NULL);
    cre_ws_session_deinit(&session);
    return t.text;
}

static void expect(const cre_ws_config *config, bytes *input, const char *expected) {
    guard = guard_make(input->size + 1);
    char *whole = strdup(run(config, input, (way){ 0 }));
    if (expected) CHECK_STR(whole, expected);
    size_t step = input->size < 3000 ? 1 : input->size / 1500;
    for (size_t split = 1; split < input->size; split += step) {
        const char *text = run(config, input, (way){ .split = split });
        CHECK_STR(text, whole);
        if (strcmp(text, whole) != 0) fprintf(stderr, "  split at %zu\n", split);
    }
    const size_t pieces[] = { 1, 2, 3, 7, 64, 1000, 65536 };
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        CHECK_STR(run(config, input, (way){ .piece = pieces[i] }), whole);
    if (input->size > 32768) {
        CHECK_STR(run(config, input, (way){ .piece = 5000, .direct = true }), whole);
        CHECK_STR(run(config, input, (way){ .piece = 65536, .direct = true }), whole);
    }
    free(whole);
    free(input->data);
    *input = (bytes){ 0 };
    guard_free(&guard);
}

static const cre_ws_config server = { 0 }, client = { .client = true }, streaming = { .fragments = true };

static void expect_bytes(const cre_ws_config *config, const char *data, size_t size, const char *expected) {
    bytes b = { 0 };
    add(&b, data, size);
    expect(config, &b, expected);
}

#define RAW(config, literal, expected) expect_bytes(config, literal, sizeof(literal) - 1, expected)

#define FIN_TEXT   (CRE_WS_FIN | CRE_WS_TEXT)
#define FIN_BINARY (CRE_WS_FIN | CRE_WS_BINARY)
#define FIN_CONT   (CRE_WS_FIN | CRE_WS_CONTINUATION)
#define FIN_PING   (CRE_WS_FIN | CRE_WS_PING)
#define FIN_PONG   (CRE_WS_FIN | CRE_WS_PONG)
#define FIN_CLOSE  (CRE_WS_FIN | CRE_WS_CLOSE)

/* Masked frames of (first, payload) pairs; the payloads are strings. */
typedef struct part {
    unsigned first;
    const char *payload;
} part;

static void expect_parts(const cre_ws_config *config, const part *parts, size_t count, const char *expected) {
    bytes b = { 0 };
    for (size_t i = 0; i < count; i++)
        add_frame(&b, !config->client, (uint8_t)parts[i].first, parts[i].payload, strlen(parts[i].payload));
    expect(config, &b, expected);
}

#define PARTS(config, expected, ...) \
    expect_parts(config, (part[]){ __VA_ARGS__ }, sizeof((part[]){ __VA_ARGS__ }) / sizeof(part), expected)

/* ---- what is right ---- */

TEST(examples_of_rfc_6455) {
    RAW(&client, "\x81\x05\x48\x65\x6c\x6c\x6f", "text Hello;");
    RAW(&server, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "text Hello;");
    RAW(&client, "\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f", "text Hello;");
    RAW(&client, "\x89\x05\x48\x65\x6c\x6c\x6f", "ping Hello;");
    RAW(&server, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "pong Hello;");
}

TEST(session_is_small) {
    CHECK(sizeof(cre_ws_session) <= 48);
}

TEST(messages_in_a_row) {
    PARTS(&server, "text a;binary bc;text;ping;pong p;text last;", { FIN_TEXT, "a" }, { FIN_BINARY, "bc" },
          { FIN_TEXT, "" }, { FIN_PING, "" }, { FIN_PONG, "p" }, { FIN_TEXT, "last" });
    PARTS(&client, "text a;binary bc;text;ping;pong p;text last;", { FIN_TEXT, "a" }, { FIN_BINARY, "bc" },
          { FIN_TEXT, "" }, { FIN_PING, "" }, { FIN_PONG, "p" }, { FIN_TEXT, "last" });
}

TEST(fragments_with_control_frames_between) {
    PARTS(&server, "ping 1;pong 2;text Hello;text x;", { CRE_WS_TEXT, "He" }, { FIN_PING, "1" },
          { CRE_WS_CONTINUATION, "" }, { CRE_WS_CONTINUATION, "l" }, { FIN_PONG, "2" }, { FIN_CONT, "lo" },
          { FIN_TEXT, "x" });
    PARTS(&server, "binary;", { CRE_WS_BINARY, "" }, { FIN_CONT, "" });
    PARTS(&server, "ping;close 1005;", { CRE_WS_BINARY, "abc" }, { FIN_PING, "" }, { FIN_CLOSE, "" },
          { FIN_CONT, "ignored" });
    PARTS(&client, "ping 1;binary abcd;", { CRE_WS_BINARY, "ab" }, { FIN_PING, "1" }, { FIN_CONT, "cd" });
}

TEST(fragments_are_delivered) {
    PARTS(&streaming, "text+ He;ping 1;cont+;cont+ l;pong 2;cont lo;text x;", { CRE_WS_TEXT, "He" },
          { FIN_PING, "1" }, { CRE_WS_CONTINUATION, "" }, { CRE_WS_CONTINUATION, "l" }, { FIN_PONG, "2" },
          { FIN_CONT, "lo" }, { FIN_TEXT, "x" });
}

TEST(all_short_lengths_of_text_and_binary) {
    for (int i = 0; i < 2; i++) {
        for (size_t length = 0; length < 140; length++) {
            char payload[140];
            memset(payload, 'y', sizeof payload);
            bytes b = { 0 };
            add_frame(&b, true, i ? FIN_TEXT : FIN_BINARY, payload, length);
            add_frame(&b, true, FIN_PING, "!", 1);
            transcript *t = calloc(1, sizeof *t);
            cre_ws_event event = { .opcode = i ? CRE_WS_TEXT : CRE_WS_BINARY,
                                   .final = true,
                                   .data = (uint8_t *)payload,
                                   .length = length };
            say_event(t, &event);
            note(t, "ping !;");
            expect(&server, &b, t->text);
            free(t);
        }
    }
}

TEST(large_messages) {
    const size_t sizes[] = { 125, 126, 127, 65535, 65536, 200000, 1048576 };
    static uint8_t payload[1048576];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 31 >> 4);
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
        bytes b = { 0 };
        add_frame(&b, true, FIN_BINARY, payload, sizes[n]);
        add_frame(&b, true, FIN_TEXT, "then", 4);
        guard = guard_make(b.size + 1);
        transcript *t = calloc(1, sizeof *t);
        uint8_t *copy = malloc(sizes[n]);
        REQUIRE(t && copy);
        memcpy(copy, payload, sizes[n]);
        say_event(
            t, &(cre_ws_event){ .opcode = CRE_WS_BINARY, .final = true, .data = copy, .length = sizes[n] });
        note(t, "text then;");
        const size_t pieces[] = { 0, 997, 4096, 65536 };
        for (size_t p = 0; p < 4; p++) {
            CHECK_STR(run(&server, &b, (way){ .piece = pieces[p] }), t->text);
            CHECK_STR(run(&server, &b, (way){ .piece = pieces[p], .direct = true }), t->text);
        }
        free(copy);
        free(t);
        free(b.data);
        guard_free(&guard);
    }
}

TEST(a_frame_in_the_buffer_takes_no_memory) {
    bytes b = { 0 };
    char payload[4000];
    memset(payload, 'z', sizeof payload);
    for (size_t length = 0; length < sizeof payload; length += 13) {
        add_frame(&b, true, FIN_TEXT, payload, length);
        add_frame(&b, true, FIN_BINARY, payload, length);
        add_frame(&b, true, FIN_PING, payload, length % 126);
    }
    guard = guard_make(b.size);
    run(&server, &b, (way){ 0 });
    CHECK_EQ(allocated, 0);
    run(&server, &b, (way){ .split = b.size / 2 });
    CHECK(allocated <= 1);
    free(b.data);
    guard_free(&guard);
}

TEST(close_frames) {
    RAW(&client, "\x88\x00", "close 1005;");
    RAW(&client, "\x88\x02\x03\xE8", "close 1000;");
    RAW(&client,
        "\x88\x05\x0F\xA0"
        "bye",
        "close 4000 bye;");
    RAW(&client, "\x88\x02\x03\xE8\x81\x01x", "close 1000;");
    RAW(&client, "\x88\x02\x03\xE8\xFF\xFF\xFF", "close 1000;");
    RAW(&server, "\x88\x82\x00\x00\x00\x00\x13\x87", "close 4999;");
}

/* ---- what is wrong ---- */

TEST(reserved_bits) {
    RAW(&client, "\xC1\x00", "WS_RSV 1002");
    RAW(&client, "\xA1\x00", "WS_RSV 1002");
    RAW(&client, "\x91\x00", "WS_RSV 1002");
    RAW(&client, "\xC9\x00", "WS_RSV 1002");
    RAW(&client, "\x01\x01x\xC0\x00", "WS_RSV 1002");
    RAW(&client, "\x81\x01x\xF1", "text x;WS_RSV 1002");
}

TEST(reserved_opcodes) {
    for (unsigned opcode = 0; opcode < 16; opcode++) {
        if (opcode <= 2 || (opcode >= 8 && opcode <= 10)) continue;
        bytes b = { 0 };
        add_frame(&b, true, (uint8_t)(CRE_WS_FIN | opcode), "x", 1);
        expect(&server, &b, "WS_OPCODE 1002");
    }
}

TEST(mask_direction) {
    RAW(&server, "\x81\x01x", "WS_UNMASKED 1002");
    RAW(&server, "\x89\x00", "WS_UNMASKED 1002");
    RAW(&client, "\x81\x81\x00\x00\x00\x00x", "WS_MASKED 1002");
}

TEST(length_forms) {
    RAW(&client, "\x82\x7E\x00\x7D", "WS_LENGTH_FORM 1002");
    RAW(&client, "\x82\x7F\x00\x00\x00\x00\x00\x00\xFF\xFF", "WS_LENGTH_FORM 1002");
    RAW(&client, "\x82\x7F\x80\x00\x00\x00\x00\x00\x00\x00", "WS_LENGTH_RANGE 1002");
    RAW(&client, "\x82\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "WS_LENGTH_RANGE 1002");
    RAW(&client, "\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "WS_TOO_BIG 1009");
}

TEST(control_frames_that_are_too_long_or_fragmented) {
    RAW(&client, "\x89\x7E\x00\x7E", "WS_CONTROL_SIZE 1002");
    RAW(&client, "\x88\x7F", "WS_CONTROL_SIZE 1002");
    RAW(&client, "\x09\x00", "WS_CONTROL_FRAGMENT 1002");
    RAW(&client, "\x08\x00", "WS_CONTROL_FRAGMENT 1002");
    bytes b = { 0 };
    char payload[125];
    memset(payload, 'p', sizeof payload);
    add_frame(&b, true, CRE_WS_TEXT, "a", 1);
    add_frame(&b, true, FIN_PING, payload, 125);
    add_frame(&b, true, FIN_CONT, "b", 1);
    expect(&server, &b, NULL);
}

TEST(order_of_fragments) {
    PARTS(&server, "WS_INTERLEAVED 1002", { CRE_WS_TEXT, "a" }, { FIN_TEXT, "b" });
    PARTS(&server, "WS_INTERLEAVED 1002", { CRE_WS_TEXT, "a" }, { CRE_WS_BINARY, "b" });
    PARTS(&server, "WS_CONTINUATION 1002", { FIN_CONT, "a" });
    PARTS(&server, "WS_CONTINUATION 1002", { CRE_WS_CONTINUATION, "a" });
    PARTS(&server, "text ab;WS_CONTINUATION 1002", { CRE_WS_TEXT, "a" }, { FIN_CONT, "b" },
          { FIN_CONT, "c" });
    PARTS(&server, "text a;WS_CONTINUATION 1002", { FIN_TEXT, "a" }, { FIN_CONT, "b" });
    PARTS(&streaming, "text+ a;WS_INTERLEAVED 1002", { CRE_WS_TEXT, "a" }, { FIN_TEXT, "b" });
}

TEST(invalid_close_frames) {
    RAW(&client, "\x88\x01\x03", "WS_CLOSE_SIZE 1002");
    RAW(&client, "\x88\x02\x03\xED", "WS_CLOSE_CODE 1002"); /* 1005 */
    RAW(&client, "\x88\x02\x00\x00", "WS_CLOSE_CODE 1002");
    RAW(&client, "\x88\x02\x03\xE7", "WS_CLOSE_CODE 1002");
    RAW(&client, "\x88\x02\x13\x88", "WS_CLOSE_CODE 1002"); /* 5000 */
    RAW(&client, "\x88\x04\x03\xE8\xC0\xAF", "WS_CLOSE_REASON 1007");
    RAW(&client, "\x88\x03\x03\xE8\xE2", "WS_CLOSE_REASON 1007");
}

TEST(limits) {
    cre_ws_config small = { .max_message = 10, .max_fragments = 3 };
    PARTS(&small, "binary 0123456789;WS_TOO_BIG 1009", { FIN_BINARY, "0123456789" },
          { FIN_BINARY, "01234567890" });
    PARTS(&small, "text 0123456789;WS_TOO_BIG 1009", { CRE_WS_TEXT, "01234" }, { FIN_CONT, "56789" },
          { CRE_WS_TEXT, "01234" }, { FIN_CONT, "567890" });
    PARTS(&small, "text abc;WS_FRAGMENTS 1009", { CRE_WS_TEXT, "a" }, { CRE_WS_CONTINUATION, "b" },
          { FIN_CONT, "c" }, { CRE_WS_TEXT, "a" }, { CRE_WS_CONTINUATION, "" }, { CRE_WS_CONTINUATION, "" },
          { FIN_CONT, "" });
    small.fragments = true;
    PARTS(&small, "text+ 01234;WS_TOO_BIG 1009", { CRE_WS_TEXT, "01234" }, { FIN_CONT, "567890" });
    small.max_message = UINT64_MAX;
    PARTS(&small, "text+ 01234;cont 567890;", { CRE_WS_TEXT, "01234" }, { FIN_CONT, "567890" });
}

TEST(invalid_text) {
    PARTS(&server, "text <C3><A9>;WS_UTF8 1007", { FIN_TEXT, "\xC3\xA9" }, { FIN_TEXT, "abc\xC3" });
    PARTS(&server, "binary <FF>;WS_UTF8 1007", { FIN_BINARY, "\xFF" }, { FIN_TEXT, "\xFF" });
    PARTS(&server, "text <E2><82><AC>;", { CRE_WS_TEXT, "\xE2" }, { CRE_WS_CONTINUATION, "\x82" },
          { FIN_CONT, "\xAC" });
    PARTS(&server, "WS_UTF8 1007", { CRE_WS_TEXT, "\xE2\x82" }, { FIN_CONT, "" });
    PARTS(&server, "ping;WS_UTF8 1007", { CRE_WS_TEXT, "\xE2\x82" }, { FIN_PING, "" }, { FIN_CONT, "abc" });
    PARTS(&server, "WS_UTF8 1007", { CRE_WS_TEXT, "\xE2\x82" }, { CRE_WS_CONTINUATION, "abc" },
          { FIN_CONT, "\xAC" });
    PARTS(&streaming, "text+ <E2>;cont <82><AC>;text+ <E2>;WS_UTF8 1007", { CRE_WS_TEXT, "\xE2" },
          { FIN_CONT, "\x82\xAC" }, { CRE_WS_TEXT, "\xE2" }, { FIN_CONT, "" });
    cre_ws_config lax = { .skip_utf8 = true };
    PARTS(&lax, "text <FF>;text <FF>;", { FIN_TEXT, "\xFF" }, { CRE_WS_TEXT, "" }, { FIN_CONT, "\xFF" });
}

/* What is checked of a frame with two bytes of length, which a session handles at once when it is whole. */
TEST(lengths_of_two_bytes) {
    char text[301];
    memset(text, 't', sizeof text);
    text[300] = 0;
    RAW(&server, "\x82\xFE\x00\x01\x00\x00\x00\x00x", "WS_LENGTH_FORM 1002");
    PARTS(&server, NULL, { FIN_TEXT, text }, { FIN_BINARY, text }, { CRE_WS_TEXT, text }, { FIN_CONT, text });
    PARTS(&client, NULL, { FIN_TEXT, text }, { FIN_BINARY, text });
    cre_ws_config small = { .max_message = 299 };
    PARTS(&small, "WS_TOO_BIG 1009", { FIN_BINARY, text });
    PARTS(&small, "WS_TOO_BIG 1009", { FIN_TEXT, text });
    text[200] = (char)0xFF;
    PARTS(&server, "text a;WS_UTF8 1007", { FIN_TEXT, "a" }, { FIN_TEXT, text });
    small = (cre_ws_config){ .max_message = 300, .skip_utf8 = true };
    PARTS(&small, NULL, { FIN_TEXT, text }, { FIN_BINARY, text });
}

/* Autobahn 6.4: the connection fails with the byte that is wrong, not at the end of frame or message. */
TEST(invalid_text_fails_fast) {
    const char *text = "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4\x90\x80\x80"
                       "edited";
    const size_t wrong = 12;
    bytes b = { 0 };
    add_frame(&b, true, FIN_TEXT, text, strlen(text));
    size_t header = b.size - strlen(text);
    cre_ws_session session;
    cre_ws_event event;
    cre_ws_session_init(&session, &server);
    for (size_t i = 0; i <= header + wrong; i++) {
        uint8_t *cursor = b.data + i;
        CHECK_EQ(cre_ws_session_next(&session, &cursor, b.data + i + 1, &event),
                 i == header + wrong ? CRE_EWS_UTF8 : 0);
    }
    cre_ws_session_deinit(&session);
    free(b.data);
    PARTS(&server, "WS_UTF8 1007", { CRE_WS_TEXT, "\xCE\xBA\xF4" }, { CRE_WS_CONTINUATION, "\x90" },
          { 0x7F, "never looked at" });
}

/* ---- memory ---- */

TEST(an_announcement_takes_no_memory) {
    cre_ws_config generous = { .max_message = 1u << 30 };
    uint8_t header[15] = { FIN_BINARY, 0xFF, 0, 0, 0, 0, 0x3F, 0xFF, 0xFF, 0xFF };
    cre_ws_session session;
    cre_ws_event event;
    uint8_t *cursor = header, *destination;
    cre_ws_session_init(&session, &generous);
    CHECK_EQ(cre_ws_session_next(&session, &cursor, header + 14, &event), 0);
    CHECK(session.message == NULL);
    CHECK_EQ(cre_ws_session_destination(&session, &destination), 0);
    CHECK_EQ(cre_ws_session_next(&session, &cursor, header + 15, &event), 0);
    REQUIRE(session.message != NULL);
    CHECK(session.message->capacity <= 16384);
    CHECK_EQ(cre_ws_session_destination(&session, &destination), 0);
    static uint8_t block[65536];
    for (size_t sent = 1; sent < (1u << 24); sent += sizeof block) {
        cursor = block;
        CHECK_EQ(cre_ws_session_next(&session, &cursor, block + sizeof block, &event), 0);
        CHECK(session.message->capacity <= 4 * (sent + sizeof block));
    }
    cre_ws_session_deinit(&session);
}

TEST(the_destination_ends_with_the_frame) {
    static uint8_t payload[200000];
    cre_ws_session session;
    cre_ws_event event;
    cre_ws_session_init(&session, &server);
    bytes b = { 0 };
    add_frame(&b, true, CRE_WS_BINARY, payload, sizeof payload);
    size_t second = b.size;
    add_frame(&b, true, FIN_CONT, payload, 60000);
    uint8_t *cursor = b.data, *destination;
    CHECK_EQ(cre_ws_session_next(&session, &cursor, b.data + second + 10, &event), 0);
    /* The block has doubled beyond what the second fragment needs. */
    REQUIRE(session.message != NULL);
    size_t left = (size_t)(b.data + b.size - cursor);
    CHECK(session.message->capacity - session.message->used > left);
    CHECK_EQ(cre_ws_session_destination(&session, &destination), left);
    memcpy(destination, cursor, left);
    CHECK_EQ(cre_ws_session_received(&session, left + 1, &event), CRE_ESTATE);
    CHECK_EQ(cre_ws_session_received(&session, left, &event), 1);
    CHECK_EQ(event.length, sizeof payload + 60000);
    cre_ws_session_deinit(&session);
    free(b.data);
}

TEST(tiny_fragments_grow_the_message_by_doubling) {
    cre_ws_config config = { .max_fragments = 100000 };
    cre_ws_session session;
    cre_ws_event event;
    cre_ws_session_init(&session, &config);
    long before = atomic_load(&test_allocations);
    for (int i = 0; i < 50000; i++) {
        uint8_t frame[7] = { i ? CRE_WS_CONTINUATION : CRE_WS_BINARY, 0x81, 0, 0, 0, 0, 'x' },
                *cursor = frame;
        CHECK_EQ(cre_ws_session_next(&session, &cursor, frame + 7, &event), 0);
    }
    CHECK(atomic_load(&test_allocations) - before < 20);
    cre_ws_session_deinit(&session);
}

TEST(memory_is_freed_by_the_call_after_the_message) {
    uint8_t frame[] = { FIN_BINARY, 0x83, 0, 0, 0, 0, 'a', 'b', 'c' }, *cursor = frame;
    cre_ws_session session;
    cre_ws_event event;
    cre_ws_session_init(&session, &server);
    CHECK_EQ(cre_ws_session_next(&session, &cursor, frame + 8, &event), 0);
    CHECK(cre_ws_session_busy(&session));
    CHECK_EQ(cre_ws_session_next(&session, &cursor, frame + 9, &event), 1);
    CHECK_MEM(event.data, "abc", 3);
    CHECK(!cre_ws_session_busy(&session));
    CHECK_EQ(cre_ws_session_next(&session, &cursor, frame + 9, &event), 0);
    CHECK(session.message == NULL);
    cre_ws_session_deinit(&session);
}

TEST(received_without_a_destination) {
    cre_ws_session session;
    cre_ws_event event;
    cre_ws_session_init(&session, &server);
    CHECK_EQ(cre_ws_session_received(&session, 0, &event), 0);
    CHECK_EQ(cre_ws_session_received(&session, 1, &event), CRE_ESTATE);
    uint8_t ping[] = { FIN_PING, 0x82, 0, 0, 0, 0, 'a', 'b' }, *cursor = ping;
    CHECK_EQ(cre_ws_session_next(&session, &cursor, ping + 7, &event), 0);
    CHECK_EQ(cre_ws_session_received(&session, 1, &event), CRE_ESTATE);
    CHECK_EQ(cre_ws_close_code(CRE_ESTATE), 1011);
    CHECK_EQ(cre_ws_close_code(CRE_ENOMEM), 1011);
    cre_ws_session_deinit(&session);
}

static bool feed_all_kinds(void) {
    bytes b = { 0 };
    static char payload[100000];
    memset(payload, 'm', sizeof payload);
    add_frame(&b, true, CRE_WS_TEXT, "first", 5);
    add_frame(&b, true, FIN_PING, payload, 125);
    add_frame(&b, true, FIN_CONT, payload, 50000);
    add_frame(&b, true, FIN_BINARY, payload, sizeof payload);
    add_frame(&b, true, FIN_CLOSE, "\x03\xE8", 2);
    guard = guard_make(b.size);
    bool succeeded = true;
    for (int i = 0; i < 4; i++) {
        const char *text = run(i & 1 ? &streaming : &server, &b, (way){ .piece = 40000, .direct = i & 2 });
        if (strstr(text, "NOMEM 1011")) succeeded = false;
        if (!succeeded) break;
        CHECK(strstr(text, "close 1000;") != NULL);
    }
    free(b.data);
    guard_free(&guard);
    return succeeded;
}

TEST(each_allocation_failing) {
    test_fail_each_allocation(feed_all_kinds);
}

TEST_MAIN()
