/* Brokers whose connections or servers are lost. */
#include "brokers.h"

/* Machine 1 has received the first message of a topic. */
static void begin_received(void) {
    begin(1, NULL);
    subscribe(1, "news", true);
    run(10);
    publish(0, "news", 1, kept);
    run(10);
}

/* The exchange is cut after each byte of it, in a Redis Cluster after each seventh one. Nothing is lost or
 * doubled, and publications end once. */
static void cut_everywhere(bool history, cre_broker_kind kind) {
    const cre_broker_config config = { .kind = (uint32_t)kind };
    const int step = kind == CRE_BROKER_REDIS ? 1 : 7;
    int cuts = 0;
    for (long at = 1;; at += step, cuts++) {
        char when[48];
        snprintf(when, sizeof when, "cut after %ld bytes", at);
        begin(1, &config);
        subscribe(0, "news", true);
        subscribe(1, "news", true);
        run(1000); /* the position is known */
        const int established = machines[0].established + machines[1].established;
        CHECK_EQ(established, 2);
        cut_after = at;
        for (int i = 1; i <= 6; i++) {
            publish(0, "news", i, history ? kept : (cre_broker_history){ 0 });
            if (i % 2 == 0) run(1);
        }
        run(2000);
        const bool was_cut = cut_after == 0;
        cut_after = 0;
        publish(0, "news", 7, history ? kept : (cre_broker_history){ 0 });
        run(2000);
        if (history) {
            check_received(0, 7, when);
            check_received(1, 7, when);
            CHECK_EQ(machines[0].published, 7);
            CHECK_EQ(machines[0].disordered + machines[1].disordered, 0);
            CHECK_EQ(machines[0].lost + machines[1].lost, 0);
        } else {
            CHECK_EQ(machines[0].published + machines[0].unknown, 7);
            CHECK(machines[1].received <= 7);
        }
        CHECK_EQ(machines[0].established + machines[1].established, established + was_cut);
        finish();
        if (!was_cut) break;
    }
    CHECK(cuts > 500 / step);
}

TEST(history_survives_cuts_at_every_byte) {
    cut_everywhere(true, CRE_BROKER_REDIS);
    cut_everywhere(true, CRE_BROKER_REDIS_CLUSTER);
}

TEST(plain_messages_are_published_at_most_once) {
    cut_everywhere(false, CRE_BROKER_REDIS);
    cut_everywhere(false, CRE_BROKER_REDIS_CLUSTER);
}

/* The slot of the topic is moved after each command. */
TEST(history_survives_moves_at_every_command) {
    const cre_broker_config config = { .kind = CRE_BROKER_REDIS_CLUSTER };
    int moves = 0;
    for (int at = 1;; at++, moves++) {
        char when[48];
        snprintf(when, sizeof when, "moved after %d commands", at);
        begin(1, &config);
        servers[0].moves_after = at;
        subscribe(0, "news", true);
        subscribe(1, "news", true);
        run(1000);
        for (int i = 1; i <= 6; i++) {
            publish(0, "news", i, kept);
            if (i % 2 == 0) run(1);
        }
        run(3000);
        const bool was_moved = !servers[0].moves_after;
        servers[0].moves_after = 0;
        publish(0, "news", 7, kept);
        run(2000);
        check_received(0, 7, when);
        check_received(1, 7, when);
        CHECK_EQ(machines[0].published, 7);
        CHECK_EQ(machines[0].disordered + machines[1].disordered, 0);
        CHECK_EQ(machines[0].lost + machines[1].lost, 0);
        CHECK(machines[0].broken + machines[1].broken <= 2);
        finish();
        if (!was_moved) break;
    }
    CHECK(moves > 20);
}

/* The server restarts without its data: each machine has all messages, or a loss is reported, behind which
 * all messages of the new history come; there is never a hole. */
TEST(lost_data_is_reported) {
    int losses = 0;
    for (long at = 1;; at += 3) {
        begin(1, NULL);
        subscribe(0, "news", true);
        subscribe(1, "news", true);
        run(1000);
        publish(0, "news", 1, kept);
        run(10);
        cut_after = at;
        cut_forgets = true;
        for (int i = 2; i <= 6; i++) {
            publish(0, "news", i, kept);
            run(1);
        }
        run(2000);
        const bool was_cut = cut_after == 0;
        cut_after = 0;
        publish(0, "news", 7, kept);
        run(2000);
        for (int i = 0; i < MACHINES; i++) {
            CHECK_EQ(machines[i].disordered, 0);
            CHECK_EQ(machines[i].lost, was_cut);
            CHECK_EQ(machines[i].loss.offset, 0);
            CHECK_EQ(machines[i].position.offset, servers[0].histories[0].offset);
            CHECK_STR(machines[i].messages[machines[i].received - 1], "m7");
            losses += machines[i].lost;
        }
        CHECK_EQ(machines[0].published, 7);
        finish();
        if (!was_cut) break;
    }
    CHECK(losses > 100);
}

/* A machine that connects later than the others gets what these have published to the new history, also while
 * it checks. */
TEST(a_new_history_is_delivered) {
    begin_received();
    cut(&machines[1], 0);
    server_forget(&servers[0]);
    for (int i = 2; i <= 4; i++)
        publish(0, "news", i, kept);
    settle();
    holds_checks = true;
    run(1000);
    publish(0, "news", 5, kept);
    run(10);
    check_received(1, 1, "before the check");
    holds_checks = false;
    run(10);
    publish(0, "news", 6, kept);
    run(10);
    check_received(1, 6, "after the check");
    CHECK_EQ(machines[1].lost, 1);
    CHECK_EQ(machines[1].loss.offset, 0);
    CHECK_EQ(machines[1].disordered, 0);

    /* The server forgets an idle topic while the machine is connected. */
    server_forget(&servers[0]);
    publish(0, "news", 7, kept);
    publish(0, "news", 8, kept);
    run(10);
    check_received(1, 8, "after the next message");
    CHECK_EQ(machines[1].lost, 2);
    CHECK_EQ(machines[1].disordered, 0);
    finish();
}

TEST(long_absence_is_a_loss) {
    begin(1, NULL);
    subscribe(1, "news", true);
    run(10);
    const cre_broker_history three = { .count = 3, .seconds = 60 };
    publish(0, "news", 1, three);
    run(10);
    cut(&machines[1], 0);
    for (int i = 2; i <= 5; i++)
        publish(0, "news", i, three);
    settle();
    CHECK_EQ(machines[0].published, 5);
    run(1000);
    CHECK_EQ(machines[1].lost, 1);
    CHECK_EQ(machines[1].position.offset, 5);
    CHECK_EQ(machines[1].received, 1);
    publish(0, "news", 6, three);
    run(10);
    CHECK_EQ(machines[1].received, 2);
    CHECK_EQ(machines[1].disordered, 0);

    /* three are there */
    cut(&machines[1], 0);
    for (int i = 7; i <= 9; i++)
        publish(0, "news", i, three);
    settle();
    run(1000);
    CHECK_EQ(machines[1].lost, 1);
    CHECK_EQ(machines[1].received, 5);
    CHECK_EQ(machines[1].disordered, 0);
    finish();
}

TEST(a_missing_message_is_noticed) {
    begin_received();
    servers[0].drops_messages = true;
    publish(0, "news", 2, kept);
    run(10);
    servers[0].drops_messages = false;
    check_received(1, 1, "while the server does not deliver");
    publish(0, "news", 3, kept);
    publish(0, "news", 4, kept);
    run(10);
    check_received(1, 4, "after the gap was filled");
    CHECK_EQ(machines[1].disordered, 0);
    finish();
}

TEST(forgotten_scripts_are_loaded_again) {
    begin(1, NULL);
    subscribe(1, "news", true);
    run(10);
    memset(servers[0].has_scripts, 0, sizeof servers[0].has_scripts);
    for (int i = 1; i <= 4; i++)
        publish(0, "news", i, kept);
    run(10);
    check_received(1, 4, "after the scripts were lost");
    CHECK_EQ(machines[0].broken, 0);
    servers[0].has_scripts[CRE__SCRIPT_RECOVER] = false;
    subscribe(1, "late", true);
    run(10);
    CHECK(servers[0].has_scripts[CRE__SCRIPT_RECOVER]);
    CHECK_EQ(machines[1].broken, 0);
    finish();
}

/* The message by which the broker sees that the server accepts messages again is the first one also if the
 * server has forgotten its scripts. */
TEST(scripts_are_forgotten_while_messages_wait) {
    begin(1, NULL);
    subscribe(1, "news", true);
    run(10);
    servers[0].refuses = "-NOREPLICAS Not enough good replicas to write.\r\n";
    servers[0].keeps_refusing = true;
    for (int i = 1; i <= 3; i++)
        publish(0, "news", i, kept);
    run(10);
    servers[0].has_scripts[CRE__SCRIPT_PUBLISH] = false;
    servers[0].refuses = NULL;
    run(1000);
    check_received(1, 3, "after the refusal");
    CHECK_EQ(machines[0].published, 3);
    finish();
}

TEST(refused_publications) {
    begin(1, NULL);
    run(10);
    servers[0].refuses = "-NOPERM this user has no permissions\r\n";
    publish(0, "news", 1, kept);
    run(10);
    CHECK_EQ(machines[0].refused, 1);
    CHECK_EQ(machines[0].refusals, 1);
    CHECK_STR(machines[0].refusal, "NOPERM this user has no permissions");
    CHECK_EQ(machines[0].broken, 0);
    servers[0].refuses = "-READONLY You can't write against a read only replica.\r\n";
    publish(0, "news", 2, kept);
    run(1000);
    CHECK_EQ(machines[0].published, 1);
    CHECK_EQ(machines[0].broken, 1);
    CHECK_EQ(machines[0].established, 2);
    finish();
}

static const char *const temporary_errors[] = {
    "-NOREPLICAS Not enough good replicas to write.\r\n",
    "-MISCONF Errors writing to the AOF file: No space left on device\r\n",
    "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "-BUSY Redis is busy running a script.\r\n",
    "-LOADING Redis is loading the dataset in memory\r\n",
    "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
    "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
    ("-ERR Error running script (call to f_6b1bf486c81ceb7edf3c093f4c48582e38c0e791): @user_script:10: "
     "@user_script: 10: -OOM command not allowed when used memory > 'maxmemory'. \r\n"),
};

/* A server refuses messages for some time: all of them arrive afterwards, in their order, and the cause was
 * reported once. It is not asked all the time. */
static void refuse_for_some_time(const char *error, cre_broker_history history, cre_broker_kind kind) {
    const cre_broker_config config = { .kind = (uint32_t)kind };
    begin(1, &config);
    subscribe(1, "news", history.count != 0);
    run(1000);
    servers[0].refuses = error;
    servers[0].keeps_refusing = true;
    for (int i = 1; i <= 5; i++)
        publish(0, "news", i, history);
    run(10);
    publish(0, "news", 6, history);
    const int commands = servers[0].commands;
    run(5000);
    CHECK(servers[0].commands - commands < 30);
    CHECK_EQ(machines[0].published + machines[0].refused, 0);
    CHECK(cre_broker_queued(machines[0].broker, 0) > 0);
    servers[0].refuses = NULL;
    publish(0, "news", 7, history);
    run(1000);
    check_received(1, 7, error);
    CHECK_EQ(machines[0].published, 7);
    CHECK_EQ(machines[0].refusals, 1);
    CHECK_EQ(strlen(machines[0].refusal), strlen(error) - strlen("-\r\n"));
    CHECK_EQ(machines[0].broken + machines[0].refused, 0);
    CHECK_EQ(cre_broker_queued(machines[0].broker, 0), 0);
    finish();
}

TEST(messages_wait_while_a_server_refuses_them) {
    for (size_t i = 0; i < sizeof temporary_errors / sizeof *temporary_errors; i++)
        refuse_for_some_time(temporary_errors[i], kept, CRE_BROKER_REDIS);
    refuse_for_some_time(temporary_errors[3], (cre_broker_history){ 0 }, CRE_BROKER_REDIS);
    refuse_for_some_time(temporary_errors[0], kept, CRE_BROKER_REDIS_CLUSTER);
}

/* Connections begin while the disk of a server fails. */
TEST(a_server_that_refuses_is_connected) {
    begin(1, NULL);
    subscribe(1, "live", false);
    run(1000);
    servers[0].refuses = temporary_errors[1];
    servers[0].keeps_refusing = servers[0].refuses_scripts = true;
    for (int i = 0; i < MACHINES; i++)
        cut(&machines[i], 0);
    run(1000);
    publish(0, "live", 1, (cre_broker_history){ 0 });
    run(100);
    CHECK_EQ(machines[1].received, 1);
    CHECK_EQ(machines[0].broken, 1);
    publish(0, "news", 1, kept);
    run(1000);
    CHECK_EQ(machines[0].published, 1);
    servers[0].refuses = NULL;
    run(1000);
    CHECK_EQ(machines[0].published, 2);
    finish();
}

TEST(the_queue_of_refused_messages_is_bounded) {
    const cre_broker_config config = { .max_queue = 2000 };
    int accepted = 0, result;
    begin(1, &config);
    run(10);
    servers[0].refuses = temporary_errors[0];
    servers[0].keeps_refusing = servers[0].refuses_scripts = true;
    while ((result = cre_broker_publish(machines[0].broker, text("news"), text("m"), kept, 1)) == 0) {
        accepted++;
        run(1);
    }
    CHECK_EQ(result, CRE_EBROKER_UNAVAILABLE);
    CHECK(accepted > 5 && accepted < 50);
    servers[0].refuses = NULL;
    run(1000);
    CHECK_EQ(machines[0].published, accepted);

    /* messages without history are not concerned, and a connection that is lost meanwhile loses none */
    servers[0].refuses = temporary_errors[0];
    subscribe(1, "live", false);
    publish(0, "news", 1, kept);
    run(500);
    publish(0, "live", 1, (cre_broker_history){ 0 });
    run(10);
    CHECK_EQ(machines[0].published, accepted + 1);
    CHECK_EQ(machines[1].received, 1);
    cut(&machines[0], 0);
    run(1000);
    CHECK_EQ(machines[0].refusals, 3); /* one for each connection */
    servers[0].refuses = NULL;
    run(1000);
    CHECK_EQ(machines[0].published, accepted + 2);
    CHECK_EQ(machines[0].refused, 0);
    finish();
}

/* The check of a new connection is refused: it is repeated, and nothing is reported as lost. */
TEST(refused_checks) {
    for (size_t i = 0; i < sizeof temporary_errors / sizeof *temporary_errors; i++) {
        begin_received();
        cut(&machines[1], 0);
        publish(0, "news", 2, kept);
        settle();
        servers[0].refuses = temporary_errors[i];
        servers[0].keeps_refusing = true;
        subscribe(1, "late", true);
        const int commands = servers[0].commands;
        run(5000);
        CHECK(servers[0].commands - commands < 80);
        CHECK_EQ(machines[1].refusals, 1);
        check_received(1, 1, "before the check");
        servers[0].refuses = NULL;
        run(1000);
        check_received(1, 2, "after the check");
        CHECK_EQ(machines[1].disordered + machines[1].lost, 0);
        CHECK_EQ(machines[1].broken, 1);
        finish();
    }
    begin_received();
    cut(&machines[1], 0);
    servers[0].refuses = "-NOPERM this user has no permissions\r\n";
    run(1000);
    CHECK_EQ(machines[1].lost, 1);
    CHECK_STR(machines[1].refusal, "NOPERM this user has no permissions");
    finish();
}

/* A message that arrives between the subscription and the check of a new connection is in the reply to the
 * check: it must not be delivered twice. */
TEST(messages_during_a_check) {
    begin_received();
    cut(&machines[1], 0);
    publish(0, "news", 2, kept);
    settle();
    holds_checks = true;
    run(1000);
    publish(0, "news", 3, kept);
    run(10);
    check_received(1, 1, "before the check");
    holds_checks = false;
    run(10);
    check_received(1, 3, "after the check");
    CHECK_EQ(machines[1].disordered + machines[1].lost, 0);
    finish();

    /* the first one of the missing messages */
    begin_received();
    cut(&machines[1], 0);
    holds_checks = true;
    run(1000);
    publish(0, "news", 2, kept);
    run(10);
    holds_checks = false;
    run(10);
    check_received(1, 2, "after the check");
    CHECK_EQ(machines[1].disordered + machines[1].lost, 0);
    finish();
}

/* A gap that is found while the first check is on its way: its reply does not have the missing message. */
TEST(gaps_during_the_first_check) {
    begin(1, NULL);
    run(10);
    holds_checks = true;
    subscribe(1, "news", true);
    run(10);
    publish(0, "news", 1, kept);
    run(10);
    servers[0].drops_messages = true;
    publish(0, "news", 2, kept);
    run(10);
    servers[0].drops_messages = false;
    publish(0, "news", 3, kept);
    run(10);
    check_received(1, 1, "before the gap");
    holds_checks = false;
    run(10);
    check_received(1, 3, "after the gap was filled");
    CHECK_EQ(machines[1].disordered + machines[1].lost, 0);
    finish();
}

TEST_MAIN()
