/* Responses whose bodies are files beneath a folder. */
#include <creactor/http_date.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/protocols/http1/http1.h"

static int status_of(int error) {
    switch (error) {
    case -EXDEV:
    case CRE_EINVALID: return 404;
    case -EACCES: return 403;
    case CRE_ESTATE: return 503;
    default: return cre_file_status(error);
    }
}

/* Opens the file and checks it, unless it was opened before: `given`. The descriptor or a negative error. */
static int open_checked(const cre__folder_response *response, int given, cre_file_info *info) {
    const cre_folder_file *file = &response->file;
    if (given >= 0) {
        *info = file->info;
        return given;
    }
    int descriptor = cre_file_open(response->folder, response->path, (cre_symlinks)file->symlinks, info);
    if (descriptor < 0) return descriptor;
    int error = 0;
    if (info->is_folder)
        error = -EISDIR;
    else if (file->part_count && !cre_file_unchanged(info, &file->info))
        error = CRE_ESTATE;
    if (!error) return descriptor;
    close(descriptor);
    return error;
}

/* A date of the future would be invalid: then it is the current one. */
static int64_t last_modified(const cre_file_info *info) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return info->modified < now.tv_sec ? info->modified : now.tv_sec;
}

static uint8_t *put(uint8_t *at, const char *name, const char *value, size_t length) {
    return at + cre_http_fields_put(at, SIZE_MAX, name, strlen(name), value, length);
}

/* The most that add_validators writes. */
#define VALIDATORS_MAX                                                                          \
    (2 * CRE_HTTP_FIELD_OVERHEAD + sizeof "ETag" + CRE_FILE_ETAG_MAX + sizeof "Last-Modified" + \
     CRE_HTTP_DATE_LENGTH)

static uint8_t *put_validators(uint8_t *at, unsigned wanted, const cre_file_info *info) {
    char text[CRE_FILE_ETAG_MAX];
    _Static_assert(sizeof text >= CRE_HTTP_DATE_LENGTH, "room for either");
    if (wanted & (CRE_FILE_ETAG | CRE_FILE_WEAK_ETAG))
        at = put(at, "ETag", text, cre_file_etag(text, info, wanted & CRE_FILE_WEAK_ETAG));
    if (wanted & CRE_FILE_LAST_MODIFIED) {
        cre_http_date(text, last_modified(info));
        at = put(at, "Last-Modified", text, CRE_HTTP_DATE_LENGTH);
    }
    return at;
}

int cre__http1_respond_folder_file(cre__conn *conn, const cre__folder_response *response, bool close_after) {
    if (!cre__http1_answerable(conn)) return CRE_ENO_REQUEST;
    cre_file_info info;
    int descriptor = open_checked(response, cre__engine_take_file(cre__conn_engine(conn)), &info);
    if (descriptor < 0) {
        cre__http1_error(conn, cre__http1_of(conn)->first, status_of(descriptor), close_after);
        return descriptor;
    }
    const cre_slice *given = &response->head.fields;
    uint8_t *fields = cre__malloc(given->length + VALIDATORS_MAX);
    if (!fields) {
        close(descriptor);
        return cre__conn_no_memory(conn);
    }
    if (given->length) memcpy(fields, given->data, given->length);
    uint8_t *end = put_validators(fields + given->length, response->file.validators, &info);
    cre__response head = response->head;
    head.fields = (cre_slice){ fields, (size_t)(end - fields) };
    cre_file_part whole = { .range.length = info.size };
    cre__opened_file opened = {
        .descriptor = descriptor, .length = info.size, .parts = &whole, .part_count = 1
    };
    if (response->file.part_count)
        opened = (cre__opened_file){ .descriptor = descriptor,
                                     .length = response->length,
                                     .parts = response->parts,
                                     .part_count = response->file.part_count,
                                     .texts = response->texts };
    int result = cre__http1_send_opened(conn, &head, &opened, close_after);
    cre__free(fields);
    return result;
}
