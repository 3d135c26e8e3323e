#include "http/status.h"

#include <creactor/http_write.h>
#include <string.h>

#include "core/decimal.h"

const char *cre_http_reason(int status) {
    switch (status) {
#define XX(code, reason) \
    case code: return reason;
        CRE__STATUS_MAP(XX)
#undef XX
    default: return "Unknown";
    }
}

static char *put(char *out, const char *text, size_t length) {
    memcpy(out, text, length);
    return out + length;
}

#define PUT(out, literal) put(out, literal, sizeof(literal) - 1)

char *cre__put_status_line(char out[CRE__MAX_STATUS_LINE], unsigned status) {
    if (status == 200) return PUT(out, CRE__STATUS_LINE_OK);
    switch (status) {
#define XX(code, reason)                                                                        \
    _Static_assert(sizeof "HTTP/1.1 " #code " " reason "\r\n" <= CRE__MAX_STATUS_LINE + 1, ""); \
    case code: return PUT(out, "HTTP/1.1 " #code " " reason "\r\n");
        CRE__STATUS_MAP(XX)
#undef XX
    default: out = cre__put_decimal(PUT(out, "HTTP/1.1 "), status); return PUT(out, " Unknown\r\n");
    }
}
