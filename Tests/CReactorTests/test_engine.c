/* Connections as such: what handlers may do, queues, limits, lifetimes, the end of an engine. */
#include "both.h"

static cre_connection_state state_of(net_server *net, cre_session session) {
    return (cre_connection_state)cre_table_state(cre_engine_table(net->engine), session);
}

static uint32_t connected(net_server *net) {
    return cre_table_count(cre_engine_table(net->engine));
}

static int command(net_server *net, uint8_t kind, cre_session session) {
    cre_record record = { .kind = kind, .session = session };
    return cre_engine_command(net->engine, &record, NULL, 0);
}

/* ---- handlers that act on connections ---- */

/* A message "r3" resets the connection of the third OPEN, "c" closes, "p" pushes, "P" pauses it. */
static int act(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind != CRE_EVENT_MESSAGE || event->length < 2) return 0;
    cre_session session = 0;
    int at = payload[1] - '0';
    for (int i = 0; i < net->count; i++)
        if (net->events[i].record.kind == CRE_EVENT_OPEN && at-- == 0)
            session = net->events[i].record.session;
    switch (payload[0]) {
    case 'r': command(net, CRE_COMMAND_RESET, session); break;
    case 'c': cre_engine_close(net->engine, session, 1000, "as asked"); break;
    case 'p': cre_engine_push(net->engine, session, CRE_WS_TEXT, payload, event->length); break;
    case 'P': command(net, CRE_COMMAND_PAUSE, session); break;
    case 'e': return CRE_ELINK_FULL;
    default: break;
    }
    return 0;
}

TEST_BOTH(a_handler_may_end_its_own_connection) {
    net_server *net = net_start((cre_engine_config){ 0 }, act);
    static const char *const how[] = { "r0", "c0", "e0" };
    for (int i = 0; i < 3; i++) {
        net_client client = net_ws_connect(net);
        /* Several in one segment: those behind the end are not served. Each as a whole and in fragments. */
        size_t size, used = 0;
        uint8_t all[400];
        for (int n = 0; n < 8; n++) {
            uint8_t *frame = net_frame(n == 2   ? CRE_WS_TEXT
                                       : n == 3 ? CRE_WS_FIN
                                                : CRE_WS_FIN | CRE_WS_TEXT,
                                       n == 3 ? "0" : how[i], n == 2 || n == 3 ? 1 : 2, &size);
            memcpy(all + used, frame, size);
            used += size;
            free(frame);
        }
        net_send(&client, all, used);
        if (i == 1) net_ws_send_close(&client, 1000);
        net_await_end(&client);
        net_close(&client);
        NET_UNTIL(net, net_count_events(net, CRE_EVENT_CLOSE) == 1);
        CHECK_EQ(net_count_events(net, CRE_EVENT_MESSAGE), 1);
        NET_UNTIL(net, connected(net) == 0);
        net_forget(net);
    }
    net_stop(net);
}

static int refuse_open(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)net, (void)payload;
    return event->kind == CRE_EVENT_OPEN ? CRE_ELINK_FULL : 0;
}

static int refuse_close(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)payload;
    int *left = net->context;
    return event->kind == CRE_EVENT_CLOSE && --*left >= 0 ? CRE_ENOMEM : 0;
}

TEST_BOTH(ends_are_reported_to_those_who_know_of_the_beginning) {
    net_server *net = net_start((cre_engine_config){ 0 }, refuse_open);
    net_client client = net_connect(net);
    net_send_text(&client, NET_UPGRADE);
    net_expect_event(net, CRE_EVENT_OPEN);
    NET_UNTIL(net, connected(net) == 0);
    net_settle(net);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 0);
    net_close(&client);
    net_stop(net);
    /* And to them for certain, as soon as that is possible; nothing else happens meanwhile. */
    int refusals = 3;
    net = net_start((cre_engine_config){ 0 }, refuse_close);
    net->context = &refusals;
    client = net_ws_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    net_close(&client);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(net_expect_event(net, CRE_EVENT_CLOSE)->record.session, session);
    NET_UNTIL(net, connected(net) == 0);
    net_settle(net);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 4);
    /* An engine that goes does not wait. */
    refusals = 1000;
    client = net_ws_connect(net);
    command(net, CRE_COMMAND_RESET, net_expect_event(net, CRE_EVENT_OPEN)->record.session);
    net_turn(net);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_handler_may_act_on_any_connection) {
    net_server *net = net_start((cre_engine_config){ 0 }, act);
    net_client clients[3] = { net_ws_connect(net), net_ws_connect(net), net_ws_connect(net) };
    /* In one turn: all three have input; what is done to the others must hold whether they were served
     * already. */
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 3; i++) {
            char text[3] = { 'p', (char)('0' + (i + round) % 3), 0 };
            net_ws_text(&clients[i], text);
        }
    for (int i = 0; i < 3; i++) {
        char text[3] = { 'p', (char)('0' + i), 0 };
        for (int n = 0; n < 3; n++)
            net_ws_expect_text(&clients[i], text);
    }
    static const char *const commands[3] = { "r1", "r2", "r0" };
    for (int i = 0; i < 3; i++)
        net_ws_text(&clients[i], commands[i]);
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_CLOSE) >= 2);
    for (int i = 0; i < 3; i++)
        net_close(&clients[i]);
    NET_UNTIL(net, connected(net) == 0);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 3);
    net_stop(net);
}

static bool flush_once(cre__hook *hook) {
    (void)hook;
    return false;
}

/* A hook behind the engine's: dirties and resets a connection after the engine's last look in this turn. */
static net_server *late_net;
static cre_session late_session;

static bool late_hook(cre__hook *hook) {
    (void)hook;
    if (!late_session) return false;
    cre_session session = late_session;
    late_session = 0;
    CHECK_EQ(cre_engine_push(late_net->engine, session, CRE_WS_TEXT, "x", 1), 0);
    CHECK_EQ(command(late_net, CRE_COMMAND_RESET, session), 0);
    return false;
}

TEST_BOTH(a_connection_that_dies_behind_the_flush) {
    net_server *net = net_start((cre_engine_config){ 0 }, act);
    cre__hook hook = { .run = late_hook }, other = { .run = flush_once };
    cre__loop_add_hook(net->loop, CRE__FLUSH, &hook);
    cre__loop_add_hook(net->loop, CRE__FLUSH, &other);
    late_net = net;
    for (int i = 0; i < 3; i++) {
        net_client client = net_ws_connect(net);
        late_session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
        net_await_end(&client);
        net_close(&client);
        net_closed(net_next(net));
    }
    net_client client = net_ws_connect(net);
    late_session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    net_turn(net); /* and straight into the end of the engine */
    cre__loop_remove_hook(net->loop, CRE__FLUSH, &hook);
    cre__loop_remove_hook(net->loop, CRE__FLUSH, &other);
    net_close(&client);
    net_stop(net);
}

/* ---- queues ---- */

TEST_BOTH(a_slow_reader_fills_its_queue) {
    net_server *net = net_start((cre_engine_config){ .max_queue = 1 << 20, .low_water = 1000 }, NULL);
    net_client client = net_ws_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    static uint8_t data[100000];
    size_t pushed = 0;
    int result = 0;
    for (int i = 0; i < 1000 && !result; i++) {
        memset(data, i, sizeof data);
        size_t size = i % 2 ? sizeof data : 3000;
        result = cre_engine_push(net->engine, session, CRE_WS_BINARY, data, size);
        if (!result) pushed++;
        if (i % 5 == 0) net_turn(net);
    }
    CHECK_EQ(result, CRE_EQUEUE_FULL);
    CHECK_EQ(net_count_events(net, CRE_EVENT_FULL), 1);
    CHECK_EQ(net_count_events(net, CRE_EVENT_DRAINED), 0);
    CHECK_EQ(state_of(net, session), CRE_CONNECTION_OPEN);
    for (size_t i = 0; i < pushed; i++) {
        memset(data, (int)i, sizeof data);
        net_ws_expect(&client, CRE_WS_BINARY, data, i % 2 ? sizeof data : 3000);
    }
    net_expect_event(net, CRE_EVENT_FULL);
    net_expect_event(net, CRE_EVENT_DRAINED);
    CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_TEXT, "again", 5), 0);
    net_ws_expect_text(&client, "again");
    CHECK_EQ(net->count, net->seen);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(one_message_may_be_larger_than_the_queue) {
    net_server *net = net_start((cre_engine_config){ .max_queue = 1000 }, NULL);
    net_client client = net_ws_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    size_t size = 20 << 20;
    uint8_t *data = malloc(size);
    REQUIRE(data != NULL);
    memset(data, 'q', size);
    CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_BINARY, data, size), 0);
    /* Behind it there is no room, however large the next is; the connection is none the worse for it. */
    CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_BINARY, data, size), CRE_EQUEUE_FULL);
    CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_BINARY, data, 1), CRE_EQUEUE_FULL);
    net_ws_expect(&client, CRE_WS_BINARY, data, size);
    free(data);
    net_expect_event(net, CRE_EVENT_FULL);
    net_expect_event(net, CRE_EVENT_DRAINED);
    CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_TEXT, "ok", 2), 0);
    net_ws_expect_text(&client, "ok");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_frame_from_a_link_is_never_left_out) {
    net_server *net = net_start((cre_engine_config){ .max_queue = 1 << 20 }, NULL);
    net_client client = net_ws_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    static uint8_t data[100000];
    cre_record push = {
        .kind = CRE_COMMAND_PUSH, .opcode = CRE_WS_BINARY, .flags = CRE_RECORD_FINAL, .session = session
    };
    cre_slice part = { data, sizeof data };
    int pushed = 0, result = 0;
    while (!(result = cre__command_accepted(net->engine, &push, &part, 1)) && pushed < 1000)
        pushed++;
    CHECK_EQ(result, CRE_EQUEUE_FULL);
    CHECK_EQ(cre__command_accepted(net->engine, &push, &part, 1), CRE_EGONE);
    CHECK_EQ(net->count, net->seen); /* reported at the end of the turn, not by the command */
    cre_closed closed = net_closed(net_next(net));
    CHECK_EQ(closed.reason, CRE_CLOSED_OVERFLOW);
    CHECK_EQ(closed.code, 1006);
    net_close(&client);
    net_stop(net);
}

static int push_more_when_drained(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)payload;
    static uint8_t data[50000];
    int *left = net->context;
    if (event->kind == CRE_EVENT_FULL) cre_engine_push(net->engine, event->session, CRE_WS_TEXT, "full", 4);
    if (event->kind == CRE_EVENT_DRAINED)
        while (*left > 0 && !cre_engine_push(net->engine, event->session, CRE_WS_BINARY, data, sizeof data))
            --*left;
    return 0;
}

TEST_BOTH(a_handler_may_refill_the_queue) {
    net_server *net = net_start((cre_engine_config){ .max_queue = 400000 }, push_more_when_drained);
    int left = 300;
    net->context = &left;
    net_client client = net_ws_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    size_t size = 8 << 20;
    uint8_t *data = calloc(1, size);
    REQUIRE(data != NULL);
    CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_BINARY, data, size), 0);
    cre_ws_frame frame;
    net->quiet = true;
    size_t binary = 0;
    while (binary < 301 && net_ws_next(&client, &frame)) {
        binary += frame.opcode == CRE_WS_BINARY;
        net_take(&client, frame.size);
    }
    CHECK_EQ(binary, 301);
    CHECK_EQ(left, 0);
    free(data);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(pause_stops_reading_and_resume_goes_on) {
    net_server *net = net_start((cre_engine_config){ 0 }, act);
    net_client client = net_ws_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    net_ws_text(&client, "P0");
    net_expect_event(net, CRE_EVENT_MESSAGE);
    net_ws_text(&client, "unheard");
    net_settle(net);
    CHECK_EQ(net->count, net->seen);
    CHECK_EQ(command(net, CRE_COMMAND_RESUME, session), 0);
    CHECK_STR((const char *)net_expect_event(net, CRE_EVENT_MESSAGE)->payload, "unheard");
    net_close(&client);
    net_stop(net);
}

/* ---- limits and lifetimes ---- */

TEST_BOTH(the_table_limits_connections) {
    net_server *net = net_start((cre_engine_config){ .max_connections = 3 }, NULL);
    net_client clients[3] = { net_ws_connect(net), net_ws_connect(net), net_ws_connect(net) };
    for (int i = 0; i < 3; i++) {
        net_client refused = net_connect(net);
        net_await_end(&refused);
        net_close(&refused);
    }
    CHECK_EQ(net_stats(net).refused, 3);
    CHECK_EQ(connected(net), 3);
    for (int i = 0; i < 3; i++)
        net_close(&clients[i]);
    NET_UNTIL(net, connected(net) == 0);
    net_client again = net_ws_connect(net);
    net_close(&again);
    net_stop(net);
}

TEST_BOTH(an_engine_may_go_with_everything_on_it) {
    net_server *net = net_start((cre_engine_config){ .http = true }, act);
    net_client clients[6];
    for (int i = 0; i < 6; i++)
        clients[i] = i < 4 ? net_ws_connect(net) : net_connect(net);
    net_send_text(&clients[4], "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /");
    net_send_text(&clients[5], "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    net_ws_send(&clients[0], CRE_WS_TEXT, "half a message", 14);
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_REQUEST) == 1);
    net_settle(net);
    static uint8_t data[3000000];
    cre_session second = net->events[1].record.session;
    CHECK_EQ(cre_engine_push(net->engine, second, CRE_WS_BINARY, data, sizeof data), 0);
    CHECK_EQ(cre_engine_close(net->engine, net->events[2].record.session, 1000, NULL), 0);
    CHECK_EQ(cre_engine_close(net->engine, net->events[net->count - 1].record.session, 1000, NULL), 0);
    net_client unaccepted = net_connect(net);
    cre_engine_destroy(net->engine);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 4);
    cre_closed closed = net_closed(&net->events[net->count - 1]);
    CHECK_EQ(closed.reason, CRE_CLOSED_SHUTDOWN);
    net_settle(net); /* the loop lives on without it */
    cre_loop_destroy(net->loop);
    net_forget(net);
    free(net);
    for (int i = 0; i < 6; i++)
        net_close(&clients[i]);
    net_close(&unaccepted);
}

TEST(ports_beyond_the_last_one_are_refused) {
    net_server *net = net_start((cre_engine_config){ 0 }, act);
    int pair[2], descriptors = net_descriptors();
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK_EQ(cre_engine_serve(net->engine, pair[0], CRE_MAX_PORTS), CRE_EINVALID);
    CHECK_EQ(cre_engine_adopt(net->engine, pair[0], CRE_MAX_PORTS), CRE_EINVALID);
    CHECK_EQ(cre_engine_hand_over(net->engine, pair[1], CRE_MAX_PORTS), CRE_EINVALID);
    CHECK_EQ(net_descriptors(), descriptors); /* both are closed */
    CHECK_EQ(cre_engine_set_tls(net->engine, CRE_MAX_PORTS, NULL), CRE_EINVALID);
    net_stop(net);
}

TEST(sockets_handed_over_too_late_are_closed) {
    net_server *net = net_start((cre_engine_config){ 0 }, act);
    int before = net_descriptors(), pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK_EQ(cre_engine_hand_over(net->engine, pair[0], 7), 0);
    NET_UNTIL(net, connected(net) == 1);
    net_client client = { .net = net, .descriptor = pair[1] };
    net_send_text(&client, NET_UPGRADE);
    net_upgraded(&client);
    cre_connection_info info;
    REQUIRE(cre_table_get_info(cre_engine_table(net->engine),
                               net_expect_event(net, CRE_EVENT_OPEN)->record.session, &info, sizeof info));
    CHECK_EQ(info.port, 7);
    CHECK_EQ(info.family, AF_UNIX);
    net_close(&client);
    NET_UNTIL(net, connected(net) == 0);
    net_settle(net);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK_EQ(cre_engine_hand_over(net->engine, pair[0], 7), 0);
    cre_engine_destroy(net->engine);
    net_settle(net); /* the wake-up that is under way finds nobody */
    close(pair[1]);
    CHECK_EQ(net_descriptors(), before - 2); /* and the listening socket is gone, with its reserve */
    cre_loop_destroy(net->loop);
    net_forget(net);
    free(net);
}

/* ---- shutdown ---- */

static void count_call(void *context) {
    ++*(int *)context;
}

TEST_BOTH(shutdown_says_goodbye) {
    net_server *net = net_start((cre_engine_config){ .http = true }, act);
    net_client open = net_ws_connect(net), idle = net_connect(net), busy = net_connect(net);
    net_send_text(&busy, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    net_expect_event(net, CRE_EVENT_OPEN);
    cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    int done = 0;
    cre_engine_shutdown(net->engine, 600000, count_call, &done);
    net_await_end(&idle);
    CHECK_EQ(net_ws_expect_close(&open), 1001);
    net_ws_send_close(&open, 1001);
    net_await_end(&open);
    CHECK_EQ(net_closed(net_next(net)).reason, CRE_CLOSED_SHUTDOWN);
    net_close(&idle);
    net_close(&open);
    net_settle(net);
    CHECK_EQ(done, 0);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "done", 4), 0);
    net_find(&busy, "Connection: close\r\n");
    CHECK_EQ(net_response(&busy, NULL, 0, false), 200);
    net_await_end(&busy);
    net_close(&busy);
    NET_UNTIL(net, done == 1);
    int late_one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(net->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CHECK_EQ(connect(late_one, (struct sockaddr *)&at, sizeof at), -1);
    close(late_one);
    net_settle(net);
    CHECK_EQ(done, 1);
    net_stop(net);
}

TEST_BOTH(shutdown_has_a_deadline) {
    net_server *net = net_start((cre_engine_config){ .http = true, .close_timeout_ms = 600000 }, act);
    net_client stubborn = net_ws_connect(net), busy = net_connect(net), slow = net_ws_connect(net);
    net_send_text(&busy, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    NET_UNTIL(net, net->count == 3);
    static uint8_t data[3000000];
    CHECK_EQ(cre_engine_push(net->engine, net->events[1].record.session, CRE_WS_BINARY, data, sizeof data),
             0);
    int done = 0, other = 0;
    cre_engine_shutdown(net->engine, 600000, count_call, &done);
    net_settle(net);
    CHECK_EQ(done, 0);
    cre_engine_shutdown(net->engine, 1, count_call, &other); /* asked again: now */
    NET_UNTIL(net, done == 1);
    CHECK_EQ(other, 0);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 2);
    CHECK_EQ(connected(net), 0);
    net_close(&stubborn);
    net_close(&busy);
    net_close(&slow);
    net_stop(net);
}

static net_server *destroyed_server;

static void destroy_in_done(void *context) {
    ++*(int *)context;
    cre_engine_destroy(destroyed_server->engine);
}

TEST_BOTH(done_comes_later_and_may_destroy_the_engine) {
    for (int clients = 0; clients < 2; clients++) {
        net_server *net = net_start((cre_engine_config){ 0 }, act);
        net_client client = { .descriptor = -1 };
        if (clients) client = net_ws_connect(net);
        int done = 0;
        destroyed_server = net;
        cre_engine_shutdown(net->engine, 1, destroy_in_done, &done);
        CHECK_EQ(done, 0);
        NET_UNTIL(net, done == 1);
        net_settle(net);
        net_close(&client);
        cre_loop_destroy(net->loop);
        net_forget(net);
        free(net);
    }
}

/* ---- without memory ---- */

static bool whole_life(void) {
    cre_loop *loop = NULL;
    cre_engine *engine = NULL;
    if (cre_loop_create(&loop)) return false;
    cre_engine_config config = { .size = sizeof config, .on_event = net_on_event };
    bool good = cre_engine_create(loop, &config, &engine) == 0;
    if (good)
        good = cre_engine_listen(
                   engine, &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" },
                   NULL) == 0;
    if (engine) cre_engine_destroy(engine);
    cre_loop_destroy(loop);
    return good;
}

TEST(making_an_engine_without_memory) {
    int before = net_descriptors();
    test_fail_each_allocation(whole_life);
    CHECK_EQ(net_descriptors(), before);
}

TEST_BOTH(serving_without_memory) {
    /* Each allocation in turn fails while a client connects, says something and gets an answer. */
    for (int n = 1; n < 12; n++) {
        net_server *net = net_start((cre_engine_config){ .http = true }, act);
        atomic_store(&test_fail_at, n);
        net_client client = net_connect(net);
        size_t size;
        uint8_t *frame = net_frame(CRE_WS_FIN | CRE_WS_TEXT, "p0", 2, &size);
        net_send(&client, NET_UPGRADE, 40);
        net_settle(net);
        net_send(&client, &NET_UPGRADE[40], sizeof NET_UPGRADE - 1 - 40);
        net_settle(net);
        net_send(&client, frame, 3);
        net_settle(net);
        net_send(&client, frame + 3, size - 3);
        net_settle(net);
        free(frame);
        atomic_store(&test_fail_at, 0);
        net_client other = net_ws_connect(net); /* whatever happened to that one */
        net_close(&other);
        net_close(&client);
        NET_UNTIL(net, connected(net) == 0);
        CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), net_count_events(net, CRE_EVENT_OPEN));
        net_stop(net);
    }
}

TEST_MAIN()
