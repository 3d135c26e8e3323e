/* Counting the connections of the table by what they are. */
#include <string.h>

#include "registry/table_internal.h"

void cre_table_count_by_port(const cre_table *table, uint32_t (*counts)[CRE_CONNECTION_STATES],
                             uint16_t ports) {
    memset(counts, 0, ports * sizeof *counts);
    const cre__slot *slots = cre__table_slots(table);
    for (uint32_t first = 0; first < table->slots; first += 64) {
        uint64_t word = atomic_load_explicit(&table->shown->used[first / 64], memory_order_relaxed);
        for (; word; word &= word - 1) {
            uint32_t index = first + (uint32_t)__builtin_ctzll(word);
            if (index >= table->slots) break;
            const cre__slot *slot = &slots[index];
            if (!atomic_load_explicit(&slot->session, memory_order_acquire)) continue;
            uint8_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
            uint16_t port = (uint16_t)(atomic_load_explicit(&slot->place, memory_order_relaxed) >> 32);
            if (port < ports && state < CRE_CONNECTION_STATES) counts[port][state]++;
        }
    }
}
