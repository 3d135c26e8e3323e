/* The head parser for processors without a vector version. */
#include "chars.h"
#include "head_internal.h"

#define CRE__NAME(name) cre__http_scalar_##name
#include "head_parse.h"

/* Compacts the bits 0, 2, 4, ... of a word. */
static inline uint32_t even_bits(uint64_t word) {
    word &= UINT64_C(0x5555555555555555);
    word = (word | word >> 1) & UINT64_C(0x3333333333333333);
    word = (word | word >> 2) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    word = (word | word >> 4) & UINT64_C(0x00ff00ff00ff00ff);
    word = (word | word >> 8) & UINT64_C(0x0000ffff0000ffff);
    return (uint32_t)(word | word >> 16);
}

/* The tab is not in the mask of control characters here; only the vector versions have it there.
 */
static inline masks classify(const uint8_t *bytes) {
    _Static_assert(CRE__TOKEN == 1 && CRE__VALUE == 2, "two bits for each byte");
    uint64_t low = 0, high = 0; /* two independent chains of operations */
    for (unsigned i = 16; i-- > 0;) {
        low = low << 2 | (cre__chars[bytes[i]] & 3);
        high = high << 2 | (cre__chars[bytes[i + 16]] & 3);
    }
    const uint64_t good = low | high << 32;
    return (masks){ (uint32_t)~even_bits(good), (uint32_t)~even_bits(good >> 1) };
}

static inline masks classify_target(const uint8_t *bytes) {
    masks found = { 0, 0 };
    for (unsigned i = 0; i < 32; i++) {
        found.stop |= (uint64_t)!cre__is(bytes[i], CRE__TARGET) << i;
        found.other |= (uint64_t)(bytes[i] == '?') << i;
    }
    return found;
}
