#include "gateway/envelope.h"

#include <creactor/websocket_frame.h>

enum { HEX = 16 };

/* The first byte of an envelope; in upper case that of one with a server. */
static uint8_t kind_of(uint8_t opcode) {
    return opcode == CRE_WS_TEXT ? 't' : opcode == CRE_WS_BINARY ? 'b' : 'c';
}

static uint8_t opcode_of(uint8_t kind) {
    return kind == 't' ? CRE_WS_TEXT : kind == 'b' ? CRE_WS_BINARY : kind == 'c' ? CRE_WS_CLOSE : 0;
}

static void put_hex(uint8_t *out, uint64_t number) {
    for (int i = HEX; i--; number >>= 4)
        out[i] = (uint8_t)"0123456789abcdef"[number & 15];
}

static bool read_hex(const uint8_t *text, uint64_t *out) {
    *out = 0;
    for (int i = 0; i < HEX; i++) {
        const uint8_t c = text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        *out = *out << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

bool cre__envelope_takes(uint8_t opcode, cre_slice message) {
    if (opcode == CRE_WS_CLOSE) return cre_ws_close_payload_valid(message.data, message.length);
    return opcode == CRE_WS_TEXT || opcode == CRE_WS_BINARY;
}

size_t cre__envelope_put(uint8_t out[CRE__MAX_ENVELOPE], const cre__envelope *envelope) {
    out[0] = kind_of(envelope->opcode);
    if (!envelope->session && !envelope->delivered) return 1;
    out[0] -= 'a' - 'A';
    put_hex(out + 1, envelope->server);
    put_hex(out + 1 + HEX, envelope->session);
    out[1 + 2 * HEX] = envelope->delivered ? '1' : '0';
    return CRE__MAX_ENVELOPE;
}

bool cre__envelope_read(cre_slice bytes, cre__envelope *envelope) {
    *envelope = (cre__envelope){ 0 };
    if (!bytes.length) return false;
    const uint8_t kind = *bytes.data;
    const bool extended = kind >= 'A' && kind <= 'Z';
    const size_t size = extended ? CRE__MAX_ENVELOPE : 1;
    envelope->opcode = opcode_of(kind | ('a' - 'A'));
    if (!envelope->opcode || bytes.length < size) return false;
    envelope->message = (cre_slice){ bytes.data + size, bytes.length - size };
    if (!cre__envelope_takes(envelope->opcode, envelope->message)) return false;
    if (!extended) return true;
    const uint8_t delivered = bytes.data[1 + 2 * HEX];
    envelope->delivered = delivered == '1';
    return (delivered == '0' || delivered == '1') && read_hex(bytes.data + 1, &envelope->server) &&
           read_hex(bytes.data + 1 + HEX, &envelope->session);
}
