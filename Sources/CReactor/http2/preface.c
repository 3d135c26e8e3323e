/* How a client begins HTTP/2. */
#include <creactor/http2.h>
#include <string.h>

int cre_http2_match_preface(const uint8_t *data, size_t length) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    if (length > CRE_HTTP2_PREFACE_LENGTH) length = CRE_HTTP2_PREFACE_LENGTH;
    if (length && memcmp(data, preface, length) != 0) return CRE_EHTTP2_PREFACE;
    return length == CRE_HTTP2_PREFACE_LENGTH;
}

bool cre_http2_supported(void) {
#ifdef CRE_HAVE_HTTP2
    return true;
#else
    return false;
#endif
}
