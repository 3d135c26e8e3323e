/* A server of the engine for the conformance suite: `http2-server` answers "/" and "/large", and echoes the
 * messages of WebSockets. */
#include <creactor/creactor.h>
#include <signal.h>
#include <stdio.h>

static cre_loop *loop;

static void on_signal(int number) {
    (void)number;
    cre_loop_stop(loop);
}

static int on_event(void *context, cre_engine *engine, const cre_record *event, uint8_t *payload) {
    (void)context;
    static const uint8_t large[300000];
    static const char text[] = "Content-Type: text/plain\r\n";
    const cre_session session = event->session;
    if (event->kind == CRE_EVENT_MESSAGE)
        cre_engine_push(engine, session, event->opcode, payload, event->length);
    else if (event->kind == CRE_EVENT_REQUEST && cre_request_is(payload, event->length, "/large"))
        cre_engine_respond(engine, session, 200, NULL, large, sizeof large);
    else if (event->kind == CRE_EVENT_REQUEST)
        cre_engine_respond(engine, session, 200, text, "hello\n", 6);
    return 0;
}

int main(void) {
    cre_listen_options where = { .size = sizeof where, .host = "127.0.0.1" };
    const cre_engine_config config = {
        .size = sizeof config, .on_event = on_event, .http = true, .max_connections = 10000
    };
    cre_engine *engine = NULL;
    int error = cre_loop_create(&loop);
    if (!error) error = cre_engine_create(loop, &config, &engine);
    if (!error) error = cre_engine_listen(engine, &where, &where.port);
    if (error) {
        fprintf(stderr, "cannot listen: %s\n", cre_error_message(error));
        return 1;
    }
    signal(SIGTERM, on_signal);
    printf("listening on %d\n", where.port);
    fflush(stdout);
    cre_loop_run(loop);
    cre_engine_destroy(engine);
    cre_loop_destroy(loop);
    return 0;
}
