/* Responses as commands carry them. */
#include "engine/response.h"

#include <creactor/error.h>
#include <creactor/http_head.h>
#include <creactor/http_write.h>

#include "engine/slices.h"

/* Takes bytes that lie in one part; whatever follows them stays. */
static int take_bytes(size_t length, cre_slice *parts, int count, cre_slice *bytes) {
    for (int i = 0; i < count && length; i++) {
        if (!parts[i].length) continue;
        if (parts[i].length < length) return CRE_EINVALID;
        *bytes = (cre_slice){ parts[i].data, length };
        parts[i].data += length;
        parts[i].length -= length;
        return 0;
    }
    return length ? CRE_EINVALID : 0;
}

int cre__response_read(cre__response *response, cre_slice *parts, int count) {
    cre_response head;
    if (!cre__slices_take(&head, sizeof head, parts, count)) return CRE_EINVALID;
    if (head.status < 200 || head.status > 999 || head.flags & ~CRE_RESPONSE_TEXT) return CRE_EINVALID;
    *response = (cre__response){ .status = head.status, .text = head.flags & CRE_RESPONSE_TEXT };
    return take_bytes(head.fields_length, parts, count, &response->fields);
}

int cre__upgrade_read(cre__upgrade *upgrade, cre_slice *parts, int count) {
    cre_upgrade head;
    *upgrade = (cre__upgrade){ .fields.length = 0 };
    if (!cre__slices_take(&head, sizeof head, parts, count)) return CRE_EINVALID;
    if (head.chosen > 1 || head.subprotocol_length > (head.chosen ? CRE_MAX_SUBPROTOCOL : 0) ||
        head.fields_length > CRE_HTTP_MAX_HEAD || head.data_length > CRE_MAX_USER_DATA ||
        !cre__slices_take(upgrade->subprotocol, head.subprotocol_length, parts, count))
        return CRE_EINVALID;
    upgrade->chosen = head.chosen;
    int result = take_bytes(head.fields_length, parts, count, &upgrade->fields);
    if (!result) result = take_bytes(head.data_length, parts, count, &upgrade->data);
    if (result || cre__slices_length(parts, count) || strlen(upgrade->subprotocol) < head.subprotocol_length)
        return CRE_EINVALID;
    return cre_http_fields_check(upgrade->fields.data, upgrade->fields.length);
}

int cre__trailers_read(cre_slice *trailers, cre_slice *parts, int count) {
    cre_trailers head;
    *trailers = (cre_slice){ 0 };
    if (!cre__slices_take(&head, sizeof head, parts, count)) return CRE_EINVALID;
    if (head.fields_length > CRE_HTTP_MAX_HEAD) return CRE_ELIMIT;
    int result = take_bytes(head.fields_length, parts, count, trailers);
    return result ? result : cre_http_fields_check(trailers->data, trailers->length);
}

int cre__file_response_read(cre__file_response *response, cre_slice *parts, int count) {
    int result = cre__response_read(&response->head, parts, count);
    if (result) return result;
    if (!cre__slices_take(&response->range, sizeof response->range, parts, count)) return CRE_EINVALID;
    size_t length = cre__slices_length(parts, count);
    if (!length || length > CRE_MAX_PATH || !cre__slices_take(response->path, length, parts, count))
        return CRE_EINVALID;
    response->path[length] = 0;
    return strlen(response->path) == length ? 0 : CRE_EINVALID;
}
