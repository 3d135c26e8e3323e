/* Members and values of JSON. Text that is not JSON has no members; nothing else is promised for it. */
#include "nats/json.h"

#include <string.h>

#include "core/calendar.h"

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static cre_slice behind(cre_slice text, size_t length) {
    return (cre_slice){ text.data + length, text.length - length };
}

static cre_slice skip_space(cre_slice text) {
    while (text.length && is_space(*text.data))
        text = behind(text, 1);
    return text;
}

/* The bytes of the string at the start of the text; 0: it does not end. */
static size_t string_length(cre_slice text) {
    for (size_t i = 1; i < text.length; i++) {
        if (text.data[i] == '\\')
            i++;
        else if (text.data[i] == '"')
            return i + 1;
    }
    return 0;
}

/* The bytes of the value at the start of the text; 0: there is none, or it does not end. */
static size_t value_length(cre_slice text) {
    size_t depth = 0;
    for (size_t i = 0; i < text.length;) {
        const uint8_t c = text.data[i];
        if (c == '"') {
            const size_t length = string_length(behind(text, i));
            if (!length) return 0;
            i += length;
            if (!depth) return i;
        } else if (c == '{' || c == '[') {
            depth++;
            i++;
        } else if (c == '}' || c == ']') {
            if (!depth) return i;
            i++;
            if (!--depth) return i;
        } else if (!depth && (c == ',' || is_space(c))) {
            return i;
        } else {
            i++;
        }
    }
    return depth ? 0 : text.length;
}

/* Takes a value, and the comma behind it. */
static bool take_value(cre_slice *text, cre_slice *value) {
    cre_slice rest = skip_space(*text);
    const size_t length = value_length(rest);
    if (!length) return false;
    *value = (cre_slice){ rest.data, length };
    rest = skip_space(behind(rest, length));
    const uint8_t next = rest.length ? *rest.data : '}';
    if (next == ',') rest = behind(rest, 1);
    *text = rest;
    return next == ',' || next == '}' || next == ']';
}

bool cre__json_next_member(cre_slice *object, cre_slice *name, cre_slice *value) {
    cre_slice rest = skip_space(*object);
    if (rest.length && *rest.data == '{') rest = skip_space(behind(rest, 1));
    if (!rest.length || *rest.data != '"') return false;
    const size_t quoted = string_length(rest);
    if (!quoted) return false;
    *name = (cre_slice){ rest.data + 1, quoted - 2 };
    rest = skip_space(behind(rest, quoted));
    if (!rest.length || *rest.data != ':') return false;
    rest = behind(rest, 1);
    if (!take_value(&rest, value)) return false;
    *object = rest;
    return true;
}

bool cre__json_member(cre_slice object, const char *name, cre_slice *value) {
    const size_t length = strlen(name);
    cre_slice rest = skip_space(object), found;
    if (!rest.length || *rest.data != '{') return false;
    while (cre__json_next_member(&rest, &found, value))
        if (found.length == length && memcmp(found.data, name, length) == 0) return true;
    return false;
}

bool cre__json_next(cre_slice *array, cre_slice *value) {
    cre_slice rest = skip_space(*array);
    if (rest.length && *rest.data == '[') rest = behind(rest, 1);
    if (!take_value(&rest, value)) return false;
    *array = rest;
    return true;
}

bool cre__json_number(cre_slice value, uint64_t *number) {
    *number = 0;
    for (size_t i = 0; i < value.length; i++) {
        const uint8_t c = value.data[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(*number, 10, number)) return false;
        if (__builtin_add_overflow(*number, (uint64_t)(c - '0'), number)) return false;
    }
    return value.length > 0;
}

bool cre__json_is_true(cre_slice value) {
    return value.length == 4 && memcmp(value.data, "true", 4) == 0;
}

bool cre__json_string(cre_slice value, cre_slice *text) {
    if (value.length < 2 || *value.data != '"') return false;
    *text = (cre_slice){ value.data + 1, value.length - 2 };
    return true;
}

static int hex_of(uint8_t c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Takes one character of a string, above ASCII one of its bytes. Returns it, or -1. */
static int take_character(cre_slice *text) {
    const uint8_t c = *text->data;
    if (c != '\\') {
        *text = behind(*text, 1);
        return c;
    }
    if (text->length < 2) return -1;
    const uint8_t escaped = text->data[1];
    if (escaped != 'u') {
        *text = behind(*text, 2);
        return escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped == 'r' ? '\r' : escaped;
    }
    if (text->length < 6) return -1;
    int code = 0;
    for (int i = 2; i < 6; i++) {
        const int digit = hex_of(text->data[i]);
        if (digit < 0) return -1;
        code = code << 4 | digit;
    }
    *text = behind(*text, 6);
    return code;
}

bool cre__json_equals(cre_slice value, cre_slice text) {
    cre_slice rest;
    if (!cre__json_string(value, &rest)) return false;
    for (size_t i = 0; i < text.length; i++)
        if (!rest.length || take_character(&rest) != text.data[i]) return false;
    return rest.length == 0;
}

bool cre__json_time(cre_slice text, uint64_t *milliseconds) {
    static const char form[] = "0000-00-00T00:00:00";
    enum { LENGTH = sizeof form - 1 };
    uint64_t parts[6] = { 0 }, fraction = 0, unit = 100;
    size_t part = 0, i = 0;
    if (text.length <= LENGTH || text.data[text.length - 1] != 'Z') return false;
    for (; i < LENGTH; i++) {
        const bool is_digit = text.data[i] >= '0' && text.data[i] <= '9';
        if (is_digit != (form[i] == '0') || (!is_digit && text.data[i] != form[i])) return false;
        if (is_digit)
            parts[part] = parts[part] * 10 + (uint64_t)(text.data[i] - '0');
        else
            part++;
    }
    if (text.data[i] == '.') i++;
    for (; i + 1 < text.length; i++, unit /= 10) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        fraction += (uint64_t)(text.data[i] - '0') * unit;
    }
    if (parts[0] < 1970 || !parts[1] || parts[1] > 12 || !parts[2]) return false;
    const int64_t days = cre__days_of((int64_t)parts[0], (int)parts[1], (int)parts[2]);
    *milliseconds = (((uint64_t)days * 24 + parts[3]) * 60 + parts[4]) * 60000 + parts[5] * 1000 + fraction;
    return true;
}

bool cre__json_has_number(cre_slice object, const char *name, uint64_t expected) {
    cre_slice value;
    uint64_t number;
    return cre__json_member(object, name, &value) && cre__json_number(value, &number) && number == expected;
}

bool cre__json_has_text(cre_slice object, const char *name, const char *expected) {
    cre_slice value;
    return cre__json_member(object, name, &value) &&
           cre__json_equals(value, (cre_slice){ (const uint8_t *)expected, strlen(expected) });
}

uint8_t *cre__json_put(uint8_t *out, cre_slice text) {
    *out++ = '"';
    for (size_t i = 0; i < text.length; i++) {
        const uint8_t c = text.data[i];
        if (c < ' ') {
            memcpy(out, "\\u00", 4);
            out[4] = "0123456789abcdef"[c >> 4];
            out[5] = "0123456789abcdef"[c & 15];
            out += 6;
        } else {
            if (c == '"' || c == '\\') *out++ = '\\';
            *out++ = c;
        }
    }
    *out++ = '"';
    return out;
}
