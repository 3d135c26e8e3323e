/* UDP and Unix datagrams on real sockets. */
#include "net.h"

#include "net/sockaddr.h"

static int echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind != CRE_EVENT_PACKET) return 0;
    const cre_address *from = (const cre_address *)(const void *)payload;
    CHECK_EQ((uintptr_t)payload % 8, 0);
    if (from->length)
        CHECK_EQ(cre_engine_send_to(net->engine, cre_record_port(event), from, payload + sizeof *from,
                                    event->length - sizeof *from),
                 0);
    return 0;
}

static net_server *start(uint16_t workers) {
    cre_port_options ports[] = { { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_WEBSOCKET },
                                 { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_DATAGRAM } };
    return net_start((cre_engine_config){ .ports = ports, .port_count = 2, .worker_count = workers }, echo);
}

static int bound(int family, const char *host) {
    int descriptor = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    REQUIRE(descriptor >= 0);
    cre_address address;
    cre__sockaddr at;
    REQUIRE(cre_address_parse(host, 0, &address) == 0);
    socklen_t size = cre__address_to_system(&address, &at);
    REQUIRE(bind(descriptor, &at.any, size) == 0);
    return descriptor;
}

static void aim(int descriptor, const char *host, uint16_t port) {
    cre_address address;
    cre__sockaddr at;
    REQUIRE(cre_address_parse(host, port, &address) == 0);
    socklen_t size = cre__address_to_system(&address, &at);
    REQUIRE(connect(descriptor, &at.any, size) == 0);
}

static ssize_t take(net_server *net, int descriptor, void *out, size_t capacity) {
    struct pollfd polled = { .fd = descriptor, .events = POLLIN };
    NET_UNTIL(net, poll(&polled, 1, 0) > 0);
    return recv(descriptor, out, capacity, MSG_DONTWAIT);
}

TEST(datagrams_come_back_to_their_sender) {
    static const char *const hosts[] = { "127.0.0.1", "::1" };
    for (int i = 0; i < 2; i++) {
        net_server *net = start(1);
        uint16_t port;
        REQUIRE(
            cre_engine_listen(net->engine,
                              &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = hosts[i] },
                              &port) == 0);
        CHECK(port > 0);
        int client = bound(i ? AF_INET6 : AF_INET, hosts[i]);
        aim(client, hosts[i], port);
        static uint8_t large[60000], answer[65536];
        for (size_t n = 0; n < sizeof large; n++)
            large[n] = (uint8_t)(n * 3 + (n >> 8));
        const size_t sizes[] = { 1, 0, 1400, sizeof large };
        for (size_t n = 0; n < 4; n++) {
            REQUIRE(send(client, large, sizes[n], 0) == (ssize_t)sizes[n]);
            CHECK_EQ(take(net, client, answer, sizeof answer), sizes[n]);
            CHECK_MEM(answer, large, sizes[n]);
            const net_event *packet = net_expect_event(net, CRE_EVENT_PACKET);
            CHECK_EQ(cre_record_port(&packet->record), 1);
            CHECK_EQ(packet->record.session, 0);
        }
        cre_address from;
        char text[64];
        memcpy(&from, net->events[0].payload, sizeof from);
        CHECK_EQ(cre_address_text(&from, text, sizeof text), strlen(hosts[i]));
        CHECK_STR(text, hosts[i]);
        close(client);
        net_stop(net);
    }
}

TEST(many_at_once_all_arrive_in_order) {
    net_server *net = start(1);
    uint16_t port;
    REQUIRE(cre_engine_listen(
                net->engine, &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" },
                &port) == 0);
    int client = bound(AF_INET, "127.0.0.1");
    aim(client, "127.0.0.1", port);
    for (uint32_t i = 0; i < 100; i++)
        REQUIRE(send(client, &i, sizeof i, 0) == sizeof i);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t number;
        CHECK_EQ(take(net, client, &number, sizeof number), sizeof number);
        CHECK_EQ(number, i);
    }
    close(client);
    net_stop(net);
}

TEST(each_sender_has_its_worker) {
    net_server *net = start(4);
    uint16_t port;
    REQUIRE(cre_engine_listen(
                net->engine, &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" },
                &port) == 0);
    unsigned seen = 0;
    for (int i = 0; i < 40; i++) {
        int client = bound(AF_INET, "127.0.0.1"), worker = -1;
        aim(client, "127.0.0.1", port);
        for (int n = 0; n < 3; n++) {
            REQUIRE(send(client, "x", 1, 0) == 1);
            const net_event *packet = net_expect_event(net, CRE_EVENT_PACKET);
            cre_address from;
            memcpy(&from, packet->payload, sizeof from);
            if (worker >= 0) CHECK_EQ(from.worker, worker);
            worker = from.worker;
        }
        CHECK(worker >= 0 && worker < 4);
        seen |= 1u << worker;
        close(client);
    }
    CHECK_EQ(seen, 15);
    net_stop(net);
}

TEST(unix_datagrams) {
    char path[64], own[72];
    snprintf(path, sizeof path, "unix:/tmp/cre-dgram-%d", (int)getpid());
    snprintf(own, sizeof own, "%s-client", path);
    net_server *net = start(1);
    REQUIRE(cre_engine_listen(net->engine,
                              &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = path },
                              NULL) == 0);
    int client = bound(AF_UNIX, own);
    aim(client, path, 0);
    char answer[16];
    REQUIRE(send(client, "hello", 5, 0) == 5);
    CHECK_EQ(take(net, client, answer, sizeof answer), 5);
    close(client);
    unlink(own + 5);
    /* Packets of a sender without a name are delivered, and cannot be answered. */
    client = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    aim(client, path, 0);
    REQUIRE(send(client, "anonymous", 9, 0) == 9);
    net_expect_event(net, CRE_EVENT_PACKET);
    const net_event *packet = net_expect_event(net, CRE_EVENT_PACKET);
    cre_address from;
    memcpy(&from, packet->payload, sizeof from);
    CHECK_EQ(from.family, AF_UNIX);
    CHECK_EQ(from.length, 0);
    CHECK_EQ(cre_engine_send_to(net->engine, 1, &from, "x", 1), CRE_EINVALID);
    close(client);
    net_stop(net);
    CHECK(access(path + 5, F_OK) != 0);
}

TEST(what_cannot_be_sent_is_said) {
    net_server *net = start(1);
    cre_address to;
    REQUIRE(cre_address_parse("127.0.0.1", 9, &to) == 0);
    CHECK_EQ(cre_engine_send_to(net->engine, 1, &to, "x", 1), CRE_EGONE);
    uint16_t port;
    REQUIRE(cre_engine_listen(
                net->engine, &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" },
                &port) == 0);
    static const uint8_t large[70000];
    CHECK_EQ(cre_engine_send_to(net->engine, 1, &to, large, sizeof large), -EMSGSIZE);
    CHECK_EQ(cre_engine_send_to(net->engine, 0, &to, "x", 1), CRE_EGONE);
    to.length = 5;
    CHECK_EQ(cre_engine_send_to(net->engine, 1, &to, "x", 1), CRE_EINVALID);
    cre_record record = { .kind = CRE_COMMAND_SENDTO, .flags = cre_record_port_flags(1) };
    cre_slice part = { (const uint8_t *)&to, sizeof to - 1 };
    CHECK_EQ(cre_engine_command(net->engine, &record, &part, 1), CRE_EINVALID);
    /* A refusal from elsewhere (nobody listens there) does not disturb the socket. */
    REQUIRE(cre_address_parse("127.0.0.1", 1, &to) == 0);
    CHECK_EQ(cre_engine_send_to(net->engine, 1, &to, "x", 1), 0);
    int client = bound(AF_INET, "127.0.0.1");
    aim(client, "127.0.0.1", port);
    char answer[4];
    REQUIRE(send(client, "on", 2, 0) == 2);
    CHECK_EQ(take(net, client, answer, sizeof answer), 2);
    /* It stops receiving; what is sent still goes out. */
    cre_engine_stop_listening(net->engine);
    net_forget(net);
    REQUIRE(send(client, "on", 2, 0) == 2);
    net_settle(net);
    CHECK_EQ(net->count, 0);
    close(client);
    net_stop(net);
}

TEST_MAIN()
