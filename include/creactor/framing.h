/*
 * Packets in a byte stream. TCP keeps no message boundaries, so a protocol marks the end of each packet or
 * sends its length first. No sockets, no clock; memory is allocated only for a packet that has arrived in
 * part.
 */
#ifndef CREACTOR_FRAMING_H
#define CREACTOR_FRAMING_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "export.h"

/** How packets are found in a stream. */
typedef enum cre_framing_kind {
    CRE_FRAMING_NONE = 0,     /* bytes as they arrive */
    CRE_FRAMING_MARKER_CHECK, /* all bytes so far, once they end with the marker: cheap, but perhaps several
                                 packets at once */
    CRE_FRAMING_MARKER_SPLIT, /* one packet at a time, including the marker at its end */
    CRE_FRAMING_LENGTH,       /* a length field in each packet */
    CRE_FRAMING_FUNCTION,     /* a function of the application computes the length */
    CRE_FRAMING_MQTT          /* the fixed header of MQTT 3.1, 3.1.1 and 5 */
} cre_framing_kind;

/** Limits: bytes of a marker, of a packet by default, and of a packet at most. */
enum { CRE_FRAMING_MAX_MARKER = 8, CRE_FRAMING_DEFAULT_MAX = 2 * 1024 * 1024, CRE_FRAMING_LIMIT = 1 << 30 };

/**
 * Computes the length of the packet at `data`, of which `length` > 0 bytes have arrived, perhaps followed by
 * bytes of further packets. Returns the length, 0 when more bytes are needed to know it, or a negative value
 * when this is no packet and the connection must be closed. Called inside cre_framing_next, on its thread,
 * more than once for a packet; it must not call the framing functions.
 */
typedef int64_t cre_framing_length_fn(void *context, const uint8_t *data, size_t length);

/** How streams are cut into packets. `size` is required. Any number of states may share one, which must
 * outlive them and not change meanwhile. */
typedef struct cre_framing_config {
    size_t size;           /* sizeof(cre_framing_config) */
    cre_framing_kind kind; /* the rule; the members below it belong to single kinds */
    uint32_t max_length;   /* of a packet with its header and marker; 0: CRE_FRAMING_DEFAULT_MAX */

    uint8_t marker[CRE_FRAMING_MAX_MARKER]; /* the bytes at the end of a packet */
    uint8_t marker_length;                  /* 1..8 */

    /*
     * The packet has body_offset + (value of the length field) bytes. The type is a letter of PHP's pack(): c
     * C for one byte; s S for two, l L i I for four, q Q for eight bytes in the machine's order; n N J for
     * two, four, eight bytes with the highest first; v V P with the lowest first. Lower-case letters except n
     * and v are signed; negative lengths are errors.
     */
    char length_type;       /* the type of the length field, see above */
    uint32_t length_offset; /* of the field */
    uint32_t body_offset;   /* where the counted bytes begin; 0: the value counts the whole packet */

    cre_framing_length_fn *length_function; /* for CRE_FRAMING_FUNCTION */
    void *length_context;                   /* passed to `length_function` */
} cre_framing_config;

/** The framing state of one connection. Fields are private. */
typedef struct cre_framing {
    const cre_framing_config *config;
    uint8_t *buffer;
    uint32_t start, used, capacity;
} cre_framing;

CRE_BEGIN_DECLS

/** Checks a configuration. Returns 0; CRE_ECONFIG_SIZE; or CRE_EINVALID for an empty or too long marker, an
 * unknown kind or type, a length field beyond max_length, a max_length above CRE_FRAMING_LIMIT, or a missing
 * function. Any thread. */
CRE_NODISCARD CRE_API int cre_framing_config_check(const cre_framing_config *config);

/** Initialises the state of a connection. `config` is borrowed, has passed cre_framing_config_check and must
 * outlive the state. Allocates nothing. One thread at a time for each state, here and below. */
CRE_API void cre_framing_init(cre_framing *framing, const cre_framing_config *config);

/**
 * Finds the next packet in the bytes buffered by earlier calls and those from *cursor to `end`, and moves
 * *cursor past the bytes it used.
 *
 * Returns 1 and sets *packet and *length (> 0): the packet is in the input if all of it is there, else in the
 * state's memory, and valid until the next call or cre_framing_deinit; call again with the same cursor.
 * Returns 0 when all input is used and no packet is complete. Returns CRE_EFRAMING_... when the stream is out
 * of step, or CRE_ENOMEM: close the connection.
 *
 * CRE_FRAMING_MARKER_CHECK looks for the marker at the end of the input of each call.
 */
CRE_NODISCARD CRE_API int cre_framing_next(cre_framing *framing, const uint8_t **cursor, const uint8_t *end,
                                           const uint8_t **packet, size_t *length);

/** The number of buffered bytes of an unfinished packet. */
CRE_API size_t cre_framing_pending(const cre_framing *framing);

/** Frees the buffer. The state may then be used for a new stream. */
CRE_API void cre_framing_deinit(cre_framing *framing);

CRE_END_DECLS

#endif
