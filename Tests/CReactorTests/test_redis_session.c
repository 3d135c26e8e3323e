#include <creactor/redis_session.h>

#include "redis_text.h"
#include "text.h"

static cre_redis_session *start(uint32_t max_commands, uint32_t max_output) {
    const cre_redis_session_config config = { .size = sizeof config,
                                              .max_commands = max_commands,
                                              .max_output = max_output };
    cre_redis_session *session = NULL;
    REQUIRE(cre_redis_session_create(&config, &session) == 0);
    return session;
}

static int command(cre_redis_session *session, const char *name, uint64_t tag) {
    const cre_slice argument = text(name);
    return cre_redis_session_command(session, &argument, 1, tag);
}

static int subscribe(cre_redis_session *session, cre_redis_subscription verb, const char *first,
                     const char *second, uint64_t tag) {
    const cre_slice channels[] = { text(first), text(second ? second : "") };
    return cre_redis_session_subscribe(session, verb, channels, second ? 2 : 1, tag);
}

/* Notes what the session makes of the input, cut at `cut`. Returns 0 or the error. */
static int receive(cre_redis_session *session, const char *input, size_t cut) {
    const size_t size = strlen(input);
    const uint8_t *cursor = (const uint8_t *)input, *const ends[] = { cursor + cut, cursor + size };
    int result = 0;
    redis_seen_length = 0;
    redis_seen[0] = 0;
    for (int i = 0; i < 2 && result >= 0; i++) {
        cre_redis_event event;
        while ((result = cre_redis_session_next(session, &cursor, ends[i], &event)) > 0) {
            char head[64];
            redis_note(head, (size_t)snprintf(head, sizeof head, "%d/%d", result, (int)event.tag));
            redis_note(" ", 1);
            if (event.value) redis_note_value(event.value);
            redis_note((const char *)event.channel.data, event.channel.length);
            redis_note("=", result == CRE_REDIS_SESSION_MESSAGE);
            redis_note((const char *)event.payload.data, event.payload.length);
            redis_note("; ", 2);
        }
    }
    return result;
}

TEST(replies_and_messages) {
    static const char input[] =
        "+PONG\r\n>3\r\n$9\r\nsubscribe\r\n+a\r\n:1\r\n>3\r\n+message\r\n+a\r\n$2\r\nhi\r\n"
        ">3\r\n$9\r\nsubscribe\r\n+b\r\n:2\r\n$1\r\nx\r\n>3\r\n+smessage\r\n+s\r\n+\r\n"
        ">2\r\n+invalidate\r\n*1\r\n+k\r\n-ERR no\r\n";
    for (size_t cut = 0; cut < sizeof input; cut++) {
        cre_redis_session *session = start(0, 0);
        CHECK_EQ(command(session, "PING", 7), 0);
        CHECK_EQ(subscribe(session, CRE_REDIS_SUBSCRIBE, "a", "b", 8), 0);
        CHECK_EQ(command(session, "GET", 9), 0);
        CHECK_EQ(command(session, "WHAT", 10), 0);
        CHECK_EQ(cre_redis_session_pending(session), 4);
        CHECK_EQ(receive(session, input, cut), 0);
        CHECK_STR(redis_seen,
                  "1/7 PONG; 3/0 a=hi; 2/8 ; 1/9 x; 3/0 s=; 4/0 >[invalidate, [k]]; 1/10 -ERR no; ");
        CHECK_EQ(cre_redis_session_pending(session), 0);
        cre_redis_session_destroy(session);
    }
}

TEST(output) {
    cre_redis_session *session = start(0, 0);
    CHECK_EQ(cre_redis_session_output(session).length, 0);
    CHECK_EQ(command(session, "PING", 1), 0);
    CHECK_EQ(subscribe(session, CRE_REDIS_SSUBSCRIBE, "a", NULL, 2), 0);
    cre_slice output = cre_redis_session_output(session);
    static const char expected[] = "*1\r\n$4\r\nPING\r\n*2\r\n$10\r\nssubscribe\r\n$1\r\na\r\n";
    CHECK_EQ(output.length, sizeof expected - 1);
    CHECK_MEM(output.data, expected, output.length);
    cre_redis_session_sent(session, 4);
    CHECK_EQ(command(session, "GET", 3), 0);
    output = cre_redis_session_output(session);
    CHECK_EQ(output.length, sizeof expected - 1 - 4 + 13);
    CHECK_MEM(output.data, expected + 4, sizeof expected - 5);
    cre_redis_session_sent(session, output.length);
    CHECK_EQ(cre_redis_session_output(session).length, 0);
    cre_redis_session_destroy(session);
}

/* Output that is sent in small parts while more is appended is moved seldom, however long it is. */
TEST(output_in_parts) {
    enum { COMMANDS = 4000, PART = 9 };
    static const char expected[] = "*1\r\n$4\r\nPING\r\n";
    cre_redis_session *session = start(0, 0);
    size_t passed = 0;
    int moves = 0;
    for (uint64_t i = 0; i < COMMANDS; i++)
        CHECK_EQ(command(session, "PING", i), 0);
    for (uint64_t i = 0; i < COMMANDS; i++) {
        const uint8_t *before = cre_redis_session_output(session).data;
        for (size_t at = 0; at < PART; at++, passed++)
            CHECK_EQ(before[at], expected[passed % (sizeof expected - 1)]);
        cre_redis_session_sent(session, PART);
        CHECK_EQ(command(session, "PING", COMMANDS + i), 0);
        moves += cre_redis_session_output(session).data != before + PART;
    }
    CHECK(moves < 5);
    const cre_slice rest = cre_redis_session_output(session);
    CHECK_EQ(rest.length, 2 * COMMANDS * (sizeof expected - 1) - passed);
    for (size_t at = 0; at < rest.length; at++, passed++)
        if (rest.data[at] != (uint8_t)expected[passed % (sizeof expected - 1)])
            TEST_FAIL("byte %zu is wrong", passed);
    cre_redis_session_destroy(session);
}

TEST(subscriptions_end_by_an_error) {
    cre_redis_session *session = start(0, 0);
    CHECK_EQ(subscribe(session, CRE_REDIS_SUBSCRIBE, "a", "b", 1), 0);
    CHECK_EQ(subscribe(session, CRE_REDIS_UNSUBSCRIBE, "a", NULL, 2), 0);
    CHECK_EQ(command(session, "PING", 3), 0);
    CHECK_EQ(
        receive(session,
                ">3\r\n+subscribe\r\n+a\r\n:1\r\n-NOPERM b\r\n>3\r\n+unsubscribe\r\n+a\r\n:0\r\n+PONG\r\n",
                0),
        0);
    CHECK_STR(redis_seen, "1/1 -NOPERM b; 2/2 ; 1/3 PONG; ");
    cre_redis_session_destroy(session);
}

TEST(unexpected_replies) {
    cre_redis_session *session = start(0, 0);
    CHECK_EQ(receive(session, "+OK\r\n", 0), CRE_EREDIS_PROTOCOL);
    cre_redis_session_destroy(session);

    session = start(0, 0);
    CHECK_EQ(subscribe(session, CRE_REDIS_SUBSCRIBE, "a", NULL, 1), 0);
    CHECK_EQ(receive(session, "*3\r\n+subscribe\r\n+a\r\n:1\r\n", 0), CRE_EREDIS_PROTOCOL); /* RESP2 */
    cre_redis_session_destroy(session);

    session = start(0, 0);
    CHECK_EQ(receive(session, ">0\r\n", 0), CRE_EREDIS_PROTOCOL);
    cre_redis_session_destroy(session);
    session = start(0, 0);
    CHECK_EQ(receive(session, ">3\r\n+message\r\n+a\r\n:1\r\n", 0), CRE_EREDIS_PROTOCOL);
    cre_redis_session_destroy(session);
    session = start(0, 0);
    CHECK_EQ(receive(session, ">3\r\n+message\r\n*1\r\n+a\r\n+b\r\n", 0), CRE_EREDIS_PROTOCOL);
    cre_redis_session_destroy(session);

    /* a server of a cluster that gives a slot away ends subscriptions by itself */
    session = start(0, 0);
    CHECK_EQ(receive(session, ">3\r\n+sunsubscribe\r\n+a\r\n:0\r\n", 0), 0);
    CHECK_STR(redis_seen, "4/0 >[sunsubscribe, a, #0]; ");
    cre_redis_session_destroy(session);
}

TEST(limits) {
    cre_redis_session *session = start(3, 0);
    for (uint64_t i = 0; i < 3; i++)
        CHECK_EQ(command(session, "PING", i), 0);
    const size_t length = cre_redis_session_output(session).length;
    CHECK_EQ(command(session, "PING", 4), CRE_ELIMIT);
    CHECK_EQ(cre_redis_session_output(session).length, length);
    CHECK_EQ(receive(session, "+PONG\r\n", 0), 0);
    CHECK_EQ(command(session, "PING", 4), 0);
    cre_redis_session_destroy(session);

    session = start(0, 20);
    CHECK_EQ(command(session, "A LONG COMMAND THAT IS OVER THE LIMIT", 1), 0);
    CHECK_EQ(command(session, "A", 2), CRE_ELIMIT);
    CHECK_EQ(cre_redis_session_pending(session), 1);
    cre_redis_session_sent(session, cre_redis_session_output(session).length);
    CHECK_EQ(command(session, "A", 2), 0);
    CHECK_EQ(command(session, "B", 3), CRE_ELIMIT);
    CHECK_EQ(cre_redis_session_command(session, NULL, 0, 4), CRE_EINVALID);
    CHECK_EQ(cre_redis_session_subscribe(session, CRE_REDIS_SUBSCRIBE, NULL, 0, 5), CRE_EINVALID);
    CHECK_EQ(cre_redis_session_subscribe(session, CRE_REDIS_SUBSCRIBE, NULL, 4097, 5), CRE_EINVALID);
    cre_redis_session_destroy(session);

    const cre_redis_session_config config = { .size = 1 };
    CHECK_EQ(cre_redis_session_create(&config, &session), CRE_ECONFIG_SIZE);
}

/* Replies keep their order while the ring of commands grows and wraps. */
TEST(order) {
    cre_redis_session *session = start(0, 0);
    uint64_t asked = 0, answered = 0;
    for (int round = 1; round < 200; round++) {
        for (int i = 0; i < round % 23; i++)
            CHECK_EQ(command(session, "X", asked++), 0);
        for (int i = 0; i < round % 19 && answered < asked; i++) {
            cre_redis_event event;
            const uint8_t reply[] = ":1\r\n", *cursor = reply;
            CHECK_EQ(cre_redis_session_oldest(session), answered);
            CHECK_EQ(cre_redis_session_next(session, &cursor, reply + 4, &event), CRE_REDIS_SESSION_REPLY);
            CHECK_EQ(event.tag, answered++);
        }
    }
    CHECK_EQ(cre_redis_session_pending(session), asked - answered);
    for (; answered < asked; answered++) {
        CHECK_EQ(cre_redis_session_oldest(session), answered);
        cre_redis_session_drop(session);
    }
    CHECK_EQ(cre_redis_session_pending(session), 0);
    cre_redis_session_destroy(session);
}

static bool run_without_memory(void) {
    cre_redis_session *session = NULL;
    cre_redis_event event;
    int result = cre_redis_session_create(NULL, &session);
    for (uint64_t i = 0; i < 40 && result == 0; i++)
        result = command(session, "A COMMAND OF FORTY BYTES................", i);
    if (result == 0) result = subscribe(session, CRE_REDIS_SUBSCRIBE, "a", "b", 40);
    if (result == 0) {
        const uint8_t reply[] = "+PONG\r\n", *cursor = reply;
        CHECK_EQ(cre_redis_session_pending(session), 41);
        result = cre_redis_session_next(session, &cursor, reply + 7, &event);
    }
    cre_redis_session_destroy(session);
    CHECK(result == 1 || result == CRE_ENOMEM);
    return result == 1;
}

TEST(without_memory) {
    test_fail_each_allocation(run_without_memory);
}

TEST_MAIN()
