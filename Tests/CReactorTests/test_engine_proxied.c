/* Ports with the PROXY protocol. */
#include "both.h"

#define HEADER "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"

static const uint8_t binary[] = "\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\1"
                                "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xDC\x04\x01\xBB";
static const uint8_t local[] = "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

static const cre_address_range loopback = { .family = AF_INET, .prefix = 8, .bytes = { 127 } };
static const cre_address_range others = { .family = AF_INET, .prefix = 12, .bytes = { 127, 0x10 } };

static int echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_RECEIVE)
        cre_engine_send(net->engine, event->session, payload, event->length);
    return 0;
}

static net_server *start(const cre_address_range *from, cre_engine_config config) {
    cre_port_options port = {
        .size = sizeof port, .protocol = CRE_PROTOCOL_STREAM, .proxies = from, .proxy_count = 1
    };
    config.ports = &port;
    config.port_count = 1;
    return net_start(config, echo);
}

/* A client behind a proxy: TLS begins behind the header. */
static net_client connect_plain(net_server *net) {
    const net_layer *layer = net_layer_now;
    net_layer_now = NULL;
    net_client client = net_connect(net);
    net_layer_now = layer;
    return client;
}

static void begin_layer(net_client *client) {
    client->layer = net_layer_now;
    if (client->layer) client->layer->open(client);
}

static net_client connect_by(net_server *net, const void *header, size_t length) {
    net_client client = connect_plain(net);
    net_send(&client, header, length);
    begin_layer(&client);
    return client;
}

static void expect_remote(net_server *net, const char *address, int port) {
    cre_connection_info info = { 0 };
    cre_address at = { 0 };
    char text[64];
    cre_session session = net_expect_event(net, CRE_EVENT_CONNECT)->record.session;
    CHECK(cre_table_get_info(cre_engine_table(net->engine), session, &info, sizeof info));
    at.family = info.family;
    at.length = info.family == AF_INET ? 4 : 16;
    memcpy(at.bytes, info.remote_address, at.length);
    cre_address_text(&at, text, sizeof text);
    CHECK_STR(text, address);
    if (port >= 0) CHECK_EQ(info.remote_port, port);
}

static void expect_echo(net_client *client) {
    net_send_text(client, "hello");
    CHECK(net_await(client, 5));
    if (client->length >= 5) {
        CHECK_MEM(client->data, "hello", 5);
        net_take(client, 5);
    }
}

TEST_BOTH(the_header_names_the_client) {
    net_server *net = start(&loopback, (cre_engine_config){ 0 });
    net_client line = connect_by(net, HEADER, sizeof HEADER - 1);
    expect_remote(net, "192.0.2.1", 56324);
    net_client six = connect_by(net, binary, sizeof binary - 1);
    expect_remote(net, "2001:db8::1", 56324);
    /* A proxy's own connection */
    net_client probe = connect_by(net, local, sizeof local - 1);
    expect_remote(net, "127.0.0.1", -1);
    expect_echo(&line);
    expect_echo(&six);
    expect_echo(&probe);
    CHECK_EQ(net_stats(net).accepted, 3);
    CHECK_EQ(net_stats(net).refused, 0);
    net_close(&line);
    net_close(&six);
    net_close(&probe);
    net_stop(net);
}

TEST_BOTH(a_header_arrives_byte_by_byte) {
    net_server *net = start(&loopback, (cre_engine_config){ 0 });
    net_client client = connect_plain(net);
    for (size_t i = 0; i < sizeof binary - 1; i++) {
        CHECK_EQ(net->count, 0);
        net_send(&client, binary + i, 1);
        net_rest(net, -1);
    }
    begin_layer(&client);
    expect_remote(net, "2001:db8::1", 56324);
    expect_echo(&client);
    net_close(&client);
    net_stop(net);
}

/* What is sent with the header belongs to the protocol of the port. */
TEST(bytes_behind_the_header_are_served) {
    net_server *net = start(&loopback, (cre_engine_config){ 0 });
    net_client client = net_connect(net);
    net_send_text(&client, HEADER "hello");
    CHECK(net_await(&client, 5));
    CHECK_MEM(client.data, "hello", 5);
    expect_remote(net, "192.0.2.1", 56324);
    net_close(&client);
    net_stop(net);
}

TEST(other_sources_are_refused) {
    net_server *net = start(&others, (cre_engine_config){ 0 });
    net_client client = net_connect(net);
    net_send_text(&client, HEADER);
    net_await_end(&client);
    CHECK_EQ(net_stats(net).proxies_refused, 1);
    CHECK_EQ(net_stats(net).refused, 1);
    CHECK_EQ(net_stats(net).accepted, 0);
    CHECK_EQ(net->count, 0);
    net_close(&client);
    net_stop(net);
}

TEST(connections_without_a_header_are_closed) {
    net_server *net = start(&loopback, (cre_engine_config){ 0 });
    net_client client = net_connect(net);
    net_send_text(&client, "GET / HTTP/1.1\r\n\r\n");
    net_await_end(&client);
    net_close(&client);
    CHECK_EQ(net_stats(net).proxy_headers_invalid, 1);
    /* One that ends within its header */
    client = net_connect(net);
    net_send_text(&client, "PROXY TCP4 ");
    net_settle(net);
    net_close(&client);
    NET_UNTIL(net, net_stats(net).proxy_headers_invalid == 2);
    CHECK_EQ(net_stats(net).refused, 2);
    /* A probe that sends nothing */
    client = net_connect(net);
    NET_UNTIL(net, net->engine->proxied_count == 1);
    net_close(&client);
    NET_UNTIL(net, net->engine->proxied_count == 0);
    CHECK_EQ(net_stats(net).refused, 2);
    net_stop(net);
    /* One that is too slow */
    net = start(&loopback, (cre_engine_config){ .head_timeout_ms = 1 });
    client = net_connect(net);
    net_await_end(&client);
    CHECK_EQ(net_stats(net).proxy_headers_invalid, 1);
    CHECK_EQ(net->count, 0);
    net_close(&client);
    net_stop(net);
}

TEST(limits_are_those_of_the_client) {
    net_server *net = start(&loopback, (cre_engine_config){ .max_per_address = 1 });
    net_client first = connect_by(net, HEADER, sizeof HEADER - 1);
    expect_remote(net, "192.0.2.1", 56324);
    net_client second = connect_by(net, binary, sizeof binary - 1);
    expect_remote(net, "2001:db8::1", 56324);
    net_client third = connect_by(net, HEADER, sizeof HEADER - 1);
    net_await_end(&third);
    CHECK_EQ(net_stats(net).refused, 1);
    net_close(&first);
    NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 1);
    net_client fourth = connect_by(net, HEADER, sizeof HEADER - 1);
    expect_echo(&fourth);
    net_close(&second);
    net_close(&third);
    net_close(&fourth);
    net_stop(net);
}

/* An address that another process has overwritten in the table is restored as the header has named it. */
TEST(the_address_is_restored) {
    net_server *net = start(&loopback, (cre_engine_config){ 0 });
    net_client client = connect_by(net, HEADER, sizeof HEADER - 1);
    cre_session session = net_expect_event(net, CRE_EVENT_CONNECT)->record.session;
    cre_table *table = cre_engine_table(net->engine);
    cre__slot *slot = &cre__table_slots(table)[cre__table_index(table, session)];
    cre_connection_info info;
    memset((void *)slot, 0xA5, sizeof *slot);
    CHECK(cre__engine_repair(net->engine) > 0);
    CHECK(cre_table_get_info(table, session, &info, sizeof info));
    CHECK_EQ(info.family, AF_INET);
    CHECK_EQ(info.remote_port, 56324);
    CHECK_MEM(info.remote_address, ((const uint8_t[]){ 192, 0, 2, 1 }), 4);
    net_close(&client);
    net_stop(net);
}

static void count_call(void *context) {
    ++*(int *)context;
}

TEST(an_end_does_not_wait_for_headers) {
    for (int destroys = 0; destroys < 2; destroys++) {
        net_server *net = start(&loopback, (cre_engine_config){ 0 });
        net_client client = net_connect(net);
        int done = 0;
        NET_UNTIL(net, net->engine->proxied_count == 1);
        if (!destroys) {
            cre_engine_shutdown(net->engine, 600000, count_call, &done);
            NET_UNTIL(net, done == 1);
            net_await_end(&client);
        }
        net_stop(net);
        net_close(&client);
    }
}

TEST(without_memory_a_connection_is_refused) {
    const cre_address_range local_proxy = { .family = AF_UNIX };
    net_server *net = start(&local_proxy, (cre_engine_config){ 0 });
    int refused = 0, result = CRE_ENOMEM;
    for (long n = 1; n < 100 && result; n++) {
        int pair[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
        test_fail_at = n;
        result = cre_engine_adopt(net->engine, pair[0], 0);
        test_fail_at = 0;
        refused += result != 0;
        if (result) CHECK_EQ(result, CRE_ENOMEM);
        CHECK_EQ(net_stats(net).out_of_memory, refused);
        CHECK_EQ(net->engine->proxied_count, result == 0);
        if (!result) {
            net_client client = { .net = net, .descriptor = pair[1] };
            net_send_text(&client, HEADER);
            expect_remote(net, "192.0.2.1", 56324);
            expect_echo(&client);
            net_close(&client);
        } else {
            close(pair[1]);
        }
    }
    CHECK_EQ(result, 0);
    CHECK(refused > 0);
    net_stop(net);
}

static int create(cre_port_options port) {
    cre_loop *loop;
    cre_engine *engine;
    port.size = sizeof port;
    REQUIRE(cre_loop_create(&loop) == 0);
    int result = cre_engine_create(
        loop,
        &(cre_engine_config){
            .size = sizeof(cre_engine_config), .on_event = net_on_event, .ports = &port, .port_count = 1 },
        &engine);
    if (!result) cre_engine_destroy(engine);
    cre_loop_destroy(loop);
    return result;
}

TEST(invalid_proxies_are_refused) {
    const cre_address_range long_prefix = { .family = AF_INET, .prefix = 33 },
                            local_prefix = { .family = AF_UNIX, .prefix = 1 }, none = { 0 };
    CHECK_EQ(create((cre_port_options){ .proxies = &loopback, .proxy_count = 1 }), 0);
    CHECK_EQ(create((cre_port_options){ .proxies = &loopback }), CRE_EINVALID);
    CHECK_EQ(create((cre_port_options){ .proxy_count = 1 }), CRE_EINVALID);
    CHECK_EQ(create((cre_port_options){ .proxies = &loopback, .proxy_count = CRE_MAX_PROXIES + 1 }),
             CRE_EINVALID);
    CHECK_EQ(create((cre_port_options){ .proxies = &long_prefix, .proxy_count = 1 }), CRE_EINVALID);
    CHECK_EQ(create((cre_port_options){ .proxies = &local_prefix, .proxy_count = 1 }), CRE_EINVALID);
    CHECK_EQ(create((cre_port_options){ .proxies = &none, .proxy_count = 1 }), CRE_EINVALID);
    CHECK_EQ(create((cre_port_options){
                 .protocol = CRE_PROTOCOL_DATAGRAM, .proxies = &loopback, .proxy_count = 1 }),
             CRE_EINVALID);
}

TEST_MAIN()
