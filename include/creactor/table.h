/*
 * The connection table: one slot of shared memory per connection, written by the engine that owns the
 * connection, read by every process without a message.
 *
 * Any thread of any process may call all functions at any time, except cre_table_close while another thread
 * of the process uses the handle.
 */
#ifndef CREACTOR_TABLE_H
#define CREACTOR_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "session.h"

CRE_BEGIN_DECLS

/** A handle of one process on a table in its memory. */
typedef struct cre_table cre_table;

/** The states of a connection. */
typedef enum cre_connection_state {
    CRE_CONNECTION_HTTP = 1,    /* connected, no WebSocket (yet) */
    CRE_CONNECTION_OPEN = 2,    /* WebSocket, handshake done */
    CRE_CONNECTION_CLOSING = 3, /* closing handshake or last output under way */
    CRE_CONNECTION_STREAM = 4,  /* on a stream port */
} cre_connection_state;

/** The description of a connection. New members are added at the end. */
typedef struct cre_connection_info {
    cre_session session;        /* the id of the connection */
    uint8_t state;              /* cre_connection_state */
    uint8_t family;             /* AF_INET, AF_INET6, AF_UNIX */
    uint16_t remote_port;       /* the port of the remote end */
    uint16_t port;              /* index of the listening port */
    uint16_t owner;             /* the engine's node: reactor or worker */
    uint16_t worker;            /* the node that gets its events */
    uint8_t remote_address[16]; /* of the remote end */
    int64_t connect_time_ms;    /* Unix time, like the next two */
    int64_t last_receive_ms;    /* of any bytes, to about an eighth of a second; at first the connect time */
    int64_t last_send_ms;       /* likewise of output; 0: none yet */
    uint32_t queued;            /* bytes of queued output */
    uint32_t user_id;           /* set by BIND; 0: none */
    int32_t close_error;        /* of a closed connection: as in cre_closed */
    uint8_t asking;             /* 1: its handshake waits for UPGRADE or RESPOND */
    uint8_t closed;             /* 1: the connection is closed; see cre_table_get_last_info */
    uint8_t excepted;           /* 1: excepted from the heartbeat */
    uint8_t local_family; /* AF_INET, AF_INET6; 0: `local_address` is unknown, or that of a Unix socket */
    uint8_t local_address[16]; /* that the client has connected to */
} cre_connection_info;

/** The longest subprotocol, and the most bytes of the application, that are kept with a WebSocket. */
enum { CRE_MAX_SUBPROTOCOL = 255, CRE_MAX_USER_DATA = 256 };

/** What the handshake of a WebSocket has left with its connection. */
typedef struct cre_connection_note {
    uint16_t subprotocol_length; /* 0: none was chosen */
    uint16_t data_length;
    char subprotocol[CRE_MAX_SUBPROTOCOL + 1]; /* not terminated */
    uint8_t data[CRE_MAX_USER_DATA];           /* of UPGRADE */
} cre_connection_note;

/** Returns the bytes of memory for a table of `connections`; 0 when that is 0 or more than 2^24. */
CRE_NODISCARD CRE_API size_t cre_table_size(uint32_t connections);

/**
 * Opens the table in `memory`, which has cre_table_size(limit) bytes, is aligned to 64, was zeroed before its
 * first use, and must outlive the handle. Processes share a table by opening the same shared memory with the
 * same `limit`, the most connections. The handle does not depend on the contents of the memory, so that
 * another process cannot mislead this one. Returns the handle, which the caller closes, or NULL without
 * memory or random numbers.
 */
CRE_NODISCARD CRE_API cre_table *cre_table_open(void *memory, uint32_t limit);

/** Frees the handle. The memory of the table stays as it is. NULL is ignored. */
CRE_API void cre_table_close(cre_table *table);

/** Returns the number of connections. */
CRE_API uint32_t cre_table_count(const cre_table *table);

/** Copies the first `size` bytes, sizeof(cre_connection_info), of the description of a connection. Members
 * that this version does not know are 0. Returns false, copying nothing, when the connection is gone. */
CRE_NODISCARD CRE_API bool cre_table_get_info(const cre_table *table, cre_session session,
                                              cre_connection_info *info, size_t size);

/** As cre_table_get_info, and also describes a connection that is closed, with `closed`, until its slot is
 * used for another one. Slots are used in turn, and at least twice as many of them as there are connections.
 * Returns false, copying nothing, when neither is known. */
CRE_NODISCARD CRE_API bool cre_table_get_last_info(const cre_table *table, cre_session session,
                                                   cre_connection_info *info, size_t size);

/** Copies the subprotocol and the application's bytes of an open WebSocket. Returns false, copying nothing,
 * when the connection is gone. Another connection has neither. */
CRE_NODISCARD CRE_API bool cre_table_get_note(const cre_table *table, cre_session session,
                                              cre_connection_note *note);

/** Returns the cre_connection_state of a connection, 0 when it is gone. */
CRE_API int cre_table_state(const cre_table *table, cre_session session);

/**
 * Lists sessions: fills `sessions` with up to `capacity` of them and advances *cursor, which is 0 for the
 * first call. Returns their number, 0 at the end. No session is listed twice. Connections that open or close
 * meanwhile may be missing.
 */
CRE_NODISCARD CRE_API size_t cre_table_list(const cre_table *table, uint32_t *cursor, cre_session *sessions,
                                            size_t capacity);

/** The size of an array indexed by cre_connection_state. */
enum { CRE_CONNECTION_STATES = 5 };

/** Counts the connections by listening port and state: counts[port][state], for the ports [0, ports). It
 * looks at each connection, so it is not for hot paths. Connections that open or close meanwhile may be
 * missing. */
CRE_API void cre_table_count_by_port(const cre_table *table, uint32_t (*counts)[CRE_CONNECTION_STATES],
                                     uint16_t ports);

/** Removes the connections of an owner that died, whose sockets the system has closed. Returns their number.
 */
CRE_API uint32_t cre_table_sweep(cre_table *table, uint16_t owner);

CRE_END_DECLS

#endif
