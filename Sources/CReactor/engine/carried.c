/* Connections that another one carries, such as the streams of HTTP/2. */
#include <string.h>

#include "core/memory.h"
#include "engine/conn.h"

/* Memory of connections that have ended, for the next ones. A tool that finds uses of freed memory sees all
 * of it freed. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define MAX_SPARE 0u
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define MAX_SPARE 0u
#endif
#ifndef MAX_SPARE
#define MAX_SPARE 64u
#endif

typedef struct cre__spare {
    struct cre__spare *next;
    size_t size;
} cre__spare;

/* Zeroed memory for a connection; NULL: there is none. */
static cre__carried *allocate(cre_engine *engine, size_t size) {
    cre__spare *spare = engine->spares;
    if (!spare || spare->size != size) return cre__calloc(1, size);
    engine->spares = spare->next;
    engine->spare_count--;
    return memset(spare, 0, size);
}

void cre__carried_free(cre__conn *conn) {
    cre_engine *engine = cre__conn_engine(conn);
    const size_t size = cre__carried_of(conn)->size;
    if (engine->spare_count >= MAX_SPARE) {
        cre__free(conn);
        return;
    }
    cre__spare *spare = (cre__spare *)(void *)conn;
    *spare = (cre__spare){ .next = engine->spares, .size = size };
    engine->spares = spare;
    engine->spare_count++;
}

void cre__carried_drop_spares(cre_engine *engine) {
    while (engine->spares) {
        cre__spare *spare = engine->spares;
        engine->spares = spare->next;
        cre__free(spare);
    }
    engine->spare_count = 0;
}

cre__conn *cre__carried_open(cre__conn *by, const cre__carrier *carrier, const cre__protocol *protocol,
                             const cre_connection_info *origin, size_t size) {
    cre_engine *engine = cre__conn_engine(by);
    cre__carried *carried = allocate(engine, size);
    if (!carried) {
        cre__count_rare(engine, &engine->stats.out_of_memory, 1);
        return NULL;
    }
    cre__conn *conn = &carried->conn;
    carried->carrier = carrier;
    carried->by = by;
    carried->size = size;
    cre__transport_open_carried(&conn->transport, &engine->net);
    conn->protocol = protocol;
    conn->port_index = by->port_index;
    conn->port = by->port;
    cre_connection_info info = *origin;
    info.state = protocol->state;
    if (cre__conn_enter(engine, conn, &info)) {
        cre__carried_free(conn);
        return NULL;
    }
    return conn;
}

void cre__carried_turn(cre__transport *transport) {
    cre__conn *conn = cre__conn_of(transport);
    cre__conn_carrier(conn)->carry(conn);
}

void cre__carried_closed(cre__transport *transport, bool reset) {
    cre__conn *conn = cre__conn_of(transport);
    cre__conn_carrier(conn)->uncarry(conn, reset);
}
