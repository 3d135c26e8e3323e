/*
 * A slot is one word: 20 bits of the key's hash and a time in microseconds modulo 2^44, at which the whole
 * limit of the key is available again (GCRA's theoretical arrival time). Once that time has passed the slot
 * says nothing that an empty one would not say, so it is free. Slots that stay untouched for 203 days appear
 * to be in use again for at most a day.
 */
#include <creactor/error.h>
#include <creactor/shared_rate.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "core/config.h"
#include "core/memory.h"
#include "core/siphash.h"
#include "shared/segment.h"

#define WAYS      8 /* slots that a key may have: one cache line */
#define TIME_BITS 44
#define TIME_MASK ((1ull << TIME_BITS) - 1)
#define ATTEMPTS \
    64 /* each failure means that another process has changed the slot; then the request passes */

typedef struct rate_head {
    cre__segment_head head;
    uint64_t seed[2];
    _Alignas(64) _Atomic uint64_t refused;
    _Atomic uint64_t evicted;
    _Alignas(64) _Atomic uint64_t slots[];
} rate_head;

struct cre_shared_rate {
    rate_head *memory;
    uint32_t slots;
    cre__segment segment;
};

/* ---- creation ---- */

static uint32_t rounded(uint32_t slots) {
    uint32_t power = WAYS;
    while (power < slots)
        power *= 2;
    return power;
}

static int open_rate(int descriptor, uint32_t slots, cre_shared_rate **out) {
    if (!slots || slots > CRE_SHARED_RATE_SLOTS_MAX) return CRE_EINVALID;
    cre_shared_rate *rate = cre__malloc(sizeof *rate);
    if (!rate) return CRE_ENOMEM;
    rate->slots = rounded(slots);
    size_t size = sizeof(rate_head) + rate->slots * sizeof(uint64_t);
    int result = descriptor < 0
                     ? cre__segment_create(&rate->segment, CRE__SEGMENT_RATE, rate->slots, size)
                     : cre__segment_attach(&rate->segment, descriptor, CRE__SEGMENT_RATE, rate->slots, size);
    if (result) {
        cre__free(rate);
        return result;
    }
    rate->memory = rate->segment.memory;
    *out = rate;
    return 0;
}

int cre_shared_rate_create(uint32_t slots, cre_shared_rate **out) {
    cre_shared_rate *rate;
    int result = open_rate(-1, slots, &rate);
    if (result) return result;
    uint64_t *seed = rate->memory->seed;
    if (getrandom(seed, sizeof rate->memory->seed, 0) != sizeof rate->memory->seed) {
        result = -errno;
        cre_shared_rate_destroy(rate);
        return result;
    }
    *out = rate;
    return 0;
}

int cre_shared_rate_attach(int descriptor, uint32_t slots, cre_shared_rate **out) {
    return descriptor < 0 ? -EBADF : open_rate(descriptor, slots, out);
}

int cre_shared_rate_descriptor(const cre_shared_rate *rate) {
    return rate->segment.descriptor;
}

void cre_shared_rate_destroy(cre_shared_rate *rate) {
    if (!rate) return;
    cre__segment_close(&rate->segment);
    cre__free(rate);
}

void cre_shared_rate_get_stats(const cre_shared_rate *rate, cre_shared_rate_stats *stats, size_t size) {
    cre_shared_rate_stats all = { .refused = atomic_load(&rate->memory->refused),
                                  .evicted = atomic_load(&rate->memory->evicted),
                                  .slots = rate->slots };
    cre__config_give(stats, size, &all, sizeof all);
}

/* ---- slots ---- */

static uint64_t hash_of(const cre_shared_rate *rate, const uint8_t *key, size_t length) {
    return cre__siphash_bytes(rate->memory->seed, key, length);
}

/* Never 0, so that no slot in use is the word of an empty one. */
static uint64_t tag_of(uint64_t hash) {
    uint64_t tag = hash >> TIME_BITS;
    return tag ? tag : 1;
}

/* How far the time of a slot is ahead of `now`; 0: the slot is free. */
static uint64_t ahead(uint64_t slot, uint64_t now) {
    uint64_t difference = (slot - now) & TIME_MASK;
    return slot && difference <= CRE_SHARED_RATE_WINDOW_MAX ? difference : 0;
}

/* Finds the slot of a key, else one that is free or has used the least, and what it has in it. */
static _Atomic uint64_t *find(_Atomic uint64_t *slots, uint64_t tag, uint64_t now, uint64_t *content,
                              uint64_t *used) {
    _Atomic uint64_t *least = NULL;
    *used = UINT64_MAX;
    for (int i = 0; i < WAYS; i++) {
        uint64_t slot = atomic_load_explicit(&slots[i], memory_order_relaxed);
        uint64_t use = ahead(slot, now);
        if (use && slot >> TIME_BITS == tag) {
            *content = slot;
            *used = use;
            return &slots[i];
        }
        if (use >= *used) continue;
        least = &slots[i];
        *content = slot;
        *used = use;
    }
    return least;
}

int cre_shared_rate_take(cre_shared_rate *rate, const void *key, size_t length, const cre_rate_limit *limit,
                         uint64_t now, cre_rate_state *state) {
    uint64_t interval = limit->interval, window = limit->window;
    if (!interval || window < interval || window > CRE_SHARED_RATE_WINDOW_MAX) return CRE_EINVALID;
    uint64_t hash = hash_of(rate, key, length), tag = tag_of(hash);
    _Atomic uint64_t *slots = rate->memory->slots + (hash & (rate->slots - 1) & ~(uint64_t)(WAYS - 1));
    uint64_t use = 0;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        uint64_t content = 0, used = 0;
        _Atomic uint64_t *slot = find(slots, tag, now, &content, &used);
        bool evicts = used && content >> TIME_BITS != tag;
        use = evicts ? 0 : used < window ? used : window; /* another limit may have allowed more before */
        if (use + interval > window) {
            atomic_fetch_add_explicit(&rate->memory->refused, 1, memory_order_relaxed);
            *state = (cre_rate_state){ .full = use, .retry = use + interval - window };
            return 0;
        }
        uint64_t changed = tag << TIME_BITS | ((now + use + interval) & TIME_MASK);
        if (!atomic_compare_exchange_strong(slot, &content, changed)) continue;
        if (evicts) atomic_fetch_add_explicit(&rate->memory->evicted, 1, memory_order_relaxed);
        break;
    }
    use += interval;
    uint64_t remaining = (window - use) / interval;
    *state = (cre_rate_state){
        .remaining = remaining, .full = use, .retry = remaining ? 0 : use + interval - window, .passes = true
    };
    return 0;
}
