/* Workers that die, and those that take their place. */
#include "hosts.h"

typedef struct child {
    pid_t pid;
    int start; /* a byte written here lets it open the node */
} child;

/* A worker process that waits for its start. */
static child fork_worker(reactor_host *its_host) {
    int start[2];
    REQUIRE(pipe(start) == 0);
    pid_t pid = cre_process_fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        close(start[1]);
        char byte;
        if (read(start[0], &byte, 1) != 1) _exit(0); /* nobody needs us */
        echoer it = { 0 };
        if (pipe(it.gate)) _exit(1);
        open_echoer(&it, its_host);
        cre_loop_run(it.loop);
        _exit(0);
    }
    close(start[0]);
    return (child){ pid, start[1] };
}

static void start_child(child *it, reactor_host *host) {
    CHECK_EQ(write(it->start, "s", 1), 1);
    NET_UNTIL(NULL, cre_bus_pid(host->bus, 1) == it->pid);
}

static void end_child(child *it, reactor_host *host) {
    int status;
    close(it->start);
    kill(it->pid, SIGKILL);
    CHECK_EQ(waitpid(it->pid, &status, 0), it->pid);
    cre_bus_forget(host->bus, 1);
}

TEST(connections_survive_their_worker) {
    reactor_host host;
    make_bus(&host, 0);
    child first = fork_worker(&host), second = fork_worker(&host);
    start_reactor(&host);
    start_child(&first, &host);
    net_client client = connect_ws(&host), idle = connect_ws(&host), http = connect_client(&host);
    net_ws_text(&client, "one");
    net_ws_expect_text(&client, "one");
    net_ws_text(&client, "block"); /* it dies of this one, which is not served twice */
    static uint8_t large[1000000];
    memset(large, 'L', sizeof large);
    for (int i = 0; i < 100; i++)
        net_ws_send(&client, CRE_WS_FIN | CRE_WS_BINARY, &i, sizeof i);
    net_ws_send(&idle, CRE_WS_FIN | CRE_WS_TEXT, large, sizeof large); /* more than the ring holds */
    net_send_text(&http, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    net_client late = connect_client(&host); /* while nobody serves */
    net_send_text(&late, NET_UPGRADE);
    char byte;
    CHECK_EQ(read(host.blocked[0], &byte, 1), 1);
    end_child(&first, &host);
    start_child(&second, &host);
    net_upgraded(&late);
    for (int i = 0; i < 100; i++)
        net_ws_expect(&client, CRE_WS_BINARY, &i, sizeof i);
    net_ws_expect(&idle, CRE_WS_TEXT, large, sizeof large);
    CHECK_EQ(net_response(&http, NULL, 0, false), 200);
    net_ws_text(&late, "me");
    net_ws_expect_text(&late, "me");
    net_close(&client);
    net_close(&idle);
    net_close(&http);
    net_close(&late);
    end_child(&second, &host);
    end_host(&host);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

/* What was taken is answered with 500, what was not by the successor, and nothing twice. */
TEST(pipelined_requests_survive_their_worker) {
    static const struct {
        const char *text;
        int statuses[6]; /* 0: the end; -1: a reset behind the beginning of an answer */
    } cases[] = {
        { GET("/keep") GET("/ok") GET("/block") GET("/ok") GET("/ok"), { 500, 200, 500, 200, 200 } },
        { GET("/keep") GET("/begin") GET("/block") GET("/ok"), { 500, 500, 500, 200 } },
        { GET("/ok") GET("/ok") GET("/lose") GET("/ok"), { 200, 200, 500, 200 } },
        { GET("/ok") GET("/begin") GET("/block") GET("/ok"), { 200, -1 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reactor_host host;
        make_bus(&host, 0);
        child first = fork_worker(&host), second = fork_worker(&host);
        start_reactor(&host);
        start_child(&first, &host);
        net_client client = connect_client(&host), idle = connect_client(&host);
        char body[200], byte;
        net_send_text(&idle, GET("/ok"));
        CHECK_EQ(net_response(&idle, body, sizeof body, false), 200);
        net_send(&client, cases[i].text, strlen(cases[i].text));
        CHECK_EQ(read(host.blocked[0], &byte, 1), 1);
        if (cases[i].statuses[1] < 0) net_find(&client, "begun");
        end_child(&first, &host);
        start_child(&second, &host);
        for (int at = 0; cases[i].statuses[at] > 0; at++) {
            CHECK_EQ(net_response(&client, body, sizeof body, false), cases[i].statuses[at]);
            if (cases[i].statuses[at] == 200) CHECK_STR(body, "hello");
            if (cases[i].statuses[at + 1] >= 0) continue;
            net_await_end(&client);
            CHECK_EQ(client.error, ECONNRESET);
        }
        if (!client.eof) {
            net_send_text(&client, GET("/ok"));
            CHECK_EQ(net_response(&client, body, sizeof body, false), 200);
            CHECK_EQ(client.length, 0);
        }
        net_send_text(&idle, GET("/ok"));
        CHECK_EQ(net_response(&idle, body, sizeof body, false), 200);
        net_close(&client);
        net_close(&idle);
        end_child(&second, &host);
        end_host(&host);
    }
}

/* The rest of a body whose request went down with its worker is dropped. */
TEST(a_body_in_pieces_survives_its_worker) {
    reactor_host host;
    make_bus(&host, 0);
    child first = fork_worker(&host), second = fork_worker(&host);
    start_reactor(&host);
    start_child(&first, &host);
    net_client client = connect_client(&host);
    static char rest[50000];
    char body[200], byte;
    net_send_text(&client, "POST /block HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
    CHECK_EQ(read(host.blocked[0], &byte, 1), 1);
    net_send(&client, rest, 10000); /* in the ring */
    end_child(&first, &host);
    start_child(&second, &host);
    CHECK_EQ(net_response(&client, body, sizeof body, false), 500);
    net_send(&client, rest, sizeof rest);
    net_send_text(&client, GET("/ok"));
    CHECK_EQ(net_response(&client, body, sizeof body, false), 200);
    net_close(&client);
    end_child(&second, &host);
    end_host(&host);
}

TEST(a_worker_that_runs_wild) {
    reactor_host host;
    make_bus(&host, 0);
    child first = fork_worker(&host), second = fork_worker(&host);
    start_reactor(&host);
    start_child(&first, &host);
    net_client client = connect_ws(&host);
    net_ws_text(&client, "one");
    net_ws_expect_text(&client, "one");
    net_ws_text(&client, "wild");
    NET_UNTIL(NULL, atomic_load(&host.violations) == 1);
    net_ws_text(&client, "unheard"); /* the answer to this is not read any more */
    end_child(&first, &host);
    start_child(&second, &host);
    net_ws_text(&client, "two");
    cre_ws_frame frame;
    bool received = false; /* "unheard" was either taken by the first, or is answered by the second */
    while (!received && net_ws_next(&client, &frame)) {
        received = frame.length == 3 && memcmp(frame.payload, "two", 3) == 0;
        net_take(&client, frame.size);
    }
    CHECK(received);
    CHECK_EQ(atomic_load(&host.violations), 1);
    net_close(&client);
    end_child(&second, &host);
    end_host(&host);
}

/* A predecessor that had only a part of a large request. */
TEST(a_request_that_was_half_taken_is_answered) {
    reactor_host host;
    make_bus(&host, 16384);
    start_reactor(&host);
    echoer first = { 0 }, second;
    open_echoer(&first, &host);
    net_client client = connect_client(&host);
    static char request[40000] = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n";
    size_t head = strlen(request);
    memset(request + head, 'b', 30000);
    net_send(&client, request, head + 30000);
    /* The ring is full, and the reactor waits for room: that is half of it. */
    cre__ring_control *ring = cre__bus_ring(host.bus, 0, 1);
    NET_UNTIL(NULL, atomic_load(&ring->producer_waits));
    cre__loop_turn(first.loop, false);
    CHECK(atomic_load(&ring->taken) > 0);
    CHECK_EQ(first.events[CRE_EVENT_REQUEST], 0);
    close_echoer(&first);
    start_thread(&second, &host);
    CHECK_EQ(net_response(&client, NULL, 0, false), 500);
    net_send_text(&client, GET("/ok"));
    CHECK_EQ(net_response(&client, NULL, 0, false), 200);
    stop_thread(&second);
    CHECK_EQ(second.events[CRE_EVENT_REQUEST], 1);
    net_close(&client);
    end_host(&host);
}

TEST_MAIN()
