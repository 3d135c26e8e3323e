/* Deadlines: one wheel per loop, moved lazily. Pushing a deadline back is one store; the timer behind the
 * wheel runs only while something has a deadline. */
#include "engine/engine_internal.h"

static void unlink_timed(cre__conn *conn) {
    if (!conn->prev_timed) return;
    *conn->prev_timed = conn->next_timed;
    if (conn->next_timed) conn->next_timed->prev_timed = conn->prev_timed;
    conn->prev_timed = NULL;
    conn->next_timed = NULL;
    conn->engine->timed--;
}

static void link_timed(cre__conn *conn) {
    cre__conn **slot = &conn->engine->wheel[conn->deadline % CRE__WHEEL_SLOTS];
    conn->next_timed = *slot;
    if (*slot) (*slot)->prev_timed = &conn->next_timed;
    conn->prev_timed = slot;
    *slot = conn;
    conn->engine->timed++;
}

static void visit_slot(cre_engine *engine, uint32_t slot, uint32_t now) {
    /* Taken off the wheel first: what a timeout sets off may unlink any other connection meanwhile. */
    cre__conn *due = engine->wheel[slot];
    engine->wheel[slot] = NULL;
    if (due) due->prev_timed = &due;
    while (due) {
        cre__conn *conn = due;
        unlink_timed(conn);
        if ((int32_t)(conn->deadline - now) <= 0)
            cre__conn_timed_out(conn);
        else
            link_timed(conn); /* not yet, or moved to later without being linked again */
    }
}

static uint32_t current_tick(cre_engine *engine) {
    return (uint32_t)(cre_loop_now(engine->loop) / CRE__WHEEL_TICK_MS);
}

static void on_tick(void *context, cre_timer *timer) {
    cre_engine *engine = context;
    uint32_t now = current_tick(engine);
    if (now - engine->tick > CRE__WHEEL_SLOTS) engine->tick = now - CRE__WHEEL_SLOTS;
    while (engine->tick != now) {
        engine->tick++;
        visit_slot(engine, engine->tick % CRE__WHEEL_SLOTS, now);
    }
    if (engine->timed || engine->untold || engine->ticker != timer) return;
    cre_timer_stop(timer); /* an idle server does not wake up */
    engine->ticker = NULL;
}

void cre__ticker_start(cre_engine *engine) {
    if (engine->ticker) return;
    engine->tick = current_tick(engine);
    /* Without memory for the one timer there are no timeouts until the next connection asks again. */
    if (cre_timer_start(engine->loop, CRE__WHEEL_TICK_MS, CRE__WHEEL_TICK_MS, on_tick, engine,
                        &engine->ticker))
        engine->ticker = NULL;
}

void cre__conn_set_deadline(cre__conn *conn, uint32_t after_ms) {
    cre_engine *engine = conn->engine;
    if (!after_ms) {
        unlink_timed(conn);
        return;
    }
    /* Rounded up, and one more for the tick that has begun: never early. */
    uint32_t ticks = after_ms / CRE__WHEEL_TICK_MS + (after_ms % CRE__WHEEL_TICK_MS != 0);
    uint32_t deadline = current_tick(engine) + ticks + 1;
    bool later = conn->prev_timed && (int32_t)(deadline - conn->deadline) >= 0;
    if (later) {
        conn->deadline = deadline; /* its slot comes up before that and links it anew */
        return;
    }
    unlink_timed(conn);
    conn->deadline = deadline;
    link_timed(conn);
    cre__ticker_start(engine);
}

void cre__engine_drop_leaving(cre_engine *engine) {
    for (uint32_t i = 0; i < CRE__WHEEL_SLOTS; i++) {
        for (cre__conn *conn = engine->wheel[i], *next; conn; conn = next) {
            next = conn->next_timed;
            if (conn->phase == CRE__LEAVING) cre__conn_timed_out(conn);
        }
    }
}
