#include "core/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t cre__base64_encode(const uint8_t *data, size_t size, char *out) {
    char *at = out;
    for (; size >= 3; size -= 3, data += 3) {
        uint32_t group = (uint32_t)data[0] << 16 | (uint32_t)data[1] << 8 | data[2];
        *at++ = alphabet[group >> 18];
        *at++ = alphabet[group >> 12 & 63];
        *at++ = alphabet[group >> 6 & 63];
        *at++ = alphabet[group & 63];
    }
    if (size) {
        uint32_t group = (uint32_t)data[0] << 16 | (size == 2 ? (uint32_t)data[1] << 8 : 0);
        *at++ = alphabet[group >> 18];
        *at++ = alphabet[group >> 12 & 63];
        *at++ = size == 2 ? alphabet[group >> 6 & 63] : '=';
        *at++ = '=';
    }
    return (size_t)(at - out);
}

static int value_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

long cre__base64_decode(const char *text, size_t length, uint8_t *out) {
    if (length % 4) return -1;
    uint8_t *at = out;
    for (size_t i = 0; i < length; i += 4) {
        int pad = 0;
        if (i + 4 == length) pad = text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
        uint32_t group = 0;
        for (int j = 0; j < 4 - pad; j++) {
            int value = value_of(text[i + (size_t)j]);
            if (value < 0) return -1;
            group = group << 6 | (uint32_t)value;
        }
        group <<= 6 * pad;
        *at++ = (uint8_t)(group >> 16);
        if (pad < 2) *at++ = (uint8_t)(group >> 8);
        if (pad < 1) *at++ = (uint8_t)group;
    }
    return at - out;
}
