#include "gateway/journal.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "core/round.h"

enum { PAGE = 4096, UNIT = 8, GIVE_BACK = 1 << 20 };

/* The tags of publications have room for positions up to this one. */
#define MOST_POSITION (1ull << 57)

uint64_t cre__journal_size(uint64_t bytes) {
    return PAGE + cre__round_up(bytes + CRE_BROKER_MAX_PAYLOAD + PAGE, PAGE);
}

cre__journal_entry *cre__journal_at(const cre__journal *journal, uint64_t position) {
    return (cre__journal_entry *)(void *)(journal->data + position % journal->capacity);
}

/* Copies and checks an entry, since other processes may overwrite it at any time. A filler at the end of the
 * data has only a size and a state. Returns the size; 0: it is not a valid entry. */
static uint64_t read_entry(const cre__journal *journal, uint64_t position, cre__journal_entry *copy) {
    const uint64_t left = journal->end - position, at = position % journal->capacity;
    const cre__journal_entry *entry = cre__journal_at(journal, position);
    if (left < UNIT) return 0;
    *copy = (cre__journal_entry){ .size = __atomic_load_n(&entry->size, __ATOMIC_RELAXED),
                                  .state = __atomic_load_n(&entry->state, __ATOMIC_RELAXED) };
    const uint64_t size = copy->size;
    if (size < UNIT || size % UNIT || size > left || size > journal->capacity - at) return 0;
    if (copy->state == CRE__ENTRY_DONE) return size;
    if (copy->state != CRE__ENTRY_WAITING || size < sizeof *copy) return 0;
    memcpy(&copy->id, &entry->id, sizeof *copy - offsetof(cre__journal_entry, id));
    const bool fits = copy->topic_length && copy->topic_length <= CRE_BROKER_MAX_TOPIC &&
                      copy->message_length <= CRE_BROKER_MAX_PAYLOAD &&
                      sizeof *copy + copy->topic_length + copy->message_length <= size;
    return fits ? size : 0;
}

bool cre__journal_read(const cre__journal *journal, uint64_t position, cre__journal_entry *entry,
                       const uint8_t **bytes) {
    *bytes = cre__journal_at(journal, position)->bytes;
    return read_entry(journal, position, entry) && entry->state == CRE__ENTRY_WAITING;
}

/* For a successor. */
static void publish_bounds(const cre__journal *journal) {
    atomic_store_explicit(&journal->bounds->end, journal->end, memory_order_release);
    atomic_store_explicit(&journal->bounds->first, journal->first, memory_order_release);
}

void cre__journal_open(cre__journal *journal, void *memory, uint64_t size) {
    *journal = (cre__journal){ .bounds = memory, .data = (uint8_t *)memory + PAGE, .capacity = size - PAGE };
    journal->touched = journal->capacity;
    journal->first = atomic_load(&journal->bounds->first);
    journal->end = atomic_load(&journal->bounds->end);
    if (journal->first % UNIT || journal->end % UNIT || journal->end > MOST_POSITION ||
        journal->end - journal->first > journal->capacity)
        journal->first = journal->end = 0;
    cre__journal_entry entry;
    for (uint64_t at = journal->first, length; at != journal->end; at += length) {
        length = read_entry(journal, at, &entry);
        if (!length) journal->end = at;
    }
    publish_bounds(journal);
}

/* Fills the rest of the data, so that the next entry begins at its beginning. */
static void skip_rest(cre__journal *journal, uint64_t rest) {
    const bool empty = journal->first == journal->end;
    cre__journal_entry *filler =
        cre__journal_at(journal, journal->end); /* only its first members have room */
    filler->size = (uint32_t)rest;
    filler->state = CRE__ENTRY_DONE;
    journal->end += rest;
    if (!empty) return;
    journal->first = journal->end; /* there is all of it, not only the room before the rest */
    publish_bounds(journal);
}

uint64_t cre__journal_append(cre__journal *journal, const cre__journal_entry *entry, cre_slice topic,
                             cre_slice envelope, cre_slice message) {
    const uint64_t size =
        cre__round_up(sizeof *entry + topic.length + envelope.length + message.length, UNIT);
    const uint64_t used = journal->end - journal->first;
    const uint64_t rest = journal->capacity - journal->end % journal->capacity;
    if (size > rest) {
        if (used && used + rest + size > journal->capacity) return UINT64_MAX;
        skip_rest(journal, rest);
    }
    if (journal->end - journal->first + size > journal->capacity) return UINT64_MAX;
    const uint64_t position = journal->end;
    cre__journal_entry *own = cre__journal_at(journal, position);
    *own = *entry;
    own->size = (uint32_t)size;
    own->state = CRE__ENTRY_WAITING;
    own->topic_length = (uint32_t)topic.length;
    own->message_length = (uint32_t)(envelope.length + message.length);
    uint8_t *at = own->bytes;
    memcpy(at, topic.data, topic.length);
    at += topic.length;
    memcpy(at, envelope.data, envelope.length);
    if (message.length) memcpy(at + envelope.length, message.data, message.length);
    journal->touched += size;
    journal->end += size;
    atomic_store_explicit(&journal->bounds->end, journal->end, memory_order_release);
    return position;
}

/* The position of the first entry from `at` on that is not done. A corrupt entry ends the search: the entries
 * after it cannot be found. */
static uint64_t skip_done(const cre__journal *journal, uint64_t at) {
    cre__journal_entry entry;
    while (at != journal->end) {
        const uint64_t size = read_entry(journal, at, &entry);
        if (!size) return journal->end;
        if (entry.state != CRE__ENTRY_DONE) break;
        at += size;
    }
    return at;
}

bool cre__journal_next(const cre__journal *journal, uint64_t *position) {
    cre__journal_entry entry;
    uint64_t at = journal->first;
    if (*position != UINT64_MAX) {
        const uint64_t size = read_entry(journal, *position, &entry);
        at = size ? *position + size : journal->end;
    }
    *position = skip_done(journal, at);
    return *position != journal->end;
}

/* Pages of a burst are given back when nothing is in them. */
static void give_back(cre__journal *journal) {
    if (journal->touched < GIVE_BACK) return;
    madvise(journal->data, journal->capacity, MADV_REMOVE);
    journal->touched = 0;
}

void cre__journal_done(cre__journal *journal, uint64_t position) {
    if (position < journal->first) return; /* dropped with a corrupt entry: its room may be another one's */
    cre__journal_at(journal, position)->state = CRE__ENTRY_DONE;
    journal->first = skip_done(journal, journal->first);
    atomic_store_explicit(&journal->bounds->first, journal->first, memory_order_release);
    if (journal->first == journal->end) give_back(journal);
}
