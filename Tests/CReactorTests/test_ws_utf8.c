#include <creactor/websocket_utf8.h>

#include "test.h"
#include "ws/ws_utf8.h"

/* The definition: decode the number, then check it. */
static bool naive(const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length;) {
        uint32_t code = data[i];
        size_t more = code < 0x80             ? 0
                      : (code & 0xE0) == 0xC0 ? 1
                      : (code & 0xF0) == 0xE0 ? 2
                      : (code & 0xF8) == 0xF0 ? 3
                                              : 9;
        if (more == 9 || length - i <= more) return false;
        if (more) code &= 0x3Fu >> more;
        for (size_t n = 1; n <= more; n++) {
            if ((data[i + n] & 0xC0) != 0x80) return false;
            code = code << 6 | (data[i + n] & 0x3F);
        }
        const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
        if (code < least[more] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
        i += more + 1;
    }
    return true;
}

typedef bool (*validator)(const uint8_t *data, size_t length);

static size_t validators(validator out[4]) {
    size_t count = 0;
    out[count++] = cre_utf8_valid;
    out[count++] = cre__utf8_valid_scalar;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.1")) out[count++] = cre__utf8_valid_sse41;
    if (__builtin_cpu_supports("avx2")) out[count++] = cre__utf8_valid_avx2;
#elif defined(__aarch64__)
    out[count++] = cre__utf8_valid_neon;
#endif
    return count;
}

static bool fed_bytewise(const uint8_t *data, size_t length) {
    cre_utf8 state = { 0 };
    for (size_t i = 0; i < length; i++)
        if (!cre_utf8_feed(&state, data + i, 1)) return false;
    return cre_utf8_complete(&state);
}

static void same(const uint8_t *data, size_t length, bool expected) {
    validator all[4];
    size_t count = validators(all);
    test_checks++;
    for (size_t v = 0; v < count; v++)
        if (all[v](data, length) != expected) TEST_FAIL("validator %zu, %zu bytes", v, length);
}

/* Each sequence alone, then inside ASCII across the boundary of each vector width. */
static void sequence(const uint8_t *bytes, size_t size) {
    bool expected = naive(bytes, size);
    same(bytes, size, expected);
    if (fed_bytewise(bytes, size) != expected) TEST_FAIL("bytewise");
    uint8_t text[64];
    static const size_t at[] = { 14, 30, 60 };
    static const size_t lengths[] = { 40, 64, 64 };
    for (size_t i = 0; i < 3; i++) {
        memset(text, 'x', sizeof text);
        memcpy(text + at[i], bytes, size);
        same(text, lengths[i], expected);
    }
}

TEST(all_of_one_to_three_bytes) {
    for (unsigned a = 0; a < 256; a++) {
        sequence((uint8_t[]){ (uint8_t)a }, 1);
        for (unsigned b = 0; b < 256; b++)
            sequence((uint8_t[]){ (uint8_t)a, (uint8_t)b }, 2);
    }
    for (unsigned a = 0x7F; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            for (unsigned c = (a + b) % TEST_STRIDE; c < 256; c += TEST_STRIDE) {
                uint8_t bytes[3] = { (uint8_t)a, (uint8_t)b, (uint8_t)c };
                bool expected = naive(bytes, 3);
                uint8_t text[48];
                memset(text, 'x', sizeof text);
                memcpy(text + 14, bytes, 3);
                memcpy(text + 30, bytes, 3);
                same(text, sizeof text, expected);
                same(bytes, 3, expected);
            }
        }
    }
}

TEST(all_leads_of_four_bytes) {
    static const uint8_t third[] = { 0x00, 0x7F, 0x80, 0x81, 0x8F, 0x90, 0x9F,
                                     0xA0, 0xBE, 0xBF, 0xC0, 0xE0, 0xF0, 0xFF };
    for (unsigned a = 0xE0; a < 256; a++)
        for (unsigned b = a % TEST_STRIDE; b < 256; b += TEST_STRIDE)
            for (size_t c = 0; c < sizeof third; c++)
                for (size_t d = 0; d < sizeof third; d++)
                    sequence((uint8_t[]){ (uint8_t)a, (uint8_t)b, third[c], third[d] }, 4);
}

TEST(all_code_points) {
    for (uint32_t code = 0x80; code < 0x110000; code += TEST_STRIDE) {
        uint8_t bytes[4];
        size_t size;
        if (code < 0x800) {
            size = 2;
            bytes[0] = (uint8_t)(0xC0 | code >> 6);
        } else if (code < 0x10000) {
            size = 3;
            bytes[0] = (uint8_t)(0xE0 | code >> 12);
            bytes[1] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        } else {
            size = 4;
            bytes[0] = (uint8_t)(0xF0 | code >> 18);
            bytes[1] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
            bytes[2] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        }
        bytes[size - 1] = (uint8_t)(0x80 | (code & 0x3F));
        uint8_t text[36];
        memset(text, 'x', sizeof text);
        memcpy(text + 29, bytes, size);
        same(text, sizeof text, code < 0xD800 || code > 0xDFFF);
    }
}

static uint32_t seed = 1;

static uint32_t random_below(uint32_t limit) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

static size_t random_text(uint8_t *out, size_t capacity) {
    static const char *const pieces[] = { "a",
                                          "hello world, ",
                                          "\xC3\xA9",
                                          "\xE2\x82\xAC",
                                          "\xE6\x97\xA5\xE6\x9C\xAC",
                                          "\xF0\x9F\x98\x80",
                                          "\xF4\x8F\xBF\xBF",
                                          "0123456789abcdef0123456789abcdef" };
    size_t length = 0, wanted = random_below((uint32_t)capacity);
    uint32_t kinds = 1 + random_below(8), from = random_below(8);
    while (length < wanted) {
        const char *piece = pieces[(from + random_below(kinds)) % 8];
        size_t size = strlen(piece);
        if (length + size > capacity) break;
        memcpy(out + length, piece, size);
        length += size;
    }
    return length;
}

TEST(random_texts_with_one_changed_byte_at_a_guard_page) {
    guard_page guard = guard_make(1024);
    uint8_t text[1024];
    for (int round = 0; round < 200000 / TEST_STRIDE; round++) {
        size_t length = random_text(text, round % 4 ? 300 : sizeof text);
        if (length && round % 2) text[random_below((uint32_t)length)] = (uint8_t)random_below(256);
        if (length && round % 5 == 0) length -= random_below(length < 4 ? (uint32_t)length : 4);
        same(guard_place(&guard, text, length), length, naive(text, length));
    }
    guard_free(&guard);
}

/* The first byte that leaves no valid text possible, found by trying what could follow. */
static size_t first_wrong(const uint8_t *data, size_t length) {
    static const char *const rest[] = { "",         "\x80",         "\xBF",        "\x80\x80",
                                        "\xBF\xBF", "\x80\x80\x80", "\xBF\xBF\xBF" };
    uint8_t text[128];
    for (size_t n = 1; n <= length; n++) {
        bool possible = false;
        for (size_t i = 0; i < 7 && !possible; i++) {
            size_t more = strlen(rest[i]);
            memcpy(text, data, n);
            memcpy(text + n, rest[i], more);
            possible = naive(text, n + more);
        }
        if (!possible) return n - 1;
    }
    return length;
}

TEST(pieces_fail_with_the_first_wrong_byte) {
    uint8_t text[100];
    for (int round = 0; round < 20000 / TEST_STRIDE; round++) {
        size_t length = random_text(text, sizeof text);
        if (length && round % 4) text[random_below((uint32_t)length)] = (uint8_t)random_below(256);
        size_t wrong = first_wrong(text, length);
        /* Pieces of any size, each just as far as the wrong byte is not in it. */
        cre_utf8 state = { 0 };
        size_t i = 0;
        while (i < wrong) {
            size_t piece = 1 + random_below(40);
            if (piece > wrong - i) piece = wrong - i;
            CHECK(cre_utf8_feed(&state, text + i, piece));
            i += piece;
        }
        if (wrong < length)
            CHECK(!cre_utf8_feed(&state, text + wrong, 1 + random_below((uint32_t)(length - wrong))));
        else
            CHECK_EQ(cre_utf8_complete(&state), naive(text, length));
    }
}

TEST(an_empty_text_is_valid) {
    CHECK(cre_utf8_valid(NULL, 0));
    cre_utf8 state = { 0 };
    CHECK(cre_utf8_feed(&state, NULL, 0));
    CHECK(cre_utf8_complete(&state));
}

TEST_MAIN()
