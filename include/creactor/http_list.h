/* Values that are lists: "Upgrade: h2c, websocket", over one field line or several of the same name. */
#ifndef CREACTOR_HTTP_LIST_H
#define CREACTOR_HTTP_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "http_head.h"

/** Walks the elements of a list field. The members are private. */
typedef struct cre_http_list {
    const cre_http_head *head;
    const cre_http_field *fields, *field;
    const uint8_t *bytes;
    const char *name;
    size_t name_length;
    const char *at, *end;
} cre_http_list;

CRE_BEGIN_DECLS

/** Starts at the first element of the fields called `lowercase_name`, of which all arguments stay in use. */
CRE_API void cre_http_list_of(cre_http_list *list, const cre_http_head *head, const cre_http_field *fields,
                              const uint8_t *head_bytes, const char *lowercase_name, size_t name_length);

/** Starts at the first element of one value. */
CRE_API void cre_http_list_of_value(cre_http_list *list, const char *value, size_t length);

/** The next element without white space around it, as a part of the head's bytes; empty ones are skipped,
 * commas in quoted strings do not separate. False at the end. */
CRE_API bool cre_http_list_next(cre_http_list *list, const char **element, size_t *length);

/** True when the list field has this element; letter case does not matter. */
CRE_API bool cre_http_list_has(const cre_http_head *head, const cre_http_field *fields,
                               const uint8_t *head_bytes, const char *lowercase_name, size_t name_length,
                               const char *lowercase_element, size_t element_length);

CRE_END_DECLS

#endif
