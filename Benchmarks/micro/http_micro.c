/*
 * Nanoseconds per request head, per response head and per handshake, on one core.
 *
 *   cc -O3 -D_GNU_SOURCE -Iinclude -ISources/CReactor Benchmarks/micro/http_micro.c \
 *       Sources/CReactor/http/(all).c Sources/CReactor/core/(all).c -o http_micro && ./http_micro
 *
 * Each row is the best of several rounds: other work on the machine only ever adds. An argument runs only the
 * rows whose names contain it, a second one sets the number of rounds (for instruction counts: one).
 */
#include <creactor/handshake.h>
#include <creactor/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http/head_internal.h"

static const char small[] = "GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n";

static const char browser[] =
    "GET /articles/2026/05/some-title?page=2&sort=asc HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: max-age=0\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 "
    "Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Referer: https://www.example.com/articles/2026/05/\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    "\r\n";

static const char upgrade[] = "GET /chat HTTP/1.1\r\n"
                              "Host: server.example.com\r\n"
                              "Upgrade: websocket\r\n"
                              "Connection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "Origin: http://example.com\r\n"
                              "Sec-WebSocket-Protocol: chat, superchat\r\n"
                              "Sec-WebSocket-Version: 13\r\n\r\n";

static cre_http_head head;
static cre_http_field fields[100];
static volatile int sink;

static void parse(const char *text, size_t size) {
    /* the compiler must not see that nothing changes */
    __asm__ volatile("" : "+r"(text) : : "memory");
    sink = cre_http_parse_request((const uint8_t *)text, size, 0, NULL, &head, fields);
}

static void run_small(void) {
    parse(small, sizeof small - 1);
}

static void run_browser(void) {
    parse(browser, sizeof browser - 1);
}

/* The same head split by a slow sender: the first call sees all but the last byte. */
static void run_late(void) {
    const char *text = browser;
    __asm__ volatile("" : "+r"(text) : : "memory");
    sink = cre_http_parse_request((const uint8_t *)text, sizeof browser - 1, sizeof browser - 2, NULL, &head,
                                  fields);
}

static char pipelined[16 * (sizeof small - 1)];

static void run_pipelined(void) {
    const char *at = pipelined, *end = pipelined + sizeof pipelined;
    while (at < end) {
        parse(at, (size_t)(end - at));
        at += head.head_length;
    }
}

static const cre__http_job job = { .max_line = 8192, .max_fields = 100 };

static void run_with(cre__http_parser *parser, const char *text, size_t size) {
    __asm__ volatile("" : "+r"(text) : : "memory");
    sink = parser((const uint8_t *)text, (uint32_t)size, &job, &head, fields);
}

static void run_scalar(void) {
    run_with(cre__http_scalar_request, browser, sizeof browser - 1);
}

#if defined(__x86_64__)
static void run_ssse3(void) {
    run_with(cre__http_ssse3_request, browser, sizeof browser - 1);
}
#endif

static void run_handshake(void) {
    char out[300], accept[CRE_WS_ACCEPT_LENGTH];
    cre_ws_handshake handshake;
    parse(upgrade, sizeof upgrade - 1);
    sink = cre_ws_request_check(&head, fields, (const uint8_t *)upgrade, &handshake);
    cre_ws_accept(handshake.key, accept);
    sink = cre_ws_write_response(out, sizeof out, accept, NULL, NULL, NULL, 0);
}

static void run_response(void) {
    static const cre_http_header list[] = { { "Content-Type", "text/plain", 12, 10 } };
    char out[300];
    const cre_http_response response = { .status = 200,
                                         .minor = 1,
                                         .keep_alive = true,
                                         .has_length = true,
                                         .content_length = 13,
                                         .date = "Sun, 06 Nov 1994 08:49:37 GMT",
                                         .fields = list,
                                         .field_count = 1 };
    sink = cre_http_write_response(out, sizeof out, &response);
}

static const struct {
    const char *name;
    void (*run)(void);
    int heads;
} rows[] = {
    { "request, 40 bytes", run_small, 1 },
    { "request, 40 bytes, 16 pipelined", run_pipelined, 16 },
    { "request, browser", run_browser, 1 },
    { "request, browser, last byte late", run_late, 1 },
    { "request, browser, plain C", run_scalar, 1 },
#if defined(__x86_64__)
    { "request, browser, SSSE3", run_ssse3, 1 },
#endif
    { "handshake, read and answered", run_handshake, 1 },
    { "response head", run_response, 1 },
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int argc, char **argv) {
    const int rounds = argc > 2 ? atoi(argv[2]) : 20, calls = 20000;
    for (int i = 0; i < 16; i++)
        memcpy(pipelined + (size_t)i * (sizeof small - 1), small, sizeof small - 1);
    printf("browser's request: %zu bytes\n", sizeof browser - 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double best = 1e30;
        if (argc > 1 && !strstr(rows[i].name, argv[1])) continue;
        for (int round = 0; round < rounds; round++) {
            const double start = now();
            for (int call = 0; call < calls; call++)
                rows[i].run();
            const double spent = (now() - start) / calls / rows[i].heads;
            if (spent < best) best = spent;
        }
        printf("%-36s %8.1f ns\n", rows[i].name, best);
    }
    return 0;
}
