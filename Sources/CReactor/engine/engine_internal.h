/* An engine as a whole. */
#ifndef CRE_ENGINE_INTERNAL_H
#define CRE_ENGINE_INTERNAL_H

#include <creactor/engine.h>
#include <creactor/error.h>
#include <creactor/http2.h>
#include <creactor/http_date.h>
#include <creactor/http_head.h>
#include <creactor/websocket.h>
#include <creactor/websocket_deflate.h>
#include <string.h>

#include "engine/command.h"
#include "loop/loop_internal.h"
#include "net/transport.h"
#include "registry/table_internal.h"

typedef struct cre__conn cre__conn;
typedef struct cre__stream cre__stream;

/* A port of the table, all settings filled in. */
typedef struct cre__port {
    cre_port_options options; /* `framing` and `proxies` are below */
    cre_framing_config framing;
    cre_address_range *proxies; /* NULL: connections begin without the PROXY protocol */
    cre_ws_config ws_config;
    cre_http_limits http_limits;
    bool has_http2;
    cre_http2_config http2; /* without its functions */
} cre__port;

/* Frames, one after the other. */
typedef struct cre__frames {
    cre_block *block;    /* may be kept from turn to turn */
    uint32_t start, end; /* in the block */
} cre__frames;

/* Messages that were published and are not yet queued for their receivers: those of one topic, in two forms.
 */
typedef struct cre__batch {
    struct cre__topic *topic; /* NULL: nothing */
    cre__frames plain, deflated;
} cre__batch;

/* Members of topics, NULL without any. */
typedef struct cre__identities {
    struct cre__identity **buckets;
    uint32_t count, mask;
} cre__identities;

typedef struct cre__topics {
    struct cre__topic **buckets;
    uint32_t count, mask;
    uint32_t users; /* of the topics: those of users */
    uint64_t seed;
    cre__identities identities;
    struct cre__topic *everyone;           /* all open WebSockets; NULL until the first broadcast */
    struct cre__deferred_frames *deferred; /* published messages that wait for a last fragment */
} cre__topics;

/* Connections of one worker that are not read because the link to it is full, first come first served. */
typedef struct cre__congested {
    cre_session *sessions; /* a ring */
    uint32_t first, count, capacity;
    bool incomplete; /* one was lost for want of memory */
} cre__congested;

/* What is being read of a connection, whose messages or requests are taken from it one by one. */
typedef struct cre__input {
    cre__conn *conn;
    cre_session session; /* whose request was emitted last: `conn`, or one that it carries */
    uint8_t *data, *end;
    int error; /* in what was to be taken next */
} cre__input;

struct cre_engine {
    cre_engine_config config;
    cre_loop *loop;
    cre_table *table;
    void *own_table;
    cre__stream **streams; /* by table index; mapped, touched only where used */
    size_t streams_size;
    uint64_t streams_mask; /* of an index; the table, which others can write to, is not asked */
    size_t repaired_up_to; /* the 64 places in `streams` up to which the table was compared */
    cre__net net;
    cre__transit transit;
    cre_ws_memory message_memory; /* for large messages; its `take` may be NULL */
    struct cre__spare *spares;    /* memory of carried connections that have ended */
    uint32_t spare_count;
    cre__conn *unreported; /* their end could not be reported for want of memory; linked by next_dirty */
    cre__hook flush;
    cre__batch batch;
    cre__topics topics;
    struct cre__listener *listeners;
    cre_tls **tls; /* by port, config.tls_count of them */
    struct cre__datagram *datagrams;
    uint16_t next_port;           /* of cre_engine_listen */
    uint16_t event_worker;        /* who gets the event that is being emitted */
    cre__port *ports;             /* config.port_count, and one more for all others */
    struct cre__inbox *inbox;     /* sockets from other threads */
    struct cre__proxied *proxied; /* connections whose PROXY header is not complete */
    uint32_t proxied_count;
    cre__congested *congested;   /* by worker, from first_worker on; NULL: the link is never full */
    cre__input *input;           /* of messages; NULL: none are being read */
    cre__input *requests;        /* likewise, of requests */
    cre__conn *reading;          /* is being read in this turn, */
    uint64_t reading_since;      /* since this number of messages */
    uint32_t budget_enforced_at; /* the loop's time in ms, its lower half */
    uint64_t budget;             /* of bytes held over all engines that share the table; 0: none */
    cre_ws_deflate_config deflate_config;
    cre_ws_deflate_pool *deflate_pool; /* NULL: compression is not offered */
    cre_ws_deflate deflate_shared;     /* of published messages: without a window of its own */
    cre_engine_stats stats;
    bool rare_changed; /* a counter that messages do not change, since the counters were published */
    bool shutting_down;
    bool destroying;
    cre_timer *shutdown_timer;
    struct cre__spread *spread; /* NULL: connections are not being closed over a time */
    void (*shutdown_done)(void *context);
    void *shutdown_context;
    uint64_t date_until; /* the loop's time from which `date` is no longer the current second */
    char date[CRE_HTTP_DATE_LENGTH];
    uint8_t *scratch; /* a request in its wire form */
    int given_file;   /* the descriptor that belongs to the command being carried out; -1: none */
};

/* Calls `visit` for each connection that has a stream. */
void cre__engine_each(cre_engine *engine, void (*visit)(cre__conn *conn, void *context), void *context);
/* The file that was given with the command that is being carried out, which the caller closes; -1: none. */
int cre__engine_take_file(cre_engine *engine);

/* shutdown.c */
/* At the end of a turn: calls done when a shutdown is complete. The engine may be gone afterwards. */
void cre__engine_check_shutdown(cre_engine *engine);
/* Resets all connections. */
void cre__engine_reset_all(cre_engine *engine);
/* Stops the timers of a shutdown. */
void cre__shutdown_close(cre_engine *engine);

/* Publishes the counters. */
void cre__stats_publish(cre_engine *engine);

/* Adds to a counter of `stats` that messages do not change. */
static inline void cre__count_rare(cre_engine *engine, uint64_t *counter, uint64_t number) {
    *counter += number;
    engine->rare_changed = true;
}

/* inbox.c: sockets from other threads */
int cre__inbox_open(cre_engine *engine);
void cre__inbox_close(cre_engine *engine);

/* port.c */
/* Fills engine->ports from the configuration, whose own defaults are filled in. */
int cre__ports_open(cre_engine *engine);
void cre__ports_close(cre_engine *engine);
const cre__port *cre__port_at(const cre_engine *engine, uint16_t index);
/* The TLS settings of a port; NULL: none. */
cre_tls *cre__port_tls(const cre_engine *engine, uint16_t port);
int cre__ports_copy_tls(cre_engine *engine);
void cre__ports_free_tls(cre_engine *engine);

/* proxied.c */
/* Takes over a connected socket of a port with proxies, in any case. Returns 0 or a negative error. */
int cre__proxied_open(cre_engine *engine, int descriptor, uint16_t port);
/* Closes the connections whose header is not complete. */
void cre__proxied_close(cre_engine *engine);

/* listener.c */
void cre__listeners_close(cre_engine *engine);

/* datagram.c */
/* Owns the descriptor when it returns 0; `own`: and the file behind it. */
int cre__datagram_open(cre_engine *engine, int descriptor, uint16_t port, bool own);
/* Nothing more is received. */
void cre__datagrams_stop(cre_engine *engine);
void cre__datagrams_close(cre_engine *engine);
int cre__datagram_send(cre_engine *engine, uint16_t port, const cre_address *to, const cre_slice *parts,
                       int count);

/* congestion.c */
int cre__congestion_open(cre_engine *engine);
void cre__congestion_close(cre_engine *engine);
/* Whether the connection must not be read now; then it is read again when its turn has come. */
bool cre__congestion_stops(cre__conn *conn);

/* budget.c */
/* At the end of a turn: ends the connections with the most bytes while the server is over its budget. */
void cre__budget_enforce(cre_engine *engine);

#endif
