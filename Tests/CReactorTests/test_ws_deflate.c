#include <creactor/websocket_deflate.h>

#include "test.h"

#ifdef CRE_HAVE_DEFLATE
#include "ws/ws_deflate_pool.h"

static const cre_ws_deflate_parameters full = { .server_window_bits = 15, .client_window_bits = 15 };
static const cre_ws_deflate_parameters frugal = { .server_no_context_takeover = true,
                                                  .client_no_context_takeover = true,
                                                  .server_window_bits = 15,
                                                  .client_window_bits = 15 };

/* A receiving client with its state, fed with unmasked frames. */
typedef struct receiver {
    cre_ws_config config;
    cre_ws_deflate_pool *pool;
    cre_ws_deflate deflate;
    cre_ws_session session;
} receiver;

static bool start(receiver *r, const cre_ws_deflate_parameters *agreed, uint64_t limit) {
    *r = (receiver){ .config = { .client = true, .max_message = limit } };
    if (cre_ws_deflate_pool_create(
            &(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config), .threshold = 1 }, &r->pool) != 0)
        return false;
    cre_ws_deflate_init(&r->deflate, r->pool, agreed, true);
    cre_ws_session_init(&r->session, &r->config);
    cre_ws_session_set_deflate(&r->session, &r->deflate);
    return true;
}

static void stop(receiver *r) {
    cre_ws_session_deinit(&r->session);
    cre_ws_deflate_deinit(&r->deflate);
    cre_ws_deflate_pool_destroy(r->pool);
}

/* Feeds pieces of `piece` bytes (0: one piece, `split`: two) and describes the events in `text`. */
static const char *receive(receiver *r, const uint8_t *data, size_t size, size_t piece, size_t split) {
    static char text[1 << 15];
    size_t length = 0;
    text[0] = 0;
    guard_page guard = guard_make(size + 1);
    for (size_t i = 0; i < size;) {
        size_t n = piece ? piece : split > i ? split - i : size - i;
        if (n > size - i) n = size - i;
        uint8_t *cursor = guard_place(&guard, data + i, n), *end = cursor + n;
        cre_ws_event event;
        int result;
        while ((result = cre_ws_session_next(&r->session, &cursor, end, &event)) == 1) {
            REQUIRE(length + event.length + 32 < sizeof text);
            length += (size_t)sprintf(text + length, "%d%s:", event.opcode, event.final ? "" : "+");
            memcpy(text + length, event.data, event.length);
            length += event.length;
            text[length++] = ';';
            text[length] = 0;
        }
        if (result < 0) {
            sprintf(text + length, "%s %u", cre_error_name(result) + 5, cre_ws_close_code(result));
            break;
        }
        i += n;
    }
    guard_free(&guard);
    return text;
}

static void expect(const cre_ws_deflate_parameters *agreed, uint64_t limit, const void *data, size_t size,
                   const char *expected) {
    for (size_t way = 0; way <= size + 3; way++) {
        receiver r;
        REQUIRE(start(&r, agreed, limit));
        size_t piece = way > size ? way - size : 0;
        CHECK_STR(receive(&r, data, size, piece, way), expected);
        if (!agreed->server_no_context_takeover) CHECK(!cre_ws_session_busy(&r.session));
        stop(&r);
    }
}

#define EXPECT(literal, expected)                                   \
    do {                                                            \
        expect(&full, 0, literal, sizeof(literal) - 1, expected);   \
        expect(&frugal, 0, literal, sizeof(literal) - 1, expected); \
    } while (0)

TEST(examples_of_rfc_7692) {
    EXPECT("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", "1:Hello;");
    EXPECT("\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", "1:Hello;");
    EXPECT("\x41\x03\xf2\x48\xcd\x89\x01!\x80\x04\xc9\xc9\x07\x00", "9:!;1:Hello;");
    /* Shared window: the second one refers to the first. */
    expect(&full, 0, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00", 16,
           "1:Hello;1:Hello;");
    expect(&frugal, 0, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00", 16,
           "1:Hello;WS_DEFLATE 1007");
    EXPECT("\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "1:Hello;"); /* stored */
    EXPECT("\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "1:Hello;");             /* a final block */
    /* The window outlives a final block. */
    expect(&full, 0, "\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00\xc1\x05\xf2\x00\x11\x00\x00", 17,
           "1:Hello;1:Hello;");
    EXPECT("\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "1:Hello;"); /* two blocks */
    EXPECT("\xc1\x01\x00", "1:;");
    EXPECT("\x81\x05Hello\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x82\x02ok", "1:Hello;1:Hello;2:ok;");
}

TEST(damaged_messages) {
    EXPECT("\xc1\x00", "WS_DEFLATE 1007");
    EXPECT("\xc1\x01\xff", "WS_DEFLATE 1007");
    EXPECT("\xc1\x06\xf2\x48\xcd\xc9\xc9\x07", "WS_DEFLATE 1007"); /* cut off */
    EXPECT("\xc1\x04\xf2\x48\xcd\xc9", "WS_DEFLATE 1007");
    EXPECT("\xc1\x08\xf2\x48\xcd\xc9\xc9\x07\x00\x55", "WS_DEFLATE 1007"); /* something behind the end */
    EXPECT("\xc1\x07\xf3\x48\xcd\xc9\xc9\x07\x00", "WS_DEFLATE 1007"); /* final, without the empty block */
    EXPECT("\xc1\x09\xf3\x48\xcd\xc9\xc9\x07\x00\x00\xff", "WS_DEFLATE 1007");
    EXPECT("\xc1\x0b\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00", "WS_DEFLATE 1007");
}

TEST(misplaced_rsv1) {
    EXPECT("\xc9\x00", "WS_RSV 1002");
    EXPECT("\xc8\x00", "WS_RSV 1002");
    EXPECT("\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\x00", "WS_RSV 1002");
    EXPECT("\xe1\x00", "WS_RSV 1002");
}

TEST(text_is_checked_after_inflating) {
    EXPECT("\xc1\x09\x00\x03\x00\xfc\xff\xe2\x82\xac\x00", "1:\xe2\x82\xac;");
    EXPECT("\xc1\x08\x00\x02\x00\xfd\xff\xe2\x82\x00", "WS_UTF8 1007");
    EXPECT("\xc2\x08\x00\x02\x00\xfd\xff\xe2\x82\x00", "2:\xe2\x82;");
}

TEST(fragments_of_compressed_messages_are_merged) {
    receiver r;
    REQUIRE(start(&r, &full, 0));
    r.config.fragments = true;
    const char *bytes = "\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00\x01\x01x\x80\x01y";
    CHECK_STR(receive(&r, (const uint8_t *)bytes, 17, 0, 0), "1:Hello;1+:x;0:y;");
    stop(&r);
}

/* ---- both sides together ---- */

typedef struct sender {
    cre_ws_deflate_pool *pool;
    cre_ws_deflate deflate;
} sender;

static uint32_t seed = 7;

static uint8_t random_byte(void) {
    seed = seed * 1664525u + 1013904223u;
    return (uint8_t)(seed >> 24);
}

/* Sends messages of all sizes and kinds from a server to a client that agreed on the same. */
static bool talk(const cre_ws_deflate_parameters *agreed, uint8_t level) {
    static uint8_t data[200000];
    const size_t sizes[] = { 0, 1, 2, 64, 1000, 40000, 40000, 100, sizeof data, 64, 65536 };
    bool complete = false;
    receiver r;
    sender s = { 0 };
    if (!start(&r, agreed, 0)) return false;
    if (cre_ws_deflate_pool_create(
            &(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config), .threshold = 1, .level = level },
            &s.pool) != 0)
        goto done;
    cre_ws_deflate_init(&s.deflate, s.pool, agreed, false);
    for (int kind = 0; kind < 3; kind++) {
        for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
            size_t length = sizes[n];
            for (size_t i = 0; i < length; i++)
                data[i] = kind == 0   ? 'a'
                          : kind == 1 ? (uint8_t)("{\"key\": 12345}"[i % 14] + (i % 1000 == 0))
                                      : random_byte();
            uint8_t *out, header[CRE_WS_MAX_HEADER];
            size_t size;
            int result = cre_ws_deflate_message(&s.deflate, data, length, &out, &size);
            if (result < 0) {
                CHECK_EQ(result, CRE_ENOMEM);
                goto done;
            }
            if (result == 0) CHECK(length == 0 || (!s.deflate.write_takeover));
            if (result == 0) out = data, size = length;
            /* Runs are all that the smallest window can make use of. */
            bool shrinks = kind == 0 || (kind == 1 && agreed->server_window_bits > 8);
            if (result && shrinks && length >= 1000) CHECK(size < length / 10);
            size_t head =
                cre_ws_header(header, CRE_WS_BINARY | CRE_WS_FIN | (result ? CRE_WS_RSV1 : 0), size, NULL);
            uint8_t *frame = malloc(head + size);
            REQUIRE(frame != NULL);
            memcpy(frame, header, head);
            if (size) memcpy(frame + head, out, size);
            cre_ws_event event = { 0 };
            size_t cut = n % 2 ? (head + size) / 2 : 0;
            uint8_t *cursor = frame;
            int got = cut ? cre_ws_session_next(&r.session, &cursor, frame + cut, &event) : 0;
            if (got == 0) got = cre_ws_session_next(&r.session, &cursor, frame + head + size, &event);
            if (got == 1) {
                CHECK_EQ(event.length, length);
                CHECK_MEM(event.data, data, event.length == length ? length : 0);
                got = cre_ws_session_next(&r.session, &cursor, frame + head + size, &event);
            }
            free(frame);
            if (got != 0) {
                CHECK_EQ(got, CRE_ENOMEM);
                goto done;
            }
        }
    }
    complete = true;
    if (agreed->server_no_context_takeover) CHECK(!s.deflate.deflater && !r.deflate.inflater);
done:
    stop(&r);
    if (s.pool) {
        cre_ws_deflate_deinit(&s.deflate);
        cre_ws_deflate_pool_destroy(s.pool);
    }
    return complete;
}

TEST(all_windows_with_and_without_takeover) {
    for (int bits = 8; bits <= 15; bits++) {
        for (int no_takeover = 0; no_takeover < 2; no_takeover++) {
            cre_ws_deflate_parameters agreed = { .server_no_context_takeover = no_takeover,
                                                 .server_window_bits = (uint8_t)bits,
                                                 .client_window_bits = 15 };
            CHECK(talk(&agreed, bits % 3 ? 1 : 0));
        }
    }
}

static bool talk_frugal(void) {
    return talk(&frugal, 1);
}

/* At the default level, for which ISA-L is used where it is built in. */
static bool talk_default(void) {
    return talk(&frugal, 0);
}

static bool talk_full(void) {
    return talk(&full, 1);
}

TEST(each_allocation_failing) {
    test_fail_each_allocation(talk_frugal);
    test_fail_each_allocation(talk_default);
    test_fail_each_allocation(talk_full);
}

TEST(without_takeover_the_window_is_empty_and_the_pool_is_shared) {
    cre_ws_deflate_pool *pool;
    REQUIRE(cre_ws_deflate_pool_create(
                &(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config), .threshold = 10 }, &pool) ==
            0);
    cre_ws_deflate a, b;
    cre_ws_deflate_init(&a, pool, &frugal, false);
    cre_ws_deflate_init(&b, pool, &frugal, true);
    uint8_t *out, first[200];
    size_t size, first_size;
    const uint8_t *text = (const uint8_t *)"again and again and again and again";
    CHECK_EQ(cre_ws_deflate_message(&a, text, 9, &out, &size), 0); /* below the threshold */
    REQUIRE(cre_ws_deflate_message(&a, text, 35, &out, &first_size) == 1);
    memcpy(first, out, first_size);
    long before = atomic_load(&test_allocations);
    for (int i = 0; i < 10; i++) {
        memset(out - CRE_WS_MAX_HEADER, 0xEE, CRE_WS_MAX_HEADER); /* room for a header */
        REQUIRE(cre_ws_deflate_message(i % 2 ? &a : &b, text, 35, &out, &size) == 1);
        CHECK_EQ(size, first_size);
        CHECK_MEM(out, first, size);
    }
    CHECK_EQ(atomic_load(&test_allocations), before);
    CHECK_EQ(cre_ws_deflate_message(&a, (const uint8_t *)"0#aZ!9_kQ.", 10, &out, &size),
             0); /* does not shrink */
    cre_ws_deflate_deinit(&a);
    cre_ws_deflate_deinit(&b);
    cre_ws_deflate_pool_destroy(pool);
}

TEST(each_connection_has_its_window) {
    cre_ws_deflate_pool *pool;
    REQUIRE(cre_ws_deflate_pool_create(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) },
                                       &pool) == 0);
    cre_ws_deflate_parameters narrow = frugal;
    narrow.server_window_bits = 9;
    cre_ws_deflate a, b;
    cre_ws_deflate_init(&a, pool, &frugal, false);
    cre_ws_deflate_init(&b, pool, &narrow, false);
    uint8_t data[4000], *out;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = i < 1000 ? random_byte() : data[i - 1000];
    for (int i = 0; i < 2; i++) {
        size_t wide = 0, small = 0;
        REQUIRE(cre_ws_deflate_message(&a, data, sizeof data, &out, &wide) == 1);
        CHECK(wide < 1200);
        int result = cre_ws_deflate_message(&b, data, sizeof data, &out, &small);
        CHECK(result == 0 || (result == 1 && small > 3900)); /* too far back for it */
    }
    cre_ws_deflate_pool_destroy(pool);
}

TEST(large_output_is_freed) {
    cre_ws_deflate_pool *pool;
    REQUIRE(cre_ws_deflate_pool_create(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) },
                                       &pool) == 0);
    cre_ws_deflate deflate;
    cre_ws_deflate_init(&deflate, pool, &frugal, false);
    uint8_t *zeros = calloc(1, 1000000), *out;
    size_t size;
    REQUIRE(zeros && cre_ws_deflate_message(&deflate, zeros, 1000000, &out, &size) == 1);
    CHECK(pool->capacity > 65536);
    CHECK_EQ(cre_ws_deflate_message(&deflate, zeros, 1000, &out, &size), 1);
    CHECK(pool->capacity <= 65536);
    free(zeros);
    cre_ws_deflate_pool_destroy(pool);
}

/* ---- limits ---- */

static uint8_t *bomb(size_t content, size_t *size) {
    cre_ws_deflate_pool *pool;
    REQUIRE(cre_ws_deflate_pool_create(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) },
                                       &pool) == 0);
    cre_ws_deflate deflate;
    cre_ws_deflate_init(&deflate, pool, &frugal, false);
    uint8_t *zeros = calloc(1, content), *out;
    size_t length;
    REQUIRE(zeros && cre_ws_deflate_message(&deflate, zeros, content, &out, &length) == 1);
    uint8_t *frame = malloc(length + CRE_WS_MAX_HEADER);
    REQUIRE(frame != NULL);
    *size = cre_ws_pack(frame, length + CRE_WS_MAX_HEADER, CRE_WS_BINARY | CRE_WS_FIN | CRE_WS_RSV1, out,
                        length, NULL);
    free(zeros);
    cre_ws_deflate_pool_destroy(pool);
    return frame;
}

TEST(a_bomb_is_stopped_at_the_limit) {
    size_t size;
    uint8_t *frame = bomb(50000000, &size);
    CHECK(size < 60000);
    receiver r;
    REQUIRE(start(&r, &frugal, 0));
    CHECK_STR(receive(&r, frame, size, 1000, 0), "WS_TOO_BIG 1009");
    stop(&r);
    free(frame);
}

TEST(the_limit_applies_to_inflated_bytes) {
    for (size_t content = 999; content <= 1001; content++) {
        size_t size;
        uint8_t *frame = bomb(content, &size);
        receiver r;
        REQUIRE(start(&r, &frugal, 1000));
        cre_ws_event event;
        uint8_t *cursor = frame;
        int result = cre_ws_session_next(&r.session, &cursor, frame + size, &event);
        CHECK_EQ(result, content > 1000 ? CRE_EWS_TOO_BIG : 1);
        if (result == 1) CHECK_EQ(event.length, content);
        stop(&r);
        free(frame);
    }
    /* What does not shrink may be a little longer on the way, but not much. */
    expect(&frugal, 5, "\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 13, "1:Hello;");
    expect(&frugal, 4, "\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 13, "WS_TOO_BIG 1009");
    expect(&frugal, 4, "\xc1\x7e\x10\x00", 4, "WS_TOO_BIG 1009");
}

TEST(final_blocks_are_counted) {
    uint8_t frame[2 + 40] = { 0xC1 };
    for (int count = 1; count < 12; count++) {
        size_t n = 2;
        for (int i = 0; i < count; i++) { /* an empty final block */
            frame[n++] = 0x03;
            frame[n++] = 0x00;
        }
        frame[n++] = 0x00;
        frame[1] = (uint8_t)(n - 2);
        expect(&full, 0, frame, n, count <= 8 ? "1:;" : "WS_DEFLATE 1007");
    }
}

TEST(invalid_configurations) {
    cre_ws_deflate_pool *pool;
    CHECK_EQ(cre_ws_deflate_pool_create(
                 &(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config), .level = 10 }, &pool),
             CRE_EINVALID);
    CHECK_EQ(
        cre_ws_deflate_pool_create(
            &(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config), .memory_level = 10 }, &pool),
        CRE_EINVALID);
    CHECK_EQ(cre_ws_deflate_pool_create(
                 &(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config), .server_window_bits = 7 },
                 &pool),
             CRE_EINVALID);
    CHECK_EQ(cre_ws_deflate_pool_create(
                 &(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config), .client_window_bits = 16 },
                 &pool),
             CRE_EINVALID);
    cre_ws_deflate_pool_destroy(NULL);
}

#else

TEST(unsupported_without_zlib) {
    cre_ws_deflate_pool *pool;
    CHECK_EQ(
        cre_ws_deflate_pool_create(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) }, &pool),
        CRE_EUNSUPPORTED);
}

#endif

TEST_MAIN()
