#include <creactor/error.h>
#include <creactor/http.h>

#include "test.h"

static guard_page guard;
static cre_http_multipart parser;
static char seen[400000];
static size_t seen_length;

static void note(const char *text, size_t length) {
    REQUIRE(seen_length + length < sizeof seen);
    memcpy(seen + seen_length, text, length);
    seen_length += length;
    seen[seen_length] = 0;
}

static void note_text(cre_http_text text) {
    note("<", 1);
    note(text.text, text.length);
    note(">", 1);
}

/* Feeds the body in two pieces, or in pieces of one byte, and notes the events:
 * "[<name><filename><type>data]". */
static int feed(const char *type, const char *body, size_t size, size_t cut, bool bytes, uint32_t max_parts) {
    int event = cre_http_multipart_init(&parser, (const char *)guard_place(&guard, type, strlen(type)),
                                        strlen(type), max_parts);
    seen_length = 0;
    seen[0] = 0;
    if (event < 0) return event;
    for (size_t at = 0; at < size;) {
        size_t piece = bytes ? 1 : at == 0 && cut ? cut : size - at;
        const uint8_t *cursor = guard_place(&guard, body + at, piece), *end = cursor + piece;
        do {
            event = cre_http_multipart_next(&parser, &cursor, end);
            if (event < 0) return event;
            if (event == CRE_HTTP_MULTIPART_PART) {
                note("[", 1);
                note_text(parser.name);
                if (parser.has_filename) note_text(parser.filename);
                if (parser.type.length) note_text(parser.type);
            } else if (event == CRE_HTTP_MULTIPART_DATA) {
                CHECK(parser.length > 0);
                note((const char *)parser.data, parser.length);
            } else if (event == CRE_HTTP_MULTIPART_PART_END) {
                note("]", 1);
            }
        } while (event != CRE_HTTP_MULTIPART_MORE && event != CRE_HTTP_MULTIPART_END);
        CHECK(cursor == end);
        at += piece;
    }
    return event;
}

#define TYPE "multipart/form-data; boundary=XX"

static void check_sized(const char *body, size_t size, int result, const char *events) {
    for (size_t cut = 0; cut <= size; cut++) {
        const int got = feed(TYPE, body, size, cut < size ? cut : 0, cut == size, 0);
        if (got != result || (result >= 0 && strcmp(seen, events) != 0))
            TEST_FAIL("%d \"%s\" instead of %d \"%s\", cut at %zu: %s", got, seen, result, events, cut, body);
        test_checks++;
    }
}

static void check(const char *body, int result, const char *events) {
    check_sized(body, strlen(body), result, events);
}

#define END   CRE_HTTP_MULTIPART_END
#define NAME  "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"
#define CLOSE "\r\n--XX--\r\n"

TEST(parts) {
    check(NAME "hello" CLOSE, END, "[<a>hello]");
    check(
        "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"b.txt\"\r\nContent-Type: text/plain\r\n\r\n"
        "one\r\ntwo\r\n--XX\r\ncontent-disposition:form-data;name=g\r\nX-Other: y\r\n\r\n\r\n--XX--",
        END, "[<f><b.txt><text/plain>one\r\ntwo][<g>]");
    check("preamble\r\n-- --XX\r\n" NAME "x" CLOSE "epilogue\r\n--XX\r\n", END, "[<a>x]");
    check("\r\n" NAME "x" CLOSE, END, "[<a>x]");
    check("--XX--", END, "");
    check("--XX \t\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--XX-- ", END, "[<a>x]");
    /* the boundary right behind the head */
    check(NAME "--XX--", END, "[<a>]");
    /* almost boundaries */
    check(NAME "\r\n--X\r\n--\r\n-\r\n\r\r\r\n--XY--XX\r" CLOSE, END,
          "[<a>\r\n--X\r\n--\r\n-\r\n\r\r\r\n--XY--XX\r]");
    check(NAME "--XY" CLOSE, END, "[<a>--XY]");
    check(NAME "-" CLOSE, END, "[<a>-]");
    check(NAME "\r\n--X", CRE_HTTP_MULTIPART_MORE, "[<a>");
    check(NAME "abc", CRE_HTTP_MULTIPART_MORE, "[<a>abc");
    check("--XX\r\nContent-Dispo", CRE_HTTP_MULTIPART_MORE, "");
}

TEST(dispositions) {
    check(
        "--XX\r\nContent-Disposition: Form-Data; filename=\"a\\\"b\\\\c\\d;e\"; size=3; NAME=\"n n\"\r\n\r\n" CLOSE,
        END, "[<n n><a\"b\\c\\d;e>]");
    check("--XX\r\nContent-Disposition: form-data; name=\"\"; filename=\"\"\r\n\r\n" CLOSE, END, "[<><>]");
    check("--XX\r\nContent-Disposition: form-data; name=\"\xc3\xa4\";; filename=x;\r\n\r\n" CLOSE, END,
          "[<\xc3\xa4><x>]");
}

TEST(malformed_bodies) {
    const int bad = CRE_EHTTP_MULTIPART;
    check("--XXY\r\n", bad, "");
    check("--XX\n", bad, "");
    check("--XX\r\r\n", bad, "");
    check("--XX-\r\n", bad, "");
    check("--XX -- \r\n", bad, "");
    check("--XX\r\n\r\nx", bad, "");
    check("--XX\r\nContent-Type: a\r\n\r\nx", bad, "");
    check("--XX\r\nContent-Disposition: form-data\r\n\r\nx", bad, "");
    check("--XX\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nx", bad, "");
    check("--XX\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx", bad, "");
    check("--XX\r\nContent-Disposition: form-data; name\r\n\r\nx", bad, "");
    check("--XX\r\nContent-Disposition: form-data; name=\r\n\r\nx", bad, "");
    check("--XX\r\nContent-Disposition: form-data; name=\"a\" b\r\n\r\nx", bad, "");
    check("--XX\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\nx", bad, "");
    check("--XX\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n\r\nx",
          bad, "");
    check("--XX\r\nContent-Disposition: form-data; name=a\r\n folded\r\n\r\nx", bad, "");
    check("--XX\r\nContent-Disposition: form-data; name=a\r\n: x\r\n\r\nx", bad, "");
    check("--XX\r\nContent-Disposition : form-data; name=a\r\n\r\nx", bad, "");
    check("--XX\r\nContent-Disposition: form-data; name=a\nX: y\r\n\r\nx", bad, "");
    check("--XX\r\nContent-Disposition: form-data; name=\"\x01\"\r\n\r\nx", bad, "");
    CHECK_EQ(cre_http_status_of(bad), 400);
}

TEST(limits) {
    static char body[CRE_HTTP_PART_HEAD_MAX + 200];
    CHECK_EQ(feed(TYPE, NAME "\r\n" NAME "x" CLOSE, strlen(NAME "\r\n" NAME "x" CLOSE), 0, false, 2), END);
    CHECK_EQ(feed(TYPE, NAME "\r\n" NAME "x" CLOSE, strlen(NAME "\r\n" NAME "x" CLOSE), 0, false, 1),
             CRE_EHTTP_MULTIPART_LIMIT);
    for (size_t extra = 0; extra < 2; extra++) {
        /* a head of exactly the limit, and one more */
        static const char start[] = "--XX\r\nContent-Disposition: form-data; name=a\r\nX: ";
        const size_t size = 6 + CRE_HTTP_PART_HEAD_MAX + extra;
        memset(body, 'y', size);
        memcpy(body, start, sizeof start - 1);
        memcpy(body + size - 4, "\r\n\r\n", 4);
        memcpy(body + size, CLOSE, sizeof CLOSE);
        CHECK_EQ(feed(TYPE, body, size + sizeof CLOSE - 1, 0, false, 0),
                 extra ? CRE_EHTTP_MULTIPART_LIMIT : END);
    }
    CHECK_EQ(cre_http_status_of(CRE_EHTTP_MULTIPART_LIMIT), 413);
}

TEST(content_types) {
    static const struct {
        const char *type;
        int result;
    } cases[] = {
        { "multipart/form-data; boundary=XX", END },
        { "Multipart/Form-Data;charset=utf-8; BOUNDARY=\"XX\" ;", END },
        { "multipart/form-data", CRE_EHTTP_MULTIPART },
        { "multipart/form-data; boundary=", CRE_EHTTP_MULTIPART },
        { "multipart/form-data; boundary=\"\"", CRE_EHTTP_MULTIPART },
        { "multipart/form-data; boundary=\"a \"", CRE_EHTTP_MULTIPART },
        { "multipart/form-data; boundary=a;boundary=b", CRE_EHTTP_MULTIPART },
        { "multipart/form-data; boundary=a*b", CRE_EHTTP_MULTIPART },
        { "multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789X",
          CRE_EHTTP_MULTIPART },
        { "multipart/mixed; boundary=XX", CRE_EHTTP_NOT_MULTIPART },
        { "text/plain", CRE_EHTTP_NOT_MULTIPART },
        { "", CRE_EHTTP_NOT_MULTIPART },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_EQ(feed(cases[i].type, "--XX--", 6, 0, false, 0), cases[i].result);
    /* the longest boundary */
    char type[130] = "multipart/form-data; boundary=", body[100] = "--";
    memset(type + 30, 'b', 70);
    memset(body + 2, 'b', 70);
    memcpy(body + 72, "--", 2);
    CHECK_EQ(feed(type, body, 74, 0, false, 0), END);
    CHECK_EQ(feed(type, body, 74, 0, true, 0), END);
    CHECK_EQ(cre_http_status_of(CRE_EHTTP_NOT_MULTIPART), 415);
}

TEST(a_binary_body_survives_every_split) {
    static char body[3000];
    static const char start[] = NAME;
    memcpy(body, start, sizeof start - 1);
    size_t size = sizeof start - 1;
    uint32_t state = 7;
    for (int i = 0; i < 1500; i++) {
        state = state * 1664525 + 1013904223;
        /* much of the boundary's own text, but never all of it */
        body[size++] = "\r\n-X\r\n--X\0ab"[(state >> 16) % 12];
        if (size >= 6 && memcmp(body + size - 6, "\r\n--XX", 6) == 0) body[size - 1] = 'Y';
    }
    const size_t data = size - (sizeof start - 1);
    memcpy(body + size, CLOSE, sizeof CLOSE - 1);
    size += sizeof CLOSE - 1;
    for (size_t cut = 0; cut <= size; cut++) {
        CHECK_EQ(feed(TYPE, body, size, cut < size ? cut : 0, cut == size, 0), END);
        CHECK_EQ(seen_length, 4 + data + 1);
        CHECK_MEM(seen + 4, body + sizeof start - 1, data);
    }
}

__attribute__((constructor)) static void make_guard(void) {
    guard = guard_make(8192);
}

TEST_MAIN()
