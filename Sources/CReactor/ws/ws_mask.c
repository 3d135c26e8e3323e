#include "ws/ws_mask.h"

#include <creactor/websocket_frame.h>

uint64_t cre__ws_mask_wide(uint8_t *to, const uint8_t *from, size_t length, uint32_t key) {
    size_t bulk = (length - 16) & ~(size_t)63;
    uint64_t wide = cre__ws_key_64(key);
    cre__ws_v16 mask = { wide, wide }, seen[4] = { { 0 } };
    for (size_t i = 0; i < bulk; i += 64) {
        for (int n = 0; n < 4; n++) {
            cre__ws_v16 block = cre__ws_load_16(from + i + 16 * n) ^ mask;
            memcpy(to + i + 16 * n, &block, 16);
            seen[n] |= block;
        }
    }
    seen[0] |= seen[1] | seen[2] | seen[3];
    return ((seen[0][0] | seen[0][1]) & CRE__WS_HIGH_BITS) |
           cre__ws_mask_blocks(to + bulk, from + bulk, length - bulk, key);
}

uint64_t cre__ws_mask(uint8_t *to, const uint8_t *from, size_t length, uint32_t key) {
    if (length < 128) return cre__ws_mask_short(to, from, length, key);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return cre__ws_mask_avx2(to, from, length, key);
#endif
    return cre__ws_mask_wide(to, from, length, key);
}

void cre_ws_mask(uint8_t *data, size_t length, const uint8_t key[4], size_t offset) {
    cre__ws_mask(data, data, length, cre__ws_key_rotate(cre__ws_key(key), offset));
}
