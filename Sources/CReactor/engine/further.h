/* What was received with an event that is being emitted, for whoever handles several in one go. */
#ifndef CRE_ENGINE_FURTHER_H
#define CRE_ENGINE_FURTHER_H

#include "engine/conn.h"

/* While a MESSAGE of the connection is being emitted: takes its next message, if that was received with it,
 * and fills in the event that it would have been. Its payload is valid as long as that of the first one.
 * Returns whether there was one. */
static inline bool cre__engine_take_message(cre_engine *engine, cre_session session, cre_record *message,
                                            uint8_t **payload) {
    const cre__input *in = engine->input;
    /* mostly the message in hand is the last one of its read */
    if (!in || in->data == in->end || in->conn->stream.session != session) return false;
    return in->conn->protocol->take_message(in->conn, message, payload);
}

/* While a REQUEST of this session is being emitted: whether more input was received with it. Over HTTP/2 that
 * may be for other streams, whose sessions are others. */
static inline bool cre__engine_has_requests(const cre_engine *engine, cre_session session) {
    const cre__input *in = engine->requests;
    return in && in->data != in->end && in->session == session;
}

/* When it has: emits the next request, if all of that was received. Returns its session, for the next call of
 * this; 0: there was none. */
static inline cre_session cre__engine_serve_request(cre_engine *engine) {
    const cre__input *in = engine->requests;
    return in->conn->protocol->serve_request(in->conn) ? in->session : 0;
}

#endif
