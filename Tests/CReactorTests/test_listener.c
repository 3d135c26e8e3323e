/* Binding: addresses, options, the files of Unix sockets, several ports. */
#include "net.h"

#include <sys/stat.h>
#include <sys/un.h>

static int echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_RECEIVE)
        cre_engine_send(net->engine, event->session, payload, event->length);
    if (event->kind == CRE_EVENT_MESSAGE)
        cre_engine_push(net->engine, event->session, event->opcode, payload, event->length);
    return 0;
}

static net_client connect_unix(net_server *net, const char *path) {
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    REQUIRE(descriptor >= 0);
    REQUIRE(connect(descriptor, (struct sockaddr *)&at, sizeof at) == 0);
    return (net_client){ .net = net, .descriptor = descriptor };
}

static int option(int descriptor, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    CHECK_EQ(getsockopt(descriptor, level, name, &value, &size), 0);
    return value;
}

TEST(several_ports_each_with_its_protocol) {
    const cre_framing_config semicolons = {
        .size = sizeof semicolons, .kind = CRE_FRAMING_MARKER_SPLIT, .marker = ";", .marker_length = 1
    };
    cre_port_options ports[] = {
        { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_WEBSOCKET },
        { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_STREAM },
        { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_STREAM, .framing = &semicolons },
        { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_HTTP, .max_body = 1000 },
    };
    net_server *net = net_start((cre_engine_config){ .ports = ports, .port_count = 4 }, echo);
    uint16_t numbers[4] = { net->port };
    for (int i = 1; i < 4; i++)
        REQUIRE(cre_engine_listen(
                    net->engine,
                    &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" },
                    &numbers[i]) == 0);
    net_client web = net_ws_connect(net);
    net_ws_text(&web, "hello");
    net_ws_expect_text(&web, "hello");
    CHECK_EQ(cre_record_port(&net_expect_event(net, CRE_EVENT_OPEN)->record), 0);
    net_expect_event(net, CRE_EVENT_MESSAGE);
    net_client raw = net_connect_to(net, numbers[1]);
    net_send_text(&raw, "a;b;");
    CHECK(net_await(&raw, 4));
    CHECK_EQ(cre_record_port(&net_expect_event(net, CRE_EVENT_CONNECT)->record), 1);
    CHECK_EQ(net_expect_event(net, CRE_EVENT_RECEIVE)->record.length, 4);
    net_client framed = net_connect_to(net, numbers[2]);
    net_send_text(&framed, "a;b;");
    CHECK(net_await(&framed, 4));
    CHECK_EQ(cre_record_port(&net_expect_event(net, CRE_EVENT_CONNECT)->record), 2);
    for (int i = 0; i < 2; i++) {
        const net_event *packet = net_expect_event(net, CRE_EVENT_RECEIVE);
        CHECK_EQ(packet->record.length, 2);
        CHECK_EQ(cre_record_port(&packet->record), 2);
    }
    /* A port for HTTP only takes the offer of an upgrade for what it is: an offer. */
    net_client http = net_connect_to(net, numbers[3]);
    net_send_text(&http, NET_UPGRADE);
    const net_event *request = net_expect_event(net, CRE_EVENT_REQUEST);
    CHECK_EQ(cre_engine_respond(net->engine, request->record.session, 200, NULL, "page", 4), 0);
    char body[16];
    CHECK_EQ(net_response(&http, body, sizeof body, false), 200);
    net_send_text(&http, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n");
    CHECK_EQ(net_response(&http, body, 0, false), 413);
    net_client *all[] = { &web, &raw, &framed, &http };
    for (int i = 0; i < 4; i++)
        net_close(all[i]);
    net_stop(net);
}

TEST(ipv6) {
    cre_port_options port = { .size = sizeof port, .protocol = CRE_PROTOCOL_STREAM };
    net_server *net = net_start((cre_engine_config){ .ports = &port, .port_count = 1 }, echo);
    uint16_t number;
    REQUIRE(cre_engine_listen(net->engine,
                              &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "::" },
                              &number) == 0);
    struct sockaddr_in6 at = { .sin6_family = AF_INET6,
                               .sin6_port = htons(number),
                               .sin6_addr = in6addr_loopback };
    int descriptor = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(connect(descriptor, (struct sockaddr *)&at, sizeof at) == 0);
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    net_client client = { .net = net, .descriptor = descriptor };
    net_send_text(&client, NET_UPGRADE); /* behind the table: a WebSocket */
    net_upgraded(&client);
    cre_connection_info info;
    CHECK(cre_table_get_info(cre_engine_table(net->engine),
                             net_expect_event(net, CRE_EVENT_OPEN)->record.session, &info, sizeof info));
    CHECK_EQ(info.family, AF_INET6);
    CHECK_EQ(info.port, 1);
    CHECK_MEM(info.remote_address, &in6addr_loopback, 16);
    net_close(&client);
    net_stop(net);
}

/* "::" leaves the port of IPv4 free. Another program may have it, so it is tried with several. */
TEST(ipv6_and_ipv4) {
    bool both = false;
    for (int attempt = 0; attempt < 10 && !both; attempt++) {
        cre_listen_options options = { .size = sizeof options, .host = "::" };
        uint16_t number;
        int six = cre_listen(&options, &number);
        REQUIRE(six >= 0);
        options.host = "0.0.0.0";
        options.port = number;
        int four = cre_listen(&options, NULL);
        both = four >= 0;
        if (both) close(four);
        close(six);
    }
    CHECK(both);
}

TEST(unix_sockets) {
    char host[64], *path = host + 5;
    snprintf(host, sizeof host, "unix:/tmp/cre-unix-%d", (int)getpid());
    cre_port_options ports[] = { { .size = sizeof(cre_port_options) },
                                 { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_STREAM } };
    net_server *net = net_start((cre_engine_config){ .ports = ports, .port_count = 2 }, echo);
    uint16_t number = 9;
    REQUIRE(cre_engine_listen(net->engine,
                              &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = host },
                              &number) == 0);
    CHECK_EQ(number, 0);
    struct stat info;
    REQUIRE(stat(path, &info) == 0);
    CHECK_EQ(info.st_mode & 0777, 0600);
    net_client client = connect_unix(net, path);
    net_send_text(&client, "hello");
    CHECK(net_await(&client, 5));
    /* It is served: nobody may take it. */
    CHECK_EQ(cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = host }, NULL),
             -EADDRINUSE);
    CHECK_EQ(cre_listen(
                 &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = host, .datagram = true },
                 NULL),
             -EADDRINUSE);
    net_close(&client);
    net_stop(net);
    CHECK(access(path, F_OK) != 0);
    /* One that died left its file. */
    mode_t before = umask(0077);
    int first = cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = host }, NULL);
    REQUIRE(first >= 0);
    close(first);
    CHECK(access(path, F_OK) == 0);
    int second = cre_listen(
        &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = host, .permissions = 0666 }, NULL);
    REQUIRE(second >= 0);
    umask(before);
    REQUIRE(stat(path, &info) == 0);
    CHECK_EQ(info.st_mode & 0777, 0666);
    cre_listen_remove(second);
    close(second);
    CHECK(access(path, F_OK) != 0);
    /* What is not a socket is left alone. */
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    fclose(file);
    CHECK_EQ(cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = host }, NULL),
             -ENOTSOCK);
    CHECK(access(path, F_OK) == 0);
    unlink(path);
    /* A name without a file. */
    host[5] = '@';
    int abstract =
        cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = host }, NULL);
    CHECK(abstract >= 0);
    CHECK_EQ(cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = host }, NULL),
             -EADDRINUSE);
    close(abstract);
}

TEST(addresses_that_cannot_be) {
    char host[200] = "unix:/";
    CHECK_EQ(
        cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "localhost" }, NULL),
        CRE_EINVALID);
    CHECK_EQ(
        cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "1.2.3.4.5" }, NULL),
        CRE_EINVALID);
    CHECK_EQ(cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "unix:" }, NULL),
             CRE_EINVALID);
    CHECK_EQ(
        cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "192.0.2.1" }, NULL),
        -EADDRNOTAVAIL);
    CHECK_EQ(cre_listen(
                 &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "unix:/no/such/folder" },
                 NULL),
             -ENOENT);
    memset(host + 6, 'x', 150);
    CHECK_EQ(cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = host }, NULL),
             -ENAMETOOLONG);
    uint16_t port;
    int first =
        cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" }, &port);
    REQUIRE(first >= 0);
    CHECK_EQ(
        cre_listen(
            &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1", .port = port },
            NULL),
        -EADDRINUSE);
    close(first);
    first = cre_listen(
        &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1", .datagram = true },
        &port);
    REQUIRE(first >= 0);
    CHECK_EQ(cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options),
                                               .host = "127.0.0.1",
                                               .port = port,
                                               .datagram = true },
                        NULL),
             -EADDRINUSE);
    close(first);
    cre_address address;
    CHECK_EQ(cre_address_parse("fe80::1%lo", 1, &address), 0);
    CHECK(address.scope > 0);
    CHECK_EQ(cre_address_parse("fe80::1%nothing", 1, &address), CRE_EINVALID);
}

TEST(options_reach_the_connections) {
    cre_port_options ports[] = {
        { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_STREAM },
        { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_STREAM, .nagle = true }
    };
    net_server *net = net_start((cre_engine_config){ .ports = ports, .port_count = 2 }, echo);
    uint16_t number;
    cre_listen_options options = { .size = sizeof options,
                                   .host = "127.0.0.1",
                                   .keep_alive = true,
                                   .keep_idle_s = 33,
                                   .keep_interval_s = 7,
                                   .keep_count = 3,
                                   .fast_open = 16,
                                   .receive_buffer = 100000,
                                   .send_buffer = 50000 };
    REQUIRE(cre_engine_listen(net->engine, &options, &number) == 0);
    net_client plain = net_connect(net);
    int descriptors[2];
    for (int i = 0; i < 2; i++) {
        net_client client = i ? net_connect_to(net, number) : plain;
        cre_session session = net_expect_event(net, CRE_EVENT_CONNECT)->record.session;
        descriptors[i] = cre__engine_find(net->engine, session)->transport.descriptor;
        CHECK_EQ(option(descriptors[i], IPPROTO_TCP, TCP_NODELAY) != 0, i == 0);
        CHECK_EQ(option(descriptors[i], SOL_SOCKET, SO_KEEPALIVE), i);
        if (i) {
            CHECK_EQ(option(descriptors[i], IPPROTO_TCP, TCP_KEEPIDLE), 33);
            CHECK_EQ(option(descriptors[i], IPPROTO_TCP, TCP_KEEPINTVL), 7);
            CHECK_EQ(option(descriptors[i], IPPROTO_TCP, TCP_KEEPCNT), 3);
            CHECK_EQ(option(descriptors[i], SOL_SOCKET, SO_RCVBUF), 200000);
            CHECK_EQ(option(descriptors[i], SOL_SOCKET, SO_SNDBUF), 100000);
        }
        net_close(&client);
        net_expect_event(net, CRE_EVENT_CLOSE);
    }
    net_stop(net);
}

TEST(a_connection_may_have_to_speak_first) {
    cre_port_options port = { .size = sizeof port, .protocol = CRE_PROTOCOL_STREAM };
    net_server *net = net_start((cre_engine_config){ .ports = &port, .port_count = 1 }, echo);
    uint16_t number;
    cre_listen_options options = {
        .size = sizeof options, .host = "127.0.0.1", .defer_accept_s = 30, .fast_open = 16
    };
    int listener = cre_listen(&options, &number);
    REQUIRE(listener >= 0);
    CHECK(option(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT) >=
          30); /* rounded up to what fits retransmissions */
    CHECK_EQ(option(listener, IPPROTO_TCP, TCP_FASTOPEN), 16);
    REQUIRE(cre_engine_serve(net->engine, listener, 0) == 0);
    net_client client = net_connect_to(net, number); /* as far as it can see */
    net_settle(net);
    CHECK_EQ(net->count, 0);
    net_send_text(&client, "first");
    CHECK(net_await(&client, 5));
    net_expect_event(net, CRE_EVENT_CONNECT);
    net_expect_event(net, CRE_EVENT_RECEIVE);
    net_close(&client);
    /* Its first bytes may come with the SYN, where the system allows that. */
    int early = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(number),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    REQUIRE(early >= 0);
    CHECK_EQ(sendto(early, "early", 5, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&at, sizeof at), 5);
    fcntl(early, F_SETFL, O_NONBLOCK);
    client = (net_client){ .net = net, .descriptor = early };
    CHECK(net_await(&client, 5));
    net_close(&client);
    net_stop(net);
}

TEST(a_socket_from_elsewhere) {
    cre_port_options port = { .size = sizeof port, .protocol = CRE_PROTOCOL_STREAM };
    net_server *net = net_start((cre_engine_config){ .ports = &port, .port_count = 1 }, echo);
    int inherited = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    REQUIRE(bind(inherited, (struct sockaddr *)&at, sizeof at) == 0);
    uint16_t number = 0;
    CHECK_EQ(cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options),
                                               .descriptor = inherited,
                                               .datagram = true },
                        NULL),
             -EPROTOTYPE);
    CHECK_EQ(cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .descriptor = inherited },
                        &number),
             inherited);
    CHECK(number > 0);
    CHECK(fcntl(inherited, F_GETFD) & FD_CLOEXEC);
    REQUIRE(cre_engine_serve(net->engine, inherited, 0) == 0);
    net_client client = net_connect_to(net, number);
    net_send_text(&client, "hello");
    CHECK(net_await(&client, 5));
    net_close(&client);
    CHECK_EQ(cre_engine_serve(net->engine, 0, CRE_MAX_PORTS), CRE_EINVALID);
    CHECK_EQ(
        cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .descriptor = 1000 }, NULL),
        -EBADF);
    net_stop(net);
}

/* ---- several sockets on one port ---- */

enum { SEVERAL = 3, VISITORS = 60 };

static int connect_to(const char *host, uint16_t port, int type) {
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
                               .sin6_port = htons(port),
                               .sin6_addr = in6addr_loopback };
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool is_v6 = strchr(host, ':') != NULL;
    int descriptor = socket(is_v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);
    REQUIRE(descriptor >= 0);
    int result = is_v6 ? connect(descriptor, (struct sockaddr *)&v6, sizeof v6)
                       : connect(descriptor, (struct sockaddr *)&v4, sizeof v4);
    REQUIRE(result == 0);
    if (type == SOCK_DGRAM) CHECK_EQ(send(descriptor, "x", 1, 0), 1);
    return descriptor;
}

/* The connections or datagrams that have reached a socket. */
static int received(int descriptor, bool datagram) {
    char byte;
    for (int count = 0;; count++) {
        int got =
            datagram ? (int)recv(descriptor, &byte, 1, 0) : accept4(descriptor, NULL, NULL, SOCK_CLOEXEC);
        if (got < 0) return count;
        if (!datagram) close(got);
    }
}

static void expect_no_share(const char *host, bool datagram) {
    cre_listen_options options = { .size = sizeof options, .host = host, .datagram = datagram };
    int sockets[SEVERAL], visitors[VISITORS], intruder, all = 0;
    REQUIRE(cre_listen_several(&options, sockets, SEVERAL, &options.port) == 0);
    int before = net_descriptors();
    CHECK_EQ(cre_listen(&options, NULL), -EADDRINUSE);
    int others[SEVERAL];
    CHECK_EQ(cre_listen_several(&options, others, SEVERAL, NULL), -EADDRINUSE);
    CHECK_EQ(net_descriptors(), before);
    /* The system lets the same user bind the port; but nothing gets there. */
    options.reuse_port = true;
    intruder = cre_listen(&options, NULL);
    CHECK(intruder >= 0);
    int type = datagram ? SOCK_DGRAM : SOCK_STREAM;
    for (int i = 0; i < VISITORS; i++)
        visitors[i] = connect_to(host, options.port, type);
    for (int i = 0; i < SEVERAL; i++) {
        int count = received(sockets[i], datagram);
        CHECK(count > 0);
        all += count;
    }
    CHECK_EQ(all, VISITORS);
    CHECK_EQ(received(intruder, datagram), 0);
    for (int i = 0; i < VISITORS; i++)
        close(visitors[i]);
    for (int i = 0; i < SEVERAL; i++)
        close(sockets[i]);
    close(intruder);
}

TEST(a_port_of_several_sockets_is_not_shared_with_others) {
    expect_no_share("127.0.0.1", false);
    expect_no_share("127.0.0.1", true);
    expect_no_share("0.0.0.0", false);
    expect_no_share("::", false);
    expect_no_share("::", true);
}

TEST(a_port_is_shared_on_request) {
    cre_listen_options options = { .size = sizeof options, .host = "127.0.0.1", .reuse_port = true };
    int sockets[SEVERAL], visitors[VISITORS], all = 0;
    REQUIRE(cre_listen_several(&options, sockets, SEVERAL, &options.port) == 0);
    int other = cre_listen(&options, NULL);
    REQUIRE(other >= 0);
    for (int i = 0; i < VISITORS; i++)
        visitors[i] = connect_to(options.host, options.port, SOCK_STREAM);
    for (int i = 0; i < SEVERAL; i++)
        all += received(sockets[i], false);
    int others = received(other, false);
    CHECK(others > 0);
    CHECK_EQ(all + others, VISITORS);
    for (int i = 0; i < VISITORS; i++)
        close(visitors[i]);
    for (int i = 0; i < SEVERAL; i++)
        close(sockets[i]);
    close(other);
}

TEST(several_sockets_need_a_port) {
    int sockets[2], before = net_descriptors();
    cre_listen_options options = { .size = sizeof options, .host = "unix:/tmp/never" };
    CHECK_EQ(cre_listen_several(&options, sockets, 2, NULL), CRE_EINVALID);
    options = (cre_listen_options){ .size = sizeof options, .host = "127.0.0.1", .descriptor = 3 };
    CHECK_EQ(cre_listen_several(&options, sockets, 2, NULL), CRE_EINVALID);
    options = (cre_listen_options){ .size = sizeof options, .host = "127.0.0.1" };
    CHECK_EQ(cre_listen_several(&options, sockets, 0, NULL), CRE_EINVALID);
    CHECK_EQ(net_descriptors(), before);
}

TEST_MAIN()
