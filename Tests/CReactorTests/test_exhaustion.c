/* Servers without free descriptors or without memory: whom they refuse, and what they report. */
#include <sys/resource.h>

#include "both.h"

static struct rlimit limit_before;

/* From here on no descriptor can be opened. */
static void exhaust_descriptors(void) {
    int lowest = fcntl(0, F_DUPFD_CLOEXEC, 0);
    REQUIRE(lowest >= 0);
    close(lowest);
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit_before) == 0);
    struct rlimit now = { .rlim_cur = (rlim_t)lowest, .rlim_max = limit_before.rlim_max };
    REQUIRE(setrlimit(RLIMIT_NOFILE, &now) == 0);
    CHECK_EQ(fcntl(0, F_DUPFD_CLOEXEC, 0), -1);
}

static void restore_descriptors(void) {
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit_before) == 0);
}

static int make_socket(void) {
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(descriptor >= 0);
    return descriptor;
}

static net_client connect_socket(net_server *net, int descriptor) {
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(net->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    REQUIRE(connect(descriptor, (struct sockaddr *)&at, sizeof at) == 0);
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    return (net_client){ .net = net, .descriptor = descriptor };
}

static int echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_MESSAGE)
        cre_engine_push(net->engine, event->session, event->opcode, payload, event->length);
    return 0;
}

TEST(connections_beyond_the_descriptor_limit_are_refused_at_once) {
    enum { REFUSED = 20 };
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    net_client open = net_ws_connect(net);
    int sockets[REFUSED];
    for (int i = 0; i < REFUSED; i++)
        sockets[i] = make_socket();
    exhaust_descriptors();
    for (int i = 0; i < REFUSED; i++) {
        net_client client = connect_socket(net, sockets[i]);
        CHECK(net_await_end(&client));
        CHECK_EQ(client.length, 0);
        free(client.data);
    }
    CHECK_EQ(net_stats(net).refused, REFUSED);
    CHECK_EQ(net_stats(net).out_of_descriptors, REFUSED);
    CHECK_EQ(net_stats(net).out_of_memory, 0);
    CHECK_EQ(net_stats(net).accept_pauses, 0);
    net_ws_text(&open, "still");
    net_ws_expect_text(&open, "still");
    restore_descriptors();
    net_client next = net_ws_connect(net);
    net_ws_text(&next, "next");
    net_ws_expect_text(&next, "next");
    for (int i = 0; i < REFUSED; i++)
        close(sockets[i]);
    net_close(&open);
    net_close(&next);
    net_stop(net);
}

/* The reserve was lost to somebody else: connections wait, and are served when there are descriptors again.
 */
TEST(without_a_reserve_connections_wait) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    struct rlimit none = { 0 };
    int first = make_socket(), second = make_socket();
    exhaust_descriptors();
    none.rlim_max = limit_before.rlim_max;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0); /* the reserve cannot be opened again, nor used */
    net_client waiting = connect_socket(net, first);
    NET_UNTIL(net, net_stats(net).accept_pauses > 0);
    CHECK_EQ(net_stats(net).refused, 0);
    CHECK(!net_pull(&waiting));
    restore_descriptors();
    net_send_text(&waiting, NET_UPGRADE);
    net_upgraded(&waiting);
    /* And it has a reserve again. */
    exhaust_descriptors();
    net_client refused = connect_socket(net, second);
    CHECK(net_await_end(&refused));
    CHECK_EQ(net_stats(net).out_of_descriptors, 1);
    restore_descriptors();
    net_close(&waiting);
    net_close(&refused);
    net_stop(net);
}

TEST(connections_without_memory_are_refused_and_counted) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    net_client refused = net_connect(net);
    atomic_store(&test_fail_at, 1);
    CHECK(net_await_end(&refused));
    CHECK_EQ(net_stats(net).refused, 1);
    CHECK_EQ(net_stats(net).out_of_memory, 1);
    CHECK_EQ(net_stats(net).out_of_descriptors, 0);
    net_close(&refused);
    net_stop(net);
}

/* What the wire reports as 1011 has its own cause, also when the owner completes the close. */
TEST_BOTH(a_message_without_memory_ends_with_its_own_cause) {
    for (int half_open = 0; half_open < 2; half_open++) {
        net_server *net = net_start((cre_engine_config){ .half_open = half_open }, echo);
        net_client client = net_ws_connect(net);
        cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
        net_ws_send(&client, CRE_WS_TEXT, "begin", 5);
        net_settle(net);
        test_fail_span = 1000;
        static uint8_t rest[200000];
        size_t size;
        uint8_t *frame = net_frame(CRE_WS_FIN, rest, sizeof rest, &size);
        atomic_store(&test_fail_at, 1);
        net_send(&client, frame, size / 2);
        NET_UNTIL(net, net->seen < net->count || client.eof);
        atomic_store(&test_fail_at, 0);
        test_fail_span = 1;
        free(frame);
        if (half_open) {
            net_expect_event(net, CRE_EVENT_END);
            CHECK_EQ(cre_engine_close(net->engine, session, 0, NULL), 0);
        }
        cre_closed closed = net_closed(net_next(net));
        CHECK_EQ(closed.reason, CRE_CLOSED_NOMEM);
        CHECK_EQ(closed.code, 1011);
        CHECK_EQ(closed.error, CRE_ENOMEM);
        net_close(&client);
        net_stop(net);
    }
}

TEST_MAIN()
