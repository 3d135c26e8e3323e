/* The header of the PROXY protocol, versions 1 and 2: bytes in, the address of the client out. */
#ifndef CRE_NET_PROXY_HEADER_H
#define CRE_NET_PROXY_HEADER_H

#include <creactor/address.h>
#include <stddef.h>
#include <stdint.h>

/* The longest header of version 1, CR LF included. */
#define CRE__PROXY_MAX_LINE 107u
/* The most bytes behind the fixed part of a header of version 2: addresses and TLVs, which are skipped. */
#define CRE__PROXY_MAX_BODY 4096u

/* A header that is being read; zeroed before its first byte. */
typedef struct cre__proxy_header {
    uint16_t length;                    /* of `bytes` */
    uint16_t left;                      /* version 2: bytes that are still to come */
    uint8_t bytes[CRE__PROXY_MAX_LINE]; /* what is needed of it */
} cre__proxy_header;

typedef enum cre__proxy_result { CRE__PROXY_MORE, CRE__PROXY_DONE, CRE__PROXY_INVALID } cre__proxy_result;

/*
 * Reads the next bytes of a header and sets *used to the number of those that belong to it: all of them
 * unless the header is complete. DONE sets *client; its family is 0 when the header leaves the address of the
 * connection as it is (LOCAL, UNKNOWN, an address of a Unix socket). An IPv4 address in the form of an IPv6
 * one becomes an IPv4 address. INVALID: the bytes are not those of a header, and nothing more must be read.
 */
cre__proxy_result cre__proxy_read(cre__proxy_header *header, const uint8_t *data, size_t length, size_t *used,
                                  cre_address *client);

#endif
