/* Configurations that start with their size: of programs built with an older or a newer version. */
#include <creactor/creactor.h>
#include <stdalign.h>

#include "core/config.h"
#include "test.h"

/* A configuration as this version knows it, as an older one knew it, and as a newer one knows it. */
typedef struct known {
    size_t size;
    uint32_t first, second;
    const char *third;
} known;

typedef struct older {
    size_t size;
    uint32_t first, second;
} older;

typedef struct newer {
    size_t size;
    uint32_t first, second;
    const char *third;
    uint64_t fourth, fifth;
} newer;

CRE__CONFIG(known, third);

static const known untouched = { .size = 1, .first = 2, .second = 3, .third = "4" };

/* Takes a configuration into one that is full of other values. */
static known take(const void *from, int expected) {
    known own = untouched;
    CHECK_EQ(cre__config_take(&own, sizeof own, from), expected);
    return own;
}

static void refuse(const void *from, int expected) {
    known own = take(from, expected);
    CHECK_MEM(&own, &untouched, sizeof own);
}

TEST(a_configuration_of_this_version_is_copied) {
    known own = take(&(known){ .size = sizeof own, .first = 7, .second = 8, .third = "text" }, 0);
    CHECK_EQ(own.size, sizeof own);
    CHECK_EQ(own.first, 7);
    CHECK_EQ(own.second, 8);
    CHECK_STR(own.third, "text");
}

TEST(members_that_an_older_program_does_not_know_are_zero) {
    const struct {
        older config;
        char behind[sizeof(known)];
    } program = { .config = { .size = sizeof(older), .first = 7, .second = 8 }, .behind = "not a member" };
    known own = take(&program.config, 0);
    CHECK_EQ(own.size, sizeof own); /* this version's, so that a copy may be passed on */
    CHECK_EQ(own.first, 7);
    CHECK_EQ(own.second, 8);
    CHECK(own.third == NULL);
}

TEST(members_of_a_newer_program_must_be_zero) {
    newer config = { .size = sizeof config, .first = 7, .third = "text" };
    known own = take(&config, 0);
    CHECK_EQ(own.size, sizeof own);
    CHECK_EQ(own.first, 7);
    CHECK_STR(own.third, "text");
    for (size_t at = sizeof own; at < sizeof config; at++) {
        ((char *)&config)[at] = 1;
        refuse(&config, CRE_ECONFIG_SIZE);
        ((char *)&config)[at] = 0;
    }
    take(&config, 0);
}

TEST(sizes_that_no_configuration_has_are_refused) {
    alignas(max_align_t) static union {
        known config;
        char bytes[8192];
    } room;
    for (size_t size = 0; size < sizeof room + 100; size++) {
        room.config = (known){ .size = size, .first = 7 };
        bool possible = size > sizeof(size_t) && size <= 4096 && size % sizeof(size_t) == 0;
        if (possible)
            CHECK_EQ(take(&room, 0).first, 7);
        else
            refuse(&room, CRE_ECONFIG_SIZE);
    }
    room.config.size = SIZE_MAX - sizeof(size_t) + 1;
    refuse(&room, CRE_ECONFIG_SIZE);
    refuse(NULL, CRE_EINVALID);
}

TEST(the_elements_of_an_array_have_one_size) {
    newer array[3] = { { .size = sizeof(newer), .first = 1 },
                       { .size = sizeof(newer), .first = 2 },
                       { .first = 3 } };
    known own = untouched;
    CHECK_EQ(cre__config_take_at(&own, sizeof own, array, 1), 0);
    CHECK_EQ(own.first, 2);
    CHECK_EQ(cre__config_take_at(&own, sizeof own, array, 2), CRE_ECONFIG_SIZE); /* without a size */
    array[2].size = sizeof(known);
    CHECK_EQ(cre__config_take_at(&own, sizeof own, array, 2), CRE_ECONFIG_SIZE); /* with another one */
    array[2].size = sizeof(newer);
    CHECK_EQ(cre__config_take_at(&own, sizeof own, array, 2), 0);
    CHECK_EQ(own.first, 3);
    array[0].size = 0;
    CHECK_EQ(cre__config_take_at(&own, sizeof own, array, 2), CRE_ECONFIG_SIZE);
    CHECK_EQ(cre__config_take_at(&own, sizeof own, NULL, 0), CRE_EINVALID);
}

TEST(structures_that_are_filled_in_have_the_size_of_the_program) {
    const known own = { .size = sizeof own, .first = 7, .second = 8, .third = "text" };
    newer larger;
    memset(&larger, 0xff, sizeof larger);
    cre__config_give(&larger, sizeof larger, &own, sizeof own);
    CHECK_MEM(&larger, &own, sizeof own);
    CHECK_EQ(larger.fourth, 0);
    CHECK_EQ(larger.fifth, 0);
    newer smaller;
    memset(&smaller, 0xff, sizeof smaller);
    cre__config_give(&smaller, sizeof(older), &own, sizeof own);
    CHECK_EQ(smaller.second, 8);
    CHECK_EQ(smaller.fourth, UINT64_MAX);
    CHECK_EQ((uintptr_t)smaller.third, UINTPTR_MAX); /* nothing behind the size is written */
}

/* ---- the functions that take one ---- */

static int on_event(void *context, cre_engine *engine, const cre_record *event, uint8_t *payload) {
    (void)context, (void)engine, (void)event, (void)payload;
    return 0;
}

static void connected(void *context, int result) {
    (void)context, (void)result;
}

/* The room of a configuration and of members that a newer version may have added. */
#define NEWER(type)          \
    struct {                 \
        type config;         \
        uint64_t members[2]; \
    }

/* Makes a configuration invalid in each way and checks the result of `call`, in which it is `it.config`. */
#define REFUSES(type, call)                           \
    do {                                              \
        NEWER(type) it = { .config = { .size = 0 } }; \
        CHECK_EQ(call, CRE_ECONFIG_SIZE);             \
        it.config.size = sizeof it - 1;               \
        CHECK_EQ(call, CRE_ECONFIG_SIZE);             \
        it.config.size = sizeof it;                   \
        it.members[1] = 1;                            \
        CHECK_EQ(call, CRE_ECONFIG_SIZE);             \
    } while (0)

TEST(every_function_that_takes_a_configuration_refuses_those_it_does_not_know) {
    cre_loop *loop;
    REQUIRE(cre_loop_create(&loop) == 0);
    cre_engine *engine = NULL;
    cre_connector *connector = NULL;
    cre_engine_config good = { .size = sizeof good, .on_event = on_event };
    REFUSES(cre_engine_config, cre_engine_create(loop, &it.config, &engine));
    REFUSES(cre_port_options,
            (good.ports = &it.config, good.port_count = 1, cre_engine_create(loop, &good, &engine)));
    cre_port_options port = { .size = sizeof port, .protocol = CRE_PROTOCOL_STREAM };
    good.ports = &port;
    REFUSES(cre_framing_config, (port.framing = &it.config, cre_engine_create(loop, &good, &engine)));
    REFUSES(cre_framing_config, cre_framing_config_check(&it.config));
    good.ports = NULL;
    good.port_count = 0;
    REFUSES(cre_ws_deflate_config, (good.deflate = &it.config, cre_engine_create(loop, &good, &engine)));
    CHECK(engine == NULL);
    good.deflate = NULL;
    REQUIRE(cre_engine_create(loop, &good, &engine) == 0);
    REFUSES(cre_listen_options, cre_engine_listen(engine, &it.config, NULL));
    REFUSES(cre_listen_options, cre_listen(&it.config, NULL));
    REFUSES(cre_connect_options, cre_connector_start(loop, &it.config, connected, NULL, &connector));
    CHECK(connector == NULL);
    cre_engine_destroy(engine);
    cre_loop_destroy(loop);
}

TEST(permessage_deflate_is_not_negotiated_by_a_configuration_it_does_not_know) {
    char out[CRE_WS_DEFLATE_MAX_EXTENSION];
    cre_ws_deflate_parameters agreed;
    REFUSES(cre_ws_deflate_config,
            cre_ws_deflate_accept(&it.config, "permessage-deflate", 18, &agreed, out) ? 0 : CRE_ECONFIG_SIZE);
    REFUSES(cre_ws_deflate_config, cre_ws_deflate_offer(&it.config, out) ? 0 : CRE_ECONFIG_SIZE);
    REFUSES(cre_ws_deflate_config, cre_ws_deflate_agree(&it.config, "permessage-deflate", 18, &agreed));
#ifdef CRE_HAVE_DEFLATE
    cre_ws_deflate_pool *pool = NULL;
    REFUSES(cre_ws_deflate_config, cre_ws_deflate_pool_create(&it.config, &pool));
    CHECK(pool == NULL);
#endif
}

#ifdef CRE_HAVE_TLS
TEST(tls_configurations_are_refused_with_the_cause) {
    char why[CRE_TLS_MESSAGE] = "";
    cre_tls *tls = NULL;
    cre_tls_client *client = NULL;
    REFUSES(cre_tls_config, cre_tls_create(&it.config, &tls, why));
    CHECK_STR(why, cre_error_message(CRE_ECONFIG_SIZE));
    why[0] = 0;
    REFUSES(cre_tls_client_config, cre_tls_client_create(&it.config, &client, why));
    CHECK_STR(why, cre_error_message(CRE_ECONFIG_SIZE));
    why[0] = 0;
    cre_tls_config config = { .size = sizeof config, .count = 1 };
    REFUSES(cre_tls_certificate, (config.certificates = &it.config, cre_tls_create(&config, &tls, why)));
    CHECK_STR(why, cre_error_message(CRE_ECONFIG_SIZE));
    CHECK(tls == NULL && client == NULL);
}
#endif

TEST(an_engine_of_an_older_program_has_the_ports_of_that_program) {
    /* Two ports of a version that had fewer members. */
    enum { OLDER = offsetof(cre_port_options, max_message) };
    alignas(cre_port_options) char ports[2 * OLDER];
    cre_port_options port = { .size = OLDER, .protocol = CRE_PROTOCOL_WEBSOCKET };
    memcpy(ports, &port, OLDER);
    port.protocol = (cre_protocol)99;
    memcpy(ports + OLDER, &port, OLDER);
    cre_loop *loop;
    cre_engine *engine;
    REQUIRE(cre_loop_create(&loop) == 0);
    cre_engine_config config = {
        .size = sizeof config, .on_event = on_event, .ports = (const cre_port_options *)ports, .port_count = 2
    };
    CHECK_EQ(cre_engine_create(loop, &config, &engine), CRE_EINVALID); /* the second one was found */
    port.protocol = CRE_PROTOCOL_STREAM;
    memcpy(ports + OLDER, &port, OLDER);
    REQUIRE(cre_engine_create(loop, &config, &engine) == 0);
    cre_engine_destroy(engine);
    cre_loop_destroy(loop);
}

TEST_MAIN()
