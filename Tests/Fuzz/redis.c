/*
 * Values and events are the same however the input is cut, and stay inside the limits. So are the answers of
 * sentinels and nodes of a cluster.
 *
 * Input: limits of bytes, values and lines, size of the pieces, the commands before it (a byte each, a bit of
 * the last one for each command: a subscription to two channels or a plain one), the input of a connection.
 */
#include <creactor/redis_session.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/inquiry.h"

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

enum { SETTINGS = 5 };

typedef struct outcome {
    uint64_t hash;
    size_t events;
    int result;
} outcome;

static void add(outcome *out, const void *data, size_t length) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++)
        out->hash = (out->hash ^ bytes[i]) * 0x100000001b3;
}

/* Adds a value, all of whose bytes must be readable, and returns the number of values in it. */
static uint32_t add_value(outcome *out, const cre_redis_value *value, int depth) {
    REQUIRE(depth <= CRE_REDIS_MAX_DEPTH);
    add(out, &value->type, sizeof value->type);
    add(out, &value->integer, sizeof value->integer);
    add(out, value->text.data, value->text.length);
    uint32_t all = 1;
    for (uint32_t i = 0; i < value->count; i++)
        all += add_value(out, value + all, depth + 1);
    REQUIRE(all == value->size);
    return all;
}

static outcome run(const uint8_t *settings, const uint8_t *data, size_t size, size_t step) {
    outcome out = { .hash = 1 };
    const cre_redis_session_config config = { .size = sizeof config,
                                              .limits = { .max_bytes = 1 + 4u * settings[0],
                                                          .max_values = 1 + settings[1],
                                                          .max_line = 1 + settings[2] } };
    cre_redis_session *session;
    REQUIRE(cre_redis_session_create(&config, &session) == 0);
    const cre_slice words[] = { { (const uint8_t *)"a", 1 }, { (const uint8_t *)"b", 1 } };
    for (unsigned i = 0; i < 8; i++) {
        if (settings[4] >> i & 1)
            REQUIRE(!cre_redis_session_subscribe(session, (cre_redis_subscription)(i % 4), words, 2, i));
        else
            REQUIRE(!cre_redis_session_command(session, words, 2, i));
    }
    for (size_t at = 0; at < size && out.result >= 0;) {
        const size_t piece = size - at < step ? size - at : step;
        uint8_t *copy = malloc(piece);
        REQUIRE(copy);
        memcpy(copy, data + at, piece);
        const uint8_t *cursor = copy;
        cre_redis_event event;
        while ((out.result = cre_redis_session_next(session, &cursor, copy + piece, &event)) > 0) {
            add(&out, &out.result, sizeof out.result);
            add(&out, &event.tag, sizeof event.tag);
            add(&out, event.channel.data, event.channel.length);
            add(&out, event.payload.data, event.payload.length);
            if (event.value) REQUIRE(add_value(&out, event.value, 0) <= 1u + settings[1]);
            out.events++;
        }
        REQUIRE(out.result < 0 || cursor == copy + piece);
        free(copy);
        at += piece;
    }
    cre_redis_session_destroy(session);
    return out;
}

static void on_node(void *context, const char *host, uint16_t port) {
    outcome *out = context;
    REQUIRE(*host && strlen(host) <= CRE__MAX_HOST && port);
    add(out, host, strlen(host));
    add(out, &port, sizeof port);
    out->events++;
}

static outcome inquire(cre__question question, const uint8_t *data, size_t size, size_t step) {
    outcome out = { .hash = 1 };
    cre__inquiry inquiry;
    if (question == CRE__ASKS_SLOT)
        REQUIRE(cre__inquiry_begin_slot(&inquiry, 8192, NULL, NULL, on_node, &out) == 0);
    else
        REQUIRE(cre__inquiry_begin(&inquiry, question == CRE__ASKS_MASTER ? "m" : NULL, NULL, NULL) == 0);
    for (size_t at = 0; at < size && !out.result; at += step) {
        const size_t piece = size - at < step ? size - at : step;
        uint8_t *copy = malloc(piece);
        REQUIRE(copy);
        memcpy(copy, data + at, piece);
        out.result = cre__inquiry_received(&inquiry, copy, piece);
        free(copy);
    }
    REQUIRE(out.result <= 1 && memchr(inquiry.host, 0, sizeof inquiry.host));
    if (out.result == 1 && question != CRE__ASKS_ROLE) REQUIRE(inquiry.port);
    add(&out, inquiry.host, strlen(inquiry.host));
    add(&out, &inquiry.port, sizeof inquiry.port);
    cre__inquiry_end(&inquiry);
    return out;
}

static void compare(outcome whole, outcome part) {
    REQUIRE(whole.result == part.result && whole.events == part.events && whole.hash == part.hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < SETTINGS) return 0;
    const uint8_t *input = data + SETTINGS;
    const size_t length = size - SETTINGS, step = 1 + data[3] % 64;
    compare(run(data, input, length, length), run(data, input, length, step));
    for (cre__question question = CRE__ASKS_MASTER; length && question <= CRE__ASKS_SLOT; question++)
        compare(inquire(question, input, length, length), inquire(question, input, length, step));
    return 0;
}
