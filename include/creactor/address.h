/* Socket addresses in a form that can cross to other processes and needs no system headers. */
#ifndef CREACTOR_ADDRESS_H
#define CREACTOR_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

/** An IPv4 or IPv6 address with a port, or the path of a Unix socket. */
typedef struct cre_address {
    uint16_t family; /* AF_INET, AF_INET6, AF_UNIX */
    uint16_t port;   /* in the machine's byte order; 0 for a Unix socket */
    uint16_t length; /* of `bytes`: 4, 16, or that of the path (0: a socket without a name) */
    uint16_t worker; /* of a PACKET event: the node that receives it */
    uint32_t scope;  /* of a link-local IPv6 address: the interface */
    uint32_t reserved;
    uint8_t bytes[112]; /* highest first; the path of an abstract Unix socket starts with a zero byte */
} cre_address;

/** The addresses that share their first `prefix` bits with `bytes`. */
typedef struct cre_address_range {
    uint16_t family; /* AF_INET, AF_INET6, or AF_UNIX for the remote ends of all Unix sockets */
    uint16_t prefix; /* at most 32 or 128; 0 for AF_UNIX */
    uint32_t reserved;
    uint8_t bytes[16]; /* highest first */
} cre_address_range;

/**
 * Parses an IPv4 or IPv6 address (with an optional interface after a %), or "unix:" and a path ("unix:@name"
 * for an abstract socket). NULL is "0.0.0.0". Returns 0 and fills *address, or CRE_EINVALID, or -ENAMETOOLONG
 * for a path. Any thread.
 */
CRE_NODISCARD CRE_API int cre_address_parse(const char *host, uint16_t port, cre_address *address);

/** Writes the address without its port as text, terminated, in the form that cre_address_parse accepts.
 * Returns the length written; a text that does not fit is cut. Any thread. */
CRE_API size_t cre_address_text(const cre_address *address, char *out, size_t capacity);

CRE_END_DECLS

#endif
