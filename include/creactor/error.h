/*
 * Errors.
 *
 * A function that can fail returns 0 or a positive result when it succeeds and a negative int when it fails.
 * System errors are negated errno values (-ECONNRESET), the library's own start at -1000 in bands by layer.
 * When a function that takes a callback returns an error, that callback is never called.
 */
#ifndef CREACTOR_ERROR_H
#define CREACTOR_ERROR_H

#include "export.h"

/* XX(name, number, message): the one list of the library's own errors. */
#define CRE_ERROR_MAP(XX)                                                             \
    /* general */                                                                     \
    XX(NOMEM, -1000, "out of memory")                                                 \
    XX(INVALID, -1001, "invalid argument")                                            \
    XX(STATE, -1002, "not possible in this state")                                    \
    XX(LIMIT, -1003, "a configured limit was reached")                                \
    XX(UNSUPPORTED, -1004, "not supported by this build or system")                   \
    /* WebSocket */                                                                   \
    XX(WS_RSV, -1100, "reserved bit set in a WebSocket frame")                        \
    XX(WS_OPCODE, -1101, "reserved WebSocket opcode")                                 \
    XX(WS_UNMASKED, -1102, "WebSocket frame of a client is not masked")               \
    XX(WS_MASKED, -1103, "WebSocket frame of a server is masked")                     \
    XX(WS_LENGTH_FORM, -1104, "WebSocket frame length is not in its shortest form")   \
    XX(WS_LENGTH_RANGE, -1105, "WebSocket frame length has its highest bit set")      \
    XX(WS_CONTROL_SIZE, -1106, "WebSocket control frame is longer than 125 bytes")    \
    XX(WS_CONTROL_FRAGMENT, -1107, "WebSocket control frame is fragmented")           \
    XX(WS_INTERLEAVED, -1108, "new WebSocket message before the end of the last one") \
    XX(WS_CONTINUATION, -1109, "WebSocket continuation without a message")            \
    XX(WS_UTF8, -1110, "WebSocket text is not valid UTF-8")                           \
    XX(WS_TOO_BIG, -1111, "WebSocket message is longer than the limit")               \
    XX(WS_FRAGMENTS, -1112, "WebSocket message has more fragments than the limit")    \
    XX(WS_CLOSE_SIZE, -1113, "WebSocket close payload is one byte")                   \
    XX(WS_CLOSE_CODE, -1114, "WebSocket close code may not be sent")                  \
    XX(WS_CLOSE_REASON, -1115, "WebSocket close reason is not valid UTF-8")           \
    XX(WS_DEFLATE, -1116, "compressed WebSocket message is damaged")

typedef enum cre_error {
#define XX(name, number, message) CRE_E##name = (number),
    CRE_ERROR_MAP(XX)
#undef XX
} cre_error;

CRE_BEGIN_DECLS

/** The symbolic name of an error ("CRE_ENOMEM", "ECONNRESET"), "CRE_EUNKNOWN" for other numbers; a static
 * string. */
CRE_API const char *cre_error_name(int error);

/** One line for people ("out of memory"); a static string, except that unknown system errors may share one
 * thread-local buffer. Any thread. */
CRE_API const char *cre_error_message(int error);

CRE_END_DECLS

#endif
