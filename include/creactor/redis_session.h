/*
 * One connection to Redis or Valkey without I/O: commands are pipelined, replies are matched with them in
 * order, and published messages are kept apart from replies.
 *
 *   cre_redis_session_command(session, hello, 2, 1);            // "HELLO" "3": published messages need it
 *   cre_redis_session_subscribe(session, CRE_REDIS_SUBSCRIBE, channels, count, 2);
 *   send(cre_redis_session_output(session)); cre_redis_session_sent(session, length);
 *   while ((result = cre_redis_session_next(session, &cursor, end, &event)) > 0) ...
 */
#ifndef CREACTOR_REDIS_SESSION_H
#define CREACTOR_REDIS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "redis.h"

/** A connection. One thread at a time. */
typedef struct cre_redis_session cre_redis_session;

/** Limits of a connection. `size` is required; another member of 0 takes its default. */
typedef struct cre_redis_session_config {
    size_t size;             /* sizeof(cre_redis_session_config) */
    cre_redis_limits limits; /* of a received value */
    uint32_t max_commands;   /* commands without a reply; 0: 65536 */
    uint32_t max_output;     /* bytes of commands that were not sent; 0: 8 MiB */
} cre_redis_session_config;

/** The commands that change subscriptions. */
typedef enum cre_redis_subscription {
    CRE_REDIS_SUBSCRIBE = 0,   /* SUBSCRIBE */
    CRE_REDIS_UNSUBSCRIBE = 1, /* UNSUBSCRIBE */
    CRE_REDIS_SSUBSCRIBE = 2,  /* SSUBSCRIBE: sharded channels */
    CRE_REDIS_SUNSUBSCRIBE = 3 /* SUNSUBSCRIBE */
} cre_redis_subscription;

/** Results of cre_redis_session_next. */
enum {
    CRE_REDIS_SESSION_MORE = 0,    /* the input is used up */
    CRE_REDIS_SESSION_REPLY = 1,   /* the reply to the command `tag`, or the error that ended it */
    CRE_REDIS_SESSION_DONE = 2,    /* the server has confirmed all channels of the subscription `tag` */
    CRE_REDIS_SESSION_MESSAGE = 3, /* a message was published to `channel` */
    CRE_REDIS_SESSION_PUSH = 4     /* another push, such as a subscription that the server has ended */
};

/** What was received. Everything is borrowed until the next call for the session. */
typedef struct cre_redis_event {
    uint64_t tag;                 /* REPLY and DONE */
    const cre_redis_value *value; /* REPLY and PUSH */
    cre_slice channel, payload;   /* MESSAGE */
} cre_redis_event;

CRE_BEGIN_DECLS

/** Creates a connection. `config` is copied; NULL means the defaults. Returns 0 and *session, which the
 * caller destroys; CRE_ECONFIG_SIZE, CRE_EINVALID for a limit that cre_redis_reader_init refuses, or
 * CRE_ENOMEM. */
CRE_NODISCARD CRE_API int cre_redis_session_create(const cre_redis_session_config *config,
                                                   cre_redis_session **session);

/** Frees a connection. Commands without a reply get none. NULL is ignored. */
CRE_API void cre_redis_session_destroy(cre_redis_session *session);

/** Appends a command, which is copied, to the output. `tag` is returned with its reply. Not for commands that
 * change subscriptions or MONITOR, nor for CLIENT REPLY, since replies are counted. Returns 0; CRE_ELIMIT
 * when too many commands or bytes are pending; CRE_EINVALID without arguments; CRE_ENOMEM. Unless it is 0,
 * nothing was appended. A command larger than max_output is appended to an empty output. */
CRE_NODISCARD CRE_API int cre_redis_session_command(cre_redis_session *session, const cre_slice *arguments,
                                                    size_t count, uint64_t tag);

/** Appends a command that changes subscriptions to `count` channels, from 1 to 4096. It ends with DONE, or
 * with an error as a REPLY. Returns as cre_redis_session_command; CRE_EINVALID for another number of
 * channels.
 */
CRE_NODISCARD CRE_API int cre_redis_session_subscribe(cre_redis_session *session, cre_redis_subscription verb,
                                                      const cre_slice *channels, size_t count, uint64_t tag);

/** The bytes to send, borrowed until the next call that appends or reports sent bytes. */
CRE_API cre_slice cre_redis_session_output(const cre_redis_session *session);

/** The first `length` bytes of the output were sent. */
CRE_API void cre_redis_session_sent(cre_redis_session *session, size_t length);

/** The number of commands without a complete reply. */
CRE_API size_t cre_redis_session_pending(const cre_redis_session *session);

/** The tag of the oldest command without a complete reply, which must exist. With cre_redis_session_drop a
 * caller finds the commands that a lost connection has left without a reply. */
CRE_API uint64_t cre_redis_session_oldest(const cre_redis_session *session);

/** Forgets the oldest command without a complete reply, which must exist. Only when the connection is lost.
 */
CRE_API void cre_redis_session_drop(cre_redis_session *session);

/**
 * Reads from *cursor up to `end` and moves *cursor past the bytes it used. Returns one of the values above;
 * call again unless it is CRE_REDIS_SESSION_MORE. Negative results, after which the connection must be
 * closed: those of cre_redis_reader_next, and CRE_EREDIS_PROTOCOL also for a reply to no command and for one
 * that does not fit to the command.
 */
CRE_NODISCARD CRE_API int cre_redis_session_next(cre_redis_session *session, const uint8_t **cursor,
                                                 const uint8_t *end, cre_redis_event *event);

/** Whether a text is a word, in ASCII letters of any case. */
CRE_API bool cre_redis_text_is(cre_slice text, const char *word);

CRE_END_DECLS

#endif
