#include "gateway/envelope.h"

enum { TEXT = 1, BINARY = 2, HEX = 16 };

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

size_t cre__envelope_put(uint8_t out[CRE__MAX_ENVELOPE], const cre__envelope *envelope) {
    out[0] = envelope->opcode == TEXT ? 't' : 'b';
    if (!envelope->session && !envelope->delivered) return 1;
    out[0] = envelope->opcode == TEXT ? 'T' : 'B';
    put_hex(out + 1, envelope->server);
    put_hex(out + 1 + HEX, envelope->session);
    out[1 + 2 * HEX] = envelope->delivered ? '1' : '0';
    return CRE__MAX_ENVELOPE;
}

bool cre__envelope_read(cre_slice bytes, cre__envelope *envelope) {
    *envelope = (cre__envelope){ 0 };
    if (!bytes.length) return false;
    const uint8_t kind = *bytes.data;
    const bool extended = kind == 'T' || kind == 'B';
    const size_t size = extended ? CRE__MAX_ENVELOPE : 1;
    if ((!extended && kind != 't' && kind != 'b') || bytes.length < size) return false;
    envelope->opcode = kind == 't' || kind == 'T' ? TEXT : BINARY;
    envelope->message = (cre_slice){ bytes.data + size, bytes.length - size };
    if (!extended) return true;
    const uint8_t delivered = bytes.data[1 + 2 * HEX];
    envelope->delivered = delivered == '1';
    return (delivered == '0' || delivered == '1') && read_hex(bytes.data + 1, &envelope->server) &&
           read_hex(bytes.data + 1 + HEX, &envelope->session);
}
