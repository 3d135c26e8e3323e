/* Members of topics at a real server of Redis. Skipped where redis-server is not installed. */
#include "presence_cases.h"
#include "redis_process.h"

static void server_start(void) {
    redis_start(false);
}

static void server_kill(void) {
    redis_kill();
}

/* A server refuses changes of members: the cause is reported, and the next renewal repeats them. */
TEST(refused_members) {
    begin(3 * LIFETIME_MS);
    join(0, "room", "bob", "");
    check_changes(0, "+room/bob= ");
    REQUIRE(redis_cli("config set min-replicas-to-write 1"));
    join(0, "room", "ann", "1");
    leave(0, "room", "bob");
    WAIT(machines[0].refusals && !cre_broker_sends_members(machines[0].broker));
    CHECK(strstr(machines[0].text, "NOREPLICAS"));
    check_changes(0, "");
    REQUIRE(redis_cli("config set min-replicas-to-write 0"));
    /* on a slow machine bob may have expired, which the other one may report */
    WAIT(strstr(machines[0].changes, "+room/ann=1 ") &&
         (strstr(machines[0].changes, "-room/bob= ") || strstr(machines[1].changes, "-room/bob= ")));
    const machine *m = ask(1, "room", 100);
    CHECK(m->presence.count == 1 && has_member(m, "ann=1 "));
    CHECK_EQ(machines[0].refusals, 1);
    finish();
}

int main(int argc, char **argv) {
    real = (real_server){ .connect = redis_connect, .config = { .sweeps = 1 } };
    return redis_test_main(argc, argv);
}
