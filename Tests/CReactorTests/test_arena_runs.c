/* What the owner of an arena knows of its runs; test_arena.c has what goes through it. */
#include "link/arena.h"
#include "test.h"

enum { GRANULES = 8, BYTES = GRANULES * CRE__GRANULE };

/* With something in front of the arena and behind it. */
static uint8_t around[CRE__GRANULE + BYTES + CRE__GRANULE], *const memory = around + CRE__GRANULE;

static cre__arena open_arena(void) {
    cre__arena arena = { 0 };
    REQUIRE(cre__arena_open(&arena, memory, BYTES, CRE__GRANULE) == 0);
    return arena;
}

TEST(runs_are_the_first_that_fit) {
    cre__arena arena = open_arena();
    uint8_t *a = cre__arena_take(&arena, 1), *b = cre__arena_take(&arena, CRE__GRANULE + 1);
    uint8_t *c = cre__arena_take(&arena, 2 * CRE__GRANULE);
    CHECK(a == memory && b == memory + CRE__GRANULE && c == memory + 3 * CRE__GRANULE);
    cre__arena_give(&arena, b);
    CHECK(cre__arena_take(&arena, 3 * CRE__GRANULE) == memory + 5 * CRE__GRANULE);
    CHECK(cre__arena_take(&arena, 3 * CRE__GRANULE) == NULL);
    CHECK(cre__arena_take(&arena, 2 * CRE__GRANULE) == b);
    CHECK(cre__arena_take(&arena, 1) == NULL);
    CHECK(cre__arena_take(&arena, BYTES + 1) == NULL);
    CHECK_EQ(arena.taken, GRANULES);
    cre__arena_give(&arena, c);
    CHECK(cre__arena_take(&arena, 1) == c);
    cre__arena_close(&arena);
}

/* An array with a byte for each granule finds the same runs as the words of the map, also across words and in
 * the last one, which has less than 64 granules. */
TEST(runs_across_words_are_the_first_that_fit) {
    enum { MANY = 200, SMALL = 64, LONGEST = 150, STEPS = 20000 };
    static uint8_t room[MANY * SMALL], taken[MANY], *runs[MANY];
    cre__arena arena = { 0 };
    REQUIRE(cre__arena_open(&arena, room, sizeof room, SMALL) == 0);
    uint32_t state = 1, refused = 0;
    for (int step = 0; step < STEPS; step++) {
        state = state * 1664525u + 1013904223u;
        const uint32_t at = (state >> 8) % MANY;
        if (runs[at]) {
            cre__arena_give(&arena, runs[at]);
            for (uint32_t i = at; i < MANY && (i == at || taken[i] == 2); i++)
                taken[i] = 0;
            runs[at] = NULL;
            continue;
        }
        const uint32_t count = 1 + (state >> 16) % (step % 4 ? 8 : LONGEST);
        uint32_t first = 0, free = 0;
        while (first + free < MANY && free < count) {
            if (!taken[first + free]) {
                free++;
            } else {
                first += free + 1;
                free = 0;
            }
        }
        uint8_t *run = cre__arena_take(&arena, (size_t)count * SMALL);
        REQUIRE(run == (free == count ? room + (size_t)first * SMALL : NULL));
        if (!run) {
            refused++;
            continue;
        }
        runs[first] = run;
        taken[first] = 1; /* the beginning of a run; 2: its rest */
        for (uint32_t i = 1; i < count; i++)
            taken[first + i] = 2;
    }
    uint32_t left = 0;
    for (uint32_t i = 0; i < MANY; i++)
        left += taken[i] != 0;
    CHECK_EQ(arena.taken, left);
    CHECK(refused > 100 && refused < STEPS / 2);
    cre__arena_close(&arena);
}

TEST(runs_that_were_sent_are_free_when_their_records_are) {
    cre__arena arena = open_arena();
    cre__sent_runs sent = { 0 };
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t *room = cre__arena_take(&arena, 2 * CRE__GRANULE);
        CHECK_EQ(cre__arena_run_at(&arena, room, 2 * CRE__GRANULE), 2 * i);
        CHECK_EQ(cre__arena_run_at(&arena, room, 2 * CRE__GRANULE + 1), CRE__NO_RUN);
        CHECK_EQ(cre__arena_run_at(&arena, room + CRE__GRANULE, 1), CRE__NO_RUN);
        CHECK_EQ(cre__arena_run_at(&arena, room + 8, 1), CRE__NO_RUN);
        cre__arena_send(&arena, &sent, 2 * i, 100 * (i + 1));
        CHECK_EQ(cre__arena_run_at(&arena, room, 1), CRE__NO_RUN); /* once */
        if (i != 1) cre__arena_give(&arena, room);
    }
    CHECK_EQ(cre__arena_run_at(&arena, memory - CRE__GRANULE, 1), CRE__NO_RUN);
    CHECK_EQ(cre__arena_run_at(&arena, memory + BYTES, 1), CRE__NO_RUN);
    cre__arena_reclaim(&arena, &sent, 99);
    CHECK_EQ(arena.sent, 8);
    cre__arena_reclaim(&arena, &sent, 100);
    CHECK_EQ(arena.sent, 6);
    CHECK_EQ(arena.taken, 6);
    cre__arena_reclaim(&arena, &sent, 350);
    CHECK_EQ(arena.sent, 2);
    CHECK_EQ(arena.taken, 4); /* the second one is kept */
    cre__arena_give(&arena, memory + 2 * CRE__GRANULE);
    CHECK_EQ(arena.taken, 2);
    cre__arena_reclaim_all(&arena, &sent);
    CHECK_EQ(arena.taken, 0);
    CHECK_EQ(sent.granules, 0);
    cre__arena_close(&arena);
}

TEST(a_successor_restores_valid_references_only) {
    cre__arena arena = open_arena();
    cre__sent_runs sent = { 0 };
    const cre__reference references[] = {
        { 1, 2 * CRE__GRANULE },
        { 2, 1 },
        { 8, 1 },
        { UINT32_MAX, 1 },
        { 7, CRE__GRANULE + 1 },
        { 0, UINT32_MAX },
        { 4, CRE__GRANULE },
        { 3, 0 },
    };
    for (uint32_t i = 0; i < sizeof references / sizeof *references; i++)
        cre__arena_restore(&arena, &sent, &references[i], i);
    CHECK_EQ(arena.taken, 3);
    CHECK_EQ(arena.sent, 3);
    CHECK(cre__arena_take(&arena, 2 * CRE__GRANULE) == memory + 5 * CRE__GRANULE);
    cre__arena_reclaim_all(&arena, &sent);
    CHECK_EQ(arena.taken, 2);
    cre__arena_close(&arena);
}

/* Records between what was served and the tail may return what has been freed until then. */
TEST(runs_that_may_have_been_returned_are_not_free) {
    cre__arena arena = open_arena();
    cre__sent_runs sent = { .lends = true };
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t *room = cre__arena_take(&arena, CRE__GRANULE);
        cre__arena_send(&arena, &sent, i, 100 * (i + 1));
        cre__arena_give(&arena, room);
    }
    cre__arena_reclaim_served(&arena, &sent, 100, 0, 32);
    CHECK_EQ(arena.sent, 3);
    cre__arena_reclaim_served(&arena, &sent, 200, 16, 48);
    CHECK_EQ(arena.sent, 3);
    cre__arena_reclaim_served(&arena, &sent, 200, 32, 64); /* the first; the next one waits for 64 */
    CHECK_EQ(arena.sent, 2);
    cre__arena_reclaim_served(&arena, &sent, 300, 48, 64);
    CHECK_EQ(arena.sent, 2);
    cre__arena_reclaim_served(&arena, &sent, 300, 64, 80);
    CHECK_EQ(arena.sent, 1);
    cre__arena_reclaim_served(&arena, &sent, 300, 80, 80);
    CHECK_EQ(arena.sent, 0);
    CHECK_EQ(arena.taken, 0);
    cre__arena_close(&arena);
}

TEST_MAIN()
