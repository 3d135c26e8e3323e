/* The head parser for processors without a vector version. */
#include "chars.h"
#include "head_internal.h"

#define CRE__NAME(name) cre__http_scalar_##name
#include "head_parse.h"

static inline masks classify(const uint8_t *bytes64) {
    masks found = { 0, 0 };
    for (unsigned i = 0; i < 64; i++) {
        uint8_t byte = bytes64[i];
        found.no_token |= (uint64_t)!cre__is(byte, CRE__TOKEN) << i;
        found.control |= (uint64_t)(byte < 0x20 || byte == 0x7f) << i;
    }
    return found;
}

static inline target_masks classify_target(const uint8_t *bytes64) {
    target_masks found = { 0, 0 };
    for (unsigned i = 0; i < 64; i++) {
        found.stop |= (uint64_t)!cre__is(bytes64[i], CRE__TARGET) << i;
        found.question |= (uint64_t)(bytes64[i] == '?') << i;
    }
    return found;
}
