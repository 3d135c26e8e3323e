/* What a gateway consists of: the form of its messages, its journal, the topics that are wanted. */
#include <creactor/error.h>
#include <sys/mman.h>

#include "gateway/envelope.h"
#include "gateway/journal.h"
#include "gateway/wants.h"
#include "test.h"
#include "text.h"

/* ---- envelopes ---- */

static bool read_text(const char *string, cre__envelope *envelope) {
    /* behind the bytes is nothing that may be read */
    uint8_t *copy = malloc(strlen(string) + 1);
    REQUIRE(copy);
    memcpy(copy, string, strlen(string));
    const bool good = cre__envelope_read((cre_slice){ copy, strlen(string) }, envelope);
    free(copy);
    return good;
}

TEST(envelopes) {
    const cre__envelope all[] = {
        { .opcode = 1, .server = 7 },
        { .opcode = 2, .server = 7 },
        { .opcode = 1, .server = 0xfedcba9876543210u, .session = 42 },
        { .opcode = 2, .server = 1, .delivered = true },
        { .opcode = 8, .server = 7 },
        { .opcode = 8, .server = 1, .session = 42 },
    };
    const size_t sizes[] = { 1, 1, CRE__MAX_ENVELOPE, CRE__MAX_ENVELOPE, 1, CRE__MAX_ENVELOPE };
    for (int i = 0; i < 6; i++) {
        uint8_t bytes[CRE__MAX_ENVELOPE + 3] = { 0 };
        const char *message = all[i].opcode == 8 ? "\x0f\xa1z" : "abc";
        cre__envelope got;
        const size_t size = cre__envelope_put(bytes, &all[i]);
        CHECK_EQ(size, sizes[i]);
        memcpy(bytes + size, message, 3);
        REQUIRE(cre__envelope_read((cre_slice){ bytes, size + 3 }, &got));
        CHECK_EQ(got.opcode, all[i].opcode);
        CHECK_EQ(got.delivered, all[i].delivered);
        CHECK_EQ(got.session, all[i].session);
        CHECK_EQ(got.server, size > 1 ? all[i].server : 0);
        CHECK_EQ(got.message.length, 3);
        CHECK_MEM(got.message.data, message, 3);
        for (size_t cut = 0; cut < size; cut++)
            CHECK(!cre__envelope_read((cre_slice){ bytes, cut }, &got));
    }
}

TEST(malformed_envelopes) {
    cre__envelope envelope;
    CHECK(read_text("t", &envelope) && envelope.message.length == 0);
    CHECK(read_text("T0123456789abcdef0000000000000001"
                    "0hello",
                    &envelope));
    CHECK(!read_text("", &envelope));
    CHECK(!read_text("x", &envelope));
    CHECK(!read_text("c", &envelope));
    CHECK(!read_text("c\x03\xed", &envelope)); /* 1005 */
    CHECK(!read_text("c\x0f\xa1\xff", &envelope));
    CHECK(!read_text("C0123456789abcdef0000000000000001"
                     "0",
                     &envelope));
    CHECK(!read_text("T0123456789abcdef0000000000000001"
                     "2hello",
                     &envelope));
    CHECK(!read_text("T0123456789abcdeF0000000000000001"
                     "0hello",
                     &envelope));
    CHECK(!read_text("B0123456789abcdef000000000000000 "
                     "0hello",
                     &envelope));
}

/* ---- journals ---- */

static uint64_t journal_size;
static void *journal_memory;

static void map_journal(void) {
    journal_size = cre__journal_size(0);
    journal_memory =
        mmap(NULL, journal_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(journal_memory != MAP_FAILED);
}

static uint64_t append(cre__journal *journal, uint64_t id, size_t length) {
    static uint8_t message[CRE_BROKER_MAX_PAYLOAD];
    const cre__journal_entry entry = { .id = id, .history = { 1, 1 } };
    return cre__journal_append(journal, &entry, text("topic"), text("t"), (cre_slice){ message, length });
}

/* The ids of the entries that are not done, as digits. */
static void expect(const cre__journal *journal, const char *ids) {
    char found[64] = "";
    for (uint64_t at = UINT64_MAX; cre__journal_next(journal, &at) && strlen(found) < 60;)
        sprintf(found + strlen(found), "%llu", (unsigned long long)cre__journal_at(journal, at)->id);
    CHECK_STR(found, ids);
}

TEST(a_journal_keeps_what_is_not_done) {
    cre__journal journal, successor;
    map_journal();
    cre__journal_open(&journal, journal_memory, journal_size);
    expect(&journal, "");
    uint64_t at[4];
    for (int i = 0; i < 4; i++)
        at[i] = append(&journal, (uint64_t)i + 1, 100);
    expect(&journal, "1234");
    cre__journal_done(&journal, at[1]);
    cre__journal_done(&journal, at[2]);
    expect(&journal, "14");
    cre__journal_open(&successor, journal_memory, journal_size);
    expect(&successor, "14");
    const cre__journal_entry *entry = cre__journal_at(&successor, at[3]);
    CHECK_EQ(entry->message_length, 101);
    CHECK_MEM(entry->bytes, "topict", 6);
    cre__journal_done(&successor, at[0]);
    cre__journal_done(&successor, at[3]);
    expect(&successor, "");
    munmap(journal_memory, journal_size);
}

/* A message of any size that is permitted finds room in an empty journal, at each position of its end. */
TEST(a_journal_is_used_again_and_again) {
    cre__journal journal;
    map_journal();
    cre__journal_open(&journal, journal_memory, journal_size);
    for (uint64_t i = 1; i < 50; i++) {
        const uint64_t at = append(&journal, 1, CRE_BROKER_MAX_PAYLOAD / (i % 7 + 1) - 1);
        REQUIRE(at != UINT64_MAX);
        expect(&journal, "1");
        cre__journal_done(&journal, at);
        expect(&journal, "");
    }
    /* full: nothing of it is written */
    uint64_t count = 0, first = UINT64_MAX;
    for (uint64_t at; (at = append(&journal, 2, 1 << 20)) != UINT64_MAX; count++)
        if (first == UINT64_MAX) first = at;
    CHECK(count >= 7 && count <= 8);
    cre__journal_done(&journal, first);
    CHECK(append(&journal, 3, 1000) != UINT64_MAX);
    munmap(journal_memory, journal_size);
}

/* Other processes may write anything: entries that cannot be are dropped, and nothing behind the memory is
 * read.
 */
TEST(an_overwritten_journal) {
    const uint32_t sizes[] = { 0, 4, 12, 1u << 31, UINT32_MAX };
    for (int i = 0; i < 5; i++) {
        cre__journal journal;
        map_journal();
        cre__journal_open(&journal, journal_memory, journal_size);
        const uint64_t first = append(&journal, 1, 100), second = append(&journal, 2, 100);
        append(&journal, 3, 100);
        cre__journal_at(&journal, second)->size = sizes[i];
        cre__journal_done(&journal, first); /* ends */
        cre__journal_open(&journal, journal_memory, journal_size);
        expect(&journal, "");
        CHECK(append(&journal, 4, 100) != UINT64_MAX);
        expect(&journal, "4");
        munmap(journal_memory, journal_size);
    }
    cre__journal journal;
    map_journal();
    cre__journal_open(&journal, journal_memory, journal_size);
    const uint64_t at = append(&journal, 1, 100);
    cre__journal_at(&journal, at)->message_length = 1000;
    atomic_store(&journal.bounds->first, 3);
    cre__journal_open(&journal, journal_memory, journal_size);
    expect(&journal, "");
    atomic_store(&journal.bounds->end, UINT64_MAX - 7);
    cre__journal_open(&journal, journal_memory, journal_size);
    expect(&journal, "");
    munmap(journal_memory, journal_size);
}

/* The same while it is used: what others write there is for a successor only. */
TEST(positions_that_are_overwritten_while_a_journal_is_open) {
    const uint64_t values[] = { 3, 8, 64, 4096, UINT64_MAX - 7, UINT64_MAX };
    for (int i = 0; i < 6; i++) {
        cre__journal journal;
        map_journal();
        cre__journal_open(&journal, journal_memory, journal_size);
        const uint64_t first = append(&journal, 1, 100);
        append(&journal, 2, 100);
        atomic_store(&journal.bounds->first, values[i]);
        atomic_store(&journal.bounds->end, values[5 - i]);
        append(&journal, 3, 100);
        expect(&journal, "123");
        cre__journal_done(&journal, first);
        expect(&journal, "23");
        munmap(journal_memory, journal_size);
    }
}

/* With an overwritten entry all others are dropped. Their ends do not change what is in their room since. */
TEST(ends_of_dropped_entries) {
    static uint8_t zeros[4096];
    cre__journal journal;
    cre__journal_entry entry;
    const uint8_t *bytes;
    map_journal();
    cre__journal_open(&journal, journal_memory, journal_size);
    const uint64_t first = append(&journal, 1, 100), second = append(&journal, 2, 100);
    cre__journal_at(&journal, first)->size = 4;
    cre__journal_done(&journal, second); /* finds out */
    expect(&journal, "");
    uint64_t at = append(&journal, 3, CRE_BROKER_MAX_PAYLOAD - 1);
    cre__journal_done(&journal, at);
    at = append(&journal, 4, 4096); /* where the first two were */
    REQUIRE(at == journal.capacity);
    cre__journal_done(&journal, second);
    REQUIRE(cre__journal_read(&journal, at, &entry, &bytes));
    CHECK_MEM(bytes + 6, zeros, sizeof zeros);
    cre__journal_done(&journal, first);
    expect(&journal, "4");
    munmap(journal_memory, journal_size);
}

/* A copy is used, and only as long as it is an entry. */
TEST(entries_that_are_overwritten_while_a_journal_is_open) {
    cre__journal journal;
    cre__journal_entry entry;
    const uint8_t *bytes;
    map_journal();
    cre__journal_open(&journal, journal_memory, journal_size);
    const uint64_t at = append(&journal, 1, 100);
    REQUIRE(cre__journal_read(&journal, at, &entry, &bytes));
    CHECK_EQ(entry.message_length, 101);
    CHECK_MEM(bytes, "topict", 6);
    cre__journal_at(&journal, at)->message_length = 1 << 20;
    CHECK_EQ(entry.message_length, 101);
    CHECK(!cre__journal_read(&journal, at, &entry, &bytes));
    cre__journal_at(&journal, at)->message_length = 101;
    cre__journal_at(&journal, at)->topic_length = 0;
    CHECK(!cre__journal_read(&journal, at, &entry, &bytes));
    cre__journal_at(&journal, at)->topic_length = 5;
    cre__journal_done(&journal, at);
    CHECK(!cre__journal_read(&journal, at, &entry, &bytes));
    CHECK(append(&journal, 2, 100) != UINT64_MAX);
    /* behind the largest position of a tag it begins again */
    atomic_store(&journal.bounds->first, UINT64_MAX / 64 * 8);
    atomic_store(&journal.bounds->end, UINT64_MAX / 64 * 8);
    cre__journal_open(&journal, journal_memory, journal_size);
    CHECK_EQ(append(&journal, 3, 100), 0);
    munmap(journal_memory, journal_size);
}

/* ---- topics ---- */

static void remove_odd(void *context, cre__want *want) {
    cre__wants *wants = context;
    if (want->bits[0] & 1) cre__wants_remove(wants, want);
}

TEST(wanted_topics) {
    enum { TOPICS = 1000, PROCESSES = 70 };
    cre__wants wants;
    char name[32];
    REQUIRE(cre__wants_init(&wants, PROCESSES, 5) == 0);
    for (int i = 0; i < TOPICS; i++) {
        snprintf(name, sizeof name, "topic %d", i);
        cre__want *want = cre__wants_add(&wants, text(name));
        REQUIRE(want);
        CHECK(want == cre__wants_add(&wants, text(name)));
        CHECK(!cre__want_is_wanted(&wants, want));
        want->bits[0] = (uint64_t)i & 1;
        want->bits[1] = 2; /* process 65 */
        CHECK(cre__want_is_wanted(&wants, want));
        CHECK_EQ(cre__want_unconfirmed(&wants, want)[1], 0);
    }
    CHECK_EQ(wants.count, TOPICS);
    cre__wants_each(&wants, remove_odd, &wants);
    CHECK_EQ(wants.count, TOPICS / 2);
    CHECK(cre__wants_find(&wants, text("topic 998")) != NULL);
    CHECK(cre__wants_find(&wants, text("topic 999")) == NULL);
    cre__wants_deinit(&wants);
}

static bool use_wants(void) {
    cre__wants wants;
    if (cre__wants_init(&wants, 1, 5)) return false;
    bool good = true;
    char name[32];
    for (int i = 0; i < 100 && good; i++) { /* the table grows, or does not */
        snprintf(name, sizeof name, "topic %d", i);
        good = cre__wants_add(&wants, text(name)) != NULL;
        if (good) CHECK(cre__wants_find(&wants, text(name)) != NULL);
    }
    cre__wants_deinit(&wants);
    return good;
}

TEST(wanted_topics_without_memory) {
    test_fail_each_allocation(use_wants);
}

int main(int argc, char **argv) {
    return test_main(argc, argv);
}
