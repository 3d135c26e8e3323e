/* Percent-encoding, paths and queries; application/x-www-form-urlencoded bodies have the same form as
 * queries. */
#ifndef CREACTOR_HTTP_URI_H
#define CREACTOR_HTTP_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "export.h"

/** Walks "a=1&b=2". The members are private. */
typedef struct cre_http_query {
    const char *at, *end;
    size_t left; /* pairs that may still come */
} cre_http_query;

/** A pair as sent; parts of the walked text. Decode with cre_http_form_decode. */
typedef struct cre_http_pair {
    const char *name, *value;
    size_t name_length, value_length;
} cre_http_pair;

CRE_BEGIN_DECLS

/**
 * Decodes %XX. `out` has room for `length` bytes and may be `text` itself. Returns the decoded length, or
 * CRE_EHTTP_ENCODING when a '%' is not followed by two hex digits. Lengths are up to INT32_MAX, else
 * CRE_ELIMIT.
 */
CRE_API int cre_http_percent_decode(const char *text, size_t length, char *out);

/** The same, and '+' becomes a space (queries and forms). */
CRE_API int cre_http_form_decode(const char *text, size_t length, char *out);

/** Encodes all but letters, digits and "-._~". `out` has room for `capacity` bytes. Returns the encoded
 * length or CRE_ELIMIT. */
CRE_API int cre_http_percent_encode(const char *text, size_t length, char *out, size_t capacity);

/**
 * Turns the path of a target into one that is safe to look up: %XX decoded, "." and ".." segments resolved,
 * repeated slashes made one. `out` has room for `length` bytes and may be `path`. Returns the length of the
 * result, which starts with '/'; CRE_EHTTP_ENCODING for a bad escape or a decoded NUL, CRE_EHTTP_BAD_TARGET
 * when the path does not start with '/' or climbs above the root. A decoded '/' or '\' (%2F, %5C) is refused
 * as CRE_EHTTP_ENCODING.
 */
CRE_API int cre_http_path_resolve(const char *path, size_t length, char *out);

/** Starts at the first pair of a query or form body; at most `max_pairs` are given out (0: 1000). */
CRE_API void cre_http_query_of(cre_http_query *query, const char *text, size_t length, size_t max_pairs);

/** 1 and the next pair (empty ones are skipped; without '=' the value is empty), 0 at the end, CRE_ELIMIT
 * when there are more pairs than allowed. */
CRE_API int cre_http_query_next(cre_http_query *query, cre_http_pair *pair);

/**
 * The first pair whose decoded name is `name`. Returns the length of its decoded value, written to `out`
 * (room for `capacity` bytes); CRE_EHTTP_NOT_FOUND, CRE_EHTTP_ENCODING or CRE_ELIMIT.
 */
CRE_API int cre_http_query_get(const char *text, size_t length, const char *name, size_t name_length,
                               char *out, size_t capacity);

CRE_END_DECLS

#endif
