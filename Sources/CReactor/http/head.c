/* The public interface of the head parser: limits, slow senders, the choice of the instruction set, lookups.
 */
#include <creactor/http_head.h>
#include <stdatomic.h>
#include <string.h>

#include "chars.h"
#include "head_internal.h"

typedef struct parsers {
    cre__http_parser *request, *response;
} parsers;

static const parsers scalar = { cre__http_scalar_request, cre__http_scalar_response };
#if defined(__x86_64__)
static const parsers ssse3 = { cre__http_ssse3_request, cre__http_ssse3_response };
static const parsers avx2 = { cre__http_avx2_request, cre__http_avx2_response };
#endif

/* Set by the first call; concurrent first calls choose the same. */
static _Atomic(const parsers *) chosen;

static const parsers *choose(void) {
    const parsers *best = &scalar;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
        best = &avx2;
    else if (__builtin_cpu_supports("ssse3"))
        best = &ssse3;
#endif
    atomic_store_explicit(&chosen, best, memory_order_relaxed);
    return best;
}

static inline const parsers *current(void) {
    const parsers *now = atomic_load_explicit(&chosen, memory_order_relaxed);
    return __builtin_expect(now != NULL, 1) ? now : choose();
}

/* Whether the bytes after the first `already` could change the result "incomplete": an empty line, or a line
 * feed without a CR. */
static bool worth_parsing(const uint8_t *data, size_t already, size_t length) {
    while (already < length) {
        const uint8_t *feed = memchr(data + already, '\n', length - already);
        if (!feed) return false;
        size_t at = (size_t)(feed - data);
        if (at == 0 || data[at - 1] != '\r' || (at > 1 && data[at - 2] == '\n')) return true;
        already = at + 1;
    }
    return false;
}

/* Sets up the job and the length to parse. True: parsing cannot have a new result. */
static inline bool prepare(const uint8_t *data, size_t *length, size_t already, const cre_http_limits *limits,
                           uint32_t *max_head, cre__http_job *job) {
    *max_head = CRE_HTTP_MAX_HEAD;
    job->max_line = CRE_HTTP_DEFAULT_LINE;
    job->max_fields = CRE_HTTP_DEFAULT_FIELDS;
    if (limits) {
        if (limits->max_head && limits->max_head < CRE_HTTP_MAX_HEAD) *max_head = limits->max_head;
        if (limits->max_line) job->max_line = limits->max_line;
        if (limits->max_fields) job->max_fields = limits->max_fields;
    }
    if (*length > *max_head) *length = *max_head;
    if (__builtin_expect(already == 0 || *length == *max_head, 1)) return false;
    /* the limit of the first line counts from the end of the empty lines */
    if (*length >= job->max_line && already < (size_t)job->max_line + 2 * CRE__EMPTY_LINES) return false;
    return !worth_parsing(data, already, *length);
}

int cre_http_parse_request(const uint8_t *data, size_t length, size_t already, const cre_http_limits *limits,
                           cre_http_head *head, cre_http_field *fields) {
    cre__http_job job = { .request_method = 0 };
    uint32_t max_head;
    if (prepare(data, &length, already, limits, &max_head, &job)) return 0;
    int result = current()->request(data, (uint32_t)length, &job, head, fields);
    return result == 0 && length == max_head ? CRE_EHTTP_HEAD_TOO_LARGE : result;
}

int cre_http_parse_response(const uint8_t *data, size_t length, size_t already, const cre_http_limits *limits,
                            int request_method, cre_http_head *head, cre_http_field *fields) {
    cre__http_job job = { .request_method = (uint8_t)request_method };
    uint32_t max_head;
    if (prepare(data, &length, already, limits, &max_head, &job)) return 0;
    int result = current()->response(data, (uint32_t)length, &job, head, fields);
    return result == 0 && length == max_head ? CRE_EHTTP_HEAD_TOO_LARGE : result;
}

int cre_http_status_of(int error) {
    switch (error) {
    case CRE_EHTTP_LINE_TOO_LONG: return 414;
    case CRE_EHTTP_HEAD_TOO_LARGE:
    case CRE_EHTTP_TOO_MANY_FIELDS: return 431;
    case CRE_EHTTP_BAD_VERSION: return 505;
    case CRE_EHTTP_UNKNOWN_CODING: return 501;
    case CRE_EHTTP_EXPECTATION: return 417;
    case CRE_EHTTP_MULTIPART_LIMIT:
    case CRE_EHTTP_OVERHEAD:
    case CRE_EHTTP_BODY_TOO_LARGE: return 413;
    case CRE_EHTTP_NOT_MULTIPART: return 415;
    case CRE_EHTTP_HANDSHAKE_UPGRADE:
    case CRE_EHTTP_HANDSHAKE_VERSION: return 426;
    case CRE_EHTTP_INVALID_FIELD: return 500; /* an error of the server, not of the client */
    default: return error <= -1200 && error > -1300 ? 400 : 500;
    }
}

const cre_http_field *cre_http_find_next(const cre_http_head *head, const cre_http_field *fields,
                                         const uint8_t *head_bytes, const char *lowercase_name,
                                         size_t name_length, const cre_http_field *previous) {
    const cre_http_field *end = fields + head->field_count;
    for (const cre_http_field *field = previous ? previous + 1 : fields; field < end; field++)
        if (field->name_length == name_length &&
            cre__same(head_bytes + field->name, lowercase_name, name_length))
            return field;
    return NULL;
}

const cre_http_field *cre_http_find(const cre_http_head *head, const cre_http_field *fields,
                                    const uint8_t *head_bytes, const char *lowercase_name,
                                    size_t name_length) {
    return cre_http_find_next(head, fields, head_bytes, lowercase_name, name_length, NULL);
}
