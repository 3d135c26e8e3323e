#include <creactor/websocket_deflate.h>

#include "test.h"

static cre_ws_deflate_parameters agreed;
static char out[CRE_WS_DEFLATE_MAX_EXTENSION + 1];

/* The offers end at a guard page: they are not terminated. */
static const char *accept(const cre_ws_deflate_config *config, const char *offers) {
    size_t length = strlen(offers);
    guard_page guard = guard_make(length + 1);
    memset(&agreed, 0, sizeof agreed);
    const char *at = (const char *)guard_place(&guard, offers, length);
    size_t size = cre_ws_deflate_accept(config, at, length, &agreed, out);
    out[size] = 0;
    guard_free(&guard);
    return out;
}

static const cre_ws_deflate_config open_config = { .size = sizeof open_config };

static void is_agreed(bool server_no, bool client_no, int server_bits, int client_bits) {
    CHECK_EQ(agreed.server_no_context_takeover, server_no);
    CHECK_EQ(agreed.client_no_context_takeover, client_no);
    CHECK_EQ(agreed.server_window_bits, server_bits);
    CHECK_EQ(agreed.client_window_bits, client_bits);
}

TEST(offers_that_are_accepted) {
    CHECK_STR(accept(&open_config, "permessage-deflate"), "permessage-deflate");
    is_agreed(false, false, 15, 15);
    CHECK_STR(accept(&open_config, "permessage-deflate; client_max_window_bits"), "permessage-deflate");
    is_agreed(false, false, 15, 15);
    CHECK_STR(accept(&open_config,
                     "\t, ,Permessage-Deflate ;\tserver_no_context_takeover;client_no_context_takeover ,"),
              "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    is_agreed(true, true, 15, 15);
    CHECK_STR(accept(&open_config, "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9"),
              "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9");
    is_agreed(false, false, 10, 9);
    CHECK_STR(accept(&open_config, "permessage-deflate; server_max_window_bits=\"8\""),
              "permessage-deflate; server_max_window_bits=8");
    is_agreed(false, false, 8, 15);
    CHECK_STR(accept(&open_config, "permessage-deflate; server_max_window_bits=15"),
              "permessage-deflate; server_max_window_bits=15");
    CHECK_STR(accept(&open_config,
                     "x-webkit-deflate-frame, foo; a=\"x, permessage-deflate\\\"\"; b, permessage-deflate"),
              "permessage-deflate");
}

TEST(server_preferences) {
    const cre_ws_deflate_config config = { .size = sizeof config,
                                           .server_no_context_takeover = true,
                                           .client_no_context_takeover = true,
                                           .server_window_bits = 12,
                                           .client_window_bits = 11 };
    CHECK_STR(
        accept(&config, "permessage-deflate"),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12");
    is_agreed(true, true, 12, 15); /* a client that does not offer it may be unable to */
    CHECK_STR(accept(&config, "permessage-deflate; client_max_window_bits; server_max_window_bits=14"),
              "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
              "server_max_window_bits=12; client_max_window_bits=11");
    is_agreed(true, true, 12, 11);
    accept(&config, "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9");
    is_agreed(true, true, 9, 9);
}

TEST(offers_that_are_declined) {
    static const char *const declined[] = {
        "",
        ",",
        "foo",
        "permessage-deflate2",
        "permessage-deflat",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=\"\"",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=1",
        "permessage-deflate; server_max_window_bits=150",
        "permessage-deflate; server_max_window_bits=\"10",
        "permessage-deflate; server_max_window_bits=\"1\\0\"",
        "permessage-deflate; client_max_window_bits=0",
        "permessage-deflate;",
        "permessage-deflate; ;",
        "permessage-deflate server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover x",
        "permessage-deflate=1",
        "\"permessage-deflate\"",
    };
    for (size_t i = 0; i < sizeof declined / sizeof *declined; i++) {
        CHECK_STR(accept(&open_config, declined[i]), "");
        if (out[0]) fprintf(stderr, "  offer %s\n", declined[i]);
        /* The next one in the list counts. */
        char list[300];
        snprintf(list, sizeof list, "%s, permessage-deflate; server_max_window_bits=9", declined[i]);
        bool open_quote = strchr(declined[i], '"') && !strchr(strchr(declined[i], '"') + 1, '"');
        CHECK_STR(accept(&open_config, list),
                  open_quote ? "" : "permessage-deflate; server_max_window_bits=9");
        if (!out[0] && !open_quote) fprintf(stderr, "  list %s\n", list);
    }
}

static int agree(const cre_ws_deflate_config *config, const char *answer) {
    return cre_ws_deflate_agree(config, answer, strlen(answer), &agreed);
}

static const char *offered(const cre_ws_deflate_config *config) {
    out[cre_ws_deflate_offer(config, out)] = 0;
    return out;
}

TEST(client_offers_and_answers) {
    CHECK_STR(offered(&open_config), "permessage-deflate; client_max_window_bits");
    CHECK_EQ(agree(&open_config, ""), 0);
    CHECK_EQ(agree(&open_config, "permessage-deflate"), 1);
    is_agreed(false, false, 15, 15);
    CHECK_EQ(agree(&open_config, "permessage-deflate; server_no_context_takeover; client_max_window_bits=10; "
                                 "server_max_window_bits=9"),
             1);
    is_agreed(true, false, 9, 10);
    CHECK_EQ(agree(&open_config, "permessage-deflate; client_no_context_takeover"), 1);
    is_agreed(false, true, 15, 15);
    CHECK_EQ(agree(&open_config, "permessage-deflate; client_max_window_bits"), CRE_EWS_EXTENSION);
    CHECK_EQ(agree(&open_config, "permessage-deflate; foo"), CRE_EWS_EXTENSION);
    CHECK_EQ(agree(&open_config, "foo"), CRE_EWS_EXTENSION);
    CHECK_EQ(agree(&open_config, "permessage-deflate, permessage-deflate"), CRE_EWS_EXTENSION);
    CHECK_EQ(agree(&open_config, "permessage-deflate, foo"), CRE_EWS_EXTENSION);

    const cre_ws_deflate_config strict = { .size = sizeof strict,
                                           .server_no_context_takeover = true,
                                           .client_no_context_takeover = true,
                                           .server_window_bits = 12,
                                           .client_window_bits = 11 };
    CHECK_STR(offered(&strict), "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                                "server_max_window_bits=12; client_max_window_bits=11");
    CHECK_EQ(agree(&strict, "permessage-deflate; server_no_context_takeover; server_max_window_bits=12"), 1);
    is_agreed(true, true, 12, 11);
    CHECK_EQ(agree(&strict, "permessage-deflate; server_max_window_bits=12"), CRE_EWS_EXTENSION);
    CHECK_EQ(agree(&strict, "permessage-deflate; server_no_context_takeover"), CRE_EWS_EXTENSION);
    CHECK_EQ(agree(&strict, "permessage-deflate; server_no_context_takeover; server_max_window_bits=13"),
             CRE_EWS_EXTENSION);
    CHECK_EQ(agree(&strict, "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; "
                            "client_max_window_bits=12"),
             CRE_EWS_EXTENSION);
}

TEST(the_longest_extension_fits) {
    const cre_ws_deflate_config config = { .size = sizeof config,
                                           .server_no_context_takeover = true,
                                           .client_no_context_takeover = true,
                                           .server_window_bits = 10,
                                           .client_window_bits = 10 };
    CHECK(strlen(offered(&config)) <= CRE_WS_DEFLATE_MAX_EXTENSION);
}

TEST_MAIN()
