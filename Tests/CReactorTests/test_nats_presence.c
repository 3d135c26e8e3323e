/* Members of topics at a real server of NATS. Skipped where nats-server is not installed. */
#include "nats_process.h"
#include "presence_cases.h"

static const char *settings = "";

static void start_with_data(bool fresh) {
    char text[1024];
    snprintf(text, sizeof text, "%s\n%s", nats_store(0, fresh), settings);
    nats_start(0, text);
}

static void server_start(void) {
    start_with_data(true);
}

static void server_kill(void) {
    nats_kill(0);
}

static int connect_nats(int *fd) {
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                    .sin_port = htons(nats_processes[0].port) };
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* connects to this machine at once */
    return *fd >= 0 && connect(*fd, (const struct sockaddr *)&to, sizeof to) ? -errno : 0;
}

/* A server that was killed has its data when it is back: nobody has joined or left. */
TEST(restarted_server) {
    begin(LIFETIME_MS);
    join(0, "room", "ann", "A");
    join(1, "room", "bob", "B");
    check_changes(0, "+room/ann=A ");
    check_changes(1, "+room/bob=B ");
    for (int round = 0; round < 2; round++) {
        server_kill();
        leave(1, "room", "bob");
        join(1, "room", round ? "dan" : "eve", "");
        if (round) usleep(LIFETIME_MS * 1000); /* the leases have expired */
        start_with_data(false);
        WAIT(machines[0].established == 2 + round && machines[1].established == 2 + round);
        WAIT(ask(0, "room", 9)->presence.count == 2U + (unsigned)round && has_member(&machines[0], "ann=A "));
    }
    WAIT(strlen(machines[1].changes) >= strlen("-room/bob=B +room/eve= +room/dan= "));
    CHECK(strstr(machines[1].changes, "-room/bob=B ") && strstr(machines[1].changes, "+room/eve= "));
    WAIT(!cre_broker_sends_members(machines[1].broker));
    CHECK_EQ(strlen(machines[1].changes), strlen("-room/bob=B +room/eve= +room/dan= "));
    CHECK_STR(machines[0].changes, "");
    finish();
}

/* Both machines add and remove the same members at the same time: each change is reported once. */
TEST(the_same_members) {
    enum { ROUNDS = 30, MEMBERS = 6 };
    uint32_t random = 7;
    int joined[MEMBERS] = { 0 }, left[MEMBERS] = { 0 };
    begin(0);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < MACHINES * MEMBERS; i++) {
            const char id[] = { (char)('a' + i / 2), 0 };
            if ((random = random * 1103515245 + 12345) >> 16 & 1)
                leave(i % 2, "room", id);
            else
                join(i % 2, "room", id, "x");
        }
        if (round % 2) turn(); /* some changes are taken back before they are sent */
    }
    for (int i = 0; i < MEMBERS; i++) /* at a slow server none may have been sent yet */
        join(i % 2, "room", (const char[]){ (char)('a' + i), 0 }, "x");
    WAIT(!cre_broker_sends_members(machines[0].broker) && !cre_broker_sends_members(machines[1].broker));
    for (int i = 0; i < MACHINES * MEMBERS; i++)
        leave(i % 2, "room", (const char[]){ (char)('a' + i / 2), 0 });
    WAIT(!cre_broker_sends_members(machines[0].broker) && !cre_broker_sends_members(machines[1].broker));
    CHECK_EQ(ask(0, "room", 9)->presence.count, 0);
    for (int i = 0; i < MACHINES; i++)
        for (const char *at = machines[i].changes; *at; at += strlen("+room/a=x "))
            ++(*at == '+' ? joined : left)[at[6] - 'a'];
    for (int i = 0; i < MEMBERS; i++) {
        CHECK(joined[i] > 0);
        CHECK_EQ(joined[i], left[i]);
    }
    finish();
}

static int drain_leaves(int index) {
    int count = 0;
    for (const char *at = machines[index].changes; (at = strchr(at, '-')); at++)
        count++;
    machines[index].changes[0] = 0;
    return count;
}

/* Members of machines that have crashed all at once, more than one batch of a scan has, are removed by the
 * next one. */
TEST(crashed_machines) {
    enum { COUNT = 2500 };
    begin(LIFETIME_MS);
    char id[16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof id, "%d", i);
        join(i % 5 ? 0 : 1, "hall", id, "");
        if (i % 50 == 0) turn();
        machines[0].changes[0] = machines[1].changes[0] = 0;
    }
    while (cre_broker_sends_members(machines[0].broker) || cre_broker_sends_members(machines[1].broker)) {
        turn();
        machines[0].changes[0] = machines[1].changes[0] = 0;
    }
    WAIT(ask(1, "hall", 0)->presence.count == COUNT);
    join(1, "room.*", "bob \xff", "B");
    check_changes(1, "+room.*/bob \xff=B ");
    stop_machine(0);
    stop_machine(1);
    start_machines();
    WAIT(machines[0].established == 1 && machines[1].established == 1);
    WAIT(ask(0, "hall", 0)->presence.count == 0 && ask(1, "room.*", 0)->presence.count == 0);
    int left = 0;
    for (const uint64_t end = milliseconds() + DEADLINE_MS; left < COUNT + 1 && milliseconds() < end;) {
        turn();
        left += drain_leaves(0) + drain_leaves(1);
    }
    CHECK_EQ(left, COUNT + 1);
    join(1, "hall", "7", "A");
    WAIT(strstr(machines[1].changes, "+hall/7=A "));
    finish();
}

/* A list is refused at once, or when the cause is known. */
static void check_unavailable(void) {
    machine *m = &machines[0];
    m->answers = 0;
    m->answer = cre_broker_list_members(m->broker, text("room"), 9, 7);
    if (!m->answer) WAIT(m->answers == 1);
    CHECK_EQ(m->answer, CRE_EBROKER_UNAVAILABLE);
}

/* The permissions that the documentation names are enough. Others are reported. */
TEST(permissions) {
    settings =
        "authorization { users: [ { user: u, password: p, permissions: { subscribe: \"sws.>\", publish: "
        "[\"sws.>\", \"$JS.API.STREAM.INFO.*\", \"$JS.API.STREAM.CREATE.*\", "
        "\"$JS.API.STREAM.MSG.GET.*\", \"$JS.API.STREAM.MSG.DELETE.*\", \"$JS.API.CONSUMER.CREATE.*\", "
        "\"$JS.API.CONSUMER.MSG.NEXT.*.*\", \"$JS.API.CONSUMER.DELETE.*.*\"] } } ] }";
    real.config.user = "u";
    real.config.password = "p";
    begin(LIFETIME_MS);
    join(0, "room", "ann", "A");
    join(1, "room", "bob", "B");
    leave(1, "room", "bob");
    WAIT(!cre_broker_sends_members(machines[0].broker) && !cre_broker_sends_members(machines[1].broker));
    WAIT(ask(1, "room", 9)->presence.count == 1);
    cre_broker_retire(machines[0].broker);
    WAIT(strstr(machines[1].changes, "-room/ann=A "));
    CHECK_EQ(machines[0].refusals + machines[1].refusals, 0);
    finish();
    settings =
        "authorization { users: [ { user: u, password: p, permissions: { subscribe: \"sws.>\", publish: "
        "[\"sws.>\"] } } ] }";
    begin(LIFETIME_MS);
    join(0, "room", "ann", "A");
    join(0, "room", "bob", "B");
    WAIT(machines[0].refusals > 2 && strstr(machines[0].text, "-960"));
    check_unavailable();
    finish();
    settings = "";
    real.config.user = real.config.password = NULL;
}

/* Somebody deletes the stream of members: it is created again, and all of them join again. */
TEST(deleted_stream) {
    static const char request[] = "CONNECT {\"verbose\":false}\r\n"
                                  "PUB $JS.API.STREAM.DELETE.sws-members-960 x 0\r\n\r\n"
                                  "PING\r\n";
    char reply[4096];
    int fd;
    begin(LIFETIME_MS);
    join(0, "room", "ann", "A");
    check_changes(0, "+room/ann=A ");
    REQUIRE(connect_nats(&fd) == 0 && write(fd, request, sizeof request - 1) == sizeof request - 1);
    size_t used = 0;
    for (ssize_t n; !memmem(reply, used, "PONG", 4) && (n = read(fd, reply + used, sizeof reply - used)) > 0;)
        used += (size_t)n;
    CHECK(memmem(reply, used, "PONG", 4));
    join(1, "room", "bob", "B");
    WAIT(strstr(machines[0].changes, "+room/ann=A ") && strstr(machines[1].changes, "+room/bob=B "));
    WAIT(ask(1, "room", 9)->presence.count == 2);
    CHECK_EQ(machines[0].losses + machines[1].losses, 0);
    close(fd);
    finish();
}

/* A server without JetStream: topics work, members do not. */
TEST(without_jetstream) {
    nats_start(0, "");
    start_machines();
    WAIT(machines[0].established == 1 && machines[1].established == 1);
    join(0, "room", "ann", "A");
    join(0, "room", "bob", "B");
    check_unavailable();
    WAIT(strstr(machines[0].text, "JetStream is not available"));
    CHECK(cre_broker_is_connected(machines[0].broker, 0));
    finish();
}

int main(int argc, char **argv) {
    real = (real_server){ .connect = connect_nats,
                          .config = { .sweeps = 1, .kind = CRE_BROKER_NATS, .max_backoff_ms = 200 } };
    return nats_test_main(argc, argv);
}
