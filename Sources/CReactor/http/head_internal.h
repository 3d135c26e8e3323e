/* Shared by the parts of the head parser. */
#ifndef CRE_HTTP_HEAD_INTERNAL_H
#define CRE_HTTP_HEAD_INTERNAL_H

#include <creactor/http_head.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { CRE__EMPTY_LINES = 4 };

/* Field names that decide about the rest of the message. */
enum cre__http_known {
    CRE__ORDINARY = 0,
    CRE__HOST_FIELD,
    CRE__EXPECT,
    CRE__UPGRADE,
    CRE__CONNECTION,
    CRE__CONTENT_LENGTH,
    CRE__TRANSFER_ENCODING
};

typedef struct cre__http_job {
    uint32_t max_line;
    uint16_t max_fields;
    uint8_t request_method; /* of a response */
} cre__http_job;

typedef int cre__http_parser(const uint8_t *data, uint32_t length, const cre__http_job *job,
                             cre_http_head *head, cre_http_field *fields);

cre__http_parser cre__http_scalar_request, cre__http_scalar_response;
#if defined(__x86_64__)
cre__http_parser cre__http_ssse3_request, cre__http_ssse3_response;
cre__http_parser cre__http_avx2_request, cre__http_avx2_response;
#endif

/* Bits of head->flags that record fields found during parsing; they are cleared at the end. */
enum { CRE__SEEN_CLOSE = 1 << 13, CRE__SEEN_KEEP_ALIVE = 1 << 14, CRE__SEEN_EXPECT = 1 << 15 };

/* head_fields.c: known fields, of requests without Host, and the empty line; 0 or an error */
int cre__http_request_known(cre_http_head *head, const cre_http_field *field, const uint8_t *data,
                            enum cre__http_known name);
int cre__http_response_known(cre_http_head *head, const cre_http_field *field, const uint8_t *data,
                             enum cre__http_known name);
int cre__http_response_finish(cre_http_head *head);

/* head_line.c */
int cre__http_method_of(const uint8_t *name, size_t length);
int cre__http_version_check(const uint8_t *at, uint32_t length);
int cre__http_other_target(cre_http_head *head, const uint8_t *data);
int cre__http_status_line(cre_http_head *head, const uint8_t *data, uint32_t length, bool complete);
int cre__http_bad_request_line(uint8_t byte);
int cre__http_bad_target_end(uint8_t byte, bool empty);
bool cre__http_host_valid(const uint8_t *host, size_t length, bool *has_port);
/* The same, if the first `plain` bytes are those of a registered name without percent-encoding. */
bool cre__http_host_valid_from(const uint8_t *host, size_t plain, size_t length);

/* The error of a line that does not start with a field name. */
static inline int cre__http_bad_line_start(uint8_t byte) {
    if (byte == ' ' || byte == '\t') return CRE_EHTTP_FOLDED;
    return byte == '\n' ? CRE_EHTTP_LINE_END : CRE_EHTTP_BAD_FIELD;
}

/* The error of a value that ends at this byte, which is no CR followed by LF. */
static inline int cre__http_bad_value_end(uint8_t byte) {
    return byte == '\r' || byte == '\n' ? CRE_EHTTP_LINE_END : CRE_EHTTP_BAD_VALUE;
}

/* The error of a value that ends at this byte when it is the last one available, 0 if more bytes may make it
 * valid. */
static inline int cre__http_line_cut(uint8_t byte) {
    return byte == '\r' ? 0 : cre__http_bad_value_end(byte);
}

static inline void cre__http_begin(cre_http_head *head) {
    uint8_t minor = head->minor;
    memset(head, 0, sizeof *head);
    head->minor = minor;
}

/* HTTP/1.1 keeps the connection by default, HTTP/1.0 closes it. */
static inline void cre__http_settle_connection(cre_http_head *head) {
    bool keep = head->minor == 1 || head->flags & CRE__SEEN_KEEP_ALIVE;
    if (keep && !(head->flags & CRE__SEEN_CLOSE)) head->flags |= CRE_HTTP_KEEP_ALIVE;
    /* HTTP/1.0 has no upgrades */
    if (head->minor == 0)
        head->flags &= (uint16_t)~(CRE_HTTP_UPGRADE_WEBSOCKET | CRE_HTTP_CONNECTION_UPGRADE);
}

static inline void cre__http_clear_seen(cre_http_head *head) {
    head->flags &= (uint16_t)~(CRE__SEEN_CLOSE | CRE__SEEN_KEEP_ALIVE | CRE__SEEN_EXPECT);
}

/* The empty line of a request. Returns 0 or an error. */
static inline int cre__http_request_finish(cre_http_head *head) {
    if (head->minor == 1 && !(head->flags & CRE_HTTP_HAS_HOST)) return CRE_EHTTP_NO_HOST;
    cre__http_settle_connection(head);
    if (head->flags & CRE_HTTP_CHUNKED || head->content_length) {
        head->flags |= CRE_HTTP_HAS_BODY;
        if (head->flags & CRE__SEEN_EXPECT) head->flags |= CRE_HTTP_EXPECT_CONTINUE;
    }
    cre__http_clear_seen(head);
    return 0;
}

static inline uint64_t cre__lower8(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word | UINT64_C(0x2020202020202020);
}

static inline uint32_t cre__lower4(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, 4);
    return word | UINT32_C(0x20202020);
}

/* Setting bit 5 converts letters to lower case and turns no other token character into a letter or a dash, so
 * these comparisons are exact for names that are known to be tokens. */
static inline bool cre__name8(const uint8_t *at, const char *word) {
    uint64_t other;
    memcpy(&other, word, 8);
    return cre__lower8(at) == other;
}

static inline bool cre__name4(const uint8_t *at, const char *word) {
    uint32_t other;
    memcpy(&other, word, 4);
    return cre__lower4(at) == other;
}

static inline enum cre__http_known cre__http_known_of(const uint8_t *name, size_t length) {
    switch (length) {
    case 4: return cre__name4(name, "host") ? CRE__HOST_FIELD : CRE__ORDINARY;
    case 6: return cre__name4(name, "expe") && cre__name4(name + 2, "pect") ? CRE__EXPECT : CRE__ORDINARY;
    case 7: return cre__name4(name, "upgr") && cre__name4(name + 3, "rade") ? CRE__UPGRADE : CRE__ORDINARY;
    case 10:
        return cre__name8(name, "connecti") && cre__name4(name + 6, "tion") ? CRE__CONNECTION : CRE__ORDINARY;
    case 14:
        return cre__name8(name, "content-") && cre__name8(name + 6, "t-length") ? CRE__CONTENT_LENGTH
                                                                                : CRE__ORDINARY;
    case 17:
        return cre__name8(name, "transfer") && cre__name8(name + 8, "-encodin") && (name[16] | 0x20) == 'g'
                   ? CRE__TRANSFER_ENCODING
                   : CRE__ORDINARY;
    default: return CRE__ORDINARY;
    }
}

#endif
