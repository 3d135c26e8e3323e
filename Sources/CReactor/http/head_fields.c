/* The fields that decide the length of a message and whether the connection is kept. */
#include <creactor/http_list.h>

#include "chars.h"
#include "head_internal.h"

static int content_length(cre_http_head *head, const uint8_t *value, size_t length) {
    if (head->flags & CRE_HTTP_HAS_LENGTH) return CRE_EHTTP_CONTENT_LENGTH;
    if (head->flags & CRE_HTTP_CHUNKED) return CRE_EHTTP_LENGTH_AND_CODING;
    if (!length) return CRE_EHTTP_CONTENT_LENGTH;
    uint64_t sum = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned)value[i] - '0';
        if (digit > 9 || sum > ((uint64_t)INT64_MAX - digit) / 10) return CRE_EHTTP_CONTENT_LENGTH;
        sum = sum * 10 + digit;
    }
    head->content_length = sum;
    head->flags |= CRE_HTTP_HAS_LENGTH;
    return 0;
}

/* Accepts only "chunked", once. Servers that disagree about the end of a message allow requests to be
 * smuggled. */
static int transfer_encoding(cre_http_head *head, const uint8_t *value, size_t length) {
    if (head->minor == 0 || head->flags & CRE_HTTP_CHUNKED) return CRE_EHTTP_TRANSFER_ENCODING;
    if (head->flags & CRE_HTTP_HAS_LENGTH) return CRE_EHTTP_LENGTH_AND_CODING;
    if (cre__is_word(value, length, "chunked")) {
        head->flags |= CRE_HTTP_CHUNKED;
        return 0;
    }
    /* Other codings followed by chunked are well formed but not supported; all others have no known end.
     */
    const size_t last = sizeof "chunked" - 1;
    if (length <= last || !cre__same(value + length - last, "chunked", last))
        return CRE_EHTTP_TRANSFER_ENCODING;
    bool coding = false;
    for (size_t i = 0; i < length - last; i++) {
        if (cre__is(value[i], CRE__TOKEN)) coding = true;
    }
    uint8_t before = value[length - last - 1];
    if (!coding || (before != ',' && before != ' ' && before != '\t')) return CRE_EHTTP_TRANSFER_ENCODING;
    cre_http_list list;
    const char *element;
    size_t element_length;
    cre_http_list_of_value(&list, (const char *)value, length - last);
    while (cre_http_list_next(&list, &element, &element_length))
        if (cre__is_word(element, element_length, "chunked")) return CRE_EHTTP_TRANSFER_ENCODING;
    return CRE_EHTTP_UNKNOWN_CODING;
}

static void connection(cre_http_head *head, const uint8_t *value, size_t length) {
    /* the common values; exact, because values have no CR, which bit 5 would turn into a dash */
    if (length == 10 && cre__name8(value, "keep-ali") && cre__name4(value + 6, "live")) {
        head->flags |= CRE__SEEN_KEEP_ALIVE;
        return;
    }
    cre_http_list list;
    const char *option;
    size_t size;
    cre_http_list_of_value(&list, (const char *)value, length);
    while (cre_http_list_next(&list, &option, &size)) {
        if (cre__is_word(option, size, "close"))
            head->flags |= CRE__SEEN_CLOSE;
        else if (cre__is_word(option, size, "keep-alive"))
            head->flags |= CRE__SEEN_KEEP_ALIVE;
        else if (cre__is_word(option, size, "upgrade"))
            head->flags |= CRE_HTTP_CONNECTION_UPGRADE;
    }
}

static void upgrade(cre_http_head *head, const uint8_t *value, size_t length) {
    cre_http_list list;
    const char *protocol;
    size_t size;
    cre_http_list_of_value(&list, (const char *)value, length);
    while (cre_http_list_next(&list, &protocol, &size))
        if (cre__is_word(protocol, size, "websocket")) head->flags |= CRE_HTTP_UPGRADE_WEBSOCKET;
}

static int expect(cre_http_head *head, const uint8_t *value, size_t length) {
    if (head->minor == 0) return 0;
    if (!cre__is_word(value, length, "100-continue")) return CRE_EHTTP_EXPECTATION;
    head->flags |= CRE__SEEN_EXPECT;
    return 0;
}

int cre__http_request_known(cre_http_head *head, const cre_http_field *field, const uint8_t *data,
                            enum cre__http_known name) {
    const uint8_t *value = data + field->value;
    const size_t length = field->value_length;
    switch (name) {
    case CRE__EXPECT: return expect(head, value, length);
    case CRE__UPGRADE: upgrade(head, value, length); return 0;
    case CRE__CONNECTION: connection(head, value, length); return 0;
    case CRE__CONTENT_LENGTH: return content_length(head, value, length);
    case CRE__TRANSFER_ENCODING: return transfer_encoding(head, value, length);
    default: return 0;
    }
}

int cre__http_response_known(cre_http_head *head, const cre_http_field *field, const uint8_t *data,
                             enum cre__http_known name) {
    if (name == CRE__HOST_FIELD || name == CRE__EXPECT) return 0;
    return cre__http_request_known(head, field, data, name);
}

int cre__http_response_finish(cre_http_head *head) {
    cre__http_settle_connection(head);
    cre__http_clear_seen(head);
    const int status = head->status;
    bool tunnel = head->method == CRE_HTTP_CONNECT && status >= 200 && status < 300;
    if (head->method == CRE_HTTP_HEAD || tunnel || status < 200 || status == 204 || status == 304) return 0;
    if (!(head->flags & (CRE_HTTP_CHUNKED | CRE_HTTP_HAS_LENGTH))) {
        head->flags |= CRE_HTTP_UNTIL_CLOSE;
        head->flags &= (uint16_t)~CRE_HTTP_KEEP_ALIVE;
    }
    if (head->flags & (CRE_HTTP_CHUNKED | CRE_HTTP_UNTIL_CLOSE) || head->content_length)
        head->flags |= CRE_HTTP_HAS_BODY;
    return 0;
}
