/* HTTP/2 of clients, against the server of nghttp2. */
#include <creactor/http_client.h>

#include "test.h"

#ifndef CRE_HAVE_HTTP2
TEST(nothing_without_http2) {
    CHECK(true);
}
TEST_MAIN()
#else
#include "http_record.h"
#include "nghttpd_process.h"

enum { REQUESTS = 40, LARGE = 3000000 };

static uint8_t large[LARGE];

/* A connection to nghttpd, and the requests that it carries. */
typedef struct fixture {
    net_server *net; /* turns the loop */
    http_record own, requests[REQUESTS];
} fixture;

static void write_files(void) {
    for (int i = 0; i < LARGE; i++)
        large[i] = (uint8_t)(i * 7 + i / 251);
    nghttpd_write("hello", "hello world.", 12);
    nghttpd_write("large", (const char *)large, LARGE);
#ifdef CRE_HAVE_TLS
    nghttpd_write("chain.pem", server.chain_pem, strlen(server.chain_pem));
    nghttpd_write("key.pem", server.key_pem, strlen(server.key_pem));
#endif
}

static void open_connection(fixture *it, uint16_t port, cre_tls_client *tls, uint32_t http2) {
    memset(it, 0, sizeof *it);
    it->net = start();
    cre_http_client_options options = http_options(&it->own, port);
    options.tls = tls;
    options.http2 = http2;
    http_start(&it->own, it->net, &options);
    NET_UNTIL(it->net, it->own.opened || it->own.closed);
    CHECK_EQ(it->own.ending.error, 0);
    cre_http_client_carrier carrier = { 0 };
    if (it->own.client) cre_http_client_get_carrier(it->own.client, &carrier, sizeof carrier);
    CHECK(carrier.http2 && carrier.room > 0 && !carrier.leaving);
}

static void close_connection(fixture *it) {
    cre_clients_destroy(it->own.clients);
    for (int i = 0; i < REQUESTS; i++)
        free(it->requests[i].body);
    net_stop(it->net);
}

static http_record *open_request(fixture *it, int index) {
    http_record *request = &it->requests[index];
    cre_http_client_options options = http_options(request, 0);
    options.carrier = it->own.client;
    options.max_queue = 100000;
    REQUIRE(cre_http_client_connect(it->own.clients, &options, &request->client) == 0);
    NET_UNTIL(it->net, request->opened);
    return request;
}

static void check_response(fixture *it, http_record *request, unsigned status, const void *body,
                           size_t length) {
    NET_UNTIL(it->net, request->closed);
    CHECK_EQ(request->ending.error, 0);
    CHECK_EQ(request->complete, 1);
    CHECK_EQ(request->status, status);
    CHECK_EQ(request->length, length);
    if (length && request->length == length) CHECK(memcmp(request->body, body, length) == 0);
}

static void check_hello(fixture *it, int index) {
    http_record *request = open_request(it, index);
    get(request, "/hello");
    check_response(it, request, 200, "hello world.", 12);
}

static const char *const nothing[] = { NULL };

TEST(files_and_errors) {
    static fixture it;
    write_files();
    open_connection(&it, nghttpd_start(false, nothing), NULL, CRE_HTTP_CLIENT_HTTP2_ONLY);
    check_hello(&it, 0);
    http_record *head = open_request(&it, 1), *missing = open_request(&it, 2);
    const cre_http_request request = { .method = "HEAD", .target = "/large", .host = "a" };
    CHECK_EQ(cre_http_client_send(head->client, &request, NULL, 0), 0);
    get(missing, "/missing");
    check_response(&it, head, 200, NULL, 0);
    NET_UNTIL(it.net, missing->closed);
    CHECK_EQ(missing->status, 404);
    CHECK_EQ(missing->complete, 1);
    check_hello(&it, 3);
    close_connection(&it);
    nghttpd_stop();
}

/* Each response is larger than the windows, and one is read slowly. */
TEST(many_large_responses_at_the_same_time) {
    static fixture it;
    write_files();
    open_connection(&it, nghttpd_start(false, nothing), NULL, CRE_HTTP_CLIENT_HTTP2_ONLY);
    http_record *slow = open_request(&it, 0);
    slow->pause_each = true;
    get(slow, "/large");
    NET_UNTIL(it.net, slow->heads);
    for (int i = 1; i < 8; i++) {
        open_request(&it, i);
        get(&it.requests[i], "/large");
    }
    for (int i = 1; i < 8; i++)
        check_response(&it, &it.requests[i], 200, large, LARGE);
    CHECK_EQ(slow->closed, 0);
    CHECK_EQ(slow->length, 0);
    slow->pause_each = false;
    cre_http_client_resume(slow->client);
    check_response(&it, slow, 200, large, LARGE);
    close_connection(&it);
    nghttpd_stop();
}

/* The server's limit of streams is respected: a request beyond it is refused here, not there. */
TEST(many_requests_with_a_limit_of_the_server) {
    static const char *const options[] = { "-m", "20", NULL };
    static fixture it;
    write_files();
    open_connection(&it, nghttpd_start(false, options), NULL, CRE_HTTP_CLIENT_HTTP2_ONLY);
    for (int i = 0; i < 20; i++)
        open_request(&it, i);
    cre_http_client_options one_more = http_options(&it.requests[20], 0);
    one_more.carrier = it.own.client;
    CHECK_EQ(cre_http_client_connect(it.own.clients, &one_more, &it.requests[20].client), CRE_ELIMIT);
    for (int i = 0; i < 20; i++)
        get(&it.requests[i], "/hello");
    for (int i = 0; i < 20; i++)
        check_response(&it, &it.requests[i], 200, "hello world.", 12);
    for (int i = 20; i < REQUESTS; i++)
        check_hello(&it, i);
    close_connection(&it);
    nghttpd_stop();
}

/* Uploads through small windows of the server, padded frames, and trailers behind the echoed body. */
TEST(uploads_and_trailers) {
    static const char *const options[] = { "--echo-upload", "--trailer",        "x-sum: 1", "--padding",
                                           "100",           "--window-bits=14", NULL };
    static fixture it;
    write_files();
    open_connection(&it, nghttpd_start(false, options), NULL, CRE_HTTP_CLIENT_HTTP2_ONLY);
    http_record *upload = open_request(&it, 0);
    const cre_http_request request = { .method = "POST", .target = "/echo", .host = "a", .chunked = true };
    CHECK_EQ(cre_http_client_send(upload->client, &request, NULL, 0), 0);
    upload->unsent = 500000; /* of zeros */
    http_send_body(upload, upload->client);
    memset(large, 0, 500000);
    check_response(&it, upload, 200, large, 500000);
    CHECK_STR(upload->trailers, "x-sum=1;");
    CHECK(upload->drained > 0);
    check_hello(&it, 1);
    close_connection(&it);
    nghttpd_stop();
}

/* A response that nobody wants any more, and a server that dies. */
TEST(resets_and_a_lost_server) {
    static fixture it;
    write_files();
    open_connection(&it, nghttpd_start(false, nothing), NULL, CRE_HTTP_CLIENT_HTTP2_ONLY);
    http_record *aborted = open_request(&it, 0);
    aborted->abort_in_head = true;
    get(aborted, "/large");
    NET_UNTIL(it.net, aborted->heads);
    check_hello(&it, 1);
    http_record *lost = open_request(&it, 2);
    lost->pause_each = true;
    get(lost, "/large");
    NET_UNTIL(it.net, lost->heads);
    nghttpd_stop();
    lost->pause_each = false;
    cre_http_client_resume(lost->client);
    NET_UNTIL(it.net, lost->closed && it.own.closed);
    CHECK(lost->ending.error != 0);
    CHECK_EQ(lost->complete, 0);
    close_connection(&it);
}

#ifdef CRE_HAVE_TLS
TEST(over_tls_by_alpn) {
    static fixture it;
    write_files();
    cre_tls_client *tls = client_of(
        (cre_tls_client_config){ .authorities = in_memory(authority.chain_pem), .protocols = "h2,http/1.1" });
    open_connection(&it, nghttpd_start(true, nothing), tls, CRE_HTTP_CLIENT_NEGOTIATES);
    check_hello(&it, 0);
    http_record *request = open_request(&it, 1);
    get(request, "/large");
    check_response(&it, request, 200, large, LARGE);
    close_connection(&it);
    cre_tls_client_release(tls);
    nghttpd_stop();
}
#endif

int main(int argc, char **argv) {
    return nghttpd_test_main(argc, argv);
}
#endif
