/* Values of two machines at a real server, which the including test starts and kills. */
#ifndef CRE_BROKER_VALUES_H
#define CRE_BROKER_VALUES_H

#include "real_brokers.h"
#include "value_cases.h"

/* The server, which has nothing when it starts. */
static void server_start(void);
static void server_kill(void);
/* Stops it, or lets it continue: its connections stay. */
static void server_stop(bool stops);

static void begin(void) {
    server_start();
    start_machines();
    WAIT(machines[0].established == 1 && machines[1].established == 1);
}

static void finish(void) {
    stop_machines();
    server_kill();
}

static int apply(int index, cre_value_operation operation) {
    machine *m = &machines[index];
    const int before = m->values, result = cre_broker_apply(m->broker, &operation, 9);
    length = 0;
    if (result) return result;
    WAIT(m->values > before);
    length = m->value_length;
    memcpy(value, m->value, length);
    return m->value_result;
}

static void wait_a_moment(void) {
    usleep(1000);
}

/* An operation whose reply is lost has an unknown end, and one after that none at all. */
TEST(lost_connections) {
    begin();
    const cre_value_operation addition = { .kind = CRE_VALUE_ADD, .key = text("n"), .amount = 1 };
    CHECK_EQ(cre_broker_apply(machines[0].broker, &addition, 9), 0);
    lose(&machines[0], -ECONNRESET, milliseconds());
    CHECK_EQ(machines[0].values, 1);
    CHECK_EQ(machines[0].value_result, CRE_EBROKER_UNKNOWN);
    CHECK_EQ(get(0, "n"), CRE_EBROKER_UNAVAILABLE);
    WAIT(machines[0].established == 2);
    CHECK_EQ(add(0, "n", 1, 0), 1);
    finish();
}

/* What waits for a server that does not answer is bounded. */
TEST(silent_server) {
    static uint8_t bytes[CRE_VALUE_MAX];
    begin();
    server_stop(true);
    const cre_value_operation operation = { .kind = CRE_VALUE_SET,
                                            .key = text("k"),
                                            .value = { bytes, sizeof bytes } };
    int count = 0, result;
    while ((result = cre_broker_apply(machines[0].broker, &operation, 9)) == 0 && count < 1000)
        count++;
    CHECK_EQ(result, CRE_EBROKER_UNAVAILABLE);
    CHECK(count > 100 && count <= 128);
    server_stop(false);
    WAIT(machines[0].values == count);
    CHECK_EQ(apply(0, operation), 1);
    finish();
}

#endif
