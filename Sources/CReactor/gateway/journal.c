#include "gateway/journal.h"

#include <string.h>
#include <sys/mman.h>

#include "core/round.h"

enum { PAGE = 4096, UNIT = 8, GIVE_BACK = 1 << 20 };

uint64_t cre__journal_size(uint64_t bytes) {
    return PAGE + cre__round_up(bytes + CRE_BROKER_MAX_PAYLOAD + PAGE, PAGE);
}

/* The entries are processes' of this server, which may have overwritten them: each is checked when it is
 * first read. */
static bool is_entry(const cre__journal *journal, uint64_t position, uint64_t end) {
    const uint64_t at = position % journal->capacity, left = end - position;
    if (left < UNIT) return false;
    const cre__journal_entry *entry = (const cre__journal_entry *)(const void *)(journal->data + at);
    const uint64_t size = entry->size;
    if (size < UNIT || size % UNIT || size > left || size > journal->capacity - at) return false;
    if (entry->state == CRE__ENTRY_DONE) return true;
    return entry->state == CRE__ENTRY_WAITING && size >= sizeof *entry && entry->topic_length &&
           entry->topic_length <= CRE_BROKER_MAX_TOPIC && entry->message_length <= CRE_BROKER_MAX_PAYLOAD &&
           sizeof *entry + entry->topic_length + entry->message_length <= size;
}

cre__journal_entry *cre__journal_at(const cre__journal *journal, uint64_t position) {
    return (cre__journal_entry *)(void *)(journal->data + position % journal->capacity);
}

void cre__journal_open(cre__journal *journal, void *memory, uint64_t size) {
    *journal = (cre__journal){ .shown = memory, .data = (uint8_t *)memory + PAGE, .capacity = size - PAGE };
    journal->touched = journal->capacity;
    uint64_t first = atomic_load(&journal->shown->first), end = atomic_load(&journal->shown->end);
    if (first % UNIT || end % UNIT || end - first > journal->capacity) end = first -= first % UNIT;
    for (uint64_t at = first; at != end;) {
        if (!is_entry(journal, at, end))
            end = at;
        else
            at += cre__journal_at(journal, at)->size;
    }
    atomic_store(&journal->shown->first, first);
    atomic_store(&journal->shown->end, end);
}

/* Fills the rest of the data, so that the next entry begins at its beginning. Returns that position. */
static uint64_t skip_rest(const cre__journal *journal, uint64_t end, uint64_t rest) {
    cre__journal_entry *filler = cre__journal_at(journal, end); /* only its first members have room */
    filler->size = (uint32_t)rest;
    filler->state = CRE__ENTRY_DONE;
    return end + rest;
}

uint64_t cre__journal_append(cre__journal *journal, const cre__journal_entry *entry, cre_slice topic,
                             cre_slice envelope, cre_slice message) {
    const uint64_t size =
        cre__round_up(sizeof *entry + topic.length + envelope.length + message.length, UNIT);
    uint64_t first = atomic_load_explicit(&journal->shown->first, memory_order_relaxed);
    uint64_t end = atomic_load_explicit(&journal->shown->end, memory_order_relaxed);
    const uint64_t rest = journal->capacity - end % journal->capacity;
    if (size > rest) {
        if (first != end && end - first + rest + size > journal->capacity) return UINT64_MAX;
        const bool empty = first == end;
        end = skip_rest(journal, end, rest);
        if (empty) { /* there is all of it, not only the room before the rest */
            first = end;
            atomic_store_explicit(&journal->shown->end, end, memory_order_release);
            atomic_store_explicit(&journal->shown->first, first, memory_order_release);
        }
    }
    if (end - first + size > journal->capacity) return UINT64_MAX;
    cre__journal_entry *own = cre__journal_at(journal, end);
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
    atomic_store_explicit(&journal->shown->end, end + size, memory_order_release);
    return end;
}

/* The position behind an entry; that of the journal's end when it was overwritten. */
static uint64_t behind(const cre__journal *journal, uint64_t at, uint64_t end) {
    return is_entry(journal, at, end) ? at + cre__journal_at(journal, at)->size : end;
}

static bool is_done(const cre__journal *journal, uint64_t at) {
    return cre__journal_at(journal, at)->state == CRE__ENTRY_DONE;
}

bool cre__journal_next(const cre__journal *journal, uint64_t *position) {
    const uint64_t end = atomic_load_explicit(&journal->shown->end, memory_order_relaxed);
    uint64_t at = *position == UINT64_MAX ? atomic_load_explicit(&journal->shown->first, memory_order_relaxed)
                                          : behind(journal, *position, end);
    while (at != end && is_done(journal, at))
        at = behind(journal, at, end);
    *position = at;
    return at != end;
}

/* Pages of a burst are given back when nothing is in them. */
static void give_back(cre__journal *journal) {
    if (journal->touched < GIVE_BACK) return;
    madvise(journal->data, journal->capacity, MADV_REMOVE);
    journal->touched = 0;
}

void cre__journal_done(cre__journal *journal, uint64_t position) {
    cre__journal_at(journal, position)->state = CRE__ENTRY_DONE;
    const uint64_t end = atomic_load_explicit(&journal->shown->end, memory_order_relaxed);
    uint64_t first = atomic_load_explicit(&journal->shown->first, memory_order_relaxed);
    while (first != end && is_done(journal, first))
        first = behind(journal, first, end);
    atomic_store_explicit(&journal->shown->first, first, memory_order_release);
    if (first == end) give_back(journal);
}
