#include "registry/table_internal.h"

#include <creactor/error.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/config.h"
#include "core/memory.h"

#define MAX_CONNECTIONS (1u << 24)

/* At least twice the limit, so that a search for a free slot takes few steps even when the table is full. */
static uint32_t slots_for(uint32_t connections) {
    uint32_t slots = 64;
    while (slots < connections * 2)
        slots *= 2;
    return slots;
}

size_t cre_table_size(uint32_t connections) {
    if (connections == 0 || connections > MAX_CONNECTIONS) return 0;
    uint32_t slots = slots_for(connections);
    return sizeof(cre__table_memory) + (size_t)(slots + 63) / 64 * 8 + 64 +
           (size_t)slots * sizeof(cre__slot) + cre__address_bytes(slots) + (size_t)slots * sizeof(uint32_t) +
           cre__notes_bytes(slots);
}

cre_table *cre_table_open(void *memory, uint32_t limit) {
    cre_table *table = cre__malloc(sizeof *table);
    if (!table) return NULL;
    *table = (cre_table){ .slots = slots_for(limit), .limit = limit, .memory = memory, .shown = memory };
    table->shown_slots = cre__table_slots_in(table, memory);
    uintptr_t end = (uintptr_t)(table->shown_slots + table->slots) + cre__address_bytes(table->slots);
    table->shown_users = (_Atomic uint32_t *)end;
    if (cre__address_seed(table)) return table;
    cre__free(table);
    return NULL;
}

void cre_table_close(cre_table *table) {
    if (table && cre__table_is_kept(table)) munmap(table->memory, cre_table_size(table->limit));
    if (table) cre__free(table->invalid);
    cre__free(table);
}

int cre__table_keep(cre_table *table) {
    if (cre__table_is_kept(table)) return 0;
    size_t size = cre_table_size(table->limit);
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return -errno;
    /* What others decided until now. The slots are not needed, the counters of addresses are behind them. */
    if (cre_table_count(table)) memcpy(memory, table->shown, size);
    table->memory = memory;
    table->keeper = getpid();
    return 0;
}

void cre__table_share(cre_table *table) {
    if (!cre__table_is_kept(table) || table->keeper == getpid()) return;
    munmap(table->memory, cre_table_size(table->limit));
    table->memory = table->shown;
    table->keeper = 0;
}

uint32_t cre_table_count(const cre_table *table) {
    return atomic_load_explicit(&table->memory->count, memory_order_relaxed);
}

/* ---- claiming and releasing ---- */

#define LEAST_WINDOW 1024u

static void mark_used(cre_table *table, uint32_t index, int change) {
    if (!cre__table_is_kept(table)) return;
    cre__table_memory *shown = table->shown;
    uint64_t bit = 1ull << (index % 64);
    if (change > 0)
        atomic_fetch_or_explicit(&shown->used[index / 64], bit, memory_order_relaxed);
    else
        atomic_fetch_and_explicit(&shown->used[index / 64], ~bit, memory_order_relaxed);
    atomic_fetch_add_explicit(&shown->count, (uint32_t)change, memory_order_relaxed);
}

static void set(_Atomic uint64_t *word, uint64_t value) {
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

void cre__slot_fill(cre_table *table, cre__slot *slot, const cre_connection_info *info) {
    uint64_t address[2];
    uint8_t local = cre__local_enter(table, info);
    memcpy(address, info->remote_address, sizeof address);
    /* A reader that sees any of these values sees that the previous session has been removed. */
    atomic_thread_fence(memory_order_release);
    set(&slot->place, info->family | (uint64_t)local << 8 | (uint64_t)info->remote_port << 16 |
                          (uint64_t)info->port << 32 | (uint64_t)info->worker << 48);
    set(&slot->address[0], address[0]);
    set(&slot->address[1], address[1]);
    set(&slot->connect_time_ms, (uint64_t)info->connect_time_ms);
    atomic_store_explicit(&slot->queued, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->request_taken, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->counted, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->last_receive, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->last_send, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->owner, info->owner, memory_order_relaxed);
    atomic_store_explicit(&slot->state, info->state, memory_order_relaxed);
}

/* The number of slots in use for the present number of connections: the first ones, at most half full. The
 * memory of the table is what the most connections at a time needed, however many there were in turn. */
static uint32_t window(const cre_table *table) {
    const uint64_t wanted = 4 * (uint64_t)cre_table_count(table);
    uint32_t slots = LEAST_WINDOW;
    while (slots < wanted && slots < table->slots)
        slots *= 2;
    return slots < table->slots ? slots : table->slots;
}

/* The next id. Those whose slots are not in use are skipped, up to the next one of slot 0. */
static uint64_t next_session(cre_table *table) {
    _Atomic uint64_t *last = &table->memory->next_session;
    const uint32_t slots = window(table);
    uint64_t session = atomic_fetch_add_explicit(last, 1, memory_order_relaxed) + 1;
    /* Another process may begin again, too. It may also write any number, so there is an end to this. */
    for (int tries = 0; tries < 8 && cre__table_index(table, session) >= slots; tries++) {
        uint64_t end = session | (table->slots - 1);
        atomic_compare_exchange_strong_explicit(last, &session, end, memory_order_relaxed,
                                                memory_order_relaxed);
        session = atomic_fetch_add_explicit(last, 1, memory_order_relaxed) + 1;
    }
    return session;
}

static int claim(cre_table *table, cre_connection_info *info, uint16_t workers) {
    if (atomic_fetch_add_explicit(&table->memory->count, 1, memory_order_relaxed) >= table->limit) {
        atomic_fetch_sub_explicit(&table->memory->count, 1, memory_order_relaxed);
        return CRE_ELIMIT;
    }
    for (uint32_t tries = 0; tries < table->slots; tries++) {
        /* The used bit claims the slot; ids whose slot still belongs to an older connection are skipped. */
        uint64_t session = next_session(table);
        if (!session) continue; /* overwritten */
        uint32_t index = cre__table_index(table, session);
        uint64_t bit = 1ull << (index % 64);
        if (atomic_fetch_or_explicit(&table->memory->used[index / 64], bit, memory_order_acquire) & bit)
            continue;
        cre__slot *slot = &cre__table_slots(table)[index];
        info->session = session;
        /* A slot that was never used has none, and its memory is not touched. */
        if (get(&slot->connect_time_ms)) cre__table_forget_last(table, session);
        info->worker = (uint16_t)(info->worker + (session - 1) % workers);
        cre__slot_fill(table, slot, info);
        atomic_store_explicit(cre__table_user(table, session), 0, memory_order_relaxed);
        atomic_store_explicit(&slot->session, session, memory_order_release);
        mark_used(table, index, 1);
        return 0;
    }
    /* All bits are set although the count is lower: the memory is corrupt. */
    atomic_fetch_sub_explicit(&table->memory->count, 1, memory_order_relaxed);
    return CRE_ELIMIT;
}

int cre__table_claim(cre_table *table, cre_connection_info *info, uint16_t workers) {
    int result = claim(table, info, workers);
    return result == CRE_ELIMIT && cre__table_recount(table) ? claim(table, info, workers) : result;
}

void cre__table_release(cre_table *table, cre_session session) {
    uint32_t index = cre__table_index(table, session);
    cre__slot *slot = &cre__table_slots(table)[index];
    if (atomic_load_explicit(&slot->session, memory_order_relaxed) != session && !cre__table_is_kept(table))
        return;
    if (atomic_load_explicit(&slot->counted, memory_order_relaxed)) {
        uint64_t address[2] = { get(&slot->address[0]), get(&slot->address[1]) };
        cre__address_leave(table, (uint8_t)get(&slot->place), address);
    }
    atomic_store_explicit(&cre__table_rest(table, session)->closed, session, memory_order_relaxed);
    atomic_store_explicit(&slot->session, 0, memory_order_release);
    atomic_fetch_and_explicit(&table->memory->used[index / 64], ~(1ull << (index % 64)),
                              memory_order_release);
    atomic_fetch_sub_explicit(&table->memory->count, 1, memory_order_relaxed);
    mark_used(table, index, -1);
}

void cre__table_set_state(cre_table *table, cre_session session, cre_connection_state state) {
    cre__slot *slot = &cre__table_slots(table)[cre__table_index(table, session)];
    atomic_store_explicit(&slot->state, (uint8_t)state, memory_order_relaxed);
}

void cre__table_set_worker(cre_table *table, cre_session session, uint16_t worker) {
    cre__slot *slot = &cre__table_slots(table)[cre__table_index(table, session)];
    set(&slot->place, (get(&slot->place) & 0xffffffffffffu) | (uint64_t)worker << 48);
}

uint32_t cre_table_sweep(cre_table *table, uint16_t owner) {
    uint32_t swept = 0, cursor = 0;
    if (cre__table_is_kept(table)) return 0; /* nobody else owns connections */
    cre_session sessions[64];
    for (size_t n; (n = cre_table_list(table, &cursor, sessions, 64));) {
        for (size_t i = 0; i < n; i++) {
            uint16_t its;
            if (!cre__table_owner(table, sessions[i], &its) || its != owner) continue;
            cre__table_release(table, sessions[i]);
            swept++;
        }
    }
    return swept;
}

static int64_t clock_ms(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Converts a loop time to a time of day; 0: never. */
static int64_t unix_time(const _Atomic uint32_t *seen) {
    uint32_t then = atomic_load_explicit(seen, memory_order_relaxed);
    if (!then) return 0;
    int64_t ago = clock_ms(CLOCK_MONOTONIC) - ((int64_t)then << CRE__SEEN_SHIFT);
    return clock_ms(CLOCK_REALTIME) - (ago > 0 ? ago : 0);
}

/* Copies the slot of a session, while *owner has that. */
static bool copy_info(const cre_table *table, cre_session session, const _Atomic uint64_t *owner,
                      cre_connection_info *info, size_t size) {
    const cre__slot *slot = &cre__table_slots(table)[cre__table_index(table, session)];
    const cre__slot_rest *rest = cre__table_rest(table, session);
    if (!session || atomic_load_explicit(owner, memory_order_acquire) != session) return false;
    bool closed = owner == &rest->closed;
    uint32_t note = atomic_load_explicit(&rest->note, memory_order_relaxed);
    uint64_t place = get(&slot->place), address[2] = { get(&slot->address[0]), get(&slot->address[1]) };
    cre_connection_info now = {
        .session = session,
        .state = atomic_load_explicit(&slot->state, memory_order_relaxed),
        .family = (uint8_t)place,
        .remote_port = (uint16_t)(place >> 16),
        .port = (uint16_t)(place >> 32),
        .owner = atomic_load_explicit(&slot->owner, memory_order_relaxed),
        .worker = (uint16_t)(place >> 48),
        .connect_time_ms = (int64_t)get(&slot->connect_time_ms),
        .last_receive_ms = unix_time(&slot->last_receive),
        .last_send_ms = unix_time(&slot->last_send),
        .queued = atomic_load_explicit(&slot->queued, memory_order_relaxed),
        .user_id = atomic_load_explicit(cre__table_user(table, session), memory_order_relaxed),
        .close_error = closed ? atomic_load_explicit(&rest->close_error, memory_order_relaxed) : 0,
        .asking = !closed && note & CRE__NOTE_ASKING,
        .excepted = (note & CRE__NOTE_PROTECTED) != 0,
        .closed = closed,
    };
    if (now.last_receive_ms < now.connect_time_ms) now.last_receive_ms = now.connect_time_ms;
    if (now.last_send_ms && now.last_send_ms < now.connect_time_ms) now.last_send_ms = now.connect_time_ms;
    memcpy(now.remote_address, address, sizeof address);
    cre__local_get(table, (uint8_t)(place >> 8), &now);
    /* Was the slot released, and perhaps claimed again, during the copy? */
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(owner, memory_order_relaxed) != session) return false;
    cre__config_give(info, size, &now, sizeof now);
    return true;
}

bool cre_table_get_info(const cre_table *table, cre_session session, cre_connection_info *info, size_t size) {
    const cre__slot *slot = &cre__table_slots(table)[cre__table_index(table, session)];
    return copy_info(table, session, &slot->session, info, size);
}

bool cre_table_get_last_info(const cre_table *table, cre_session session, cre_connection_info *info,
                             size_t size) {
    return cre_table_get_info(table, session, info, size) ||
           copy_info(table, session, &cre__table_rest(table, session)->closed, info, size);
}

int cre_table_state(const cre_table *table, cre_session session) {
    const cre__slot *slot = &cre__table_slots(table)[cre__table_index(table, session)];
    if (!session || atomic_load_explicit(&slot->session, memory_order_acquire) != session) return 0;
    return atomic_load_explicit(&slot->state, memory_order_relaxed);
}

size_t cre_table_list(const cre_table *table, uint32_t *cursor, cre_session *sessions, size_t capacity) {
    const cre__slot *slots = cre__table_slots(table);
    size_t found = 0;
    uint32_t index = *cursor;
    while (index < table->slots && found < capacity) {
        uint64_t word =
            atomic_load_explicit(&table->memory->used[index / 64], memory_order_relaxed) >> (index % 64);
        if (!word) {
            index = (index / 64 + 1) * 64;
            continue;
        }
        index += (uint32_t)__builtin_ctzll(word);
        uint64_t session = atomic_load_explicit(&slots[index].session, memory_order_acquire);
        if (session) sessions[found++] = session;
        index++;
    }
    *cursor = index;
    return found;
}
