/*
 * The protocol of Redis and Valkey (RESP3, and RESP2 as its subset) without I/O: the reader of values that a
 * server sends, and commands.
 *
 *   while ((result = cre_redis_reader_next(&reader, &cursor, end, &value)) > 0) ...
 *
 * redis_session.h matches replies with the commands of one connection.
 */
#ifndef CREACTOR_REDIS_H
#define CREACTOR_REDIS_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "error.h"
#include "export.h"

/** What a value is. */
typedef enum cre_redis_type {
    CRE_REDIS_NULL = 1,    /* no value */
    CRE_REDIS_STRING = 2,  /* `text`: a simple, bulk or verbatim string, the latter without its format */
    CRE_REDIS_ERROR = 3,   /* `text`: a simple or bulk error, "NOAUTH Authentication required." */
    CRE_REDIS_INTEGER = 4, /* `integer` */
    CRE_REDIS_BOOLEAN = 5, /* `integer`, 0 or 1 */
    CRE_REDIS_DOUBLE = 6,  /* `text`, as the server wrote it: "1.5", "inf", "-inf", "nan" */
    CRE_REDIS_BIG = 7,     /* `text`: an integer of any size in decimal */
    CRE_REDIS_ARRAY = 8,   /* `count` members */
    CRE_REDIS_SET = 9,     /* `count` members */
    CRE_REDIS_MAP = 10,    /* `count` members, of which each second one is the value of the key before it */
    CRE_REDIS_PUSH = 11    /* `count` members: a message that answers no command */
} cre_redis_type;

/** A value. The members of an aggregate follow it: the first one is value + 1, and the one after a member is
 * member + member->size. */
typedef struct cre_redis_value {
    cre_redis_type type;
    uint32_t count;  /* members of an aggregate, without theirs; 0 for other types */
    uint32_t size;   /* this value, its members and theirs */
    int64_t integer; /* INTEGER and BOOLEAN */
    cre_slice text;  /* STRING, ERROR, DOUBLE and BIG; all are borrowed with the value */
} cre_redis_value;

/** The most levels of aggregates inside aggregates. */
enum { CRE_REDIS_MAX_DEPTH = 16 };

/** Limits of one value with all its members. A member of 0 takes its default. */
typedef struct cre_redis_limits {
    size_t max_bytes;    /* as the server sends them; 0: 16 MiB, at most 1 GiB */
    uint32_t max_values; /* 0: 65536 */
    uint32_t max_line;   /* bytes of a simple string or error; 0: 64 KiB */
} cre_redis_limits;

/** The reader of one connection. Fields are private. */
typedef struct cre_redis_reader {
    cre_redis_limits limits;
    uint8_t *buffer; /* a value that arrives in pieces */
    size_t used, capacity;
    size_t at;               /* the bytes of the value that were understood */
    size_t searched;         /* the bytes that contain no end of a line, from `at` on */
    size_t body;             /* the bytes of a bulk string and its line end, which are not understood yet */
    cre_redis_value *values; /* of the value so far; texts are offsets */
    uint32_t count, capacity_values;
    uint64_t expected; /* members that are announced and did not begin */
    uint32_t depth;
    struct {
        uint32_t value, left;
    } levels[CRE_REDIS_MAX_DEPTH];
} cre_redis_reader;

CRE_BEGIN_DECLS

/** Prepares a reader. `limits` is copied; NULL means the defaults. Allocates nothing. One thread at a time
 * for each reader, here and below. Returns 0, or CRE_EINVALID for a max_bytes above 1 GiB. */
CRE_NODISCARD CRE_API int cre_redis_reader_init(cre_redis_reader *reader, const cre_redis_limits *limits);

/** Frees the memory of a reader, which may then be used for a new connection. */
CRE_API void cre_redis_reader_deinit(cre_redis_reader *reader);

/**
 * Reads from *cursor up to `end` and moves *cursor past the bytes it used. Returns 1 and sets *value, which
 * is borrowed from the reader and from the input until the next call or cre_redis_reader_deinit; call again
 * with the same cursor. Returns 0 when all input is used and no value is complete. How the input is split
 * makes no difference. Attributes are skipped. Negative results, after which the connection must be closed:
 *
 *   CRE_EREDIS_PROTOCOL  malformed or unknown, also streamed strings and aggregates, which no server sends
 *   CRE_EREDIS_TOO_LARGE  a value of more bytes or values than the limits, or with too long a line
 *   CRE_EREDIS_DEPTH  more than CRE_REDIS_MAX_DEPTH levels
 *   CRE_ENOMEM
 *
 * Memory is taken for what has arrived, not for what was announced.
 */
CRE_NODISCARD CRE_API int cre_redis_reader_next(cre_redis_reader *reader, const uint8_t **cursor,
                                                const uint8_t *end, const cre_redis_value **value);

/** The buffered bytes of an unfinished value. */
CRE_API size_t cre_redis_reader_pending(const cre_redis_reader *reader);

/** The bytes of a command with its arguments, the name being the first one; 0 when there are none, or when
 * they are more than 1 GiB together. Any thread, as below. */
CRE_API size_t cre_redis_command_size(const cre_slice *arguments, size_t count);

/** Writes a command to `out`, which has cre_redis_command_size bytes, and returns that. Arguments are binary:
 * nothing in them needs escaping. */
CRE_API size_t cre_redis_command_write(uint8_t *out, const cre_slice *arguments, size_t count);

CRE_END_DECLS

#endif
