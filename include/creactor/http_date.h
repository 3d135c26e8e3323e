/* Dates in HTTP's format ("Sun, 06 Nov 1994 08:49:37 GMT"). The time comes from the caller. */
#ifndef CREACTOR_HTTP_DATE_H
#define CREACTOR_HTTP_DATE_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"

/** Characters of a date. */
enum { CRE_HTTP_DATE_LENGTH = 29 };

CRE_BEGIN_DECLS

/** Writes a date of 29 characters, without a terminator. `seconds` count from 1970 and are clamped to the
 * years 1970 to 9999. Any thread. */
CRE_API void cre_http_date(char out[CRE_HTTP_DATE_LENGTH], int64_t seconds);

/** Parses a date in this format or in one of the two obsolete ones of RFC 9110 (RFC 850 with years 1970 to
 * 2069, asctime). Returns the seconds since 1970, or -1 for an invalid date. Any thread. */
CRE_NODISCARD CRE_API int64_t cre_http_date_parse(const char *text, size_t length);

CRE_END_DECLS

#endif
