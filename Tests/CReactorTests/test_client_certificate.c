/* Certificates of clients: what of them reaches the owner of an engine, and what they contain. */
#ifndef CRE_HAVE_TLS
#include <creactor/internal/certificate.h>

#include "test.h"

TEST(nothing_without_tls) {
    cre_certificate *read;
    CHECK_EQ(cre_certificate_read((const uint8_t *)"0", 1, &read), CRE_EUNSUPPORTED);
}

#else
#include <creactor/internal/certificate.h>

#include "tls_net.h"

#include <openssl/sha.h>

static const char request_text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/* The certificate and the body of the last event with one. */
static struct seen {
    int requests, opens, connects;
    uint8_t certificate[CRE_TLS_MAX_CERTIFICATE];
    size_t length;
    uint8_t body[200000];
    size_t body_length;
} seen;

static void note(const uint8_t *bytes, size_t length) {
    REQUIRE(length <= sizeof seen.certificate);
    if (length) memcpy(seen.certificate, bytes, length);
    seen.length = length;
}

static int on_event(net_server *net, const cre_record *event, uint8_t *payload) {
    cre_request_view view;
    if (event->kind == CRE_EVENT_REQUEST || event->kind == CRE_EVENT_OPEN) {
        REQUIRE(cre_request_view_init(&view, payload, event->length) == 0);
        note(view.certificate, view.certificate_length);
        REQUIRE(view.body_length <= sizeof seen.body);
        memcpy(seen.body, view.body, view.body_length);
        seen.body_length = view.body_length;
    }
    if (event->kind == CRE_EVENT_OPEN) seen.opens++;
    if (event->kind == CRE_EVENT_CONNECT) {
        seen.connects++;
        note(payload, event->length);
    }
    if (event->kind == CRE_EVENT_RECEIVE) {
        const cre_record send = { .kind = CRE_COMMAND_SEND, .session = event->session };
        CHECK_EQ(cre_engine_command(net->engine, &send, &(cre_slice){ payload, event->length }, 1), 0);
    }
    if (event->kind == CRE_EVENT_REQUEST) {
        seen.requests++;
        CHECK_EQ(cre_engine_respond(net->engine, event->session, 200, NULL, "hello", 5), 0);
    }
    return 0;
}

static net_server *start(cre_tls_clients clients, cre_engine_config config) {
    const cre_tls_config tls = { .clients = clients, .client_authorities = in_memory(authority.chain_pem) };
    net_server *net = tls_start(config, tls);
    net->act = on_event;
    seen = (struct seen){ 0 };
    return net;
}

static SSL_CTX *context_of(const identity *who, int version) {
    SSL_CTX *context = client_context(&authority, version);
    if (who) {
        SSL_CTX_use_certificate(context, who->certificate);
        SSL_CTX_use_PrivateKey(context, who->key);
    }
    return context;
}

static void expect_certificate(const identity *who) {
    uint8_t *expected = NULL;
    const int length = who ? i2d_X509(who->certificate, &expected) : 0;
    CHECK_EQ(seen.length, (size_t)length);
    if (length) CHECK_MEM(seen.certificate, expected, (size_t)length);
    OPENSSL_free(expected);
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

TEST(requests_have_the_certificate) {
    identity guest = make_identity("guest", &authority);
    for (int i = 0; i < 2; i++) {
        net_server *net = start(CRE_TLS_CLIENTS_OPTIONAL, (cre_engine_config){ .max_body = 200000 });
        SSL_CTX *with = context_of(&guest, versions[i]), *without = context_of(NULL, versions[i]);
        tls_client client = tls_connect(net, with, NULL);
        tls_write(&client, request_text, sizeof request_text - 1);
        tls_expect_response(&client, 200, "hello");
        expect_certificate(&guest);
        CHECK_EQ(seen.body_length, 0);
        /* A body that arrives with its head, and one that does not. */
        tls_write_text(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nsome-body");
        tls_expect_response(&client, 200, "hello");
        expect_certificate(&guest);
        CHECK_EQ(seen.body_length, 9);
        CHECK_MEM(seen.body, "some-body", 9);
        tls_write_text(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 150000\r\n\r\n");
        uint8_t *body = calloc(1, 150000);
        REQUIRE(body != NULL);
        body[149999] = 7;
        for (int at = 0; at < 150000; at += 15000)
            tls_write(&client, body + at, 15000);
        tls_expect_response(&client, 200, "hello");
        expect_certificate(&guest);
        CHECK_EQ(seen.body_length, 150000);
        CHECK_MEM(seen.body, body, 150000);
        free(body);
        /* A handshake, whose OPEN has it, too. */
        tls_upgrade(&client);
        CHECK_EQ(seen.opens, 1);
        expect_certificate(&guest);
        tls_close(&client);

        client = tls_connect(net, without, NULL);
        tls_write(&client, request_text, sizeof request_text - 1);
        tls_expect_response(&client, 200, "hello");
        expect_certificate(NULL);
        tls_close(&client);
        SSL_CTX_free(with);
        SSL_CTX_free(without);
        tls_stop(net);
    }
    free_identity(&guest);
}

TEST(a_resumed_session_has_the_certificate) {
    identity guest = make_identity("guest", &authority);
    for (int i = 0; i < 2; i++) {
        net_server *net = start(CRE_TLS_CLIENTS_REQUIRED, (cre_engine_config){ 0 });
        SSL_CTX *context = context_of(&guest, versions[i]);
        tls_client first = tls_connect(net, context, NULL);
        tls_write(&first, request_text, sizeof request_text - 1);
        tls_expect_response(&first, 200, "hello");
        SSL_SESSION *session = SSL_get1_session(first.ssl);
        SSL_shutdown(first.ssl); /* or OpenSSL forgets the session */
        tls_push_out(&first);
        tls_close(&first);
        seen.length = 0;
        tls_client second = tls_new(net, context, NULL);
        SSL_set_session(second.ssl, session);
        CHECK(tls_shake(&second));
        CHECK(SSL_session_reused(second.ssl));
        tls_write(&second, request_text, sizeof request_text - 1);
        tls_expect_response(&second, 200, "hello");
        expect_certificate(&guest);
        tls_close(&second);
        SSL_SESSION_free(session);
        SSL_CTX_free(context);
        tls_stop(net);
    }
    free_identity(&guest);
}

TEST(streams_have_the_certificate) {
    identity guest = make_identity("guest", &authority);
    const cre_port_options raw = { .size = sizeof raw, .protocol = CRE_PROTOCOL_STREAM };
    for (int present = 0; present < 2; present++) {
        net_server *net =
            start(CRE_TLS_CLIENTS_OPTIONAL, (cre_engine_config){ .ports = &raw, .port_count = 1 });
        SSL_CTX *context = context_of(present ? &guest : NULL, 0);
        tls_client client = tls_connect(net, context, NULL);
        tls_write_text(&client, "some-bytes");
        tls_expect(&client, "some-bytes", 10);
        CHECK_EQ(seen.connects, 1);
        expect_certificate(present ? &guest : NULL);
        tls_close(&client);
        SSL_CTX_free(context);
        tls_stop(net);
    }
    free_identity(&guest);
}

/* Signs again, since an extension was added. */
static void enlarge(identity *who, size_t length) {
    char *comment = malloc(length + 1);
    REQUIRE(comment != NULL);
    memset(comment, 'x', length);
    comment[length] = 0;
    add_extension(who->certificate, authority.certificate, NID_netscape_comment, comment);
    REQUIRE(X509_sign(who->certificate, authority.key, EVP_sha256()) > 0);
    free(comment);
}

TEST(a_large_certificate_is_refused) {
    identity large = make_identity("large", &authority), too_large = make_identity("too-large", &authority);
    enlarge(&large, 15000);
    enlarge(&too_large, 17000);
    net_server *net = start(CRE_TLS_CLIENTS_OPTIONAL, (cre_engine_config){ 0 });
    SSL_CTX *context = context_of(&large, 0), *refused = context_of(&too_large, 0);
    tls_client client = tls_connect(net, context, NULL);
    tls_write(&client, request_text, sizeof request_text - 1);
    tls_expect_response(&client, 200, "hello");
    expect_certificate(&large);
    tls_close(&client);
    tls_client other = tls_new(net, refused, NULL);
    tls_shake(&other);
    tls_await_end(&other);
    CHECK_EQ(tls_failures, 1);
    CHECK_STR(tls_failure, "application verification failure");
    CHECK_EQ(seen.requests, 1);
    tls_close(&other);
    SSL_CTX_free(context);
    SSL_CTX_free(refused);
    tls_stop(net);
    free_identity(&large);
    free_identity(&too_large);
}

TEST(a_payload_that_ends_in_its_certificate_is_refused) {
    struct {
        cre_http_head head;
        uint8_t behind[8];
    } payload = { .head = { .flags = CRE_HTTP_CLIENT_CERTIFICATE } };
    const uint32_t length = 3;
    memcpy(payload.behind, &length, sizeof length);
    const size_t whole = sizeof payload.head + sizeof length + length;
    cre_request_view view;
    for (size_t size = sizeof payload.head; size < whole; size++)
        CHECK_EQ(cre_request_view_init(&view, (const uint8_t *)&payload, (uint32_t)size), CRE_EINVALID);
    CHECK_EQ(cre_request_view_init(&view, (const uint8_t *)&payload, (uint32_t)whole + 1), 0);
    CHECK_EQ(view.certificate_length, 3);
    CHECK_EQ(view.body_length, 1);
    const uint32_t most = UINT32_MAX;
    memcpy(payload.behind, &most, sizeof most);
    CHECK_EQ(cre_request_view_init(&view, (const uint8_t *)&payload, (uint32_t)whole), CRE_EINVALID);
}

/* ---- contents ---- */

static void expect_text(cre_slice found, const char *expected) {
    CHECK_EQ(found.length, strlen(expected));
    if (found.length == strlen(expected)) CHECK_MEM(found.data, expected, found.length);
}

TEST(contents) {
    identity alice = make_identity("first", &authority);
    X509_NAME *subject = X509_get_subject_name(alice.certificate);
    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const uint8_t *)"Caf\xc3\xa9, Inc.", -1, -1, 0);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const uint8_t *)"alice", -1, -1, 0);
    add_extension(alice.certificate, authority.certificate, NID_ext_key_usage, "clientAuth");
    X509_EXTENSION_free(
        X509_delete_ext(alice.certificate, X509_get_ext_by_NID(alice.certificate, NID_subject_alt_name, -1)));
    add_extension(alice.certificate, authority.certificate, NID_subject_alt_name,
                  "email:alice@example.com,URI:spiffe://example.com/a,DNS:a.example.com,RID:1.2.3,"
                  "IP:192.0.2.7,IP:2001:db8::1,DNS:two words");
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(alice.certificate), 0x2f0a);
    ASN1_TIME_set(X509_getm_notBefore(alice.certificate), 1000000000);
    ASN1_TIME_set(X509_getm_notAfter(alice.certificate), 4000000000);
    X509_sign(alice.certificate, authority.key, EVP_sha256());
    uint8_t *der = NULL;
    const int length = i2d_X509(alice.certificate, &der);
    cre_certificate *read = NULL;
    REQUIRE(cre_certificate_read(der, (size_t)length, &read) == 0);
    expect_text(read->subject, "CN=alice,O=Caf\xc3\xa9\\, Inc.,CN=first");
    expect_text(read->issuer, "CN=authority");
    expect_text(read->common_name, "alice");
    CHECK_EQ(read->serial.length, 2);
    CHECK_MEM(read->serial.data, "\x2f\x0a", 2);
    CHECK_EQ(read->not_before, 1000000000);
    CHECK_EQ(read->not_after, 4000000000);
    static const struct {
        cre_certificate_name_kind kind;
        const char *value;
        size_t length;
    } names[] = {
        { CRE_CERTIFICATE_EMAIL, "alice@example.com", 17 },
        { CRE_CERTIFICATE_URI, "spiffe://example.com/a", 22 },
        { CRE_CERTIFICATE_DNS, "a.example.com", 13 },
        { CRE_CERTIFICATE_ADDRESS, "\xc0\x00\x02\x07", 4 },
        { CRE_CERTIFICATE_ADDRESS, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16 },
    };
    const size_t count = sizeof names / sizeof *names;
    CHECK_EQ(read->name_count, count);
    for (size_t i = 0; i < count && i < read->name_count; i++) {
        CHECK_EQ(read->names[i].kind, names[i].kind);
        CHECK_EQ(read->names[i].value.length, names[i].length);
        CHECK_MEM(read->names[i].value.data, names[i].value, names[i].length);
    }
    unsigned char digest[32];
    SHA256(der, (size_t)length, digest);
    CHECK_MEM(read->fingerprint, digest, sizeof digest);
    cre_certificate_free(read);
    /* Cut, with more behind it, and nothing. */
    for (int size = 0; size < length; size++)
        CHECK_EQ(cre_certificate_read(der, (size_t)size, &read), CRE_EINVALID);
    uint8_t *longer = calloc(1, (size_t)length + 1);
    REQUIRE(longer != NULL);
    memcpy(longer, der, (size_t)length);
    CHECK_EQ(cre_certificate_read(longer, (size_t)length + 1, &read), CRE_EINVALID);
    free(longer);
    OPENSSL_free(der);
    cre_certificate_free(NULL);
    free_identity(&alice);
}

static uint8_t *guest_der;
static int guest_length;

static bool read_guest(void) {
    cre_certificate *read = NULL;
    int result = cre_certificate_read(guest_der, (size_t)guest_length, &read);
    CHECK(result == 0 || result == CRE_ENOMEM);
    if (!result) cre_certificate_free(read);
    return !result;
}

TEST(without_memory_there_are_no_contents) {
    identity guest = make_identity("guest", &authority);
    guest_length = i2d_X509(guest.certificate, &guest_der);
    test_fail_each_allocation(read_guest);
    OPENSSL_free(guest_der);
    free_identity(&guest);
}

TEST(a_name_with_a_zero_byte_is_no_common_name) {
    identity odd = make_identity("x", &authority);
    X509_NAME *subject = X509_get_subject_name(odd.certificate);
    X509_NAME_ENTRY_free(X509_NAME_delete_entry(subject, 0));
    X509_NAME_add_entry_by_txt(subject, "CN", V_ASN1_UTF8STRING, (const uint8_t *)"admin\0.evil", 11, -1, 0);
    X509_sign(odd.certificate, authority.key, EVP_sha256());
    uint8_t *der = NULL;
    const int length = i2d_X509(odd.certificate, &der);
    cre_certificate *read = NULL;
    REQUIRE(cre_certificate_read(der, (size_t)length, &read) == 0);
    CHECK_EQ(read->common_name.length, 0);
    expect_text(read->subject, "CN=admin\\00.evil");
    cre_certificate_free(read);
    OPENSSL_free(der);
    free_identity(&odd);
}
#endif

TEST_MAIN()
