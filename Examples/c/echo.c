/*
 * A WebSocket echo server: `c-echo [--host ADDRESS] [--port N] [--max-message BYTES] [--compress yes]
 * [--cert FILE --key FILE]`; with a certificate it speaks TLS. Any path accepts WebSocket and echoes text and
 * binary; messages on /broadcast go to all connections of that path; `GET /hello` answers "hello world.",
 * `GET /` a page.
 */
#include <creactor/creactor.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char page[] =
    "<!doctype html><title>echo</title><p>Type to be echoed: <input autofocus><ol></ol><script>\n"
    "const socket = new WebSocket(`ws${location.protocol == 'https:' ? 's' : ''}://${location.host}/`), list = document.querySelector('ol');\n"
    "socket.onmessage = event => list.append(Object.assign(document.createElement('li'), "
    "{ textContent: event.data }));\n"
    "document.querySelector('input').onchange = event => { socket.send(event.target.value); event.target.value = '' };\n"
    "</script>\n";

static void answer(cre_engine *engine, const cre_record *event, const uint8_t *payload) {
    cre_request_view request;
    if (cre_request_view_init(&request, payload, event->length)) return;
    const char *path = (const char *)request.bytes + request.head->path;
    size_t length = request.head->path_length;
    if (length == 6 && memcmp(path, "/hello", 6) == 0)
        cre_engine_respond(engine, event->session, 200, "Content-Type: text/plain\r\n", "hello world.", 12);
    else if (length == 1)
        cre_engine_respond(engine, event->session, 200, "Content-Type: text/html; charset=utf-8\r\n", page,
                           sizeof page - 1);
    else
        cre_engine_respond(engine, event->session, 404, "Content-Type: text/plain\r\n", "not found\n", 10);
}

static const char broadcast[] = "/broadcast";

static void join(cre_engine *engine, const cre_record *event, const uint8_t *payload) {
    cre_request_view request;
    if (cre_request_view_init(&request, payload, event->length)) return;
    const char *path = (const char *)request.bytes + request.head->path;
    if (request.head->path_length == sizeof broadcast - 1 &&
        memcmp(path, broadcast, sizeof broadcast - 1) == 0)
        cre_engine_subscribe(engine, event->session, broadcast, sizeof broadcast - 1);
}

static void echo(cre_engine *engine, const cre_record *event, const uint8_t *payload) {
    if (cre_engine_subscribed(engine, event->session, broadcast, sizeof broadcast - 1))
        cre_engine_publish(engine, broadcast, sizeof broadcast - 1, event->opcode, payload, event->length, 0);
    else
        cre_engine_push(engine, event->session, event->opcode, payload, event->length);
}

static int on_event(void *context, cre_engine *engine, const cre_record *event, uint8_t *payload) {
    (void)context;
    if (event->kind == CRE_EVENT_MESSAGE)
        echo(engine, event, payload);
    else if (event->kind == CRE_EVENT_OPEN)
        join(engine, event, payload);
    else if (event->kind == CRE_EVENT_REQUEST)
        answer(engine, event, payload);
    return 0;
}

static cre_loop *loop;

static void on_signal(int number) {
    (void)number;
    cre_loop_stop(loop);
}

int main(int argc, char **argv) {
    cre_listen_options where = { .host = "127.0.0.1", .port = 9501 };
    cre_engine_config config = { .on_event = on_event, .http = true, .max_connections = 100000 };
    cre_tls_certificate certificate = { 0 };
    cre_ws_deflate_config deflate = { .server_no_context_takeover = true };
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--host") == 0)
            where.host = argv[i + 1];
        else if (strcmp(argv[i], "--port") == 0)
            where.port = (uint16_t)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--max-message") == 0)
            config.max_message = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--compress") == 0 && strcmp(argv[i + 1], "yes") == 0)
            config.deflate = &deflate;
        else if (strcmp(argv[i], "--cert") == 0)
            certificate.chain.file = argv[i + 1];
        else if (strcmp(argv[i], "--key") == 0)
            certificate.key.file = argv[i + 1];
        else
            argc = 0;
    }
    if (argc % 2 == 0) {
        fprintf(stderr,
                "usage: %s [--host ADDRESS] [--port N] [--max-message BYTES] [--compress yes]"
                " [--cert FILE --key FILE]\n",
                argv[0]);
        return 2;
    }
    if (certificate.chain.file) {
        char why[CRE_TLS_MESSAGE];
        cre_tls_config tls = { .certificates = &certificate, .count = 1 };
        if (cre_tls_create(&tls, &where.tls, why)) {
            fprintf(stderr, "TLS: %s\n", why);
            return 1;
        }
    }
    cre_engine *engine = NULL;
    uint16_t port;
    int error = cre_loop_create(&loop);
    if (!error) error = cre_engine_create(loop, &config, &engine);
    if (!error) error = cre_engine_listen(engine, &where, &port);
    if (error) {
        fprintf(stderr, "%s port %d: %s\n", where.host, where.port, cre_error_message(error));
        return 1;
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    printf("ready %d %d\n", port, (int)getpid());
    fflush(stdout);
    cre_loop_run(loop);
    cre_engine_destroy(engine);
    cre_loop_destroy(loop);
    cre_tls_release(where.tls);
    return 0;
}
