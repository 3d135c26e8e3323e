/* UTF-8 validation of whole texts, and of texts that arrive in pieces. */
#ifndef CREACTOR_WEBSOCKET_UTF8_H
#define CREACTOR_WEBSOCKET_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

/** Whether `data` is valid UTF-8 (no surrogates, no overlong forms, at most U+10FFFF) and ends with a
 * complete code point. `data` is borrowed for the call and may be NULL when `length` is 0. Any thread. */
CRE_NODISCARD CRE_API bool cre_utf8_valid(const uint8_t *data, size_t length);

/** The unfinished code point at the end of the last piece. All zero is the start of a text. Fields are
 * private. */
typedef struct cre_utf8 {
    uint8_t need;      /* continuation bytes that must follow */
    uint8_t low, high; /* the range of the next one */
} cre_utf8;

/**
 * Validates the next piece of a text. `data` is borrowed for the call and may be NULL when `length` is 0.
 * Returns false when no further bytes can make the text valid, so an invalid byte is found in its own piece;
 * the state must then be set to zero before it is used again. One thread at a time for each state.
 */
CRE_NODISCARD CRE_API bool cre_utf8_feed(cre_utf8 *state, const uint8_t *data, size_t length);

/** Whether the text may end here, without an unfinished code point. */
static inline bool cre_utf8_complete(const cre_utf8 *state) {
    return state->need == 0;
}

CRE_END_DECLS

#endif
