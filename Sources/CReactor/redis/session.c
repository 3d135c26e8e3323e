/* One connection: pipelined commands and their replies. */
#include <creactor/redis_session.h>
#include <string.h>
#include <strings.h>

#include "core/config.h"
#include "core/memory.h"

CRE__CONFIG(cre_redis_session_config, max_output);

enum { MAX_COMMANDS = 65536, MAX_OUTPUT = 8 << 20, MAX_CHANNELS = 4096 };

/* A command without a complete reply. */
typedef struct command {
    uint64_t tag;
    uint16_t channels; /* confirmations that are missing; 0: a command with one reply */
    uint8_t verb;
} command;

struct cre_redis_session {
    cre_redis_session_config config;
    cre_redis_reader reader;
    command *commands; /* a ring with a capacity that is a power of two */
    size_t first, count, capacity;
    uint8_t *output;
    size_t sent, used, room;
};

static const char *const verbs[] = { "subscribe", "unsubscribe", "ssubscribe", "sunsubscribe" };

int cre_redis_session_create(const cre_redis_session_config *config, cre_redis_session **out) {
    cre_redis_session_config own = { .size = sizeof own };
    int error = config ? cre__config_take(&own, sizeof own, config) : 0;
    if (error) return error;
    if (!own.max_commands) own.max_commands = MAX_COMMANDS;
    if (!own.max_output) own.max_output = MAX_OUTPUT;
    cre_redis_session *session = cre__calloc(1, sizeof *session);
    if (!session) return CRE_ENOMEM;
    session->config = own;
    error = cre_redis_reader_init(&session->reader, &own.limits);
    if (error)
        cre__free(session);
    else
        *out = session;
    return error;
}

void cre_redis_session_destroy(cre_redis_session *session) {
    if (!session) return;
    cre_redis_reader_deinit(&session->reader);
    cre__free(session->commands);
    cre__free(session->output);
    cre__free(session);
}

/* Makes room for another command in the ring. */
static int reserve_command(cre_redis_session *session) {
    enum { FIRST = 16 };
    if (session->count >= session->config.max_commands) return CRE_ELIMIT;
    if (session->count < session->capacity) return 0;
    const size_t capacity = session->capacity ? 2 * session->capacity : FIRST;
    command *commands = cre__malloc(capacity * sizeof *commands);
    if (!commands) return CRE_ENOMEM;
    for (size_t i = 0; i < session->count; i++)
        commands[i] = session->commands[(session->first + i) & (session->capacity - 1)];
    cre__free(session->commands);
    session->commands = commands;
    session->capacity = capacity;
    session->first = 0;
    return 0;
}

/* Makes room for `size` bytes of output. The pending output is moved only when there is no room behind it,
 * and then gets as much room as it is long: however it is sent, each byte is moved about once. */
static int reserve_output(cre_redis_session *session, size_t size) {
    const size_t pending = session->used - session->sent;
    if (pending && pending + size > session->config.max_output) return CRE_ELIMIT;
    if (session->room - session->used >= size) return 0;
    if (session->sent) {
        memmove(session->output, session->output + session->sent, pending);
        session->sent = 0;
        session->used = pending;
    }
    enum { FIRST = 1024 };
    size_t room = 2 * pending + size;
    if (room < FIRST) room = FIRST;
    if (session->room >= room) return 0;
    uint8_t *output = cre__realloc(session->output, room);
    if (!output) return CRE_ENOMEM;
    session->output = output;
    session->room = room;
    return 0;
}

static int append(cre_redis_session *session, const cre_slice *arguments, size_t count, command added) {
    const size_t size = cre_redis_command_size(arguments, count);
    if (!size) return CRE_EINVALID;
    int error = reserve_command(session);
    if (!error) error = reserve_output(session, size);
    if (error) return error;
    session->used += cre_redis_command_write(session->output + session->used, arguments, count);
    session->commands[(session->first + session->count++) & (session->capacity - 1)] = added;
    return 0;
}

int cre_redis_session_command(cre_redis_session *session, const cre_slice *arguments, size_t count,
                              uint64_t tag) {
    return append(session, arguments, count, (command){ .tag = tag });
}

int cre_redis_session_subscribe(cre_redis_session *session, cre_redis_subscription verb,
                                const cre_slice *channels, size_t count, uint64_t tag) {
    if (!count || count > MAX_CHANNELS || (unsigned)verb > CRE_REDIS_SUNSUBSCRIBE) return CRE_EINVALID;
    cre_slice *arguments = cre__malloc((count + 1) * sizeof *arguments);
    if (!arguments) return CRE_ENOMEM;
    arguments[0] = (cre_slice){ (const uint8_t *)verbs[verb], strlen(verbs[verb]) };
    memcpy(arguments + 1, channels, count * sizeof *channels);
    const command added = { .tag = tag, .channels = (uint16_t)count, .verb = (uint8_t)verb };
    const int error = append(session, arguments, count + 1, added);
    cre__free(arguments);
    return error;
}

cre_slice cre_redis_session_output(const cre_redis_session *session) {
    if (session->used == session->sent) return (cre_slice){ 0 };
    return (cre_slice){ session->output + session->sent, session->used - session->sent };
}

void cre_redis_session_sent(cre_redis_session *session, size_t length) {
    enum { KEPT = 65536 };
    session->sent += length;
    if (session->sent < session->used) return;
    session->sent = session->used = 0;
    if (session->room <= KEPT) return;
    cre__free(session->output);
    session->output = NULL;
    session->room = 0;
}

size_t cre_redis_session_pending(const cre_redis_session *session) {
    return session->count;
}

uint64_t cre_redis_session_oldest(const cre_redis_session *session) {
    return session->commands[session->first].tag;
}

void cre_redis_session_drop(cre_redis_session *session) {
    session->first = (session->first + 1) & (session->capacity - 1);
    session->count--;
}

bool cre_redis_text_is(cre_slice text, const char *word) {
    const size_t length = strlen(word);
    return text.length == length && strncasecmp((const char *)text.data, word, length) == 0;
}

/* Ends the oldest command. */
static int finish(cre_redis_session *session, int result, cre_redis_event *event) {
    event->tag = cre_redis_session_oldest(session);
    cre_redis_session_drop(session);
    return result;
}

static int receive_push(cre_redis_session *session, const cre_redis_value *push, cre_redis_event *event) {
    const cre_redis_value *kind = push + 1;
    if (!push->count || kind->type != CRE_REDIS_STRING) return CRE_EREDIS_PROTOCOL;
    /* all members are plain when there are as many as values */
    const bool three = push->count == 3 && push->size == 4;
    if (cre_redis_text_is(kind->text, "message") || cre_redis_text_is(kind->text, "smessage")) {
        if (!three || kind[1].type != CRE_REDIS_STRING || kind[2].type != CRE_REDIS_STRING)
            return CRE_EREDIS_PROTOCOL;
        event->channel = kind[1].text;
        event->payload = kind[2].text;
        return CRE_REDIS_SESSION_MESSAGE;
    }
    command *oldest = session->count ? &session->commands[session->first] : NULL;
    if (three && oldest && oldest->channels && cre_redis_text_is(kind->text, verbs[oldest->verb]))
        return --oldest->channels ? CRE_REDIS_SESSION_MORE : finish(session, CRE_REDIS_SESSION_DONE, event);
    event->value = push;
    return CRE_REDIS_SESSION_PUSH;
}

int cre_redis_session_next(cre_redis_session *session, const uint8_t **cursor, const uint8_t *end,
                           cre_redis_event *event) {
    for (;;) {
        const cre_redis_value *value;
        int result = cre_redis_reader_next(&session->reader, cursor, end, &value);
        if (result <= 0) return result;
        *event = (cre_redis_event){ 0 };
        if (value->type == CRE_REDIS_PUSH) {
            result = receive_push(session, value, event);
            if (result != CRE_REDIS_SESSION_MORE) return result;
            continue;
        }
        if (!session->count) return CRE_EREDIS_PROTOCOL;
        if (session->commands[session->first].channels && value->type != CRE_REDIS_ERROR)
            return CRE_EREDIS_PROTOCOL;
        event->value = value;
        return finish(session, CRE_REDIS_SESSION_REPLY, event);
    }
}
