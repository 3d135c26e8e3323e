/*
 * Errors.
 *
 * A function that can fail returns 0 or a positive result when it succeeds and a negative int when it fails.
 * System errors are negated errno values (-ECONNRESET), the library's own start at -1000 in bands by layer.
 * When a function that takes a callback returns an error, that callback is never called.
 */
#ifndef CREACTOR_ERROR_H
#define CREACTOR_ERROR_H

#include "export.h"

/* XX(name, number, message): the one list of the library's own errors. */
#define CRE_ERROR_MAP(XX)                              \
    /* general */                                      \
    XX(NOMEM, -1000, "out of memory")                  \
    XX(INVALID, -1001, "invalid argument")             \
    XX(STATE, -1002, "not possible in this state")     \
    XX(LIMIT, -1003, "a configured limit was reached") \
    XX(UNSUPPORTED, -1004, "not supported by this build or system")

typedef enum cre_error {
#define XX(name, number, message) CRE_E##name = (number),
    CRE_ERROR_MAP(XX)
#undef XX
} cre_error;

CRE_BEGIN_DECLS

/** The symbolic name of an error ("CRE_ENOMEM", "ECONNRESET"), "CRE_EUNKNOWN" for other numbers; a static
 * string. */
CRE_API const char *cre_error_name(int error);

/** One line for people ("out of memory"); a static string, except that unknown system errors may share one
 * thread-local buffer. Any thread. */
CRE_API const char *cre_error_message(int error);

CRE_END_DECLS

#endif
