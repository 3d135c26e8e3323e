#include "parameters.h"

#include "chars.h"

static const char *skip_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

size_t cre__parameters_start(const char **at, const char *end) {
    const char *start = *at, *stop = start;
    while (stop < end && *stop != ';')
        stop++;
    *at = stop;
    while (stop > start && (stop[-1] == ' ' || stop[-1] == '\t'))
        stop--;
    return (size_t)(stop - start);
}

int cre__parameters_next(const char **cursor, const char *end, cre__parameter *parameter) {
    const char *at = skip_space(*cursor, end);
    /* empty parameters are skipped: "a; ; b=c" */
    while (at < end && *at == ';')
        at = skip_space(at + 1, end);
    if (at == end) {
        *cursor = at;
        return 0;
    }
    parameter->name = at;
    while (at < end && cre__is((uint8_t)*at, CRE__TOKEN))
        at++;
    parameter->name_length = (size_t)(at - parameter->name);
    if (!parameter->name_length || at == end || *at != '=') return -1;
    at++;
    parameter->quoted = at < end && *at == '"';
    if (parameter->quoted) {
        parameter->value = ++at;
        while (at < end && *at != '"') {
            if (*at == '\\' && at + 1 < end) at++;
            at++;
        }
        if (at == end) return -1;
        parameter->value_length = (size_t)(at - parameter->value);
        at++;
    } else {
        parameter->value = at;
        while (at < end && *at != ';' && *at != ' ' && *at != '\t')
            at++;
        parameter->value_length = (size_t)(at - parameter->value);
        if (!parameter->value_length) return -1;
    }
    at = skip_space(at, end);
    if (at < end && *at != ';') return -1;
    *cursor = at;
    return 1;
}
