/*
 * A program that owns its libuv loop: it has a timer of its own and serves WebSockets on the same loop.
 * Clients get each tick; `c-host-loop [PORT]`, Ctrl-C ends it.
 */
#include <creactor/creactor.h>
#include <creactor/uv.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct program {
    cre_engine *engine;
    uv_timer_t timer;
    uv_signal_t interrupt;
    unsigned ticks;
} program;

static int on_event(void *context, cre_engine *engine, const cre_record *event, uint8_t *payload) {
    (void)context;
    if (event->kind == CRE_EVENT_MESSAGE)
        cre_engine_push(engine, event->session, event->opcode, payload, event->length);
    return 0;
}

static void on_tick(uv_timer_t *timer) {
    program *self = timer->data;
    char text[64];
    int length = snprintf(text, sizeof text, "tick %u", ++self->ticks);
    cre_engine_broadcast(self->engine, CRE_WS_TEXT, text, (size_t)length, 0);
}

static void on_interrupt(uv_signal_t *signal, int number) {
    (void)number;
    program *self = signal->data;
    cre_engine_destroy(self->engine); /* with its connections */
    uv_close((uv_handle_t *)&self->timer, NULL);
    uv_close((uv_handle_t *)&self->interrupt, NULL);
}

int main(int argc, char **argv) {
    uv_loop_t uv;
    cre_loop *loop;
    uint16_t port;
    program self = { 0 };
    cre_engine_config config = { .size = sizeof config, .on_event = on_event };
    cre_listen_options where = { .size = sizeof where, .host = "127.0.0.1", .port = 9501 };
    if (argc > 1) where.port = (uint16_t)atoi(argv[1]);
    uv_loop_init(&uv);
    int error = cre_loop_adopt(&uv, &loop);
    if (!error) error = cre_engine_create(loop, &config, &self.engine);
    if (!error) error = cre_engine_listen(self.engine, &where, &port);
    if (error) {
        fprintf(stderr, "port %d: %s\n", where.port, cre_error_message(error));
        return 1;
    }
    uv_timer_init(&uv, &self.timer);
    uv_signal_init(&uv, &self.interrupt);
    self.timer.data = self.interrupt.data = &self;
    uv_timer_start(&self.timer, on_tick, 1000, 1000);
    uv_signal_start(&self.interrupt, on_interrupt, SIGINT);
    printf("ready %d %d\n", port, (int)uv_os_getpid());
    fflush(stdout);
    uv_run(&uv, UV_RUN_DEFAULT); /* the host's own, until nothing is left to do */
    cre_loop_destroy(loop);
    uv_run(&uv, UV_RUN_DEFAULT);
    return uv_loop_close(&uv) ? 1 : 0;
}
