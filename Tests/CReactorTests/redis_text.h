/* Values of Redis as text, so that tests can compare them: [a, #1, {k: v}], errors as -text. */
#ifndef CRE_REDIS_TEXT_H
#define CRE_REDIS_TEXT_H

#include <creactor/redis.h>
#include <inttypes.h>

#include "test.h"

static char redis_seen[200000];
static size_t redis_seen_length;

static inline void redis_note(const char *text, size_t length) {
    REQUIRE(redis_seen_length + length + 1 < sizeof redis_seen);
    if (length) memcpy(redis_seen + redis_seen_length, text, length);
    redis_seen_length += length;
    redis_seen[redis_seen_length] = 0;
}

/* Notes a value with its members and returns the number of values. */
static inline uint32_t redis_note_value(const cre_redis_value *value) {
    static const char *const begins[] = { "[", "~[", "{", ">[" }, *const ends[] = { "]", "]", "}", "]" };
    char number[32];
    switch (value->type) {
    case CRE_REDIS_NULL: redis_note("null", 4); return 1;
    case CRE_REDIS_INTEGER:
        redis_note(number, (size_t)snprintf(number, sizeof number, "#%" PRId64, value->integer));
        return 1;
    case CRE_REDIS_BOOLEAN: redis_note(value->integer ? "true" : "false", 4 + !value->integer); return 1;
    case CRE_REDIS_ERROR: redis_note("-", 1); break;
    case CRE_REDIS_DOUBLE: redis_note(",", 1); break;
    case CRE_REDIS_BIG: redis_note("(", 1); break;
    case CRE_REDIS_STRING: break;
    default: {
        const int kind = (int)value->type - CRE_REDIS_ARRAY;
        uint32_t all = 1;
        redis_note(begins[kind], strlen(begins[kind]));
        for (uint32_t i = 0; i < value->count; i++) {
            if (i) redis_note(", ", 2);
            all += redis_note_value(value + all);
        }
        redis_note(ends[kind], 1);
        CHECK_EQ(value->size, all);
        return all;
    }
    }
    redis_note((const char *)value->text.data, value->text.length);
    CHECK_EQ(value->size, 1);
    return 1;
}

#endif
