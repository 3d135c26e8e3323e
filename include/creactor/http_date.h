/* Dates in HTTP's format ("Sun, 06 Nov 1994 08:49:37 GMT"). The time comes from the caller. */
#ifndef CREACTOR_HTTP_DATE_H
#define CREACTOR_HTTP_DATE_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"

enum { CRE_HTTP_DATE_LENGTH = 29 };

CRE_BEGIN_DECLS

/** Writes 29 characters and no terminator. `seconds` since 1970, within the years 1970 to 9999, else clamped.
 */
CRE_API void cre_http_date(char out[CRE_HTTP_DATE_LENGTH], int64_t seconds);

/** Reads a date in the above format, or one of the two obsolete ones that RFC 9110 asks recipients to know
 * (RFC 850 with years 1970 to 2069, asctime). Returns the seconds since 1970, or -1 when it is none. */
CRE_API int64_t cre_http_date_parse(const char *text, size_t length);

CRE_END_DECLS

#endif
