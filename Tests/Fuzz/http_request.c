/*
 * Request and response heads: every instruction set must agree, pieces must give what the whole gives,
 * offsets must lie in the head, and what reads heads must survive each of them.
 *
 * Input: one byte of settings, one byte that says where to cut, the head.
 */
#include <creactor/handshake.h>
#include <creactor/http.h>
#include <stdlib.h>
#include <string.h>

#include "http/head_internal.h"

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

enum { RESPONSE = 1, SMALL_LIMITS = 2, METHOD_SHIFT = 4, FIELDS = 100 };

static int parse(uint8_t settings, const uint8_t *data, size_t size, size_t already, cre_http_head *head,
                 cre_http_field *fields) {
    const cre_http_limits small = { .max_head = 200, .max_line = 60, .max_fields = 5 };
    const cre_http_limits *limits = settings & SMALL_LIMITS ? &small : NULL;
    /* exactly as many bytes as there are, so that reading more is noticed */
    uint8_t *copy = malloc(size ? size : 1);
    REQUIRE(copy);
    memcpy(copy, data, size);
    int result = settings & RESPONSE ? cre_http_parse_response(copy, size, already, limits,
                                                               settings >> METHOD_SHIFT, head, fields)
                                     : cre_http_parse_request(copy, size, already, limits, head, fields);
    free(copy);
    return result;
}

static void same(const cre_http_head *a, const cre_http_field *a_fields, const cre_http_head *b,
                 const cre_http_field *b_fields) {
    REQUIRE(memcmp(a, b, sizeof *a) == 0);
    REQUIRE(memcmp(a_fields, b_fields, a->field_count * sizeof *a_fields) == 0);
}

#if defined(__x86_64__)
static void sets_agree(uint8_t settings, const uint8_t *data, size_t size) {
    cre__http_parser *const sets[2][3] = {
        { cre__http_scalar_request, cre__http_ssse3_request, cre__http_avx2_request },
        { cre__http_scalar_response, cre__http_ssse3_response, cre__http_avx2_response },
    };
    const bool response = settings & RESPONSE;
    const cre__http_job job = { .max_line = 300, .max_fields = 20 };
    cre_http_head heads[3];
    cre_http_field fields[3][20];
    int results[3];
    if (size > CRE_HTTP_MAX_HEAD || !__builtin_cpu_supports("avx2")) return;
    for (int i = 0; i < 3; i++) {
        results[i] = sets[response][i](data, (uint32_t)size, &job, &heads[i], fields[i]);
        REQUIRE(results[i] == results[0]);
        if (i && results[i] > 0) same(&heads[0], fields[0], &heads[i], fields[i]);
    }
}
#else
static void sets_agree(uint8_t settings, const uint8_t *data, size_t size) {
    (void)settings, (void)data, (void)size;
}
#endif

static void inside(const cre_http_head *head, uint32_t at, uint32_t length) {
    REQUIRE(at + length <= head->head_length);
}

static void read_all(const cre_http_head *head, const cre_http_field *fields, const uint8_t *data) {
    static char room[70000];
    inside(head, head->target, head->target_length);
    inside(head, head->path, head->path_length);
    inside(head, head->query, head->query_length);
    inside(head, head->host, head->host_length);
    inside(head, head->method_start, head->method_length);
    REQUIRE(head->flags >> 13 == 0);
    for (unsigned i = 0; i < head->field_count; i++) {
        inside(head, fields[i].name, fields[i].name_length);
        inside(head, fields[i].value, fields[i].value_length);
        const char *value = (const char *)data + fields[i].value;
        const cre_http_header field = { (const char *)data + fields[i].name, value, fields[i].name_length,
                                        fields[i].value_length };
        REQUIRE(cre_http_header_valid(&field));
        (void)cre_http_date_parse(value, fields[i].value_length);
        cre_http_list list;
        const char *element;
        size_t length;
        cre_http_list_of_value(&list, value, fields[i].value_length);
        while (cre_http_list_next(&list, &element, &length))
            REQUIRE(length && element >= value && element + length <= value + fields[i].value_length);
        const char *const allowed[] = { "https://*.a.b", "http://a", "*://" };
        (void)cre_ws_origin_allowed(value, fields[i].value_length, allowed, 3);
    }

    cre_http_cookies cookies;
    cre_http_pair pair;
    cre_http_cookies_of(&cookies, head, fields, data);
    while (cre_http_cookies_next(&cookies, &pair))
        REQUIRE(pair.name_length && pair.value + pair.value_length <= (const char *)data + head->head_length);

    const char *query = (const char *)data + head->query;
    cre_http_query walk;
    cre_http_query_of(&walk, query, head->query_length, 10);
    while (cre_http_query_next(&walk, &pair) > 0)
        REQUIRE(cre_http_form_decode(pair.value, pair.value_length, room) <= (int)pair.value_length);
    (void)cre_http_query_get(query, head->query_length, "a", 1, room, 4);
    const int path = cre_http_path_resolve((const char *)data + head->path, head->path_length, room);
    if (path > 0) {
        REQUIRE(room[0] == '/' && path <= head->path_length);
        room[path] = 0;
        REQUIRE(!strstr(room, "//") && !strstr(room, "/../") && !strstr(room, "/./") &&
                strlen(room) == (size_t)path);
    }

    cre_ws_handshake handshake;
    if (cre_ws_request_check(head, fields, data, &handshake) == 0) {
        const char *const ours[] = { "a", "chat" };
        inside(head, handshake.origin, handshake.origin_length);
        (void)cre_ws_choose_subprotocol(head, fields, data, ours, 2);
    }
    const cre_http_field *chosen;
    (void)cre_ws_response_check(head, fields, data, "dGhlIHNhbXBsZSBub25jZQ==", "chat", NULL, &chosen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static cre_http_head whole, part;
    static cre_http_field fields[FIELDS], part_fields[FIELDS];
    if (size < 2) return 0;
    const uint8_t settings = data[0];
    const size_t cut = data[1];
    data += 2;
    size -= 2;
    sets_agree(settings, data, size);
    const int result = parse(settings, data, size, 0, &whole, fields);
    if (result > 0) {
        REQUIRE((size_t)result <= size && whole.head_length == (uint32_t)result);
        read_all(&whole, fields, data);
    }
    if (cut < size) {
        int first = parse(settings, data, cut, 0, &part, part_fields);
        if (first == 0) first = parse(settings, data, size, cut, &part, part_fields);
        /* an error in a line that has not ended may be seen later, but never another one */
        REQUIRE(first == result || (first == 0 && result < 0));
        if (result > 0) same(&whole, fields, &part, part_fields);
    }
    int slow = 0;
    for (size_t length = 1; length <= size && length < 400 && slow == 0; length++)
        slow = parse(settings, data, length, length - 1, &part, part_fields);
    REQUIRE(slow == result || slow == 0);
    if (slow > 0) same(&whole, fields, &part, part_fields);
    return 0;
}
