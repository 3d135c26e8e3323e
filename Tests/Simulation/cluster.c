/*
 * Simulates the gateway of a cluster: a worker that publishes and asks, two workers that own a WebSocket
 * each, the gateway, and a Redis in memory behind a connection that is cut. Each process is killed at any
 * step, and replaced.
 *
 *   simulate_cluster [--trace] [COUNT [SEED]]
 *
 * What must hold: a message whose publication was accepted, and whose process lived on until the end of its
 * turn, arrives once and in order, whichever process dies then; one that was refused never arrives; a
 * question is answered at most once, and surely when nobody has died since.
 */
#include <creactor/error.h>
#include <creactor/internal/gateway.h>
#include <creactor/websocket_frame.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/memory.h"
#include "machine.h"
#include "redis_server.h"

enum { OWNERS = 2, SENDER = OWNERS, GATEWAY, NODES };
enum { MOST_NUMBERS = 300, MOST_QUESTIONS = 100, WIRE = 16384, LAST_NUMBERS = 20, POLL_MS = 2 };
#define SECOND 1000000000ull

typedef enum fate { UNKNOWN, CERTAIN, REFUSED } fate; /* of a message */

typedef struct question {
    bool asked, answered;
    uint32_t faults; /* that there had been when it was asked */
} question;

/* Of an owner, which has its number. */
typedef struct client {
    wire *wire; /* NULL: the owner has ended */
    uint8_t received[WIRE];
    size_t length;
    bool is_upgraded;
    int first, last; /* numbers that it has received */
    bool has[MOST_NUMBERS + 1];
} client;

static struct {
    cre_bus_config bus_config;
    cre_bus *bus;
    int descriptors[NODES + 1];
    process *processes[NODES];
    uint64_t replaced_at[NODES]; /* 0: it is not due */
    /* the connection with Redis */
    uint8_t up[WIRE], down[WIRE];
    size_t up_length, down_length;
    bool is_connected, is_cut; /* the gateway has not noticed that */
    /* the ledger */
    fate fates[MOST_NUMBERS + 1];
    question questions[MOST_QUESTIONS];
    int accepted[8], accepted_count; /* in this turn of the sender */
    int sent, last_sent;             /* the sender ends at that one; 0: it is not known yet */
    int asked;
    client clients[OWNERS];
    /* the schedule */
    uint32_t faults_left, fault_every, faults, publishes_at_once;
    bool failed, tracing;
    char violation[300];
} model;

static redis_server redis;
static struct {
    unsigned long long schedules, kills[NODES], cuts, messages, answers;
} counted;

static const cre_topic_rule rules[] = { { .pattern = "kept", .history_count = 300, .history_seconds = 60 } };
static const cre_cluster_place place = { .gateway = GATEWAY, .shards = 1, .rules = rules, .rule_count = 1 };

__attribute__((format(printf, 1, 2))) static void trace(const char *format, ...) {
    if (!model.tracing) return;
    va_list arguments;
    va_start(arguments, format);
    printf("%12.6f  ", (double)machine_now() / 1e9);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

__attribute__((format(printf, 1, 2))) static void violated(const char *format, ...) {
    if (model.failed) return;
    model.failed = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(model.violation, sizeof model.violation, format, arguments);
    va_end(arguments);
    trace("VIOLATED: %s", model.violation);
}

/* ---- the connection of the gateway, in place of the library's ---- */

struct cre_cluster {
    cre_broker *broker;
    cre_loop *loop;
    cre_timer *timer;
    bool waits, wanted, connected;
};

static cre_cluster *cluster; /* of the gateway that runs */

static void on_connect(void *context, uint32_t shard) {
    (void)context, (void)shard;
    cluster->wanted = true;
}

/* Redis receives what was sent, or the beginning of it. */
static void end_connection(void) {
    if (!model.is_connected) return;
    model.is_connected = false;
    if (model.up_length && machine_chance(80))
        server_receive(&redis, 0, model.up, 1 + machine_below((uint32_t)model.up_length));
    model.up_length = model.down_length = 0;
    server_drop(&redis, 0);
}

static void on_disconnect(void *context, uint32_t shard) {
    (void)context, (void)shard;
    cluster->wanted = cluster->connected = false;
    model.is_cut = true; /* the model ends it: what Redis has allocated is not the gateway's */
}

static void send_some(cre_cluster *it) {
    cre_slice output = cre_broker_output(it->broker, 0);
    if (output.length > sizeof model.up - model.up_length) output.length = sizeof model.up - model.up_length;
    if (!output.length) return;
    output.length = 1 + machine_below((uint32_t)output.length);
    if (model.is_connected) { /* otherwise it is lost, which the gateway notices later */
        memcpy(model.up + model.up_length, output.data, output.length);
        model.up_length += output.length;
    }
    machine_step();
    cre_broker_sent(it->broker, 0, output.length);
}

static void receive_some(cre_cluster *it) {
    uint8_t bytes[WIRE];
    if (!model.down_length) return;
    const size_t length = 1 + machine_below((uint32_t)model.down_length);
    memcpy(bytes, model.down, length);
    memmove(model.down, model.down + length, model.down_length - length);
    model.down_length -= length;
    machine_step();
    cre_broker_received(it->broker, 0, bytes, length, cre_loop_now(it->loop));
}

static void poll_connection(void *context, cre_timer *timer) {
    cre_cluster *it = context;
    const uint64_t now = cre_loop_now(it->loop);
    (void)timer;
    if (it->waits) return;
    if (it->connected && !model.is_connected) {
        it->connected = false;
        cre_broker_closed(it->broker, 0, -ECONNRESET, now);
    }
    cre_broker_tick(it->broker, now);
    if (it->wanted && model.is_connected && !model.is_cut) {
        it->wanted = false;
        it->connected = true;
        cre_broker_connected(it->broker, 0, now);
    }
    if (it->connected) receive_some(it);
    if (it->connected) send_some(it);
}

int cre_cluster_create(cre_loop *loop, const cre_cluster_config *config, cre_cluster **out) {
    cre_broker_handlers handlers = *config->handlers;
    handlers.connect = on_connect;
    handlers.disconnect = on_disconnect;
    cluster = cre__calloc(1, sizeof *cluster);
    cluster->loop = loop;
    cluster->waits = config->waits;
    if (cre_broker_create(config->broker, &handlers, config->context, &cluster->broker)) abort();
    if (cre_timer_start(loop, POLL_MS, POLL_MS, poll_connection, cluster, &cluster->timer)) abort();
    *out = cluster;
    return 0;
}

int cre_cluster_connect(cre_cluster *it) {
    it->waits = false;
    return 0;
}

void cre_cluster_destroy(cre_cluster *it) {
    (void)it;
    abort(); /* gateways end by being killed */
}

cre_broker *cre_cluster_broker(cre_cluster *it) {
    return it->broker;
}

/* Redis and the network do something. */
static bool act_network(void) {
    if (model.is_cut) {
        end_connection();
        model.is_cut = false;
        return true;
    }
    const process *gateway = model.processes[GATEWAY];
    if (!model.is_connected) {
        if (!gateway || gateway->ended || !cluster || !cluster->wanted) return false;
        server_accept(&redis, 0);
        model.is_connected = true;
        return true;
    }
    bool moved = model.up_length > 0;
    if (moved) {
        const size_t length = 1 + machine_below((uint32_t)model.up_length);
        server_receive(&redis, 0, model.up, length);
        memmove(model.up, model.up + length, model.up_length - length);
        model.up_length -= length;
    }
    server_connection *connection = &redis.connections[0];
    size_t length = sizeof model.down - model.down_length;
    if (length > connection->length) length = connection->length;
    if (length) {
        memcpy(model.down + model.down_length, connection->out, length);
        memmove(connection->out, connection->out + length, connection->length - length);
        connection->length -= length;
        model.down_length += length;
        moved = true;
    }
    return moved;
}

/* ---- processes ---- */

static cre_bus *attach(void) {
    cre_bus *bus;
    if (cre_bus_attach(&model.bus_config, model.descriptors, NODES + 1, &bus)) abort();
    return bus;
}

static void on_violation(void *context, uint32_t from) {
    (void)context;
    violated("a process found an invalid record of node %u", from);
}

/* The history has all messages of a schedule. */
static void on_lost(void *context, const char *topic, size_t length) {
    (void)context;
    violated("messages of %.*s are no longer available", (int)length, topic);
}

static void run_gateway(process *self) {
    cre_loop *loop;
    cre_gateway *gateway;
    const cre_broker_config broker = { .size = sizeof broker,
                                       .shards = 1,
                                       .seed = machine_random(),
                                       .max_queue = 64 << 10,
                                       .max_backoff_ms = 200 };
    const cre_cluster_server nowhere = { .host = "" };
    const cre_gateway_config config = { .bus = attach(),
                                        .place = &place,
                                        .first_owner = 0,
                                        .owner_count = OWNERS,
                                        .broker = &broker,
                                        .servers = &nowhere,
                                        .lost = on_lost,
                                        .violation = on_violation };
    trace("process %d is the gateway", self->pid);
    if (cre_loop_create(&loop) || cre_gateway_create(loop, &config, &gateway)) abort();
    cre_loop_run(loop);
}

typedef struct owner {
    cre_worker *worker;
} owner;

static void on_event(void *context, const cre_record *event, uint8_t *payload) {
    const owner *it = context;
    (void)payload;
    if (event->kind == CRE_EVENT_OPEN && cre_worker_subscribe(it->worker, event->session, "kept", 4, true))
        abort();
}

static void run_owner(process *self) {
    client *its = self->role;
    cre_loop *loop;
    owner it;
    const cre_engine_config engine = { .max_queue = 1 << 20 };
    const cre_worker_config config = { .bus = attach(),
                                       .node = (uint32_t)(its - model.clients),
                                       .on_event = on_event,
                                       .violation = on_violation,
                                       .context = &it,
                                       .engine = &engine,
                                       .owner_count = OWNERS,
                                       .cluster = &place };
    trace("process %d owns client %u", self->pid, config.node);
    if (cre_loop_create(&loop) || cre_worker_create(loop, &config, &it.worker)) abort();
    *its = (client){ .wire = kernel_connect(0, self, PIPE_ROOM) };
    if (cre_engine_hand_over(cre_worker_engine(it.worker), its->wire->descriptor, 0)) abort();
    static const char upgrade[] =
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    wire_write(its->wire, upgrade, sizeof upgrade - 1);
    cre_loop_run(loop);
}

/* What it has published before it waited for the loop is on its way. */
static void commit(void) {
    for (int i = 0; i < model.accepted_count; i++)
        model.fates[model.accepted[i]] = CERTAIN;
    model.accepted_count = 0;
}

static void publish(cre_worker *worker) {
    char text[200];
    const int number = ++model.sent;
    const int length = snprintf(text, sizeof text, "%d %*s", number, (int)machine_below(150), "");
    const int result = cre_worker_publish(worker, "kept", 4, CRE_WS_TEXT, text, (size_t)length, 0);
    trace("number %d is published: %d", number, result);
    counted.messages++;
    if (result)
        model.fates[number] = REFUSED;
    else
        model.accepted[model.accepted_count++] = number;
}

static void ask(cre_worker *worker) {
    const cre_slice topic = { (const uint8_t *)"kept", 4 };
    question *it = &model.questions[model.asked];
    if (cre_worker_ask(worker, (uint64_t)model.asked, CRE_QUESTION_POSITION, &topic, 1)) return;
    *it = (question){ .asked = true, .faults = model.faults };
    model.asked++;
}

/* Each client that is connected again gets the last numbers. */
static void end_faults(void) {
    model.faults_left = 0;
    for (int node = 0; node < NODES; node++)
        if (model.processes[node]) model.processes[node]->fuse = 0;
}

static bool has_sent_all(void) {
    return model.sent == MOST_NUMBERS || (model.last_sent && model.sent >= model.last_sent);
}

static void act_as_sender(void *context, cre_timer *timer) {
    cre_worker *worker = *(cre_worker **)context;
    (void)timer;
    commit();
    if (model.asked < MOST_QUESTIONS && !has_sent_all() && machine_chance(20)) ask(worker);
    const uint32_t most = model.last_sent || model.faults ? model.publishes_at_once : 1;
    for (uint32_t count = 1 + machine_below(most); count && !has_sent_all(); count--)
        publish(worker);
}

static void on_message(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    (void)context;
    (void)payload;
    if (record->kind != CRE_MESSAGE_ANSWER) return;
    question *it = &model.questions[record->session % MOST_QUESTIONS];
    trace("question %llu is answered", (unsigned long long)record->session);
    if (from != GATEWAY || !it->asked) violated("an answer to no question");
    if (it->answered) violated("question %llu is answered twice", (unsigned long long)record->session);
    it->answered = true;
    counted.answers++;
}

static void run_sender(process *self) {
    cre_loop *loop;
    cre_worker *worker;
    cre_timer *timer;
    const cre_worker_config config = { .bus = attach(),
                                       .node = SENDER,
                                       .on_message = on_message,
                                       .violation = on_violation,
                                       .owner_count = OWNERS,
                                       .cluster = &place };
    trace("process %d publishes", self->pid);
    if (cre_loop_create(&loop) || cre_worker_create(loop, &config, &worker)) abort();
    if (cre_timer_start(loop, 5, 5, act_as_sender, &worker, &timer)) abort();
    cre_loop_run(loop);
}

static void on_killed(process *victim) {
    for (int node = 0; node < NODES; node++) {
        if (model.processes[node] != victim) continue;
        trace("process %d of node %d is killed", victim->pid, node);
        model.replaced_at[node] = machine_now() + machine_below(50) * 1000000ull + 1;
        model.faults++;
        counted.kills[node]++;
        if (node == GATEWAY) {
            cluster = NULL;
            model.is_cut = true;
        }
        if (node == SENDER) model.accepted_count = 0;
        if (node < OWNERS) {
            model.clients[node] = (client){ 0 };
            model.last_sent = 0; /* the next client must receive something, too */
        }
    }
}

static void on_idle(process *it) {
    if (it == model.processes[SENDER]) commit();
}

static bool replace_due(void) {
    static void (*const runs[NODES])(
        process *self) = { [0] = run_owner, [1] = run_owner, [SENDER] = run_sender, [GATEWAY] = run_gateway };
    for (int node = 0; node < NODES; node++) {
        if (!model.replaced_at[node] || model.replaced_at[node] > machine_now()) continue;
        if (node == GATEWAY && model.is_cut) continue; /* the network ends the connection first */
        model.replaced_at[node] = 0;
        cre_bus_forget(model.bus, (uint32_t)node);
        model.processes[node] = machine_start(runs[node], node < OWNERS ? &model.clients[node] : NULL);
        return true;
    }
    return false;
}

/* ---- clients ---- */

static bool all_receive(void) {
    for (int i = 0; i < OWNERS; i++)
        if (!model.clients[i].first) return false;
    return true;
}

static void receive_number(client *it, const uint8_t *data, size_t length) {
    char text[8] = "";
    const int index = (int)(it - model.clients);
    memcpy(text, data, length < 7 ? length : 7);
    const int number = atoi(text);
    trace("client %d receives %d", index, number);
    if (number <= 0 || number > model.sent) {
        violated("client %d received an unknown message", index);
        return;
    }
    if (model.fates[number] == REFUSED) violated("message %d arrived, which was refused", number);
    if (number <= it->last) violated("message %d arrived at client %d behind %d", number, index, it->last);
    if (!it->first) it->first = number;
    it->last = number;
    it->has[number] = true;
    if (!model.faults_left && !model.last_sent && all_receive()) {
        end_faults();
        model.last_sent = model.sent + LAST_NUMBERS;
    }
    if (model.last_sent > MOST_NUMBERS) model.last_sent = MOST_NUMBERS;
}

static bool act_as_client(client *it) {
    if (!it->wire) return false;
    const size_t got = wire_read(it->wire, it->received + it->length, sizeof it->received - it->length);
    if (!got) return false;
    it->length += got;
    size_t at = 0;
    if (!it->is_upgraded) {
        const uint8_t *end = memmem(it->received, it->length, "\r\n\r\n", 4);
        if (!end) return true;
        it->is_upgraded = true;
        at = (size_t)(end - it->received) + 4;
    }
    cre_ws_frame frame;
    while (cre_ws_unpack(it->received + at, it->length - at, &frame) > 0) {
        if (frame.opcode == CRE_WS_TEXT) receive_number(it, frame.payload, frame.length);
        at += frame.size;
    }
    memmove(it->received, it->received + at, it->length - at);
    it->length -= at;
    return true;
}

static bool act_as_clients(void) {
    const uint32_t first = machine_below(OWNERS);
    for (uint32_t i = 0; i < OWNERS; i++)
        if (act_as_client(&model.clients[(first + i) % OWNERS])) return true;
    return false;
}

/* ---- the schedule ---- */

static void make_fault(void) {
    model.faults_left--;
    static const int victims[] = { 0, 1, SENDER, SENDER, GATEWAY, GATEWAY, GATEWAY, GATEWAY, NODES, NODES };
    const int node = victims[machine_below(sizeof victims / sizeof *victims)];
    if (node == NODES) {
        if (!model.is_connected) return;
        trace("the connection is cut");
        model.faults++;
        counted.cuts++;
        model.is_cut = true;
    } else if (model.processes[node] && !model.processes[node]->ended) {
        if (machine_chance(30))
            machine_kill(model.processes[node]);
        else
            model.processes[node]->fuse = 1 + (int)machine_below(machine_chance(70) ? 60 : 600);
    }
}

/* The last message that was surely published has arrived. */
static bool is_done(void) {
    if (model.faults_left || !has_sent_all() || model.accepted_count) return false;
    int number = model.sent;
    while (number && model.fates[number] != CERTAIN)
        number--;
    for (int i = 0; i < OWNERS; i++)
        if (!model.clients[i].first || model.clients[i].last < number) return false;
    return true;
}

static bool act(void) {
    return replace_due() ||
           (machine_chance(50) ? act_network() || act_as_clients() : act_as_clients() || act_network());
}

static void play(bool (*done)(void), uint64_t nanoseconds) {
    const uint64_t limit = machine_now() + nanoseconds;
    while (!model.failed && !(done && done()) && machine_now() <= limit) {
        if (model.sent >= MOST_NUMBERS - LAST_NUMBERS) end_faults();
        if (model.faults_left && machine_below(model.fault_every) == 0) make_fault();
        if (machine_chance(40) ? act() || machine_run_any() : machine_run_any() || act()) continue;
        uint64_t next = limit;
        for (int node = 0; node < NODES; node++)
            if (model.replaced_at[node] && model.replaced_at[node] < next) next = model.replaced_at[node];
        if (!machine_pass_time(next)) machine_pass(next > machine_now() ? next - machine_now() : 1);
    }
}

static void check(void) {
    if (model.failed) return;
    if (!is_done()) {
        violated("messages %d and %d of %d were the last to arrive", model.clients[0].last,
                 model.clients[1].last, model.sent);
        return;
    }
    for (int i = 0; i < OWNERS; i++)
        for (int number = model.clients[i].first; number <= model.sent; number++)
            if (model.fates[number] == CERTAIN && !model.clients[i].has[number])
                violated("client %d has lost message %d", i, number);
    for (int i = 0; i < model.asked; i++)
        if (!model.questions[i].answered && model.questions[i].faults == model.faults)
            violated("question %d was not answered", i);
}

static void run_schedule(uint64_t seed, bool tracing) {
    static const uint32_t rings[] = { 4096, 4096, 16384 }, every[] = { 100, 400, 1500 };
    server_stop(&redis); /* its memory is the machine's */
    redis = (redis_server){ 0 };
    machine_reset();
    cluster = NULL;
    memset(&model, 0, sizeof model);
    model.tracing = tracing;
    machine_seed(seed);
    machine_on_killed = on_killed;
    machine_on_idle = on_idle;
    model.faults_left = machine_chance(10) ? 0 : 1 + machine_below(6);
    model.fault_every = every[machine_below(3)];
    model.publishes_at_once = 1 + machine_below(5);
    model.bus_config = (cre_bus_config){ .nodes = NODES,
                                         .ring_bytes = rings[machine_below(3)],
                                         .connections = 8,
                                         .queue_bytes = 256 << 10,
                                         .max_payload = 64 << 10,
                                         .spin_ns = machine_chance(50) ? 1000 : 0,
                                         .arena_bytes = CRE_BUS_NO_ARENA,
                                         .backlog_bytes = CRE_BUS_NO_BACKLOG,
                                         .journal_bytes = cre_gateway_journal_bytes(1, 64 << 10) };
    if (cre_bus_create(&model.bus_config, &model.bus)) abort();
    if (cre_bus_descriptors(model.bus, model.descriptors, NODES + 1) != NODES + 1) abort();
    for (int node = 0; node < NODES; node++)
        model.replaced_at[node] = machine_now() + 1 + machine_below(3) * 1000000ull;
    counted.schedules++;
    play(is_done, 60 * SECOND);
    if (!model.failed && is_done()) play(NULL, SECOND); /* what comes twice comes now */
    check();
}

static bool passes(uint64_t seed, bool tracing) {
    run_schedule(seed, tracing);
    if (model.failed) fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, model.violation);
    return !model.failed;
}

int main(int count, char **arguments) {
    const bool tracing = count > 1 && strcmp(arguments[1], "--trace") == 0;
    count -= tracing;
    arguments += tracing;
    const uint64_t schedules = count > 1 ? strtoull(arguments[1], NULL, 10) : 300;
    const uint64_t first = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    machine_init();
    if (tracing) return !passes(first, true);
    int failures = 0;
    for (uint64_t seed = first; seed < first + schedules && failures < 5; seed++)
        failures += !passes(seed, false);
    printf("%llu schedules, %llu messages, %llu answers; ", counted.schedules, counted.messages,
           counted.answers);
    printf("killed: %llu gateways, %llu senders, %llu owners; %llu connections cut\n", counted.kills[GATEWAY],
           counted.kills[SENDER], counted.kills[0] + counted.kills[1], counted.cuts);
    return failures > 0;
}
