/*
 * A header of the PROXY protocol is the same however it is cut, takes no more than its bound, and names a
 * valid address or none.
 *
 * Input: one byte with the size of the pieces, the header and what follows it.
 */
#include "net/proxy_header.h"

#include <stdlib.h>
#include <string.h>

#include "net/sockaddr.h"

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

typedef struct outcome {
    cre__proxy_result result;
    size_t used;
    cre_address client;
} outcome;

static outcome read_in_pieces(const uint8_t *data, size_t size, size_t step) {
    cre__proxy_header header = { 0 };
    outcome out = { 0 };
    while (out.used < size && out.result == CRE__PROXY_MORE) {
        size_t piece = size - out.used < step ? size - out.used : step, used;
        uint8_t *copy = malloc(piece);
        REQUIRE(copy);
        memcpy(copy, data + out.used, piece);
        out.result = cre__proxy_read(&header, copy, piece, &used, &out.client);
        REQUIRE(used <= piece && (used == piece || out.result != CRE__PROXY_MORE));
        free(copy);
        out.used += used;
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    outcome whole = read_in_pieces(data + 1, size - 1, size);
    outcome part = read_in_pieces(data + 1, size - 1, 1 + data[0] % 64);
    REQUIRE(whole.result == part.result && whole.used == part.used);
    REQUIRE(whole.used <= 16 + CRE__PROXY_MAX_BODY);
    if (data[1] == 'P') REQUIRE(whole.used <= CRE__PROXY_MAX_LINE);
    if (whole.result != CRE__PROXY_DONE) return 0;
    REQUIRE(whole.client.family == part.client.family);
    if (!whole.client.family) return 0;
    REQUIRE(cre__address_valid(&whole.client) && whole.client.port == part.client.port);
    REQUIRE(memcmp(whole.client.bytes, part.client.bytes, whole.client.length) == 0);
    return 0;
}
