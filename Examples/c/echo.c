/*
 * A WebSocket echo server: `c-echo [--host ADDRESS] [--port N] [--max-message BYTES] [--compress yes]
 * [--cert FILE --key FILE]`; with a certificate it uses TLS. Any path accepts WebSocket and echoes text and
 * binary; messages on /broadcast go to all connections of that path; `GET /hello` answers "hello world.".
 */
#include <creactor/creactor.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int on_event(void *context, cre_engine *engine, const cre_record *event, uint8_t *payload) {
    (void)context;
    static const char plain[] = "Content-Type: text/plain\r\n";
    cre_session session = event->session;
    switch (event->kind) {
    case CRE_EVENT_OPEN:
        if (cre_request_is(payload, event->length, "/broadcast"))
            cre_engine_subscribe(engine, session, "all", 3);
        break;
    case CRE_EVENT_MESSAGE:
        if (cre_engine_subscribed(engine, session, "all", 3))
            cre_engine_publish(engine, "all", 3, event->opcode, payload, event->length, 0);
        else
            cre_engine_push(engine, session, event->opcode, payload, event->length);
        break;
    case CRE_EVENT_REQUEST:
        if (cre_request_is(payload, event->length, "/hello"))
            cre_engine_respond(engine, session, 200, plain, "hello world.", 12);
        else
            cre_engine_respond(engine, session, 404, plain, "not found\n", 10);
        break;
    default: break;
    }
    return 0;
}

static cre_loop *loop;

static void on_signal(int number) {
    (void)number;
    cre_loop_stop(loop);
}

int main(int argc, char **argv) {
    static const struct option known[] = { { "host", 1, NULL, 'h' },     { "port", 1, NULL, 'p' },
                                           { "compress", 1, NULL, 'z' }, { "max-message", 1, NULL, 'm' },
                                           { "cert", 1, NULL, 'c' },     { "key", 1, NULL, 'k' },
                                           { NULL, 0, NULL, 0 } };
    cre_listen_options where = { .size = sizeof where, .host = "127.0.0.1", .port = 9501 };
    cre_engine_config config = {
        .size = sizeof config, .on_event = on_event, .http = true, .max_connections = 100000
    };
    cre_ws_deflate_config deflate = { .size = sizeof deflate, .server_no_context_takeover = true };
    cre_tls_certificate certificate = { .size = sizeof certificate };
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'h': where.host = optarg; break;
        case 'p': where.port = (uint16_t)atoi(optarg); break;
        case 'm': config.max_message = strtoull(optarg, NULL, 10); break;
        case 'z': config.deflate = *optarg == 'y' ? &deflate : NULL; break;
        case 'c': certificate.chain.file = optarg; break;
        case 'k': certificate.key.file = optarg; break;
        default: return 2; /* getopt has said why */
        }
    }
    cre_engine *engine = NULL;
    char why[CRE_TLS_MESSAGE] = "";
    cre_tls_config tls = { .size = sizeof tls, .certificates = &certificate, .count = 1 };
    int error = certificate.chain.file ? cre_tls_create(&tls, &where.tls, why) : 0;
    if (!error) error = cre_loop_create(&loop);
    if (!error) error = cre_engine_create(loop, &config, &engine);
    if (!error) error = cre_engine_listen(engine, &where, &where.port);
    if (error) {
        fprintf(stderr, "%s port %d: %s\n", where.host, where.port, *why ? why : cre_error_message(error));
        return 1;
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    printf("ready %d %d\n", where.port, (int)getpid());
    fflush(stdout);
    cre_loop_run(loop);
    cre_engine_destroy(engine);
    cre_loop_destroy(loop);
    cre_tls_release(where.tls);
    return 0;
}
