/* Responses as commands carry them. */
#include "engine/response.h"

#include <creactor/error.h>

#include "engine/slices.h"

int cre__response_read(cre__response *response, cre_slice *parts, int count) {
    cre_response head;
    if (!cre__slices_take(&head, sizeof head, parts, count)) return CRE_EINVALID;
    if (head.status < 200 || head.status > 999) return CRE_EINVALID;
    *response = (cre__response){ .status = head.status };
    /* The fields lie in one part; whatever follows them is the body. */
    for (int i = 0; i < count && head.fields_length; i++) {
        if (!parts[i].length) continue;
        if (parts[i].length < head.fields_length) return CRE_EINVALID;
        response->fields = (cre_slice){ parts[i].data, head.fields_length };
        parts[i].data += head.fields_length;
        parts[i].length -= head.fields_length;
        return 0;
    }
    return head.fields_length ? CRE_EINVALID : 0;
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
