#include "link/bus_internal.h"

#include <creactor/error.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/round.h"
#include "registry/table_internal.h"

#define MAGIC          0x43524542u /* "CREB" */
#define RECORD_VERSION 4

/* Every process has the descriptor. Access to the missing part of a truncated file would kill the master, and
 * nobody may add a seal that keeps an executed program from mapping it. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

#define ARENA        (32u << 20)
#define MOST_ARENA   (1u << 30)
#define BACKLOG      (4u << 20) /* besides the largest payload */
#define MOST_JOURNAL (64ull << 30)
#define LEAST_SPILL  (256ull << 20)
#define MOST_SPILL   (4ull << 30)

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

/* Where the parts are. Each starts on a page of its own; pages that are never touched cost nothing. */
typedef struct layout {
    size_t nodes, shown, activities, table, rings, arenas, backlogs, journal;
} layout;

static int lay_out(cre_bus *bus, layout *at) {
    cre_bus_config *config = &bus->config;
    if (!config->ring_bytes) config->ring_bytes = 1u << 20;
    if (!config->queue_bytes) config->queue_bytes = 8 * 1024 * 1024;
    if (!config->max_payload) config->max_payload = 16 * 1024 * 1024;
    if (!config->arena_bytes) config->arena_bytes = ARENA;
    bus->arena_bytes = config->arena_bytes == CRE_BUS_NO_ARENA ? 0 : config->arena_bytes;
    if (!config->backlog_bytes)
        config->backlog_bytes = (uint32_t)cre__round_up((size_t)config->max_payload + BACKLOG, 4096);
    bus->backlog_bytes = config->backlog_bytes == CRE_BUS_NO_BACKLOG ? 0 : config->backlog_bytes;
    size_t nodes = config->nodes, ring = config->ring_bytes, table = cre_table_size(config->connections);
    if (!nodes || nodes > CRE__MAX_NODES || !power_of_two(config->ring_bytes) || ring < 4096 ||
        ring > 1u << 30 || !table || config->journal_bytes > MOST_JOURNAL || bus->arena_bytes % 4096 ||
        bus->arena_bytes > MOST_ARENA || bus->backlog_bytes % 4096 || bus->backlog_bytes > MOST_ARENA)
        return CRE_EINVALID;
    bus->backlog_stride = cre__backlog_size(bus->backlog_bytes);
    bus->ring_stride = cre__round_up(cre__ring_size(config->ring_bytes), 4096);
    at->nodes = 4096;
    at->shown = at->nodes + cre__round_up(nodes * sizeof(cre__node_block), 4096);
    at->activities = at->shown + cre__round_up(nodes * CRE__SHOWN_BYTES, 4096);
    at->table = at->activities + cre__round_up(nodes * sizeof(cre__activity_block), 4096);
    at->rings = at->table + cre__round_up(table, 4096);
    at->arenas = at->rings + nodes * nodes * bus->ring_stride;
    at->backlogs = at->arenas + nodes * bus->arena_bytes;
    at->journal = at->backlogs + nodes * bus->backlog_stride;
    bus->size = at->journal + cre__round_up(config->journal_bytes, 4096);
    /* A spill uses half of its part, and small records a second limit. */
    bus->spill_bytes = LEAST_SPILL;
    while (bus->spill_bytes < 4 * (uint64_t)config->queue_bytes + 4 * (uint64_t)config->max_payload &&
           bus->spill_bytes < MOST_SPILL)
        bus->spill_bytes *= 2;
    return 0;
}

/* Pages that were never written take no memory. */
static uint64_t file_size(const cre_bus *bus) {
    return bus->size + (uint64_t)bus->config.nodes * bus->config.nodes * bus->spill_bytes;
}

static int map(cre_bus *bus) {
    bus->memory = mmap(NULL, bus->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, bus->memfd, 0);
    return bus->memory == MAP_FAILED ? -errno : 0;
}

static int find_parts(cre_bus *bus, const layout *at) {
    uint8_t *memory = bus->memory;
    _Static_assert(sizeof(cre__bus_header) <= CRE__CONTROL_OFFSET &&
                       CRE__CONTROL_OFFSET + sizeof(cre__bus_control) <= 4096,
                   "header and control block have a page");
    bus->control = (cre__bus_control *)(memory + CRE__CONTROL_OFFSET);
    bus->nodes = (cre__node_block *)(memory + at->nodes);
    bus->shown = memory + at->shown;
    bus->activities = (cre__activity_block *)(memory + at->activities);
    bus->rings = memory + at->rings;
    bus->arenas = memory + at->arenas;
    bus->backlogs = memory + at->backlogs;
    bus->journal = memory + at->journal;
    bus->table = cre_table_open(memory + at->table, bus->config.connections);
    return bus->table ? 0 : CRE_ENOMEM;
}

_Static_assert(sizeof(cre__bus_header) == offsetof(cre__bus_header, total) + sizeof(uint64_t) &&
                   offsetof(cre__bus_header, total) == 14 * sizeof(uint32_t),
               "headers are compared as bytes, so they have no padding");

/* What both programs must agree on to understand each other. */
static cre__bus_header header_of(const cre_bus *bus) {
    return (cre__bus_header){ .magic = MAGIC,
                              .version = RECORD_VERSION,
                              .nodes = bus->config.nodes,
                              .ring_bytes = bus->config.ring_bytes,
                              .connections = bus->config.connections,
                              .max_payload = bus->config.max_payload,
                              .sizes = { sizeof(cre_record), sizeof(cre__node_block),
                                         sizeof(cre__activity_block), sizeof(cre__ring_control),
                                         CRE__SHOWN_BYTES, bus->arena_bytes, bus->backlog_bytes,
                                         sizeof(cre__backlog_slot) },
                              .total = file_size(bus) };
}

static cre_bus *start_bus(const cre_bus_config *config) {
    cre_bus *bus = cre__calloc(1, sizeof *bus);
    if (!bus) return NULL;
    bus->memfd = -1;
    bus->config = *config;
    return bus;
}

static int make_room_for_eventfds(cre_bus *bus) {
    bus->eventfds = cre__malloc(bus->config.nodes * sizeof *bus->eventfds);
    if (!bus->eventfds) return CRE_ENOMEM;
    for (uint32_t i = 0; i < bus->config.nodes; i++)
        bus->eventfds[i] = -1;
    return 0;
}

int cre_bus_create(const cre_bus_config *config, cre_bus **out) {
    cre_bus *bus = start_bus(config);
    if (!bus) return CRE_ENOMEM;
    layout at;
    int result = lay_out(bus, &at);
    if (!result) {
        bus->memfd = memfd_create("creactor-bus", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (bus->memfd < 0 || ftruncate(bus->memfd, (off_t)file_size(bus)) ||
            fcntl(bus->memfd, F_ADD_SEALS, SEALS))
            result = -errno;
    }
    if (!result) result = map(bus);
    if (!result) result = make_room_for_eventfds(bus);
    for (uint32_t i = 0; !result && i < bus->config.nodes; i++) {
        bus->eventfds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (bus->eventfds[i] < 0) result = -errno;
    }
    if (!result) result = find_parts(bus, &at);
    if (result) {
        unmap(bus);
        return result;
    }
    *(cre__bus_header *)bus->memory = header_of(bus);
    /* Without random numbers the address of the bus must do: it only distinguishes servers of a cluster. */
    if (getrandom(&bus->control->server, sizeof bus->control->server, GRND_NONBLOCK) !=
        sizeof bus->control->server)
        bus->control->server = (uint64_t)(uintptr_t)bus ^ (uint64_t)getpid() << 32;
    *out = bus;
    return 0;
}

int cre_bus_attach(const cre_bus_config *config, const int *descriptors, size_t count, cre_bus **out) {
    cre_bus *bus = start_bus(config);
    if (!bus) return CRE_ENOMEM;
    layout at;
    struct stat info;
    int result = lay_out(bus, &at);
    if (!result &&
        (count != (size_t)bus->config.nodes + 1 || fstat(descriptors[0], &info) ||
         (uint64_t)info.st_size != file_size(bus) || fcntl(descriptors[0], F_GET_SEALS) != (int)SEALS))
        result = CRE_ELINK_MISMATCH;
    if (!result) {
        bus->memfd = descriptors[0];
        result = map(bus);
    }
    cre__bus_header expected = header_of(bus);
    if (!result && memcmp(bus->memory, &expected, sizeof expected) != 0) result = CRE_ELINK_MISMATCH;
    if (!result) result = make_room_for_eventfds(bus);
    if (!result) result = find_parts(bus, &at);
    if (result) {
        bus->memfd = -1; /* it stays the caller's */
        unmap(bus);
        return result;
    }
    memcpy(bus->eventfds, descriptors + 1, bus->config.nodes * sizeof *bus->eventfds);
    *out = bus;
    return 0;
}

size_t cre_bus_descriptors(const cre_bus *bus, int *descriptors, size_t capacity) {
    size_t count = (size_t)bus->config.nodes + 1;
    if (count > capacity) return count;
    descriptors[0] = bus->memfd;
    memcpy(descriptors + 1, bus->eventfds, bus->config.nodes * sizeof *bus->eventfds);
    return count;
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
    /* The task in hand stays: the successor reports it to its poster. */
    atomic_store(&bus->activities[node].since_ms, 0);
    atomic_store(&bus->activities[node].ending, 0);
    cre_bus_set_requests(bus, node, 0, 0);
    cre__table_share(bus->table);
    cre_table_sweep(bus->table, (uint16_t)node);
    /* It may have died while it woke another node, which waits until it is woken again. */
    for (uint32_t other = 0; other < bus->config.nodes; other++)
        if (other != node) cre__bus_wake_always(bus, other);
}

void cre_bus_get_loop_stats(const cre_bus *bus, cre_loop_stats *out) {
    *out = (cre_loop_stats){ 0 };
    for (uint32_t node = 0; node < bus->config.nodes; node++) {
        const cre_loop_stats *shown = cre__bus_loop_stats(bus, node);
        out->turns += __atomic_load_n(&shown->turns, __ATOMIC_RELAXED);
        out->work_ns += __atomic_load_n(&shown->work_ns, __ATOMIC_RELAXED);
        uint64_t longest = __atomic_load_n(&shown->longest_ns, __ATOMIC_RELAXED);
        if (longest > out->longest_ns) out->longest_ns = longest;
        for (int i = 0; i < CRE_TIME_CLASSES; i++)
            out->turns_by_time[i] += __atomic_load_n(&shown->turns_by_time[i], __ATOMIC_RELAXED);
    }
}

static _Atomic uint64_t *counter_of(const cre_bus *bus, uint32_t node, cre_bus_counter counter) {
    _Static_assert(CRE_BUS_COUNTERS <= sizeof bus->activities->counts / sizeof *bus->activities->counts,
                   "each node has room for its counters");
    bool known = node < bus->config.nodes && (unsigned)counter < CRE_BUS_COUNTERS;
    return known ? &bus->activities[node].counts[counter] : NULL;
}

void cre_bus_count(const cre_bus *bus, uint32_t node, cre_bus_counter counter) {
    _Atomic uint64_t *count = counter_of(bus, node, counter);
    if (count) atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

uint64_t cre_bus_counted(const cre_bus *bus, uint32_t node, cre_bus_counter counter) {
    _Atomic uint64_t *count = counter_of(bus, node, counter);
    return count ? atomic_load_explicit(count, memory_order_relaxed) : 0;
}

void cre_bus_set_log_level(const cre_bus *bus, uint32_t level) {
    atomic_store_explicit(&bus->control->log_level, level, memory_order_relaxed);
}

uint32_t cre_bus_log_level(const cre_bus *bus) {
    return atomic_load_explicit(&bus->control->log_level, memory_order_relaxed);
}

void cre_bus_get_cluster_stats(const cre_bus *bus, cre_cluster_stats *out) {
    enum { COUNT = sizeof(cre_cluster_stats) / sizeof(uint64_t) };
    const uint64_t *shown = (const uint64_t *)(const void *)&bus->control->cluster;
    uint64_t values[COUNT];
    for (int i = 0; i < COUNT; i++)
        values[i] = __atomic_load_n(&shown[i], __ATOMIC_RELAXED);
    memcpy(out, values, sizeof *out);
}

static const cre__ring_control *control_of(const cre_bus *bus, uint32_t from, uint32_t to) {
    return cre__bus_ring(bus, from, to);
}

uint64_t cre__bus_published(const cre_bus *bus, uint32_t from, uint32_t to) {
    const cre__ring_control *control = control_of(bus, from, to);
    return atomic_load(&control->tail) + atomic_load(&control->spill_tail);
}

uint64_t cre__bus_taken(const cre_bus *bus, uint32_t from, uint32_t to) {
    const cre__ring_control *control = control_of(bus, from, to);
    return atomic_load(&control->taken) + atomic_load(&control->spill_taken);
}

/* The reader is woken by each write, and never reads the counter. Only a process that writes arbitrary
 * numbers can bring the counter to its maximum, where a write fails; then it is reset by reading it, and the
 * write is repeated. The number of attempts is limited, in case such a process goes on. */
static void write_eventfd(int descriptor) {
    const uint64_t one = 1;
    uint64_t count;
    for (int tries = 0; tries < 8 && write(descriptor, &one, sizeof one) < 0; tries++) {
        ssize_t got = errno == EAGAIN ? read(descriptor, &count, sizeof count) : 0;
        (void)got;
    }
}

void cre__bus_wake(cre_bus *bus, uint32_t node) {
    /* The reader sets `sleeping`, fences, and looks at the tails once more; the writer published its tail
     * before this fence. One of the two sees the other, so no wake-up is lost. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&bus->nodes[node].sleeping, memory_order_relaxed)) return;
    if (!atomic_exchange(&bus->nodes[node].sleeping, 0)) return;
    write_eventfd(bus->eventfds[node]);
}

void cre__bus_wake_always(cre_bus *bus, uint32_t node) {
    atomic_store(&bus->nodes[node].sleeping, 1);
    cre__bus_wake(bus, node);
}

void cre_bus_wake(cre_bus *bus, uint32_t node) {
    if (node < bus->config.nodes) cre__bus_wake_always(bus, node);
}

void cre__bus_wake_receivers(cre_bus *bus, uint32_t node) {
    for (uint32_t to = 0; to < bus->config.nodes; to++) {
        uint64_t senders = atomic_load_explicit(&bus->nodes[to].senders[node / 64], memory_order_relaxed);
        if (senders & 1ull << (node % 64)) cre__bus_wake_always(bus, to);
    }
}
