#include <creactor/nats.h>

#include "nats/json.h"
#include "nats/nkey.h"
#include "nats_credentials.h"
#include "test.h"
#include "text.h"

static guard_page guard;
static char seen[4096];

static void note(const char *separator, cre_slice text) {
    const size_t used = strlen(seen), before = strlen(separator);
    REQUIRE(used + before + text.length < sizeof seen);
    memcpy(seen + used, separator, before);
    if (text.length) memcpy(seen + used + before, text.data, text.length);
    seen[used + before + text.length] = 0;
}

static void note_event(int kind, const cre_nats_event *event) {
    static const char *const names[] = { "", "MSG", "INFO", "PING", "PONG", "OK", "ERR" };
    char number[32];
    note(*seen ? " " : "", (cre_slice){ (const uint8_t *)names[kind], strlen(names[kind]) });
    if (kind == CRE_NATS_INFO || kind == CRE_NATS_ERROR) note("=", event->text);
    if (kind != CRE_NATS_MESSAGE) return;
    note("(", event->subject);
    snprintf(number, sizeof number, ",%llu,%d", (unsigned long long)event->subscription, event->status);
    note(number, event->reply);
    note("|", event->headers);
    note("|", event->payload);
    note(")", (cre_slice){ 0 });
}

/* Reads the input in a first piece of `cut` bytes and then pieces of `step`. Returns 0 or the error. */
static int feed(const cre_nats_limits *limits, const char *text, size_t size, size_t cut, size_t step) {
    cre_nats_reader reader;
    int result = 0;
    seen[0] = 0;
    REQUIRE(cre_nats_reader_init(&reader, limits) == 0);
    for (size_t at = 0, piece = cut ? cut : step; at < size && result >= 0; at += piece, piece = step) {
        if (piece > size - at) piece = size - at;
        const uint8_t *cursor = guard_place(&guard, text + at, piece), *end = cursor + piece;
        cre_nats_event event;
        while ((result = cre_nats_reader_next(&reader, &cursor, end, &event)) > 0)
            note_event(result, &event);
        if (result == 0) CHECK(cursor == end);
    }
    cre_nats_reader_deinit(&reader);
    return result;
}

static void check(const cre_nats_limits *limits, const char *text, size_t size, const char *expected,
                  int result) {
    if (!guard.map) guard = guard_make(4096);
    for (size_t cut = 0; cut <= size; cut++) {
        for (size_t step = 1; step <= (cut ? 1 : 3); step++) {
            const int got = feed(limits, text, size, cut, cut ? size : step);
            if (got != result || strcmp(seen, expected) != 0)
                TEST_FAIL("%d %s instead of %d %s, cut at %zu", got, seen, result, expected, cut);
            test_checks++;
        }
    }
}

#define READ(text, expected, result)            check(NULL, text, sizeof(text) - 1, expected, result)
#define LIMITED(limits, text, expected, result) check(&(limits), text, sizeof(text) - 1, expected, result)

TEST(operations) {
    READ("INFO {\"server_id\":\"a b\"}\r\nPING\r\nPONG\r\n+OK\r\n",
         "INFO={\"server_id\":\"a b\"} PING PONG OK", 0);
    READ("-ERR 'Authorization Violation'\r\n-ERR x\r\n-ERR\r\n", "ERR=Authorization Violation ERR=x ERR=", 0);
    READ("ping\r\nPing \r\ninfo {}\r\n", "PING PING INFO={}", 0);
    READ("PIN", "", 0);
}

TEST(messages) {
    READ("MSG a.b 9 5\r\nhello\r\nMSG c 1 in.box 0\r\n\r\nPING\r\n",
         "MSG(a.b,9,0||hello) MSG(c,1,0in.box||) PING", 0);
    READ("MSG a\t 18446744073709551615  2\r\n\r\n\r\n", "MSG(a,18446744073709551615,0||\r\n)", 0);
    READ("HMSG a 1 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\n", "MSG(a,1,0|NATS/1.0\r\nA: b\r\n\r\n|hi)", 0);
    READ("HMSG a 1 r 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", "MSG(a,1,503r|NATS/1.0 503\r\n\r\n|)", 0);
    READ("HMSG a 1 26 26\r\nNATS/1.0 100 Idle Beat\r\n\r\n\r\n",
         "MSG(a,1,100|NATS/1.0 100 Idle Beat\r\n\r\n|)", 0);
    READ("HMSG a 1 0 2\r\nhi\r\n", "MSG(a,1,0||hi)", 0);
    READ("MSG a 9 5\r\nhell", "", 0);
}

TEST(malformed) {
    READ("\r\n", "", CRE_ENATS_PROTOCOL);
    READ("\n", "", CRE_ENATS_PROTOCOL);
    READ("PING\n", "", CRE_ENATS_PROTOCOL);
    READ("PING x\r\n", "", CRE_ENATS_PROTOCOL);
    READ("PINGS\r\n", "", CRE_ENATS_PROTOCOL);
    READ("INFO\r\n", "", CRE_ENATS_PROTOCOL);
    READ("HTTP/1.1 400 Bad Request\r\n", "", CRE_ENATS_PROTOCOL);
    READ("MSG a 9\r\n", "", CRE_ENATS_PROTOCOL);
    READ("MSG a x 5\r\n", "", CRE_ENATS_PROTOCOL);
    READ("MSG a 9 -1\r\n", "", CRE_ENATS_PROTOCOL);
    READ("MSG a 9 b 5 6\r\n", "", CRE_ENATS_PROTOCOL);
    READ("MSG a 18446744073709551616 0\r\n\r\n", "", CRE_ENATS_PROTOCOL);
    READ("MSG a 9 18446744073709551616\r\n", "", CRE_ENATS_PROTOCOL);
    READ("MSG a 9 5\r\nhello!\r\n", "", CRE_ENATS_PROTOCOL);
    READ("HMSG a 9 5\r\n", "", CRE_ENATS_PROTOCOL);
    READ("HMSG a 9 6 5\r\n", "", CRE_ENATS_PROTOCOL);
    READ("HMSG a 9 b 6 7 8\r\n", "", CRE_ENATS_PROTOCOL);
    READ("HMSG a 1 12 12\r\nNATS/2.0\r\n\r\n\r\n", "", CRE_ENATS_PROTOCOL);
    READ("HMSG a 1 12 12\r\nNATS/1.0\r\nxx\r\n", "", CRE_ENATS_PROTOCOL);
    READ("HMSG a 1 14 14\r\nNATS/1.0 1\r\n\r\n\r\n", "", CRE_ENATS_PROTOCOL);
    READ("HMSG a 1 17 17\r\nNATS/1.0 1000\r\n\r\n\r\n", "", CRE_ENATS_PROTOCOL);
    READ("HMSG a 1 4 4\r\n\r\n\r\n\r\n", "", CRE_ENATS_PROTOCOL);
}

TEST(limits) {
    const cre_nats_limits small = { .max_line = 12, .max_payload = 5 };
    LIMITED(small, "INFO 1234567\r\nPING\r\n", "INFO=1234567 PING", 0);
    LIMITED(small, "INFO 12345678\r\n", "", CRE_ENATS_TOO_LARGE);
    LIMITED(small, "INFO 123456789012345678", "", CRE_ENATS_TOO_LARGE);
    LIMITED(small, "MSG a 1 5\r\nhello\r\n", "MSG(a,1,0||hello)", 0);
    LIMITED(small, "MSG a 1 6\r\nhello!\r\n", "", CRE_ENATS_TOO_LARGE);
    cre_nats_reader reader;
    CHECK_EQ(cre_nats_reader_init(&reader, &(cre_nats_limits){ .max_payload = (1 << 30) + 1u }),
             CRE_EINVALID);
    /* an announced payload takes no memory, and what is there as a whole is not copied */
    static const char announced[] = "MSG a 1 8000000\r\nabc", *whole = "PING\r\nMSG a 1 2\r\nhi\r\n";
    const uint8_t *cursor = (const uint8_t *)announced;
    cre_nats_event event;
    CHECK_EQ(cre_nats_reader_init(&reader, NULL), 0);
    CHECK_EQ(cre_nats_reader_next(&reader, &cursor, cursor + sizeof announced - 1, &event), 0);
    CHECK(reader.capacity < 1024);
    cre_nats_reader_deinit(&reader);
    cursor = (const uint8_t *)whole;
    const uint8_t *end = cursor + strlen(whole);
    CHECK_EQ(cre_nats_reader_next(&reader, &cursor, end, &event), CRE_NATS_PING);
    CHECK_EQ(cre_nats_reader_next(&reader, &cursor, end, &event), CRE_NATS_MESSAGE);
    CHECK(event.payload.data == end - 4);
    CHECK(reader.buffer == NULL);
    cre_nats_reader_deinit(&reader);
}

TEST(headers) {
    const cre_slice headers =
        text("NATS/1.0 200 a:b\r\nNats-Sequence: 7 \r\nnats-last-sequence:6\r\nEmpty:\r\nX\r\n\r\n");
    cre_slice value;
    CHECK(cre_nats_header(headers, "nats-sequence", &value));
    CHECK_EQ(value.length, 1);
    CHECK_EQ(*value.data, '7');
    CHECK(cre_nats_header(headers, "Nats-Last-Sequence", &value));
    CHECK_EQ(*value.data, '6');
    CHECK(cre_nats_header(headers, "Empty", &value));
    CHECK_EQ(value.length, 0);
    CHECK(!cre_nats_header(headers, "X", &value));
    CHECK(!cre_nats_header(headers, "NATS/1.0 200 a", &value)); /* the status is no header */
    CHECK(!cre_nats_header((cre_slice){ 0 }, "X", &value));
}

TEST(subjects) {
    static const char *const good[] = { "a", "a.b", "a.*b", "a>b.c", "_INBOX.x" };
    static const char *const wild[] = { "*", ">", "a.*", "a.>", "*.b.>" };
    static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "a b", "a\tb", "a\r\n", "a\x7f" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(cre_nats_subject_is_valid(text(good[i]), false) &&
              cre_nats_subject_is_valid(text(good[i]), true));
    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++)
        CHECK(!cre_nats_subject_is_valid(text(wild[i]), false) &&
              cre_nats_subject_is_valid(text(wild[i]), true));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!cre_nats_subject_is_valid(text(bad[i]), true));
    CHECK(!cre_nats_subject_is_valid(text(">.a"), true));
    char name[CRE_NATS_MAX_SUBJECT + 2];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    CHECK(!cre_nats_subject_is_valid(text(name), false));
    CHECK(cre_nats_subject_is_valid(text(name + 1), false));
}

TEST(subscriptions) {
    uint8_t out[64] = { 0 };
    CHECK_EQ(cre_nats_subscribe(out, sizeof out, text("a.*"), text(""), 12), 12);
    CHECK_MEM(out, "SUB a.* 12\r\n", 12);
    CHECK_EQ(cre_nats_subscribe(out, sizeof out, text("a"), text("q"), 1), 11);
    CHECK_MEM(out, "SUB a q 1\r\n", 11);
    CHECK_EQ(cre_nats_subscribe(out, sizeof out, text("a b"), text(""), 1), 0);
    CHECK_EQ(cre_nats_subscribe(out, sizeof out, text("a"), text("q r"), 1), 0);
    CHECK_EQ(cre_nats_subscribe(out, 20, text("a"), text(""), 1), 0);
    CHECK_EQ(cre_nats_unsubscribe(out, sizeof out, 12, 0), 10);
    CHECK_MEM(out, "UNSUB 12\r\n", 10);
    CHECK_EQ(cre_nats_unsubscribe(out, sizeof out, 12, 5), 12);
    CHECK_MEM(out, "UNSUB 12 5\r\n", 12);
    CHECK_EQ(cre_nats_unsubscribe(out, 20, 12, 5), 0);
}

static void check_publication(cre_nats_publication publication, const char *expected) {
    uint8_t out[128];
    const size_t size = cre_nats_publish_size(&publication);
    REQUIRE(size < sizeof out);
    CHECK_EQ(size, strlen(expected));
    if (!size) return;
    CHECK_EQ(cre_nats_publish(out, &publication), size);
    CHECK_MEM(out, expected, size);
}

TEST(publications) {
    check_publication((cre_nats_publication){ .subject = text("a"), .payload = text("hi") },
                      "PUB a 2\r\nhi\r\n");
    check_publication((cre_nats_publication){ .subject = text("a"), .reply = text("r.1") },
                      "PUB a r.1 0\r\n\r\n");
    check_publication((cre_nats_publication){ .subject = text("a"),
                                              .reply = text("r"),
                                              .headers = text("Nats-Msg-Id: 1\r\nB:\r\n"),
                                              .payload = text("hi") },
                      "HPUB a r 32 34\r\nNATS/1.0\r\nNats-Msg-Id: 1\r\nB:\r\n\r\nhi\r\n");
    check_publication((cre_nats_publication){ .subject = text("a.>"), .payload = text("hi") }, "");
    check_publication((cre_nats_publication){ .subject = text("a"), .reply = text("r s") }, "");
    static const char *const bad[] = { "A: b",  "A: b\n",  "\r\n",       "A: b\r\n\r\n",
                                       "A\r\n", ": b\r\n", "A: b\rc\r\n" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_publication((cre_nats_publication){ .subject = text("a"), .headers = text(bad[i]) }, "");
    const cre_slice large = { (const uint8_t *)"", (size_t)1 << 30 };
    check_publication((cre_nats_publication){ .subject = text("a"), .payload = large }, "");
}

static bool read_without_memory(void) {
    cre_nats_reader reader;
    static char message[2000] = "MSG a 1 1900\r\n";
    cre_nats_event event;
    const size_t size = 14 + 1902;
    memset(message + 14, 'x', 1900);
    memcpy(message + 14 + 1900, "\r\n", 2);
    int result = cre_nats_reader_init(&reader, NULL);
    for (size_t i = 0; i < size && result == 0; i++) {
        const uint8_t *cursor = (const uint8_t *)message + i;
        result = cre_nats_reader_next(&reader, &cursor, cursor + 1, &event);
    }
    cre_nats_reader_deinit(&reader);
    CHECK(result == CRE_NATS_MESSAGE || result == CRE_ENOMEM);
    return result > 0;
}

TEST(without_memory) {
    test_fail_each_allocation(read_without_memory);
}

/* ---- JSON ---- */

/* At the end of memory, so that nothing behind it is read. */
static cre_slice placed(const char *text) {
    if (!guard.map) guard = guard_make(4096);
    return (cre_slice){ guard_place(&guard, text, strlen(text)), strlen(text) };
}

static void check_member(const char *json, const char *expected) {
    cre_slice value = { 0 };
    const bool found = cre__json_member(placed(json), "a", &value);
    CHECK_EQ(found, expected != NULL);
    if (!found || !expected) return;
    CHECK_EQ(value.length, strlen(expected));
    CHECK_MEM(value.data, expected, value.length);
}

TEST(members_of_json) {
    check_member("{\"a\":1}", "1");
    check_member(" { \"b\" : [1,{\"a\":2}] , \"a\" : \"x\\\"}\" , \"c\":3 } ", "\"x\\\"}\"");
    check_member("{\"b\":{\"a\":1},\"a\":{\"c\":[]}}", "{\"c\":[]}");
    check_member("{\"a\":true}", "true");
    static const char *const without[] = {
        "",         "{",         "{}",        "{\"a",      "{\"a\"",           "{\"a\":",
        "{\"a\":}", "[\"a\",1]", "{\"b\":[1", "{\"b\":\"", "{\"b\":1 \"a\":2", "{\"a\":\"x",
        "a"
    };
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        check_member(without[i], NULL);
}

TEST(values_of_json) {
    uint64_t number;
    cre_slice array = placed("[ \"a\" , 2,{\"b\":[]}]"), value;
    CHECK(cre__json_next(&array, &value) && cre__json_equals(value, (cre_slice){ (const uint8_t *)"a", 1 }));
    CHECK(cre__json_next(&array, &value) && cre__json_number(value, &number) && number == 2);
    CHECK(cre__json_next(&array, &value) && value.length == 8);
    CHECK(!cre__json_next(&array, &value));
    CHECK(cre__json_number(placed("18446744073709551615"), &number) && number == UINT64_MAX);
    CHECK(!cre__json_number(placed("18446744073709551616"), &number));
    CHECK(!cre__json_number(placed("-1"), &number) && !cre__json_number(placed(""), &number));
    CHECK(cre__json_is_true(placed("true")) && !cre__json_is_true(placed("false")));
    const cre_slice greater = { (const uint8_t *)"a.>", 3 };
    CHECK(cre__json_equals(placed("\"a.\\u003e\""), greater) && cre__json_equals(placed("\"a.>\""), greater));
    static const char *const others[] = { "\"a.\\u003\"", "\"a.\\\"", "\"a.\"", "\"a.>>\"", "a.>", "\"" };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        CHECK(!cre__json_equals(placed(others[i]), greater));
    uint8_t out[64];
    const size_t length = (size_t)(cre__json_put(out, placed("a\"\\\n")) - out);
    CHECK_EQ(length, 13);
    CHECK_MEM(out, "\"a\\\"\\\\\\u000a\"", 13);
}

/* ---- keys ---- */

TEST(times_of_json) {
    static const struct {
        const char *text;
        uint64_t milliseconds;
    } times[] = { { "1970-01-01T00:00:00Z", 0 },
                  { "2000-02-29T23:59:59.5Z", 951868799500 },
                  { "2026-11-30T10:59:13.123999999Z", 1796036353123 } };
    static const char *const others[] = { "",
                                          "2026-11-30T10:59:13",
                                          "2026-11-30 10:59:13Z",
                                          "2026-11-30T10:59:13.1",
                                          "2026-11-30T10:59:13+01:00Z",
                                          "2026-13-30T10:59:13Z",
                                          "2026-00-30T10:59:13Z",
                                          "2026-11-00T10:59:13Z",
                                          "1969-12-31T23:59:59Z",
                                          "x026-11-30T10:59:13Z" };
    uint64_t milliseconds;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        CHECK(cre__json_time(text(times[i].text), &milliseconds));
        CHECK_EQ(milliseconds, times[i].milliseconds);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        CHECK(!cre__json_time(text(others[i]), &milliseconds));
}

TEST(seeds) {
    static const char good[] = "SUAHNEWDVU2UBO4AHQBAWOXOM3GYRBYSGI2OUDDOOFB4BLOXH72DD3LYWQ";
    uint8_t seed[CRE__NKEY];
    CHECK(cre__nkey_seed(placed(good), seed));
    char changed[sizeof good];
    for (size_t i = 0; i + 1 < sizeof good; i++) {
        memcpy(changed, good, sizeof good);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        if (cre__nkey_seed(placed(changed), seed)) TEST_FAIL("a seed with another digit %zu is accepted", i);
        changed[i] = 0;
        CHECK(!cre__nkey_seed(placed(changed), seed));
    }
    CHECK(cre_nats_seed_is_valid(placed(good)) && !cre_nats_seed_is_valid(placed(changed)));
    CHECK(!cre__nkey_seed(placed("SU"), seed));
    CHECK(!cre__nkey_seed(placed("SUAHNEWDVU2UBO4AHQBAWOXOM3GYRBYSGI2OUDDOOFB4BLOXH72DD3LYWQA"), seed));
    CHECK(!cre__nkey_seed(placed("SAAHNEWDVU2UBO4AHQBAWOXOM3GYRBYSGI2OUDDOOFB4BLOXH72DD3MLPA"),
                          seed)); /* of an account */
}

TEST(files_of_credentials) {
    cre_slice jwt, found;
    CHECK(cre__nats_credentials(placed(nats_user), &jwt, &found));
    CHECK(cre_nats_credentials_are_valid(placed(nats_user)));
    CHECK_EQ(found.length, 58);
    CHECK_MEM(found.data, "SU", 2);
    CHECK_MEM(jwt.data, "eyJ", 3);
    /* whatever is cut off, nothing behind it is read */
    char text[sizeof nats_user];
    memcpy(text, nats_user, sizeof text);
    for (size_t length = sizeof text - 1; length--;) {
        text[length] = 0;
        if (cre__nats_credentials(placed(text), &jwt, &found)) CHECK(length > 59);
    }
}

TEST_MAIN()
