/* The first line of a head: methods, versions, the forms of a target, status lines. */
#include "chars.h"
#include "head_internal.h"

static const struct {
    const char *name;
    uint8_t length;
} methods[] = {
    [CRE_HTTP_OTHER] = { "", 0 },          [CRE_HTTP_GET] = { "GET", 3 },
    [CRE_HTTP_HEAD] = { "HEAD", 4 },       [CRE_HTTP_POST] = { "POST", 4 },
    [CRE_HTTP_PUT] = { "PUT", 3 },         [CRE_HTTP_DELETE] = { "DELETE", 6 },
    [CRE_HTTP_CONNECT] = { "CONNECT", 7 }, [CRE_HTTP_OPTIONS] = { "OPTIONS", 7 },
    [CRE_HTTP_TRACE] = { "TRACE", 5 },     [CRE_HTTP_PATCH] = { "PATCH", 5 },
};

enum { METHODS = sizeof methods / sizeof *methods };

const char *cre_http_method_name(int method) {
    return method > 0 && method < METHODS ? methods[method].name : "";
}

int cre__http_method_of(const uint8_t *name, size_t length) {
    if (length == 3 && memcmp(name, "GET", 3) == 0) return CRE_HTTP_GET;
    for (int i = CRE_HTTP_HEAD; i < METHODS; i++)
        if (methods[i].length == length && memcmp(methods[i].name, name, length) == 0) return i;
    return CRE_HTTP_OTHER;
}

/* The error at the end of the method. */
int cre__http_bad_request_line(uint8_t byte) {
    return byte == '\n' ? CRE_EHTTP_LINE_END : CRE_EHTTP_BAD_LINE;
}

int cre__http_bad_target_end(uint8_t byte, bool empty) {
    if (byte == '\n') return CRE_EHTTP_LINE_END;
    if (byte == '\r' || (empty && byte == ' ')) return CRE_EHTTP_BAD_LINE;
    return CRE_EHTTP_BAD_TARGET;
}

/* Checks the available bytes of the version and the line end (10 bytes). 0: valid so far. */
int cre__http_version_check(const uint8_t *at, uint32_t length) {
    static const char start[] = "HTTP/";
    for (uint32_t i = 0; i < length && i < 10; i++) {
        bool good = i < 5              ? at[i] == (uint8_t)start[i]
                    : i == 5 || i == 7 ? cre__is(at[i], CRE__DIGIT)
                    : i == 6           ? at[i] == '.'
                    : i == 8           ? at[i] == '\r'
                                       : at[i] == '\n';
        if (!good) return at[i] == '\n' || i == 9 ? CRE_EHTTP_LINE_END : CRE_EHTTP_BAD_LINE;
    }
    if (length >= 10 && at[5] != '1') return CRE_EHTTP_BAD_VERSION;
    return 0;
}

/* Whether a text is host[:port]. The host is a registered name, an IPv4 address or an IP literal in brackets.
 * The first `at` bytes were found to be of a registered name, without percent-encoding. */
static inline bool host_valid(const uint8_t *host, size_t at, size_t length, bool *has_port) {
    *has_port = false;
    if (at == 0 && length && host[0] == '[') {
        for (at = 1; at < length && host[at] != ']'; at++)
            if (!cre__is(host[at], CRE__HOST) && host[at] != ':' && host[at] != '%') return false;
        if (at < 3 || at == length) return false;
        at++;
    } else {
        for (;; at += 3) {
            while (length - at >= 4 && cre__chars[host[at]] & cre__chars[host[at + 1]] &
                                           cre__chars[host[at + 2]] & cre__chars[host[at + 3]] & CRE__HOST)
                at += 4;
            while (at < length && cre__is(host[at], CRE__HOST))
                at++;
            if (at == length) return true;
            if (host[at] != '%') break;
            if (length - at < 3 || cre__hex[host[at + 1]] < 0 || cre__hex[host[at + 2]] < 0) return false;
        }
    }
    if (at == length) return true;
    if (at == 0 || host[at] != ':' || length - at > 6) return false;
    *has_port = length - at > 1;
    return cre__all(host + at + 1, length - at - 1, CRE__DIGIT);
}

bool cre__http_host_valid(const uint8_t *host, size_t length, bool *has_port) {
    return host_valid(host, 0, length, has_port);
}

bool cre__http_host_valid_from(const uint8_t *host, size_t plain, size_t length) {
    bool has_port;
    return host_valid(host, plain, length, &has_port);
}

static int absolute_form(cre_http_head *head, const uint8_t *data) {
    const uint32_t start = head->target, end = start + head->target_length;
    uint32_t at = start;
    if (!cre__is(data[at], CRE__ALPHA)) return CRE_EHTTP_BAD_TARGET;
    while (at < end && (cre__is(data[at], CRE__ALPHA | CRE__DIGIT) || data[at] == '+' || data[at] == '-' ||
                        data[at] == '.'))
        at++;
    if (end - at < 4 || memcmp(data + at, "://", 3) != 0) return CRE_EHTTP_BAD_TARGET;
    const uint32_t host = at + 3;
    for (at = host; at < end && data[at] != '/' && data[at] != '?';)
        at++;
    bool has_port;
    if (at == host || !cre__http_host_valid(data + host, at - host, &has_port)) return CRE_EHTTP_BAD_TARGET;
    head->flags |= CRE_HTTP_ABSOLUTE_FORM;
    head->host = (uint16_t)host;
    head->host_length = (uint16_t)(at - host);

    const uint32_t path = at;
    while (at < end && data[at] != '?')
        at++;
    if (at > path) {
        head->path = (uint16_t)path;
        head->path_length = (uint16_t)(at - path);
    } else {
        /* an absent path means "/", and the byte before the host is one */
        head->path = (uint16_t)(host - 1);
        head->path_length = 1;
    }
    if (at < end) {
        head->flags |= CRE_HTTP_HAS_QUERY;
        head->query = (uint16_t)(at + 1);
        head->query_length = (uint16_t)(end - at - 1);
    }
    return 0;
}

/* Parses targets that do not start with a slash, and those of CONNECT. */
int cre__http_other_target(cre_http_head *head, const uint8_t *data) {
    const uint8_t *target = data + head->target;
    if (head->method == CRE_HTTP_CONNECT) {
        bool has_port;
        if (!cre__http_host_valid(target, head->target_length, &has_port) || !has_port)
            return CRE_EHTTP_BAD_TARGET;
        head->flags |= CRE_HTTP_AUTHORITY_FORM;
        head->host = head->target;
        head->host_length = head->target_length;
        return 0;
    }
    if (target[0] == '*' && head->target_length == 1 && head->method == CRE_HTTP_OPTIONS) {
        head->flags |= CRE_HTTP_ASTERISK_FORM;
        head->path = head->target;
        head->path_length = 1;
        return 0;
    }
    return absolute_form(head, data);
}

/*
 * Parses "HTTP/1.1 200 OK" without its line end; the reason, and the space before it, may be absent. An
 * incomplete line is checked as far as it is available. The caller has checked that there are no control
 * characters.
 */
int cre__http_status_line(cre_http_head *head, const uint8_t *data, uint32_t length, bool complete) {
    static const char start[] = "HTTP/";
    for (uint32_t i = 0; i < length && i < 13; i++) {
        bool good = i < 5               ? data[i] == (uint8_t)start[i]
                    : i == 6            ? data[i] == '.'
                    : i == 8 || i == 12 ? data[i] == ' '
                                        : cre__is(data[i], CRE__DIGIT);
        if (!good) return CRE_EHTTP_BAD_LINE;
        if (i == 8 && data[5] != '1') return CRE_EHTTP_BAD_VERSION;
        if (i == 9 && data[i] == '0') return CRE_EHTTP_BAD_LINE;
    }
    if (!complete) return 0;
    if (length < 12) return CRE_EHTTP_BAD_LINE;
    head->minor = data[7] != '0';
    cre__http_begin(head);
    head->status = (uint16_t)((data[9] - '0') * 100 + (data[10] - '0') * 10 + (data[11] - '0'));
    head->target = (uint16_t)(length > 13 ? 13 : length);
    head->target_length = (uint16_t)(length > 13 ? length - 13 : 0);
    return 0;
}
