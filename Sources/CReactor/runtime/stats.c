/* The counters of all engines of a bus. */
#include <creactor/internal/worker.h>
#include <string.h>

#include "engine/accept_failure.h"
#include "link/bus_internal.h"
#include "runtime/worker_internal.h"

_Static_assert(sizeof(cre_engine_stats) + CRE_HANDLERS * sizeof(cre_handler_times) + sizeof(cre_loop_stats) <=
                   CRE__SHOWN_BYTES,
               "each node has room for its counters");

void cre_bus_get_stats(const cre_bus *bus, cre_engine_stats *out) {
    enum { COUNT = sizeof(cre_engine_stats) / sizeof(uint64_t) };
    uint64_t sum[COUNT] = { 0 };
    for (uint32_t node = 0; node < bus->config.nodes; node++) {
        const uint64_t *shown = cre__bus_shown(bus, node);
        for (int i = 0; i < COUNT; i++)
            sum[i] += __atomic_load_n(&shown[i], __ATOMIC_RELAXED);
    }
    memcpy(out, sum, sizeof *out);
}

/* Copies counters that their owner may change meanwhile. */
static void copy_counters(void *to, const void *from, size_t size) {
    const uint64_t *shown = from;
    for (size_t i = 0; i < size / sizeof *shown; i++) {
        uint64_t value = __atomic_load_n(&shown[i], __ATOMIC_RELAXED);
        memcpy((uint8_t *)to + i * sizeof value, &value, sizeof value);
    }
}

void cre_bus_get_node_stats(const cre_bus *bus, uint32_t node, cre_node_stats *out) {
    *out = (cre_node_stats){ 0 };
    if (node >= bus->config.nodes) return;
    copy_counters(&out->engine, cre__bus_shown(bus, node), sizeof out->engine);
    copy_counters(&out->loop, cre__bus_loop_stats(bus, node), sizeof out->loop);
    copy_counters(out->handlers, cre__handler_times(bus, node), sizeof out->handlers);
}

void cre_bus_count_accept_failure(cre_bus *bus, uint32_t node, int error, bool refused) {
    cre_engine_stats *stats = cre__bus_shown(bus, node);
    cre__count_accept_failure(stats, error, refused);
}

void cre__bus_count_repaired(cre_bus *bus, uint32_t node, uint64_t count) {
    cre_engine_stats *stats = cre__bus_shown(bus, node);
    if (count) __atomic_fetch_add(&stats->repaired, count, __ATOMIC_RELAXED);
}
