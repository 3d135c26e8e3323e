/* The local addresses of connections. An address stays once a connection had it: a machine has few. */
#include <string.h>
#include <sys/socket.h>

#include "registry/table_internal.h"

/* Instead of a family. An address is claimed while it is being written; if its process dies then, it stays
 * so, and one index is lost. */
enum { FREE, CLAIMED };
_Static_assert(AF_INET > CLAIMED && AF_INET6 > CLAIMED, "a family is neither");

typedef struct local_address {
    uint64_t words[2];
    uint8_t family;
} local_address;

static uint64_t get(const _Atomic uint64_t *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

static uint8_t family_of(const cre__local *local) {
    return atomic_load_explicit(&local->family, memory_order_acquire);
}

/* False: there is none. */
static bool read_address(const cre__local *local, local_address *out) {
    out->family = family_of(local);
    out->words[0] = get(&local->address[0]);
    out->words[1] = get(&local->address[1]);
    return out->family == AF_INET || out->family == AF_INET6;
}

static void write_address(cre__local *local, const local_address *address) {
    atomic_store_explicit(&local->address[0], address->words[0], memory_order_relaxed);
    atomic_store_explicit(&local->address[1], address->words[1], memory_order_relaxed);
    atomic_store_explicit(&local->family, address->family, memory_order_release);
}

static bool has_address(const cre__local *local, const local_address *address) {
    return family_of(local) == address->family && get(&local->address[0]) == address->words[0] &&
           get(&local->address[1]) == address->words[1];
}

uint8_t cre__local_enter(cre_table *table, const cre_connection_info *info) {
    local_address address = { .family = info->local_family };
    if (address.family != AF_INET && address.family != AF_INET6) return 0;
    memcpy(address.words, info->local_address, sizeof address.words);
    for (uint32_t i = 0; i < CRE__TABLE_LOCALS; i++) {
        cre__local *local = &table->memory->locals[i];
        uint8_t family = FREE;
        if (has_address(local, &address)) return (uint8_t)(i + 1);
        if (family_of(local) != FREE || !atomic_compare_exchange_strong(&local->family, &family, CLAIMED))
            continue;
        /* In this order: who finds the address in a kept table may show its index at once. */
        write_address(&table->shown->locals[i], &address);
        write_address(local, &address);
        return (uint8_t)(i + 1);
    }
    return 0;
}

void cre__local_get(const cre_table *table, uint8_t index, cre_connection_info *info) {
    local_address address;
    if (!index || !read_address(&table->shown->locals[index - 1], &address)) return;
    info->local_family = address.family;
    memcpy(info->local_address, address.words, sizeof address.words);
}

uint32_t cre__local_restore(cre_table *table) {
    uint32_t restored = 0;
    for (uint32_t i = 0; i < CRE__TABLE_LOCALS && family_of(&table->memory->locals[i]) != FREE; i++) {
        local_address address;
        if (!read_address(&table->memory->locals[i], &address)) continue; /* it is being written */
        if (has_address(&table->shown->locals[i], &address)) continue;
        write_address(&table->shown->locals[i], &address);
        restored++;
    }
    return restored;
}
