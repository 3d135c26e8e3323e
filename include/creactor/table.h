/*
 * The connection table: one slot of shared memory per connection, written by the engine that owns the
 * connection, read by every process without a message.
 */
#ifndef CREACTOR_TABLE_H
#define CREACTOR_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "session.h"

CRE_BEGIN_DECLS

typedef struct cre_table cre_table;

typedef enum cre_connection_state {
    CRE_CONNECTION_HTTP = 1,    /* connected, no WebSocket (yet) */
    CRE_CONNECTION_OPEN = 2,    /* WebSocket, handshake done */
    CRE_CONNECTION_CLOSING = 3, /* closing handshake or last output under way */
    CRE_CONNECTION_STREAM = 4,  /* on a stream port */
} cre_connection_state;

typedef struct cre_connection_info {
    cre_session session;
    uint8_t state;  /* cre_connection_state */
    uint8_t family; /* AF_INET, AF_INET6, AF_UNIX */
    uint16_t remote_port;
    uint16_t port;   /* index of the listening port */
    uint16_t owner;  /* the engine's node: reactor or worker */
    uint16_t worker; /* the node that gets its events */
    uint8_t remote_address[16];
    int64_t connect_time_ms; /* Unix time, like the next two */
    int64_t last_receive_ms; /* any bytes, to about an eighth of a second; at first the connect time */
    int64_t last_send_ms;    /* the same of what was sent; 0: nothing yet */
    uint32_t queued;         /* bytes of output that wait */
    uint32_t user_id;        /* that it was bound to; 0: none */
} cre_connection_info;

/** Bytes of memory for a table of at least `connections`; 0 when that is more than 2^24. */
CRE_NODISCARD CRE_API size_t cre_table_size(uint32_t connections);

/**
 * Opens the table in `memory`, which was zeroed before the first to do so, is aligned to 64, has
 * cre_table_size bytes and outlives it; shared memory to share it with processes that open it with the same
 * `limit`, which is how many connections it takes. Where things are in it every process knows by itself,
 * whatever others write there. The caller frees it with cre_table_close. NULL: no memory.
 */
CRE_NODISCARD CRE_API cre_table *cre_table_open(void *memory, uint32_t limit);

/** Frees what cre_table_open returned, and touches the table's memory no more. NULL is allowed. */
CRE_API void cre_table_close(cre_table *table);

/** How many connections there are. Any thread or process, like all that follow. */
CRE_API uint32_t cre_table_count(const cre_table *table);

/** Copies the first `size` bytes, sizeof(cre_connection_info), of the description of a connection. Members
 * that this version does not know are 0. Returns false, copying nothing, when the connection is gone. */
CRE_API bool cre_table_info(const cre_table *table, cre_session session, cre_connection_info *info,
                            size_t size);

/** The state of a connection, 0 when it is gone. */
CRE_API int cre_table_state(const cre_table *table, cre_session session);

/**
 * Lists sessions: fills `sessions` with up to `capacity` and returns how many; 0 at the end. `*cursor` starts
 * at 0 and is moved on. Connections that come and go meanwhile may or may not be seen; none is seen twice.
 */
CRE_API size_t cre_table_list(const cre_table *table, uint32_t *cursor, cre_session *sessions,
                              size_t capacity);

/** Forgets the connections of an owner that died, whose sockets are gone with it. Returns how many there
 * were. */
CRE_API uint32_t cre_table_sweep(cre_table *table, uint16_t owner);

CRE_END_DECLS

#endif
