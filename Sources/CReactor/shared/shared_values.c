/*
 * The memory of shared values.
 *
 *   head | buckets | chain | blocks
 *
 * An entry is a value with its key: a chain of blocks. The first block begins with the entry's header, and
 * its number is also the number of the entry. The hash of the key selects its bucket, a list of entries. One
 * mutex protects everything.
 *
 * An entry in a bucket never changes, except for its link to the next one. To set a value, a process writes a
 * new entry into free blocks and then stores one link. A process that dies before that store has changed
 * nothing. One that dies after it has only leaked blocks: the next owner of the mutex frees all blocks that
 * no bucket reaches.
 *
 * A process that corrupts the memory cannot harm others: block numbers, lengths and the steps of each walk
 * are checked, and if any value is corrupt, all values are removed.
 */
#include <creactor/error.h>
#include <creactor/shared_values.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "core/config.h"
#include "core/decimal.h"
#include "core/memory.h"
#include "core/siphash.h"
#include "shared/mutex.h"
#include "shared/segment.h"

enum {
    BLOCK = 256,
    BUCKETS = 16384,
    MIN_ROOM = 128 << 10, /* one of the largest values */
    MOST_BLOCKS = CRE_SHARED_VALUES_MAX / BLOCK,
    LOCK_MS = 100 /* an operation takes microseconds */
};

typedef struct values_head {
    cre__segment_head head;
    cre__mutex mutex;
    uint64_t seed[2];
    uint32_t free;     /* the first free block that was used before; 0: none. Numbers start at 1 */
    uint32_t fresh;    /* the blocks that were ever used */
    uint64_t earliest; /* no value expires before */
    _Atomic uint32_t count, used;
    _Atomic uint64_t repaired;
} values_head;

typedef struct entry {
    uint64_t hash;
    uint64_t expires;      /* 0: never */
    _Atomic uint32_t next; /* in its bucket */
    uint32_t length;       /* of the value */
    uint32_t key_length;
    uint32_t reserved;
} entry;

/* The steps of an operation through the memory. */
typedef struct walk {
    uint32_t left;
    bool damaged; /* the memory was overwritten */
} walk;

struct cre_shared_values {
    values_head *head;
    _Atomic uint32_t *buckets;
    uint32_t *chain; /* the next block of an entry, or of the free ones */
    uint8_t *blocks;
    uint32_t block_count;
    cre__segment segment;
    walk walk; /* of the process that has the mutex */
};

/* ---- creation ---- */

static int open_values(int descriptor, uint32_t room, cre_shared_values **out) {
    if (room < MIN_ROOM || room > CRE_SHARED_VALUES_MAX) return CRE_EINVALID;
    cre_shared_values *values = cre__calloc(1, sizeof *values);
    if (!values) return CRE_ENOMEM;
    values->block_count = room / BLOCK;
    const size_t buckets = sizeof(values_head), chain = buckets + BUCKETS * sizeof(uint32_t);
    const size_t links = (values->block_count + 1) * sizeof(uint32_t);
    const size_t blocks = (chain + links + BLOCK - 1) / BLOCK * BLOCK;
    const size_t size = blocks + (size_t)values->block_count * BLOCK;
    const int result =
        descriptor < 0 ? cre__segment_create(&values->segment, CRE__SEGMENT_VALUES, room, size)
                       : cre__segment_attach(&values->segment, descriptor, CRE__SEGMENT_VALUES, room, size);
    if (result) {
        cre__free(values);
        return result;
    }
    uint8_t *memory = values->segment.memory;
    values->head = (values_head *)(void *)memory;
    values->buckets = (_Atomic uint32_t *)(void *)(memory + buckets);
    values->chain = (uint32_t *)(void *)(memory + chain);
    values->blocks = memory + blocks;
    *out = values;
    return 0;
}

int cre_shared_values_create(uint32_t room, cre_shared_values **out) {
    cre_shared_values *values;
    int result = open_values(-1, room, &values);
    if (result) return result;
    /* Clients may choose keys. Without knowing the seed they cannot choose keys of one bucket. */
    uint64_t *seed = values->head->seed;
    values->head->earliest = UINT64_MAX;
    result = getrandom(seed, sizeof values->head->seed, 0) == sizeof values->head->seed ? 0 : -errno;
    if (!result) result = cre__mutex_init(&values->head->mutex);
    if (result)
        cre_shared_values_destroy(values);
    else
        *out = values;
    return result;
}

int cre_shared_values_attach(int descriptor, uint32_t room, cre_shared_values **out) {
    return descriptor < 0 ? -EBADF : open_values(descriptor, room, out);
}

int cre_shared_values_descriptor(const cre_shared_values *values) {
    return values->segment.descriptor;
}

void cre_shared_values_destroy(cre_shared_values *values) {
    if (!values) return;
    cre__segment_close(&values->segment);
    cre__free(values);
}

void cre_shared_values_get_stats(const cre_shared_values *values, cre_shared_values_stats *stats,
                                 size_t size) {
    const values_head *head = values->head;
    const cre_shared_values_stats now = {
        .count = atomic_load_explicit(&head->count, memory_order_relaxed),
        .used = (uint64_t)atomic_load_explicit(&head->used, memory_order_relaxed) * BLOCK,
        .repaired = atomic_load_explicit(&head->repaired, memory_order_relaxed),
    };
    cre__config_give(stats, size, &now, sizeof now);
}

/* ---- blocks ---- */

static uint32_t load(const _Atomic uint32_t *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void add(_Atomic uint32_t *counter, uint32_t by) {
    atomic_store_explicit(counter, load(counter) + by, memory_order_relaxed);
}

/* A number of a block that was read from the memory; 0: none, also if it cannot be one. */
static uint32_t checked(cre_shared_values *values, uint32_t number) {
    if (number <= values->block_count && values->walk.left) {
        values->walk.left -= number != 0;
        return number;
    }
    values->walk.damaged = true;
    return 0;
}

static uint32_t follow(cre_shared_values *values, const _Atomic uint32_t *link) {
    return checked(values, load(link));
}

static uint32_t next_of(cre_shared_values *values, uint32_t number) {
    return checked(values, values->chain[number]);
}

static uint8_t *block_at(const cre_shared_values *values, uint32_t number) {
    return values->blocks + (size_t)(number - 1) * BLOCK;
}

static entry *entry_at(const cre_shared_values *values, uint32_t number) {
    return (entry *)(void *)block_at(values, number);
}

static uint32_t blocks_of(size_t key, size_t value) {
    return (uint32_t)((sizeof(entry) + key + value + BLOCK - 1) / BLOCK);
}

/* Allocates a chain of blocks. 0: there are too few. */
static uint32_t allocate_chain(cre_shared_values *values, uint32_t count) {
    values_head *head = values->head;
    if (values->block_count - load(&head->used) < count) return 0;
    add(&head->used, count);
    uint32_t first = 0;
    for (; count; count--) {
        uint32_t number = checked(values, head->free);
        if (number) {
            head->free = values->chain[number];
        } else {
            number = checked(values, head->fresh + 1);
            if (!number) {
                values->walk.damaged = true;
                return 0;
            }
            head->fresh = number;
        }
        values->chain[number] = first;
        first = number;
    }
    return first;
}

static void free_chain(cre_shared_values *values, uint32_t first) {
    values_head *head = values->head;
    for (uint32_t next, number = first; number; number = next) {
        next = next_of(values, number);
        values->chain[number] = head->free;
        head->free = number;
        add(&head->used, UINT32_MAX);
    }
}

/* A place in the bytes of an entry, its key and its value. */
typedef struct cursor {
    cre_shared_values *values;
    uint32_t block;
    size_t at; /* in the block */
} cursor;

static cursor start_of(cre_shared_values *values, uint32_t number) {
    return (cursor){ values, number, sizeof(entry) };
}

/* The contiguous bytes at the cursor, at most `most`, which it passes. */
static uint8_t *pass(cursor *at, size_t most, size_t *length) {
    if (at->at == BLOCK) {
        const uint32_t next = next_of(at->values, at->block);
        if (!next) at->values->walk.damaged = true;
        *at = (cursor){ at->values, next ? next : 1, 0 };
    }
    uint8_t *bytes = block_at(at->values, at->block) + at->at;
    *length = most < BLOCK - at->at ? most : BLOCK - at->at;
    at->at += *length;
    return bytes;
}

static void put(cursor *at, cre_slice from) {
    for (size_t done = 0, length; done < from.length; done += length) {
        uint8_t *to = pass(at, from.length - done, &length);
        memcpy(to, from.data + done, length);
    }
}

static void get(cursor *at, uint8_t *to, size_t size) {
    for (size_t done = 0, length; done < size; done += length) {
        const uint8_t *from = pass(at, size - done, &length);
        memcpy(to + done, from, length);
    }
}

static bool is_equal(cursor *at, cre_slice other) {
    for (size_t done = 0, length; done < other.length; done += length) {
        const uint8_t *bytes = pass(at, other.length - done, &length);
        if (memcmp(bytes, other.data + done, length) != 0) return false;
    }
    return true;
}

/* ---- entries ---- */

/* From here on `number` is what a link leads to, even if the process is killed. Stores behind it happen
 * afterwards. */
static void redirect(_Atomic uint32_t *link, uint32_t number) {
    atomic_store_explicit(link, number, memory_order_release);
    atomic_thread_fence(memory_order_release);
}

static void drop(cre_shared_values *values, _Atomic uint32_t *link) {
    const uint32_t number = follow(values, link);
    if (!number) return;
    redirect(link, load(&entry_at(values, number)->next));
    add(&values->head->count, UINT32_MAX);
    free_chain(values, number);
}

static bool has_expired(const entry *it, uint64_t now) {
    return it->expires && it->expires <= now;
}

/* Removes what has expired. */
static void sweep(cre_shared_values *values, uint64_t now) {
    values_head *head = values->head;
    if (head->earliest > now) return;
    head->earliest = 0; /* until all are seen */
    uint64_t earliest = UINT64_MAX;
    for (uint32_t i = 0; i < BUCKETS; i++) {
        for (_Atomic uint32_t *link = &values->buckets[i]; follow(values, link);) {
            const uint32_t number = follow(values, link);
            if (!number) return; /* damaged */
            entry *it = entry_at(values, number);
            if (has_expired(it, now)) {
                drop(values, link);
                continue;
            }
            if (it->expires && it->expires < earliest) earliest = it->expires;
            link = &it->next;
        }
    }
    head->earliest = earliest;
}

/* The link to the entry of a key, or to the end of its bucket. An entry that has expired is removed. */
static _Atomic uint32_t *find(cre_shared_values *values, cre_slice key, uint64_t hash, uint64_t now) {
    _Atomic uint32_t *link = &values->buckets[hash % BUCKETS];
    for (uint32_t number; (number = follow(values, link)); link = &entry_at(values, number)->next) {
        const entry *it = entry_at(values, number);
        cursor at = start_of(values, number);
        if (it->hash != hash || it->key_length != key.length || !is_equal(&at, key)) continue;
        if (!has_expired(it, now)) break;
        drop(values, link);
        while ((number = follow(values, link))) /* there is no other one with this key */
            link = &entry_at(values, number)->next;
        break;
    }
    return link;
}

/* The value of an entry. */
static cursor value_of(cre_shared_values *values, uint32_t number) {
    cursor at = start_of(values, number);
    for (size_t left = entry_at(values, number)->key_length, length; left; left -= length)
        pass(&at, left, &length);
    return at;
}

/* Sets a value in place of that at `link`, if there is one. */
static int store(cre_shared_values *values, _Atomic uint32_t *link, uint64_t hash, cre_slice key,
                 cre_slice value, uint64_t expires) {
    values_head *head = values->head;
    const uint32_t old = follow(values, link),
                   number = allocate_chain(values, blocks_of(key.length, value.length));
    if (!number) return CRE_EVALUE_FULL;
    entry *it = entry_at(values, number);
    *it = (entry){
        .hash = hash, .expires = expires, .length = (uint32_t)value.length, .key_length = (uint32_t)key.length
    };
    atomic_store_explicit(&it->next, old ? load(&entry_at(values, old)->next) : 0, memory_order_relaxed);
    cursor at = start_of(values, number);
    put(&at, key);
    put(&at, value);
    if (expires && expires < head->earliest) head->earliest = expires;
    redirect(link, number);
    if (old)
        free_chain(values, old);
    else
        add(&head->count, 1);
    return 1;
}

/* ---- numbers ---- */

static bool sum_of(cre_shared_values *values, uint32_t number, int64_t amount, int64_t *sum) {
    uint8_t text[CRE__MAX_DECIMAL];
    *sum = 0;
    if (number) {
        const size_t length = entry_at(values, number)->length;
        if (length > sizeof text) return false;
        cursor at = value_of(values, number);
        get(&at, text, length);
        if (!cre__parse_integer((cre_slice){ text, length }, sum)) return false;
    }
    return !__builtin_add_overflow(*sum, amount, sum);
}

/* ---- operations ---- */

/* Frees all blocks that no bucket reaches, after a process died during an operation. */
static void repair(cre_shared_values *values) {
    values_head *head = values->head;
    const uint32_t fresh = checked(values, head->fresh);
    uint64_t used[MOST_BLOCKS / 64 + 1] = { 0 };
    uint32_t count = 0, blocks = 0, free = 0;
    for (uint32_t i = 0; i < BUCKETS; i++) {
        for (uint32_t it = follow(values, &values->buckets[i]); it;
             it = follow(values, &entry_at(values, it)->next)) {
            count++;
            for (uint32_t number = it; number; number = next_of(values, number), blocks++)
                used[number / 64] |= 1ull << number % 64;
        }
    }
    for (uint32_t number = fresh; number; number--) {
        if (used[number / 64] >> number % 64 & 1) continue;
        values->chain[number] = free;
        free = number;
    }
    head->free = free;
    head->earliest = 0; /* the next sweep looks for it */
    atomic_store(&head->count, count);
    atomic_store(&head->used, blocks);
    atomic_fetch_add(&head->repaired, 1);
}

static bool meets(cre_shared_values *values, uint32_t number, const cre_value_operation *operation) {
    if (operation->condition == CRE_VALUE_ALWAYS) return true;
    if (operation->condition == CRE_VALUE_IF_ABSENT) return !number;
    if (!number || entry_at(values, number)->length != operation->expected.length) return false;
    cursor at = value_of(values, number);
    return is_equal(&at, operation->expected);
}

static int carry_out(cre_shared_values *values, const cre_value_operation *operation, uint64_t now,
                     uint8_t *value, size_t *length) {
    const cre_slice key = operation->key;
    const uint64_t hash = cre__siphash_bytes(values->head->seed, key.data, key.length);
    _Atomic uint32_t *link = find(values, key, hash, now);
    const uint32_t number = follow(values, link);
    uint64_t expires = operation->lifetime_ms ? now + operation->lifetime_ms : 0;
    cre_slice stored = operation->value;
    int64_t sum;
    if (!meets(values, number, operation)) return 0;
    switch (operation->kind) {
    case CRE_VALUE_GET:
        if (!number) return 0;
        *length = entry_at(values, number)->length;
        if (*length > CRE_VALUE_MAX) {
            *length = 0;
            values->walk.damaged = true;
            return 0;
        }
        cursor at = value_of(values, number);
        get(&at, value, *length);
        return 1;
    case CRE_VALUE_REMOVE:
        if (number) drop(values, link);
        return number != 0;
    case CRE_VALUE_ADD:
        if (!sum_of(values, number, operation->amount, &sum)) return CRE_EVALUE_NUMBER;
        *length = (size_t)(cre__put_integer((char *)value, sum) - (char *)value);
        if (number) expires = entry_at(values, number)->expires;
        stored = (cre_slice){ value, *length };
        break;
    default: break;
    }
    return store(values, link, hash, key, stored, expires);
}

/* Removes everything. */
static void clear(cre_shared_values *values) {
    values_head *head = values->head;
    for (uint32_t i = 0; i < BUCKETS; i++)
        atomic_store_explicit(&values->buckets[i], 0, memory_order_relaxed);
    head->free = head->fresh = 0;
    head->earliest = UINT64_MAX;
    atomic_store(&head->count, 0);
    atomic_store(&head->used, 0);
    atomic_fetch_add(&head->repaired, 1);
}

/* Each block is passed a few times at most. */
static void begin_walk(cre_shared_values *values) {
    values->walk = (walk){ .left = 8 * values->block_count };
}

int cre_shared_values_apply(cre_shared_values *values, const cre_value_operation *operation, uint64_t now,
                            uint8_t *value, size_t *length) {
    int result = cre_value_check(operation);
    if (result) return result;
    cre__mutex *mutex = &values->head->mutex;
    const struct timespec deadline = cre__mutex_deadline(LOCK_MS);
    result = cre__mutex_try(mutex);
    if (result == -EBUSY) result = cre__mutex_lock_within(mutex, LOCK_MS, &deadline);
    if (result < 0) return result;
    begin_walk(values);
    if (result == 1) repair(values);
    if (!values->walk.damaged) result = carry_out(values, operation, now, value, length);
    if (result == CRE_EVALUE_FULL && values->head->earliest <= now) {
        sweep(values, now);
        begin_walk(values);
        result = carry_out(values, operation, now, value, length);
    }
    if (values->walk.damaged) {
        clear(values);
        begin_walk(values);
        result = carry_out(values, operation, now, value, length);
    }
    cre__mutex_unlock(mutex);
    return result;
}
