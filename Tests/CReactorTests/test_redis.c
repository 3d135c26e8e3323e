#include <creactor/redis.h>

#include "redis_text.h"

static guard_page guard;

/* Reads the input in a first piece of `cut` bytes and then pieces of `step`; notes each value with a space
 * before it. Returns the bytes that are left over, or the error. */
static int feed(const cre_redis_limits *limits, const char *text, size_t size, size_t cut, size_t step) {
    cre_redis_reader reader;
    int result = 0;
    redis_seen_length = 0;
    redis_seen[0] = 0;
    REQUIRE(cre_redis_reader_init(&reader, limits) == 0);
    for (size_t at = 0, piece = cut ? cut : step; at < size && result >= 0; at += piece, piece = step) {
        if (piece > size - at) piece = size - at;
        const uint8_t *cursor = guard_place(&guard, text + at, piece), *end = cursor + piece;
        const cre_redis_value *value;
        while ((result = cre_redis_reader_next(&reader, &cursor, end, &value)) > 0) {
            redis_note(" ", redis_seen_length > 0);
            redis_note_value(value);
        }
        if (result == 0) CHECK(cursor == end);
    }
    if (result == 0) result = (int)cre_redis_reader_pending(&reader);
    cre_redis_reader_deinit(&reader);
    return result;
}

static void check(const cre_redis_limits *limits, const char *text, size_t size, const char *expected,
                  int result) {
    if (!guard.map) guard = guard_make(70000);
    for (size_t cut = 0; cut <= size; cut++) {
        for (size_t step = 1; step <= (cut ? 1 : 3); step++) {
            const int got = feed(limits, text, size, cut, cut ? size : step);
            if (got != result || strcmp(redis_seen, expected) != 0)
                TEST_FAIL("%d %s instead of %d %s, cut at %zu", got, redis_seen, result, expected, cut);
            test_checks++;
        }
    }
}

#define READ(text, expected, result) check(NULL, text, sizeof(text) - 1, expected, result)

TEST(plain_values) {
    READ("+OK\r\n", "OK", 0);
    READ("+\r\n", "", 0);
    READ("-ERR no\r\n:12\r\n:-9223372036854775808\r\n:+7\r\n", "-ERR no #12 #-9223372036854775808 #7", 0);
    READ("$5\r\nab\r\nc\r\n$0\r\n\r\n", "ab\r\nc ", 0);
    READ("$-1\r\n*-1\r\n_\r\n", "null null null", 0);
    READ("#t\r\n#f\r\n,1.5\r\n,-inf\r\n", "true false ,1.5 ,-inf", 0);
    READ("(-3492890328409238509324850943850943825024385\r\n", "(-3492890328409238509324850943850943825024385",
         0);
    READ("!8\r\nERR\r\nbad\r\n=8\r\ntxt:a\r\nb\r\n=4\r\nmkd:\r\n", "-ERR\r\nbad a\r\nb ", 0);
    READ("+OK\r\n$5\r\nab", "OK", 6);
    READ("+unfinished", "", 11);
}

TEST(aggregates) {
    READ("*0\r\n%0\r\n~0\r\n>0\r\n", "[] {} ~[] >[]", 0);
    READ("*3\r\n:1\r\n*2\r\n+a\r\n*0\r\n$1\r\nb\r\n:2\r\n", "[#1, [a, []], b] #2", 0);
    READ("%2\r\n+server\r\n$5\r\nredis\r\n+proto\r\n:3\r\n", "{server, redis, proto, #3}", 0);
    READ("~2\r\n#t\r\n*1\r\n%1\r\n+k\r\n~1\r\n_\r\n", "~[true, [{k, ~[null]}]]", 0);
    READ(">3\r\n+message\r\n+news\r\n$2\r\nhi\r\n+OK\r\n", ">[message, news, hi] OK", 0);
    READ("*2\r\n:1\r\n$2\r\nx", "", 13);
}

TEST(attributes_are_skipped) {
    READ("|1\r\n+ttl\r\n:3600\r\n+value\r\n", "value", 0);
    READ("|0\r\n|1\r\n+a\r\n*1\r\n:1\r\n:5\r\n:6\r\n", "#5 #6", 0);
    READ("*2\r\n|1\r\n+a\r\n%1\r\n+b\r\n+c\r\n:1\r\n:2\r\n:3\r\n", "[#1, #2] #3", 0);
    READ("*1\r\n|1\r\n+a\r\n|1\r\n+x\r\n+y\r\n+b\r\n*1\r\n:1\r\n", "[[#1]]", 0);
    READ("|1\r\n+a\r\n+b\r\n", "", 12);
}

TEST(malformed) {
    READ("?\r\n", "", CRE_EREDIS_PROTOCOL);
    READ("HTTP/1.1 400 Bad Request\r\n", "", CRE_EREDIS_PROTOCOL);
    READ("+OK\r\n\r\n", "OK", CRE_EREDIS_PROTOCOL);
    READ("+OK\n", "", CRE_EREDIS_PROTOCOL);
    READ("+\n", "", CRE_EREDIS_PROTOCOL);
    READ(":\r\n", "", CRE_EREDIS_PROTOCOL);
    READ(":-\r\n", "", CRE_EREDIS_PROTOCOL);
    READ(":1a\r\n", "", CRE_EREDIS_PROTOCOL);
    READ(":9223372036854775808\r\n", "", CRE_EREDIS_PROTOCOL);
    READ(":-9223372036854775809\r\n", "", CRE_EREDIS_PROTOCOL);
    READ(":99999999999999999999999\r\n", "", CRE_EREDIS_PROTOCOL);
    READ(":00000000000000000000000000000000000000000000", "", CRE_EREDIS_PROTOCOL);
    READ("_x\r\n", "", CRE_EREDIS_PROTOCOL);
    READ("#x\r\n", "", CRE_EREDIS_PROTOCOL);
    READ("#tt\r\n", "", CRE_EREDIS_PROTOCOL);
    READ(",\r\n", "", CRE_EREDIS_PROTOCOL);
    READ("(1.5\r\n", "", CRE_EREDIS_PROTOCOL);
    READ("(-\r\n", "", CRE_EREDIS_PROTOCOL);
    READ("$-2\r\n", "", CRE_EREDIS_PROTOCOL);
    READ("$1\r\nabc", "", CRE_EREDIS_PROTOCOL);
    READ("$1\r\na\rc", "", CRE_EREDIS_PROTOCOL);
    READ("=3\r\ntxt\r\n", "", CRE_EREDIS_PROTOCOL);
    READ("!-1\r\n", "", CRE_EREDIS_PROTOCOL);
    READ("%-1\r\n", "", CRE_EREDIS_PROTOCOL);
    READ("*1\r\n>1\r\n+a\r\n", "", CRE_EREDIS_PROTOCOL); /* a push inside of a reply */
    READ("$?\r\n;4\r\n", "", CRE_EREDIS_PROTOCOL);
    READ("*?\r\n", "", CRE_EREDIS_PROTOCOL);
}

#define LIMITED(limits, text, expected, result) check(&(limits), text, sizeof(text) - 1, expected, result)

TEST(limits) {
    const cre_redis_limits bytes = { .max_bytes = 12 };
    LIMITED(bytes, "$6\r\nabcdef\r\n$6\r\nabcdef\r\n", "abcdef abcdef", 0);
    LIMITED(bytes, "$7\r\nabcdefg\r\n", "", CRE_EREDIS_TOO_LARGE);
    LIMITED(bytes, "$9223372036854775807\r\n", "", CRE_EREDIS_TOO_LARGE);
    LIMITED(bytes, "+123456789\r\n", "123456789", 0);
    LIMITED(bytes, "+1234567890\r\n", "", CRE_EREDIS_TOO_LARGE);
    LIMITED(bytes, "*2\r\n:1\r\n:2\r\n", "[#1, #2]", 0);
    LIMITED(bytes, "*2\r\n:1\r\n:22\r\n", "", CRE_EREDIS_TOO_LARGE);
    LIMITED(bytes, "|0\r\n|0\r\n|0\r\n|0\r\n", "", CRE_EREDIS_TOO_LARGE); /* attributes count, too */
    const cre_redis_limits line = { .max_line = 3 };
    LIMITED(line, "+abc\r\n", "abc", 0);
    LIMITED(line, "+abcd\r\n", "", CRE_EREDIS_TOO_LARGE);
    LIMITED(line, "-abcd", "", 5);
    LIMITED(line, "-abcde", "", CRE_EREDIS_TOO_LARGE);
    LIMITED(line, "$5\r\nabcde\r\n:1234\r\n", "abcde #1234", 0);
    const cre_redis_limits values = { .max_values = 4 };
    LIMITED(values, "*3\r\n:1\r\n:2\r\n:3\r\n:4\r\n", "[#1, #2, #3] #4", 0);
    LIMITED(values, "*1\r\n*2\r\n:2\r\n:3\r\n", "[[#2, #3]]", 0);
    LIMITED(values, "*4\r\n", "", CRE_EREDIS_TOO_LARGE);
    LIMITED(values, "%2\r\n", "", CRE_EREDIS_TOO_LARGE);
    LIMITED(values, "*2\r\n:1\r\n*2\r\n", "", CRE_EREDIS_TOO_LARGE);
    LIMITED(values, "*1\r\n|0\r\n|0\r\n*4\r\n", "", CRE_EREDIS_TOO_LARGE);
    LIMITED(values, "*2147483647\r\n", "", CRE_EREDIS_TOO_LARGE);
    LIMITED(values, "*2147483648\r\n", "", CRE_EREDIS_PROTOCOL);
    READ("*2147483647\r\n", "", CRE_EREDIS_TOO_LARGE);

    cre_redis_reader reader;
    const cre_redis_limits huge = { .max_bytes = ((size_t)1 << 30) + 1 };
    CHECK_EQ(cre_redis_reader_init(&reader, &huge), CRE_EINVALID);
}

TEST(depth) {
    char text[5 * (CRE_REDIS_MAX_DEPTH + 1) + 1] = "", expected[4 * CRE_REDIS_MAX_DEPTH] = "";
    for (int i = 0; i < CRE_REDIS_MAX_DEPTH; i++) {
        strcat(text, "*1\r\n");
        strcat(expected, "[");
    }
    const size_t deepest = strlen(text);
    strcat(text, "*0\r\n");
    check(NULL, text, strlen(text), "", CRE_EREDIS_DEPTH);
    strcpy(text + deepest, ":1\r\n");
    strcat(expected, "#1");
    for (int i = 0; i < CRE_REDIS_MAX_DEPTH; i++)
        strcat(expected, "]");
    check(NULL, text, strlen(text), expected, 0);
}

/* An announced length takes no memory. */
TEST(announcements_take_no_memory) {
    cre_redis_reader reader;
    const uint8_t text[] = "*60000\r\n$16000000\r\nabc", *cursor = text;
    const cre_redis_value *value;
    REQUIRE(cre_redis_reader_init(&reader, NULL) == 0);
    CHECK_EQ(cre_redis_reader_next(&reader, &cursor, text + sizeof text - 1, &value), 0);
    CHECK(reader.capacity < 1024 && reader.capacity_values < 64);
    cre_redis_reader_deinit(&reader);
}

/* A value that is complete in the input is not copied, also behind one that came in pieces. */
TEST(values_are_borrowed) {
    cre_redis_reader reader;
    const uint8_t first[] = "$3\r\na", second[] = "bc\r\n$1\r\nd\r\n", *cursor = first;
    const cre_redis_value *value;
    REQUIRE(cre_redis_reader_init(&reader, NULL) == 0);
    CHECK_EQ(cre_redis_reader_next(&reader, &cursor, first + sizeof first - 1, &value), 0);
    cursor = second;
    CHECK_EQ(cre_redis_reader_next(&reader, &cursor, second + sizeof second - 1, &value), 1);
    CHECK(cursor == second + 4);
    CHECK_MEM(value->text.data, "abc", 3);
    CHECK_EQ(cre_redis_reader_next(&reader, &cursor, second + sizeof second - 1, &value), 1);
    CHECK(value->text.data == second + 8);
    CHECK_EQ(cre_redis_reader_pending(&reader), 0);
    cre_redis_reader_deinit(&reader);
}

static bool read_without_memory(void) {
    cre_redis_reader reader;
    const char text[] =
        "*20\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n:1\r\n:2\r\n:3\r\n:4\r\n"
        ":5\r\n:6\r\n:7\r\n:8\r\n:9\r\n:0\r\n$2\r\nab\r\n";
    const cre_redis_value *value;
    int result = cre_redis_reader_init(&reader, NULL);
    for (size_t i = 0; i < sizeof text - 1 && result == 0; i++) {
        const uint8_t *cursor = (const uint8_t *)text + i;
        result = cre_redis_reader_next(&reader, &cursor, cursor + 1, &value);
    }
    cre_redis_reader_deinit(&reader);
    CHECK(result == 1 || result == CRE_ENOMEM);
    return result == 1;
}

TEST(without_memory) {
    test_fail_each_allocation(read_without_memory);
}

TEST(commands) {
    const cre_slice set[] = { { (const uint8_t *)"SET", 3 }, { (const uint8_t *)"k\r\n", 3 }, { NULL, 0 } };
    uint8_t out[64];
    const size_t size = cre_redis_command_size(set, 3);
    REQUIRE(size < sizeof out);
    CHECK_EQ(cre_redis_command_write(out, set, 3), size);
    out[size] = 0;
    CHECK_STR((char *)out, "*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n");
    CHECK_EQ(cre_redis_command_size(set, 0), 0);
    const cre_slice large[] = { { (const uint8_t *)"SET", 3 }, { NULL, (size_t)1 << 30 } };
    CHECK_EQ(cre_redis_command_size(large, 2), 0);
    const cre_slice larger[] = { { NULL, SIZE_MAX } };
    CHECK_EQ(cre_redis_command_size(larger, 1), 0);
}

/* What is written is read back, for lengths with all numbers of digits. */
TEST(commands_round_trip) {
    static uint8_t data[60000], out[60100];
    memset(data, 'x', sizeof data);
    for (size_t length = 0; length < sizeof data; length = length * 3 + 1) {
        const cre_slice argument = { data, length };
        const size_t size = cre_redis_command_size(&argument, 1);
        CHECK_EQ(cre_redis_command_write(out, &argument, 1), size);
        cre_redis_reader reader;
        const cre_redis_value *value;
        const uint8_t *cursor = out;
        REQUIRE(cre_redis_reader_init(&reader, NULL) == 0);
        REQUIRE(cre_redis_reader_next(&reader, &cursor, out + size, &value) == 1);
        CHECK_EQ(value->count, 1);
        CHECK_EQ(value[1].text.length, length);
        cre_redis_reader_deinit(&reader);
    }
}

TEST_MAIN()
