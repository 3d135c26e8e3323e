/*
 * The connection table is memory that workers can write to, and each worker asks it before it sends. What it
 * shows of a connection is compared with what its engine knows: when bytes are received or sent, when the
 * connection ends, and of all connections in turn.
 */
#include <sys/socket.h>
#include <time.h>

#include "engine/command.h"
#include "engine/conn.h"

/* How many connections are compared in one call, unless one of them was overwritten. */
#define CHECKED_AT_ONCE 4096u
#define WORDS_AT_ONCE   32u

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void restore(cre__conn *conn, cre_connection_info *info) {
    cre_engine *engine = cre__conn_engine(conn);
    cre__slot *slot = &cre__table_slots(engine->table)[cre__table_index(engine->table, info->session)];
    cre__count_rare(engine, &engine->stats.repaired, 1);
    /* Of the time of the connection there is no copy. One that can be right stays. */
    int64_t time = (int64_t)atomic_load_explicit(&slot->connect_time_ms, memory_order_relaxed);
    info->connect_time_ms = time > 0 && time <= now_ms() ? time : now_ms();
    info->port = conn->port_index;
    info->queued = (uint32_t)cre__conn_queued(conn);
    cre__conn *bearer = cre__conn_bearer(conn);
    cre__conn_describe_peer(bearer, info);
    cre__conn_describe_local(bearer->transport.descriptor, info);
    bool counted = engine->config.max_per_address && bearer == conn &&
                   (info->family == AF_INET || info->family == AF_INET6);
    cre__table_restore(engine->table, info, counted);
    atomic_store_explicit(&slot->queue_limit, conn->port->options.max_queue, memory_order_relaxed);
    atomic_store_explicit(&slot->last_receive, conn->transport.last_receive >> CRE__SEEN_SHIFT,
                          memory_order_relaxed);
    atomic_store_explicit(&slot->last_send, conn->transport.last_send >> CRE__SEEN_SHIFT,
                          memory_order_relaxed);
    conn->slot_checksum = cre__slot_checksum(engine->table, slot);
}

void cre__conn_restore_slot(cre__conn *conn) {
    const cre_engine *engine = cre__conn_engine(conn);
    cre_connection_info info = { .session = conn->stream.session,
                                 .owner = engine->config.node,
                                 .worker = conn->stream.worker,
                                 .user_id = conn->stream.user_id,
                                 .state = (uint8_t)cre__conn_state(conn) };
    if (!cre__table_shows(engine->table, &info, conn->slot_checksum, conn->port->options.max_queue))
        restore(conn, &info);
}

uint64_t cre__engine_repair(cre_engine *engine) {
    uint64_t before = engine->stats.repaired;
    cre__count_rare(engine, &engine->stats.repaired, cre__table_restore_counts(engine->table));
    const cre_table *table = engine->table;
    const bool kept = cre__table_is_kept(table);
    const size_t words = (engine->streams_mask + 1) / 64;
    size_t word = engine->repaired_up_to;
    uint32_t checked = 0;
    for (size_t i = 0; i < words; i++) {
        const bool found = engine->stats.repaired != before;
        if (checked > CHECKED_AT_ONCE && !found) break;
        word = word + 1 < words ? word + 1 : 0;
        uint64_t bits = atomic_load_explicit(&table->memory->used[word], memory_order_relaxed);
        /* Others may have cleared bits of a table that is not kept: some of it is searched each time. */
        if (!kept && (found || i < WORDS_AT_ONCE)) bits = UINT64_MAX;
        for (; bits; bits &= bits - 1) {
            size_t slot = word * 64 + (size_t)__builtin_ctzll(bits);
            cre__stream *stream = engine->streams[slot];
            if (!stream) continue;
            checked++;
            cre__conn_restore_slot(cre__stream_conn(stream));
        }
    }
    /* Each time from another place on. */
    engine->repaired_up_to =
        checked > CHECKED_AT_ONCE ? word : (engine->repaired_up_to + WORDS_AT_ONCE) % words;
    return engine->stats.repaired - before;
}

void cre__engine_count_repaired(cre_engine *engine, uint64_t count) {
    cre__count_rare(engine, &engine->stats.repaired, count);
}
