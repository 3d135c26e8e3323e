#include "runtime/client_envelope.h"

#include <string.h>

#include "core/decimal.h"

static uint8_t *put_text(uint8_t *at, const char *text) {
    const size_t length = strlen(text);
    memcpy(at, text, length);
    return at + length;
}

static uint8_t *put_hex(uint8_t *at, uint64_t number, int digits) {
    for (int i = digits; i--; number >>= 4)
        at[i] = (uint8_t)"0123456789abcdef"[number & 15];
    return at + digits;
}

/* The length of the character of UTF-8 that begins here, beyond ASCII; 0: there is none. */
static size_t character(const uint8_t *at, size_t left) {
    const uint8_t first = *at;
    const size_t length = first >= 0xC2 && first <= 0xDF ? 2 : first >= 0xE0 && first <= 0xEF ? 3 : 4;
    if (first < 0xC2 || first > 0xF4 || length > left) return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    const bool is_overlong = (first == 0xE0 && at[1] < 0xA0) || (first == 0xF0 && at[1] < 0x90);
    const bool is_beyond = (first == 0xED && at[1] > 0x9F) || (first == 0xF4 && at[1] > 0x8F);
    return is_overlong || is_beyond ? 0 : length;
}

static uint8_t *put_name(uint8_t *at, cre_slice name) {
    for (size_t i = 0; i < name.length;) {
        const uint8_t byte = name.data[i];
        const size_t length = byte < 0x80 ? 1 : character(name.data + i, name.length - i);
        if (byte < 0x20 || byte == 0x7F) {
            at = put_hex(put_text(at, "\\u"), byte, 4);
        } else if (length) {
            if (byte == '"' || byte == '\\') *at++ = '\\';
            memcpy(at, name.data + i, length);
            at += length;
        } else {
            at = put_text(at, "\\ufffd");
        }
        i += length ? length : 1;
    }
    return at;
}

size_t cre__client_envelope_put(uint8_t out[CRE__MAX_CLIENT_ENVELOPE], cre_slice topic,
                                cre_topic_position position) {
    uint8_t *at = put_name(put_text(out, "{\"topic\":\""), topic);
    if (position.epoch) {
        at = put_text(at, "\",\"position\":\"");
        at = (uint8_t *)cre__put_decimal((char *)at, position.offset);
        *at++ = ':';
        at = put_hex(at, position.epoch, 16);
    }
    return (size_t)(put_text(at, "\"}\n") - out);
}
