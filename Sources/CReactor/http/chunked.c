/* The decoder of the chunked transfer coding. */
#include <creactor/error.h>
#include <creactor/http_chunked.h>

#include "chars.h"

enum {
    SIZE,      /* hex digits */
    EXTENSION, /* up to the line's end */
    SPACE,     /* white space before an extension */
    SIZE_LF,   /* after the CR */
    BODY,
    BODY_CR, /* after a chunk's data */
    BODY_LF,
    LINE, /* start of a trailer line, or of the last line */
    NAME,
    VALUE,
    VALUE_LF,
    LAST_LF,
    DONE
};

void cre_http_chunked_init(cre_http_chunked *decoder) {
    *decoder = (cre_http_chunked){
        .room = CRE_HTTP_CHUNKED_UNLIMITED,
        .overhead = CRE_HTTP_CHUNKED_OVERHEAD,
        .state = SIZE,
    };
}

void cre_http_chunked_set_limit(cre_http_chunked *decoder, uint64_t limit) {
    decoder->room = limit && limit < CRE_HTTP_CHUNKED_UNLIMITED ? limit : CRE_HTTP_CHUNKED_UNLIMITED;
}

void cre_http_chunked_report_trailers(cre_http_chunked *decoder) {
    decoder->reports_trailers = true;
}

/* Takes one byte outside of chunk data. Returns 0 or an error. */
static int step(cre_http_chunked *decoder, uint8_t byte) {
    switch (decoder->state) {
    case SIZE: {
        int digit = cre__hex[byte];
        if (digit >= 0) {
            /* Leading zeros count as digits, or a size could be extended without end. */
            if (decoder->digits == 16) return decoder->left ? CRE_EHTTP_BODY_TOO_LARGE : CRE_EHTTP_CHUNK;
            decoder->digits++;
            decoder->left = decoder->left << 4 | (unsigned)digit;
            return decoder->left > decoder->room ? CRE_EHTTP_BODY_TOO_LARGE : 0;
        }
        if (!decoder->digits) return CRE_EHTTP_CHUNK;
        if (byte == '\r')
            decoder->state = SIZE_LF;
        else if (byte == ';')
            decoder->state = EXTENSION;
        else if (byte == ' ' || byte == '\t')
            decoder->state = SPACE;
        else
            return CRE_EHTTP_CHUNK;
        return 0;
    }
    case SPACE:
        if (byte == ';')
            decoder->state = EXTENSION;
        else if (byte != ' ' && byte != '\t')
            return CRE_EHTTP_CHUNK;
        return 0;
    case EXTENSION:
        if (byte == '\r')
            decoder->state = SIZE_LF;
        else if (!cre__is(byte, CRE__VALUE))
            return CRE_EHTTP_CHUNK;
        return 0;
    case SIZE_LF:
        if (byte != '\n') return CRE_EHTTP_CHUNK;
        decoder->digits = 0;
        decoder->room -= decoder->left;
        decoder->state = decoder->left ? BODY : LINE;
        return 0;
    case BODY_CR:
        if (byte != '\r') return CRE_EHTTP_CHUNK;
        decoder->state = BODY_LF;
        return 0;
    case BODY_LF:
        if (byte != '\n') return CRE_EHTTP_CHUNK;
        decoder->state = SIZE;
        return 0;
    case LINE:
        if (byte == '\r')
            decoder->state = LAST_LF;
        else if (cre__is(byte, CRE__TOKEN))
            decoder->state = NAME;
        else
            return CRE_EHTTP_TRAILER;
        return 0;
    case NAME:
        if (byte == ':')
            decoder->state = VALUE;
        else if (!cre__is(byte, CRE__TOKEN))
            return CRE_EHTTP_TRAILER;
        return 0;
    case VALUE:
        if (byte == '\r')
            decoder->state = VALUE_LF;
        else if (!cre__is(byte, CRE__VALUE))
            return CRE_EHTTP_TRAILER;
        return 0;
    case VALUE_LF:
        if (byte != '\n') return CRE_EHTTP_TRAILER;
        decoder->state = LINE;
        return 0;
    case LAST_LF:
        if (byte != '\n') return CRE_EHTTP_TRAILER;
        decoder->state = DONE;
        return 0;
    default: return CRE_EHTTP_CHUNK;
    }
}

/* Whether bytes in this state count against the limit of extensions and trailers. */
static bool costs(uint8_t state) {
    return state == EXTENSION || state == SPACE || (state >= LINE && state <= VALUE_LF);
}

/* Takes trailer lines, up to the line that ends them. Returns 0 or an error. */
static int take_trailers(cre_http_chunked *decoder, const uint8_t **at, const uint8_t *end) {
    while (*at < end && !(decoder->state == LINE && **at == '\r')) {
        if (!decoder->overhead) return CRE_EHTTP_OVERHEAD;
        decoder->overhead--;
        int error = step(decoder, **at);
        if (error) return error;
        ++*at;
    }
    return 0;
}

int cre_http_chunked_next(cre_http_chunked *decoder, const uint8_t **cursor, const uint8_t *end,
                          const uint8_t **data, size_t *length) {
    for (const uint8_t *at = *cursor;;) {
        if (decoder->state == DONE) {
            *cursor = at;
            return CRE_HTTP_CHUNKED_END;
        }
        if (at == end) {
            *cursor = at;
            return CRE_HTTP_CHUNKED_MORE;
        }
        if (decoder->state == BODY) {
            size_t run = (size_t)(end - at);
            if (run > decoder->left) run = (size_t)decoder->left;
            decoder->left -= run;
            if (!decoder->left) decoder->state = BODY_CR;
            *data = at;
            *length = run;
            *cursor = at + run;
            return CRE_HTTP_CHUNKED_DATA;
        }
        if (decoder->reports_trailers && decoder->state >= LINE && decoder->state <= VALUE_LF) {
            const uint8_t *start = at;
            int error = take_trailers(decoder, &at, end);
            if (error) return error;
            if (at > start) {
                *data = start;
                *length = (size_t)(at - start);
                *cursor = at;
                return CRE_HTTP_CHUNKED_TRAILER;
            }
        }
        if (costs(decoder->state)) {
            if (!decoder->overhead) return CRE_EHTTP_OVERHEAD;
            decoder->overhead--;
        }
        int error = step(decoder, *at);
        if (error) return error;
        at++;
    }
}

size_t cre_http_chunk_head(char out[CRE_HTTP_CHUNK_HEAD_MAX], uint64_t length) {
    size_t digits = 1;
    for (uint64_t rest = length >> 4; rest; rest >>= 4)
        digits++;
    for (size_t i = digits; i-- > 0; length >>= 4)
        out[i] = "0123456789abcdef"[length & 15];
    out[digits] = '\r';
    out[digits + 1] = '\n';
    return digits + 2;
}
