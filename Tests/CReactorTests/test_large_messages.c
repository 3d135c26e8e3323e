/* Large messages between a reactor and a worker: they are received into memory that both see. */
#include "hosts.h"

enum { LENGTH = 1000000, PART = 700000 };

static uint8_t payload[LENGTH];

static uint8_t *frame_of(uint8_t byte, size_t *size) {
    memset(payload, byte, sizeof payload);
    return net_frame(CRE_WS_FIN | CRE_WS_TEXT, payload, sizeof payload, size);
}

/* Whether the arena of the reactor begins with such a message, as far as it was sent. */
static bool holds(const reactor_host *host, uint8_t byte) {
    const volatile uint8_t *arena = cre__bus_arena(host->bus, 0);
    return arena[0] == byte && arena[PART - 100] == byte;
}

TEST(a_large_message_is_received_where_its_worker_finds_it) {
    reactor_host host;
    make_bus(&host, 0);
    start_reactor(&host);
    echoer worker;
    start_thread(&worker, &host);
    net_client client = connect_ws(&host), gone = connect_ws(&host);
    size_t size;
    uint8_t *frame = frame_of('g', &size);
    net_send(&gone, frame, PART);
    NET_UNTIL(NULL, holds(&host, 'g'));
    net_close(&gone); /* so that its place is free */
    NET_UNTIL(NULL, cre_table_count(cre_bus_table(host.bus)) == 1);
    free(frame);
    net_ws_text(&client, "and its turn has ended");
    net_ws_expect_text(&client, "and its turn has ended");
    for (int i = 0; i < 3; i++) {
        frame = frame_of((uint8_t)('a' + i), &size);
        net_send(&client, frame, PART);
        NET_UNTIL(NULL, holds(&host, (uint8_t)('a' + i)));
        CHECK_EQ(worker.events[CRE_EVENT_MESSAGE], i + 1);
        net_send(&client, frame + PART, size - PART);
        net_ws_expect(&client, CRE_WS_TEXT, payload, sizeof payload);
        free(frame);
    }
    /* The worker has returned them. */
    CHECK_EQ(*(const volatile uint8_t *)cre__bus_arena(host.bus, 1), 0);
    net_close(&client);
    stop_thread(&worker);
    end_host(&host);
}

/* Half of the arena is for messages that are not complete; others are received elsewhere. */
TEST(many_incomplete_messages_leave_room) {
    enum { CLIENTS = 24 };
    reactor_host host;
    make_bus(&host, 0);
    start_reactor(&host);
    echoer worker;
    start_thread(&worker, &host);
    net_client clients[CLIENTS];
    size_t size;
    uint8_t *frame = frame_of('m', &size);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = connect_ws(&host);
        net_send(&clients[i], frame, PART);
    }
    net_client other = connect_ws(&host);
    net_send(&other, frame, size);
    net_ws_expect(&other, CRE_WS_TEXT, payload, sizeof payload);
    for (int i = 0; i < CLIENTS; i++) {
        net_send(&clients[i], frame + PART, size - PART);
        net_ws_expect(&clients[i], CRE_WS_TEXT, payload, sizeof payload);
        net_close(&clients[i]);
    }
    net_close(&other);
    free(frame);
    stop_thread(&worker);
    end_host(&host);
}

/* Without a shutdown, as after a second signal: connections are freed behind the link. */
TEST(a_reactor_ends_with_an_incomplete_message) {
    reactor_host host;
    make_bus(&host, 0);
    start_reactor(&host);
    echoer worker;
    start_thread(&worker, &host);
    net_client client = connect_ws(&host);
    size_t size;
    uint8_t *frame = frame_of('g', &size);
    net_send(&client, frame, PART);
    NET_UNTIL(NULL, holds(&host, 'g'));
    stop_thread(&worker);
    end_host(&host);
    net_close(&client);
    free(frame);
}

TEST_MAIN()
