/* Percent-encoding, paths and queries. Bodies of application/x-www-form-urlencoded have the form of queries.
 */
#ifndef CREACTOR_HTTP_URI_H
#define CREACTOR_HTTP_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "export.h"

/** An iterator over the pairs of "a=1&b=2". Fields are private. */
typedef struct cre_http_query {
    const char *at, *end;
    size_t left; /* pairs that may follow */
} cre_http_query;

/** A pair as sent, as parts of the text. cre_http_form_decode decodes them. */
typedef struct cre_http_pair {
    const char *name, *value;         /* not terminated */
    size_t name_length, value_length; /* in bytes */
} cre_http_pair;

CRE_BEGIN_DECLS

/**
 * Decodes %XX into `out`, which has `length` bytes and may be `text` itself. Returns the decoded length,
 * CRE_EHTTP_ENCODING when a '%' is not followed by two hex digits, or CRE_ELIMIT for lengths above INT32_MAX.
 * Any thread, like all functions of this header.
 */
CRE_NODISCARD CRE_API int cre_http_percent_decode(const char *text, size_t length, char *out);

/** Decodes %XX, and '+' as a space, as in queries and forms. Otherwise like cre_http_percent_decode. */
CRE_NODISCARD CRE_API int cre_http_form_decode(const char *text, size_t length, char *out);

/** Encodes all bytes but letters, digits and "-._~" into `out`, which has `capacity` bytes. Returns the
 * encoded length or CRE_ELIMIT. */
CRE_NODISCARD CRE_API int cre_http_percent_encode(const char *text, size_t length, char *out,
                                                  size_t capacity);

/**
 * Converts the path of a target to one that is safe to look up: %XX is decoded, "." and ".." segments are
 * resolved, repeated slashes are merged. `out` has `length` bytes and may be `path`. Returns the length of
 * the result, which starts with '/'; CRE_EHTTP_ENCODING for a malformed escape or an encoded NUL, '/' or '\';
 * CRE_EHTTP_BAD_TARGET when the path does not start with '/' or leaves the root.
 */
CRE_NODISCARD CRE_API int cre_http_path_resolve(const char *path, size_t length, char *out);

/** Starts an iterator at the first pair of a query or form body, which is borrowed as long as it is used. It
 * returns at most `max_pairs` (0: 1000). One thread at a time for each iterator. */
CRE_API void cre_http_query_of(cre_http_query *query, const char *text, size_t length, size_t max_pairs);

/** Reads the next pair. Returns 1 and sets *pair, 0 at the end, or CRE_ELIMIT when there are more pairs than
 * allowed. Empty pairs are skipped; without '=' the value is empty. */
CRE_NODISCARD CRE_API int cre_http_query_next(cre_http_query *query, cre_http_pair *pair);

/**
 * Finds the first pair whose decoded name is `name`. Returns the length of its decoded value, written to
 * `out`, which has `capacity` bytes; CRE_EHTTP_NOT_FOUND, CRE_EHTTP_ENCODING or CRE_ELIMIT.
 */
CRE_NODISCARD CRE_API int cre_http_query_get(const char *text, size_t length, const char *name,
                                             size_t name_length, char *out, size_t capacity);

CRE_END_DECLS

#endif
