/* Text written to a buffer of fixed size. Errors are recorded, so one check at the end is enough. */
#ifndef CRE_HTTP_OUT_H
#define CRE_HTTP_OUT_H

#include <creactor/error.h>
#include <creactor/http_write.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct cre__out {
    char *start, *at, *end;
    int error;
} cre__out;

static inline cre__out cre__out_make(char *room, size_t capacity) {
    if (capacity > INT_MAX) capacity = INT_MAX;
    return (cre__out){ room, room, room + capacity, 0 };
}

static inline void cre__put(cre__out *out, const char *text, size_t length) {
    if ((size_t)(out->end - out->at) < length) {
        /* the buffer counts as full from here on, so that no later text follows a gap */
        out->end = out->at;
        if (length && !out->error) out->error = CRE_ELIMIT;
        return;
    }
    if (length) memcpy(out->at, text, length);
    out->at += length;
}

/* For string constants. */
#define cre__put_text(out, text) cre__put(out, text, sizeof(text) - 1)

static inline void cre__put_string(cre__out *out, const char *text) {
    cre__put(out, text, strlen(text));
}

void cre__put_number(cre__out *out, uint64_t number);

/* Writes a field line. Invalid names and values become CRE_EHTTP_INVALID_FIELD. */
void cre__put_field(cre__out *out, const cre_http_header *field);

/* Writes a field line with a valid name and a terminated value. NULL writes nothing. */
void cre__put_named(cre__out *out, const char *name, const char *value);

/* The number of bytes written, or the first error. */
static inline int cre__out_result(const cre__out *out) {
    return out->error ? out->error : (int)(out->at - out->start);
}

/* Whether a field frames the message, so that only the library writes it. */
bool cre__frames_message(const cre_http_header *field);

#endif
