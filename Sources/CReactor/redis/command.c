/* Commands of Redis: arrays of bulk strings. */
#include <creactor/redis.h>
#include <string.h>

#include "core/decimal.h"

static size_t digits(uint64_t number) {
    size_t count = 1;
    while (number /= 10)
        count++;
    return count;
}

size_t cre_redis_command_size(const cre_slice *arguments, size_t count) {
    const size_t most = (size_t)1 << 30;
    if (!count || count > most / 8) return 0;
    size_t size = 1 + digits(count) + 2;
    for (size_t i = 0; i < count; i++) {
        const size_t length = arguments[i].length;
        if (length > most) return 0;
        size += 1 + digits(length) + 2 + length + 2;
        if (size > most) return 0;
    }
    return size;
}

static uint8_t *put_line(uint8_t *out, char type, uint64_t number) {
    char line[1 + CRE__MAX_DECIMAL + 2] = { type };
    char *end = cre__put_decimal(line + 1, number);
    *end++ = '\r';
    *end++ = '\n';
    memcpy(out, line, (size_t)(end - line));
    return out + (end - line);
}

size_t cre_redis_command_write(uint8_t *out, const cre_slice *arguments, size_t count) {
    uint8_t *at = put_line(out, '*', count);
    for (size_t i = 0; i < count; i++) {
        at = put_line(at, '$', arguments[i].length);
        if (arguments[i].length) memcpy(at, arguments[i].data, arguments[i].length);
        at += arguments[i].length;
        *at++ = '\r';
        *at++ = '\n';
    }
    return (size_t)(at - out);
}
