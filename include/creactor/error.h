/*
 * Errors.
 *
 * A function that can fail returns 0 or a positive result on success and a negative int on failure. System
 * errors are negated errno values (-ECONNRESET); the library's own errors start at -1000, in a band for each
 * layer. When a function that takes a callback returns an error, the callback is never called.
 */
#ifndef CREACTOR_ERROR_H
#define CREACTOR_ERROR_H

#include "export.h"

/* XX(name, number, message): the one list of the library's own errors. */
#define CRE_ERROR_MAP(XX)                                                                        \
    /* general */                                                                                \
    XX(NOMEM, -1000, "out of memory")                                                            \
    XX(INVALID, -1001, "invalid argument")                                                       \
    XX(STATE, -1002, "not possible in this state")                                               \
    XX(LIMIT, -1003, "configured limit reached")                                                 \
    XX(UNSUPPORTED, -1004, "not supported by this build or system")                              \
    XX(CONFIG_SIZE, -1005, "size of a configuration not set, or of a newer version")             \
    /* WebSocket */                                                                              \
    XX(WS_RSV, -1100, "reserved bit set in a WebSocket frame")                                   \
    XX(WS_OPCODE, -1101, "reserved WebSocket opcode")                                            \
    XX(WS_UNMASKED, -1102, "unmasked WebSocket frame from a client")                             \
    XX(WS_MASKED, -1103, "masked WebSocket frame from a server")                                 \
    XX(WS_LENGTH_FORM, -1104, "WebSocket frame length is not in its shortest form")              \
    XX(WS_LENGTH_RANGE, -1105, "WebSocket frame length has its highest bit set")                 \
    XX(WS_CONTROL_SIZE, -1106, "WebSocket control frame is longer than 125 bytes")               \
    XX(WS_CONTROL_FRAGMENT, -1107, "WebSocket control frame is fragmented")                      \
    XX(WS_INTERLEAVED, -1108, "new WebSocket message inside a fragmented message")               \
    XX(WS_CONTINUATION, -1109, "WebSocket continuation frame outside a message")                 \
    XX(WS_UTF8, -1110, "WebSocket text is not valid UTF-8")                                      \
    XX(WS_TOO_BIG, -1111, "WebSocket message is longer than the limit")                          \
    XX(WS_FRAGMENTS, -1112, "WebSocket message has more fragments than the limit")               \
    XX(WS_CLOSE_SIZE, -1113, "WebSocket close payload is one byte")                              \
    XX(WS_CLOSE_CODE, -1114, "invalid WebSocket close code")                                     \
    XX(WS_CLOSE_REASON, -1115, "WebSocket close reason is not valid UTF-8")                      \
    XX(WS_DEFLATE, -1116, "corrupt compressed WebSocket message")                                \
    XX(WS_EXTENSION, -1117, "WebSocket extension was not offered or has invalid parameters")     \
    /* HTTP */                                                                                   \
    XX(HTTP_BAD_LINE, -1200, "malformed request or status line")                                 \
    XX(HTTP_BAD_TARGET, -1201, "malformed request target")                                       \
    XX(HTTP_BAD_VERSION, -1202, "HTTP version not supported")                                    \
    XX(HTTP_LINE_TOO_LONG, -1203, "request line too long")                                       \
    XX(HTTP_HEAD_TOO_LARGE, -1204, "head too large")                                             \
    XX(HTTP_TOO_MANY_FIELDS, -1205, "too many header fields")                                    \
    XX(HTTP_BAD_FIELD, -1206, "malformed header field name")                                     \
    XX(HTTP_BAD_VALUE, -1207, "control character in a header field")                             \
    XX(HTTP_LINE_END, -1208, "line does not end with CRLF")                                      \
    XX(HTTP_FOLDED, -1209, "folded header field")                                                \
    XX(HTTP_NO_HOST, -1210, "no Host field")                                                     \
    XX(HTTP_BAD_HOST, -1211, "malformed or repeated Host")                                       \
    XX(HTTP_CONTENT_LENGTH, -1212, "malformed or conflicting Content-Length")                    \
    XX(HTTP_TRANSFER_ENCODING, -1213, "malformed Transfer-Encoding")                             \
    XX(HTTP_UNKNOWN_CODING, -1214, "unknown transfer coding")                                    \
    XX(HTTP_LENGTH_AND_CODING, -1215, "Content-Length together with Transfer-Encoding")          \
    XX(HTTP_EXPECTATION, -1216, "unknown expectation")                                           \
    XX(HTTP_CHUNK, -1220, "malformed chunk")                                                     \
    XX(HTTP_TRAILER, -1221, "malformed trailer")                                                 \
    XX(HTTP_OVERHEAD, -1222, "chunk extensions or trailers too long")                            \
    XX(HTTP_BODY_TOO_LARGE, -1223, "body is larger than the limit")                              \
    XX(HTTP_COMPRESSED, -1224, "corrupt compressed body")                                        \
    XX(HTTP_INVALID_FIELD, -1230, "invalid header field name or value")                          \
    XX(HTTP_ENCODING, -1231, "malformed percent-encoding")                                       \
    XX(HTTP_NOT_FOUND, -1232, "no value with this name")                                         \
    XX(HTTP_NOT_MULTIPART, -1240, "not a multipart/form-data body")                              \
    XX(HTTP_MULTIPART, -1241, "malformed multipart body")                                        \
    XX(HTTP_MULTIPART_LIMIT, -1242, "too many parts or part head too long")                      \
    XX(HTTP_HANDSHAKE_METHOD, -1250, "WebSocket handshake is not a GET without a body")          \
    XX(HTTP_HANDSHAKE_HTTP, -1251, "WebSocket handshake is not HTTP/1.1")                        \
    XX(HTTP_HANDSHAKE_HOST, -1252, "WebSocket handshake without a host")                         \
    XX(HTTP_HANDSHAKE_UPGRADE, -1253, "Upgrade does not list websocket")                         \
    XX(HTTP_HANDSHAKE_CONNECTION, -1254, "Connection does not list upgrade")                     \
    XX(HTTP_HANDSHAKE_KEY, -1255, "missing or malformed Sec-WebSocket-Key")                      \
    XX(HTTP_HANDSHAKE_VERSION, -1256, "WebSocket version is not 13")                             \
    XX(HTTP_HANDSHAKE_PROTOCOL, -1257, "malformed or unexpected WebSocket subprotocol")          \
    XX(HTTP_HANDSHAKE_STATUS, -1258, "server did not answer the WebSocket handshake with 101")   \
    XX(HTTP_HANDSHAKE_ACCEPT, -1259, "missing or wrong Sec-WebSocket-Accept")                    \
    XX(HTTP_HANDSHAKE_EXTENSION, -1260, "malformed or unexpected WebSocket extension")           \
    /* HTTP/2 */                                                                                 \
    XX(HTTP2, -1270, "HTTP/2 protocol error")                                                    \
    XX(HTTP2_PREFACE, -1271, "not the connection preface of HTTP/2")                             \
    XX(HTTP2_FLOOD, -1272, "more HTTP/2 frames than a limit allows")                             \
    XX(HTTP2_REFUSED, -1273, "the server has not processed the HTTP/2 request")                  \
    XX(HTTP2_RESET, -1274, "the HTTP/2 stream was reset")                                        \
    XX(HTTP2_CONNECT, -1275, "the server does not accept WebSockets over HTTP/2")                \
    XX(HTTP2_NOT_CHOSEN, -1276, "the server has not chosen HTTP/2 by ALPN")                      \
    /* packet framing */                                                                         \
    XX(FRAMING_TOO_LONG, -1300, "packet longer than the limit")                                  \
    XX(FRAMING_LENGTH, -1301, "impossible packet length in the length field")                    \
    XX(FRAMING_NO_MARKER, -1302, "no end marker within the longest packet")                      \
    XX(FRAMING_FUNCTION, -1303, "the length function rejected the packet")                       \
    XX(FRAMING_MQTT, -1304, "malformed MQTT header")                                             \
    /* engine */                                                                                 \
    XX(GONE, -1400, "the connection is closed")                                                  \
    XX(NOT_WEBSOCKET, -1401, "the connection is not an open WebSocket")                          \
    XX(QUEUE_FULL, -1402, "the connection's output queue is full")                               \
    XX(NO_REQUEST, -1403, "no request of this connection is waiting for a response")             \
    XX(NOT_STREAM, -1404, "the connection is not on a stream port")                              \
    XX(BUDGET, -1405, "the server is over its memory budget")                                    \
    XX(MESSAGE_TIMEOUT, -1406, "the message was not complete in time")                           \
    XX(TLS, -1410, "TLS failed")                                                                 \
    XX(TLS_CONFIG, -1411, "invalid TLS certificate, key or setting")                             \
    /* connecting */                                                                             \
    XX(HOST_UNKNOWN, -1420, "the host name does not exist")                                      \
    XX(HOST_LOOKUP, -1421, "the host name lookup failed or took too long")                       \
    XX(PROXY, -1422, "the proxy refused the tunnel")                                             \
    /* link */                                                                                   \
    XX(LINK_RECORD, -1500, "corrupt record in shared memory")                                    \
    XX(LINK_FULL, -1501, "the link to the other process is full")                                \
    XX(LINK_MISMATCH, -1502, "shared memory was made by another version or with other settings") \
    /* shared memory of the application */                                                       \
    XX(SHARED_FULL, -1600, "the shared table has no room for another row")                       \
    XX(SHARED_NO_ROW, -1601, "the shared table has no row with this key")                        \
    XX(SHARED_KEY, -1602, "the key of a row must have 1 to 63 bytes")                            \
    XX(SHARED_COLUMN, -1603, "the shared table has no such column of this type")                 \
    XX(SHARED_TOO_LONG, -1604, "the value is longer than its column")                            \
    XX(SHARED_NESTED, -1605, "this thread is already editing a row of a shared table")           \
    XX(SHARED_MISMATCH, -1606, "this shared memory has another type or layout")                  \
    /* values by keys */                                                                         \
    XX(VALUE_NUMBER, -1650, "the value is not an integer, or the sum is out of its range")       \
    XX(VALUE_FULL, -1651, "there is no room for the value")                                      \
    /* signatures */                                                                             \
    XX(SIGNATURE, -1700, "the signature is not that of the message")                             \
    XX(SIGNATURE_KEY, -1701, "no valid key of the algorithm's type and size")                    \
    /* Redis */                                                                                  \
    XX(REDIS_PROTOCOL, -1800, "malformed or unexpected reply from Redis")                        \
    XX(REDIS_TOO_LARGE, -1801, "reply from Redis larger than the limit")                         \
    XX(REDIS_DEPTH, -1802, "reply from Redis nested deeper than the limit")                      \
    /* broker */                                                                                 \
    XX(BROKER_UNAVAILABLE, -1900, "the broker is not connected, or its queue is full")           \
    XX(BROKER_UNKNOWN, -1901, "connection lost before the reply: the message may be published")  \
    XX(BROKER_REFUSED, -1902, "the broker's server refused the command")                         \
    XX(BROKER_GAP, -1903, "messages after the position are not available any more")              \
    XX(BROKER_SILENT, -1904, "the broker's server did not answer or deliver in time")            \
    XX(BROKER_UNSUPPORTED, -1905, "the broker's servers do not support this")                    \
    XX(BROKER_NO_MASTER, -1906, "no master of this name, or the server is not a master")         \
    XX(BROKER_NO_CLUSTER, -1910, "the server is not a node of a Redis Cluster")                  \
    XX(BROKER_NO_NODE, -1911, "no node of the Redis Cluster serves the slot of the shard")       \
    XX(BROKER_MOVED, -1912, "the slot of the shard was moved to another node")                   \
    XX(BROKER_VERSION, -1913, "sharded channels of a Redis Cluster need Redis 7 or later")       \
    /* NATS */                                                                                   \
    XX(NATS_PROTOCOL, -2000, "malformed operation from the NATS server")                         \
    XX(NATS_TOO_LARGE, -2001, "operation from the NATS server larger than the limit")
/** The library's own errors. CRE_ERROR_MAP is the list, with their messages. */
typedef enum cre_error {
#define XX(name, number, message) CRE_E##name = (number),
    CRE_ERROR_MAP(XX)
#undef XX
} cre_error;

CRE_BEGIN_DECLS

/** The symbolic name of an error ("CRE_ENOMEM", "ECONNRESET"), "CRE_EUNKNOWN" for other numbers; a static
 * string. Any thread. */
CRE_API const char *cre_error_name(int error);

/** A description in one line ("out of memory"): a static string, except that unknown system errors may share
 * a thread-local buffer. Any thread. */
CRE_API const char *cre_error_message(int error);

CRE_END_DECLS

#endif
