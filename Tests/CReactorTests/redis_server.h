/*
 * A Redis server in memory for tests of brokers: the commands that they use, with data that survive its
 * connections. It runs no scripts: it knows what those of the broker do that publish and recover and, if it
 * has a clock, those of members. Connections can be cut after any byte.
 */
#ifndef CRE_REDIS_SERVER_H
#define CRE_REDIS_SERVER_H

#include <creactor/redis.h>

#include "broker/redis.h"
#include "test.h"

enum {
    SERVER_CONNECTIONS = 4,
    SERVER_CHANNELS = 400,
    SERVER_KEYS = 40,
    SERVER_ENTRIES = 400,
    SERVER_IDS = 400,
    SERVER_MEMBERS = 40,
    SERVER_PART = 2 /* messages of a reply to a check */
};

typedef struct server_connection {
    bool open;
    cre_redis_reader reader;
    char *out; /* bytes for the client */
    size_t length;
    char *channels[SERVER_CHANNELS];
    int count;
    bool moved; /* the slot is not here any more */
} server_connection;

typedef struct server_history {
    char key[400]; /* of the meta data */
    char epoch[17];
    uint64_t offset;
    char *entries[SERVER_ENTRIES]; /* by offset; NULL: trimmed */
} server_history;

/* A machine has a member of a topic. */
typedef struct server_member {
    char keys[64]; /* the beginning of the keys of the topic's partition */
    char topic[64], machine[17], id[64], info[64];
    uint64_t expires;
} server_member;

typedef struct redis_server {
    server_connection connections[SERVER_CONNECTIONS];
    server_history histories[SERVER_KEYS];
    int keys, ids;
    char *done_ids[SERVER_IDS];
    uint64_t done_offsets[SERVER_IDS];
    bool has_scripts[CRE__SCRIPTS];
    bool drops_messages;   /* published messages reach nobody */
    const char *refuses;   /* the reply to the next publication or script... */
    bool keeps_refusing;   /* ...and to all of them... */
    bool refuses_scripts;  /* ...or only to scripts */
    const char *password;  /* NULL: none */
    const uint64_t *clock; /* milliseconds; NULL: it keeps no members */
    server_member entries[SERVER_MEMBERS];
    int entry_count;
    int commands, members; /* calls of the script of members */
    int recoveries;        /* calls of the script that recovers... */
    size_t asked_bytes;    /* ...and the bytes that their replies, and those to GET, might have had */
    size_t message_bytes;  /* which each recovered message has more than it seems */
    /* As a node of a Redis Cluster: the keys of the slot are being moved after this number of commands, for
     * five commands. New connections are then to the new node. 0: never. */
    int moves_after;
} redis_server;

static inline void server_send(server_connection *to, const void *data, size_t length) {
    to->out = realloc(to->out, to->length + length + 1);
    REQUIRE(to->out);
    if (length) memcpy(to->out + to->length, data, length);
    to->length += length;
}

static inline void server_print(server_connection *to, const char *text) {
    server_send(to, text, strlen(text));
}

static inline void server_bulk(server_connection *to, const void *data, size_t length) {
    char head[32];
    server_send(to, head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", length));
    server_send(to, data, length);
    server_print(to, "\r\n");
}

static inline void server_drop(redis_server *server, int index) {
    server_connection *connection = &server->connections[index];
    if (!connection->open) return;
    cre_redis_reader_deinit(&connection->reader);
    free(connection->out);
    for (int i = 0; i < connection->count; i++)
        free(connection->channels[i]);
    *connection = (server_connection){ 0 };
}

static inline void server_accept(redis_server *server, int index) {
    server_drop(server, index);
    server->connections[index].open = true;
    REQUIRE(cre_redis_reader_init(&server->connections[index].reader, NULL) == 0);
}

/* Everything that is kept is lost, as at a restart without persistence. */
static inline void server_forget(redis_server *server) {
    for (int i = 0; i < server->keys; i++)
        for (int j = 0; j < SERVER_ENTRIES; j++)
            free(server->histories[i].entries[j]);
    for (int i = 0; i < server->ids; i++)
        free(server->done_ids[i]);
    memset(server->histories, 0, sizeof server->histories);
    memset(server->has_scripts, 0, sizeof server->has_scripts);
    server->keys = server->ids = 0;
}

static inline void server_stop(redis_server *server) {
    for (int i = 0; i < SERVER_CONNECTIONS; i++)
        server_drop(server, i);
    server_forget(server);
}

static inline int server_publish(redis_server *server, cre_slice channel, const char *data, size_t length) {
    int receivers = 0;
    for (int i = 0; i < SERVER_CONNECTIONS && !server->drops_messages; i++) {
        server_connection *to = &server->connections[i];
        for (int j = 0; j < to->count; j++) {
            if (strlen(to->channels[j]) != channel.length ||
                memcmp(to->channels[j], channel.data, channel.length) != 0)
                continue;
            server_print(to, ">3\r\n$7\r\nmessage\r\n");
            server_bulk(to, channel.data, channel.length);
            server_bulk(to, data, length);
            receivers++;
        }
    }
    return receivers;
}

static inline char *server_copy(cre_slice text) {
    char *copy = strndup((const char *)text.data, text.length);
    REQUIRE(copy);
    return copy;
}

static inline server_history *server_history_of(redis_server *server, cre_slice key, cre_slice epoch) {
    for (int i = 0; i < server->keys; i++)
        if (cre_redis_text_is(key, server->histories[i].key)) return &server->histories[i];
    REQUIRE(server->keys < SERVER_KEYS && key.length < 400 && epoch.length == 16);
    server_history *history = &server->histories[server->keys++];
    memcpy(history->key, key.data, key.length);
    memcpy(history->epoch, epoch.data, 16);
    return history;
}

static inline void server_position(server_connection *to, const char *epoch, uint64_t offset) {
    char number[24];
    server_bulk(to, epoch, 16);
    server_bulk(to, number, (size_t)snprintf(number, sizeof number, "%llu", (unsigned long long)offset));
}

/* Arguments: EVALSHA sha 3 meta history id channel message epoch count seconds lifetimes. */
static inline void server_run_publish(redis_server *server, server_connection *to,
                                      const cre_redis_value *arguments) {
    server_history *history = server_history_of(server, arguments[3].text, arguments[8].text);
    const cre_slice id = arguments[5].text, message = arguments[7].text;
    for (int i = 0; i < server->ids; i++) {
        if (!cre_redis_text_is(id, server->done_ids[i])) continue;
        server_print(to, "*2\r\n");
        server_position(to, history->epoch, server->done_offsets[i]);
        return;
    }
    char *count = server_copy(arguments[9].text);
    const int keep = atoi(count);
    free(count);
    REQUIRE(++history->offset < SERVER_ENTRIES && server->ids < SERVER_IDS);
    history->entries[history->offset] = server_copy(message);
    if (history->offset > (uint64_t)keep) {
        free(history->entries[history->offset - (uint64_t)keep]);
        history->entries[history->offset - (uint64_t)keep] = NULL;
    }
    server->done_ids[server->ids] = server_copy(id);
    server->done_offsets[server->ids++] = history->offset;
    char *text = malloc(message.length + 64);
    REQUIRE(text);
    const int length =
        snprintf(text, message.length + 64, "1%llu:%s:%.*s", (unsigned long long)history->offset,
                 history->epoch, (int)message.length, (const char *)message.data);
    server_publish(server, arguments[6].text, text, (size_t)length);
    free(text);
    server_print(to, "*2\r\n");
    server_position(to, history->epoch, history->offset);
}

/* Arguments: EVALSHA sha 2 meta history epoch since-epoch since-offset count bytes lifetime known. */
static inline void server_run_recover(redis_server *server, server_connection *to,
                                      const cre_redis_value *arguments) {
    const server_history *history = server_history_of(server, arguments[3].text, arguments[5].text);
    char *since = server_copy(arguments[7].text), *most = server_copy(arguments[8].text);
    const bool same = cre_redis_text_is(arguments[6].text, history->epoch);
    const uint64_t offset = same ? strtoull(since, NULL, 10) : 0;
    bool complete = arguments[6].text.length == 0, has_more = false;
    const bool is_known = cre_redis_text_is(arguments[11].text, "1");
    uint64_t count = 0;
    if (!complete && (same || is_known) && offset <= history->offset &&
        history->offset - offset <= strtoull(most, NULL, 10)) {
        complete = true;
        count = history->offset - offset;
        for (uint64_t i = 1; i <= count; i++)
            complete = complete && history->entries[offset + i];
        if (!complete) count = 0;
        has_more = is_known && count > SERVER_PART;
        if (has_more) count = SERVER_PART;
    }
    char head[32], *limit = server_copy(arguments[9].text);
    const size_t most_bytes = strtoull(limit, NULL, 10);
    size_t bytes = 0;
    uint64_t fitting = 0;
    for (uint64_t i = 1; i <= count && bytes <= most_bytes; i++) {
        bytes += strlen(history->entries[offset + i]) + 48 + server->message_bytes;
        if (bytes <= most_bytes) fitting = i;
    }
    const bool longer = fitting < count && (!is_known || !fitting);
    has_more = !longer && (has_more || fitting < count);
    count = longer ? 0 : fitting;
    free(limit);
    server->recoveries++;
    server->asked_bytes += most_bytes;
    server_print(to, "*4\r\n");
    server_position(to, history->epoch, has_more ? offset + count : history->offset);
    server_send(to, head,
                (size_t)snprintf(head, sizeof head, ":%d\r\n*%d\r\n",
                                 longer     ? 3
                                 : has_more ? 2
                                            : complete,
                                 2 * (int)count));
    for (uint64_t i = 1; i <= count; i++) {
        char number[24];
        server_bulk(to, number,
                    (size_t)snprintf(number, sizeof number, "%llu", (unsigned long long)(offset + i)));
        server_bulk(to, history->entries[offset + i], strlen(history->entries[offset + i]));
    }
    free(since);
    free(most);
}

/* ---- members ---- */

/* Changes of members as the scripts return them, or members in a list. */
typedef struct server_changes {
    char text[4096];
    int values;
} server_changes;

static inline void server_value(server_changes *changes, const char *text) {
    const size_t used = strlen(changes->text), room = sizeof changes->text - used;
    REQUIRE((size_t)snprintf(changes->text + used, room, "$%zu\r\n%s\r\n", strlen(text), text) < room);
    changes->values++;
}

static inline void server_change(server_changes *changes, const char *kind, const server_member *entry) {
    server_value(changes, kind);
    server_value(changes, entry->id);
    server_value(changes, entry->info);
}

/* Copies a text; it must fit. */
static inline void server_put(char *out, size_t size, cre_slice text) {
    REQUIRE(text.length < size);
    memcpy(out, text.data, text.length);
    out[text.length] = 0;
}

/* An entry of the member; of any machine, if `machine` is NULL. */
static inline server_member *server_find(redis_server *server, const char *topic, const char *machine,
                                         const char *id) {
    for (int i = 0; i < server->entry_count; i++) {
        server_member *entry = &server->entries[i];
        if (strcmp(entry->topic, topic) == 0 && strcmp(entry->id, id) == 0 &&
            (!machine || strcmp(entry->machine, machine) == 0))
            return entry;
    }
    return NULL;
}

/* Removes an entry; with the last one of it the member has left. */
static inline void server_leave(redis_server *server, server_member *entry, server_changes *changes) {
    const server_member left = *entry;
    *entry = server->entries[--server->entry_count];
    if (!server_find(server, left.topic, NULL, left.id)) server_change(changes, "l", &left);
}

/* Arguments: EVALSHA sha 3 info expiry index topic machine lifetime, then 'j' or 'l', id and info of each. */
static inline void server_run_members(redis_server *server, server_connection *to,
                                      const cre_redis_value *arguments, uint32_t count) {
    server_changes changes = { 0 };
    char head[32], lifetime[24];
    server_member given = { 0 };
    server_put(given.keys, sizeof given.keys, arguments[5].text);
    given.keys[strlen(given.keys) - strlen("t:")] = 0;
    server_put(given.topic, sizeof given.topic, arguments[6].text);
    server_put(given.machine, sizeof given.machine, arguments[7].text);
    server_put(lifetime, sizeof lifetime, arguments[8].text);
    given.expires = *server->clock + strtoull(lifetime, NULL, 10);
    for (uint32_t i = 9; i < count; i += 3) {
        server_put(given.id, sizeof given.id, arguments[i + 1].text);
        server_put(given.info, sizeof given.info, arguments[i + 2].text);
        const bool is_new = !server_find(server, given.topic, NULL, given.id);
        server_member *entry = server_find(server, given.topic, given.machine, given.id);
        if (cre_redis_text_is(arguments[i].text, "l")) {
            if (entry) server_leave(server, entry, &changes);
            continue;
        }
        REQUIRE(server->entry_count < SERVER_MEMBERS);
        if (!entry) entry = &server->entries[server->entry_count++];
        *entry = given;
        if (is_new) server_change(&changes, "j", entry);
    }
    server_send(to, head, (size_t)snprintf(head, sizeof head, "*%d\r\n", changes.values));
    server_print(to, changes.text);
}

/* Arguments: EVALSHA sha 1 index beginning-of-keys. */
static inline void server_run_sweep(redis_server *server, server_connection *to,
                                    const cre_redis_value *arguments) {
    char head[32], keys[64];
    server_connection swept = { 0 };
    int topics = 0;
    server_put(keys, sizeof keys, arguments[4].text);
    for (int i = server->entry_count - 1; i >= 0; i--) {
        server_member *entry = &server->entries[i];
        if (strcmp(entry->keys, keys) != 0 || entry->expires > *server->clock) continue;
        server_changes changes = { 0 };
        server_bulk(&swept, entry->topic, strlen(entry->topic));
        server_leave(server, entry, &changes);
        server_send(&swept, head, (size_t)snprintf(head, sizeof head, "*%d\r\n", changes.values));
        server_print(&swept, changes.text);
        topics++;
    }
    server_send(to, head, (size_t)snprintf(head, sizeof head, "*%d\r\n:0\r\n", 1 + 2 * topics));
    server_send(to, swept.out, swept.length);
    free(swept.out);
}

/* Arguments: EVALSHA sha 2 info expiry most bytes. */
static inline void server_run_present(redis_server *server, server_connection *to,
                                      const cre_redis_value *arguments) {
    char head[64], key[400];
    server_changes members = { 0 };
    server_put(key, sizeof key, arguments[4].text);
    const char *topic = strstr(key, ":x:") + strlen(":x:");
    for (int i = 0; i < server->entry_count; i++) {
        const server_member *entry = &server->entries[i];
        bool seen = strcmp(entry->topic, topic) != 0 || entry->expires <= *server->clock;
        for (int j = 0; j < i && !seen; j++)
            seen = strcmp(server->entries[j].topic, topic) == 0 &&
                   strcmp(server->entries[j].id, entry->id) == 0 &&
                   server->entries[j].expires > *server->clock;
        if (seen) continue;
        server_value(&members, entry->id);
        server_value(&members, entry->info);
    }
    server_send(
        to, head,
        (size_t)snprintf(head, sizeof head, "*%d\r\n:%d\r\n:1\r\n", 2 + members.values, members.values / 2));
    server_print(to, members.text);
}

/* Arguments: EVALSHA sha 1 key kind condition expected lifetime value. There is always the same value. */
static inline void server_run_value(redis_server *server, server_connection *to,
                                    const cre_redis_value *arguments) {
    const bool gets = cre_redis_text_is(arguments[4].text, "get");
    if (gets) server->asked_bytes += CRE_VALUE_MAX;
    server_print(to, gets ? "*2\r\n:1\r\n$1\r\nv\r\n" : "*1\r\n:1\r\n");
}

/* The beginning of a confirmation of SUBSCRIBE or UNSUBSCRIBE, or with `sharded` of SSUBSCRIBE or
 * SUNSUBSCRIBE. */
static inline void server_confirm(server_connection *to, const char *verb, bool sharded) {
    char push[64];
    server_send(to, push,
                (size_t)snprintf(push, sizeof push, ">3\r\n$%zu\r\n%s%s\r\n", strlen(verb) + sharded,
                                 sharded ? "s" : "", verb));
}

static inline void server_subscribe(server_connection *to, const cre_redis_value *arguments, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        REQUIRE(to->count < SERVER_CHANNELS);
        to->channels[to->count++] = server_copy(arguments[i].text);
        server_confirm(to, "subscribe", cre_redis_text_is(arguments->text, "SSUBSCRIBE"));
        server_bulk(to, arguments[i].text.data, arguments[i].text.length);
        server_print(to, ":1\r\n");
    }
}

static inline void server_unsubscribe(server_connection *to, const cre_redis_value *arguments,
                                      uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        for (int j = to->count - 1; j >= 0; j--) {
            if (!cre_redis_text_is(arguments[i].text, to->channels[j])) continue;
            free(to->channels[j]);
            to->channels[j] = to->channels[--to->count];
        }
        server_confirm(to, "unsubscribe", cre_redis_text_is(arguments->text, "SUNSUBSCRIBE"));
        server_bulk(to, arguments[i].text.data, arguments[i].text.length);
        server_print(to, ":0\r\n");
    }
}

/* The slot is at another node now, which here is the same server with new connections. */
static inline void server_move(redis_server *server) {
    server->moves_after = 0;
    for (int i = 0; i < SERVER_CONNECTIONS; i++) {
        server_connection *from = &server->connections[i];
        from->moved = from->open;
        for (; from->count; free(from->channels[from->count])) {
            server_confirm(from, "unsubscribe", true);
            from->count--;
            server_bulk(from, from->channels[from->count], strlen(from->channels[from->count]));
            server_print(from, ":0\r\n");
        }
    }
}

/* Returns whether a node refuses a command because of its slot. */
static inline bool server_refuses(redis_server *server, server_connection *to, cre_slice name) {
    enum { MOVING = 5 };
    const int after = server->moves_after ? server->commands - server->moves_after : 0;
    if (after > MOVING) server_move(server);
    const bool is_free = cre_redis_text_is(name, "HELLO") || cre_redis_text_is(name, "SCRIPT");
    if (to->moved && !is_free) {
        server_print(to, "-MOVED 8192 10.0.0.2:7000\r\n");
        return true;
    }
    if (after <= 0 || after > MOVING) return false;
    const bool is_script = cre_redis_text_is(name, "EVALSHA"), is_look = cre_redis_text_is(name, "EXISTS");
    if (is_script) server_print(to, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    if (is_look) server_print(to, "-ASK 8192 10.0.0.2:7000\r\n");
    return is_script || is_look;
}

static inline void server_run(redis_server *server, server_connection *to, const cre_redis_value *command) {
    const cre_redis_value *arguments = command + 1;
    const cre_slice name = arguments[0].text;
    server->commands++;
    if (server_refuses(server, to, name)) return;
    if (cre_redis_text_is(name, "HELLO")) {
        const bool allowed = !server->password ||
                             (command->count == 5 && cre_redis_text_is(arguments[4].text, server->password));
        server_print(to,
                     allowed ? "%1\r\n+proto\r\n:3\r\n" : "-WRONGPASS invalid username-password pair\r\n");
    } else if (cre_redis_text_is(name, "SCRIPT")) {
        for (int i = 0; i < CRE__SCRIPTS; i++) {
            if (!cre_redis_text_is(arguments[2].text, cre__broker_scripts[i]) &&
                (i != CRE__SCRIPT_PUBLISH ||
                 !cre_redis_text_is(arguments[2].text, cre__broker_sharded_script)))
                continue;
            char id[CRE__SCRIPT_ID + 1];
            snprintf(id, sizeof id, "%040d", i);
            server->has_scripts[i] = true;
            server_bulk(to, id, CRE__SCRIPT_ID);
        }
    } else if (cre_redis_text_is(name, "PING")) {
        /* as Redis, which refuses this, too, while its disk fails */
        const bool fails = server->refuses && strncmp(server->refuses, "-MISCONF", 8) == 0;
        server_print(to, fails ? server->refuses : "+PONG\r\n");
    } else if (cre_redis_text_is(name, "EXISTS")) {
        server_print(to, ":0\r\n");
    } else if (cre_redis_text_is(name, "SUBSCRIBE") || cre_redis_text_is(name, "SSUBSCRIBE")) {
        server_subscribe(to, arguments, command->count);
    } else if (cre_redis_text_is(name, "UNSUBSCRIBE") || cre_redis_text_is(name, "SUNSUBSCRIBE")) {
        server_unsubscribe(to, arguments, command->count);
    } else if (server->refuses && (!server->refuses_scripts || cre_redis_text_is(name, "EVALSHA"))) {
        server_print(to, server->refuses);
        if (!server->keeps_refusing) server->refuses = NULL;
    } else if (cre_redis_text_is(name, "PUBLISH") || cre_redis_text_is(name, "SPUBLISH")) {
        const cre_slice data = arguments[2].text;
        char head[32];
        const int receivers = server_publish(server, arguments[1].text, (const char *)data.data, data.length);
        server_send(to, head, (size_t)snprintf(head, sizeof head, ":%d\r\n", receivers));
    } else {
        REQUIRE(cre_redis_text_is(name, "EVALSHA") && arguments[1].text.length == CRE__SCRIPT_ID);
        const int script = arguments[1].text.data[CRE__SCRIPT_ID - 1] - '0';
        static const char *const without_members[CRE__SCRIPTS] = {
            [CRE__SCRIPT_MEMBERS] = "*0\r\n",
            [CRE__SCRIPT_SWEEP] = "*1\r\n:0\r\n",
            [CRE__SCRIPT_PRESENT] = "*2\r\n:0\r\n:1\r\n",
        };
        REQUIRE(script >= 0 && script < CRE__SCRIPTS);
        server->members += script == CRE__SCRIPT_MEMBERS;
        if (!server->has_scripts[script])
            server_print(to, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
        else if (script == CRE__SCRIPT_PUBLISH)
            server_run_publish(server, to, arguments);
        else if (script == CRE__SCRIPT_RECOVER)
            server_run_recover(server, to, arguments);
        else if (script == CRE__SCRIPT_VALUE)
            server_run_value(server, to, arguments);
        else if (!server->clock)
            server_print(to, without_members[script]);
        else if (script == CRE__SCRIPT_MEMBERS)
            server_run_members(server, to, arguments, command->count);
        else if (script == CRE__SCRIPT_SWEEP)
            server_run_sweep(server, to, arguments);
        else
            server_run_present(server, to, arguments);
    }
}

static inline void server_receive(redis_server *server, int index, const uint8_t *data, size_t length) {
    server_connection *connection = &server->connections[index];
    const uint8_t *cursor = data;
    const cre_redis_value *command;
    const long failing = atomic_exchange(&test_fail_at, 0); /* the server's memory is another one */
    int result;
    while ((result = cre_redis_reader_next(&connection->reader, &cursor, data + length, &command)) > 0)
        server_run(server, connection, command);
    REQUIRE(result == 0);
    atomic_store(&test_fail_at, failing);
}

#endif
