/*
 * The preface of a client, and the frames behind it. A server gives nghttp2 the input in pieces that end
 * where heads end, so that nghttp2 is not running when a request is reported.
 */
#include <creactor/http2.h>
#include <string.h>

#include "http2/frames.h"

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

#ifdef CRE_HAVE_HTTP2
#include <nghttp2/nghttp2.h>

void cre__h2_frames_init(cre__h2_frames *frames) {
    *frames = (cre__h2_frames){ .left = CRE_HTTP2_PREFACE_LENGTH };
}

static void begin(cre__h2_frames *frames, const uint8_t *head) {
    frames->left = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
    frames->ends_head =
        (head[3] == NGHTTP2_HEADERS || head[3] == NGHTTP2_CONTINUATION) && head[4] & NGHTTP2_FLAG_END_HEADERS;
}

size_t cre__h2_frames_cut(cre__h2_frames *frames, const uint8_t *data, size_t length) {
    const uint8_t *at = data, *end = data + length;
    while (frames->left <= (size_t)(end - at)) {
        at += frames->left;
        frames->left = 0;
        if (frames->ends_head) {
            frames->ends_head = false;
            return (size_t)(at - data);
        }
        size_t piece = sizeof frames->head - frames->head_length;
        if (!frames->head_length && piece <= (size_t)(end - at)) { /* mostly, all of it is here */
            begin(frames, at);
            at += piece;
            continue;
        }
        if (piece > (size_t)(end - at)) piece = (size_t)(end - at);
        if (!piece) return length;
        memcpy(frames->head + frames->head_length, at, piece);
        at += piece;
        frames->head_length += (uint8_t)piece;
        if (frames->head_length < sizeof frames->head) return length;
        frames->head_length = 0;
        begin(frames, frames->head);
    }
    frames->left -= (uint32_t)(end - at);
    return length;
}

#endif
