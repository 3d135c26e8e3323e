/* Field values that are lists ("Upgrade: h2c, websocket"), over one or several field lines of the same name.
 */
#ifndef CREACTOR_HTTP_LIST_H
#define CREACTOR_HTTP_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "http_head.h"

/** An iterator over the elements of a list. Fields are private. */
typedef struct cre_http_list {
    const cre_http_head *head;
    const cre_http_field *fields, *field;
    const uint8_t *bytes;
    const char *name;
    size_t name_length;
    const char *at, *end;
} cre_http_list;

CRE_BEGIN_DECLS

/** Starts an iterator at the first element of the fields named `lowercase_name`. All arguments are borrowed
 * as long as it is used. One thread at a time for each iterator. */
CRE_API void cre_http_list_of(cre_http_list *list, const cre_http_head *head, const cre_http_field *fields,
                              const uint8_t *head_bytes, const char *lowercase_name, size_t name_length);

/** Starts an iterator at the first element of one value, which is borrowed as long as it is used. */
CRE_API void cre_http_list_of_value(cre_http_list *list, const char *value, size_t length);

/** Finds the next element, without surrounding white space, as a part of the head or value; empty elements
 * are skipped, and commas in quoted strings do not separate. False at the end. */
CRE_NODISCARD CRE_API bool cre_http_list_next(cre_http_list *list, const char **element, size_t *length);

/** Whether the list has this element; letter case does not matter. Any thread. */
CRE_NODISCARD CRE_API bool cre_http_list_has(const cre_http_head *head, const cre_http_field *fields,
                                             const uint8_t *head_bytes, const char *lowercase_name,
                                             size_t name_length, const char *lowercase_element,
                                             size_t element_length);

CRE_END_DECLS

#endif
