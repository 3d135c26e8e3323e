/* Messages to all connections of a topic. */
#ifndef CRE_ENGINE_PUBLISH_H
#define CRE_ENGINE_PUBLISH_H

#include "engine/conn.h"
#include "engine/topics.h"

/* Sends one message to the members of a topic, except one connection (NULL: to all). Returns 0 or CRE_ENOMEM.
 */
int cre__publish(cre_engine *engine, cre__topic *topic, uint8_t opcode, cre__conn *except,
                 const cre_slice *parts, int count);
/* The end of a turn: queues everything published for all receivers. */
void cre__publish_flush(cre_engine *engine);
/* A frame was pushed that is not a whole message, or the last of such. */
void cre__publish_fragment(cre__conn *conn, uint8_t first);
/* Drops the pending messages of the topic, or of the connection. */
void cre__publish_drop_topic(cre_engine *engine, const cre__topic *topic);
void cre__publish_drop_deferred(cre__conn *conn);

/* Compresses a whole message if that pays. With context takeover it must then be sent, since the peer's
 * window moves on; *out is valid until something else is compressed. */
bool cre__publish_compress(cre_ws_deflate *deflate, uint8_t first, const cre_slice *parts, int count,
                           cre_slice *out);

/* Whether the connection gets published messages in their compressed form. It never changes. */
static inline bool cre__conn_takes_deflated(const cre__conn *conn) {
    const cre_ws_deflate *deflate = conn->stream.deflate;
    return deflate && deflate->write_bits >= cre__conn_engine(conn)->deflate_shared.write_bits;
}

/* The form of the batch that the connection gets. */
static inline cre__frames *cre__batch_frames(const cre__conn *conn) {
    cre__batch *batch = &cre__conn_engine(conn)->batch;
    return cre__conn_takes_deflated(conn) ? &batch->deflated : &batch->plain;
}

#endif
