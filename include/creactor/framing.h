/*
 * Packets in a byte stream: TCP keeps no message bounds, so a protocol marks the end of each packet or says
 * its length first. No sockets, no clock; memory is taken only for a packet that has arrived in part.
 */
#ifndef CREACTOR_FRAMING_H
#define CREACTOR_FRAMING_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "export.h"

typedef enum cre_framing_kind {
    CRE_FRAMING_NONE = 0,     /* bytes as they arrive */
    CRE_FRAMING_MARKER_CHECK, /* all bytes so far, once they end with the marker: perhaps several packets;
                                 cheap */
    CRE_FRAMING_MARKER_SPLIT, /* one packet at a time, each ends with the marker, which is part of it */
    CRE_FRAMING_LENGTH,       /* a length field */
    CRE_FRAMING_FUNCTION,     /* a function finds the length */
    CRE_FRAMING_MQTT          /* the fixed header of MQTT 3.1, 3.1.1 and 5 */
} cre_framing_kind;

enum { CRE_FRAMING_MAX_MARKER = 8, CRE_FRAMING_DEFAULT_MAX = 2 * 1024 * 1024, CRE_FRAMING_LIMIT = 1 << 30 };

/**
 * The length of the packet that starts at `data`, from what has arrived of it (`length` > 0 bytes; there may
 * be bytes of further packets behind it). 0: cannot be told yet. Negative: not a packet, close the
 * connection. Called inside cre_framing_next, on its thread, more than once for a packet; must not call the
 * framing functions.
 */
typedef int64_t cre_framing_length_fn(void *context, const uint8_t *data, size_t length);

/** How a port cuts its streams. Shared by all connections of the port and not changed while one of them
 * lives. */
typedef struct cre_framing_config {
    cre_framing_kind kind;
    uint32_t max_length; /* of a packet, header and marker included; 0: CRE_FRAMING_DEFAULT_MAX */

    uint8_t marker[CRE_FRAMING_MAX_MARKER];
    uint8_t marker_length; /* 1..8 */

    /*
     * The packet has body_offset + (value of the length field) bytes. Types, as in PHP's pack(): c C one
     * byte; s S two, l L i I four, q Q eight in the machine's order; n N J two, four, eight, highest first; v
     * V P the same, lowest first. Those in lower case except n and v are signed, and negative lengths are
     * errors.
     */
    char length_type;
    uint32_t length_offset; /* where the field stands */
    uint32_t body_offset;   /* from where its value counts; 0 when it counts the whole packet */

    cre_framing_length_fn *length_function;
    void *length_context;
} cre_framing_config;

/** One connection's state. The members are private. */
typedef struct cre_framing {
    const cre_framing_config *config;
    uint8_t *buffer;
    uint32_t start, used, capacity;
} cre_framing;

CRE_BEGIN_DECLS

/** 0, or CRE_EINVALID when the configuration makes no sense: a marker that is empty or too long, an unknown
 * type, a length field that lies beyond max_length, no function. */
CRE_API int cre_framing_config_check(const cre_framing_config *config);

/** Prepares a connection's state. `config` has passed the check and outlives it. Takes no memory. */
CRE_API void cre_framing_init(cre_framing *framing, const cre_framing_config *config);

/**
 * Finds the next packet in what was kept from earlier calls and the bytes from *cursor to `end`, and moves
 * *cursor over what it used.
 *
 * Returns 1 and sets *packet and *length (> 0): the bytes lie in the input when they all came with it, else
 * in the framing's memory, and are valid until the next call or the release. Call again with the same cursor
 * until it returns 0: all input is used up, no packet is complete. Negative: CRE_EFRAMING_... or CRE_ENOMEM;
 * the stream is out of step, so close the connection and release.
 *
 * With CRE_FRAMING_MARKER_CHECK the end of the input counts as the end of what has been received.
 */
CRE_API int cre_framing_next(cre_framing *framing, const uint8_t **cursor, const uint8_t *end,
                             const uint8_t **packet, size_t *length);

/** How many bytes of an unfinished packet are kept. */
CRE_API size_t cre_framing_pending(const cre_framing *framing);

/** Gives the memory back. The state may then be used for a new stream. */
CRE_API void cre_framing_deinit(cre_framing *framing);

CRE_END_DECLS

#endif
