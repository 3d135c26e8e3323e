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

static bool is_valid(const cre_response *head) {
    return head->status >= 200 && head->status <= 999 && !(head->flags & ~CRE_RESPONSE_TEXT) &&
           head->fields_length <= CRE_HTTP_MAX_HEAD;
}

int cre__response_read(cre__response *response, cre_slice *parts, int count) {
    cre_response head;
    if (!cre__slices_take(&head, sizeof head, parts, count) || !is_valid(&head)) return CRE_EINVALID;
    *response = (cre__response){ .status = head.status, .text = head.flags & CRE_RESPONSE_TEXT };
    return take_bytes(head.fields_length, parts, count, &response->fields);
}

int cre__response_read_whole(cre__response *response, const cre_slice *whole, cre_slice *body) {
    cre_response head;
    if (whole->length < sizeof head) return CRE_EINVALID;
    memcpy(&head, whole->data, sizeof head);
    const size_t behind = sizeof head + (size_t)head.fields_length;
    if (!is_valid(&head) || whole->length < behind) return CRE_EINVALID;
    *response = (cre__response){ .status = head.status,
                                 .text = head.flags & CRE_RESPONSE_TEXT,
                                 .fields = { whole->data + sizeof head, head.fields_length } };
    *body = (cre_slice){ whole->data + behind, whole->length - behind };
    return 0;
}

int cre__interim_read(cre__response *response, cre_slice *parts, int count) {
    cre_response head;
    if (!cre__slices_take(&head, sizeof head, parts, count)) return CRE_EINVALID;
    if (head.status < 102 || head.status > 199 || head.flags || head.fields_length > CRE_HTTP_MAX_HEAD)
        return CRE_EINVALID;
    *response = (cre__response){ .status = head.status };
    int result = take_bytes(head.fields_length, parts, count, &response->fields);
    return result || cre__slices_length(parts, count) ? CRE_EINVALID : 0;
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

/* Takes a text without NULs and terminates it; `text` has room for CRE_MAX_PATH bytes and that. */
static bool take_path(char *text, size_t length, cre_slice *parts, int count) {
    if (!length || length > CRE_MAX_PATH || !cre__slices_take(text, length, parts, count)) return false;
    text[length] = 0;
    return strlen(text) == length;
}

/* Whether the parts lie within the file, and their texts have the given length; adds everything up. */
static bool measure_parts(cre__folder_response *response) {
    uint64_t texts = 0;
    response->length = 0;
    for (unsigned i = 0; i < response->file.part_count; i++) {
        const cre_file_part *part = &response->parts[i];
        uint64_t size = response->file.info.size;
        if (part->range.offset > size || part->range.length > size - part->range.offset) return false;
        texts += part->text_length;
        if (__builtin_add_overflow(response->length, part->range.length, &response->length) ||
            __builtin_add_overflow(response->length, part->text_length, &response->length))
            return false;
    }
    return texts == response->file.text_length;
}

int cre__folder_response_read(cre__folder_response *response, cre_slice *parts, int count) {
    int result = cre__response_read(&response->head, parts, count);
    if (result) return result;
    cre_folder_file *file = &response->file;
    if (!cre__slices_take(file, sizeof *file, parts, count) || file->part_count > CRE_MAX_FILE_PARTS ||
        file->symlinks > CRE_SYMLINKS_FOLLOWED || file->text_length > CRE_HTTP_MAX_HEAD ||
        !cre__slices_take(response->parts, file->part_count * sizeof *response->parts, parts, count) ||
        !measure_parts(response))
        return CRE_EINVALID;
    response->texts = (cre_slice){ .length = 0 };
    result = take_bytes(file->text_length, parts, count, &response->texts);
    if (result) return result;
    if (!take_path(response->folder, file->folder_length, parts, count) ||
        !take_path(response->path, cre__slices_length(parts, count), parts, count))
        return CRE_EINVALID;
    return 0;
}
