/* The requests in progress of all processes. Each publishes its own number, so that one that dies cannot
 * leave requests behind that nobody answers: its number is set to 0 before its successor starts. */
#include <stddef.h>

#include "link/bus_internal.h"

void cre_bus_set_requests(cre_bus *bus, uint32_t node, uint32_t in_progress, uint32_t waiting) {
    if (node >= bus->config.nodes) return;
    /* Sequentially consistent, as the reads in cre_bus_requests_in_progress: of two nodes that store and then
     * read, one sees the store of the other. */
    atomic_store(&bus->activities[node].requests, in_progress);
    atomic_store_explicit(&bus->activities[node].requests_waiting, waiting, memory_order_relaxed);
}

uint32_t *cre_bus_requests_place(const cre_bus *bus, uint32_t node) {
    if (node >= bus->config.nodes) return NULL;
    /* An atomic number of 32 bits has the form of a plain one. */
    return (uint32_t *)(void *)((uint8_t *)&bus->activities[node] + offsetof(cre__activity_block, requests));
}

uint64_t cre_bus_requests_in_progress(const cre_bus *bus) {
    uint64_t sum = 0;
    for (uint32_t node = 0; node < bus->config.nodes; node++)
        sum += atomic_load(&bus->activities[node].requests);
    return sum;
}

void cre_bus_count_refused_request(cre_bus *bus, uint32_t node) {
    if (node >= bus->config.nodes) return;
    atomic_fetch_add_explicit(&bus->activities[node].requests_refused, 1, memory_order_relaxed);
}

void cre_bus_get_request_load(const cre_bus *bus, cre_request_load *load) {
    *load = (cre_request_load){ .in_progress = cre_bus_requests_in_progress(bus) };
    for (uint32_t node = 0; node < bus->config.nodes; node++) {
        const cre__activity_block *activity = &bus->activities[node];
        load->waiting += atomic_load_explicit(&activity->requests_waiting, memory_order_relaxed);
        load->refused += atomic_load_explicit(&activity->requests_refused, memory_order_relaxed);
    }
}
