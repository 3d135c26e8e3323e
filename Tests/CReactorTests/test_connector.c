/* Connecting: to addresses, names and paths; failures of all kinds; cancelling at every stage. */
#include "calls.h"

#include <netdb.h>
#include <sys/un.h>

#include "faults.h"
#include "net.h"

/* ---- names: the lookups of this program end here, so that no test asks a name server ---- */

static _Atomic int lookup_answer;                 /* an EAI_ error, or 0 */
static const char *lookup_addresses[40];          /* up to NULL */
static atomic_bool lookup_blocked, lookup_inside; /* lookups wait; one does */

static struct addrinfo *address_info(const char *text, const char *service) {
    cre_address address;
    struct {
        struct addrinfo info;
        struct sockaddr_storage at;
    } *made = calloc(1, sizeof *made);
    REQUIRE(made && cre_address_parse(text, (uint16_t)atoi(service), &address) == 0);
    made->info.ai_family = address.family;
    made->info.ai_socktype = SOCK_STREAM;
    made->info.ai_addr = (struct sockaddr *)&made->at;
    if (address.family == AF_INET6) {
        struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_port = htons(address.port) };
        memcpy(&at.sin6_addr, address.bytes, 16);
        memcpy(&made->at, &at, made->info.ai_addrlen = sizeof at);
    } else {
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(address.port) };
        memcpy(&at.sin_addr, address.bytes, 4);
        memcpy(&made->at, &at, made->info.ai_addrlen = sizeof at);
    }
    return &made->info;
}

int getaddrinfo(const char *restrict host, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict out) {
    CHECK_STR(host, "server.example");
    CHECK_EQ(hints->ai_socktype, SOCK_STREAM);
    atomic_store(&lookup_inside, true);
    while (atomic_load(&lookup_blocked))
        usleep(100);
    atomic_store(&lookup_inside, false);
    *out = NULL;
    if (atomic_load(&lookup_answer)) return atomic_load(&lookup_answer);
    for (const char **text = lookup_addresses; *text; text++, out = &(*out)->ai_next)
        *out = address_info(*text, service);
    return 0;
}

void freeaddrinfo(struct addrinfo *list) {
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

static void answer_lookups(const char *const *addresses, int error) {
    int count = 0;
    for (; addresses && addresses[count]; count++)
        lookup_addresses[count] = addresses[count];
    lookup_addresses[count] = NULL;
    atomic_store(&lookup_answer, error);
}

/* ---- one connector ---- */

typedef struct outcome {
    int calls, result;
} outcome;

static void on_connected(void *context, int result) {
    outcome *it = context;
    it->calls++;
    it->result = result;
}

static int dial(net_server *net, cre_connect_options options, outcome *it, cre_connector **connector) {
    *it = (outcome){ .result = INT32_MIN };
    calls_enter();
    int result = cre_connector_start(net->loop, &options, on_connected, it, connector);
    calls_leave();
    CHECK_EQ(it->calls, 0);
    return result;
}

/* Connects and waits for the result. */
static int dial_to(net_server *net, cre_connect_options options) {
    outcome it;
    cre_connector *connector;
    int result = dial(net, options, &it, &connector);
    if (result) {
        net_settle(net);
        CHECK_EQ(it.calls, 0);
        return result;
    }
    NET_UNTIL(net, it.calls);
    net_settle(net);
    CHECK_EQ(it.calls, 1);
    return it.result;
}

/* A request over the new connection; the descriptor is closed. */
static void check_connection(net_server *net, int descriptor, bool tcp) {
    REQUIRE(descriptor >= 0);
    CHECK(fcntl(descriptor, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(descriptor, F_GETFD) & FD_CLOEXEC);
    int on = 0;
    socklen_t size = sizeof on;
    if (tcp) {
        CHECK_EQ(getsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
        CHECK_EQ(on, 1);
    }
    net_client client = { .net = net, .descriptor = descriptor };
    char body[32];
    net_send_text(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_EQ(net_response(&client, body, sizeof body, false), 200);
    CHECK_STR(body, "hello");
    net_close(&client);
}

static int greet(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)payload;
    if (event->kind == CRE_EVENT_REQUEST)
        cre_engine_respond(net->engine, event->session, 200, NULL, "hello", 5);
    return 0;
}

static net_server *start_server(void) {
    return net_start((cre_engine_config){ .http = true }, greet);
}

static bool machine_has_ipv6(void) {
    int probe = cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "::1" }, NULL);
    if (probe >= 0) close(probe);
    return probe >= 0;
}

/* A port of 127.0.0.1 that nobody listens on: it is bound, so nobody else takes it meanwhile. */
static int closed_port(uint16_t *port) {
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    REQUIRE(descriptor >= 0 && bind(descriptor, (struct sockaddr *)&at, sizeof at) == 0);
    REQUIRE(getsockname(descriptor, (struct sockaddr *)&at, &size) == 0);
    *port = ntohs(at.sin_port);
    return descriptor;
}

/* ---- a listener that accepts nothing ---- */

#define FILLERS 8

typedef struct silent {
    int listener, fillers[FILLERS];
    uint16_t port;
} silent;

/* Its backlog is full: another connection is not established. */
static silent silent_start(const char *host, uint16_t port) {
    silent it = { .port = port };
    it.listener = cre_listen(
        &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = host, .port = port, .backlog = 1 },
        &it.port);
    REQUIRE(it.listener >= 0);
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
    } at;
    socklen_t size = sizeof at;
    REQUIRE(getsockname(it.listener, &at.any, &size) == 0);
    for (int i = 0; i < FILLERS; i++) {
        it.fillers[i] = socket(at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        REQUIRE(it.fillers[i] >= 0);
        IGNORE(connect(it.fillers[i], &at.any, size));
    }
    return it;
}

static void silent_stop(silent *it) {
    for (int i = 0; i < FILLERS; i++)
        close(it->fillers[i]);
    cre_listen_remove(it->listener);
    close(it->listener);
}

/* ---- success ---- */

TEST(addresses) {
    net_server *net = start_server();
    check_connection(net,
                     dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                         .host = "127.0.0.1",
                                                         .port = net->port }),
                     true);
    check_connection(net,
                     dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                         .host = "localhost",
                                                         .port = net->port }),
                     true);
    check_connection(net,
                     dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                         .host = "www.LocalHost.",
                                                         .port = net->port }),
                     true);
    if (machine_has_ipv6()) {
        uint16_t port;
        REQUIRE(cre_engine_listen(net->engine,
                                  &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "::1" },
                                  &port) == 0);
        check_connection(net,
                         dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                             .host = "::1",
                                                             .port = port }),
                         true);
        check_connection(net,
                         dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                             .host = "localhost",
                                                             .port = port }),
                         true);
    }
    net_stop(net);
}

TEST(unix_sockets) {
    net_server *net = start_server();
    char path[64], abstract[64];
    snprintf(path, sizeof path, "unix:/tmp/creactor-connect-%d", (int)getpid());
    snprintf(abstract, sizeof abstract, "unix:@creactor-connect-%d", (int)getpid());
    REQUIRE(cre_engine_listen(net->engine,
                              &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = path },
                              NULL) == 0);
    REQUIRE(cre_engine_listen(net->engine,
                              &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = abstract },
                              NULL) == 0);
    check_connection(
        net, dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options), .host = path }), false);
    check_connection(
        net, dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options), .host = abstract }),
        false);
    net_stop(net);
    unlink(path + 5);
}

TEST(datagrams) {
    net_server *net = start_server();
    cre_connect_options options = { .size = sizeof options, .host = "127.0.0.1", .port = 9, .datagram = 1 };
    for (int i = 0; i < 2; i++) {
        options.host = i ? "server.example" : "127.0.0.1";
        answer_lookups((const char *[]){ "127.0.0.1", NULL }, 0);
        int descriptor = dial_to(net, options), type = 0;
        REQUIRE(descriptor >= 0);
        socklen_t size = sizeof type;
        CHECK_EQ(getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size), 0);
        CHECK_EQ(type, SOCK_DGRAM);
        struct sockaddr_in peer;
        size = sizeof peer;
        CHECK_EQ(getpeername(descriptor, (struct sockaddr *)&peer, &size), 0);
        CHECK_EQ(ntohs(peer.sin_port), 9);
        close(descriptor);
    }
    net_stop(net);
}

TEST(names) {
    net_server *net = start_server();
    cre_connect_options options = { .size = sizeof options, .host = "server.example", .port = net->port };
    answer_lookups((const char *[]){ "127.0.0.1", NULL }, 0);
    check_connection(net, dial_to(net, options), true);
    /* Nobody listens on the first ones. */
    answer_lookups((const char *[]){ "::1", "127.0.0.2", "127.0.0.3", "127.0.0.1", NULL }, 0);
    check_connection(net, dial_to(net, options), true);
    net_stop(net);
}

/* The next address is tried although the one before has neither failed nor connected. */
TEST(a_silent_address_does_not_hold_up_the_next) {
    net_server *net = start_server();
    silent first = silent_start("127.0.0.2", net->port);
    answer_lookups((const char *[]){ "127.0.0.2", "127.0.0.1", NULL }, 0);
    check_connection(net,
                     dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                         .host = "server.example",
                                                         .port = net->port,
                                                         .timeout_ms = 60000,
                                                         .head_start_ms = 1 }),
                     true);
    silent_stop(&first);
    net_stop(net);
}

/* The families take turns: with at most 16 addresses, one of the other family is among them. */
TEST(families_take_turns) {
    if (!machine_has_ipv6()) return;
    net_server *net = start_server();
    const char *addresses[34] = { NULL };
    for (int i = 0; i < 32; i++)
        addresses[i] = "::1";
    addresses[32] = "127.0.0.1";
    answer_lookups(addresses, 0);
    check_connection(net,
                     dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                         .host = "server.example",
                                                         .port = net->port }),
                     true);
    net_stop(net);
}

/* ---- failure ---- */

TEST(calls_that_fail) {
    net_server *net = start_server();
    static const cre_connect_options wrong[] = {
        { .size = sizeof(cre_connect_options), .port = 80 },
        { .size = sizeof(cre_connect_options), .host = "", .port = 80 },
        { .size = sizeof(cre_connect_options), .host = "127.0.0.1" },
        { .size = sizeof(cre_connect_options), .host = "localhost" },
        { .size = sizeof(cre_connect_options), .host = "server.example" },
        { .size = sizeof(cre_connect_options), .host = "[::1]", .port = 80 },
        { .size = sizeof(cre_connect_options), .host = "::1%no-such-interface", .port = 80 },
        { .size = sizeof(cre_connect_options), .host = "server.example:80", .port = 80 },
        { .size = sizeof(cre_connect_options), .host = "server example", .port = 80 },
        { .size = sizeof(cre_connect_options), .host = "unix:" },
        { .size = sizeof(cre_connect_options), .host = "unix:/tmp/x", .datagram = 1 },
        { .size = sizeof(cre_connect_options), .host = "127.0.0.1", .datagram = 1 },
        { .size = sizeof(cre_connect_options), .host = "127.0.0.1", .port = 80, .datagram = 2 },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_EQ(dial_to(net, wrong[i]), CRE_EINVALID);
    char host[300];
    memset(host, 'a', sizeof host);
    host[sizeof host - 1] = 0;
    CHECK_EQ(
        dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options), .host = host, .port = 80 }),
        CRE_EINVALID);
    memcpy(host, "unix:", 5);
    CHECK_EQ(dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options), .host = host }),
             -ENAMETOOLONG);
    net_stop(net);
}

TEST(refused) {
    net_server *net = start_server();
    uint16_t port;
    int bound = closed_port(&port);
    CHECK_EQ(dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                 .host = "127.0.0.1",
                                                 .port = port }),
             -ECONNREFUSED);
    answer_lookups((const char *[]){ "127.0.0.1", "127.0.0.1", "127.0.0.1", NULL }, 0);
    CHECK_EQ(dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                 .host = "server.example",
                                                 .port = port }),
             -ECONNREFUSED);
    CHECK_EQ(dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                 .host = "unix:/nowhere/at/all" }),
             -ENOENT);
    CHECK_EQ(dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                 .host = "unix:@creactor-nobody" }),
             -ECONNREFUSED);
    close(bound);
    net_stop(net);
}

TEST(lookups_that_fail) {
    net_server *net = start_server();
    cre_connect_options options = { .size = sizeof options, .host = "server.example", .port = 80 };
    static const int errors[][2] = {
        { EAI_NONAME, CRE_EHOST_UNKNOWN }, { EAI_NODATA, CRE_EHOST_UNKNOWN }, { EAI_AGAIN, CRE_EHOST_LOOKUP },
        { EAI_FAIL, CRE_EHOST_LOOKUP },    { EAI_MEMORY, CRE_ENOMEM },
    };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        answer_lookups(NULL, errors[i][0]);
        CHECK_EQ(dial_to(net, options), errors[i][1]);
    }
    answer_lookups(NULL, 0); /* no address, and no error */
    CHECK_EQ(dial_to(net, options), CRE_EHOST_UNKNOWN);
    CHECK_STR(cre_error_name(CRE_EHOST_UNKNOWN), "CRE_EHOST_UNKNOWN");
    net_stop(net);
}

TEST(timeouts) {
    net_server *net = start_server();
    silent full = silent_start("127.0.0.1", 0);
    CHECK_EQ(dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                 .host = "127.0.0.1",
                                                 .port = full.port,
                                                 .timeout_ms = 30 }),
             -ETIMEDOUT);
    answer_lookups((const char *[]){ "127.0.0.1", "127.0.0.1", NULL }, 0);
    CHECK_EQ(dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                 .host = "server.example",
                                                 .port = full.port,
                                                 .timeout_ms = 30,
                                                 .head_start_ms = 10 }),
             -ETIMEDOUT);
    atomic_store(&lookup_blocked, true);
    CHECK_EQ(dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                 .host = "server.example",
                                                 .port = 80,
                                                 .timeout_ms = 30 }),
             CRE_EHOST_LOOKUP);
    atomic_store(&lookup_blocked, false);
    silent_stop(&full);
    net_stop(net);
}

/* A Unix socket with a full backlog refuses at once and never reports that it has room again. */
TEST(unix_socket_with_a_full_backlog) {
    net_server *net = start_server();
    char host[64];
    snprintf(host, sizeof host, "unix:/tmp/creactor-full-%d", (int)getpid());
    silent full = silent_start(host, 0);
    CHECK_EQ(
        dial_to(net,
                (cre_connect_options){ .size = sizeof(cre_connect_options), .host = host, .timeout_ms = 50 }),
        -ETIMEDOUT);
    outcome it;
    cre_connector *connector;
    REQUIRE(
        dial(net,
             (cre_connect_options){ .size = sizeof(cre_connect_options), .host = host, .timeout_ms = 60000 },
             &it, &connector) == 0);
    net_settle(net);
    CHECK_EQ(it.calls, 0);
    for (int i = 0, accepted; i < FILLERS; i++)
        if ((accepted = accept(full.listener, NULL, NULL)) >= 0 && close(accepted)) break;
    NET_UNTIL(net, it.calls);
    CHECK_EQ(it.calls, 1);
    CHECK(it.result >= 0);
    close(it.result);
    silent_stop(&full);
    net_stop(net);
}

/* ---- cancelling ---- */

TEST(cancelling) {
    net_server *net = start_server();
    silent full = silent_start("127.0.0.1", 0);
    cre_connect_options addressed = {
        .size = sizeof addressed, .host = "127.0.0.1", .port = full.port, .timeout_ms = 20
    };
    cre_connect_options named = {
        .size = sizeof named, .host = "server.example", .port = full.port, .timeout_ms = 20
    };
    char path[64];
    snprintf(path, sizeof path, "unix:/tmp/creactor-cancel-%d", (int)getpid());
    silent full_path = silent_start(path, 0);
    outcome it;
    cre_connector *connector;
    answer_lookups((const char *[]){ "127.0.0.1", "127.0.0.1", NULL }, 0);
    cre_connector_stop(NULL);
    long connects = 0;
    for (int stage = 0; stage < 6; stage++) {
        cre_connect_options options = stage >= 3 ? named : addressed;
        if (stage == 2)
            options =
                (cre_connect_options){ .size = sizeof(cre_connect_options), .host = path, .timeout_ms = 20 };
        atomic_store(&lookup_blocked, stage == 3 || stage == 4);
        REQUIRE(dial(net, options, &it, &connector) == 0);
        if (stage == 1 || stage == 2) net_turn(net);               /* connecting, or waiting for room */
        if (stage == 4) NET_UNTIL(net, lookup_inside || it.calls); /* a thread looks for the name */
        if (stage == 5) NET_UNTIL(net, calls_made[CALL_connect] > connects || it.calls);
        connects = calls_made[CALL_connect];
        if (it.calls) { /* a slow machine: its time is over */
            CHECK(it.result == -ETIMEDOUT || (stage >= 3 && it.result == CRE_EHOST_LOOKUP));
            atomic_store(&lookup_blocked, false);
            continue;
        }
        cre_connector_stop(connector);
        net_settle(net);
        atomic_store(&lookup_blocked, false);
        for (int i = 0; i < 60; i++)
            net_rest(net, -1);
        CHECK_EQ(it.calls, 0);
    }
    silent_stop(&full_path);
    silent_stop(&full);
    net_stop(net);
}

TEST(the_loop_ends_with_a_cancelled_lookup) {
    net_server *net = start_server();
    outcome it;
    cre_connector *connector;
    atomic_store(&lookup_blocked, true);
    cre_connect_options options = { .size = sizeof options, .host = "server.example", .port = 80 };
    REQUIRE(dial(net, options, &it, &connector) == 0);
    NET_UNTIL(net, lookup_inside);
    cre_connector_stop(connector);
    atomic_store(&lookup_blocked, false);
    net_stop(net);
    CHECK_EQ(it.calls, 0);
}

/* Cancelled by the callback of another one, in the same turn. */
static cre_connector *to_cancel;

static void cancel_other(void *context, int result) {
    on_connected(context, result);
    if (to_cancel) cre_connector_stop(to_cancel);
    to_cancel = NULL;
}

TEST(cancelling_inside_a_callback) {
    net_server *net = start_server();
    outcome first = { 0 }, second = { 0 };
    cre_connector *connector;
    cre_connect_options options = { .size = sizeof options, .host = "unix:/nowhere/at/all" };
    REQUIRE(cre_connector_start(net->loop, &options, cancel_other, &first, &connector) == 0);
    REQUIRE(cre_connector_start(net->loop, &options, on_connected, &second, &to_cancel) == 0);
    NET_UNTIL(net, first.calls);
    net_settle(net);
    CHECK_EQ(first.calls, 1);
    CHECK_EQ(second.calls, 0);
    net_stop(net);
}

/* ---- faults ---- */

static const fault connect_faults[] = {
    { MEMORY, ENOMEM },
    { CALL_socket, EMFILE },
    { CALL_socket, ENFILE },
    { CALL_socket, ENOBUFS },
    { CALL_setsockopt, ENOBUFS },
    { CALL_connect, ENETUNREACH },
    { CALL_connect, EADDRNOTAVAIL },
    { CALL_connect, EACCES },
    { CALL_getpeername, ENOTCONN },
    { CALL_getsockname, ENOBUFS },
    { CALL_epoll_ctl, ENOMEM },
    { CALL_uv_getaddrinfo, ENOMEM },
    { CALLS, 0 },
};

static int open_descriptors(void) {
    int count = 0;
    for (int i = 0; i < 256; i++)
        count += fcntl(i, F_GETFD) >= 0;
    return count;
}

/* Each call of the connector fails once. Afterwards either the next address was connected to, or the error
 * is the result, and nothing is left open. The listener accepts nothing, so these calls are all of it. */
TEST(every_call_may_fail) {
    net_server *net = start_server();
    uint16_t port;
    int listener =
        cre_listen(&(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" }, &port);
    REQUIRE(listener >= 0);
    check_connection(net,
                     dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                         .host = "localhost",
                                                         .port = net->port }),
                     true);
    for (int addresses = 1; addresses <= 2; addresses++) {
        answer_lookups((const char *[]){ "127.0.0.1", addresses > 1 ? "127.0.0.1" : NULL, NULL }, 0);
        for (const fault *it = connect_faults; it->kind != CALLS; it++) {
            for (long n = 1; n < 20; n++) {
                int before = open_descriptors();
                arm(it, n);
                int result = dial_to(net, (cre_connect_options){ .size = sizeof(cre_connect_options),
                                                                 .host = "server.example",
                                                                 .port = port });
                bool failed = disarm(it);
                CHECK(failed || n > 1);
                if (result >= 0) {
                    close(result);
                } else {
                    CHECK(failed);
                    bool memory = it->error == ENOMEM && it->kind != CALL_epoll_ctl;
                    CHECK_EQ(result, memory ? CRE_ENOMEM : -it->error);
                    if (it->kind >= CALL_socket && it->kind <= CALL_connect) CHECK_EQ(addresses, 1);
                }
                CHECK_EQ(open_descriptors(), before);
                if (!failed) break;
            }
        }
    }
    close(listener);
    net_stop(net);
}

TEST_MAIN()
