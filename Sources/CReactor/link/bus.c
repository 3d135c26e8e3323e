#include "link/bus_internal.h"

#include <creactor/error.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/memory.h"

#define MAGIC          0x43524542u /* "CREB" */
#define RECORD_VERSION 1

static size_t round_up(size_t value, size_t unit) {
    return (value + unit - 1) / unit * unit;
}

static bool power_of_two(uint32_t value) {
    return value && (value & (value - 1)) == 0;
}

static void unmap(cre_bus *bus) {
    if (bus->memory && bus->memory != MAP_FAILED) munmap(bus->memory, bus->size);
    if (bus->memfd >= 0) close(bus->memfd);
    for (uint32_t i = 0; bus->eventfds && i < bus->config.nodes; i++)
        if (bus->eventfds[i] >= 0) close(bus->eventfds[i]);
    cre_table_close(bus->table);
    cre__free(bus->eventfds);
    cre__free(bus);
}

int cre_bus_create(const cre_bus_config *config, cre_bus **out) {
    cre_bus *bus = cre__calloc(1, sizeof *bus);
    if (!bus) return CRE_ENOMEM;
    bus->memfd = -1;
    bus->config = *config;
    if (!bus->config.ring_bytes) bus->config.ring_bytes = 256 * 1024;
    if (!bus->config.queue_bytes) bus->config.queue_bytes = 8 * 1024 * 1024;
    if (!bus->config.max_payload) bus->config.max_payload = 16 * 1024 * 1024;

    uint32_t nodes = bus->config.nodes, ring = bus->config.ring_bytes;
    size_t table = cre_table_size(config->connections);
    if (!nodes || nodes > CRE__MAX_NODES || !power_of_two(ring) || ring < 4096 || ring > 1u << 30 || !table) {
        unmap(bus);
        return CRE_EINVALID;
    }
    /* Each part starts on a page of its own; pages that are never touched cost nothing. */
    bus->ring_stride = round_up(cre__ring_size(ring), 4096);
    size_t nodes_at = 4096, shown_at = nodes_at + round_up(nodes * sizeof(cre__node_block), 4096);
    size_t duties_at = shown_at + round_up((size_t)nodes * CRE__SHOWN_BYTES, 4096);
    size_t table_at = duties_at + round_up((size_t)nodes * sizeof(cre__duty), 4096);
    size_t rings_at = table_at + round_up(table, 4096);
    bus->size = rings_at + (size_t)nodes * nodes * bus->ring_stride;

    int result = 0;
    bus->memfd = memfd_create("creactor-bus", MFD_CLOEXEC);
    if (bus->memfd < 0 || ftruncate(bus->memfd, (off_t)bus->size)) result = -errno;
    if (!result) {
        bus->memory =
            mmap(NULL, bus->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, bus->memfd, 0);
        if (bus->memory == MAP_FAILED) result = -errno;
    }
    if (!result) {
        bus->eventfds = cre__malloc(nodes * sizeof *bus->eventfds);
        if (!bus->eventfds) result = CRE_ENOMEM;
        for (uint32_t i = 0; bus->eventfds && i < nodes; i++)
            bus->eventfds[i] = -1;
        for (uint32_t i = 0; !result && i < nodes; i++) {
            bus->eventfds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
            if (bus->eventfds[i] < 0) result = -errno;
        }
    }
    if (result) {
        unmap(bus);
        return result;
    }
    cre__bus_header *header = bus->memory;
    *header = (cre__bus_header){ MAGIC, RECORD_VERSION, nodes, ring };
    bus->nodes = (cre__node_block *)((uint8_t *)bus->memory + nodes_at);
    bus->shown = (uint8_t *)bus->memory + shown_at;
    bus->duties = (cre__duty *)((uint8_t *)bus->memory + duties_at);
    bus->rings = (uint8_t *)bus->memory + rings_at;
    bus->table = cre_table_open((uint8_t *)bus->memory + table_at, config->connections);
    if (!bus->table) {
        unmap(bus);
        return CRE_ENOMEM;
    }
    *out = bus;
    return 0;
}

void cre_bus_destroy(cre_bus *bus) {
    if (bus) unmap(bus);
}

cre_table *cre_bus_table(cre_bus *bus) {
    return bus->table;
}

pid_t cre_bus_pid(const cre_bus *bus, uint32_t node) {
    if (node >= bus->config.nodes) return 0;
    return (pid_t)atomic_load_explicit(&bus->nodes[node].pid, memory_order_relaxed);
}

void cre_bus_forget(cre_bus *bus, uint32_t node) {
    if (node >= bus->config.nodes) return;
    atomic_store(&bus->nodes[node].pid, 0);
    atomic_store(&bus->nodes[node].sleeping, 0);
    /* The task in hand stays: the successor tells its poster. */
    atomic_store(&bus->duties[node].since_ms, 0);
    atomic_store(&bus->duties[node].ending, 0);
    cre_table_sweep(bus->table, (uint16_t)node);
}

void cre_bus_loop_stats(const cre_bus *bus, cre_loop_stats *out) {
    *out = (cre_loop_stats){ 0 };
    for (uint32_t node = 0; node < bus->config.nodes; node++) {
        const cre_loop_stats *shown = cre__bus_loop_stats(bus, node);
        out->turns += __atomic_load_n(&shown->turns, __ATOMIC_RELAXED);
        out->work_ns += __atomic_load_n(&shown->work_ns, __ATOMIC_RELAXED);
        uint64_t longest = __atomic_load_n(&shown->longest_ns, __ATOMIC_RELAXED);
        if (longest > out->longest_ns) out->longest_ns = longest;
    }
}

void cre__bus_wake(cre_bus *bus, uint32_t node) {
    /* The reader sets `sleeping`, fences, and looks at the tails once more; the writer published its tail
     * before this fence. One of the two sees the other, so no wake-up is lost. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&bus->nodes[node].sleeping, memory_order_relaxed)) return;
    if (!atomic_exchange(&bus->nodes[node].sleeping, 0)) return;
    uint64_t one = 1;
    ssize_t written;
    do
        written = write(bus->eventfds[node], &one, sizeof one);
    while (written < 0 && errno == EINTR);
    /* Otherwise it fails only when the counter is at its end, and then the reader is awake. */
}
