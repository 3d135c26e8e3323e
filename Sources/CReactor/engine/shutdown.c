/* The end of an engine's connections: all at once, or over a time. */
#include "core/memory.h"
#include "engine/conn.h"
#include "engine/spread.h"

/* The interval at which connections are closed that are due. */
#define BATCH_MS 50

/* The shutdown of an engine whose connections are closed over a time. */
struct cre__spread {
    cre_engine *engine;
    cre_timer *timer;
    uint64_t began; /* the loop's time in ms */
    uint32_t spread_ms;
    uint32_t from_ms, elapsed_ms; /* the moments of a batch */
};

static void close_spread(cre_engine *engine) {
    if (!engine->spread) return;
    cre_timer_stop(engine->spread->timer);
    cre__free(engine->spread);
    engine->spread = NULL;
}

void cre__engine_check_shutdown(cre_engine *engine) {
    if (engine->net.open) return;
    void (*done)(void *) = engine->shutdown_done;
    engine->shutdown_done = NULL;
    cre__shutdown_close(engine);
    if (done) done(engine->shutdown_context);
}

void cre__shutdown_close(cre_engine *engine) {
    close_spread(engine);
    cre_timer_stop(engine->shutdown_timer);
    engine->shutdown_timer = NULL;
}

static void say_goodbye(cre__conn *conn) {
    static const char text[] = "server shutdown";
    uint16_t code = cre__conn_engine(conn)->config.shutdown_code;
    const cre__closing closing = { code, text, sizeof text - 1, true };
    (void)conn->protocol->close(conn, CRE_CLOSED_SHUTDOWN, &closing);
}

static void visit_all(cre__conn *conn, void *context) {
    (void)context;
    say_goodbye(conn);
}

/* Requests are finished and idle connections closed at once: their clients do not connect again because of
 * it.
 */
static void visit_unopened(cre__conn *conn, void *context) {
    (void)context;
    if (!conn->stream.opened) say_goodbye(conn);
}

static void visit_due(cre__conn *conn, void *context) {
    const struct cre__spread *spread = context;
    cre_engine *engine = spread->engine;
    uint32_t due = cre__spread_due(conn->stream.session, engine->table->seed[0], spread->spread_ms);
    if (due >= spread->from_ms && due < spread->elapsed_ms) say_goodbye(conn); /* once */
}

static void on_batch(void *context, cre_timer *timer) {
    struct cre__spread *spread = context;
    cre_engine *engine = spread->engine;
    (void)timer;
    uint64_t elapsed = cre_loop_now(engine->loop) - spread->began;
    if (elapsed < spread->spread_ms) {
        spread->from_ms = spread->elapsed_ms;
        spread->elapsed_ms = (uint32_t)elapsed;
        cre__engine_each(engine, visit_due, spread);
        return;
    }
    close_spread(engine);
    cre__engine_each(engine, visit_all, NULL);
}

/* Returns false when all connections must be closed now. */
static bool begin_spread(cre_engine *engine, uint32_t deadline_ms) {
    uint32_t most = deadline_ms - deadline_ms / 4, wanted = engine->config.shutdown_spread_ms;
    uint32_t spread_ms = wanted < most ? wanted : most;
    struct cre__spread *spread = spread_ms ? cre__calloc(1, sizeof *spread) : NULL;
    if (!spread) return false;
    *spread =
        (struct cre__spread){ .engine = engine, .began = cre_loop_now(engine->loop), .spread_ms = spread_ms };
    uint32_t interval = spread_ms < BATCH_MS ? spread_ms : BATCH_MS;
    if (cre_timer_start(engine->loop, interval, interval, on_batch, spread, &spread->timer)) {
        cre__free(spread);
        return false;
    }
    engine->spread = spread;
    cre__engine_each(engine, visit_unopened, NULL);
    return true;
}

static void visit_reset(cre__conn *conn, void *context) {
    (void)context;
    CRE__RESET(conn, .reason = CRE_CLOSED_SHUTDOWN);
}

void cre__engine_reset_all(cre_engine *engine) {
    cre__engine_each(engine, visit_reset, NULL);
    cre__net_close_finishing(&engine->net);
}

static void on_shutdown_deadline(void *context, cre_timer *timer) {
    (void)timer;
    cre__engine_reset_all(context);
}

void cre_engine_shutdown(cre_engine *engine, uint32_t deadline_ms, void (*done)(void *context),
                         void *context) {
    bool first = !engine->shutting_down;
    engine->shutting_down = true;
    if (first) {
        engine->shutdown_done = done;
        engine->shutdown_context = context;
        cre_engine_stop_listening(engine);
        cre__proxied_close(engine);
        cre__net_close_lingering(&engine->net);
        if (!begin_spread(engine, deadline_ms)) cre__engine_each(engine, visit_all, NULL);
    }
    cre_timer_stop(engine->shutdown_timer);
    if (cre_timer_start(engine->loop, deadline_ms, 0, on_shutdown_deadline, engine,
                        &engine->shutdown_timer)) {
        engine->shutdown_timer = NULL;
        cre__engine_reset_all(engine);
    }
}
