/* Records that are taken while the one before is being handled. */
#include <creactor/internal/worker.h>
#include <string.h>

#include "loop/loop_internal.h"
#include "test.h"

typedef struct receiver {
    cre_worker *worker;
    cre_node *reply_to; /* reads what the worker sends, to see what is published */
    char log[4096];
    size_t used;
    int events, replies, unpublished, stop_after;
} receiver;

static void note(receiver *it, const cre_record *event, const uint8_t *payload) {
    it->used += (size_t)snprintf(it->log + it->used, sizeof it->log - it->used, "%u%.*s ",
                                 (unsigned)event->session, (int)event->length, (const char *)payload);
}

static int on_reply(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    (void)from;
    (void)record;
    (void)payload;
    ((receiver *)context)->replies++;
    return 0;
}

static void on_event(void *context, const cre_record *event, uint8_t *payload) {
    receiver *it = context;
    cre_record next = *event;
    cre_session session = event->session;
    it->events++;
    it->used += (size_t)snprintf(it->log + it->used, sizeof it->log - it->used, "| ");
    CHECK(!cre_worker_take_message(it->worker, session + 1, &next, &payload));
    do {
        note(it, &next, payload);
        if (it->stop_after && --it->stop_after == 0) cre_worker_stop_receiving(it->worker);
    } while (cre_worker_take_message(it->worker, session, &next, &payload));
}

typedef struct setting {
    cre_bus *bus;
    cre_loop *loop;
    cre_node *sender;
    receiver it;
} setting;

static void start(setting *all, uint32_t ring_bytes) {
    memset(all, 0, sizeof *all);
    cre_bus_config config = {
        .nodes = 2, .ring_bytes = ring_bytes, .connections = 10, .max_payload = 1 << 20
    };
    REQUIRE(cre_bus_create(&config, &all->bus) == 0);
    REQUIRE(cre_loop_create(&all->loop) == 0);
    cre_node_handlers handlers = { .record = on_reply };
    REQUIRE(cre_node_open(all->bus, 0, NULL, &handlers, &all->it, &all->sender) == 0);
    cre_worker_config worker = { .bus = all->bus,
                                 .node = 1,
                                 .on_event = on_event,
                                 .context = &all->it,
                                 .first_owner = 0,
                                 .owner_count = 1 };
    REQUIRE(cre_worker_create(all->loop, &worker, &all->it.worker) == 0);
}

static void stop(setting *all) {
    cre_worker_destroy(all->it.worker);
    cre_node_close(all->sender);
    cre_loop_destroy(all->loop);
    cre_bus_destroy(all->bus);
}

static void give(setting *all, cre_event kind, cre_session session, const char *text) {
    cre_record record = { .kind = (uint8_t)kind, .flags = CRE_RECORD_FINAL, .session = session };
    cre_slice part = { (const uint8_t *)text, strlen(text) };
    CHECK_EQ(cre_node_send(all->sender, 1, &record, &part, 1), 0);
}

static void run(setting *all) {
    cre_node_flush(all->sender);
    for (int i = 0; i < 10; i++)
        cre__loop_turn(all->loop, false);
}

TEST(messages_of_one_session_in_one_event) {
    setting all;
    start(&all, 1 << 16);
    give(&all, CRE_EVENT_MESSAGE, 1, "a");
    give(&all, CRE_EVENT_MESSAGE, 1, "b");
    give(&all, CRE_EVENT_MESSAGE, 1, "c");
    give(&all, CRE_EVENT_MESSAGE, 2, "d");
    give(&all, CRE_EVENT_MESSAGE, 1, "e");
    give(&all, CRE_EVENT_DRAINED, 1, "f");
    give(&all, CRE_EVENT_MESSAGE, 1, "g");
    run(&all);
    CHECK_STR(all.it.log, "| 1a 1b 1c | 2d | 1e | 1f | 1g ");
    cre_record record;
    uint8_t *payload;
    CHECK(!cre_worker_take_message(all.it.worker, 1, &record, &payload)); /* outside of an event */
    stop(&all);
}

/* A worker that ends leaves the rest to its successor. */
TEST(nothing_is_taken_after_the_end_of_receiving) {
    setting all;
    start(&all, 1 << 16);
    all.it.stop_after = 2;
    for (int i = 0; i < 5; i++)
        give(&all, CRE_EVENT_MESSAGE, 1, "x");
    run(&all);
    CHECK_STR(all.it.log, "| 1x 1x ");
    cre_worker_destroy(all.it.worker);
    all.it.worker = NULL;
    all.it.used = 0;
    cre_worker_config worker = { .bus = all.bus,
                                 .node = 1,
                                 .on_event = on_event,
                                 .context = &all.it,
                                 .first_owner = 0,
                                 .owner_count = 1 };
    REQUIRE(cre_worker_create(all.loop, &worker, &all.it.worker) == 0);
    run(&all);
    CHECK_STR(all.it.log, "| 1x 1x 1x ");
    stop(&all);
}

/* More than a ring holds, round its end many times, with records that are too large for one chunk. */
TEST(many_messages_arrive_in_order) {
    enum { COUNT = 20000 };
    setting all;
    start(&all, 4096);
    static char large[3000], expected[COUNT * 8];
    memset(large, 'l', sizeof large - 1);
    int sent = 0;
    for (int i = 0; i < COUNT; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i % 7);
        give(&all, CRE_EVENT_MESSAGE, 1, i % 100 == 99 ? large : text);
        if (++sent % 50 == 0) {
            run(&all);
            /* The log has room for one round. */
            size_t used = 0;
            for (int k = i - 49; k <= i; k++) {
                if (k % 100 == 99)
                    used += (size_t)snprintf(expected + used, sizeof expected - used, "1%s ", large);
                else
                    used += (size_t)snprintf(expected + used, sizeof expected - used, "1%d ", k % 7);
            }
            char got[sizeof all.it.log];
            size_t length = 0;
            for (size_t c = 0; c < all.it.used; c++) {
                if (all.it.log[c] == '|') {
                    c++;
                    continue;
                }
                got[length++] = all.it.log[c];
            }
            got[length] = 0;
            CHECK_STR(got, expected);
            all.it.used = 0;
            all.it.log[0] = 0;
        }
    }
    CHECK(all.it.events < COUNT / 2);
    stop(&all);
}

TEST_MAIN()
