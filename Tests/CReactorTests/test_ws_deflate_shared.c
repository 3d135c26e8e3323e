/* Compression and decompression without context takeover, which ISA-L does where it is built in: every case
 * must pass with it and without. */
#include <creactor/websocket_deflate.h>

#include "test.h"

#ifdef CRE_HAVE_DEFLATE
#include "core/memory.h"
#include "ws/ws_deflate.h"
#include "ws/ws_deflate_pool.h"

static const cre_ws_deflate_parameters full = { .server_window_bits = 15, .client_window_bits = 15 };
static const cre_ws_deflate_parameters frugal = { .server_no_context_takeover = true,
                                                  .client_no_context_takeover = true,
                                                  .server_window_bits = 15,
                                                  .client_window_bits = 15 };

static uint32_t seed = 7;

static uint8_t random_byte(void) {
    seed = seed * 1664525u + 1013904223u;
    return (uint8_t)(seed >> 24);
}

/* Inflates with a window of that size in pieces that are too small to stand in for a window. */
static bool fits_window(const uint8_t *message, size_t length, int bits, size_t expected) {
    z_stream stream = { 0 };
    uint8_t piece[16];
    size_t total = 0;
    if (inflateInit2(&stream, -bits) != Z_OK) return false;
    stream.next_in = (z_const Bytef *)(uintptr_t)message;
    stream.avail_in = (unsigned)length;
    int result;
    do {
        stream.next_out = piece;
        stream.avail_out = sizeof piece;
        result = inflate(&stream, Z_SYNC_FLUSH);
        total += sizeof piece - stream.avail_out;
    } while (result == Z_OK && (stream.avail_in || !stream.avail_out));
    inflateEnd(&stream);
    return (result == Z_OK || result == Z_BUF_ERROR) && total == expected;
}

TEST(the_shared_compressor_keeps_to_the_window) {
    static uint8_t data[70000];
    cre_ws_deflate_pool *pool;
    REQUIRE(cre_ws_deflate_pool_create(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) },
                                       &pool) == 0);
    for (size_t period = 300; period < 40000; period += period / 2) {
        for (size_t i = 0; i < sizeof data; i++)
            data[i] = i < period ? (uint8_t)('a' + random_byte() % 26) : data[i - period];
        for (int bits = 9; bits <= 15; bits++) {
            cre_ws_deflate_parameters agreed = frugal;
            agreed.server_window_bits = (uint8_t)bits;
            cre_ws_deflate deflate;
            cre_ws_deflate_init(&deflate, pool, &agreed, false);
            uint8_t *out;
            size_t size;
            REQUIRE(cre_ws_deflate_message(&deflate, data, sizeof data, &out, &size) == 1);
            CHECK(fits_window(out, size, bits, sizeof data));
        }
    }
    cre_ws_deflate_pool_destroy(pool);
}

TEST(a_level_is_that_of_zlib) {
    static uint8_t data[10000];
    uint8_t *out, first[10000];
    size_t sizes[2];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)('a' + random_byte() % (1 + i % 26));
    for (int level = 1; level <= 9; level += 8) {
        for (int takeover = 0; takeover < 2;
             takeover++) { /* the first message of a new window: zlib's output */
            cre_ws_deflate_pool *pool;
            REQUIRE(
                cre_ws_deflate_pool_create(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config),
                                                                     .level = (uint8_t)level },
                                           &pool) == 0);
            cre_ws_deflate deflate;
            cre_ws_deflate_init(&deflate, pool, takeover ? &full : &frugal, false);
            REQUIRE(cre_ws_deflate_message(&deflate, data, sizeof data, &out, &sizes[takeover]) == 1);
            if (takeover) CHECK_MEM(out, first, sizes[0] == sizes[1] ? sizes[0] : 0);
            memcpy(first, out, sizes[takeover]);
            cre_ws_deflate_deinit(&deflate);
            cre_ws_deflate_pool_destroy(pool);
        }
        CHECK_EQ(sizes[0], sizes[1]);
    }
}

/* Input of more than 1 KiB, which ISA-L takes where it is built in. */
TEST(large_messages_are_judged_as_small_ones) {
    static uint8_t data[20000];
    cre_ws_deflate_pool *pool;
    REQUIRE(cre_ws_deflate_pool_create(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) },
                                       &pool) == 0);
    cre_ws_deflate compressor;
    cre_ws_deflate_init(&compressor, pool, &frugal, false);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)('a' + random_byte() % 26);
    uint8_t *out;
    size_t size;
    REQUIRE(cre_ws_deflate_message(&compressor, data, sizeof data, &out, &size) == 1);
    uint8_t *message = malloc(size + 8);
    REQUIRE(message != NULL && size > 2048);
    memcpy(message, out, size);
    message[size] = 0; /* the start of the flush marker */
    cre__ws_message *inflated = NULL;
    cre_ws_deflate deflate;
    cre_ws_deflate_init(&deflate, pool, &frugal, true);
    REQUIRE(cre__ws_inflate(&deflate, message, size, 1 << 20, &inflated) == 1);
    CHECK_EQ(inflated->used, sizeof data);
    CHECK_MEM(inflated->data, data, inflated->used == sizeof data ? sizeof data : 0);
    cre__free(inflated);
    inflated = NULL;
    REQUIRE(cre__ws_inflate(&deflate, message, size, sizeof data, &inflated) == 1); /* exactly the limit */
    CHECK_EQ(inflated->used, sizeof data);
    cre__free(inflated);
    inflated = NULL;
    CHECK_EQ(cre__ws_inflate(&deflate, message, size, sizeof data - 1, &inflated), CRE_EWS_TOO_BIG);
    CHECK_EQ(cre__ws_inflate(&deflate, message, size - 1, 1 << 20, &inflated), CRE_EWS_DEFLATE); /* cut off */
    CHECK_EQ(cre__ws_inflate(&deflate, message, size + 1, 1 << 20, &inflated), CRE_EWS_DEFLATE);
    for (size_t at = 100; at < size;
         at += 101) { /* damage: an error, or other bytes, but never half a message */
        message[at] ^= 0x5a;
        int result = cre__ws_inflate(&deflate, message, size, 1 << 20, &inflated);
        if (result == 1)
            CHECK(inflated->used > 0);
        else
            CHECK(result == CRE_EWS_DEFLATE || result == CRE_EWS_TOO_BIG);
        cre__free(inflated);
        inflated = NULL;
        message[at] ^= 0x5a;
    }
    CHECK(inflated == NULL);
#ifdef CRE_HAVE_ISAL
    REQUIRE(cre__ws_message_reserve(&inflated, 256, 256, 256)); /* too small: it grows */
    CHECK_EQ(cre__ws_isal_inflate(&pool->isal, message, size, 1 << 20, &inflated), 1);
    CHECK_EQ(inflated->used, sizeof data);
    CHECK_EQ(cre__ws_isal_inflate(&pool->isal, message, size - 1, 1 << 20, &inflated), 0);
    cre__free(inflated);
    CHECK(pool->isal.deflater && pool->isal.inflater && !pool->deflater);
#endif
    free(message);
    cre_ws_deflate_pool_destroy(pool);
}

/* Small ones have the fixed codes with ISA-L, larger ones have their own; all are the same behind the
 * inflater. */
TEST(messages_of_all_sizes_come_back) {
    uint8_t data[600], message[700], *out;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)('a' + random_byte() % 5); /* codes of their own would be shorter */
    cre_ws_deflate_pool *pool;
    REQUIRE(cre_ws_deflate_pool_create(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) },
                                       &pool) == 0);
    cre_ws_deflate compressor, deflate;
    cre_ws_deflate_init(&compressor, pool, &frugal, false);
    cre_ws_deflate_init(&deflate, pool, &frugal, true);
    for (size_t length = CRE_WS_DEFLATE_DEFAULT_THRESHOLD; length <= sizeof data; length++) {
        size_t size;
        int compressed = cre_ws_deflate_message(&compressor, data, length, &out, &size);
        REQUIRE(compressed >= 0);
        if (!compressed) continue; /* it did not shrink */
        memcpy(message, out, size);
#ifdef CRE_HAVE_ISAL
        CHECK_EQ(message[0] >> 1 & 3, length < CRE__WS_ISAL_MIN_DYNAMIC ? 1 : 2);
#endif
        cre__ws_message *inflated = NULL;
        REQUIRE(cre__ws_inflate(&deflate, message, size, sizeof data, &inflated) == 1);
        CHECK_EQ(inflated->used, length);
        CHECK_MEM(inflated->data, data, inflated->used == length ? length : 0);
        cre__free(inflated);
    }
    CHECK(cre_ws_deflate_message(&compressor, data, 200, &out, &(size_t){ 0 }) == 1);
    cre_ws_deflate_pool_destroy(pool);
}

TEST(final_blocks_in_large_messages) {
    static uint8_t data[20000];
    uint8_t *message = malloc(2 * sizeof data);
    REQUIRE(message != NULL);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)('a' + random_byte() % 26);
    z_stream stream = { 0 }; /* two streams, each with a final block, and an empty block behind them */
    size_t size = 0;
    for (int half = 0; half < 2; half++) {
        REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
        stream.next_in = data + (size_t)half * 10000;
        stream.avail_in = 10000;
        stream.next_out = message + size;
        stream.avail_out = (unsigned)(2 * sizeof data - size);
        REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
        size += stream.total_out;
        deflateEnd(&stream);
    }
    message[size++] = 0;
    cre_ws_deflate_pool *pool;
    REQUIRE(cre_ws_deflate_pool_create(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) },
                                       &pool) == 0);
    cre_ws_deflate deflate;
    cre_ws_deflate_init(&deflate, pool, &frugal, true);
    cre__ws_message *inflated = NULL;
    REQUIRE(cre__ws_inflate(&deflate, message, size, 1 << 20, &inflated) == 1);
    CHECK_EQ(inflated->used, sizeof data);
    CHECK_MEM(inflated->data, data, inflated->used == sizeof data ? sizeof data : 0);
    cre__free(inflated);
    free(message);
    cre_ws_deflate_pool_destroy(pool);
}

#endif

TEST_MAIN()
