/* TLS on real sockets: handshakes, and everything above them as on a plain port. */
#ifndef CRE_HAVE_TLS
#include <creactor/creactor.h>

#include "test.h"

TEST(a_build_without_tls_says_so) {
    cre_tls *tls;
    char why[CRE_TLS_MESSAGE];
    CHECK_EQ(cre_tls_create(&(cre_tls_config){ .size = sizeof(cre_tls_config) }, &tls, why),
             CRE_EUNSUPPORTED);
    CHECK_STR(why, "this build has no TLS");
}

#else
#include "tls_net.h"

static uint32_t connected(net_server *net) {
    return cre_table_count(cre_engine_table(net->engine));
}

/* ---- handshakes ---- */

static void round_trip(int version) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    SSL_CTX *context = client_context(&authority, version);
    tls_client client = tls_connect(net, context, "localhost");
    CHECK_EQ(SSL_version(client.ssl), version);
    tls_write_text(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    tls_expect_response(&client, 200, "hello");
    tls_write_text(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    tls_expect_response(&client, 200, "hello");
    tls_upgrade(&client);
    tls_ws_echo(&client, "first");
    tls_ws_echo(&client, "");
    tls_ws_send(&client, CRE_WS_FIN | CRE_WS_PING, "p", 1);
    tls_ws_expect(&client, CRE_WS_FIN | CRE_WS_PONG, "p", 1);
    tls_ws_send(&client, CRE_WS_FIN | CRE_WS_CLOSE, "\x03\xe8", 2);
    tls_ws_expect(&client, CRE_WS_FIN | CRE_WS_CLOSE, "\x03\xe8", 2);
    tls_await_end(&client);
    CHECK_EQ(client.end, SSL_ERROR_ZERO_RETURN);
    SSL_shutdown(client.ssl);
    tls_push_out(&client);
    tls_close(&client);
    NET_UNTIL(net, net->engine->net.open == 0);
    CHECK_EQ(net_closed(&net->events[net->count - 1]).reason, CRE_CLOSED_PEER);
    CHECK_EQ(net_stats(net).tls_handshakes, 1);
    CHECK_EQ(net_stats(net).tls_failed, 0);
    SSL_CTX_free(context);
    tls_stop(net);
}

TEST(requests_and_messages_1_2) {
    round_trip(TLS1_2_VERSION);
}
TEST(requests_and_messages_1_3) {
    round_trip(TLS1_3_VERSION);
}

/* The handshake fails; the client gets an alert, and is not cut off. */
static void refused(net_server *net, SSL_CTX *context, const char *cause) {
    int before = tls_failures;
    tls_client client = tls_new(net, context, "localhost");
    if (tls_shake(&client)) tls_await_end(&client); /* in 1.3 the client is through before the server */
    CHECK(client.over);
    CHECK_EQ(client.raw.error, 0);
    NET_UNTIL(net, tls_failures == before + 1);
    if (!strstr(tls_failure, cause)) TEST_FAIL("failed for \"%s\", expected \"%s\"", tls_failure, cause);
    CHECK_EQ(connected(net), 0);
    tls_close(&client);
    NET_UNTIL(net, net->engine->net.open == 0);
    CHECK_EQ(net->count, 0);
}

static void accepted(net_server *net, SSL_CTX *context) {
    tls_client client = tls_connect(net, context, "localhost");
    tls_write_text(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    tls_expect_response(&client, 200, "hello");
    tls_close(&client);
    NET_UNTIL(net, net->engine->net.open == 0);
    net_forget(net);
}

TEST(old_versions_are_refused) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    SSL_CTX *old = client_context(&authority, TLS1_1_VERSION);
    SSL_CTX_set_security_level(old, 0);
    refused(net, old, "unsupported protocol");
    CHECK_EQ(net_stats(net).tls_failed, 1);
    SSL_CTX_free(old);
    tls_stop(net);
    net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ .minimum = CRE_TLS_1_3 });
    SSL_CTX *older = client_context(&authority, TLS1_2_VERSION), *newer = client_context(&authority, 0);
    refused(net, older, "unsupported protocol");
    accepted(net, newer);
    SSL_CTX_free(older);
    SSL_CTX_free(newer);
    tls_stop(net);
}

static void negotiated(net_server *net, int version, const char *cipher) {
    SSL_CTX *context = client_context(&authority, version);
    tls_client client = tls_connect(net, context, "localhost");
    CHECK_STR(SSL_get_cipher_name(client.ssl), cipher);
    tls_close(&client);
    SSL_CTX_free(context);
}

TEST(ciphers_are_chosen_in_the_order_of_the_server) {
    net_server *net =
        tls_start((cre_engine_config){ 0 },
                  (cre_tls_config){ .ciphers = "ECDHE+CHACHA20:ECDHE-ECDSA-AES256-GCM-SHA384:!MD5",
                                    .cipher_suites = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256" });
    SSL_CTX *limited = client_context(&authority, TLS1_2_VERSION);
    CHECK(SSL_CTX_set_cipher_list(limited, "ECDHE-ECDSA-AES128-GCM-SHA256"));
    refused(net, limited, "no shared cipher");
    CHECK(SSL_CTX_set_cipher_list(limited, "ECDHE-ECDSA-AES256-GCM-SHA384"));
    accepted(net, limited);
    SSL_CTX_free(limited);
    negotiated(net, TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305");
    SSL_CTX *newer = client_context(&authority, 0);
    CHECK(SSL_CTX_set_ciphersuites(newer, "TLS_AES_256_GCM_SHA384"));
    CHECK(SSL_CTX_set_min_proto_version(newer, TLS1_3_VERSION));
    refused(net, newer, "no shared cipher");
    CHECK(SSL_CTX_set_ciphersuites(newer, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"));
    accepted(net, newer);
    SSL_CTX_free(newer);
    tls_stop(net);
    net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ .cipher_suites = "TLS_AES_128_GCM_SHA256" });
    negotiated(net, 0, "TLS_AES_128_GCM_SHA256");
    tls_stop(net);
}

static void refused_lists(const char *ciphers, const char *suites, cre_tls_version minimum,
                          const char *cause) {
    char why[CRE_TLS_MESSAGE];
    cre_tls_certificate own = certificate_of(&server, NULL);
    cre_tls_config config = { .size = sizeof config,
                              .certificates = &own,
                              .count = 1,
                              .minimum = minimum,
                              .ciphers = ciphers,
                              .cipher_suites = suites };
    cre_tls *tls = NULL;
    CHECK_EQ(cre_tls_create(&config, &tls, why), CRE_ETLS_CONFIG);
    CHECK_STR(why, cause);
    cre_tls_client_config client = {
        .size = sizeof client, .minimum = minimum, .ciphers = ciphers, .cipher_suites = suites
    };
    cre_tls_client *made = NULL;
    CHECK_EQ(cre_tls_client_create(&client, &made, why), CRE_ETLS_CONFIG);
    CHECK_STR(why, cause);
}

TEST(lists_of_ciphers_are_checked) {
    refused_lists("x", NULL, CRE_TLS_1_2, "ciphers has no cipher of TLS 1.2 in \"x\"");
    refused_lists("ECDHE+AESGCM:ECDHE-RSA-AES127", NULL, CRE_TLS_1_2,
                  "ciphers has no cipher of TLS 1.2 in \"ECDHE-RSA-AES127\"");
    refused_lists("", NULL, CRE_TLS_1_2, "ciphers has no cipher of TLS 1.2: \"\"");
    refused_lists("HIGH:!ALL", NULL, CRE_TLS_1_2, "ciphers has no cipher of TLS 1.2: \"HIGH:!ALL\"");
    refused_lists("TLS_AES_128_GCM_SHA256", NULL, CRE_TLS_1_2,
                  "ciphers has no cipher of TLS 1.2 in \"TLS_AES_128_GCM_SHA256\"");
    refused_lists("HIGH", NULL, CRE_TLS_1_3,
                  "ciphers is of TLS 1.2, which is not accepted; see cipherSuites");
    const char *empty = "cipherSuites has an empty or a too long name";
    refused_lists(NULL, "", CRE_TLS_1_2, empty);
    refused_lists(NULL, "TLS_AES_128_GCM_SHA256:", CRE_TLS_1_2, empty);
    refused_lists(NULL, ":TLS_AES_128_GCM_SHA256", CRE_TLS_1_2, empty);
    refused_lists(NULL, "TLS_AES_128_GCM_SHA256:TLS_AES_1", CRE_TLS_1_3,
                  "cipherSuites has no suite of TLS 1.3 in \"TLS_AES_1\"");
    refused_lists(NULL, "ECDHE-RSA-AES128-GCM-SHA256", CRE_TLS_1_2,
                  "cipherSuites has no suite of TLS 1.3 in \"ECDHE-RSA-AES128-GCM-SHA256\"");
    char name[201] = { 0 };
    memset(name, 'A', sizeof name - 1);
    refused_lists(name, NULL, CRE_TLS_1_2, "ciphers has a too long name");
    refused_lists(NULL, name, CRE_TLS_1_2, empty);
}

TEST(a_client_that_does_not_trust_the_certificate) {
    identity stranger = make_identity("stranger", NULL);
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    SSL_CTX *context = client_context(&stranger, 0);
    refused(net, context, "alert unknown ca");
    SSL_CTX_free(context);
    free_identity(&stranger);
    tls_stop(net);
}

static void names_itself(net_server *net, SSL_CTX *context, const char *host, const char *expected) {
    tls_client client = tls_connect(net, context, host);
    char name[100] = "";
    X509 *certificate = SSL_get0_peer_certificate(client.ssl);
    if (certificate)
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
    CHECK_STR(name, expected);
    tls_close(&client);
}

TEST(certificates_by_host_name) {
    identity wild = make_identity("*.example.org", &authority);
    cre_tls_certificate all[] = { certificate_of(&server, NULL),
                                  certificate_of(&other_server, "Other.Example"),
                                  certificate_of(&wild, "*.example.org"),
                                  certificate_of(&other_server, "exact.example.org") };
    net_server *net =
        tls_start((cre_engine_config){ 0 }, (cre_tls_config){ .certificates = all, .count = 4 });
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *context = client_context(&authority, version);
        names_itself(net, context, NULL, "localhost");
        names_itself(net, context, "unknown", "localhost");
        names_itself(net, context, "oTHer.example", "other.example");
        names_itself(net, context, "a.example.org", "*.example.org");
        names_itself(net, context, "exact.example.org", "other.example");
        names_itself(net, context, "a.b.example.org", "localhost");
        names_itself(net, context, "example.org", "localhost");
        SSL_CTX_free(context);
    }
    tls_stop(net);
    free_identity(&wild);
}

TEST(certificates_of_clients) {
    identity stranger = make_identity("stranger", NULL), forged = make_identity("forged", &stranger);
    identity guest = make_identity("guest", &authority);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *without = client_context(&authority, version), *with = client_context(&authority, version),
                *wrong = client_context(&authority, version);
        SSL_CTX_use_certificate(with, guest.certificate);
        SSL_CTX_use_PrivateKey(with, guest.key);
        SSL_CTX_use_certificate(wrong, forged.certificate);
        SSL_CTX_use_PrivateKey(wrong, forged.key);
        cre_tls_config config = { .size = sizeof config,
                                  .clients = CRE_TLS_CLIENTS_REQUIRED,
                                  .client_authorities = in_memory(authority.chain_pem) };
        net_server *net = tls_start((cre_engine_config){ 0 }, config);
        accepted(net, with);
        refused(net, without, "peer did not return a certificate");
        refused(net, wrong, "unable to get local issuer certificate");
        tls_stop(net);
        config.clients = CRE_TLS_CLIENTS_OPTIONAL;
        net = tls_start((cre_engine_config){ 0 }, config);
        accepted(net, with);
        accepted(net, without);
        refused(net, wrong, "unable to get local issuer certificate");
        tls_stop(net);
        SSL_CTX_free(without);
        SSL_CTX_free(with);
        SSL_CTX_free(wrong);
    }
    free_identity(&stranger);
    free_identity(&forged);
    free_identity(&guest);
}

static void agreed(net_server *net, SSL_CTX *context, const char *expected) {
    tls_client client = tls_connect(net, context, NULL);
    const unsigned char *protocol;
    unsigned length;
    SSL_get0_alpn_selected(client.ssl, &protocol, &length);
    CHECK_EQ(length, strlen(expected));
    if (length == strlen(expected)) CHECK_MEM(protocol, expected, length);
    tls_close(&client);
}

TEST(protocols) {
    static const unsigned char both[] = "\2h2\10http/1.1", modern[] = "\2h2", own[] = "\4own1",
                               old[] = "\10http/1.0";
    SSL_CTX *context = client_context(&authority, 0);
    const cre_port_options first = { .size = sizeof first, .http = true, .http1_only = true };
    const cre_engine_config http1 = { .ports = &first, .port_count = 1 };
    net_server *net = tls_start(http1, (cre_tls_config){ 0 });
    agreed(net, context, "");
    SSL_CTX_set_alpn_protos(context, both, sizeof both - 1);
    agreed(net, context, "http/1.1");
    SSL_CTX_set_alpn_protos(context, old, sizeof old - 1);
    agreed(net, context, "http/1.0");
    SSL_CTX_set_alpn_protos(context, modern, sizeof modern - 1);
    refused(net, context, "no application protocol");
    tls_stop(net);
#ifdef CRE_HAVE_HTTP2
    net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    agreed(net, context, "h2");
    SSL_CTX_set_alpn_protos(context, both, sizeof both - 1);
    agreed(net, context, "h2");
    SSL_CTX_set_alpn_protos(context, old, sizeof old - 1);
    agreed(net, context, "http/1.0");
    SSL_CTX_set_alpn_protos(context, both, sizeof both - 1);
    tls_stop(net);
#endif
    net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ .protocols = "" });
    agreed(net, context, "");
    tls_stop(net);
    net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ .protocols = "own2,own1" });
    SSL_CTX_set_alpn_protos(context, own, sizeof own - 1);
    agreed(net, context, "own1");
    SSL_CTX_free(context);
    tls_stop(net);
}

#ifdef CRE_HAVE_HTTP2
/* RFC 9113 section 9.2.2 */
TEST(http2_needs_a_modern_cipher) {
    static const unsigned char both[] = "\2h2\10http/1.1", modern[] = "\2h2";
    static const char *const lists[] = { NULL, "h2,http/1.1", "h2" };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        net_server *net = tls_start(
            (cre_engine_config){ 0 },
            (cre_tls_config){ .protocols = lists[i],
                              .ciphers = "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256" });
        SSL_CTX *context = client_context(&authority, TLS1_2_VERSION);
        CHECK(SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-GCM-SHA256"));
        SSL_CTX_set_alpn_protos(context, both, sizeof both - 1);
        agreed(net, context, "h2");
        CHECK(SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-SHA256"));
        if (i < 2) agreed(net, context, "http/1.1");
        if (i == 2) refused(net, context, "no application protocol");
        SSL_CTX_set_alpn_protos(context, modern, sizeof modern - 1);
        refused(net, context, "no application protocol");
        SSL_CTX_free(context);
        tls_stop(net);
    }
}
#endif

TEST(a_port_for_datagrams_has_no_tls) {
    cre_port_options ports[] = { { .size = sizeof(cre_port_options) },
                                 { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_DATAGRAM } };
    net_server *net =
        tls_start((cre_engine_config){ .ports = ports, .port_count = 2 }, (cre_tls_config){ 0 });
    cre_listen_options where = { .size = sizeof where, .host = "127.0.0.1", .tls = net->context };
    CHECK_EQ(cre_engine_listen(net->engine, &where, NULL), CRE_EINVALID);
    where.tls = NULL;
    CHECK_EQ(cre_engine_listen(net->engine, &where, NULL), 0);
    tls_stop(net);
}

/* ---- sessions and reloads ---- */

static SSL_SESSION *session_of(net_server *net, SSL_CTX *context, SSL_SESSION *resumed, bool expected) {
    tls_client client = tls_new(net, context, "localhost");
    if (resumed) SSL_set_session(client.ssl, resumed);
    CHECK(tls_shake(&client));
    tls_write_text(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    tls_expect_response(&client, 200, "hello"); /* the ticket of 1.3 comes before it */
    CHECK_EQ(SSL_session_reused(client.ssl), expected);
    SSL_SESSION *session = SSL_get1_session(client.ssl);
    SSL_shutdown(client.ssl); /* or OpenSSL forgets the session */
    tls_push_out(&client);
    tls_close(&client);
    SSL_SESSION_free(resumed);
    return session;
}

static void reload(net_server *net, const identity *made) {
    cre_tls_certificate own = certificate_of(made, NULL);
    char why[CRE_TLS_MESSAGE];
    CHECK_EQ(cre_tls_reload(
                 net->context,
                 &(cre_tls_config){ .size = sizeof(cre_tls_config), .certificates = &own, .count = 1 }, why),
             0);
}

TEST(sessions_are_resumed) {
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
        SSL_CTX *context = client_context(&authority, version);
        SSL_SESSION *session = session_of(net, context, NULL, false);
        session = session_of(net, context, session, true);
        reload(net, &server); /* tickets stay good */
        session = session_of(net, context, session, true);
        CHECK_EQ(net_stats(net).tls_resumed, 2);
        SSL_SESSION_free(session);
        SSL_CTX_free(context);
        tls_stop(net);
    }
}

TEST(reload_changes_only_what_comes) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    SSL_CTX *context = client_context(&authority, 0);
    tls_client before = tls_connect(net, context, NULL), during = tls_new(net, context, NULL);
    tls_upgrade(&before);
    CHECK_EQ(SSL_do_handshake(during.ssl), -1);
    tls_push_out(&during);
    NET_UNTIL(net, net->engine->net.open == 2);
    net_settle(net);
    reload(net, &other_server);
    names_itself(net, context, NULL, "other.example");
    CHECK(tls_shake(&during));
    tls_write_text(&during, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    tls_expect_response(&during, 200, "hello");
    tls_ws_echo(&before, "still there");
    /* What is broken changes nothing. */
    char why[CRE_TLS_MESSAGE];
    cre_tls_certificate broken = { .size = sizeof broken, .chain.file = "/nowhere/server.pem" };
    CHECK_EQ(cre_tls_reload(
                 net->context,
                 &(cre_tls_config){ .size = sizeof(cre_tls_config), .certificates = &broken, .count = 1 },
                 why),
             CRE_ETLS_CONFIG);
    CHECK_STR(why, "/nowhere/server.pem: No such file or directory");
    names_itself(net, context, NULL, "other.example");
    tls_close(&before);
    tls_close(&during);
    SSL_CTX_free(context);
    tls_stop(net);
}

#endif

TEST_MAIN()
