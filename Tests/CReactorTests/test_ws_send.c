/* What may be sent: each sequence of frames is allowed if a receiver accepts it. */
#include "ws/ws_send.h"

#include <creactor/websocket.h>

#include "test.h"

static const cre_ws_config receiver_config = { .client = true, .fragments = true };
static guard_page guard;

/* A sender that checks, and a receiver that gets what the sender may send. */
typedef struct pair {
    cre_ws_send_state sender;
    cre_ws_session receiver;
} pair;

static void pair_init(pair *it) {
    it->sender = (cre_ws_send_state){ 0 };
    cre_ws_session_init(&it->receiver, &receiver_config);
}

static const char *text_of(int error) {
    return cre_error_name(error);
}

/* Checks a frame and sends it to the receiver, whose result must be the same. False: the sequence ends. */
static bool frame(pair *it, uint8_t first, const void *data, size_t length, const char *what) {
    uint8_t wire[300], *cursor = wire;
    size_t size = cre_ws_header(wire, first, length, NULL);
    REQUIRE(size + length <= sizeof wire);
    if (length) memcpy(wire + size, data, length);
    cre_ws_event event;
    int received = cre_ws_session_next(&it->receiver, &cursor, wire + size + length, &event);
    if (received > 0) received = 0;
    cre_ws_send_state before = it->sender;
    int result = cre_ws_send_check(&it->sender, first, guard_place(&guard, data, length), length);
    if (result != received) TEST_FAIL("%s: sender %s, receiver %s", what, text_of(result), text_of(received));
    if (result < 0) CHECK_MEM(&it->sender, &before, sizeof before);
    return result == 0;
}

TEST(the_state_is_small) {
    CHECK_EQ(sizeof(cre_ws_send_state), 4);
}

/* All sequences of up to five frames: data and control, final or not, with and without payload. */
TEST(all_sequences) {
    static const uint8_t firsts[] = { 0x01, 0x81, 0x02, 0x82, 0x00, 0x80, 0x89, 0x8A, 0x09, 0x88 };
    enum { KINDS = sizeof firsts, LENGTH = 5 };
    size_t count = 1;
    for (int i = 0; i < LENGTH; i++)
        count *= KINDS;
    for (size_t n = 0; n < count; n += TEST_STRIDE) {
        pair it;
        char what[3 * LENGTH + 1] = "";
        pair_init(&it);
        size_t rest = n;
        for (int i = 0; i < LENGTH; i++, rest /= KINDS) {
            uint8_t first = firsts[rest % KINDS];
            snprintf(what + 3 * i, 4, "%02x ", first);
            bool close = first == 0x88;
            if (!frame(&it, first, "\x03\xe8", close ? 2 : 1, what)) break;
            if (!close) continue;
            /* The receiver ignores what follows a close frame; the sender must not send it. */
            for (size_t k = 0; k < KINDS; k++)
                if (firsts[k] != 0x09)
                    CHECK_EQ(cre_ws_send_check(&it.sender, firsts[k], NULL, 0), CRE_ESTATE);
            break;
        }
        cre_ws_session_deinit(&it.receiver);
    }
}

TEST(each_first_byte) {
    for (unsigned first = 0; first < 256; first++) {
        pair it;
        char what[8];
        pair_init(&it);
        snprintf(what, sizeof what, "%02x", first);
        frame(&it, (uint8_t)first, NULL, 0, what);
        cre_ws_session_deinit(&it.receiver);
    }
}

TEST(control_frames) {
    static const struct {
        const char *payload;
        size_t length;
        int error;
    } closes[] = {
        { "", 0, 0 },
        { "\x03", 1, CRE_EWS_CLOSE_SIZE },
        { "\x03\xe8", 2, 0 },
        { "\x03\xec", 2, CRE_EWS_CLOSE_CODE },
        { "\x03\xe8gr\xc3\xbc\xc3\x9f", 8, 0 },
        { "\x03\xe8gr\xc3\xbc\xc3", 7, CRE_EWS_CLOSE_REASON },
    };
    for (size_t i = 0; i < sizeof closes / sizeof *closes; i++) {
        pair it;
        pair_init(&it);
        CHECK_EQ(frame(&it, 0x88, closes[i].payload, closes[i].length, "close"), closes[i].error == 0);
        it.sender = (cre_ws_send_state){ 0 };
        CHECK_EQ(cre_ws_send_check(&it.sender, 0x88, closes[i].payload, closes[i].length), closes[i].error);
        cre_ws_session_deinit(&it.receiver);
    }
    static const uint8_t zeros[126];
    for (uint8_t opcode = CRE_WS_CLOSE; opcode <= CRE_WS_PONG; opcode++) {
        cre_ws_send_state state = { 0 };
        CHECK_EQ(cre_ws_send_check(&state, CRE_WS_FIN | opcode, zeros, 126), CRE_EWS_CONTROL_SIZE);
        CHECK_EQ(cre_ws_send_check(&state, opcode, zeros, 1), CRE_EWS_CONTROL_FRAGMENT);
    }
}

/* Two cuts at all places give three fragments, the middle one perhaps empty, with a ping in between. */
static void cut_everywhere(const char *text, size_t length) {
    for (size_t a = 0; a <= length; a++) {
        for (size_t b = a; b <= length; b++) {
            pair it;
            char what[80];
            snprintf(what, sizeof what, "%.40s cut at %zu and %zu", text, a, b);
            pair_init(&it);
            bool good = frame(&it, 0x01, text, a, what) && frame(&it, 0x89, "p", 1, what) &&
                        frame(&it, 0x00, text + a, b - a, what) &&
                        frame(&it, 0x80, text + b, length - b, what);
            CHECK_EQ(good, cre_utf8_valid((const uint8_t *)text, length));
            if (good) frame(&it, 0x81, text, length, what);
            cre_ws_session_deinit(&it.receiver);
        }
    }
}

static const struct {
    const char *text;
    size_t length;
} texts[] = {
#define T(text) { text, sizeof(text) - 1 }
    T(""),
    T("a"),
    T("plain ASCII that is longer than sixteen bytes"),
    T("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
    T("a\xf0\x9f\x98\x80z\xed\x9f\xbf"),
    T("0123456789abcdef0123456\xe2\x82\xac"),
    T("a\xc3"),
    T("\xe2\x82"),
    T("\xf0\x9f\x98"),
    T("ab\xff"),
    T("\xc0\x80"),
    T("\xed\xa0\x80"),
    T("\xf4\x90\x80\x80"),
    T("a\x80"),
    T("0123456789abcdef0123456789abcdef\xc3("),
#undef T
};

TEST(texts_cut_at_every_byte) {
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cut_everywhere(texts[i].text, texts[i].length);
}

TEST(texts_in_parts) {
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const uint8_t *at = (const uint8_t *)texts[i].text;
        bool valid = cre_utf8_valid(at, texts[i].length);
        for (size_t cut = 0; cut <= texts[i].length; cut++) {
            cre_slice parts[] = { { at, cut }, { NULL, 0 }, { at + cut, texts[i].length - cut } };
            cre_ws_send_state state = { 0 };
            CHECK_EQ(cre__ws_send_check(&state, 0x81, parts, 3), valid ? 0 : CRE_EWS_UTF8);
            CHECK_EQ(cre__ws_send_check(&state, 0x82, parts, 3), 0);
            CHECK_EQ(cre__ws_send_check(&state, 0x82, NULL, 0), 0);
        }
    }
    cre_slice close[] = { { (const uint8_t *)"\x03", 1 }, { (const uint8_t *)"\xe8x", 2 } };
    cre_ws_send_state state = { 0 };
    CHECK_EQ(cre__ws_send_check(&state, 0x88, close, 2), 0);
    CHECK_EQ(cre__ws_send_check(&state, 0x82, NULL, 0), CRE_ESTATE);
}

/* One byte above ASCII at each place of texts of each length, on the short and on the long way. */
TEST(a_wrong_byte_at_every_place) {
    uint8_t text[300];
    for (size_t length = 1; length <= 260; length++) {
        memset(text, 'a', sizeof text);
        cre_ws_send_state state = { 0 };
        CHECK_EQ(cre_ws_send_check(&state, 0x81, guard_place(&guard, text, length), length), 0);
        for (size_t at = 0; at < length; at += TEST_STRIDE) {
            text[at] = 0x80;
            CHECK_EQ(cre_ws_send_check(&state, 0x81, guard_place(&guard, text, length), length),
                     CRE_EWS_UTF8);
            text[at] = 'a';
        }
    }
}

/* A caller whose frame was not sent puts the state back. */
TEST(a_check_can_be_undone) {
    cre_ws_send_state state = { 0 }, before;
    CHECK_EQ(cre_ws_send_check(&state, 0x01, "\xe2", 1), 0);
    before = state;
    CHECK_EQ(cre_ws_send_check(&state, 0x80, "\x82\xac", 2), 0);
    CHECK_EQ(cre_ws_send_check(&state, 0x80, "\x82\xac", 2), CRE_EWS_CONTINUATION);
    state = before;
    CHECK_EQ(cre_ws_send_check(&state, 0x80, "\x82", 1), CRE_EWS_UTF8);
    CHECK_EQ(cre_ws_send_check(&state, 0x81, "new", 3), CRE_EWS_INTERLEAVED);
    CHECK_EQ(cre_ws_send_check(&state, 0x80, "\x82\xac", 2), 0);
}

__attribute__((constructor)) static void make_guard(void) {
    guard = guard_make(4096);
}

TEST_MAIN()
