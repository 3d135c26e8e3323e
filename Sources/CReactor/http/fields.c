/* Packed fields: names and values in one piece of memory. */
#include <creactor/error.h>
#include <creactor/http_write.h>
#include <string.h>

#include "http/field_text.h"

cre__field_kind cre__field_kind_named(const void *name, size_t length) {
    switch (length) {
    case 4: return cre__same(name, "date", 4) ? CRE__FIELD_DATE : CRE__FIELD_OTHER;
    case 6: return cre__same(name, "server", 6) ? CRE__FIELD_SERVER : CRE__FIELD_OTHER;
    case 10: return cre__same(name, "connection", 10) ? CRE__FIELD_FRAMING : CRE__FIELD_OTHER;
    case 14: return cre__same(name, "content-length", 14) ? CRE__FIELD_FRAMING : CRE__FIELD_OTHER;
    case 17: return cre__same(name, "transfer-encoding", 17) ? CRE__FIELD_FRAMING : CRE__FIELD_OTHER;
    default: return CRE__FIELD_OTHER;
    }
}

size_t cre_http_fields_put(void *out, size_t capacity, const void *name, size_t name_length,
                           const void *value, size_t value_length) {
    if (name_length > UINT16_MAX || value_length > UINT16_MAX) return 0;
    size_t size = CRE_HTTP_FIELD_OVERHEAD + name_length + value_length;
    if (size > capacity) return 0;
    uint16_t lengths[2] = { (uint16_t)name_length, (uint16_t)value_length };
    uint8_t *at = out;
    memcpy(at, lengths, sizeof lengths);
    if (name_length) memcpy(at + sizeof lengths, name, name_length);
    if (value_length) memcpy(at + sizeof lengths + name_length, value, value_length);
    return size;
}

int cre_http_fields_add(void *out, size_t capacity, const void *name, size_t name_length, const void *value,
                        size_t value_length) {
    if (name_length > UINT16_MAX || value_length > UINT16_MAX) return CRE_ELIMIT;
    const size_t size = CRE_HTTP_FIELD_OVERHEAD + name_length + value_length;
    if (size > capacity) return CRE_ELIMIT;
    const uint16_t lengths[2] = { (uint16_t)name_length, (uint16_t)value_length };
    char *at = out;
    memcpy(at, lengths, sizeof lengths);
    at += sizeof lengths;
    cre__block rejected = cre__pass(at, name, name_length, cre__name_block);
    rejected |= cre__pass(at + name_length, value, value_length, cre__value_block);
    const uint8_t *text = value;
    if (name_length && !cre__block_any(rejected) &&
        (!value_length || (text[0] > ' ' && text[value_length - 1] > ' ')))
        return (int)size;
    return cre__name_valid(name, name_length) && cre__value_valid(value, value_length)
               ? (int)size
               : CRE_EHTTP_INVALID_FIELD;
}

bool cre_http_fields_next(const uint8_t **cursor, const uint8_t *end, cre_http_header *field) {
    const uint8_t *at = *cursor;
    size_t left = (size_t)(end - at);
    uint16_t lengths[2];
    if (left < sizeof lengths) return false;
    memcpy(lengths, at, sizeof lengths);
    if (left - sizeof lengths < (size_t)lengths[0] + lengths[1]) return false;
    *field = (cre_http_header){
        .name = (const char *)at + sizeof lengths,
        .value = (const char *)at + sizeof lengths + lengths[0],
        .name_length = lengths[0],
        .value_length = lengths[1],
    };
    *cursor = at + sizeof lengths + lengths[0] + lengths[1];
    return true;
}

bool cre_http_header_valid(const cre_http_header *field) {
    return cre__name_valid(field->name, field->name_length) &&
           cre__value_valid(field->value, field->value_length);
}

int cre_http_fields_check(const void *fields, size_t size) {
    const uint8_t *at = fields, *end = at + size;
    cre_http_header field;
    while (cre_http_fields_next(&at, end, &field))
        if (!cre_http_header_valid(&field)) return CRE_EHTTP_INVALID_FIELD;
    return at == end ? 0 : CRE_EINVALID;
}
