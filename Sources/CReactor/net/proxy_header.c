#include "net/proxy_header.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

/* What each version begins with. */
static const char name[] = "PROXY ";
static const uint8_t signature[12] = {
    0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A
};

enum {
    NAME = sizeof name - 1,
    SIGNATURE = sizeof signature,
    FIXED = 16,        /* of version 2: signature, command, family, length */
    KEPT = FIXED + 36, /* up to the addresses and ports of IPv6 */
};

static void set_address(cre_address *client, uint16_t family, const uint8_t *bytes, uint16_t port) {
    static const uint8_t mapped[12] = { [10] = 0xFF, [11] = 0xFF };
    if (family == AF_INET6 && memcmp(bytes, mapped, sizeof mapped) == 0) {
        family = AF_INET;
        bytes += sizeof mapped;
    }
    *client = (cre_address){ .family = family, .port = port, .length = family == AF_INET ? 4 : 16 };
    memcpy(client->bytes, bytes, client->length);
}

/* ---- version 1 ---- */

/* The text up to the next space, or the end of the line. */
typedef struct field {
    const char *text;
    size_t length;
} field;

static bool next_field(const char **at, const char *end, field *out) {
    if (*at > end) return false; /* the last field has no space behind it */
    const char *space = memchr(*at, ' ', (size_t)(end - *at));
    out->text = *at;
    out->length = (size_t)((space ? space : end) - *at);
    *at = (space ? space : end) + 1;
    return out->length > 0;
}

static bool parse_ip(const field *from, int family, uint8_t out[16]) {
    char text[INET6_ADDRSTRLEN];
    if (from->length >= sizeof text || memchr(from->text, 0, from->length)) return false;
    memcpy(text, from->text, from->length);
    text[from->length] = 0;
    return inet_pton(family, text, out) == 1;
}

static bool parse_port(const field *from, uint16_t *out) {
    uint32_t value = 0;
    if (from->length > 5 || (from->text[0] == '0' && from->length > 1)) return false;
    for (size_t i = 0; i < from->length; i++) {
        if (from->text[i] < '0' || from->text[i] > '9') return false;
        value = value * 10 + (uint32_t)(from->text[i] - '0');
    }
    *out = (uint16_t)value;
    return value <= UINT16_MAX;
}

/* "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443", without the end of the line. */
static cre__proxy_result parse_line(const char *line, size_t length, cre_address *client) {
    const char *at = line + NAME, *end = line + length;
    field protocol, source, destination, source_port, destination_port;
    if (!next_field(&at, end, &protocol)) return CRE__PROXY_INVALID;
    if (protocol.length == 7 && memcmp(protocol.text, "UNKNOWN", 7) == 0) return CRE__PROXY_DONE;
    if (protocol.length != 4 || memcmp(protocol.text, "TCP", 3) != 0) return CRE__PROXY_INVALID;
    int family = protocol.text[3] == '4' ? AF_INET : protocol.text[3] == '6' ? AF_INET6 : 0;
    uint8_t bytes[16], ignored[16];
    uint16_t port, ignored_port;
    bool valid = family && next_field(&at, end, &source) && next_field(&at, end, &destination) &&
                 next_field(&at, end, &source_port) && next_field(&at, end, &destination_port) && at > end &&
                 parse_ip(&source, family, bytes) && parse_ip(&destination, family, ignored) &&
                 parse_port(&source_port, &port) && parse_port(&destination_port, &ignored_port);
    if (!valid) return CRE__PROXY_INVALID;
    set_address(client, (uint16_t)family, bytes, port);
    return CRE__PROXY_DONE;
}

static cre__proxy_result take_text(cre__proxy_header *header, uint8_t byte, cre_address *client) {
    if (header->length < NAME && byte != (uint8_t)name[header->length]) return CRE__PROXY_INVALID;
    header->bytes[header->length++] = byte;
    if (byte == '\n') {
        if (header->bytes[header->length - 2] != '\r') return CRE__PROXY_INVALID;
        return parse_line((const char *)header->bytes, header->length - 2u, client);
    }
    return header->length < CRE__PROXY_MAX_LINE ? CRE__PROXY_MORE : CRE__PROXY_INVALID;
}

/* ---- version 2 ---- */

/* The bytes of the addresses of a family and protocol; -1: there is no such one. */
static int address_length(uint8_t family) {
    switch (family) {
    case 0x00: return 0;
    case 0x11:
    case 0x12: return 12;
    case 0x21:
    case 0x22: return 36;
    case 0x31:
    case 0x32: return 216;
    default: return -1;
    }
}

static bool is_local(const cre__proxy_header *header) {
    return header->bytes[12] == 0x20;
}

/* Checks the fixed part. */
static cre__proxy_result begin_body(cre__proxy_header *header) {
    const uint8_t *bytes = header->bytes;
    header->left = (uint16_t)(bytes[14] << 8 | bytes[15]);
    if ((!is_local(header) && bytes[12] != 0x21) || header->left > CRE__PROXY_MAX_BODY)
        return CRE__PROXY_INVALID;
    if (is_local(header)) return CRE__PROXY_MORE;
    int needed = address_length(bytes[13]);
    return needed < 0 || header->left < needed ? CRE__PROXY_INVALID : CRE__PROXY_MORE;
}

static void take_addresses(const cre__proxy_header *header, cre_address *client) {
    const uint8_t *at = header->bytes + FIXED;
    if (is_local(header)) return;
    if (header->bytes[13] == 0x11) set_address(client, AF_INET, at, (uint16_t)(at[8] << 8 | at[9]));
    if (header->bytes[13] == 0x21) set_address(client, AF_INET6, at, (uint16_t)(at[32] << 8 | at[33]));
}

static cre__proxy_result take_binary(cre__proxy_header *header, uint8_t byte) {
    if (header->length < SIGNATURE && byte != signature[header->length]) return CRE__PROXY_INVALID;
    header->bytes[header->length++] = byte;
    return header->length == FIXED ? begin_body(header) : CRE__PROXY_MORE;
}

/* Takes bytes behind the fixed part and returns their number. */
static size_t take_body(cre__proxy_header *header, const uint8_t *data, size_t length) {
    size_t taken = length < header->left ? length : header->left;
    size_t room = (size_t)KEPT - header->length, kept = taken < room ? taken : room;
    memcpy(header->bytes + header->length, data, kept);
    header->length = (uint16_t)(header->length + kept);
    header->left = (uint16_t)(header->left - taken);
    return taken;
}

cre__proxy_result cre__proxy_read(cre__proxy_header *header, const uint8_t *data, size_t length, size_t *used,
                                  cre_address *client) {
    size_t at = 0;
    cre__proxy_result result = CRE__PROXY_MORE;
    client->family = 0;
    while (result == CRE__PROXY_MORE && at < length) {
        bool is_text = (header->length ? header->bytes[0] : data[0]) == (uint8_t)name[0];
        if (is_text) {
            result = take_text(header, data[at++], client);
        } else if (header->length < FIXED) {
            result = take_binary(header, data[at++]);
        } else {
            at += take_body(header, data + at, length - at);
        }
        bool complete = !is_text && header->length >= FIXED && !header->left;
        if (result == CRE__PROXY_MORE && complete) {
            take_addresses(header, client);
            result = CRE__PROXY_DONE;
        }
    }
    *used = at;
    return result;
}
