/* Strings as slices. */
#ifndef CRE_TEXT_H
#define CRE_TEXT_H

#include <creactor/buffer.h>
#include <string.h>

/* The bytes of a string, without its end. */
static inline cre_slice text(const char *string) {
    return (cre_slice){ (const uint8_t *)string, strlen(string) };
}

#endif
