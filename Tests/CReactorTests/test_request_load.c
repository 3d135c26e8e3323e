/* The requests in progress of all nodes. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>

#include "test.h"

TEST(nodes_publish_their_requests) {
    cre_bus_config config = { .nodes = 3, .ring_bytes = 4096, .connections = 16 };
    cre_bus *bus;
    CHECK_EQ(cre_bus_create(&config, &bus), 0);
    CHECK_EQ(cre_bus_requests_in_progress(bus), 0);
    cre_bus_set_requests(bus, 0, 5, 2);
    cre_bus_set_requests(bus, 2, 4, 0);
    cre_bus_set_requests(bus, 3, 100, 100); /* there is no such node */
    cre_bus_count_refused_request(bus, 0);
    cre_bus_count_refused_request(bus, 2);
    cre_bus_count_refused_request(bus, 3);
    CHECK_EQ(cre_bus_requests_in_progress(bus), 9);
    cre_request_load load;
    cre_bus_get_request_load(bus, &load);
    CHECK_EQ(load.in_progress, 9);
    CHECK_EQ(load.waiting, 2);
    CHECK_EQ(load.refused, 2);
    /* The process of node 0 has died: nobody answers its requests. What it has refused stays counted. */
    cre_bus_forget(bus, 0);
    cre_bus_get_request_load(bus, &load);
    CHECK_EQ(load.in_progress, 4);
    CHECK_EQ(load.waiting, 0);
    CHECK_EQ(load.refused, 2);
    cre_bus_destroy(bus);
}

TEST_MAIN()
