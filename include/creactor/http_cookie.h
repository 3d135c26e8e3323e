/* Cookies: reading the Cookie field, writing Set-Cookie (RFC 6265). */
#ifndef CREACTOR_HTTP_COOKIE_H
#define CREACTOR_HTTP_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "export.h"
#include "http_head.h"
#include "http_uri.h"

/** An iterator over the cookies ("a=1; b=2") of all Cookie fields of a head. Fields are private. */
typedef struct cre_http_cookies {
    const cre_http_head *head;
    const cre_http_field *fields, *field;
    const uint8_t *bytes;
    const char *at, *end;
} cre_http_cookies;

/** The attribute SameSite of a cookie. */
typedef enum cre_http_same_site {
    CRE_HTTP_SAME_SITE_UNSET = 0, /* without the attribute */
    CRE_HTTP_SAME_SITE_LAX,       /* SameSite=Lax */
    CRE_HTTP_SAME_SITE_STRICT,    /* SameSite=Strict */
    CRE_HTTP_SAME_SITE_NONE       /* browsers require `secure` with it */
} cre_http_same_site;

/** A cookie to set. Strings are terminated and borrowed; attributes that are NULL are omitted. */
typedef struct cre_http_set_cookie {
    const char *name;  /* a token */
    const char *value; /* cookie octets: no control characters, white space, quotes, commas, semicolons,
                          backslashes */
    const char *path, *domain;           /* the attributes Path and Domain */
    int64_t expires;                     /* seconds since 1970; 0: none */
    int64_t max_age;                     /* seconds; -1: none */
    bool secure, http_only, partitioned; /* the attributes Secure, HttpOnly and Partitioned */
    cre_http_same_site same_site;        /* the attribute SameSite */
} cre_http_set_cookie;

CRE_BEGIN_DECLS

/** Starts an iterator at the first cookie of the head. All arguments are borrowed as long as it is used. One
 * thread at a time for each iterator. */
CRE_API void cre_http_cookies_of(cre_http_cookies *cookies, const cre_http_head *head,
                                 const cre_http_field *fields, const uint8_t *head_bytes);

/** Reads the next cookie as sent, without quotes around the value; parts without '=' are skipped. False at
 * the end. *pair points into the head. */
CRE_NODISCARD CRE_API bool cre_http_cookies_next(cre_http_cookies *cookies, cre_http_pair *pair);

/** Writes the value of a Set-Cookie field. Returns its length, CRE_ELIMIT or CRE_EHTTP_INVALID_FIELD. Any
 * thread. */
CRE_NODISCARD CRE_API int cre_http_write_cookie(char *out, size_t capacity,
                                                const cre_http_set_cookie *cookie);

CRE_END_DECLS

#endif
