/* SHA-1, which the WebSocket handshake requires. It must not be used where security matters. */
#ifndef CRE_HTTP_SHA1_H
#define CRE_HTTP_SHA1_H

#include <stddef.h>
#include <stdint.h>

void cre__sha1(const void *data, size_t length, uint8_t digest[20]);

#endif
