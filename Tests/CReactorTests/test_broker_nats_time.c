/* Publications at a server of NATS that is played by this program, while time passes. */
#include "played_nats.h"

static const cre_broker_history kept = { .count = 9, .seconds = 600 };
static int published, result;

static void on_published(void *context, uint64_t tag, int error, cre_broker_position position) {
    (void)context, (void)tag, (void)position;
    published++;
    result = error;
}

static void publish(void) {
    CHECK_EQ(cre_broker_publish(broker, text("news"), text("x"), kept, 1), 0);
    turn();
}

/* The time for a reply begins when the message is sent, however long ago the broker has read its clock. */
TEST(a_message_after_a_pause) {
    start((cre_broker_config){ 0 }, (cre_broker_handlers){ .published = on_published });
    published = 0;
    publish();
    answer("$JS.API.STREAM.INFO.sws-9-600",
           "{\"config\":{\"subjects\":[\"sws.h.9-600.>\"],\"max_msgs_per_subject\":10,"
           "\"max_age\":600000000000,\"duplicate_window\":300000000000,\"republish\":{\"src\":"
           "\"sws.h.9-600.>\",\"dest\":\"sws.l.>\"},\"retention\":\"limits\",\"discard\":\"old\"},"
           "\"created\":\"today\",\"state\":{\"last_seq\":0}}");
    answer("sws.h.9-600.news", "{\"seq\":1}");
    CHECK(published == 1 && result == 0);
    now += 60000;
    publish();
    CHECK_EQ(closed, 0);
    now += 4999;
    turn();
    CHECK_EQ(closed, 0);
    now++; /* a server alone that does not acknowledge is left */
    turn();
    CHECK_EQ(closed, 1);
    cre_broker_destroy(broker);
}

int main(int argc, char **argv) {
    return test_main(argc, argv);
}
