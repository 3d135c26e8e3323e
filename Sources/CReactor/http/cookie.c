/* Cookies. */
#include <creactor/http_cookie.h>
#include <creactor/http_date.h>
#include <string.h>

#include "chars.h"
#include "out.h"

void cre_http_cookies_of(cre_http_cookies *cookies, const cre_http_head *head, const cre_http_field *fields,
                         const uint8_t *head_bytes) {
    *cookies = (cre_http_cookies){ .head = head, .fields = fields, .bytes = head_bytes };
}

static bool next_line(cre_http_cookies *cookies) {
    if (!cookies->head) return false;
    const cre_http_field *field =
        cre_http_find_next(cookies->head, cookies->fields, cookies->bytes, "cookie", 6, cookies->field);
    if (!field) {
        cookies->head = NULL;
        return false;
    }
    cookies->field = field;
    cookies->at = (const char *)cookies->bytes + field->value;
    cookies->end = cookies->at + field->value_length;
    return true;
}

static void trim(const char **start, const char **end) {
    while (*start < *end && (**start == ' ' || **start == '\t'))
        ++*start;
    while (*start < *end && ((*end)[-1] == ' ' || (*end)[-1] == '\t'))
        --*end;
}

bool cre_http_cookies_next(cre_http_cookies *cookies, cre_http_pair *pair) {
    for (;;) {
        if (cookies->at == cookies->end) {
            if (next_line(cookies)) continue;
            return false;
        }
        const char *start = cookies->at;
        const char *stop = memchr(start, ';', (size_t)(cookies->end - start));
        cookies->at = stop ? stop + 1 : cookies->end;
        if (!stop) stop = cookies->end;
        const char *equals = memchr(start, '=', (size_t)(stop - start));
        if (!equals) continue;
        const char *name_end = equals, *value = equals + 1;
        trim(&start, &name_end);
        trim(&value, &stop);
        if (stop - value >= 2 && *value == '"' && stop[-1] == '"') {
            value++;
            stop--;
        }
        if (start == name_end) continue;
        *pair = (cre_http_pair){ start, value, (size_t)(name_end - start), (size_t)(stop - value) };
        return true;
    }
}

/* Whether a value of Path or Domain is valid: no control characters, no separator. */
static bool attribute_valid(const char *value) {
    return cre__all(value, strlen(value), CRE__VALUE) && !strchr(value, ';');
}

int cre_http_write_cookie(char *room, size_t capacity, const cre_http_set_cookie *cookie) {
    static const char *const same_site[] = { "", "; SameSite=Lax", "; SameSite=Strict", "; SameSite=None" };
    if (!*cookie->name || !cre__all(cookie->name, strlen(cookie->name), CRE__TOKEN) ||
        !cre__all(cookie->value, strlen(cookie->value), CRE__COOKIE) ||
        (cookie->path && !attribute_valid(cookie->path)) ||
        (cookie->domain && !attribute_valid(cookie->domain)))
        return CRE_EHTTP_INVALID_FIELD;
    cre__out out = cre__out_make(room, capacity);
    cre__put_string(&out, cookie->name);
    cre__put_text(&out, "=");
    cre__put_string(&out, cookie->value);
    if (cookie->expires) {
        char date[CRE_HTTP_DATE_LENGTH];
        cre_http_date(date, cookie->expires);
        cre__put_text(&out, "; Expires=");
        cre__put(&out, date, sizeof date);
    }
    if (cookie->max_age >= 0) {
        cre__put_text(&out, "; Max-Age=");
        cre__put_number(&out, (uint64_t)cookie->max_age);
    }
    if (cookie->path) {
        cre__put_text(&out, "; Path=");
        cre__put_string(&out, cookie->path);
    }
    if (cookie->domain) {
        cre__put_text(&out, "; Domain=");
        cre__put_string(&out, cookie->domain);
    }
    if (cookie->secure) cre__put_text(&out, "; Secure");
    if (cookie->http_only) cre__put_text(&out, "; HttpOnly");
    if (cookie->same_site <= CRE_HTTP_SAME_SITE_NONE) cre__put_string(&out, same_site[cookie->same_site]);
    if (cookie->partitioned) cre__put_text(&out, "; Partitioned");
    return cre__out_result(&out);
}
