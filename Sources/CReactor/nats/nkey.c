/* Keys of NATS as text. */
#include "nats/nkey.h"

#include <creactor/nats.h>
#include <string.h>

enum { KIND_SEED = 18 << 3, KIND_USER = 20 << 3, SEED = 2 + CRE__NKEY + 2, SEED_TEXT = 58 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* CRC-16 of XMODEM. */
static uint16_t checksum(const uint8_t *data, size_t length) {
    uint16_t crc = 0;
    for (size_t i = 0; i < length; i++) {
        crc = (uint16_t)(crc ^ data[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

bool cre__nkey_seed(cre_slice text, uint8_t seed[CRE__NKEY]) {
    uint8_t bytes[SEED];
    uint32_t bits = 0, count = 0;
    size_t used = 0;
    if (text.length != SEED_TEXT) return false;
    for (size_t i = 0; i < text.length; i++) {
        const char *at = text.data[i] ? strchr(alphabet, text.data[i]) : NULL;
        if (!at) return false;
        bits = bits << 5 | (uint32_t)(at - alphabet);
        count += 5;
        if (count < 8) continue;
        count -= 8;
        if (used < sizeof bytes) bytes[used++] = (uint8_t)(bits >> count);
    }
    const uint16_t expected = (uint16_t)(bytes[SEED - 2] | bytes[SEED - 1] << 8);
    const int kind = bytes[0] & 0xf8, of = (bytes[0] & 7) << 5 | bytes[1] >> 3;
    const bool valid =
        used == SEED && kind == KIND_SEED && of == KIND_USER && checksum(bytes, SEED - 2) == expected;
    if (valid) memcpy(seed, bytes + 2, CRE__NKEY);
    explicit_bzero(bytes, sizeof bytes);
    return valid;
}

void cre__nkey_user(const uint8_t key[CRE__NKEY], char out[CRE__NKEY_TEXT]) {
    uint8_t bytes[1 + CRE__NKEY + 2] = { KIND_USER };
    memcpy(bytes + 1, key, CRE__NKEY);
    const uint16_t crc = checksum(bytes, 1 + CRE__NKEY);
    bytes[1 + CRE__NKEY] = (uint8_t)crc;
    bytes[2 + CRE__NKEY] = (uint8_t)(crc >> 8);
    uint32_t bits = 0, count = 0;
    for (size_t i = 0; i < sizeof bytes; i++) { /* 35 bytes are 56 digits */
        bits = bits << 8 | bytes[i];
        for (count += 8; count >= 5; count -= 5)
            *out++ = alphabet[bits >> (count - 5) & 31];
    }
}

/* ---- files of credentials ---- */

static const uint8_t *find(cre_slice text, const char *word) {
    return text.length ? memmem(text.data, text.length, word, strlen(word)) : NULL;
}

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The word between the line with this title and the next line of dashes. */
static bool section(cre_slice file, const char *title, cre_slice *word) {
    const uint8_t *at = find(file, title), *end = file.data + file.length;
    at = at ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    if (!at) return false;
    while (at < end && is_space(*at))
        at++;
    const uint8_t *start = at;
    while (at < end && !is_space(*at) && *at != '"' && *at != '\\')
        at++;
    *word = (cre_slice){ start, (size_t)(at - start) };
    return at < end && is_space(*at) && word->length && *start != '-';
}

bool cre__nats_credentials(cre_slice file, cre_slice *jwt, cre_slice *seed) {
    return section(file, "BEGIN NATS USER JWT", jwt) && section(file, "BEGIN USER NKEY SEED", seed);
}

/* ---- for applications ---- */

bool cre_nats_seed_is_valid(cre_slice text) {
    uint8_t seed[CRE__NKEY];
    const bool valid = cre__nkey_seed(text, seed);
    explicit_bzero(seed, sizeof seed);
    return valid;
}

bool cre_nats_credentials_are_valid(cre_slice text) {
    cre_slice jwt, seed;
    return cre__nats_credentials(text, &jwt, &seed) && cre_nats_seed_is_valid(seed);
}
