/* Which worker gets a connection, and which a datagram. */
#include "engine/dispatch.h"

#include <sys/socket.h>

static uint32_t hash_bytes(uint32_t hash, const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

static uint16_t worker_of_address(const cre_engine *engine, const cre_address *from, bool with_port) {
    uint32_t hash = hash_bytes(2166136261u, from->bytes, from->length);
    uint8_t port[] = { (uint8_t)from->port, (uint8_t)(from->port >> 8) };
    if (with_port) hash = hash_bytes(hash, port, sizeof port);
    hash ^= hash >> 15;
    return (uint16_t)(hash % engine->config.worker_count);
}

/* All engines of a table take turns together. */
static uint16_t next_worker(const cre_engine *engine) {
    return (uint16_t)(atomic_fetch_add_explicit(&engine->table->memory->turn, 1, memory_order_relaxed) %
                      engine->config.worker_count);
}

/* The counts are in memory that workers can write to: wrong ones make the shares unequal and no more. */
static uint16_t fewest_connections(const cre_engine *engine) {
    const cre_engine_config *config = &engine->config;
    uint16_t first = next_worker(engine), best = first; /* among equals they take turns */
    uint32_t fewest = UINT32_MAX;
    for (uint16_t i = 0; i < config->worker_count; i++) {
        uint16_t index = (uint16_t)((first + i) % config->worker_count);
        uint32_t load = atomic_load_explicit(&engine->table->memory->loads[config->first_worker + index],
                                             memory_order_relaxed);
        if (load >= fewest) continue;
        fewest = load;
        best = index;
    }
    return best;
}

static bool find_idle(const cre_engine *engine, uint16_t *found) {
    const cre_engine_config *config = &engine->config;
    if (!config->idle) return false;
    uint16_t first = next_worker(engine);
    for (uint16_t i = 0; i < config->worker_count; i++) {
        *found = (uint16_t)((first + i) % config->worker_count);
        if (config->idle(config->context, (uint16_t)(config->first_worker + *found))) return true;
    }
    return false;
}

/* The index of a worker, or one of the two special answers. */
static int choose(const cre_engine *engine, const cre_dispatch_info *info) {
    const cre_engine_config *config = &engine->config;
    uint16_t found;
    switch (config->dispatch) {
    case CRE_DISPATCH_ROUND_ROBIN: return next_worker(engine);
    case CRE_DISPATCH_IDLE:
        if (find_idle(engine, &found)) return found;
        return info->datagram ? next_worker(engine) : fewest_connections(engine);
    case CRE_DISPATCH_LEAST_CONNECTIONS:
        return info->datagram ? CRE_DISPATCH_RULE : fewest_connections(engine);
    case CRE_DISPATCH_BY_ADDRESS:
        return info->from->length ? worker_of_address(engine, info->from, false) : CRE_DISPATCH_RULE;
    case CRE_DISPATCH_FUNCTION: {
        int answer = config->dispatch_function(config->dispatch_context, info);
        return answer >= CRE_DISPATCH_REFUSE && answer < config->worker_count ? answer : CRE_DISPATCH_RULE;
    }
    default: return CRE_DISPATCH_RULE;
    }
}

uint16_t cre__dispatch_connection(const cre_engine *engine, cre_connection_info *info) {
    const cre_engine_config *config = &engine->config;
    info->worker = config->first_worker;
    if (config->dispatch == CRE_DISPATCH_BY_CONNECTION) return config->worker_count;
    cre_address from = { .family = info->family, .port = info->remote_port };
    from.length = info->family == AF_INET ? 4 : info->family == AF_INET6 ? 16 : 0;
    memcpy(from.bytes, info->remote_address, from.length);
    cre_dispatch_info asked = { .port = info->port, .worker_count = config->worker_count, .from = &from };
    int answer = choose(engine, &asked);
    if (answer == CRE_DISPATCH_RULE) return config->worker_count;
    if (answer == CRE_DISPATCH_REFUSE) return 0;
    info->worker = (uint16_t)(config->first_worker + answer);
    return 1;
}

bool cre__dispatch_datagram(const cre_engine *engine, uint16_t port, cre_address *from, const uint8_t *data,
                            size_t length) {
    const cre_engine_config *config = &engine->config;
    cre_dispatch_info info = { .port = port,
                               .worker_count = config->worker_count,
                               .datagram = true,
                               .from = from,
                               .data = data,
                               .length = length };
    int answer = choose(engine, &info);
    if (answer == CRE_DISPATCH_REFUSE) return false;
    if (answer == CRE_DISPATCH_RULE) answer = worker_of_address(engine, from, true);
    from->worker = (uint16_t)(config->first_worker + answer);
    return true;
}

void cre__dispatch_count(const cre_engine *engine, uint16_t worker, int change) {
    atomic_fetch_add_explicit(&engine->table->memory->loads[worker], (uint32_t)change, memory_order_relaxed);
}

void cre__dispatch_bind(cre__conn *conn, uint32_t user_id) {
    const cre_engine *engine = cre__conn_engine(conn);
    conn->stream.user_id = user_id;
    atomic_store_explicit(cre__table_user(engine->table, conn->stream.session), user_id,
                          memory_order_relaxed);
    conn->stream.moves = user_id && engine->config.dispatch == CRE_DISPATCH_BY_USER;
}

void cre__dispatch_move(cre__conn *conn) {
    const cre_engine *engine = cre__conn_engine(conn);
    const cre_engine_config *config = &engine->config;
    conn->stream.moves = false;
    uint16_t worker = (uint16_t)(config->first_worker + conn->stream.user_id % config->worker_count);
    cre__dispatch_count(engine, conn->stream.worker, -1);
    cre__dispatch_count(engine, worker, 1);
    conn->stream.worker = worker;
    cre__table_set_worker(engine->table, conn->stream.session, worker);
}
