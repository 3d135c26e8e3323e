/* List-valued fields. */
#include <creactor/http_list.h>

#include "chars.h"

void cre_http_list_of(cre_http_list *list, const cre_http_head *head, const cre_http_field *fields,
                      const uint8_t *head_bytes, const char *lowercase_name, size_t name_length) {
    *list = (cre_http_list){ .head = head,
                             .fields = fields,
                             .bytes = head_bytes,
                             .name = lowercase_name,
                             .name_length = name_length };
}

void cre_http_list_of_value(cre_http_list *list, const char *value, size_t length) {
    *list = (cre_http_list){ .at = value, .end = value + length };
}

static bool next_line(cre_http_list *list) {
    if (!list->head) return false;
    const cre_http_field *field =
        cre_http_find_next(list->head, list->fields, list->bytes, list->name, list->name_length, list->field);
    if (!field) return false;
    list->field = field;
    list->at = (const char *)list->bytes + field->value;
    list->end = list->at + field->value_length;
    return true;
}

bool cre_http_list_next(cre_http_list *list, const char **element, size_t *length) {
    for (;;) {
        if (list->at == list->end) {
            if (next_line(list)) continue;
            list->head = NULL;
            return false;
        }
        const char *at = list->at, *start, *end;
        while (at < list->end && (*at == ' ' || *at == '\t' || *at == ','))
            at++;
        start = at;
        for (bool quoted = false; at < list->end && (quoted || *at != ','); at++) {
            if (*at == '"')
                quoted = !quoted;
            else if (quoted && *at == '\\' && at + 1 < list->end)
                at++;
        }
        end = list->at = at;
        while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        if (end == start) continue;
        *element = start;
        *length = (size_t)(end - start);
        return true;
    }
}

bool cre_http_list_has(const cre_http_head *head, const cre_http_field *fields, const uint8_t *head_bytes,
                       const char *lowercase_name, size_t name_length, const char *lowercase_element,
                       size_t element_length) {
    cre_http_list list;
    const char *element;
    size_t length;
    cre_http_list_of(&list, head, fields, head_bytes, lowercase_name, name_length);
    while (cre_http_list_next(&list, &element, &length))
        if (length == element_length && cre__same(element, lowercase_element, length)) return true;
    return false;
}
