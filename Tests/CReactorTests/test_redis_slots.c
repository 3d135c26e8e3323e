/* The slots of shards, and the questions to a node of a Redis Cluster which one serves a slot. */
#include <creactor/broker.h>
#include <creactor/error.h>

#include "broker/redis_slots.h"
#include "cluster/inquiry.h"
#include "test.h"
#include "text.h"

/* ---- slots ---- */

TEST(slots) {
    CHECK_EQ(cre__slot_of(text("foo")), 12182); /* as CLUSTER KEYSLOT says */
    CHECK_EQ(cre__slot_of(text("")), 0);
    for (uint32_t shards = 1; shards <= CRE_BROKER_MAX_SHARDS; shards++) {
        uint32_t tags[CRE_BROKER_MAX_SHARDS];
        cre__slot_tags(tags, shards);
        for (uint32_t i = 0; i < shards; i++) {
            char digits[16];
            snprintf(digits, sizeof digits, "%u", tags[i]);
            CHECK(strlen(digits) <= 6); /* for which a key has room */
            CHECK_EQ(cre__slot_of(text(digits)), cre__slot_of_shard(i, shards));
            CHECK(cre__slot_of_shard(i, shards) * shards / CRE__SLOTS == i);
        }
    }
}

/* ---- questions ---- */

static char named[256];

static void on_node(void *context, const char *host, uint16_t port) {
    CHECK(context == &named);
    const size_t used = strlen(named);
    snprintf(named + used, sizeof named - used, "%s:%u ", host, port);
}

/* What comes of a reply that arrives in two pieces. */
static int reply(cre__inquiry *inquiry, const char *password, const char *bytes, size_t split) {
    named[0] = 0;
    REQUIRE(cre__inquiry_begin_slot(inquiry, 5461, NULL, password, on_node, &named) == 0);
    const uint8_t *data = (const uint8_t *)bytes;
    int result = cre__inquiry_received(inquiry, data, split);
    if (!result) result = cre__inquiry_received(inquiry, data + split, strlen(bytes) - split);
    cre__inquiry_end(inquiry);
    return result;
}

static void expect_reply(const char *password, const char *bytes, int expected) {
    cre__inquiry inquiry;
    for (size_t split = 0; split <= strlen(bytes); split++)
        CHECK_EQ(reply(&inquiry, password, bytes, split), expected);
}

#define RANGE \
    "*4\r\n:0\r\n:5460\r\n*3\r\n$1\r\na\r\n:7000\r\n$2\r\nid\r\n*3\r\n$1\r\nb\r\n:7001\r\n$2\r\nid\r\n"
#define WANTED \
    "*4\r\n:5461\r\n:5461\r\n*4\r\n$1\r\nc\r\n:7002\r\n$2\r\nid\r\n*2\r\n$8\r\nhostname\r\n$1\r\nx\r\n"
#define REPLICA "*3\r\n$1\r\nd\r\n:7003\r\n$2\r\nid\r\n"

TEST(questions) {
    cre__inquiry inquiry;
    const char *ask =
        "*3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$2\r\npw\r\n*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n";
    REQUIRE(cre__inquiry_begin_slot(&inquiry, 7, NULL, "pw", on_node, NULL) == 0);
    CHECK_EQ(cre__inquiry_output(&inquiry).length, strlen(ask));
    CHECK_MEM(cre__inquiry_output(&inquiry).data, ask, strlen(ask));
    cre__inquiry_end(&inquiry);
    const char *found = "+OK\r\n*2\r\n" RANGE WANTED REPLICA;
    expect_reply("pw", found, 1);
    CHECK_EQ(reply(&inquiry, "pw", found, 20), 1);
    CHECK_STR(inquiry.host, "c");
    CHECK_EQ(inquiry.port, 7002);
    CHECK_STR(named, "a:7000 b:7001 c:7002 d:7003 ");
    /* a node that does not know its own host */
    const char *unknown[] = { "*-1\r\n", "$0\r\n\r\n", "$1\r\n?\r\n", "_\r\n" };
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        char bytes[128];
        snprintf(bytes, sizeof bytes, "*1\r\n*3\r\n:5000\r\n:6000\r\n*3\r\n%s:7000\r\n$1\r\ni\r\n",
                 unknown[i]);
        expect_reply(NULL, bytes, 1);
        CHECK_EQ(reply(&inquiry, NULL, bytes, 1), 1);
        CHECK_STR(inquiry.host, "");
        CHECK_EQ(inquiry.port, 7000);
        CHECK_STR(named, "");
    }
    expect_reply(NULL, "*0\r\n", CRE_EBROKER_NO_NODE);
    expect_reply(NULL, "*1\r\n" RANGE, CRE_EBROKER_NO_NODE);
    expect_reply(NULL, "-ERR This instance has cluster support disabled\r\n", CRE_EBROKER_NO_CLUSTER);
    expect_reply("pw", "-WRONGPASS invalid\r\n", CRE_EBROKER_REFUSED);
    const char *malformed[] = { "+OK\r\n",
                                "*1\r\n:7\r\n",
                                "*1\r\n*2\r\n:0\r\n:9000\r\n",
                                "*1\r\n*3\r\n:0\r\n$1\r\n9\r\n*2\r\n$1\r\na\r\n:7\r\n",
                                "*1\r\n*3\r\n*1\r\n:0\r\n:9000\r\n*2\r\n$1\r\na\r\n:7\r\n",
                                "*1\r\n*3\r\n:0\r\n:9000\r\n$1\r\na\r\n",
                                "*1\r\n*3\r\n:0\r\n:9000\r\n*1\r\n$1\r\na\r\n",
                                "*1\r\n*3\r\n:0\r\n:9000\r\n*2\r\n$1\r\na\r\n:0\r\n",
                                "*1\r\n*3\r\n:0\r\n:9000\r\n*2\r\n$1\r\na\r\n:65536\r\n",
                                "*1\r\n*3\r\n:0\r\n:9000\r\n*2\r\n:1\r\n:7\r\n" };
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
        expect_reply(NULL, malformed[i], CRE_EREDIS_PROTOCOL);
}

TEST_MAIN()
