/* How long a packet is, by its first bytes. */
#ifndef CRE_FRAMING_INTERNAL_H
#define CRE_FRAMING_INTERNAL_H

#include <creactor/framing.h>

/*
 * The length of the packet at `data`, of which `length` > 0 bytes are there. 0: not known yet; *needed is how
 * many bytes are worth waiting for. Negative: an error. Never more than the longest packet allowed.
 */
int64_t cre__framing_total(const cre_framing_config *config, const uint8_t *data, size_t length,
                           size_t *needed);

/* The size of a length field of this type, 0 for an unknown type. */
unsigned cre__framing_field_size(char type);

static inline uint32_t cre__framing_max(const cre_framing_config *config) {
    return config->max_length ? config->max_length : CRE_FRAMING_DEFAULT_MAX;
}

#endif
