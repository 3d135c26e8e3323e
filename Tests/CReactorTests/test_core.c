#include <creactor/creactor.h>
#include <errno.h>
#include <pthread.h>

#include "core/copy.h"
#include "core/decimal.h"
#include "core/memory.h"
#include "core/siphash.h"
#include "core/slices.h"
#include "test.h"

TEST(errors_have_names_and_messages) {
    CHECK_STR(cre_error_name(CRE_ENOMEM), "CRE_ENOMEM");
    CHECK_STR(cre_error_message(CRE_ENOMEM), "out of memory");
    CHECK_STR(cre_error_name(-ECONNRESET), "ECONNRESET");
    CHECK_STR(cre_error_message(-ECONNRESET), strerror(ECONNRESET));
    CHECK_STR(cre_error_name(-999999), "CRE_EUNKNOWN");
    CHECK_STR(cre_error_name(0), "CRE_OK");
}

TEST(error_numbers_are_unique_and_in_order) {
    const int all[] = {
#define XX(name, number, message) CRE_E##name,
        CRE_ERROR_MAP(XX)
#undef XX
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        CHECK(all[i] <= -1000);
        CHECK(i == 0 || all[i] < all[i - 1]); /* the list is in the order of the bands */
    }
}

TEST(calloc_refuses_an_overflow) {
    CHECK(cre__calloc(SIZE_MAX / 2, 3) == NULL);
    void *zeros = cre__calloc(3, 5);
    REQUIRE(zeros != NULL);
    CHECK_MEM(zeros, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
    cre__free(zeros);
    cre__free(NULL);
}

/* The memory of both has the exact size, so an access beyond it is found. */
TEST(a_copy_has_all_bytes_and_no_others) {
    cre__copy_fresh(NULL, NULL, 0);
    for (size_t length = 1; length < 300; length++) {
        uint8_t *from = cre__malloc(length), *to = cre__malloc(length);
        REQUIRE(from && to);
        for (size_t i = 0; i < length; i++) {
            from[i] = (uint8_t)(i * 7 + length);
            to[i] = (uint8_t)~from[i];
        }
        cre__copy_fresh(to, from, length);
        CHECK_MEM(to, from, length);
        cre__free(from);
        cre__free(to);
    }
}

TEST(an_incomplete_allocator_is_refused) {
    CHECK_EQ(cre_set_allocator(&(cre_allocator){ .allocate = test_allocate }), CRE_EINVALID);
}

static void *share(void *argument) {
    cre_block *block = argument;
    for (int i = 0; i < 10000; i++)
        cre_block_release(cre_block_retain(block));
    cre_block_release(block);
    return NULL;
}

TEST(a_block_lives_as_long_as_its_last_owner) {
    cre_block *block = cre_block_copy("shared", 6);
    REQUIRE(block != NULL);
    CHECK_EQ(cre_block_length(block), 6);
    CHECK(cre_block_is_unique(block));
    CHECK(cre_block_retain(block) == block);
    CHECK(!cre_block_is_unique(block));
    cre_block_release(block);
    CHECK(cre_block_is_unique(block));
    cre_block_set_length(block, 3);
    cre_block_set_length(block, 7); /* more than it has: ignored */
    CHECK_EQ(cre_block_length(block), 3);
    CHECK_MEM(cre_block_data(block), "sha", 3);

    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, share, cre_block_retain(block)) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(cre_block_is_unique(block));
    cre_block_release(block);
    cre_block_release(NULL);
}

static bool make_block(void) {
    cre_block *block = cre_block_copy("x", 1);
    cre_block_release(block);
    return block != NULL;
}

TEST(a_block_without_memory_is_null) {
    test_fail_each_allocation(make_block);
    CHECK(cre_block_create(SIZE_MAX) == NULL);
}

/* With the length in the last word it is the published function, here of an empty text. */
TEST(siphash_vectors) {
    const uint64_t seed[2] = { 0x0706050403020100, 0x0F0E0D0C0B0A0908 };
    const uint64_t empty[1] = { 0 };
    CHECK(cre__siphash(seed, empty, 1) == 0xABAC0158050FC4DC);
    const uint64_t other[2] = { seed[0], seed[1] ^ 1 };
    CHECK(cre__siphash(other, empty, 1) != cre__siphash(seed, empty, 1));
}

TEST(decimals) {
    static const uint64_t numbers[] = { 0, 9, 10, 99, 100, 12345678901234567890u, UINT64_MAX };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[CRE__MAX_DECIMAL + 1], expected[CRE__MAX_DECIMAL + 1];
        *cre__put_decimal(text, numbers[i]) = 0;
        snprintf(expected, sizeof expected, "%llu", (unsigned long long)numbers[i]);
        CHECK_STR(text, expected);
    }
}

TEST(slices) {
    const cre_slice parts[] = {
        { NULL, 0 }, { (const uint8_t *)"ab", 2 }, { NULL, 0 }, { (const uint8_t *)"cde", 3 }
    };
    CHECK_EQ(cre__slices_length(parts, 4), 5);
    CHECK_EQ(cre__slices_length(NULL, 0), 0);
    for (size_t cut = 0; cut <= 5; cut++) {
        char text[5];
        const cre_slice *part = parts;
        size_t offset = 0;
        cre__slices_copy(text, cut, &part, &offset);
        cre__slices_copy(text + cut, 5 - cut, &part, &offset);
        CHECK_MEM(text, "abcde", 5);
        cre_slice moved[4];
        memcpy(moved, parts, sizeof parts);
        memset(text, 0, sizeof text);
        CHECK(cre__slices_take(text, cut, moved, 4));
        CHECK_EQ(cre__slices_length(moved, 4), 5 - cut);
        CHECK(cre__slices_take(text + cut, 5 - cut, moved, 4));
        CHECK_MEM(text, "abcde", 5);
        CHECK(!cre__slices_take(text, 1, moved, 4));
    }
}

TEST(version_is_three_numbers) {
    int a, b, c;
    CHECK_EQ(sscanf(cre_version(), "%d.%d.%d", &a, &b, &c), 3);
    CHECK_EQ(a, CRE_VERSION_MAJOR);
}

TEST_MAIN()
