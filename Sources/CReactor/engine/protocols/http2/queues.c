/* The output of all streams of a connection together, which a client that receives nothing lets grow. */
#include "engine/protocols/http2/http2.h"

/* The most output of all streams, in queues of one. */
#define MAX_QUEUES 8

/* Bytes in the queues of all streams; 0 if they are certainly fewer than `limit`. */
static uint64_t queued_from(const cre__http2 *http2, uint64_t limit) {
    uint64_t sum = 0;
    /* most often the queues of all connections have less */
    if (http2->conn->transport.net->queued < limit) return 0;
    for (const cre__http2_stream *stream = http2->streams; stream; stream = stream->next)
        sum += stream->carried.conn.transport.queued;
    return sum;
}

/* ---- requests wait ---- */

bool cre__http2_must_wait(const cre__http2 *http2) {
    const uint32_t limit = http2->conn->port->options.max_queue;
    return queued_from(http2, limit) >= limit;
}

/* Lets the oldest of the streams that wait go on: its end of the turn delivers its request. */
static void resume_one(cre__http2 *http2) {
    for (cre__http2_stream *stream = http2->oldest; stream; stream = stream->previous) {
        cre__transport *transport = &stream->carried.conn.transport;
        if (!(transport->stopped & CRE__STOP_BEARER)) continue;
        http2->waiting--;
        cre__transport_resume(transport, CRE__STOP_BEARER);
        return;
    }
}

void cre__http2_resume_waiting(cre__http2 *http2) {
    const uint32_t limit = http2->conn->port->options.max_queue / 2;
    if (http2->waiting && queued_from(http2, limit) < limit) resume_one(http2);
}

void cre__http2_resume_next(cre__http2 *http2) {
    if (http2->waiting && !cre__http2_must_wait(http2)) resume_one(http2);
}

/* ---- streams end ---- */

/* The stream with the most output; `others` gets the number of other ones that have some. */
static cre__http2_stream *longest_queue(const cre__http2 *http2, uint32_t *others) {
    cre__http2_stream *longest = http2->streams;
    uint32_t count = 0;
    for (cre__http2_stream *stream = http2->streams; stream; stream = stream->next) {
        const uint32_t queued = stream->carried.conn.transport.queued;
        count += queued != 0;
        if (queued > longest->carried.conn.transport.queued) longest = stream;
    }
    *others = count ? count - 1 : 0;
    return longest;
}

void cre__http2_limit_queues(cre__http2 *http2) {
    cre_engine *engine = cre__conn_engine(http2->conn);
    const uint64_t limit =
        (uint64_t)MAX_QUEUES * http2->conn->port->options.max_queue + engine->config.in_flight;
    uint64_t sum = queued_from(http2, limit);
    while (sum > limit) {
        uint32_t others;
        cre__conn *longest = &longest_queue(http2, &others)->carried.conn;
        if (!others) return; /* as an empty queue takes anything */
        sum -= longest->transport.queued;
        engine->stats.http2_stalled++;
        engine->rare_changed = true;
        CRE__RESET(longest, .reason = CRE_CLOSED_OVERFLOW, .error = CRE_EQUEUE_FULL);
    }
}
