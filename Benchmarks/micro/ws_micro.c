/*
 * Throughput of unmasking and UTF-8 validation next to memcpy, and the time to parse one short frame.
 * Best of several rounds of CPU time, so that other load on the machine shows as little as possible.
 *
 *   cc -O3 -D_GNU_SOURCE -Iinclude Benchmarks/micro/ws_micro.c -o ws_micro libcreactor.a -lz
 */
#include <creactor/websocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { rounds = 15, most = 1 << 20 };

static uint8_t *buffer, *other;
static const uint8_t key[4] = { 0x37, 0xFA, 0x21, 0x8D };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#define KEEP(value) __asm__ volatile("" : : "r"(value) : "memory")

static void run_copy(size_t size) {
    memcpy(other, buffer, size);
    KEEP(other);
}

static void run_mask(size_t size) {
    cre_ws_mask(buffer, size, key, 0);
    KEEP(buffer);
}

static void run_utf8(size_t size) {
    bool valid = cre_utf8_valid(buffer, size);
    KEEP(valid);
}

static double gigabytes(void (*run)(size_t), size_t size) {
    size_t times = ((size_t)64 << 20) / size / 8 + 1;
    double best = 1e9;
    for (int round = 0; round < rounds; round++) {
        double start = now();
        for (size_t i = 0; i < times; i++)
            run(size);
        double took = now() - start;
        if (took < best) best = took;
    }
    return (double)size * (double)times / best * 1e-9;
}

static void fill(const char *text) {
    size_t length = strlen(text), at = 0;
    for (; at + length <= most; at += length)
        memcpy(buffer + at, text, length);
    memset(buffer + at, 'x', most - at);
}

/* A read buffer full of frames, parsed again and again; the copy back is measured alone and taken off. */
static void frames(const char *name, uint8_t opcode, const uint8_t *payload, size_t length) {
    size_t size = 0, count = 0;
    while (size + length + CRE_WS_MAX_HEADER < 65536) {
        size += cre_ws_pack(other + size, most - size, opcode | CRE_WS_FIN, payload, length, key);
        count++;
    }
    const cre_ws_config config = { 0 };
    cre_ws_session session;
    cre_ws_session_init(&session, &config);
    double best = 1e9, best_copy = 1e9;
    for (int round = 0; round < 400; round++) {
        double start = now();
        memcpy(buffer, other, size);
        KEEP(buffer);
        double middle = now();
        uint8_t *cursor = buffer;
        cre_ws_event event;
        size_t seen = 0;
        while (cre_ws_session_next(&session, &cursor, buffer + size, &event) == 1)
            seen += event.length;
        double end = now();
        if (seen != count * length) exit(1);
        if (middle - start < best_copy) best_copy = middle - start;
        if (end - middle < best) best = end - middle;
    }
    cre_ws_session_deinit(&session);
    printf("%-24s %5zu bytes %8.1f ns a frame (memcpy of the same: %.1f)\n", name, length,
           best / (double)count * 1e9, best_copy / (double)count * 1e9);
}

int main(void) {
    static const size_t sizes[] = { 64, 1024, 65536, most };
    buffer = aligned_alloc(64, most);
    other = aligned_alloc(64, most);
    if (!buffer || !other) return 1;
    fill("The quick brown fox jumps over the lazy dog. ");
    memset(other, 0, most);

    printf("%-24s %9s %9s %9s %9s\n", "GB/s", "64 B", "1 KiB", "64 KiB", "1 MiB");
    static const struct {
        const char *name, *text;
        void (*run)(size_t);
    } lines[] = {
        { "memcpy", "", run_copy },
        { "unmask", "", run_mask },
        { "UTF-8, ASCII", "The quick brown fox jumps over the lazy dog. ", run_utf8 },
        { "UTF-8, CJK", "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E", run_utf8 },
        { "UTF-8, mixed", "na\xC3\xAFve caf\xC3\xA9 costs 3 \xE2\x82\xAC \xF0\x9F\x98\x80 ", run_utf8 },
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (*lines[i].text) fill(lines[i].text);
        printf("%-24s", lines[i].name);
        for (size_t n = 0; n < 4; n++)
            printf(" %9.1f", gigabytes(lines[i].run, sizes[n]));
        printf("\n");
    }
    printf("\n");

    uint8_t text[4096];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)('a' + i % 26);
    frames("binary", CRE_WS_BINARY, text, 64);
    frames("text, ASCII", CRE_WS_TEXT, text, 64);
    for (size_t i = 0; i + 3 <= sizeof text; i += 3)
        memcpy(text + i, "\xE6\x97\xA5", 3);
    frames("text, CJK", CRE_WS_TEXT, text, 63);
    frames("binary", CRE_WS_BINARY, text, 8);
    frames("binary", CRE_WS_BINARY, text, 1024);
    frames("text, CJK", CRE_WS_TEXT, text, 1023);
    free(buffer);
    free(other);
    return 0;
}
