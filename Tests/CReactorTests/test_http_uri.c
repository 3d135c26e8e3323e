#include <creactor/error.h>
#include <creactor/http.h>

#include "test.h"

static guard_page guard;

static const char *place(const char *text, size_t size) {
    return (const char *)guard_place(&guard, text, size);
}

TEST(percent_decoding) {
    static const struct {
        const char *text, *plain, *form;
    } cases[] = {
        { "", "", "" },           { "abc", "abc", "abc" },     { "a+b", "a+b", "a b" },
        { "%41%6a", "Aj", "Aj" }, { "%2B+%20", "++ ", "+  " }, { "%c3%A4", "\xc3\xa4", "\xc3\xa4" }
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[32];
        const size_t size = strlen(cases[i].text);
        int length = cre_http_form_decode(place(cases[i].text, size), size, out);
        CHECK_EQ(length, strlen(cases[i].form));
        CHECK_MEM(out, cases[i].form, strlen(cases[i].form));
        length = cre_http_percent_decode(place(cases[i].text, size), size, out);
        CHECK_EQ(length, strlen(cases[i].plain));
        CHECK_MEM(out, cases[i].plain, strlen(cases[i].plain));
    }
    static const char *const refused[] = { "%", "%4", "a%4", "%g0", "%0g", "%%41", "%-1" };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char out[32];
        CHECK_EQ(cre_http_percent_decode(place(refused[i], strlen(refused[i])), strlen(refused[i]), out),
                 CRE_EHTTP_ENCODING);
    }
    CHECK_EQ(cre_http_status_of(CRE_EHTTP_ENCODING), 400);
    char same[] = "a%20b%00c";
    CHECK_EQ(cre_http_percent_decode(same, 9, same), 5);
    CHECK_MEM(same, "a b\0c", 5);
}

TEST(percent_encoding) {
    char all[256], out[3 * 256], back[3 * 256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    const int size = cre_http_percent_encode(all, 256, out, sizeof out);
    CHECK_EQ(size, 66 + 190 * 3);
    CHECK_EQ(cre_http_percent_decode(out, (size_t)size, back), 256);
    CHECK_MEM(back, all, 256);
    for (int room = 0; room < size; room += 7)
        CHECK_EQ(
            cre_http_percent_encode(all, 256, (char *)guard_place(&guard, out, (size_t)room), (size_t)room),
            CRE_ELIMIT);
}

TEST(paths) {
    static const struct {
        const char *path, *result;
        int error;
    } cases[] = {
        { "/", "/", 0 },
        { "/a/b", "/a/b", 0 },
        { "/a/b/", "/a/b/", 0 },
        { "//a///b//", "/a/b/", 0 },
        { "/a/./b", "/a/b", 0 },
        { "/a/../b", "/b", 0 },
        { "/a/b/..", "/a/", 0 },
        { "/a/b/.", "/a/b/", 0 },
        { "/a/..", "/", 0 },
        { "/.", "/", 0 },
        { "/a/b/../../c", "/c", 0 },
        { "/..a/.b/...", "/..a/.b/...", 0 },
        { "/%61/%2e%2e/b%20c", "/b c", 0 },
        { "/..", "", CRE_EHTTP_BAD_TARGET },
        { "/a/../..", "", CRE_EHTTP_BAD_TARGET },
        { "/a/../../b", "", CRE_EHTTP_BAD_TARGET },
        { "/%2e%2e/etc", "", CRE_EHTTP_BAD_TARGET },
        { "a", "", CRE_EHTTP_BAD_TARGET },
        { "", "", CRE_EHTTP_BAD_TARGET },
        { "*", "", CRE_EHTTP_BAD_TARGET },
        { "/%00", "", CRE_EHTTP_ENCODING },
        { "/a%2fb", "", CRE_EHTTP_ENCODING },
        { "/a%5Cb", "", CRE_EHTTP_ENCODING },
        { "/a%", "", CRE_EHTTP_ENCODING },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t size = strlen(cases[i].path);
        char *at = (char *)guard_place(&guard, cases[i].path, size);
        const int length = cre_http_path_resolve(at, size, at);
        if (cases[i].error) {
            CHECK_EQ(length, cases[i].error);
            continue;
        }
        if (length != (int)strlen(cases[i].result) || memcmp(at, cases[i].result, (size_t)length) != 0)
            TEST_FAIL("%s became %.*s", cases[i].path, length, at);
    }
}

TEST(queries) {
    static const char text[] = "&a=1&&b=x+y%21&c&=d&%61=2&e==f=&";
    static const char *const expected[][2] = { { "a", "1" }, { "b", "x+y%21" }, { "c", "" },
                                               { "", "d" },  { "%61", "2" },    { "e", "=f=" } };
    const char *at = place(text, sizeof text - 1);
    cre_http_query query;
    cre_http_pair pair;
    cre_http_query_of(&query, at, sizeof text - 1, 0);
    for (size_t i = 0; i < 6; i++) {
        CHECK_EQ(cre_http_query_next(&query, &pair), 1);
        CHECK_EQ(pair.name_length, strlen(expected[i][0]));
        CHECK_MEM(pair.name, expected[i][0], pair.name_length);
        CHECK_EQ(pair.value_length, strlen(expected[i][1]));
        CHECK_MEM(pair.value, expected[i][1], pair.value_length);
    }
    CHECK_EQ(cre_http_query_next(&query, &pair), 0);
    CHECK_EQ(cre_http_query_next(&query, &pair), 0);

    cre_http_query_of(&query, at, sizeof text - 1, 6);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(cre_http_query_next(&query, &pair), 1);
    CHECK_EQ(cre_http_query_next(&query, &pair), 0);
    cre_http_query_of(&query, at, sizeof text - 1, 5);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(cre_http_query_next(&query, &pair), 1);
    CHECK_EQ(cre_http_query_next(&query, &pair), CRE_ELIMIT);
    cre_http_query_of(&query, NULL, 0, 0);
    CHECK_EQ(cre_http_query_next(&query, &pair), 0);

    char out[8];
    CHECK_EQ(cre_http_query_get(at, sizeof text - 1, "b", 1, out, 4), 4);
    CHECK_MEM(out, "x y!", 4);
    CHECK_EQ(cre_http_query_get(at, sizeof text - 1, "b", 1, out, 3), CRE_ELIMIT);
    CHECK_EQ(cre_http_query_get(at, sizeof text - 1, "a", 1, out, 8), 1);
    CHECK_EQ(cre_http_query_get(at, sizeof text - 1, "c", 1, out, 0), 0);
    CHECK_EQ(cre_http_query_get(at, sizeof text - 1, "z", 1, out, 8), CRE_EHTTP_NOT_FOUND);
    CHECK_EQ(cre_http_query_get(at, sizeof text - 1, "aa", 2, out, 8), CRE_EHTTP_NOT_FOUND);
    CHECK_EQ(cre_http_query_get("x+%79=%4", 8, "x y", 3, out, 8), CRE_EHTTP_ENCODING);
    CHECK_EQ(cre_http_query_get("x+%79=%41", 9, "x y", 3, out, 8), 1);
    CHECK_EQ(cre_http_query_get("x%=1", 4, "x", 1, out, 8), CRE_EHTTP_NOT_FOUND);
    CHECK_EQ(cre_http_query_get("x%2=1", 5, "x", 1, out, 8), CRE_EHTTP_NOT_FOUND);
}

TEST(cookies) {
    static const char text[] =
        "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; b = \"x y\" ;c=;;=z; novalue; d=e=f\r\n"
        "X: q=r\r\nCOOKIE: g=\"\r\n\r\n";
    static const char *const expected[][2] = {
        { "a", "1" }, { "b", "x y" }, { "c", "" }, { "d", "e=f" }, { "g", "\"" }
    };
    cre_http_head head;
    cre_http_field fields[10];
    const cre_http_limits limits = { .max_fields = 10 };
    const uint8_t *at = guard_place(&guard, text, sizeof text - 1);
    REQUIRE(cre_http_parse_request(at, sizeof text - 1, 0, &limits, &head, fields) == sizeof text - 1);
    cre_http_cookies cookies;
    cre_http_pair pair;
    cre_http_cookies_of(&cookies, &head, fields, at);
    for (size_t i = 0; i < 5; i++) {
        REQUIRE(cre_http_cookies_next(&cookies, &pair));
        CHECK_EQ(pair.name_length, strlen(expected[i][0]));
        CHECK_MEM(pair.name, expected[i][0], pair.name_length);
        CHECK_EQ(pair.value_length, strlen(expected[i][1]));
        CHECK_MEM(pair.value, expected[i][1], pair.value_length);
    }
    CHECK(!cre_http_cookies_next(&cookies, &pair));
    CHECK(!cre_http_cookies_next(&cookies, &pair));
}

TEST(set_cookie) {
    char out[300];
    const cre_http_set_cookie full = { .name = "id",
                                       .value = "a-1",
                                       .path = "/",
                                       .domain = "example.com",
                                       .expires = 784111777,
                                       .max_age = 60,
                                       .secure = true,
                                       .http_only = true,
                                       .partitioned = true,
                                       .same_site = CRE_HTTP_SAME_SITE_NONE };
    static const char expected[] = "id=a-1; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=60; Path=/; "
                                   "Domain=example.com; Secure; HttpOnly; SameSite=None; Partitioned";
    CHECK_EQ(cre_http_write_cookie(out, sizeof out, &full), sizeof expected - 1);
    CHECK_MEM(out, expected, sizeof expected - 1);
    for (size_t room = 0; room < sizeof expected - 1; room++)
        CHECK_EQ(cre_http_write_cookie((char *)guard_place(&guard, out, room), room, &full), CRE_ELIMIT);
    const cre_http_set_cookie least = { .name = "a", .value = "", .max_age = -1 };
    CHECK_EQ(cre_http_write_cookie(out, sizeof out, &least), 2);
    CHECK_MEM(out, "a=", 2);
    static const cre_http_set_cookie refused[] = {
        { .name = "", .value = "a" },
        { .name = "a=b", .value = "a" },
        { .name = "a", .value = "a b" },
        { .name = "a", .value = "a;b" },
        { .name = "a", .value = "a\r\nb" },
        { .name = "a", .value = "a,b" },
        { .name = "a", .value = "a", .path = "/; Secure" },
        { .name = "a", .value = "a", .path = "/\n" },
        { .name = "a", .value = "a", .domain = "b;c" },
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        CHECK_EQ(cre_http_write_cookie(out, sizeof out, &refused[i]), CRE_EHTTP_INVALID_FIELD);
}

__attribute__((constructor)) static void make_guard(void) {
    guard = guard_make(4096);
}

TEST_MAIN()
