#include "gateway/wants.h"

#include <creactor/error.h>

#include "core/memory.h"
#include "core/siphash.h"

enum { FIRST_BUCKETS = 64, BITS = 64 };

int cre__wants_init(cre__wants *wants, uint32_t processes, uint64_t seed) {
    *wants = (cre__wants){ .mask = FIRST_BUCKETS - 1,
                           .words = (processes + BITS - 1) / BITS,
                           .seed = { seed, seed * 0x9E3779B97F4A7C15u } };
    wants->buckets = cre__calloc(FIRST_BUCKETS, sizeof *wants->buckets);
    return wants->buckets ? 0 : CRE_ENOMEM;
}

static void free_want(void *context, cre__want *want) {
    (void)context;
    cre__free(want);
}

void cre__wants_deinit(cre__wants *wants) {
    cre__wants_each(wants, free_want, NULL);
    cre__free(wants->buckets);
    wants->buckets = NULL;
}

static cre__want **place_of(const cre__wants *wants, uint64_t hash, cre_slice name) {
    cre__want **at = &wants->buckets[hash & wants->mask];
    while (*at && ((*at)->hash != hash || (*at)->length != name.length ||
                   memcmp(cre__want_name(wants, *at).data, name.data, name.length) != 0))
        at = &(*at)->next;
    return at;
}

cre__want *cre__wants_find(const cre__wants *wants, cre_slice name) {
    return *place_of(wants, cre__siphash_bytes(wants->seed, name.data, name.length), name);
}

/* Too few buckets are slow and nothing worse. */
static void grow(cre__wants *wants) {
    if (wants->count <= wants->mask) return;
    const size_t size = (wants->mask + 1) * 2;
    cre__want **buckets = cre__calloc(size, sizeof *buckets);
    if (!buckets) return;
    for (size_t i = 0; i <= wants->mask; i++) {
        for (cre__want *want = wants->buckets[i], *next; want; want = next) {
            next = want->next;
            want->next = buckets[want->hash & (size - 1)];
            buckets[want->hash & (size - 1)] = want;
        }
    }
    cre__free(wants->buckets);
    wants->buckets = buckets;
    wants->mask = size - 1;
}

cre__want *cre__wants_add(cre__wants *wants, cre_slice name) {
    const uint64_t hash = cre__siphash_bytes(wants->seed, name.data, name.length);
    cre__want *want = *place_of(wants, hash, name);
    if (want) return want;
    want = cre__calloc(1, sizeof *want + 2 * wants->words * sizeof *want->bits + name.length);
    if (!want) return NULL;
    want->hash = hash;
    want->length = (uint16_t)name.length;
    memcpy((uint8_t *)(want->bits + 2 * (size_t)wants->words), name.data, name.length);
    grow(wants);
    cre__want **first = &wants->buckets[hash & wants->mask];
    want->next = *first;
    *first = want;
    wants->count++;
    return want;
}

void cre__wants_remove(cre__wants *wants, cre__want *want) {
    *place_of(wants, want->hash, cre__want_name(wants, want)) = want->next;
    wants->count--;
    cre__free(want);
}

void cre__wants_each(cre__wants *wants, void (*visit)(void *context, cre__want *want), void *context) {
    for (size_t i = 0; wants->buckets && i <= wants->mask; i++) {
        for (cre__want *want = wants->buckets[i], *next; want; want = next) {
            next = want->next;
            visit(context, want);
        }
    }
}

/* ---- processes ---- */

void cre__want_by(const cre__wants *wants, cre__want *want, uint32_t process, bool wanted) {
    const uint32_t word = process / BITS;
    const uint64_t bit = 1ull << process % BITS;
    want->bits[word] = wanted ? want->bits[word] | bit : want->bits[word] & ~bit;
    cre__want_unconfirmed(wants, want)[word] &= ~bit;
}

/* A report of a process. */
typedef struct report {
    const cre__wants *wants;
    uint32_t process;
    void (*release)(void *context, cre__want *want);
    void *context;
} report;

static void mark_unconfirmed(void *context, cre__want *want) {
    const report *begun = context;
    const uint32_t word = begun->process / BITS;
    cre__want_unconfirmed(begun->wants, want)[word] |= want->bits[word] & 1ull << begun->process % BITS;
}

static void drop_unconfirmed(void *context, cre__want *want) {
    const report *ended = context;
    const uint64_t *unconfirmed = cre__want_unconfirmed(ended->wants, want);
    if (!(unconfirmed[ended->process / BITS] >> ended->process % BITS & 1)) return;
    cre__want_by(ended->wants, want, ended->process, false);
    ended->release(ended->context, want);
}

void cre__wants_begin_report(cre__wants *wants, uint32_t process) {
    cre__wants_each(wants, mark_unconfirmed, &(report){ .wants = wants, .process = process });
}

void cre__wants_end_report(cre__wants *wants, uint32_t process,
                           void (*release)(void *context, cre__want *want), void *context) {
    cre__wants_each(wants, drop_unconfirmed, &(report){ wants, process, release, context });
}

bool cre__want_is_wanted(const cre__wants *wants, const cre__want *want) {
    for (uint32_t i = 0; i < wants->words; i++)
        if (want->bits[i]) return true;
    return want->expected != 0;
}
