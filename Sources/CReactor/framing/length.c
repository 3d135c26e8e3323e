/* Lengths of packets: fields, functions, MQTT. */
#include <stdbool.h>

#include "framing_internal.h"

unsigned cre__framing_field_size(char type) {
    switch (type) {
    case 'c':
    case 'C': return 1;
    case 's':
    case 'S':
    case 'n':
    case 'v': return 2;
    case 'l':
    case 'L':
    case 'i':
    case 'I':
    case 'N':
    case 'V': return 4;
    case 'q':
    case 'Q':
    case 'J':
    case 'P': return 8;
    default: return 0;
    }
}

static uint64_t highest_first(const uint8_t *at, unsigned size) {
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

static uint64_t lowest_first(const uint8_t *at, unsigned size) {
    uint64_t value = 0;
    for (unsigned i = size; i-- > 0;)
        value = value << 8 | at[i];
    return value;
}

/* Reads a length field; signed types are sign-extended. */
static uint64_t field_value(char type, const uint8_t *at) {
    const unsigned size = cre__framing_field_size(type);
    switch (type) {
    case 'n':
    case 'N':
    case 'J': return highest_first(at, size);
    case 'v':
    case 'V':
    case 'P': return lowest_first(at, size);
    default: break;
    }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t value = lowest_first(at, size);
#else
    uint64_t value = highest_first(at, size);
#endif
    const uint64_t sign = UINT64_C(1) << (8 * size - 1);
    if (type >= 'a' && value & sign) value |= ~(sign - 1);
    return value;
}

static bool is_signed(char type) {
    return type >= 'a' && type != 'n' && type != 'v';
}

static int64_t by_field(const cre_framing_config *config, const uint8_t *data, size_t length,
                        size_t *needed) {
    const size_t header = (size_t)config->length_offset + cre__framing_field_size(config->length_type);
    if (length < header) {
        *needed = header;
        return 0;
    }
    const uint64_t value = field_value(config->length_type, data + config->length_offset);
    if (is_signed(config->length_type) && value > INT64_MAX) return CRE_EFRAMING_LENGTH;
    const uint32_t max = cre__framing_max(config);
    if (value > max || value + config->body_offset > max) return CRE_EFRAMING_TOO_LONG;
    const uint64_t total = value + config->body_offset;
    /* a packet that ends before its own length field, such as an empty one, would block the stream */
    return total < header ? CRE_EFRAMING_LENGTH : (int64_t)total;
}

static int64_t by_function(const cre_framing_config *config, const uint8_t *data, size_t length,
                           size_t *needed) {
    const int64_t total = config->length_function(config->length_context, data, length);
    if (total < 0) return CRE_EFRAMING_FUNCTION;
    const uint32_t max = cre__framing_max(config);
    if (total > max || (total == 0 && length >= max)) return CRE_EFRAMING_TOO_LONG;
    /* twice as much each time, so that the function is not called for each byte and little is copied twice
     */
    *needed = length < 32 ? 64 : 2 * length;
    return total;
}

static int64_t by_mqtt(const cre_framing_config *config, const uint8_t *data, size_t length, size_t *needed) {
    if (data[0] >> 4 == 0) return CRE_EFRAMING_MQTT;
    uint32_t rest = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (i + 1 >= length) {
            *needed = length + 1;
            return 0;
        }
        const uint8_t byte = data[i + 1];
        rest |= (uint32_t)(byte & 0x7f) << 7 * i;
        if (byte & 0x80) continue;
        const uint32_t total = rest + i + 2;
        return total > cre__framing_max(config) ? CRE_EFRAMING_TOO_LONG : (int64_t)total;
    }
    return CRE_EFRAMING_MQTT;
}

int64_t cre__framing_total(const cre_framing_config *config, const uint8_t *data, size_t length,
                           size_t *needed) {
    switch (config->kind) {
    case CRE_FRAMING_FUNCTION: return by_function(config, data, length, needed);
    case CRE_FRAMING_MQTT: return by_mqtt(config, data, length, needed);
    default: return by_field(config, data, length, needed);
    }
}
