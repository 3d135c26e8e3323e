/* The manager: keeps each seat filled, replaces processes in order, ends them. */
#include <creactor/internal/bus.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

enum { MOST_WORKERS = 256 };

static actor actors[MOST_WORKERS];
static uint32_t worker_count;

static actor *new_worker(uint32_t node) {
    if (worker_count == MOST_WORKERS) abort();
    actor *it = &actors[worker_count++];
    *it = (actor){ .node = node, .is_task_worker = node >= first_task() };
    worker_begin(it);
    return it;
}

static void let_open(actor *it) {
    it->may_open = true;
    machine_wake(it->process->main);
}

static void ask_to_end(actor *it) {
    const uint64_t one = 1;
    if (write(it->signal, &one, sizeof one) < 0) abort();
}

static void fill_seat(cre_bus *bus, uint32_t node) {
    seat *it = &model.seat[node];
    if (it->now && it->now->process->ended) {
        cre_bus_forget(bus, node);
        it->now = NULL;
    }
    if (it->successor && it->successor->process->ended) it->successor = NULL;
    if (it->now || model.stopping) return;
    if (!it->successor && machine_chance(30)) machine_sleep(machine_below(30));
    it->now = it->successor ? it->successor : new_worker(node);
    it->successor = NULL;
    let_open(it->now);
}

static void fill_seats(cre_bus *bus) {
    for (uint32_t node = 0; node < model.seats; node++)
        fill_seat(bus, node);
}

static void replace(cre_bus *bus, uint32_t node) {
    seat *it = &model.seat[node];
    actor *old = it->now;
    if (machine_chance(50)) it->successor = new_worker(node); /* it prepares meanwhile */
    if (old) ask_to_end(old);
    while (!model.stopping && (!it->now || it->now == old || !it->now->is_open)) {
        machine_wait();
        fill_seats(bus);
    }
}

static void end_all(cre_bus *bus) {
    for (uint32_t node = 0; node < model.seats; node++) {
        seat *it = &model.seat[node];
        if (it->successor) machine_kill(it->successor->process);
        if (it->now) ask_to_end(it->now);
    }
    for (;;) {
        bool ended = true;
        fill_seats(bus);
        for (uint32_t node = 0; node < model.seats; node++)
            ended = ended && !model.seat[node].now;
        if (ended) break;
        machine_wait();
    }
}

static void run_manager(process *self) {
    (void)self;
    cre_bus *bus;
    if (cre_bus_attach(&model.bus_config, model.descriptors, model.nodes + 1, &bus)) abort();
    while (!model.stopping) {
        fill_seats(bus);
        if (model.reload_wanted) {
            model.reload_wanted = false;
            trace("reload");
            for (uint32_t node = 0; node < model.seats && !model.stopping; node++)
                replace(bus, node);
            counted.reloads++;
            continue;
        }
        machine_wait();
    }
    end_all(bus);
    cre_bus_destroy(bus);
    model.all_ended = true;
}

void manager_start(void) {
    if (!model.manager) worker_count = 0;
    model.manager = machine_start(run_manager, NULL);
}

void manager_wake(void) {
    if (!model.manager->ended) machine_wake(model.manager->main);
}
