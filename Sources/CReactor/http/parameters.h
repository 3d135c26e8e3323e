/* Parameters after a value: `form-data; name="a"; filename="b.txt"`. */
#ifndef CRE_HTTP_PARAMETERS_H
#define CRE_HTTP_PARAMETERS_H

#include <stddef.h>

typedef struct cre__parameter {
    const char *name, *value;
    size_t name_length, value_length;
    int quoted; /* the value was quoted and may have escapes; it does not include the quotes */
} cre__parameter;

/* Moves *at past the value up to its first parameter and returns the value's length without white space. */
size_t cre__parameters_start(const char **at, const char *end);

/* Reads the next parameter: 1, 0 at the end, -1 when the text is malformed. */
int cre__parameters_next(const char **at, const char *end, cre__parameter *parameter);

#endif
