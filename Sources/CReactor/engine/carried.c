/* Connections that another one carries, such as the streams of HTTP/2. */
#include <time.h>

#include "core/memory.h"
#include "engine/conn.h"

cre__conn *cre__carried_open(cre__conn *by, const cre__carrier *carrier, const cre__protocol *protocol,
                             const cre_connection_info *origin, size_t size) {
    cre_engine *engine = cre__conn_engine(by);
    cre__carried *carried = cre__calloc(1, size);
    if (!carried) {
        cre__count_rare(engine, &engine->stats.out_of_memory, 1);
        return NULL;
    }
    cre__conn *conn = &carried->conn;
    carried->carrier = carrier;
    carried->by = by;
    cre__transport_open_carried(&conn->transport, &engine->net);
    conn->protocol = protocol;
    conn->port_index = by->port_index;
    conn->port = by->port;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    cre_connection_info info = *origin;
    info.state = protocol->state;
    info.connect_time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (cre__conn_enter(engine, conn, &info)) {
        cre__free(carried);
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
