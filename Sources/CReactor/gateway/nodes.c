/* The servers of a cluster. Each is a member of a topic of its own kind, so it is there as long as its
 * gateway renews it. Its info is the number of its connections in decimal, a space, and its name. */
#include <stdio.h>
#include <string.h>

#include "gateway/gateway_internal.h"

enum { PUBLISH_MS = 2000 };

cre_slice cre__gateway_topic_of_nodes(void) {
    return (cre_slice){ (const uint8_t *)CRE_TOPIC_NODES, sizeof CRE_TOPIC_NODES - 1 };
}

bool cre__gateway_is_nodes(cre_slice topic) {
    const cre_slice nodes = cre__gateway_topic_of_nodes();
    return topic.length == nodes.length && memcmp(topic.data, nodes.data, nodes.length) == 0;
}

static void publish(void *context, cre_timer *timer) {
    cre_gateway *gateway = context;
    char id[32], info[32 + sizeof gateway->name];
    const uint32_t connections = cre_table_count(cre_bus_table(gateway->config.bus));
    const int id_length = snprintf(id, sizeof id, "%016llx", (unsigned long long)gateway->server);
    const int info_length = snprintf(info, sizeof info, "%u %s", connections, gateway->name);
    (void)timer;
    /* The same numbers send nothing. */
    if (cre_broker_join(gateway->broker, cre__gateway_topic_of_nodes(),
                        (cre_slice){ (uint8_t *)id, (size_t)id_length },
                        (cre_slice){ (uint8_t *)info, (size_t)info_length })) {
        /* without memory, the next time */
    }
}

int cre__gateway_publish_node(cre_gateway *gateway) {
    publish(gateway, NULL);
    return cre_timer_start(gateway->loop, PUBLISH_MS, PUBLISH_MS, publish, gateway, &gateway->node_timer);
}
