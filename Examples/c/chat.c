/*
 * A chat over WebSocket, with its page from the same port: `c-chat [PORT]`. Each message goes to everybody,
 * with the number of its sender in front.
 */
#include <creactor/creactor.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char page[] =
    "<!doctype html><meta charset=utf-8><title>chat</title><ul></ul><input autofocus placeholder=Message><script>\n"
    "const socket = new WebSocket(`ws://${location.host}/`), list = document.querySelector('ul');\n"
    "const show = text => list.append(Object.assign(document.createElement('li'), { textContent: text }));\n"
    "socket.onmessage = event => show(event.data);\n"
    "socket.onclose = event => show(`closed: ${event.code}`);\n"
    "document.querySelector('input').onchange = event => { socket.send(event.target.value); event.target.value = '' };\n"
    "</script>\n";

static void say(cre_engine *engine, cre_session sender, const char *text, size_t length) {
    char line[1100];
    int size = snprintf(line, sizeof line, "%llu: %.*s", (unsigned long long)sender, (int)length, text);
    if (size >= (int)sizeof line) size = (int)sizeof line - 1;
    cre_engine_broadcast(engine, CRE_WS_TEXT, line, (size_t)size, 0);
}

static int on_event(void *context, cre_engine *engine, const cre_record *event, uint8_t *payload) {
    (void)context;
    switch (event->kind) {
    case CRE_EVENT_OPEN: say(engine, event->session, "is here", 7); break;
    case CRE_EVENT_MESSAGE:
        if (event->opcode == CRE_WS_TEXT)
            say(engine, event->session, (const char *)payload, event->length);
        else
            cre_engine_close(engine, event->session, 1003, "text only");
        break;
    case CRE_EVENT_CLOSE: say(engine, event->session, "left", 4); break;
    case CRE_EVENT_REQUEST:
        cre_engine_respond(engine, event->session, 200, "Content-Type: text/html; charset=utf-8\r\n", page,
                           sizeof page - 1);
        break;
    default: break;
    }
    return 0;
}

int main(int argc, char **argv) {
    cre_loop *loop;
    cre_engine *engine;
    uint16_t port;
    /* A message of 1,000 bytes fits in a line, cut nowhere inside a character. */
    cre_engine_config config = {
        .size = sizeof config, .on_event = on_event, .http = true, .max_message = 1000
    };
    cre_listen_options where = { .size = sizeof where, .host = "127.0.0.1", .port = 9501 };
    if (argc > 1) where.port = (uint16_t)atoi(argv[1]);
    int error = cre_loop_create(&loop);
    if (!error) error = cre_engine_create(loop, &config, &engine);
    if (!error) error = cre_engine_listen(engine, &where, &port);
    if (error) {
        fprintf(stderr, "port %d: %s\n", where.port, cre_error_message(error));
        return 1;
    }
    printf("ready %d %d\n", port, (int)getpid());
    fflush(stdout);
    return cre_loop_run(loop);
}
