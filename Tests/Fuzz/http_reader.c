/*
 * Responses: pieces must give what the whole gives, and nothing may be read outside of the input.
 *
 * Input: one byte with the request's method and the limits, one byte that is the length of the pieces, then
 * what a server sends on one connection, with a request before each response.
 */
#include <creactor/error.h>
#include <creactor/http_reader.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

enum { SMALL_LIMITS = 16, RESPONSES = 4 };

typedef struct outcome {
    int result, responses;
    size_t body, used;
    unsigned statuses[RESPONSES + 1];
    uint64_t hash;
} outcome;

static void run(uint8_t settings, const uint8_t *data, size_t size, size_t step, outcome *out) {
    static const cre_http_limits small = { .max_head = 200, .max_line = 60, .max_fields = 5 };
    cre_http_reader reader;
    memset(out, 0, sizeof *out);
    cre_http_reader_init(&reader, settings & SMALL_LIMITS ? &small : NULL);
    cre_http_reader_expect(&reader, settings % 10);
    for (size_t at = 0; at < size && out->responses < RESPONSES;) {
        size_t piece = size - at < step ? size - at : step;
        /* exactly as many bytes as there are, so that reading more is noticed */
        uint8_t *copy = malloc(piece);
        REQUIRE(copy);
        memcpy(copy, data + at, piece);
        const uint8_t *cursor = copy, *end = copy + piece;
        while (out->responses < RESPONSES) {
            cre_http_reader_event event;
            out->result = cre_http_reader_next(&reader, &cursor, end, &event);
            REQUIRE(cursor >= copy && cursor <= end);
            if (out->result <= 0) break;
            if (out->result == CRE_HTTP_READER_HEAD) out->statuses[out->responses] = event.head->status;
            if (out->result == CRE_HTTP_READER_HEAD || out->result == CRE_HTTP_READER_INTERIM)
                for (unsigned i = 0; i < event.head->field_count; i++)
                    out->hash = out->hash * 31 + event.head_bytes[event.fields[i].name] +
                                event.fields[i].value_length;
            if (out->result == CRE_HTTP_READER_TRAILERS)
                for (size_t i = 0; i < event.field_count; i++)
                    out->hash = out->hash * 31 + event.head_bytes[event.fields[i].name] +
                                event.fields[i].value_length;
            if (out->result == CRE_HTTP_READER_DATA) {
                REQUIRE(event.length && event.data >= copy && event.data + event.length <= end);
                out->body += event.length;
                for (size_t i = 0; i < event.length; i++)
                    out->hash = out->hash * 31 + event.data[i];
            }
            if (out->result == CRE_HTTP_READER_END) {
                out->responses++;
                cre_http_reader_expect(&reader, settings % 10);
            }
        }
        out->used = at + (size_t)(cursor - copy);
        if (out->result == CRE_HTTP_READER_MORE) REQUIRE(cursor == end);
        free(copy);
        if (out->result < 0) break;
        at += piece;
    }
    if (out->result == CRE_HTTP_READER_MORE && out->responses < RESPONSES)
        out->result = cre_http_reader_finish(&reader);
    cre_http_reader_deinit(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static outcome whole, pieces;
    if (size < 2) return 0;
    const size_t step = data[1] ? data[1] : 1;
    run(data[0], data + 2, size - 2, size, &whole);
    run(data[0], data + 2, size - 2, step, &pieces);
    REQUIRE(whole.responses == pieces.responses);
    REQUIRE(memcmp(whole.statuses, pieces.statuses, sizeof whole.statuses) == 0);
    /* the end of the input is no other error than one that the next line would have shown */
    REQUIRE((whole.result < 0) == (pieces.result < 0));
    if (whole.result >= 0) REQUIRE(whole.body == pieces.body && whole.hash == pieces.hash);
    return 0;
}
