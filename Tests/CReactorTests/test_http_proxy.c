/* HTTP clients that reach a server through a proxy, with and without TLS on either way. */
#include "http_record.h"

static void tunnel_options(cre_http_client_options *options, http_record *it, raw_server *raw) {
    static const cre_http_header field = { "Proxy-Authorization", "Basic x", 19, 7 };
    *options = http_options(it, raw->port);
    options->tunnel = "localhost:443";
    options->tunnel_fields = &field;
    options->tunnel_field_count = 1;
}

/* The proxy's own connection to the server, without the client's TLS. */
static net_client connect_behind(net_server *net) {
    const net_layer *layer = net_layer_now;
    net_layer_now = NULL;
    net_client behind = net_connect(net);
    net_layer_now = layer;
    return behind;
}

/* Passes on what either side has sent. */
static bool relay(int from, int to) {
    char room[65536];
    ssize_t got = recv(from, room, sizeof room, MSG_DONTWAIT);
    for (ssize_t sent = 0; sent < got;) {
        ssize_t result = send(to, room + sent, (size_t)(got - sent), MSG_NOSIGNAL);
        if (result > 0) sent += result;
    }
    return got > 0;
}

CLIENT_BOTH(a_tunnel) {
    net_server *net = start();
    raw_server raw;
    http_record it = { 0 };
    cre_http_client_options options;
    raw_start(&raw);
    tunnel_options(&options, &it, &raw);
    http_start(&it, net, &options);
    raw_read_request(&raw, net);
    CHECK_STR(raw.request, "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n"
                           "Proxy-Authorization: Basic x\r\n\r\n");
    CHECK_EQ(it.opened, 0);
    answer(&raw, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    net_client behind = connect_behind(net);
    int upstream = behind.descriptor;
#define RELAYED(condition) \
    NET_UNTIL(net, (relay(raw.descriptor, upstream), relay(upstream, raw.descriptor), (condition)))
    RELAYED(it.opened);
    for (int i = 1; i <= 2; i++) {
        get(&it, "/tunnel");
        RELAYED(it.complete == i);
    }
    CHECK_STR((char *)it.body, "1/tunnel1/tunnel");
    net_close(&behind);
    stop_all(&it, &raw, net);
}

#ifdef CRE_HAVE_TLS
/* A proxy that clients use TLS with. */
typedef struct tls_proxy {
    raw_server raw;
    SSL_CTX *context;
    SSL *ssl;
    int upstream;
    cre_tls_client *trust; /* of the client in it */
} tls_proxy;

static tls_proxy proxy_start(void) {
    tls_proxy it = { .context = SSL_CTX_new(TLS_server_method()), .upstream = -1 };
    REQUIRE(it.context && SSL_CTX_use_certificate(it.context, other_server.certificate) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(it.context, other_server.key) == 1);
    raw_start(&it.raw);
    return it;
}

/* Receives what there is. */
static ssize_t proxy_read(tls_proxy *it, void *room, size_t size) {
    if (it->raw.descriptor < 0) {
        it->raw.descriptor = accept4(it->raw.listener, NULL, NULL, SOCK_NONBLOCK);
        return 0;
    }
    if (!it->ssl) {
        it->ssl = SSL_new(it->context);
        REQUIRE(it->ssl && SSL_set_fd(it->ssl, it->raw.descriptor) == 1);
        SSL_set_accept_state(it->ssl);
    }
    ERR_clear_error();
    return SSL_read(it->ssl, room, (int)size);
}

static bool proxy_received_request(tls_proxy *it) {
    raw_server *raw = &it->raw;
    ssize_t got = proxy_read(it, raw->request + raw->length, sizeof raw->request - 1 - raw->length);
    if (got > 0) raw->length += (size_t)got;
    raw->request[raw->length] = 0;
    return strstr(raw->request, "\r\n\r\n") != NULL;
}

static void proxy_relay(tls_proxy *it) {
    char room[16384];
    ssize_t got = proxy_read(it, room, sizeof room);
    if (got > 0) REQUIRE(send(it->upstream, room, (size_t)got, MSG_NOSIGNAL) == got);
    got = recv(it->upstream, room, sizeof room, MSG_DONTWAIT);
    if (got > 0) REQUIRE(SSL_write(it->ssl, room, (int)got) == got);
}

/* A client that expects the proxy's certificate to have this name. */
static void proxy_open(tls_proxy *proxy, http_record *it, net_server *net, const char *name) {
    cre_http_client_options options;
    tunnel_options(&options, it, &proxy->raw);
    options.tunnel_tls = proxy->trust = trusting(&authority);
    options.tunnel_tls_name = name;
    http_start(it, net, &options);
}

static void proxy_stop(tls_proxy *it) {
    cre_tls_client_release(it->trust);
    SSL_free(it->ssl);
    SSL_CTX_free(it->context);
    raw_stop(&it->raw);
}

CLIENT_BOTH(a_tunnel_through_a_proxy_with_tls) {
    net_server *net = start();
    tls_proxy proxy = proxy_start();
    http_record it = { 0 };
    proxy_open(&proxy, &it, net, "other.example");
    NET_UNTIL(net, proxy_received_request(&proxy));
    CHECK(strncmp(proxy.raw.request, "CONNECT localhost:443 HTTP/1.1\r\n", 32) == 0);
    CHECK_EQ(it.opened, 0);
    static const char good[] = "HTTP/1.1 200 OK\r\n\r\n";
    REQUIRE(SSL_write(proxy.ssl, good, sizeof good - 1) == sizeof good - 1);
    net_client behind = connect_behind(net);
    proxy.upstream = behind.descriptor;
    NET_UNTIL(net, (proxy_relay(&proxy), it.opened));
    for (int i = 1; i <= 2; i++) {
        get(&it, "/tunnel");
        NET_UNTIL(net, (proxy_relay(&proxy), it.complete == i));
    }
    static char large[200000];
    memset(large, 'x', sizeof large);
    const cre_http_request request = {
        .method = "PUT", .target = "/", .host = "a", .has_length = true, .content_length = sizeof large
    };
    CHECK_EQ(cre_http_client_send(it.client, &request, large, sizeof large), 0);
    NET_UNTIL(net, (proxy_relay(&proxy), it.complete == 3));
    CHECK_EQ(it.length, 16 + 2 + sizeof large);
    CHECK_EQ(memcmp(it.body, "1/tunnel1/tunnel4/x", 19), 0);
    /* The proxy ends the connection, which is not the word of a server over TLS. */
    get(&it, "/silence");
    net_settle(net);
    SSL_shutdown(proxy.ssl);
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.ending.error, CRE_EGONE);
    http_stop(&it);
    proxy_stop(&proxy);
    net_close(&behind);
    net_stop(net);
}

TEST(a_proxy_whose_certificate_is_refused) {
    net_server *net = start();
    tls_proxy proxy = proxy_start();
    http_record it = { 0 };
    proxy_open(&proxy, &it, net, "localhost");
    NET_UNTIL(net, (proxy_received_request(&proxy), it.closed));
    CHECK_EQ(it.ending.error, CRE_ETLS);
    CHECK_EQ(it.opened, 0);
    CHECK_EQ(proxy.raw.length, 0);
    http_stop(&it);
    proxy_stop(&proxy);
    net_stop(net);
}
#endif

TEST(a_proxy_that_refuses) {
    static const struct {
        const char *text;
        int error, status;
        bool close;
    } cases[] = {
        { "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n", CRE_EPROXY, 407, false },
        { "HTTP/1.1 200 OK\r\n\r\nearly", CRE_EPROXY, 200, false },
        { "garbage", CRE_EHTTP_BAD_LINE, 0, false },
        { "HTTP/1.1 2", CRE_EGONE, 0, true },
        { "", -ETIMEDOUT, 0, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        net_server *net = start();
        raw_server raw;
        http_record it = { 0 };
        cre_http_client_options options;
        raw_start(&raw);
        tunnel_options(&options, &it, &raw);
        if (cases[i].error == -ETIMEDOUT) options.timeout_ms = 300;
        http_start(&it, net, &options);
        raw_read_request(&raw, net);
        answer(&raw, cases[i].text);
        if (cases[i].close) shutdown(raw.descriptor, SHUT_WR);
        NET_UNTIL(net, it.closed);
        CHECK_EQ(it.opened, 0);
        CHECK(!it.ending.opened);
        CHECK_EQ(it.ending.error, cases[i].error);
        CHECK_EQ(it.ending.status, cases[i].status);
        stop_all(&it, &raw, net);
    }
}

TEST_MAIN()
