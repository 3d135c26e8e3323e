#include "ws/ws_utf8.h"

#include <creactor/websocket_utf8.h>
#include <string.h>

#define HIGH_BITS 0x8080808080808080u

/* Validates one byte, by the Unicode standard's table of well-formed sequences as ranges of the next byte. */
static inline bool step(cre_utf8 *state, uint8_t byte) {
    if (state->need) {
        if (byte < state->low || byte > state->high) return false;
        state->need--;
        state->low = 0x80;
        state->high = 0xBF;
        return true;
    }
    if (byte < 0x80) return true;
    if (byte < 0xC2 || byte > 0xF4) return false;
    state->need = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    state->low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    state->high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    return true;
}

static inline bool continues(uint8_t byte) {
    return (byte & 0xC0) == 0x80;
}

bool cre__utf8_valid_scalar(const uint8_t *data, size_t length) {
    size_t i = 0;
    while (i < length) {
        if (length - i >= 16) {
            uint64_t a, b;
            memcpy(&a, data + i, 8);
            memcpy(&b, data + i + 8, 8);
            if (((a | b) & HIGH_BITS) == 0) {
                i += 16;
                continue;
            }
        }
        uint8_t lead = data[i];
        if (lead < 0x80) {
            i++;
            continue;
        }
        cre_utf8 state = { 0 };
        if (!step(&state, lead)) return false;
        size_t more = state.need;
        if (length - i <= more) return false;
        if (data[i + 1] < state.low || data[i + 1] > state.high) return false;
        if (more >= 2 && !continues(data[i + 2])) return false;
        if (more == 3 && !continues(data[i + 3])) return false;
        i += more + 1;
    }
    return true;
}

bool cre_utf8_valid(const uint8_t *data, size_t length) {
    if (length < 16) return cre__utf8_valid_scalar(data, length);
#if defined(__x86_64__)
    if (length >= 32 && __builtin_cpu_supports("avx2")) return cre__utf8_valid_avx2(data, length);
    if (__builtin_cpu_supports("sse4.1")) return cre__utf8_valid_sse41(data, length);
#elif defined(__aarch64__)
    return cre__utf8_valid_neon(data, length);
#endif
    return cre__utf8_valid_scalar(data, length);
}

/* The position of an unfinished code point at the end of at least 3 bytes, or `length`. */
static size_t unfinished_at(const uint8_t *data, size_t length) {
    for (size_t back = 1; back <= 3; back++) {
        uint8_t byte = data[length - back];
        if (byte < 0x80) break;
        if (byte < 0xC0) continue;
        size_t size = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
        return size > back ? length - back : length;
    }
    return length;
}

bool cre_utf8_feed(cre_utf8 *state, const uint8_t *data, size_t length) {
    size_t i = 0;
    while (i < length && state->need)
        if (!step(state, data[i++])) return false;
    if (length - i >= 16) {
        size_t bulk = unfinished_at(data + i, length - i);
        if (!cre_utf8_valid(data + i, bulk)) return false;
        i += bulk;
    }
    while (i < length)
        if (!step(state, data[i++])) return false;
    return true;
}
