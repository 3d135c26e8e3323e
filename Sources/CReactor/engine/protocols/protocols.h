/* The protocols that an engine knows; each is defined in its folder. */
#ifndef CRE_ENGINE_PROTOCOLS_H
#define CRE_ENGINE_PROTOCOLS_H

#include "engine/protocol.h"

extern const cre__protocol cre__protocol_http1;
extern const cre__protocol cre__protocol_websocket;
extern const cre__protocol cre__protocol_raw;
extern const cre__protocol cre__protocol_http2; /* only on ports with `has_http2` */

#endif
