#include "broker/redis_slots.h"

#include <string.h>

#include "core/decimal.h"

/* CRC-16/XMODEM, four bits at once: the product of four bits and this polynomial has no carries. */
uint32_t cre__slot_of(cre_slice tag) {
    enum { POLYNOMIAL = 0x1021 };
    uint32_t crc = 0;
    for (size_t i = 0; i < 2 * tag.length; i++) {
        const uint32_t bits = tag.data[i / 2] >> (i % 2 ? 0 : 4);
        crc = (crc << 4 ^ ((crc >> 12 ^ bits) & 15) * POLYNOMIAL) & 0xFFFF;
    }
    return crc % CRE__SLOTS;
}

/* Numbers below 110,000 are in all slots. */
void cre__slot_tags(uint32_t *tags, uint32_t shards) {
    char digits[2 * CRE__MAX_DECIMAL];
    memset(tags, 0xFF, shards * sizeof *tags);
    for (uint32_t number = 0, found = 0; found < shards; number++) {
        const size_t length = (size_t)(cre__put_decimal(digits, number) - digits);
        const uint32_t slot = cre__slot_of((cre_slice){ (const uint8_t *)digits, length });
        const uint32_t shard = slot * shards / CRE__SLOTS;
        if (cre__slot_of_shard(shard, shards) != slot || tags[shard] != UINT32_MAX) continue;
        tags[shard] = number;
        found++;
    }
}
