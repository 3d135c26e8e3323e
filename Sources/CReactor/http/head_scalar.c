/* The head parser for processors without a vector version. */
#include "chars.h"
#include "head_internal.h"

#define CRE__NAME(name) cre__http_scalar_##name
#include "head_parse.h"

static inline masks classify(const uint8_t *bytes) {
    masks found = { 0, 0 };
    for (unsigned i = 0; i < 32; i++) {
        uint8_t byte = bytes[i];
        found.stop |= (uint64_t)!cre__is(byte, CRE__TOKEN) << i;
        found.other |= (uint64_t)(byte < 0x20 || byte == 0x7f) << i;
    }
    return found;
}

static inline masks classify_target(const uint8_t *bytes) {
    masks found = { 0, 0 };
    for (unsigned i = 0; i < 32; i++) {
        found.stop |= (uint64_t)!cre__is(bytes[i], CRE__TARGET) << i;
        found.other |= (uint64_t)(bytes[i] == '?') << i;
    }
    return found;
}
