/*
 * Simulates a server's processes on one machine: the real code of links, engines, protocols, workers, tasks
 * and repairs, in random schedules with kills at any step.
 *
 *   simulate [--trace] [COUNT [SEED]]
 *
 * runs the schedules that have failed once, and COUNT (1000) more from SEED (1) on; with --trace only SEED,
 * whose course it prints.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link/bus_internal.h"
#include "model.h"

#define SECOND 1000000000ull

model_state model;
totals counted;

void violated(const char *format, ...) {
    if (model.failed) return;
    model.failed = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(model.violation, sizeof model.violation, format, arguments);
    va_end(arguments);
    trace("VIOLATED: %s", model.violation);
}

void trace(const char *format, ...) {
    if (!model.tracing) return;
    va_list arguments;
    va_start(arguments, format);
    printf("%12.6f  ", (double)machine_now() / 1e9);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

/* ---- the beginning ---- */

static void plan_schedule(void) {
    static const uint32_t rings[] = { 4096, 4096, 4096, 8192, 16384, 65536 };
    static const uint32_t arenas[] = { CRE_BUS_NO_ARENA, 4096, 8192, 65536 };
    static const uint32_t backlogs[] = { CRE_BUS_NO_BACKLOG, 4096, 128 << 10, 128 << 10 };
    static const uint32_t queues[] = { 2048, 8192, 1 << 20 };
    static const uint32_t outputs[] = { 4096, 16384, 1 << 20, 1 << 20 };
    static const uint32_t wires[] = { 256, 2048, PIPE_ROOM, PIPE_ROOM };
    static const uint32_t intervals[] = { 30, 80, 200 };
    plan *it = &model.plan;
    it->base = machine_chance(25);
    it->stops = machine_chance(10);
    it->workers = 1 + machine_below(3);
    it->task_workers = machine_below(4);
    it->reactors = it->base ? 0 : 1 + machine_below(2);
    it->clients = 1 + machine_below(MOST_CLIENTS);
    it->faults = machine_chance(20) ? 0 : 1 + machine_below(8);
    it->ring_bytes = rings[machine_below(6)];
    it->arena_bytes = arenas[machine_below(4)];
    it->backlog_bytes = backlogs[machine_below(4)];
    it->queue_bytes = queues[machine_below(3)];
    it->max_queue = outputs[machine_below(4)];
    it->wire_bytes = wires[machine_below(4)];
    it->spin_ns = machine_chance(50) ? 1000 : 0;
    it->fault_every = intervals[machine_below(3)];
}

static void on_violation(void *context, uint32_t from) {
    (void)context;
    violated("a reactor found an invalid record of node %u", from);
}

static void on_repaired(void *context, uint64_t count) {
    (void)context;
    if (!all_deaths())
        violated("a reactor has restored %llu values that nobody had overwritten", (unsigned long long)count);
}

static void start_reactors(void) {
    static const cre_dispatch rules[] = { CRE_DISPATCH_BY_CONNECTION, CRE_DISPATCH_ROUND_ROBIN,
                                          CRE_DISPATCH_IDLE, CRE_DISPATCH_LEAST_CONNECTIONS };
    cre_reactor_config config = {
        .bus = model.bus,
        .engine = { .http = true,
                    .worker_count = (uint16_t)model.plan.workers,
                    .dispatch = rules[machine_below(4)],
                    .max_pipelined = 8,
                    .max_queue = model.plan.max_queue,
                    .close_timeout_ms = 5000 },
        .violation = on_violation,
        .repaired = on_repaired,
    };
    for (uint32_t i = 0; i < model.plan.reactors; i++) {
        config.node = model.seats + i;
        if (cre_reactor_start(&config, &model.reactors[i])) abort();
    }
}

static void start_server(void) {
    model.seats = model.plan.workers + model.plan.task_workers;
    model.nodes = model.seats + model.plan.reactors;
    model.bus_config = (cre_bus_config){ .nodes = model.nodes,
                                         .ring_bytes = model.plan.ring_bytes,
                                         .arena_bytes = model.plan.arena_bytes,
                                         .backlog_bytes = model.plan.backlog_bytes,
                                         .connections = 64,
                                         .queue_bytes = model.plan.queue_bytes,
                                         .max_payload = 64 << 10,
                                         .spin_ns = model.plan.spin_ns };
    if (cre_bus_create(&model.bus_config, &model.bus)) abort();
    if (cre_bus_descriptors(model.bus, model.descriptors, model.nodes + 1) != model.nodes + 1) abort();
    manager_start();
    start_reactors();
}

/* ---- faults ---- */

/* Rather one that is at work. */
static void kill_someone(void) {
    actor *it = NULL;
    for (int tries = 0; tries < 4; tries++) {
        actor *found = model.seat[machine_below(model.seats)].now;
        if (!found || found->process->ended) continue;
        it = found;
        if (it->process->main->state == THREAD_READY) break;
    }
    if (!it) return;
    if (machine_chance(50))
        machine_kill(it->process);
    else
        it->process->fuse = 1 + (int)machine_below(machine_chance(80) ? 40 : 400);
}

/* The manager's processes end with it, and the master starts another one. */
static void kill_manager(void) {
    trace("the manager is killed");
    model.manager_deaths++;
    machine_kill(model.manager);
    for (uint32_t node = 0; node < model.seats; node++) {
        seat *it = &model.seat[node];
        if (it->now) machine_kill(it->now->process);
        if (it->successor) machine_kill(it->successor->process);
        *it = (seat){ 0 };
    }
    for (uint32_t node = 0; node < model.seats; node++)
        cre_bus_forget(model.bus, node);
    manager_start();
}

static void make_fault(void) {
    model.faults_left--;
    const uint32_t which = machine_below(10);
    if (which < 6) {
        kill_someone();
    } else if (which == 6 && !model.plan.base) {
        kill_manager();
    } else {
        model.reload_wanted = true;
        manager_wake();
    }
}

/* ---- rounds ---- */

static bool pass_time(uint64_t limit) {
    const uint64_t next = clients_next();
    if (machine_pass_time(next < limit ? next : limit)) return true;
    if (next > limit || next == UINT64_MAX) return false;
    machine_pass(next - machine_now());
    return true;
}

/* Lets somebody go on. False: nobody can, until `limit`. */
static bool play_round(uint64_t limit) {
    if ((++counted.rounds & 15) == 0) check_bounds();
    if (model.faults_left && machine_below(model.plan.fault_every) == 0) make_fault();
    if (machine_chance(25) ? clients_act() || machine_run_any() : machine_run_any() || clients_act())
        return true;
    check_idle();
    return pass_time(limit);
}

/* Plays until `done`, or for a time. */
static bool play(bool (*done)(void), uint64_t nanoseconds) {
    const uint64_t limit = machine_now() + nanoseconds;
    while (!model.failed && !(done && done()) && machine_now() <= limit)
        if (!play_round(limit)) break;
    return !model.failed && (!done || done());
}

static bool all_gone(void) {
    for (uint32_t i = 0; i < model.plan.clients; i++)
        if (model.clients[i].state != CLIENT_DONE && model.clients[i].state != CLIENT_WAITING) return false;
    return true;
}

static bool reactors_are_done(void) {
    return model.reactors_done == model.plan.reactors;
}

static bool all_ended(void) {
    return model.all_ended;
}

/* ---- the end ---- */

static void on_reactor_done(void *context) {
    (void)context;
    model.reactors_done++;
}

/* A worker that owns connections may die while it claims or releases a slot, which is reclaimed when the
 * table is full; the process of the reactors does not die. */
static void check_table(void) {
    const cre_table *table = cre_bus_table(model.bus);
    cre_session session;
    uint32_t cursor = 0, most = model.plan.base ? all_deaths() : 0;
    if (cre_table_list(table, &cursor, &session, 1)) violated("the table lists a connection after the end");
    if (cre_table_count(table) > most)
        violated("the table counts %u connections after the end", cre_table_count(table));
}

static void stop_server(void) {
    trace("the server stops");
    counted.stops++;
    for (uint32_t i = 0; i < model.plan.reactors; i++)
        if (cre_reactor_shutdown(model.reactors[i], 5000, on_reactor_done, NULL)) abort();
    if (!play(reactors_are_done, 20 * SECOND) && !model.failed) violated("the reactors do not end");
    model.stopping = true;
    manager_wake();
    if (!play(all_ended, 60 * SECOND) && !model.failed) violated("the processes do not end");
    if (!play(all_gone, 60 * SECOND) && !model.failed) violated("connections are open after the end");
    if (model.failed) return;
    check_ledger();
    for (uint32_t i = 0; i < model.plan.reactors; i++) {
        cre_reactor *reactor = model.reactors[i];
        model.reactors[i] = NULL;
        cre_reactor_stop(reactor);
    }
    check_table();
    cre_bus_destroy(model.bus);
    if (kernel_open_files()) violated("%d sockets are open after the end", kernel_open_files());
    if (machine_live_allocations()) violated("%ld allocations are left", machine_live_allocations());
}

static void name_unfinished(void) {
    for (uint32_t i = 0; i < model.plan.clients; i++) {
        const client *it = &model.clients[i];
        if (it->state == CLIENT_DONE || it->stays) continue;
        violated("client %u (%s) waits for ever, in state %d, with %u of %u messages composed, %u answered",
                 i, it->websocket ? "WebSocket" : "HTTP", it->state, it->composed, it->count, it->answered);
        if (!it->wire) continue;
        trace("client %u: state %d, %u answered; up %u, down %u bytes; ended: %d, %d; closed: %d, %d", i,
              it->state, it->answered, it->wire->up.length, it->wire->down.length, it->wire->client_ended,
              it->wire->server_ended, it->wire->client_closed, it->wire->server_closed);
    }
}

static bool nobody_left(void) {
    return clients_are_done() && all_gone();
}

static void run_schedule(uint64_t seed, bool tracing) {
    machine_reset();
    memset(&model, 0, sizeof model);
    model.tracing = tracing;
    machine_seed(seed);
    plan_schedule();
    machine_on_idle = worker_idle;
    machine_on_killed = worker_killed;
    model.faults_left = model.plan.faults;
    start_server();
    clients_plan();
    counted.schedules++;
    trace("%s mode: %u workers, %u task workers, %u reactors, %u clients, %u faults",
          model.plan.base ? "base" : "process", model.plan.workers, model.plan.task_workers,
          model.plan.reactors, model.plan.clients, model.plan.faults);
    if (model.plan.stops) {
        play(NULL, machine_below(100) * 1000000ull);
        clients_disturb();
    } else {
        if (!play(clients_are_done, 300 * SECOND)) name_unfinished();
        model.faults_left = 0;
        play(NULL, SECOND / 2);
        clients_release();
        if (!play(nobody_left, 60 * SECOND)) name_unfinished();
        play(NULL, 3 * SECOND);
    }
    if (!model.failed) stop_server();
}

static bool passes(uint64_t seed, bool tracing) {
    run_schedule(seed, tracing);
    if (!model.failed) return true;
    fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, model.violation);
    return false;
}

/* Seeds that have failed once, one a line; the rest of the line says what was wrong. */
static int run_failed_once(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        return 1;
    }
    char line[200];
    int failures = 0;
    while (fgets(line, sizeof line, file))
        if (line[0] >= '0' && line[0] <= '9') failures += !passes(strtoull(line, NULL, 10), false);
    fclose(file);
    return failures;
}

int main(int count, char **arguments) {
    const bool tracing = count > 1 && strcmp(arguments[1], "--trace") == 0;
    if (tracing) {
        count--;
        arguments++;
    }
    const uint64_t schedules = count > 1 ? strtoull(arguments[1], NULL, 10) : 1000;
    const uint64_t first = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    machine_init();
    if (tracing) return !passes(first, true);
    int failures = run_failed_once(SIMULATION_SEEDS);
    for (uint64_t seed = first; seed < first + schedules && failures < 5; seed++)
        failures += !passes(seed, false);
    printf("%llu schedules, %llu rounds, %llu processes killed (%llu in their work), %llu reloads\n"
           "%llu messages and requests, %llu records between processes, %llu tasks\n"
           "%llu lost with a process, %llu answered with 500, %llu connections reset, %llu tasks crashed, "
           "%llu events deferred\n",
           (unsigned long long)counted.schedules, (unsigned long long)counted.rounds,
           (unsigned long long)counted.kills, (unsigned long long)counted.kills_in_work,
           (unsigned long long)counted.reloads, (unsigned long long)counted.messages,
           (unsigned long long)counted.items, (unsigned long long)counted.tasks,
           (unsigned long long)counted.lost, (unsigned long long)counted.answered_500,
           (unsigned long long)counted.resets, (unsigned long long)counted.crashed,
           (unsigned long long)counted.deferred);
    return failures > 0;
}
