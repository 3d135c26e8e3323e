#include <creactor/framing.h>

#include "test.h"

static guard_page guard;
static char seen[200000];
static size_t seen_length, in_place;

/* Feeds the input in a first piece of `cut` bytes and then pieces of `step`; notes packets as "<...>". */
static int feed(const cre_framing_config *config, const char *text, size_t size, size_t cut, size_t step) {
    cre_framing framing;
    int result = cre_framing_config_check(config);
    seen_length = in_place = 0;
    seen[0] = 0;
    if (result < 0) return result;
    cre_framing_init(&framing, config);
    for (size_t at = 0, piece = cut ? cut : step; at < size; at += piece, piece = step) {
        if (piece > size - at) piece = size - at;
        const uint8_t *input = guard_place(&guard, text + at, piece), *cursor = input, *end = cursor + piece,
                      *packet;
        size_t length;
        while ((result = cre_framing_next(&framing, &cursor, end, &packet, &length)) > 0) {
            REQUIRE(length > 0 && seen_length + length + 3 < sizeof seen);
            seen[seen_length++] = '<';
            memcpy(seen + seen_length, packet, length);
            seen_length += length;
            seen[seen_length++] = '>';
            in_place += packet >= input && packet + length <= end;
        }
        seen[seen_length] = 0;
        if (result < 0) break;
        CHECK(cursor == end);
    }
    if (result == 0) result = (int)cre_framing_pending(&framing);
    cre_framing_deinit(&framing);
    CHECK_EQ(cre_framing_pending(&framing), 0);
    return result;
}

/* In every split: the packets of `expected`, then `result` (bytes that are left over, or an error). */
static void check(const cre_framing_config *config, const char *text, size_t size, const char *expected,
                  size_t expected_size, int result) {
    for (size_t cut = 0; cut <= size; cut++) {
        for (size_t step = 1; step <= (cut ? 1 : 3); step++) {
            const int got = feed(config, text, size, cut, cut ? size : step);
            if (got != result || seen_length != expected_size || memcmp(seen, expected, seen_length) != 0)
                TEST_FAIL("%d %s instead of %d %s, cut at %zu", got, seen, result, expected, cut);
            test_checks++;
        }
    }
    feed(config, text, size, 0, size ? size : 1);
    size_t packets = 0;
    for (size_t i = 0; i < expected_size; i++)
        packets += expected[i] == '<';
    CHECK_EQ(in_place, packets);
}

#define CUT(config, text, expected, result) \
    check(&(config), text, sizeof(text) - 1, expected, sizeof(expected) - 1, result)

TEST(marker_split) {
    const cre_framing_config crlf = {
        .size = sizeof crlf, .kind = CRE_FRAMING_MARKER_SPLIT, .marker = "\r\n", .marker_length = 2
    };
    CUT(crlf, "a\r\nbc\r\n\r\nd", "<a\r\n><bc\r\n><\r\n>", 1);
    CUT(crlf, "\r\r\n\n\r\n", "<\r\r\n><\n\r\n>", 0);
    CUT(crlf, "", "", 0);
    const cre_framing_config one = {
        .size = sizeof one, .kind = CRE_FRAMING_MARKER_SPLIT, .marker = "|", .marker_length = 1
    };
    CUT(one, "a||b|c", "<a|><|><b|>", 1);
    const cre_framing_config eight = { .size = sizeof eight,
                                       .kind = CRE_FRAMING_MARKER_SPLIT,
                                       .marker = { 'a', 'b', 'a', 'b', 'a', 'b', 'a', 'c' },
                                       .marker_length = 8 };
    CUT(eight, "abababababac-abababac", "<abababababac><-abababac>", 0);
    CUT(eight, "abababacabababa", "<abababac>", 7);
    const cre_framing_config nul = {
        .size = sizeof nul, .kind = CRE_FRAMING_MARKER_SPLIT, .marker = "\0\0", .marker_length = 2
    };
    CUT(nul, "a\0b\0\0\0\0", "<a\0b\0\0><\0\0>", 0);
    /* three messages back to back, one packet each */
    CUT(crlf, "Hello1\r\nHello2\r\nHello3\r\n", "<Hello1\r\n><Hello2\r\n><Hello3\r\n>", 0);
}

TEST(marker_split_limit) {
    const cre_framing_config config = { .size = sizeof config,
                                        .kind = CRE_FRAMING_MARKER_SPLIT,
                                        .marker = "\r\n",
                                        .marker_length = 2,
                                        .max_length = 6 };
    CUT(config, "abcd\r\nabc\r\n", "<abcd\r\n><abc\r\n>", 0);
    CUT(config, "abcde", "", 5);
    CUT(config, "a\r\nabcde\r\n", "<a\r\n>", CRE_EFRAMING_NO_MARKER);
    CUT(config, "abcdefghij", "", CRE_EFRAMING_NO_MARKER);
    CUT(config, "abcde\r\n", "", CRE_EFRAMING_NO_MARKER);
}

TEST(marker_check) {
    const cre_framing_config config = { .size = sizeof config,
                                        .kind = CRE_FRAMING_MARKER_CHECK,
                                        .marker = "\r\n",
                                        .marker_length = 2,
                                        .max_length = 10 };
    /* what has arrived at once and ends with the marker is one delivery, in place */
    CHECK_EQ(feed(&config, "a\r\nb\r\n", 6, 0, 6), 0);
    CHECK_STR(seen, "<a\r\nb\r\n>");
    CHECK_EQ(in_place, 1);
    CHECK_EQ(feed(&config, "a\r\nb\r\n", 6, 4, 6), 0);
    CHECK_STR(seen, "<a\r\nb\r\n>");
    CHECK_EQ(feed(&config, "a\r\nb\r\n", 6, 3, 6), 0);
    CHECK_STR(seen, "<a\r\n><b\r\n>");
    CHECK_EQ(feed(&config, "a\r\nb\r\n", 6, 0, 1), 0);
    CHECK_STR(seen, "<a\r\n><b\r\n>");
    CHECK_EQ(feed(&config, "a\r\nb\r", 5, 0, 5), 5);
    CHECK_STR(seen, "");
    CHECK_EQ(feed(&config, "12345678\r\n", 10, 0, 10), 0);
    CHECK_EQ(feed(&config, "12345678\r\n", 10, 9, 10), 0);
    CHECK_STR(seen, "<12345678\r\n>");
    CHECK_EQ(feed(&config, "123456789\r\n", 11, 0, 11), CRE_EFRAMING_NO_MARKER);
    for (size_t cut = 0; cut < 12; cut++)
        CHECK_EQ(feed(&config, "123456789012", 12, cut, 12), CRE_EFRAMING_NO_MARKER);
    CHECK_EQ(feed(&config, "123456789", 9, 0, 9), 9);
    const cre_framing_config eight = { .size = sizeof eight,
                                       .kind = CRE_FRAMING_MARKER_CHECK,
                                       .marker = { 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'b' },
                                       .marker_length = 8 };
    CHECK_EQ(feed(&eight, "aaaaaaaaaaab", 12, 0, 1), 0);
    CHECK_STR(seen, "<aaaaaaaaaaab>");
}

TEST(length_fields) {
    /* four bytes, highest first, then "Just a test." */
    const cre_framing_config big = { .size = sizeof big,
                                     .kind = CRE_FRAMING_LENGTH,
                                     .length_type = 'N',
                                     .body_offset = 4,
                                     .max_length = 81920 };
#define JUST "\0\0\0\x0cJust a test."
    CUT(big, JUST JUST JUST, "<" JUST "><" JUST "><" JUST ">", 0);
    CUT(big, "\0\0\0\0\0\0\0\1x\0\0", "<\0\0\0\0><\0\0\0\1x>", 2);
    CUT(big, "\0\1\x3f\xfd", "", CRE_EFRAMING_TOO_LONG);
    CUT(big, "\xff\xff\xff\xff", "", CRE_EFRAMING_TOO_LONG);
    CUT(big, "\0\1\x3f\xfc", "", 4);

    /* the value counts the header, which starts with two other bytes */
    const cre_framing_config whole = { .size = sizeof whole,
                                       .kind = CRE_FRAMING_LENGTH,
                                       .length_type = 'n',
                                       .length_offset = 2,
                                       .max_length = 100 };
    CUT(whole, "ab\0\5xcd\0\4", "<ab\0\5x><cd\0\4>", 0);
    CUT(whole, "ab\0\3x", "", CRE_EFRAMING_LENGTH);
    CUT(whole, "ab\0\0x", "", CRE_EFRAMING_LENGTH);
    CUT(whole, "ab\0\x65", "", CRE_EFRAMING_TOO_LONG);
}

static const struct {
    char type;
    const char *bytes;
    int size, result;
} letters[] = {
    { 'c', "\3", 1, 3 },
    { 'c', "\x83", 1, CRE_EFRAMING_LENGTH },
    { 'C', "\x83", 1, 0x83 },
    { 's', "\3\1", 2, 0x103 },
    { 's', "\3\x80", 2, CRE_EFRAMING_LENGTH },
    { 'S', "\3\x80", 2, 0x8003 },
    { 'n', "\x80\3", 2, 0x8003 },
    { 'v', "\3\x80", 2, 0x8003 },
    { 'l', "\3\1\0\0", 4, 0x103 },
    { 'l', "\3\0\0\x80", 4, CRE_EFRAMING_LENGTH },
    { 'L', "\3\0\0\x80", 4, CRE_EFRAMING_TOO_LONG },
    { 'i', "\3\1\0\0", 4, 0x103 },
    { 'i', "\xff\xff\xff\xff", 4, CRE_EFRAMING_LENGTH },
    { 'I', "\3\1\0\0", 4, 0x103 },
    { 'N', "\0\0\1\3", 4, 0x103 },
    { 'N', "\x80\0\0\3", 4, CRE_EFRAMING_TOO_LONG },
    { 'V', "\3\1\0\0", 4, 0x103 },
    { 'q', "\3\1\0\0\0\0\0\0", 8, 0x103 },
    { 'q', "\3\1\0\0\0\0\0\x80", 8, CRE_EFRAMING_LENGTH },
    { 'Q', "\3\1\0\0\0\0\0\0", 8, 0x103 },
    { 'Q', "\xff\xff\xff\xff\xff\xff\xff\xff", 8, CRE_EFRAMING_TOO_LONG },
    { 'J', "\0\0\0\0\0\0\1\3", 8, 0x103 },
    { 'J', "\0\0\1\0\0\0\1\3", 8, CRE_EFRAMING_TOO_LONG },
    { 'P', "\3\1\0\0\0\0\0\0", 8, 0x103 },
    { 'P', "\xfe\xff\xff\xff\xff\xff\xff\xff", 8, CRE_EFRAMING_TOO_LONG },
};

TEST(every_letter) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
        static char text[40000];
        const cre_framing_config config = { .size = sizeof config,
                                            .kind = CRE_FRAMING_LENGTH,
                                            .length_type = letters[i].type,
                                            .length_offset = 1,
                                            .body_offset = 9,
                                            .max_length = 39000 };
        memset(text, 'x', sizeof text);
        memcpy(text + 1, letters[i].bytes, (size_t)letters[i].size);
        const size_t size = 9 + (size_t)(letters[i].result > 0 ? letters[i].result : 0);
        for (size_t cut = 0; cut < 12; cut++) {
            const int result = feed(&config, text, size, cut, size);
            if (letters[i].result < 0) {
                CHECK_EQ(result, letters[i].result);
            } else {
                CHECK_EQ(result, 0);
                CHECK_EQ(seen_length, size + 2);
                CHECK_MEM(seen + 1, text, size);
            }
        }
    }
#endif
}

static int64_t first_digit(void *context, const uint8_t *data, size_t length) {
    ++*(int *)context;
    if (data[0] == '!') return -1;
    /* the header ends with a colon */
    const uint8_t *colon = memchr(data, ':', length);
    if (!colon) return 0;
    return colon - data + 1 + (data[0] - '0');
}

TEST(length_function) {
    int calls = 0;
    const cre_framing_config config = { .size = sizeof config,
                                        .kind = CRE_FRAMING_FUNCTION,
                                        .length_function = first_digit,
                                        .length_context = &calls,
                                        .max_length = 40 };
    CUT(config, "3:abc0xxxx:1:y", "<3:abc><0xxxx:><1:y>", 0);
    CUT(config, "3:ab", "", 4);
    CUT(config, "0:!bc", "<0:>", CRE_EFRAMING_FUNCTION);
    CUT(config, "9aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:", "", CRE_EFRAMING_TOO_LONG);
    CUT(config, "0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "", CRE_EFRAMING_TOO_LONG);
    CHECK(calls > 0);
    /* what the header's search copied too much is cut all the same */
    CHECK_EQ(feed(&config, "2xxxx:ab1:y0:1:z0", 17, 1, 17), 1);
    CHECK_STR(seen, "<2xxxx:ab><1:y><0:><1:z>");
}

TEST(mqtt) {
    const cre_framing_config config = { .size = sizeof config, .kind = CRE_FRAMING_MQTT, .max_length = 300 };
    CUT(config, "\xc0\0\x30\3abc\xd0\0", "<\xc0\0><\x30\3abc><\xd0\0>", 0);
    CUT(config, "\x30\x80\0\x30\x80\x80\x80\0\x30", "<\x30\x80\0><\x30\x80\x80\x80\0>", 1);
    CUT(config, "\x30\xff\xff\xff\xff\x01", "", CRE_EFRAMING_MQTT);
    CUT(config, "\x30\xff\xff\xff\x7f", "", CRE_EFRAMING_TOO_LONG);
    CUT(config, "\x01\0", "", CRE_EFRAMING_MQTT);
    char text[303] = "\x30\xa9\x02";
    CHECK_EQ(feed(&config, text, 300, 7, 50), 0);
    CHECK_EQ(seen_length, 302);
    text[1]++;
    CHECK_EQ(feed(&config, text, 301, 7, 50), CRE_EFRAMING_TOO_LONG);
    const cre_framing_config wide = { .size = sizeof wide, .kind = CRE_FRAMING_MQTT, .max_length = 1 << 29 };
    CHECK_EQ(feed(&wide, "\x30\xff\xff\xff\x7f", 5, 0, 5), 5);
}

TEST(bytes_without_framing) {
    const cre_framing_config none = { .size = sizeof none, .kind = CRE_FRAMING_NONE };
    CHECK_EQ(feed(&none, "abcde", 5, 2, 2), 0);
    CHECK_STR(seen, "<ab><cd><e>");
    CHECK_EQ(in_place, 3);
}

TEST(invalid_configurations) {
    static const cre_framing_config refused[] = {
        { .size = sizeof(cre_framing_config), .kind = CRE_FRAMING_MARKER_SPLIT },
        { .size = sizeof(cre_framing_config), .kind = CRE_FRAMING_MARKER_CHECK, .marker_length = 9 },
        { .size = sizeof(cre_framing_config),
          .kind = CRE_FRAMING_MARKER_SPLIT,
          .marker = "ab",
          .marker_length = 2,
          .max_length = 1 },
        { .size = sizeof(cre_framing_config), .kind = CRE_FRAMING_LENGTH },
        { .size = sizeof(cre_framing_config), .kind = CRE_FRAMING_LENGTH, .length_type = 'x' },
        { .size = sizeof(cre_framing_config),
          .kind = CRE_FRAMING_LENGTH,
          .length_type = 'N',
          .max_length = 3 },
        { .size = sizeof(cre_framing_config),
          .kind = CRE_FRAMING_LENGTH,
          .length_type = 'N',
          .length_offset = UINT32_MAX },
        { .size = sizeof(cre_framing_config),
          .kind = CRE_FRAMING_LENGTH,
          .length_type = 'N',
          .body_offset = UINT32_MAX },
        { .size = sizeof(cre_framing_config), .kind = CRE_FRAMING_FUNCTION },
        { .size = sizeof(cre_framing_config), .kind = CRE_FRAMING_MQTT, .max_length = UINT32_MAX },
        { .size = sizeof(cre_framing_config), .kind = (cre_framing_kind)77 },
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        CHECK_EQ(cre_framing_config_check(&refused[i]), CRE_EINVALID);
}

TEST(memory_follows_what_has_arrived) {
    /* a peer that announces 2 MiB and sends nothing more costs little */
    const cre_framing_config config = {
        .size = sizeof config, .kind = CRE_FRAMING_LENGTH, .length_type = 'N', .body_offset = 4
    };
    cre_framing framing;
    const uint8_t *cursor = (const uint8_t *)"\0\x1f\0\0", *packet;
    size_t length;
    cre_framing_init(&framing, &config);
    CHECK_EQ(cre_framing_next(&framing, &cursor, cursor + 4, &packet, &length), 0);
    CHECK_EQ(cre_framing_pending(&framing), 4);
    CHECK(framing.capacity <= 256);
    cre_framing_deinit(&framing);
    /* whole packets need none, and an idle connection keeps none */
    const long before = atomic_load(&test_allocations);
    CHECK_EQ(feed(&config, "\0\0\0\1a\0\0\0\1b", 10, 0, 10), 0);
    CHECK_EQ(atomic_load(&test_allocations), before);
    cre_framing_init(&framing, &config);
    cursor = (const uint8_t *)"\0\0";
    CHECK_EQ(cre_framing_next(&framing, &cursor, cursor + 2, &packet, &length), 0);
    cursor = (const uint8_t *)"\0\1a";
    const uint8_t *end = cursor + 3;
    CHECK_EQ(cre_framing_next(&framing, &cursor, end, &packet, &length), 1);
    CHECK_EQ(cre_framing_next(&framing, &cursor, end, &packet, &length), 0);
    CHECK(framing.buffer == NULL);
}

static bool split_packets(void) {
    static const cre_framing_config configs[] = {
        { .size = sizeof(cre_framing_config),
          .kind = CRE_FRAMING_MARKER_SPLIT,
          .marker = "\r\n",
          .marker_length = 2 },
        { .size = sizeof(cre_framing_config),
          .kind = CRE_FRAMING_MARKER_CHECK,
          .marker = "\r\n",
          .marker_length = 2 },
        { .size = sizeof(cre_framing_config),
          .kind = CRE_FRAMING_LENGTH,
          .length_type = 'C',
          .length_offset = 1,
          .body_offset = 2 },
        { .size = sizeof(cre_framing_config), .kind = CRE_FRAMING_MQTT },
    };
    char text[600];
    memset(text, 'a', sizeof text);
    memcpy(text, "0\x82\x04", 3);
    memcpy(text + 598, "\r\n", 2);
    for (size_t i = 0; i < 4; i++) {
        const int result = feed(&configs[i], text, sizeof text, 0, 70);
        if (result == CRE_ENOMEM) return false;
        CHECK(result >= 0);
    }
    return true;
}

TEST(allocations_that_fail) {
    test_fail_each_allocation(split_packets);
}

__attribute__((constructor)) static void make_guard(void) {
    guard = guard_make(70000);
}

TEST_MAIN()
