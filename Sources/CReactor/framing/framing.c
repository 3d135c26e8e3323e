/* Cutting a stream into packets. */
#include <stdbool.h>
#include <string.h>

#include "core/config.h"
#include "core/memory.h"
#include "framing_internal.h"

CRE__CONFIG(cre_framing_config, length_context);

int cre_framing_config_check(const cre_framing_config *config) {
    cre_framing_config own;
    int result = cre__config_take(&own, sizeof own, config);
    if (result) return result;
    config = &own;
    const uint32_t max = cre__framing_max(config);
    if (max > CRE_FRAMING_LIMIT) return CRE_EINVALID;
    switch (config->kind) {
    case CRE_FRAMING_NONE:
    case CRE_FRAMING_MQTT: return 0;
    case CRE_FRAMING_MARKER_CHECK:
    case CRE_FRAMING_MARKER_SPLIT:
        if (!config->marker_length || config->marker_length > CRE_FRAMING_MAX_MARKER) return CRE_EINVALID;
        return config->marker_length > max ? CRE_EINVALID : 0;
    case CRE_FRAMING_LENGTH: {
        const unsigned size = cre__framing_field_size(config->length_type);
        if (!size || config->body_offset > max) return CRE_EINVALID;
        return (uint64_t)config->length_offset + size > max ? CRE_EINVALID : 0;
    }
    case CRE_FRAMING_FUNCTION: return config->length_function ? 0 : CRE_EINVALID;
    }
    return CRE_EINVALID;
}

void cre_framing_init(cre_framing *framing, const cre_framing_config *config) {
    *framing = (cre_framing){ .config = config };
}

void cre_framing_deinit(cre_framing *framing) {
    cre__free(framing->buffer);
    cre_framing_init(framing, framing->config);
}

size_t cre_framing_pending(const cre_framing *framing) {
    return framing->used - framing->start;
}

/* Appends `length` bytes to the buffer. `expected` is the announced number of bytes in the end; the peer
 * chooses it, so memory is reserved for bytes that have arrived and not for an announcement. */
static int append(cre_framing *framing, const uint8_t *data, size_t length, size_t expected) {
    enum { SMALLEST = 256, TRUSTED = 16384 };
    const size_t pending = cre_framing_pending(framing), wanted = pending + length;
    if (framing->start) {
        memmove(framing->buffer, framing->buffer + framing->start, pending);
        framing->start = 0;
        framing->used = (uint32_t)pending;
    }
    if (framing->capacity < wanted) {
        size_t capacity = framing->capacity ? 2 * (size_t)framing->capacity : SMALLEST;
        if (capacity < wanted) capacity = wanted;
        if (expected >= wanted && (expected <= TRUSTED || expected < capacity))
            capacity = expected < SMALLEST ? SMALLEST : expected;
        uint8_t *buffer = cre__realloc(framing->buffer, capacity);
        if (!buffer) return CRE_ENOMEM;
        framing->buffer = buffer;
        framing->capacity = (uint32_t)capacity;
    }
    memcpy(framing->buffer + pending, data, length);
    framing->used = (uint32_t)wanted;
    return 0;
}

/* Returns the whole buffer as one packet. */
static int return_buffer(cre_framing *framing, const uint8_t **packet, size_t *length) {
    *packet = framing->buffer + framing->start;
    *length = cre_framing_pending(framing);
    framing->start = framing->used;
    return 1;
}

static int give_input(const uint8_t **cursor, size_t total, const uint8_t **packet, size_t *length) {
    *packet = *cursor;
    *length = total;
    *cursor += total;
    return 1;
}

/* An idle connection has no buffer. */
static int nothing_left(cre_framing *framing) {
    if (framing->buffer) cre_framing_deinit(framing);
    return 0;
}

static int next_sized(cre_framing *framing, const uint8_t **cursor, const uint8_t *end,
                      const uint8_t **packet, size_t *length) {
    for (;;) {
        const size_t available = (size_t)(end - *cursor), pending = cre_framing_pending(framing);
        const size_t there = pending ? pending : available;
        if (!there) return nothing_left(framing);
        const uint8_t *data = pending ? framing->buffer + framing->start : *cursor;
        size_t needed = 0;
        const int64_t total = cre__framing_total(framing->config, data, there, &needed);
        if (total < 0) return (int)total;
        if (total && (uint64_t)total <= there) {
            if (!pending) return give_input(cursor, (size_t)total, packet, length);
            *packet = data;
            *length = (size_t)total;
            framing->start += (uint32_t)total;
            return 1;
        }
        if (pending && !available) return 0;
        /* only the bytes of this packet, so that the next one can be returned from the input */
        const size_t expected = total ? (size_t)total : needed;
        size_t take = pending ? expected - pending : available;
        if (take > available) take = available;
        int error = append(framing, *cursor, take, expected);
        if (error) return error;
        *cursor += take;
    }
}

/* The end of the first marker in `data`, 0 when there is none. */
static size_t marker_end(const cre_framing_config *config, const uint8_t *data, size_t length) {
    const uint8_t *found = config->marker_length == 1
                               ? memchr(data, config->marker[0], length)
                               : memmem(data, length, config->marker, config->marker_length);
    return found ? (size_t)(found - data) + config->marker_length : 0;
}

/* The number of input bytes that complete a marker which starts in the buffer, or 0. */
static size_t straddling(const cre_framing *framing, const uint8_t *input, size_t available) {
    uint8_t joint[2 * CRE_FRAMING_MAX_MARKER];
    const size_t most = framing->config->marker_length - 1u, pending = cre_framing_pending(framing);
    const size_t before = pending < most ? pending : most, after = available < most ? available : most;
    memcpy(joint, framing->buffer + framing->used - before, before);
    memcpy(joint + before, input, after);
    const size_t found = marker_end(framing->config, joint, before + after);
    return found ? found - before : 0;
}

static int next_marked(cre_framing *framing, const uint8_t **cursor, const uint8_t *end,
                       const uint8_t **packet, size_t *length) {
    const size_t available = (size_t)(end - *cursor), pending = cre_framing_pending(framing);
    if (!available) return pending ? 0 : nothing_left(framing);
    /* the packet may end at this position of the input */
    const size_t room = cre__framing_max(framing->config) - pending,
                 window = available < room ? available : room;
    size_t found = pending && framing->config->marker_length > 1 ? straddling(framing, *cursor, window) : 0;
    if (!found) found = marker_end(framing->config, *cursor, window);
    if (!found && window == room) return CRE_EFRAMING_NO_MARKER;
    if (found && !pending) return give_input(cursor, found, packet, length);
    const size_t take = found ? found : available;
    int error = append(framing, *cursor, take, 0);
    if (error) return error;
    *cursor += take;
    return found ? return_buffer(framing, packet, length) : 0;
}

/* Whether the buffer and the input together end with the marker. */
static bool ends_marked(const cre_framing *framing, const uint8_t *input, size_t available) {
    const size_t size = framing->config->marker_length, pending = cre_framing_pending(framing);
    const uint8_t *marker = framing->config->marker;
    if (available >= size) return memcmp(input + available - size, marker, size) == 0;
    const size_t before = size - available;
    return pending >= before && memcmp(framing->buffer + framing->used - before, marker, before) == 0 &&
           memcmp(input, marker + before, available) == 0;
}

static int next_checked(cre_framing *framing, const uint8_t **cursor, const uint8_t *end,
                        const uint8_t **packet, size_t *length) {
    const size_t available = (size_t)(end - *cursor), pending = cre_framing_pending(framing);
    if (!available) return pending ? 0 : nothing_left(framing);
    const bool complete = ends_marked(framing, *cursor, available);
    const size_t max = cre__framing_max(framing->config), room = max - pending;
    if (available > room || (available == room && !complete)) return CRE_EFRAMING_NO_MARKER;
    if (complete && !pending) return give_input(cursor, available, packet, length);
    int error = append(framing, *cursor, available, 0);
    if (error) return error;
    *cursor = end;
    return complete ? return_buffer(framing, packet, length) : 0;
}

int cre_framing_next(cre_framing *framing, const uint8_t **cursor, const uint8_t *end, const uint8_t **packet,
                     size_t *length) {
    if (framing->start == framing->used) framing->start = framing->used = 0;
    switch (framing->config->kind) {
    case CRE_FRAMING_NONE:
        return *cursor == end ? 0 : give_input(cursor, (size_t)(end - *cursor), packet, length);
    case CRE_FRAMING_MARKER_CHECK: return next_checked(framing, cursor, end, packet, length);
    case CRE_FRAMING_MARKER_SPLIT: return next_marked(framing, cursor, end, packet, length);
    default: return next_sized(framing, cursor, end, packet, length);
    }
}
