/* Interim responses (1xx) before the response to a request, on real sockets. */
#include "http_net.h"

#define HINTS "Link: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\n"

/* RESPOND_INTERIM in the form of the wire. */
static int send_interim(net_server *net, cre_session session, uint8_t number, const cre_response *head,
                        const void *fields, const char *rest) {
    cre_record record = { .kind = CRE_COMMAND_RESPOND_INTERIM, .opcode = number, .session = session };
    cre_slice parts[] = { { (const uint8_t *)head, sizeof *head },
                          { fields, head->fields_length },
                          { (const uint8_t *)rest, strlen(rest) } };
    return cre_engine_command(net->engine, &record, parts, 3);
}

TEST_BOTH(before_the_response) {
    net_server *net = start(0);
    net_client client = net_connect(net);
    cre_session session = request(net, &client, GET("/"));
    CHECK_EQ(cre_engine_respond_interim(net->engine, session, 103, HINTS), 0);
    expect(&client, "\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n" HINTS "\r\n");
    /* more than one, without fields, and one without a name; fields that frame a message are skipped */
    CHECK_EQ(cre_engine_respond_interim(net->engine, session, 102, NULL), 0);
    CHECK_EQ(cre_engine_respond_interim(net->engine, session, 199,
                                        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nX: 1\r\n"),
             0);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "done", 4), 0);
    expect(&client, "done",
           "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 Unknown\r\nX: 1\r\n\r\n"
           "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    CHECK_EQ(cre_engine_respond_interim(net->engine, session, 103, HINTS), CRE_ENO_REQUEST);
    /* the connection goes on; one before a body in pieces, none behind its head */
    session = request(net, &client, GET("/"));
    CHECK_EQ(cre_engine_respond_interim(net->engine, session, 103, NULL), 0);
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, "a", 1), 0);
    CHECK_EQ(cre_engine_respond_interim(net->engine, session, 103, NULL), CRE_ENO_REQUEST);
    CHECK_EQ(cre_engine_respond_body(net->engine, session, NULL, 0, true), 0);
    expect(&client, "0\r\n\r\n",
           "HTTP/1.1 103 Early Hints\r\n\r\n"
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(what_is_refused) {
    net_server *net = start(0);
    net_client client = net_connect(net);
    cre_session session = request(net, &client, GET("/"));
    static const uint16_t statuses[] = { 0, 99, 100, 101, 200, 1000 };
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        CHECK_EQ(cre_engine_respond_interim(net->engine, session, statuses[i], NULL), CRE_EINVALID);
    CHECK_EQ(cre_engine_respond_interim(net->engine, session, 103, "X: a\x01\r\n"), CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_engine_respond_interim(net->engine, session, 103, "no colon\r\n"), CRE_EINVALID);
    CHECK_EQ(cre_engine_respond_interim(net->engine, session + ((cre_session)1 << 32), 103, NULL), CRE_EGONE);
    CHECK_EQ(send_interim(net, session, 0, &(cre_response){ .status = 103, .flags = 1 }, NULL, ""),
             CRE_EINVALID);
    CHECK_EQ(send_interim(net, session, 0, &(cre_response){ .status = 103 }, NULL, "body"), CRE_EINVALID);
    CHECK_EQ(send_interim(net, session, 1, &(cre_response){ .status = 103 }, NULL, ""), CRE_ENO_REQUEST);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "done", 4), 0);
    expect(&client, "done", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"); /* nothing of it was sent */
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(clients_of_http10_get_none) {
    net_server *net = start(0);
    net_client client = net_connect(net);
    cre_session session = request(net, &client, "GET / HTTP/1.0\r\n\r\n");
    CHECK_EQ(cre_engine_respond_interim(net->engine, session, 103, HINTS), 0);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "done", 4), 0);
    expect(&client, "done", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(before_its_turn_it_is_dropped) {
    net_server *net = net_start((cre_engine_config){ .http = true, .max_pipelined = 4 }, NULL);
    net_client client = net_connect(net);
    cre_session session = request(net, &client, GET("/1") GET("/2"));
    net_expect_event(net, CRE_EVENT_REQUEST);
    uint8_t fields[50];
    size_t size = cre_http_fields_put(fields, sizeof fields, "Link", 4, "</c>", 4);
    cre_response head = { .status = 103, .fields_length = (uint32_t)size };
    CHECK_EQ(send_interim(net, session, 1, &head, fields, ""), 0);
    CHECK_EQ(send_interim(net, session, 1, &head, fields, "body"), CRE_EINVALID);
    CHECK_EQ(send_interim(net, session, 2, &head, fields, ""), CRE_ENO_REQUEST);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "1", 1), 0);
    CHECK_EQ(send_interim(net, session, 1, &head, fields, ""), 0); /* it is its turn now */
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "2!", 2), 0);
    expect(&client, "2!",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
           "HTTP/1.1 103 Early Hints\r\nLink: </c>\r\n\r\n"
           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n2!");
    net_close(&client);
    net_stop(net);
}

/* A client that does not read cannot make the queue longer than its limit. */
TEST_BOTH(the_queue_is_bounded) {
    net_server *net = start(4096);
    net_client client = net_connect(net);
    cre_session session = request(net, &client, GET("/"));
    int sent = 0, result;
    while ((result = cre_engine_respond_interim(net->engine, session, 103, HINTS)) == 0)
        REQUIRE(++sent < 1000); /* they leave at the end of the turn */
    CHECK_EQ(result, CRE_EQUEUE_FULL);
    CHECK(sent > 1);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "done", 4), 0);
    net_find(&client, "\r\n\r\ndone");
    net_close(&client);
    net_stop(net);
}

TEST_MAIN()
