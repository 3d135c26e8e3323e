/* Requests as events carry them. */
#include <creactor/error.h>
#include <creactor/record.h>
#include <string.h>

/* A head at any address. Its members are read once, since it may be in memory that another process writes. */
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
