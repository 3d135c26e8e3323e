/* A subscription that begins with messages of the past. */
#include "engine/recovery.h"

#include "engine/command.h"
#include "engine/conn.h"
#include "engine/topics.h"

enum { MOST_HEADER = 10 }; /* of a frame */

/* The queue must take all messages or none. */
static int check_room(const cre__conn *conn, cre_slice messages, uint32_t count) {
    const uint64_t size = messages.length + (uint64_t)count * MOST_HEADER;
    const uint64_t limit = conn->port->options.max_queue;
    if (size > limit) return CRE_EBROKER_GAP;
    if (conn->stream.fragmented) return CRE_EQUEUE_FULL; /* they must not come between fragments */
    return count && cre__conn_queued(conn) + size > limit ? CRE_EQUEUE_FULL : 0;
}

int cre__topic_recover(cre_engine *engine, cre_session session, cre_slice topic, cre_slice messages,
                       uint32_t count) {
    cre__conn *conn = cre__engine_find(engine, session);
    if (!conn) return CRE_EGONE;
    int result = cre__command_fits(cre__command_rule_of(CRE_COMMAND_SUBSCRIBE), cre__conn_state(conn));
    if (result) return result;
    const cre__topic *known = cre__topic_find(engine, topic.data, topic.length);
    if (known && cre__topic_member(conn, known)) return CRE__WAS_SUBSCRIBED;
    result = check_room(conn, messages, count);
    if (!result) result = cre__topic_subscribe(conn, topic.data, topic.length);
    if (result) return result;
    for (; count; count--) {
        cre_missed_message head;
        memcpy(&head, messages.data, sizeof head);
        const cre_slice message = { messages.data + sizeof head, head.length };
        const cre_record push = {
            .kind = CRE_COMMAND_PUSH, .opcode = head.opcode, .flags = CRE_RECORD_FINAL, .session = session
        };
        /* A connection that cannot take one of them, without memory, has ended: it has no gap. */
        cre__command_accepted(engine, &push, &message, 1);
        messages.data += sizeof head + head.length;
    }
    return 0;
}
