/* Requests of HTTP/2 that are served inside the event of the one before, by the engine. */
#include <creactor/http2.h>

#include "test.h"

#ifdef CRE_HAVE_HTTP2

#include "engine/command.h"
#include "engine/further.h"
#include "http2_net.h"
#include "runtime/worker_internal.h"

static char log_text[4096];
static bool asking;
static cre_session waiting; /* of the last request for "/wait" */
static const char large[10000];

static void answer(net_server *net, cre_session session, const char *path) {
    if (strcmp(path, "/wait") == 0) {
        waiting = session;
    } else if (strcmp(path, "/large") == 0) {
        CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, large, sizeof large), 0);
    } else if (strcmp(path, "/close") == 0) {
        const cre_record close = { .kind = CRE_COMMAND_CLOSE, .session = session };
        CHECK_EQ(cre_engine_command(net->engine, &close, NULL, 0), 0);
    } else {
        CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, path, strlen(path)), 0);
    }
}

/* Answers the request, and has those behind it served, whose events are in brackets. "/alone" has none
 * served. */
static int serve_all(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind != CRE_EVENT_REQUEST) return 0;
    cre_engine *engine = net->engine;
    cre_request_view view;
    REQUIRE(cre_request_view_init(&view, payload, event->length) == 0);
    char path[64] = "";
    REQUIRE(view.head->path_length < sizeof path);
    memcpy(path, view.bytes + view.head->path, view.head->path_length);
    strcat(log_text, path);
    strcat(log_text, " ");
    answer(net, event->session, path);
    if (asking || strcmp(path, "/alone") == 0) return 0;
    asking = true;
    CHECK(!cre__engine_has_requests(engine, event->session + 1));
    strcat(log_text, "[ ");
    cre_session last = event->session;
    while (last && cre__engine_has_requests(engine, last))
        last = cre__engine_serve_request(engine);
    strcat(log_text, "] ");
    asking = false;
    return 0;
}

static net_server *start(cre_port_options options) {
    log_text[0] = 0;
    options.size = sizeof options;
    options.protocol = CRE_PROTOCOL_HTTP;
    return net_start((cre_engine_config){ .ports = &options, .port_count = 1 }, serve_all);
}

/* Sends requests at once, for the paths in one text. Returns the number of the last stream. */
static uint32_t ask(h2_client *c, uint32_t first, const char *paths) {
    char path[64];
    int used;
    for (; sscanf(paths, "%63s%n", path, &used) == 1; paths += used, first += 2) {
        char fields[256];
        snprintf(fields, sizeof fields, H2_GET("%s"), path);
        put_headers(&c->out, first, END_STREAM, fields);
    }
    h2_send(c);
    return first - 2;
}

static void await_answer(h2_client *c, uint32_t stream, const char *body) {
    char expected[100];
    snprintf(expected, sizeof expected, "DATA %u '%s' end|", stream, body);
    h2_await(c, expected);
}

TEST(requests_of_one_read_are_served_inside_the_event_of_the_first) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    await_answer(c, ask(c, 1, "/a /b /c /wait /d"), "/d");
    CHECK_STR(log_text, "/a [ /b /c /wait /d ] ");
    CHECK_EQ(net_stats(net).requests, 5);
    answer(net, waiting, "late");
    await_answer(c, 7, "late");
    CHECK(!cre__engine_has_requests(net->engine, waiting)); /* outside of an event */
    h2_close(c);
    net_stop(net);
}

TEST(what_is_not_asked_for_is_emitted) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    await_answer(c, ask(c, 1, "/alone /b /c"), "/c");
    CHECK_STR(log_text, "/alone /b [ /c ] ");
    h2_close(c);
    net_stop(net);
}

/* Nothing is behind the last one, which is not asked for in vain. */
TEST(a_request_alone) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    await_answer(c, ask(c, 1, "/a"), "/a");
    await_answer(c, ask(c, 3, "/b"), "/b");
    CHECK_STR(log_text, "/a [ ] /b [ ] ");
    h2_close(c);
    net_stop(net);
}

TEST(input_in_two_pieces) {
    for (size_t split = 1;; split++) {
        net_server *net = start((cre_port_options){ 0 });
        h2_client *c = h2_open(net);
        put_headers(&c->out, 1, END_STREAM, H2_GET("/a"));
        put_headers(&c->out, 3, END_STREAM, H2_GET("/b"));
        const bool ends = split == c->out.length;
        net_send(&c->socket, c->out.bytes, split);
        net_settle(net);
        net_send(&c->socket, c->out.bytes + split, c->out.length - split);
        await_answer(c, 1, "/a");
        await_answer(c, 3, "/b");
        CHECK(strcmp(log_text, "/a [ ] /b [ ] ") == 0 || strcmp(log_text, "/a [ /b ] ") == 0);
        h2_close(c);
        net_stop(net);
        if (ends) return;
    }
}

TEST(bodies_and_refusals_between_requests) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, END_STREAM, H2_GET("/a"));
    put_headers(&c->out, 3, 0, H2_POST("/b"));
    put_frame(&c->out, DATA, END_STREAM, 3, "body", 4);
    put_headers(&c->out, 5, END_STREAM, ":method: CONNECT\n:authority: a.example:443\n");
    put_headers(&c->out, 7, 0, H2_POST("/c"));
    put_reset(&c->out, 7, CRE_HTTP2_CANCEL);
    put_headers(&c->out, 9, END_STREAM, H2_GET("/d"));
    h2_send(c);
    await_answer(c, 9, "/d");
    await_answer(c, 3, "/b");
    CHECK_STR(log_text, "/a [ /b /d ] ");
    CHECK(strstr(c->in.frames.bytes, "HEADERS 5 :status=501"));
    h2_close(c);
    net_stop(net);
}

/* A stream that its handler closes. */
TEST(streams_that_end_inside_an_event) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    await_answer(c, ask(c, 1, "/close /a /close /b"), "/b");
    CHECK_STR(log_text, "/close [ /a /close /b ] ");
    h2_await(c, "RST_STREAM 1 ");
    h2_await(c, "RST_STREAM 5 ");
    h2_close(c);
    net_stop(net);
}

/* Requests wait while their client takes too little of the output: they are served when it has. */
TEST(requests_that_wait_for_output) {
    net_server *net = start((cre_port_options){ .max_queue = 15000 });
    h2_client *c = h2_open(net);
    const uint32_t last = ask(c, 1, "/large /large /large /a /b");
    await_answer(c, last, "/b");
    CHECK_STR(log_text, "/large [ /large ] /large [ ] /a [ ] /b [ ] ");
    CHECK_EQ(net_stats(net).requests, 5);
    h2_close(c);
    net_stop(net);
}

/* The queue is below its limit when the new request arrives, but not below half of it, from which on those
 * that wait go on. */
TEST(none_overtakes_those_that_wait) {
    net_server *net = start((cre_port_options){ .max_queue = 15000 });
    h2_client *c = h2_open(net);
    const uint32_t last = ask(c, 1, "/large /large /large /large /large /large /large /large /large /a");
    net_settle(net);
    CHECK(!strstr(log_text, "/a "));
    ask(c, last + 2, "/b");
    net_settle(net);
    CHECK(!strstr(log_text, "/a ") && !strstr(log_text, "/b "));
    put_window_update(&c->out, 0, 10 * sizeof large);
    h2_send(c);
    await_answer(c, last + 2, "/b");
    CHECK(strstr(log_text, "/a [ ] /b [ ] "));
    h2_close(c);
    net_stop(net);
}

/* A client that takes nothing more gets no more requests served than there is room for their responses. */
TEST(no_more_is_served_than_fits) {
    enum { REQUESTS = 20, WINDOW = 65535, LIMIT = 15000 };
    net_server *net = start((cre_port_options){ .max_queue = LIMIT });
    h2_client *c = h2_open(net);
    for (uint32_t i = 0; i < REQUESTS; i++)
        put_headers(&c->out, 2 * i + 1, END_STREAM, H2_GET("/large"));
    h2_send(c);
    net_settle(net);
    const uint64_t most = (WINDOW + LIMIT) / sizeof large + 1;
    CHECK(net_stats(net).requests > WINDOW / sizeof large);
    CHECK(net_stats(net).requests <= most);
    put_window_update(&c->out, 0, REQUESTS * sizeof large);
    h2_send(c);
    h2_await_data(c, REQUESTS * sizeof large);
    CHECK_EQ(net_stats(net).requests, REQUESTS);
    h2_close(c);
    net_stop(net);
}

/* As many streams as may be open. */
TEST(a_hundred_streams) {
    net_server *net = start((cre_port_options){ .max_streams = 100 });
    h2_client *c = h2_open(net);
    char paths[400] = "";
    for (int i = 0; i < 100; i++)
        strcat(paths, "/a ");
    for (uint32_t first = 1; first < 2000; first += 200) {
        await_answer(c, ask(c, first, paths), "/a");
        clear(&c->in.frames);
    }
    CHECK_EQ(net_stats(net).requests, 1000);
    h2_close(c);
    net_stop(net);
}

/* ---- a worker that owns its connections ---- */

typedef struct owner {
    cre_bus *bus;
    cre_worker *worker;
    net_server net; /* for clients: their waits turn the loop */
    int depth, count;
} owner;

static cre_session shown(const owner *it) {
    cre_activity activity;
    cre_bus_get_activity(it->bus, 1, &activity);
    CHECK_EQ(activity.kind, CRE_EVENT_REQUEST);
    CHECK(activity.running);
    return activity.session;
}

static void on_owned(void *context, const cre_record *event, uint8_t *payload) {
    owner *it = context;
    (void)payload;
    if (event->kind != CRE_EVENT_REQUEST) return;
    it->count++;
    CHECK_EQ(shown(it), event->session);
    CHECK_EQ(cre_worker_respond(it->worker, event->session, 0, 200, 0, NULL, 0, "x", 1), 0);
    if (it->depth++ == 0)
        for (cre_session last = event->session; (last = cre_worker_serve_request(it->worker, last));)
            CHECK_EQ(shown(it), last); /* its handler may run now */
    it->depth--;
}

TEST(a_worker_shows_whose_request_it_serves) {
    owner it = { 0 };
    cre_bus_config bus = { .nodes = 2, .connections = 100 };
    REQUIRE(cre_bus_create(&bus, &it.bus) == 0);
    cre_engine_config engine = { .size = sizeof engine, .http = true };
    cre_worker_config config = {
        .bus = it.bus, .node = 1, .on_event = on_owned, .context = &it, .engine = &engine
    };
    REQUIRE(cre_loop_create(&it.net.loop) == 0);
    REQUIRE(cre_worker_create(it.net.loop, &config, &it.worker) == 0);
    cre_listen_options where = { .size = sizeof where, .host = "127.0.0.1" };
    REQUIRE(cre_engine_listen(cre_worker_engine(it.worker), &where, &it.net.port) == 0);
    h2_client *c = h2_open(&it.net);
    await_answer(c, ask(c, 1, "/a /b /c /d"), "x");
    CHECK_EQ(it.count, 4);
    cre_activity activity;
    cre_bus_get_activity(it.bus, 1, &activity);
    CHECK(!activity.running);
    h2_close(c);
    cre_worker_destroy(it.worker);
    cre_loop_destroy(it.net.loop);
    cre_bus_destroy(it.bus);
}

#endif

TEST_MAIN()
