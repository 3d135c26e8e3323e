#include "net/sockaddr.h"

#include <arpa/inet.h>
#include <creactor/error.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

static int parse_path(const char *path, cre_address *address) {
    size_t length = strlen(path);
    if (!length) return CRE_EINVALID;
    /* One byte is left for the zero behind it, which some systems want. */
    if (length >= sizeof(((struct sockaddr_un *)0)->sun_path)) return -ENAMETOOLONG;
    address->family = AF_UNIX;
    address->length = (uint16_t)length;
    memcpy(address->bytes, path, length);
    if (path[0] == '@') address->bytes[0] = 0;
    return 0;
}

int cre_address_parse(const char *host, uint16_t port, cre_address *address) {
    *address = (cre_address){ .port = port };
    if (!host) host = "0.0.0.0";
    if (strncmp(host, "unix:", 5) == 0) {
        address->port = 0;
        return parse_path(host + 5, address);
    }
    if (inet_pton(AF_INET, host, address->bytes) == 1) {
        address->family = AF_INET;
        address->length = 4;
        return 0;
    }
    char without[INET6_ADDRSTRLEN];
    const char *zone = strchr(host, '%');
    size_t length = zone ? (size_t)(zone - host) : strlen(host);
    if (length >= sizeof without) return CRE_EINVALID;
    memcpy(without, host, length);
    without[length] = 0;
    if (inet_pton(AF_INET6, without, address->bytes) != 1) return CRE_EINVALID;
    address->family = AF_INET6;
    address->length = 16;
    if (zone) {
        address->scope = if_nametoindex(zone + 1);
        if (!address->scope) address->scope = (uint32_t)strtoul(zone + 1, NULL, 10);
        if (!address->scope) return CRE_EINVALID;
    }
    return 0;
}

size_t cre_address_text(const cre_address *address, char *out, size_t capacity) {
    char text[160] = "";
    size_t length = 0;
    if (address->family == AF_UNIX) {
        length = address->length < sizeof address->bytes ? address->length : sizeof address->bytes;
        memcpy(text, "unix:", 5);
        memcpy(text + 5, address->bytes, length);
        if (length && !text[5]) text[5] = '@';
        length += 5;
    } else if (address->family == AF_INET || address->family == AF_INET6) {
        if (!inet_ntop(address->family, address->bytes, text, sizeof text)) text[0] = 0;
        length = strlen(text);
        if (address->scope)
            length += (size_t)snprintf(text + length, sizeof text - length, "%%%u", (unsigned)address->scope);
    }
    if (!capacity) return 0;
    if (length >= capacity) length = capacity - 1;
    memcpy(out, text, length);
    out[length] = 0;
    return length;
}

bool cre__address_valid(const cre_address *address) {
    switch (address->family) {
    case AF_INET: return address->length == 4;
    case AF_INET6: return address->length == 16;
    case AF_UNIX: return address->length > 0 && address->length < sizeof(((struct sockaddr_un *)0)->sun_path);
    default: return false;
    }
}

socklen_t cre__address_to_system(const cre_address *address, cre__sockaddr *out) {
    memset(out, 0, sizeof *out);
    if (!cre__address_valid(address)) return 0;
    out->any.sa_family = address->family;
    switch (address->family) {
    case AF_INET:
        out->v4.sin_port = htons(address->port);
        memcpy(&out->v4.sin_addr, address->bytes, 4);
        return sizeof out->v4;
    case AF_INET6:
        out->v6.sin6_port = htons(address->port);
        out->v6.sin6_scope_id = address->scope;
        memcpy(&out->v6.sin6_addr, address->bytes, 16);
        return sizeof out->v6;
    default:
        memcpy(out->local.sun_path, address->bytes, address->length);
        /* A path ends with its zero, an abstract name with its last byte. */
        return (socklen_t)(PATH_AT + address->length + (address->bytes[0] != 0));
    }
}

void cre__address_from_system(const cre__sockaddr *address, socklen_t size, cre_address *out) {
    *out = (cre_address){ .family = address->any.sa_family };
    if (size < sizeof address->any.sa_family) {
        out->family = AF_UNIX; /* a Unix datagram of a socket without a name */
        return;
    }
    switch (out->family) {
    case AF_INET:
        out->port = ntohs(address->v4.sin_port);
        out->length = 4;
        memcpy(out->bytes, &address->v4.sin_addr, 4);
        break;
    case AF_INET6:
        out->port = ntohs(address->v6.sin6_port);
        out->scope = address->v6.sin6_scope_id;
        out->length = 16;
        memcpy(out->bytes, &address->v6.sin6_addr, 16);
        break;
    case AF_UNIX: {
        size_t length = size > PATH_AT ? size - PATH_AT : 0;
        if (length > sizeof address->local.sun_path) length = sizeof address->local.sun_path;
        const char *path = address->local.sun_path;
        if (length && path[0]) length = strnlen(path, length);
        out->length = (uint16_t)length;
        if (length) memcpy(out->bytes, path, length);
        break;
    }
    default: break;
    }
}
