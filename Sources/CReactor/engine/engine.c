/* The engine as a whole: created, flushed, shut down. */
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/config.h"
#include "core/memory.h"
#include "engine/conn.h"
#include "engine/publish.h"

CRE__CONFIG(cre_engine_config, on_member);

static uint32_t or_default(uint32_t value, uint32_t fallback) {
    return value ? value : fallback;
}

static void fill_defaults(cre_engine_config *config) {
    config->max_connections = or_default(config->max_connections, 10000);
    if (!config->worker_count) config->worker_count = 1;
    if (!config->max_message) config->max_message = CRE_WS_DEFAULT_MAX_MESSAGE;
    config->max_head = or_default(config->max_head, CRE_HTTP_MAX_HEAD);
    config->max_body = or_default(config->max_body, 8u << 20);
    config->max_queue = or_default(config->max_queue, 8u << 20);
    config->high_water = or_default(config->high_water, config->max_queue / 2);
    config->low_water = or_default(config->low_water, config->high_water / 4);
    config->max_topics = or_default(config->max_topics, 100000);
    config->max_subscriptions = or_default(config->max_subscriptions, 256);
    config->head_timeout_ms = or_default(config->head_timeout_ms, 10000);
    config->body_timeout_ms = or_default(config->body_timeout_ms, 60000);
    config->message_timeout_ms = or_default(config->message_timeout_ms, 60000);
    config->idle_timeout_ms = or_default(config->idle_timeout_ms, 75000);
    config->pong_timeout_ms = or_default(config->pong_timeout_ms, config->ping_interval_ms);
    config->close_timeout_ms = or_default(config->close_timeout_ms, 5000);
    if (!config->max_pipelined) config->max_pipelined = 1;
    if (!config->shutdown_code) config->shutdown_code = 1001;
}

static bool config_valid(const cre_engine_config *config) {
    if (!config->on_event || config->max_pipelined > CRE_MAX_PIPELINED) return false;
    if (config->dispatch > CRE_DISPATCH_FUNCTION) return false;
    if (config->dispatch == CRE_DISPATCH_FUNCTION && !config->dispatch_function) return false;
    if (config->in_flight > 1u << 30) return false; /* queues count in 32 bits */
    if (!cre_ws_close_code_valid(config->shutdown_code)) return false;
    return (uint32_t)config->first_worker + config->worker_count <= CRE__TABLE_NODES;
}

/* ---- the end of a turn ---- */

/* Takes over the counters that the net keeps. */
static void take_net_counters(cre_engine_stats *stats, const cre__net *net) {
    stats->bytes_in = net->bytes_in;
    stats->bytes_out = net->bytes_out;
    stats->queued = net->queued;
    stats->buffered = net->buffered;
    stats->transit = *net->transit;
}

/* Those that messages do not change. Returns whether they have changed. */
static bool take_rare_net_counters(cre_engine_stats *stats, const cre__net *net) {
    if (stats->closed == net->closed && stats->tls_handshakes == net->tls_handshakes &&
        stats->tls_resumed == net->tls_resumed && stats->tls_failed == net->tls_failed)
        return false;
    stats->closed = net->closed;
    stats->tls_handshakes = net->tls_handshakes;
    stats->tls_resumed = net->tls_resumed;
    stats->tls_failed = net->tls_failed;
    return true;
}

/* A predecessor may have counted there. */
static void inherit_stats(cre_engine *engine) {
    cre__net *net = &engine->net;
    cre_engine_stats *stats = &engine->stats;
    memcpy(stats, engine->config.shared_stats, sizeof *stats);
    net->bytes_in = stats->bytes_in;
    net->bytes_out = stats->bytes_out;
    net->closed = stats->closed;
    net->tls_handshakes = stats->tls_handshakes;
    net->tls_resumed = stats->tls_resumed;
    net->tls_failed = stats->tls_failed;
    /* What a predecessor that died held is gone. */
    atomic_fetch_sub_explicit(net->total_held, stats->queued + stats->buffered + stats->transit,
                              memory_order_relaxed);
    stats->queued = stats->buffered = stats->transit = stats->topics = stats->subscriptions = 0;
    stats->users = 0;
    stats->http2_open_connections = stats->http2_open_streams = 0;
    engine->rare_changed = true;
}

static inline void show(uint64_t *counter, uint64_t value) {
    __atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static __attribute__((noinline)) void publish_all_counters(cre_engine *engine) {
    const uint64_t *own = (const uint64_t *)(const void *)&engine->stats;
    engine->rare_changed = false;
    take_net_counters(&engine->stats, &engine->net);
    for (size_t i = 0; i < sizeof engine->stats / sizeof *own; i++)
        show(&engine->config.shared_stats[i], own[i]);
}

_Static_assert(offsetof(cre_engine_stats, accepted) == 9 * sizeof(uint64_t),
               "messages change the first nine counters");

/* In each turn. Messages change the first counters only, which are published from where they are. */
void cre__stats_publish(cre_engine *engine) {
    const cre_engine_stats *own = &engine->stats;
    const cre__net *net = &engine->net;
    cre_engine_stats *shown = (cre_engine_stats *)(void *)engine->config.shared_stats;
    if (!shown) return;
    if (__builtin_expect(take_rare_net_counters(&engine->stats, net) || engine->rare_changed, 0)) {
        publish_all_counters(engine);
        return;
    }
    show(&shown->messages_in, own->messages_in);
    show(&shown->messages_out, own->messages_out);
    show(&shown->requests, own->requests);
    show(&shown->responses, own->responses);
    show(&shown->bytes_in, net->bytes_in);
    show(&shown->bytes_out, net->bytes_out);
    show(&shown->queued, net->queued);
    show(&shown->buffered, net->buffered);
    show(&shown->transit, *net->transit);
}

/* The end of a stream must be reported, as soon as that is possible. */
static void retry_reports(cre_engine *engine) {
    while (engine->unreported) {
        cre__transport *transport = &engine->unreported->transport;
        engine->unreported = (cre__conn *)transport->next_dirty;
        transport->next_dirty = engine->net.dirty;
        engine->net.dirty = transport;
    }
}

static bool on_flush(cre__hook *hook) {
    cre_engine *engine = (cre_engine *)((char *)hook - offsetof(cre_engine, flush));
    if (engine->unreported) retry_reports(engine);
    do { /* handlers of what happens in one round may publish for the next */
        if (engine->batch.topic) cre__publish_flush(engine);
        cre__net_flush(&engine->net);
    } while (engine->batch.topic);
    engine->reading = NULL;
    engine->net.keep_ticking = engine->unreported != NULL;
    if (engine->unreported) cre__net_start_ticker(&engine->net); /* or the next turn may be far away */
    if (engine->budget && cre__table_total(engine->table) > engine->budget) cre__budget_enforce(engine);
    if (engine->config.shared_stats) cre__stats_publish(engine);
    if (engine->shutting_down) cre__engine_check_shutdown(engine);
    return false;
}

/* ---- creation and destruction ---- */

/* Zeroes that take memory where they are written: what has room for all connections that may be, while few
 * are. NULL: no memory. */
static void *map_zeroes(size_t size) {
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void unmap(void *memory, size_t size) {
    if (memory) munmap(memory, size);
}

static void free_engine(cre_engine *engine) {
    cre__ports_free_tls(engine);
    cre__congestion_close(engine);
    cre__carried_drop_spares(engine);
    cre__net_deinit(&engine->net);
    unmap(engine->streams, engine->streams_size);
    cre_ws_deflate_pool_destroy(engine->deflate_pool);
    if (engine->own_table) cre_table_close(engine->table);
    unmap(engine->own_table, cre_table_size(engine->config.max_connections));
    cre__free(engine->scratch);
    cre__ports_close(engine);
    cre__free(engine);
}

static int open_table(cre_engine *engine) {
    engine->table = engine->config.table;
    if (!engine->table) {
        size_t size = cre_table_size(engine->config.max_connections);
        engine->own_table = size ? map_zeroes(size) : NULL;
        if (!engine->own_table) return CRE_ENOMEM;
        engine->table = cre_table_open(engine->own_table, engine->config.max_connections);
        if (!engine->table) return CRE_ENOMEM;
    }
    engine->streams_mask = engine->table->slots - 1;
    engine->streams_size = engine->table->slots * sizeof *engine->streams;
    engine->streams = map_zeroes(engine->streams_size);
    if (!engine->streams) return CRE_ENOMEM;
    engine->net.total_held = cre__table_held(engine->table);
    return 0;
}

static int open_deflate(cre_engine *engine) {
    if (!engine->config.deflate) return 0;
    int result =
        cre__config_take(&engine->deflate_config, sizeof engine->deflate_config, engine->config.deflate);
    engine->config.deflate = NULL; /* borrowed for this call */
    if (!result) result = cre_ws_deflate_pool_create(&engine->deflate_config, &engine->deflate_pool);
    if (result) return result;
    uint8_t bits = engine->deflate_config.server_window_bits;
    cre_ws_deflate_parameters shared = { .server_no_context_takeover = true,
                                         .server_window_bits = bits ? bits : 15 };
    cre_ws_deflate_init(&engine->deflate_shared, engine->deflate_pool, &shared, false);
    return 0;
}

static int open_engine(cre_engine *engine) {
    int result = config_valid(&engine->config) ? cre__ports_open(engine) : CRE_EINVALID;
    if (!result) result = cre__net_init(&engine->net, engine->loop, &cre__conn_events);
    if (!result) result = open_table(engine);
    if (!result) result = cre__congestion_open(engine);
    if (result) return result;
    /* A head with its table, a certificate, and a body that came in the same read. */
    engine->scratch = cre__malloc(sizeof(cre_http_head) + CRE_HTTP_DEFAULT_FIELDS * sizeof(cre_http_field) +
                                  CRE_HTTP_MAX_HEAD + sizeof(uint32_t) + CRE_TLS_MAX_CERTIFICATE + CRE__SLAB);
    if (!engine->scratch) return CRE_ENOMEM;
    result = open_deflate(engine);
    return result ? result : cre__inbox_open(engine);
}

int cre_engine_create(cre_loop *loop, const cre_engine_config *config, cre_engine **out) {
    cre_engine *engine = cre__calloc(1, sizeof *engine);
    if (!engine) return CRE_ENOMEM;
    int result = cre__config_take(&engine->config, sizeof engine->config, config);
    if (result) {
        cre__free(engine);
        return result;
    }
    engine->loop = loop;
    engine->given_file = -1;
    fill_defaults(&engine->config);
    engine->budget = engine->config.memory_budget;
    result = cre__ports_copy_tls(engine); /* first: what is freed is what was copied */
    if (!result) result = open_engine(engine);
    if (result) {
        free_engine(engine);
        return result;
    }
    if (engine->config.shared_stats) inherit_stats(engine);
    engine->flush.run = on_flush;
    cre__loop_add_hook(loop, CRE__FLUSH, &engine->flush);
    *out = engine;
    return 0;
}

/* By the engine's own array: workers can overwrite the shared table, and must not keep connections from being
 * closed by that. */
void cre__engine_each(cre_engine *engine, void (*visit)(cre__conn *conn, void *context), void *context) {
    for (size_t i = 0; i <= engine->streams_mask; i++)
        if (engine->streams[i]) visit(cre__stream_conn(engine->streams[i]), context);
}

void cre_engine_destroy(cre_engine *engine) {
    if (!engine) return;
    engine->shutting_down = engine->destroying =
        true; /* a handler of the events below may hand over sockets */
    engine->shutdown_done = NULL;
    cre__listeners_close(engine);
    cre__proxied_close(engine);
    cre__datagrams_close(engine);
    cre__engine_reset_all(engine);
    retry_reports(engine);
    cre__net_forget(&engine->net);
    cre__shutdown_close(engine);
    cre__loop_remove_hook(engine->loop, CRE__FLUSH, &engine->flush);
    cre__topics_free(engine);
    cre__engine_set_transit(engine, NULL);
    cre__stats_publish(engine);
    cre__inbox_close(engine);
    free_engine(engine);
}

void cre__engine_set_transit(cre_engine *engine, const cre__transit *transit) {
    engine->transit = transit ? *transit : (cre__transit){ 0 };
    cre__net_set_transit(&engine->net, engine->transit.held);
}

void cre__engine_set_message_memory(cre_engine *engine, const cre_ws_memory *memory) {
    engine->message_memory = *memory;
}

void cre_engine_stop_listening(cre_engine *engine) {
    cre__listeners_close(engine);
    cre__datagrams_stop(engine); /* answers may still be sent */
}

/* ---- looking at it ---- */

cre_table *cre_engine_table(cre_engine *engine) {
    return engine->table;
}

cre_loop *cre_engine_loop(cre_engine *engine) {
    return engine->loop;
}

void cre_engine_get_stats(const cre_engine *engine, cre_engine_stats *stats, size_t size) {
    cre_engine_stats now = engine->stats;
    take_net_counters(&now, &engine->net);
    take_rare_net_counters(&now, &engine->net);
    cre__config_give(stats, size, &now, sizeof now);
}

uint16_t cre__engine_event_worker(const cre_engine *engine) {
    return engine->event_worker;
}
