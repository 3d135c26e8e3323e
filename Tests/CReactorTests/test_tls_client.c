/* The client's side of TLS: transports that connect to an engine of the library. */
#ifndef CRE_HAVE_TLS
#include "net.h"

TEST(a_build_without_tls_says_so) {
    char why[CRE_TLS_MESSAGE];
    cre_tls_client *client = NULL;
    CHECK_EQ(cre_tls_client_create(&(cre_tls_client_config){ .size = sizeof(cre_tls_client_config) }, &client,
                                   why),
             CRE_EUNSUPPORTED);
    CHECK_STR(why, "this build has no TLS");
    CHECK(cre_tls_client_retain(client) == NULL);
    cre_tls_client_release(client);
}

#else
#include "dialer.h"

/* ---- handshakes ---- */

TEST(both_versions) {
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
        dialer *from = dialer_start(net);
        cre_tls_client *client = trusting(&authority);
        peer *it = peer_open(from, net->port, client, "localhost");
        CHECK_EQ(cre__tls_handshake_timeout(&it->transport), 10000);
        SSL_set_max_proto_version(it->transport.tls->ssl, version);
        cre__transport_start(&it->transport);
        CHECK_EQ(it->ready, 0);
        NET_UNTIL(net, it->ready);
        peer_check(from, it);
        peer_check(from, it);
        CHECK_EQ(SSL_version(it->transport.tls->ssl), version);
        CHECK_EQ(from->net.tls_handshakes, 1);
        CHECK_EQ(from->net.tls_failed, 0);
        peer_free(from, it);
        cre_tls_client_release(client);
        dialer_stop(from);
        tls_stop(net);
    }
}

TEST(the_lowest_version) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ .minimum = CRE_TLS_1_3 });
    dialer *from = dialer_start(net);
    cre_tls_client *client = client_of(
        (cre_tls_client_config){ .authorities = in_memory(authority.chain_pem), .minimum = CRE_TLS_1_3 });
    accepted(from, client, "localhost");
    peer *it = peer_open(from, net->port, client, "localhost");
    SSL_set_max_proto_version(it->transport.tls->ssl, TLS1_2_VERSION);
    cre__transport_start(&it->transport);
    NET_UNTIL(net, it->errors);
    CHECK_STR(it->cause, "no protocols available");
    peer_free(from, it);
    cre_tls_client_release(client);
    client = trusting(&authority);
    it = peer_open(from, net->port, client, "localhost");
    SSL_set_max_proto_version(it->transport.tls->ssl, TLS1_2_VERSION);
    cre__transport_start(&it->transport);
    NET_UNTIL(net, it->errors);
    CHECK_STR(it->cause, "tlsv1 alert protocol version");
    peer_free(from, it);
    cre_tls_client_release(client);
    dialer_stop(from);
    tls_stop(net);
}

TEST(output_queued_before_the_handshake) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    dialer *from = dialer_start(net);
    cre_tls_client *client = trusting(&authority);
    peer *it = peer_start(from, client, "localhost");
    peer_send(it, dialer_request, sizeof dialer_request - 1);
    NET_UNTIL(net, it->length > 5 && memcmp(it->data + it->length - 5, "hello", 5) == 0);
    peer_free(from, it);
    cre_tls_client_release(client);
    dialer_stop(from);
    tls_stop(net);
}

/* A transport that is paused does not begin its handshake before it is resumed. */
TEST(a_paused_transport) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    dialer *from = dialer_start(net);
    cre_tls_client *client = trusting(&authority);
    peer *it = peer_open(from, net->port, client, "localhost");
    cre__transport_stop(&it->transport, CRE__STOP_PAUSED);
    cre__transport_start(&it->transport);
    net_settle(net);
    CHECK_EQ(it->ready, 0);
    cre__transport_resume(&it->transport, CRE__STOP_PAUSED);
    peer_check(from, it);
    peer_free(from, it);
    cre_tls_client_release(client);
    dialer_stop(from);
    tls_stop(net);
}

TEST(without_tls) {
    net_server *net = net_start((cre_engine_config){ .http = true }, tls_echo);
    dialer *from = dialer_start(net);
    peer *it = peer_start(from, NULL, NULL);
    CHECK_EQ(it->ready, 1);
    peer_check(from, it);
    const char *name;
    CHECK_EQ(cre__tls_protocol(&it->transport, &name), 0);
    CHECK(!cre__tls_end_is_authentic(&it->transport));
    peer_free(from, it);
    dialer_stop(from);
    net_stop(net);
}

/* ---- verification ---- */

/* Signs the certificate again after a change. */
static void sign_again(identity *it) {
    REQUIRE(X509_sign(it->certificate, authority.key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, it->certificate);
    free(it->chain_pem);
    it->chain_pem = pem_text(bio);
}

TEST(host_names) {
    cre_tls_certificate certificates[] = { certificate_of(&server, NULL),
                                           certificate_of(&other_server, "other.example") };
    net_server *net =
        tls_start((cre_engine_config){ 0 }, (cre_tls_config){ .certificates = certificates, .count = 2 });
    dialer *from = dialer_start(net);
    cre_tls_client *client = trusting(&authority), *any = trusting_all();
    accepted(from, client, "localhost");
    accepted(from, client, "LocalHost.");
    accepted(from, client, "other.example"); /* the server knows which by SNI */
    refused(from, client, "third.example", "hostname mismatch");
    refused(from, client, "host", "hostname mismatch");
    refused(from, client, "127.0.0.1", "IP address mismatch");
    refused(from, client, "::1", "IP address mismatch");
    accepted(from, any, "third.example");
    accepted(from, any, "127.0.0.1");
    accepted(from, any, NULL);
    char longest[300];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = 0;
    const char *wrong[] = { NULL, "", ".", ".example", "a%b", longest, longest + sizeof longest - 255 };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        peer *it = peer_open(from, net->port, NULL, NULL);
        CHECK_EQ(cre__tls_attach_client(&it->transport, client, wrong[i]), CRE_EINVALID);
        CHECK(it->transport.tls == NULL);
        if (wrong[i]) CHECK_EQ(cre__tls_attach_client(&it->transport, any, wrong[i]), CRE_EINVALID);
        cre__transport_discard(&it->transport);
        NET_UNTIL(net, it->freed);
        free(it);
    }
    cre_tls_client_release(client);
    cre_tls_client_release(any);
    dialer_stop(from);
    tls_stop(net);
}

/* A certificate without names for hosts is not valid for the name of its subject. */
TEST(addresses_in_certificates) {
    identity it = make_identity("localhost", &authority);
    X509_EXTENSION_free(
        X509_delete_ext(it.certificate, X509_get_ext_by_NID(it.certificate, NID_subject_alt_name, -1)));
    add_extension(it.certificate, authority.certificate, NID_subject_alt_name, "IP:127.0.0.1,IP:fe80::1");
    sign_again(&it);
    net_server *net = server_with(&it);
    dialer *from = dialer_start(net);
    cre_tls_client *client = trusting(&authority);
    accepted(from, client, "127.0.0.1");
    accepted(from, client, "fe80::1%lo");
    refused(from, client, "127.0.0.2", "IP address mismatch");
    refused(from, client, "localhost", "hostname mismatch");
    cre_tls_client_release(client);
    dialer_stop(from);
    tls_stop(net);
    free_identity(&it);
}

TEST(untrusted_certificates) {
    identity stranger = make_identity("stranger", NULL), expired = make_identity("localhost", &authority),
             future = make_identity("localhost", &authority);
    X509_gmtime_adj(X509_getm_notAfter(expired.certificate), -60);
    sign_again(&expired);
    X509_gmtime_adj(X509_getm_notBefore(future.certificate), 3600);
    sign_again(&future);
    cre_tls_client *client = trusting(&authority), *of_stranger = trusting(&stranger), *any = trusting_all(),
                   *of_system = client_of((cre_tls_client_config){ 0 });
    struct {
        const identity *server;
        cre_tls_client *client;
        const char *name, *cause;
    } cases[] = {
        { &server, of_stranger, "localhost", "unable to get local issuer certificate" },
        { &server, of_system, "localhost", "unable to get local issuer certificate" },
        { &authority, of_system, "authority", "self-signed certificate" },
        { &expired, client, "localhost", "certificate has expired" },
        { &future, client, "localhost", "certificate is not yet valid" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        net_server *net = server_with(cases[i].server);
        dialer *from = dialer_start(net);
        refused(from, cases[i].client, cases[i].name, cases[i].cause);
        CHECK_EQ(from->net.tls_failed, 1);
        NET_UNTIL(net, tls_failures > 0); /* the alert has arrived */
        accepted(from, any, cases[i].name);
        dialer_stop(from);
        tls_stop(net);
    }
    cre_tls_client_release(client);
    cre_tls_client_release(of_stranger);
    cre_tls_client_release(of_system);
    cre_tls_client_release(any);
    free_identity(&stranger);
    free_identity(&expired);
    free_identity(&future);
}

TEST(certificates_of_clients) {
    identity stranger = make_identity("stranger", NULL);
    net_server *net = tls_start((cre_engine_config){ 0 },
                                (cre_tls_config){ .clients = CRE_TLS_CLIENTS_REQUIRED,
                                                  .client_authorities = in_memory(authority.chain_pem) });
    dialer *from = dialer_start(net);
    cre_tls_client_config config = { .size = sizeof config,
                                     .authorities = in_memory(authority.chain_pem),
                                     .certificate = in_memory(other_server.chain_pem),
                                     .key = in_memory(other_server.key_pem) };
    cre_tls_client *client = client_of(config);
    accepted(from, client, "localhost");
    cre_tls_client_release(client);
    config.certificate = in_memory(stranger.chain_pem);
    config.key = in_memory(stranger.key_pem);
    client = client_of(config);
    cre_tls_client *without = trusting(&authority);
    /* With TLS 1.3 the client is ready before the server has checked its certificate. */
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        for (int i = 0; i < 2; i++) {
            peer *it = peer_open(from, net->port, i ? client : without, "localhost");
            SSL_set_max_proto_version(it->transport.tls->ssl, version);
            cre__transport_start(&it->transport);
            NET_UNTIL(net, it->errors);
            CHECK_EQ(it->error, CRE_ETLS);
            CHECK_EQ(it->ready, version == TLS1_3_VERSION);
            const char *cause = i                           ? "tlsv1 alert unknown ca"
                                : version == TLS1_2_VERSION ? "sslv3 alert handshake failure"
                                                            : "tlsv13 alert certificate required";
            CHECK_STR(it->cause, cause);
            peer_free(from, it);
        }
    }
    cre_tls_client_release(client);
    cre_tls_client_release(without);
    dialer_stop(from);
    tls_stop(net);
    free_identity(&stranger);
}

/* ---- protocols ---- */

static void agreed(dialer *from, const char *offered, const char *expected) {
    cre_tls_client *client = client_of(
        (cre_tls_client_config){ .authorities = in_memory(authority.chain_pem), .protocols = offered });
    peer *it = peer_start(from, client, "localhost");
    const char *name;
    NET_UNTIL(from->server, it->ready);
    size_t length = cre__tls_protocol(&it->transport, &name);
    CHECK_EQ(length, strlen(expected));
    if (length == strlen(expected)) CHECK_MEM(name, expected, length);
    peer_free(from, it);
    cre_tls_client_release(client);
}

TEST(protocols) {
    const cre_port_options first = { .size = sizeof first, .http = true, .http1_only = true };
    const cre_engine_config config = { .ports = &first, .port_count = 1 };
    net_server *net = tls_start(config, (cre_tls_config){ 0 });
    dialer *from = dialer_start(net);
    agreed(from, NULL, "");
    agreed(from, "", "");
    agreed(from, "h2,http/1.1", "http/1.1");
    cre_tls_client *client = client_of(
        (cre_tls_client_config){ .authorities = in_memory(authority.chain_pem), .protocols = "h2" });
    refused(from, client, "localhost", "tlsv1 alert no application protocol");
    cre_tls_client_release(client);
    dialer_stop(from);
    tls_stop(net);
    net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ .protocols = "" });
    from = dialer_start(net);
    agreed(from, "h2,http/1.1", "");
    dialer_stop(from);
    tls_stop(net);
}

/* ---- servers that are something else ---- */

TEST(a_server_without_tls) {
    net_server *net = net_start((cre_engine_config){ .http = true }, tls_echo);
    dialer *from = dialer_start(net);
    cre_tls_client *client = trusting(&authority);
    refused(from, client, "localhost", "wrong version number");
    cre_tls_client_release(client);
    dialer_stop(from);
    net_stop(net);
}

TEST(a_server_that_closes_during_the_handshake) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    dialer *from = dialer_start(net);
    cre_tls_client *client = trusting(&authority);
    uint16_t port;
    int listener =
        cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" }, &port);
    REQUIRE(listener >= 0);
    peer *it = peer_open(from, port, client, "localhost");
    cre__transport_start(&it->transport);
    net_settle(net);
    int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    REQUIRE(descriptor >= 0);
    uint8_t hello[4096];
    NET_UNTIL(net, recv(descriptor, hello, sizeof hello, MSG_PEEK) > 100);
    CHECK_EQ(hello[0], 22); /* a handshake record, without any input */
    shutdown(descriptor, SHUT_WR);
    NET_UNTIL(net, it->ended);
    CHECK_EQ(it->ready, 0);
    CHECK_EQ(it->errors, 0);
    CHECK(!cre__tls_end_is_authentic(&it->transport));
    close(descriptor);
    peer_free(from, it);
    cre_tls_client_release(client);
    close(listener);
    dialer_stop(from);
    net_stop(net);
}

TEST(a_server_that_is_silent) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    dialer *from = dialer_start(net);
    cre_tls_client *client = client_of((cre_tls_client_config){ .handshake_timeout_ms = 100 });
    uint16_t port;
    int listener =
        cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" }, &port);
    REQUIRE(listener >= 0);
    peer *it = peer_open(from, port, client, "localhost");
    cre__transport_set_deadline(&it->transport, cre__tls_handshake_timeout(&it->transport));
    cre__transport_start(&it->transport);
    NET_UNTIL(net, it->due);
    CHECK_EQ(it->ready + it->ended + it->errors, 0);
    peer_free(from, it);
    cre_tls_client_release(client);
    close(listener);
    dialer_stop(from);
    net_stop(net);
}

/* ---- data ---- */

static int stream_echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_RECEIVE && payload[0] == '!')
        return cre_engine_close(net->engine, event->session, 0, NULL);
    if (event->kind == CRE_EVENT_RECEIVE)
        cre_engine_send(net->engine, event->session, payload, event->length);
    return 0;
}

static net_server *stream_start(void) {
    cre_port_options port = { .size = sizeof port, .protocol = CRE_PROTOCOL_STREAM };
    net_server *net = tls_start((cre_engine_config){ .ports = &port, .port_count = 1, .max_queue = 64 << 20 },
                                (cre_tls_config){ 0 });
    net->act = stream_echo;
    net->quiet = true;
    return net;
}

TEST(large_payloads_both_ways) {
    size_t size = 8u << 20;
    uint8_t *bytes = malloc(size);
    REQUIRE(bytes != NULL);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((i * 7 + i / 251) | 0x80);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        net_server *net = stream_start();
        dialer *from = dialer_start(net);
        cre_tls_client *client = trusting(&authority);
        peer *it = peer_open(from, net->port, client, "localhost");
        SSL_set_max_proto_version(it->transport.tls->ssl, version);
        cre__transport_start(&it->transport);
        NET_UNTIL(net, it->ready);
        size_t half = size / 2;
        peer_send(it, bytes, half);
        cre_slice rest = { bytes + half, size - half };
        CHECK_EQ(cre__queue_large(&it->transport, NULL, 0, &rest, 1), 0);
        NET_UNTIL(net, it->length == size || it->errors || it->ended);
        CHECK_EQ(it->length, size);
        if (it->length == size) CHECK_MEM(it->data, bytes, size);
        CHECK_EQ(it->transport.queued, 0);
        peer_free(from, it);
        cre_tls_client_release(client);
        dialer_stop(from);
        tls_stop(net);
    }
    free(bytes);
}

/* ---- ends ---- */

TEST(the_server_closes) {
    net_server *net = stream_start();
    dialer *from = dialer_start(net);
    cre_tls_client *client = trusting(&authority);
    peer *it = peer_start(from, client, "localhost");
    peer_send(it, "first", 5);
    NET_UNTIL(net, it->length == 5);
    CHECK(!cre__tls_end_is_authentic(&it->transport));
    peer_send(it, "!", 1);
    NET_UNTIL(net, it->ended);
    CHECK_EQ(it->errors, 0);
    CHECK(cre__tls_end_is_authentic(&it->transport));
    /* Both sides have ended. */
    cre__transport_finish(&it->transport, 60000);
    NET_UNTIL(net, it->freed);
    NET_UNTIL(net, net->engine->net.open == 0);
    free(it->data);
    free(it);
    cre_tls_client_release(client);
    dialer_stop(from);
    tls_stop(net);
}

/* Somebody between both sides can end the stream, but not forge a close_notify. */
TEST(an_end_without_close_notify) {
    net_server *net = stream_start();
    dialer *from = dialer_start(net);
    cre_tls_client *client = trusting(&authority);
    peer *it = peer_start(from, client, "localhost");
    peer_send(it, "first", 5);
    NET_UNTIL(net, it->length == 5);
    cre_session session;
    uint32_t cursor = 0;
    REQUIRE(cre_table_list(cre_engine_table(net->engine), &cursor, &session, 1) == 1);
    shutdown(cre__engine_find(net->engine, session)->transport.descriptor, SHUT_WR);
    NET_UNTIL(net, it->ended);
    CHECK_EQ(it->errors, 0);
    CHECK(!cre__tls_end_is_authentic(&it->transport));
    peer_free(from, it);
    cre_tls_client_release(client);
    dialer_stop(from);
    tls_stop(net);
}

TEST(the_client_closes) {
    net_server *net = stream_start();
    net->quiet = false;
    dialer *from = dialer_start(net);
    cre_tls_client *client = trusting(&authority);
    peer *it = peer_start(from, client, "localhost");
    peer_send(it, "last", 4);
    NET_UNTIL(net, it->length == 4);
    cre_tls_client_release(client); /* the connection has it still */
    peer_send(it, "more", 4);
    cre__transport_finish(&it->transport, 60000);
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_CLOSE) == 1);
    size_t received = 0;
    for (int i = 0; i < net->count; i++)
        if (net->events[i].record.kind == CRE_EVENT_RECEIVE) received += net->events[i].record.length;
    CHECK_EQ(received, 8);
    CHECK_EQ(net_closed(&net->events[net->count - 1]).reason, CRE_CLOSED_PEER);
    NET_UNTIL(net, it->freed);
    free(it->data);
    free(it);
    dialer_stop(from);
    tls_stop(net);
}

/* ---- configurations that are refused ---- */

static void refuses(cre_tls_client_config config, int error, const char *part) {
    char why[CRE_TLS_MESSAGE] = "";
    cre_tls_client *client = NULL;
    config.size = sizeof config;
    CHECK_EQ(cre_tls_client_create(&config, &client, why), error);
    CHECK(client == NULL);
    if (!strstr(why, part)) TEST_FAIL("\"%s\" has no \"%s\"", why, part);
    CHECK_EQ(ERR_peek_error(), 0);
}

TEST(invalid_configurations) {
    cre_tls_source good = in_memory(authority.chain_pem), garbage = in_memory("garbage"),
                   missing = { .file = "/nowhere/at.all" };
    refuses((cre_tls_client_config){ .authorities = missing }, CRE_ETLS_CONFIG,
            "/nowhere/at.all: No such file");
    refuses((cre_tls_client_config){ .authorities = garbage }, CRE_ETLS_CONFIG,
            "the authorities in memory: there is no certificate in it");
    refuses((cre_tls_client_config){ .authorities = good, .accept_any_certificate = true }, CRE_ETLS_CONFIG,
            "authorities must be empty with accept_any_certificate");
    refuses((cre_tls_client_config){ .protocols = "h2,,x" }, CRE_ETLS_CONFIG, "the list of protocols");
    refuses((cre_tls_client_config){ .key = in_memory(server.key_pem) }, CRE_ETLS_CONFIG,
            "a key needs its certificate");
    refuses((cre_tls_client_config){ .certificate = good }, CRE_ETLS_CONFIG, "there is no private key in it");
    refuses((cre_tls_client_config){ .certificate = good, .key = in_memory(server.key_pem) }, CRE_ETLS_CONFIG,
            "the private key does not belong to");
    atomic_store(&test_fail_at, 1);
    refuses((cre_tls_client_config){ .authorities = good }, CRE_ENOMEM, "out of memory");
    atomic_store(&test_fail_at, 0);
    CHECK(cre_tls_client_retain(NULL) == NULL);
    cre_tls_client_release(NULL);
}

TEST(files) {
    char path[] = "/tmp/creactor-test-XXXXXX";
    int descriptor = mkstemp(path);
    REQUIRE(descriptor >= 0);
    size_t length = strlen(authority.chain_pem);
    REQUIRE(write(descriptor, authority.chain_pem, length) == (ssize_t)length);
    close(descriptor);
    cre_tls_client *client = client_of((cre_tls_client_config){ .authorities.file = path });
    unlink(path);
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    dialer *from = dialer_start(net);
    accepted(from, client, "localhost");
    cre_tls_client_release(client);
    dialer_stop(from);
    tls_stop(net);
}

/* Each allocation of a connection fails once: the connection ends or works, and nothing is lost. */
TEST(no_memory_for_a_connection) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    dialer *from = dialer_start(net);
    cre_tls_client *client = trusting(&authority);
    int failed = 0;
    for (long n = 1; n < 30; n++) {
        peer *it = peer_open(from, net->port, NULL, NULL);
        net_settle(net); /* the server has accepted it */
        atomic_store(&test_fail_at, n);
        int result = cre__tls_attach_client(&it->transport, client, "localhost");
        if (result) {
            atomic_store(&test_fail_at, 0);
            CHECK_EQ(result, CRE_ENOMEM);
            failed++;
            cre__transport_discard(&it->transport);
            NET_UNTIL(net, it->freed);
            free(it);
            continue;
        }
        cre__transport_start(&it->transport);
        NET_UNTIL(net, it->ready || it->ended || it->errors);
        atomic_store(&test_fail_at, 0);
        if (it->ready && !it->ended && !it->errors) peer_check(from, it);
        peer_free(from, it);
    }
    CHECK_EQ(failed, 2); /* the buffer of the loop, the state of the connection */
    cre_tls_client_release(client);
    dialer_stop(from);
    tls_stop(net);
}
#endif

TEST_MAIN()
