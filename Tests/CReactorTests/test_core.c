#include <creactor/creactor.h>
#include <errno.h>

#include "core/memory.h"
#include "test.h"

TEST(errors_have_names_and_messages) {
    CHECK_STR(cre_error_name(CRE_ENOMEM), "CRE_ENOMEM");
    CHECK_STR(cre_error_message(CRE_ENOMEM), "out of memory");
    CHECK_STR(cre_error_name(-ECONNRESET), "ECONNRESET");
    CHECK_STR(cre_error_message(-ECONNRESET), strerror(ECONNRESET));
    CHECK_STR(cre_error_name(-999999), "CRE_EUNKNOWN");
    CHECK_STR(cre_error_name(0), "CRE_OK");
}

TEST(error_numbers_are_unique) {
    const int all[] = {
#define XX(name, number, message) CRE_E##name,
        CRE_ERROR_MAP(XX)
#undef XX
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        CHECK(all[i] <= -1000);
        for (size_t j = 0; j < i; j++)
            CHECK(all[i] != all[j]);
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

TEST(an_allocator_with_holes_is_refused) {
    CHECK_EQ(cre_set_allocator(&(cre_allocator){ .allocate = test_allocate }), CRE_EINVALID);
}

TEST(version_is_three_numbers) {
    int a, b, c;
    CHECK_EQ(sscanf(cre_version(), "%d.%d.%d", &a, &b, &c), 3);
    CHECK_EQ(a, CRE_VERSION_MAJOR);
}

TEST_MAIN()
