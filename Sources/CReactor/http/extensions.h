/* The grammar of Sec-WebSocket-Extensions (RFC 6455 section 9.1). */
#ifndef CRE_HTTP_EXTENSIONS_H
#define CRE_HTTP_EXTENSIONS_H

#include <creactor/http_head.h>
#include <stdbool.h>

/* Whether the Sec-WebSocket-Extensions fields of a head, taken together, are a well-formed list of one or
 * more extensions. Names and parameters are not interpreted. */
bool cre__extensions_valid(const cre_http_head *head, const cre_http_field *fields,
                           const uint8_t *head_bytes);

#endif
