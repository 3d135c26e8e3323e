/* Requests as events carry them. */
#include <creactor/error.h>
#include <creactor/record.h>
#include <string.h>

/* A head at any address. It may be in memory that another process writes: what is checked is what is used. */
typedef cre_http_head unaligned_head __attribute__((aligned(1)));

int cre_request_view_init(cre_request_view *view, const uint8_t *payload, uint32_t length) {
    const unaligned_head *head = (const void *)payload;
    if (length < sizeof *head) return CRE_EINVALID;
    size_t fields = head->field_count * sizeof(cre_http_field),
           prefix = sizeof *head + fields + head->head_length;
    if (prefix > length) return CRE_EINVALID;
    view->head = (const cre_http_head *)(const void *)payload;
    view->fields = (const cre_http_field *)(const void *)(payload + sizeof *head);
    view->bytes = payload + sizeof *head + fields;
    view->certificate = NULL;
    view->certificate_length = 0;
    if (head->flags & CRE_HTTP_CLIENT_CERTIFICATE) {
        uint32_t size;
        if (length - prefix < sizeof size) return CRE_EINVALID;
        memcpy(&size, payload + prefix, sizeof size);
        prefix += sizeof size;
        if (length - prefix < size) return CRE_EINVALID;
        view->certificate = payload + prefix;
        view->certificate_length = size;
        prefix += size;
    }
    view->body = payload + prefix;
    view->body_length = (uint32_t)(length - prefix);
    return 0;
}

/* Whether `length` bytes at `at` are among the first `end`. */
static inline bool lies_within(uint32_t at, uint32_t length, uint32_t end) {
    return at + length <= end;
}

bool cre_request_view_is_whole(const cre_request_view *view) {
    const cre_http_head *head = view->head;
    const uint32_t end = head->head_length;
    bool whole = lies_within(head->method_start, head->method_length, end) &&
                 lies_within(head->target, head->target_length, end) &&
                 lies_within(head->path, head->path_length, end) &&
                 lies_within(head->query, head->query_length, end) &&
                 lies_within(head->host, head->host_length, end);
    for (uint32_t i = 0; i < head->field_count; i++)
        whole &= lies_within(view->fields[i].name, view->fields[i].name_length, end) &&
                 lies_within(view->fields[i].value, view->fields[i].value_length, end);
    return whole;
}

bool cre_request_is(const uint8_t *payload, uint32_t length, const char *path) {
    const unaligned_head *head = (const void *)payload;
    cre_request_view view;
    if (length < sizeof *head) return false;
    const size_t fields = head->field_count * sizeof(cre_http_field), prefix = sizeof *head + fields;
    const size_t at = head->path, size = head->path_length, bytes = head->head_length;
    if (at + size > bytes || prefix + bytes > length) return false;
    if (head->flags & CRE_HTTP_CLIENT_CERTIFICATE && cre_request_view_init(&view, payload, length))
        return false;
    return strlen(path) == size && memcmp(payload + prefix + at, path, size) == 0;
}
