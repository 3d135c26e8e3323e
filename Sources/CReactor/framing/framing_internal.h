/* The length of a packet, computed from its first bytes. */
#ifndef CRE_FRAMING_INTERNAL_H
#define CRE_FRAMING_INTERNAL_H

#include <creactor/framing.h>

/*
 * The length of the packet at `data`, of which `length` > 0 bytes are available, at most the longest packet
 * allowed. 0: not known yet, and *needed is the number of bytes to wait for. Negative: an error.
 */
int64_t cre__framing_total(const cre_framing_config *config, const uint8_t *data, size_t length,
                           size_t *needed);

/* The size of a length field of this type, 0 for an unknown type. */
unsigned cre__framing_field_size(char type);

static inline uint32_t cre__framing_max(const cre_framing_config *config) {
    return config->max_length ? config->max_length : CRE_FRAMING_DEFAULT_MAX;
}

#endif
