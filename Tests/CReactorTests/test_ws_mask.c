#include <creactor/websocket_frame.h>

#include "test.h"
#include "ws/ws_mask.h"

static const uint8_t key[4] = { 0x37, 0xFA, 0x21, 0x3D };

static void naive(uint8_t *data, size_t length, size_t offset) {
    for (size_t i = 0; i < length; i++)
        data[i] ^= key[(i + offset) % 4];
}

static bool naive_high(const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (data[i] & 0x80) return true;
    return false;
}

typedef uint64_t (*masker)(uint8_t *to, const uint8_t *from, size_t length, uint32_t key);

static void compare(masker mask, size_t least, size_t most) {
    guard_page guard = guard_make(most + 64);
    uint8_t input[1024], expected[1024], copy[1024 + 64];
    for (size_t i = 0; i < sizeof input; i++)
        input[i] = (uint8_t)(i * 131 + (i >> 3));
    for (size_t length = least; length <= most; length++) {
        for (size_t slack = 0; slack < 33; slack++) { /* all alignments, the last of them at the guard page */
            for (size_t offset = 0; offset < 4; offset++) {
                memcpy(expected, input, length);
                naive(expected, length, offset);
                uint32_t rotated = cre__ws_key_rotate(cre__ws_key(key), offset);
                uint8_t *at = guard_place(&guard, input, length) - slack;
                memcpy(at, input, length);
                uint64_t high = mask(at, at, length, rotated);
                CHECK_MEM(at, expected, length);
                CHECK_EQ(high != 0, naive_high(expected, length));
                memset(copy, 0x5A, sizeof copy);
                mask(copy + slack, input, length, rotated);
                CHECK_MEM(copy + slack, expected, length);
                CHECK_EQ(copy[slack + length], 0x5A);
                if (slack) CHECK_EQ(copy[slack - 1], 0x5A);
            }
        }
    }
    guard_free(&guard);
}

TEST(dispatched) {
    compare(cre__ws_mask, 0, 420);
}

TEST(short_lengths) {
    compare(cre__ws_mask_short, 0, 130);
}

TEST(blocks) {
    compare(cre__ws_mask_blocks, 16, 300);
}

TEST(wide) {
    compare(cre__ws_mask_wide, 16, 300);
}

#if defined(__x86_64__)
TEST(avx2) {
    if (__builtin_cpu_supports("avx2")) compare(cre__ws_mask_avx2, 32, 420);
}
#endif

TEST(each_byte_can_be_the_high_one) {
    uint8_t data[300];
    uint8_t zero[4] = { 0 };
    for (size_t length = 1; length < sizeof data; length++) {
        for (size_t at = 0; at < length; at++) {
            memset(data, 'a', sizeof data);
            data[at] = 0xC3;
            CHECK(cre__ws_mask(data, data, length, cre__ws_key(zero)) != 0);
            CHECK_EQ(data[at], 0xC3);
        }
        memset(data, 0xFF, sizeof data);
        memset(data, 0x7F, length);
        CHECK(cre__ws_mask(data, data, length, cre__ws_key(zero)) == 0);
    }
}

TEST(the_public_function_in_pieces) {
    uint8_t input[1000], expected[1000];
    for (size_t i = 0; i < sizeof input; i++)
        input[i] = expected[i] = (uint8_t)(i * 7);
    naive(expected, sizeof expected, 0);
    for (size_t i = 0, piece = 1; i < sizeof input; i += piece, piece = piece * 2 + 1) {
        if (piece > sizeof input - i) piece = sizeof input - i;
        cre_ws_mask(input + i, piece, key, i);
    }
    CHECK_MEM(input, expected, sizeof input);
}

TEST_MAIN()
