/*
 * The client's side of the protocol of NATS without I/O: the reader of what a server sends, with the headers
 * that JetStream uses, and the operations of a client.
 *
 *   while ((result = cre_nats_reader_next(&reader, &cursor, end, &event)) > 0) ...
 */
#ifndef CREACTOR_NATS_H
#define CREACTOR_NATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "error.h"
#include "export.h"

/** What a server sends; the results of cre_nats_reader_next. */
enum {
    CRE_NATS_MORE = 0,    /* the input is used up */
    CRE_NATS_MESSAGE = 1, /* MSG or HMSG */
    CRE_NATS_INFO = 2,    /* `text`: JSON */
    CRE_NATS_PING = 3,    /* to be answered by CRE_NATS_PONG_LINE */
    CRE_NATS_PONG = 4,    /* answers a PING */
    CRE_NATS_OK = 5,      /* +OK, in verbose mode */
    CRE_NATS_ERROR = 6    /* `text`: the cause, without quotes; the server closes after most of them */
};

/** Limits of what is received. A member of 0 takes its default. */
typedef struct cre_nats_limits {
    uint32_t max_line;    /* bytes of an operation without its payload; 0: 64 KiB */
    uint32_t max_payload; /* bytes of headers and payload; 0: 8 MiB, at most 1 GiB */
} cre_nats_limits;

/** The reader of one connection. Fields are private. */
typedef struct cre_nats_reader {
    cre_nats_limits limits;
    uint8_t *buffer; /* an operation that arrives in pieces */
    size_t used, capacity;
    size_t searched; /* the bytes that contain no end of a line */
    size_t total;    /* the bytes of the operation; 0: not known yet */
    bool returned;   /* the buffered operation was returned by the last call */
} cre_nats_reader;

/** An operation of the server. Everything is borrowed from the reader or from the input until the next call.
 */
typedef struct cre_nats_event {
    cre_slice subject;     /* MESSAGE */
    cre_slice reply;       /* MESSAGE: the subject for replies; empty: none */
    uint64_t subscription; /* MESSAGE: as in cre_nats_subscribe */
    cre_slice headers;     /* MESSAGE: as received, for cre_nats_header; empty: none */
    cre_slice payload;     /* MESSAGE */
    uint16_t status;       /* MESSAGE: of the headers, 503 for a request that nobody serves; 0: none */
    cre_slice text;        /* INFO and ERROR */
} cre_nats_event;

#define CRE_NATS_PING_LINE "PING\r\n" /* the operation PING */
#define CRE_NATS_PONG_LINE "PONG\r\n" /* the operation PONG */

/** The most bytes of a subject. */
enum { CRE_NATS_MAX_SUBJECT = 1024 };

/** An operation of the client that publishes. */
typedef struct cre_nats_publication {
    cre_slice subject; /* without wildcards */
    cre_slice reply;   /* empty: none */
    cre_slice headers; /* lines "Name: value\r\n"; empty: none */
    cre_slice payload;
} cre_nats_publication;

CRE_BEGIN_DECLS

/** Prepares a reader. `limits` is copied; NULL means the defaults. Allocates nothing. One thread at a time,
 * here and below. Returns 0, or CRE_EINVALID for a max_payload above 1 GiB. */
CRE_NODISCARD CRE_API int cre_nats_reader_init(cre_nats_reader *reader, const cre_nats_limits *limits);

/** Frees the memory of a reader, which may then be used for a new connection. */
CRE_API void cre_nats_reader_deinit(cre_nats_reader *reader);

/**
 * Reads from *cursor up to `end` and moves *cursor past the bytes it used. Returns one of the values above;
 * call again unless it is CRE_NATS_MORE. How the input is split makes no difference. Negative results, after
 * which the connection must be closed: CRE_ENATS_PROTOCOL, CRE_ENATS_TOO_LARGE, CRE_ENOMEM. Memory is taken
 * for what has arrived, not for what was announced.
 */
CRE_NODISCARD CRE_API int cre_nats_reader_next(cre_nats_reader *reader, const uint8_t **cursor,
                                               const uint8_t *end, cre_nats_event *event);

/** Finds a header by its name, in any case of letters, and returns whether it exists. *value is the first one
 * of this name, without white space around it, borrowed from `headers`. Any thread, as below. */
CRE_API bool cre_nats_header(cre_slice headers, const char *name, cre_slice *value);

/** Whether a text is a subject: tokens between dots, none of them empty, without white space and control
 * characters. With `wildcards` a token may be "*", and the last one ">". */
CRE_API bool cre_nats_subject_is_valid(cre_slice subject, bool wildcards);

/** Writes SUB to `out`, which has `capacity` bytes; `queue` may be empty. Returns the number of bytes; 0 for
 * an invalid subject or too little room. */
CRE_NODISCARD CRE_API size_t cre_nats_subscribe(uint8_t *out, size_t capacity, cre_slice subject,
                                                cre_slice queue, uint64_t subscription);

/** Writes UNSUB to `out`; with `after` > 0 it takes effect after `after` messages since the subscription.
 * Returns the number of bytes; 0 for too little room. */
CRE_NODISCARD CRE_API size_t cre_nats_unsubscribe(uint8_t *out, size_t capacity, uint64_t subscription,
                                                  uint64_t after);

/** The bytes of PUB or HPUB; 0 for an invalid subject, headers that are not whole lines or contain an empty
 * one, a payload above 512 MiB and headers above 256 MiB. */
CRE_NODISCARD CRE_API size_t cre_nats_publish_size(const cre_nats_publication *publication);

/** Writes PUB or HPUB to `out`, which has cre_nats_publish_size bytes, and returns that. */
CRE_API size_t cre_nats_publish(uint8_t *out, const cre_nats_publication *publication);

/** Whether a text is the seed of a user's key, "SU...". Any thread. */
CRE_API bool cre_nats_seed_is_valid(cre_slice text);

/** Whether a text is that of a file of credentials, with a JSON Web Token and a valid seed. Any thread. */
CRE_API bool cre_nats_credentials_are_valid(cre_slice text);

CRE_END_DECLS

#endif
