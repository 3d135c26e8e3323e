/* What connections have in the table beside their slots: the note of a handshake, and what is known after the
 * close. Most connections have no note, and its memory is not touched. */
#include <string.h>

#include "registry/table_internal.h"

#define DATA_SHIFT  8
#define LENGTH_MASK 0x1ffu

typedef struct note_bytes {
    _Atomic uint64_t words[CRE__NOTE_BYTES / 8];
} note_bytes;

_Static_assert(CRE_MAX_SUBPROTOCOL + CRE_MAX_USER_DATA <= CRE__NOTE_BYTES, "a note has room for both");

size_t cre__notes_bytes(uint32_t slots) {
    return 64 + (size_t)slots * (sizeof(cre__slot_rest) + sizeof(note_bytes));
}

cre__slot_rest *cre__table_rest(const cre_table *table, cre_session session) {
    uintptr_t end = (uintptr_t)(cre__table_user(table, table->slots - 1) + 1);
    return (cre__slot_rest *)((end + 63) & ~(uintptr_t)63) + cre__table_index(table, session);
}

static note_bytes *bytes_of(const cre_table *table, cre_session session) {
    return (note_bytes *)(cre__table_rest(table, table->slots - 1) + 1) + cre__table_index(table, session);
}

void cre__table_forget_last(const cre_table *table, cre_session session) {
    cre__slot_rest *rest = cre__table_rest(table, session);
    atomic_store_explicit(&rest->closed, 0, memory_order_relaxed);
    atomic_store_explicit(&rest->close_error, 0, memory_order_relaxed);
    atomic_store_explicit(&rest->note, 0, memory_order_relaxed);
}

void cre__table_flag(cre_table *table, cre_session session, uint32_t flag, bool on) {
    _Atomic uint32_t *note = &cre__table_rest(table, session)->note;
    uint32_t value = atomic_load_explicit(note, memory_order_relaxed);
    atomic_store_explicit(note, on ? value | flag : value & ~flag, memory_order_release);
}

void cre__table_set_close_error(cre_table *table, cre_session session, int error) {
    atomic_store_explicit(&cre__table_rest(table, session)->close_error, error, memory_order_relaxed);
}

void cre__table_set_note(cre_table *table, cre_session session, cre_slice subprotocol, cre_slice data) {
    uint64_t words[CRE__NOTE_BYTES / 8] = { 0 };
    if (subprotocol.length) memcpy(words, subprotocol.data, subprotocol.length);
    if (data.length) memcpy((uint8_t *)words + subprotocol.length, data.data, data.length);
    _Atomic uint64_t *to = bytes_of(table, session)->words;
    size_t count = (subprotocol.length + data.length + 7) / 8;
    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(&to[i], words[i], memory_order_relaxed);
    _Atomic uint32_t *note = &cre__table_rest(table, session)->note;
    uint32_t flags = atomic_load_explicit(note, memory_order_relaxed) & CRE__NOTE_PROTECTED;
    uint32_t lengths = (uint32_t)(subprotocol.length | data.length << DATA_SHIFT);
    atomic_store_explicit(note, flags | lengths, memory_order_release);
}

bool cre_table_get_note(const cre_table *table, cre_session session, cre_connection_note *note) {
    const cre__slot *slot = &cre__table_slots(table)[cre__table_index(table, session)];
    if (!session || atomic_load_explicit(&slot->session, memory_order_acquire) != session) return false;
    uint32_t lengths = atomic_load_explicit(&cre__table_rest(table, session)->note, memory_order_acquire);
    size_t subprotocol = lengths & CRE_MAX_SUBPROTOCOL, data = lengths >> DATA_SHIFT & LENGTH_MASK;
    if (data > CRE_MAX_USER_DATA) data = 0; /* overwritten */
    uint64_t words[CRE__NOTE_BYTES / 8] = { 0 };
    const _Atomic uint64_t *from = bytes_of(table, session)->words;
    for (size_t i = 0; i < (subprotocol + data + 7) / 8; i++)
        words[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&slot->session, memory_order_relaxed) != session) return false;
    *note =
        (cre_connection_note){ .subprotocol_length = (uint16_t)subprotocol, .data_length = (uint16_t)data };
    memcpy(note->subprotocol, words, subprotocol);
    memcpy(note->data, (const uint8_t *)words + subprotocol, data);
    return true;
}
