/*
 * Operations are the same however the input is cut, and stay inside the limits. What a client publishes is
 * what a server would deliver.
 *
 * Input: limits of lines and payloads, size of the pieces (a byte each), the input of a connection.
 */
#include <creactor/nats.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

enum { SETTINGS = 3 };

typedef struct outcome {
    uint64_t hash;
    size_t events;
    int result;
} outcome;

static void add(outcome *out, const void *data, size_t length) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++)
        out->hash = (out->hash ^ bytes[i]) * 0x100000001b3;
    out->hash += length;
}

/* Publishes the message again: it is valid, or its subject or headers are not. */
static void publish(const cre_nats_event *event) {
    cre_slice value;
    if (cre_nats_header(event->headers, "a", &value)) REQUIRE(value.length <= event->headers.length);
    const cre_nats_publication publication = { event->subject, event->reply, { 0 }, event->payload };
    const size_t size = cre_nats_publish_size(&publication);
    if (!size) return;
    uint8_t *out = malloc(size);
    REQUIRE(out && cre_nats_publish(out, &publication) == size);
    free(out);
}

static outcome run(const uint8_t *settings, const uint8_t *data, size_t size, size_t step) {
    outcome out = { .hash = 1 };
    const cre_nats_limits limits = { .max_line = 1 + settings[0], .max_payload = 1 + settings[1] };
    cre_nats_reader reader;
    REQUIRE(cre_nats_reader_init(&reader, &limits) == 0);
    for (size_t at = 0; at < size && out.result >= 0;) {
        const size_t piece = size - at < step ? size - at : step;
        uint8_t *copy = malloc(piece);
        REQUIRE(copy);
        memcpy(copy, data + at, piece);
        const uint8_t *cursor = copy;
        cre_nats_event event;
        while ((out.result = cre_nats_reader_next(&reader, &cursor, copy + piece, &event)) > 0) {
            REQUIRE(event.headers.length + event.payload.length <= limits.max_payload);
            add(&out, &out.result, sizeof out.result);
            add(&out, event.subject.data, event.subject.length);
            add(&out, event.reply.data, event.reply.length);
            add(&out, &event.subscription, sizeof event.subscription);
            add(&out, event.headers.data, event.headers.length);
            add(&out, event.payload.data, event.payload.length);
            add(&out, event.text.data, event.text.length);
            if (out.result == CRE_NATS_MESSAGE) publish(&event);
            out.events++;
        }
        REQUIRE(out.result < 0 || cursor == copy + piece);
        free(copy);
        at += piece;
    }
    cre_nats_reader_deinit(&reader);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < SETTINGS) return 0;
    const outcome whole = run(data, data + SETTINGS, size - SETTINGS, size);
    const outcome part = run(data, data + SETTINGS, size - SETTINGS, 1 + data[2] % 64);
    REQUIRE(whole.result == part.result && whole.events == part.events && whole.hash == part.hash);
    return 0;
}
