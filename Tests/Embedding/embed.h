/*
 * What an outside program does with the library, written once for all the ways to reach it, in the common
 * subset of C and C++. Each function returns 0 or the number of the step that failed.
 */
#ifndef EMBED_H
#define EMBED_H

#include <creactor/creactor.h>
#include <stdio.h>
#include <string.h>

static inline int embed_version(void) {
    char expected[32];
    snprintf(expected, sizeof expected, "%d.%d.%d", CRE_VERSION_MAJOR, CRE_VERSION_MINOR, CRE_VERSION_PATCH);
    return strcmp(cre_version(), expected) == 0 ? 0 : 1;
}

static inline int embed_errors(void) {
    if (strcmp(cre_error_name(CRE_ENOMEM), "CRE_ENOMEM") != 0) return 1;
    return *cre_error_message(CRE_ENOMEM) ? 0 : 2;
}

/* A frame there and back through the protocol library alone. */
static inline int embed_protocol(void) {
    const uint8_t mask[4] = { 1, 2, 3, 4 };
    uint8_t frame[64], *cursor = frame;
    cre_ws_config config;
    cre_ws_session session;
    cre_ws_event event;
    memset(&config, 0, sizeof config);
    size_t size =
        cre_ws_pack(frame, sizeof frame, CRE_WS_FIN | CRE_WS_TEXT, (const uint8_t *)"hello", 5, mask);
    if (size != 11) return 1;
    cre_ws_session_init(&session, &config);
    int result = cre_ws_session_next(&session, &cursor, frame + size, &event);
    int good =
        result == 1 && event.opcode == CRE_WS_TEXT && event.length == 5 && !memcmp(event.data, "hello", 5);
    cre_ws_session_deinit(&session);
    return good ? 0 : 2;
}

static inline int embed_on_event(void *context, cre_engine *engine, const cre_record *event,
                                 uint8_t *payload) {
    (void)context, (void)engine, (void)event, (void)payload;
    return 0;
}

static inline void embed_fire(void *context, cre_timer *timer) {
    cre_timer_stop(timer);
    cre_loop_stop((cre_loop *)context);
}

/* An engine that listens, on a loop that runs until a timer stops it. */
static inline int embed_engine(void) {
    cre_loop *loop = NULL;
    cre_engine *engine = NULL;
    cre_timer *timer = NULL;
    cre_engine_config config;
    cre_listen_options where;
    uint16_t port = 0;
    memset(&config, 0, sizeof config);
    memset(&where, 0, sizeof where);
    config.size = sizeof config;
    config.on_event = embed_on_event;
    where.size = sizeof where;
    where.host = "127.0.0.1";
    if (cre_loop_create(&loop)) return 1;
    int failed = 0;
    if (cre_engine_create(loop, &config, &engine))
        failed = 2;
    else if (cre_engine_listen(engine, &where, &port) || !port)
        failed = 3;
    else if (cre_timer_start(loop, 1, 0, embed_fire, loop, &timer) || cre_loop_run(loop))
        failed = 4;
    cre_engine_destroy(engine);
    cre_loop_destroy(loop);
    return failed;
}

typedef struct embed_client_state {
    cre_loop *loop;
    int error;
} embed_client_state;

static inline void embed_received(void *context, cre_client *client, const cre_client_message *message) {
    (void)context, (void)client, (void)message;
}

static inline void embed_closed(void *context, cre_client *client, const cre_client_ending *ending) {
    embed_client_state *state = (embed_client_state *)context;
    (void)client;
    state->error = ending->error;
    cre_loop_stop(state->loop);
}

/* A client that finds no server. */
static inline int embed_client(void) {
    embed_client_state state;
    cre_clients *clients = NULL;
    cre_client *client = NULL;
    cre_client_options options;
    memset(&options, 0, sizeof options);
    memset(&state, 0, sizeof state);
    options.size = sizeof options;
    options.host = "unix:/nowhere/at-all";
    options.context = &state;
    options.received = embed_received;
    options.closed = embed_closed;
    if (cre_loop_create(&state.loop)) return 1;
    int failed = 0;
    if (cre_clients_create(state.loop, &clients))
        failed = 2;
    else if (cre_client_connect(clients, &options, &client) || cre_loop_run(state.loop))
        failed = 3;
    else if (!state.error)
        failed = 4;
    cre_clients_destroy(clients);
    cre_loop_destroy(state.loop);
    return failed;
}

/* Memory that forked processes would share. */
static inline int embed_shared(void) {
    cre_shared_table *table = NULL;
    cre_shared_atomic *atomic = NULL;
    cre_shared_lock *lock = NULL;
    cre_shared_rate *rate = NULL;
    cre_shared_values *values = NULL;
    cre_value_operation addition;
    uint8_t number[CRE_VALUE_MAX];
    size_t length = 0;
    cre_rate_limit limit;
    cre_rate_state state;
    cre_shared_hold hold;
    cre_column column;
    int64_t sum = 0;
    limit.interval = limit.window = 1000000;
    memset(&column, 0, sizeof column);
    column.name = "visits";
    column.type = CRE_COLUMN_INT;
    memset(&addition, 0, sizeof addition);
    addition.kind = CRE_VALUE_ADD;
    addition.key.data = (const uint8_t *)"key";
    addition.key.length = 3;
    addition.amount = 42;
    int failed = 0;
    if (cre_shared_table_create(8, &column, 1, &table) || cre_shared_atomic_create(40, &atomic) ||
        cre_shared_lock_create(&lock) || cre_shared_rate_create(8, &rate) ||
        cre_shared_values_create(CRE_SHARED_VALUES_MAX, &values))
        failed = 1;
    else if (cre_shared_table_add(table, "key", 3, 0, 2, &sum) || sum != 2)
        failed = 2;
    else if (cre_shared_atomic_add(atomic, sum) != 42)
        failed = 3;
    else if (cre_shared_lock_write(lock, 0, &hold))
        failed = 4;
    else
        cre_shared_lock_release(lock, &hold);
    if (!failed && (cre_shared_rate_take(rate, "key", 3, &limit, 0, &state) || !state.passes)) failed = 5;
    if (!failed && (cre_shared_values_apply(values, &addition, 0, number, &length) != 1 || length != 2))
        failed = 6;
    cre_shared_values_destroy(values);
    cre_shared_rate_destroy(rate);
    cre_shared_lock_destroy(lock);
    cre_shared_atomic_destroy(atomic);
    cre_shared_table_destroy(table);
    return failed;
}

/* Secrets are compared in every build; keys need OpenSSL. */
static inline int embed_signature(void) {
    cre_signature_key *key = NULL;
    uint8_t secret[CRE_SIGNATURE_SECRET_MIN] = { 1 }, signature[32] = { 0 };
    if (!cre_secret_equal("a", 1, "a", 1) || cre_secret_equal("a", 1, "b", 1)) return 1;
    int result = cre_signature_key_secret(secret, sizeof secret, &key);
    if (result) return result == CRE_EUNSUPPORTED ? 0 : 2;
    result = cre_signature_verify(key, "a", 1, signature, sizeof signature);
    cre_signature_key_destroy(key);
    return result == CRE_ESIGNATURE ? 0 : 3;
}

/* Runs all of the above; the result is the program's exit code. */
static inline int embed_all(const char *consumer) {
    const struct {
        const char *name;
        int (*run)(void);
    } steps[] = {
        { "version", embed_version },     { "errors", embed_errors }, { "protocol", embed_protocol },
        { "engine", embed_engine },       { "client", embed_client }, { "shared", embed_shared },
        { "signature", embed_signature },
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int failed = steps[i].run();
        if (failed) {
            fprintf(stderr, "%s: %s failed at step %d\n", consumer, steps[i].name, failed);
            return 1;
        }
    }
    printf("%s: creactor %s works\n", consumer, cre_version());
    return 0;
}

#endif
