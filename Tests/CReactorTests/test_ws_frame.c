#include <creactor/error.h>
#include <creactor/websocket_frame.h>
#include <creactor/websocket_utf8.h>

#include "test.h"

TEST(examples_of_rfc_6455) {
    uint8_t out[300];
    const uint8_t key[4] = { 0x37, 0xFA, 0x21, 0x3D };
    const uint8_t *hello = (const uint8_t *)"Hello";
    CHECK_EQ(cre_ws_pack(out, sizeof out, CRE_WS_TEXT | CRE_WS_FIN, hello, 5, NULL), 7);
    CHECK_MEM(out, "\x81\x05\x48\x65\x6c\x6c\x6f", 7);
    CHECK_EQ(cre_ws_pack(out, sizeof out, CRE_WS_TEXT | CRE_WS_FIN, hello, 5, key), 11);
    CHECK_MEM(out, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    CHECK_EQ(cre_ws_pack(out, sizeof out, CRE_WS_TEXT, hello, 3, NULL), 5);
    CHECK_MEM(out, "\x01\x03\x48\x65\x6c", 5);
    CHECK_EQ(cre_ws_pack(out, sizeof out, CRE_WS_CONTINUATION | CRE_WS_FIN, hello + 3, 2, NULL), 4);
    CHECK_MEM(out, "\x80\x02\x6c\x6f", 4);
    CHECK_EQ(cre_ws_pack(out, sizeof out, CRE_WS_PING | CRE_WS_FIN, hello, 5, NULL), 7);
    CHECK_MEM(out, "\x89\x05\x48\x65\x6c\x6c\x6f", 7);
    CHECK_EQ(cre_ws_header(out, CRE_WS_BINARY | CRE_WS_FIN, 256, NULL), 4);
    CHECK_MEM(out, "\x82\x7E\x01\x00", 4);
    CHECK_EQ(cre_ws_header(out, CRE_WS_BINARY | CRE_WS_FIN, 65536, NULL), 10);
    CHECK_MEM(out, "\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00", 10);
}

TEST(pack_and_unpack_agree) {
    static uint8_t data[70000], out[70100];
    const uint8_t key[4] = { 1, 2, 0, 0xFF };
    const size_t lengths[] = { 0, 1, 4, 125, 126, 127, 65535, 65536, 70000 };
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 13);
    for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++) {
        for (int masked = 0; masked < 2; masked++) {
            size_t length = lengths[n];
            size_t size = cre_ws_pack(out, sizeof out, CRE_WS_BINARY | CRE_WS_FIN | CRE_WS_RSV1, data, length,
                                      masked ? key : NULL);
            cre_ws_frame frame;
            for (size_t cut = 0; cut < size; cut += cut < 20 ? 1 : 997)
                CHECK_EQ(cre_ws_unpack(out, cut, &frame), 0);
            CHECK_EQ(cre_ws_unpack(out, sizeof out, &frame), 1);
            CHECK_EQ(frame.size, size);
            CHECK_EQ(frame.length, length);
            CHECK_EQ(frame.opcode, CRE_WS_BINARY);
            CHECK(frame.final && frame.rsv1);
            CHECK_EQ(frame.masked, masked);
            if (masked) cre_ws_mask(out + (frame.payload - out), length, frame.key, 0);
            CHECK_MEM(frame.payload, data, length);
            CHECK_EQ(
                cre_ws_pack(out, size - 1, CRE_WS_BINARY | CRE_WS_FIN, data, length, masked ? key : NULL), 0);
        }
    }
}

TEST(invalid_frames_are_not_packed) {
    uint8_t out[200], data[126] = { 0 };
    CHECK_EQ(cre_ws_pack(out, sizeof out, CRE_WS_PING, data, 1, NULL), 0);
    CHECK_EQ(cre_ws_pack(out, sizeof out, CRE_WS_PING | CRE_WS_FIN, data, 126, NULL), 0);
    CHECK_EQ(cre_ws_pack(out, sizeof out, CRE_WS_PING | CRE_WS_FIN | CRE_WS_RSV1, data, 1, NULL), 0);
    CHECK_EQ(cre_ws_pack(out, sizeof out, CRE_WS_PING | CRE_WS_FIN, data, 125, NULL), 127);
    CHECK_EQ(cre_ws_pack(out, sizeof out, 3 | CRE_WS_FIN, data, 1, NULL), 0);
    CHECK_EQ(cre_ws_pack(out, sizeof out, 11 | CRE_WS_FIN, data, 1, NULL), 0);
    CHECK_EQ(cre_ws_pack(out, sizeof out, CRE_WS_TEXT | 0x20, data, 1, NULL), 0);
}

TEST(invalid_frames_are_not_unpacked) {
    static const struct {
        int error;
        size_t size;
        const char *bytes;
    } cases[] = {
        { CRE_EWS_RSV, 2, "\xA1\x00" },
        { CRE_EWS_RSV, 2, "\x91\x00" },
        { CRE_EWS_RSV, 2, "\xC9\x00" },
        { CRE_EWS_OPCODE, 2, "\x83\x00" },
        { CRE_EWS_OPCODE, 2, "\x8F\x00" },
        { CRE_EWS_CONTROL_FRAGMENT, 2, "\x09\x00" },
        { CRE_EWS_CONTROL_SIZE, 4, "\x89\x7E\x00\x7E" },
        { CRE_EWS_CLOSE_SIZE, 3, "\x88\x01\x00" },
        { CRE_EWS_LENGTH_FORM, 4, "\x82\x7E\x00\x7D" },
        { CRE_EWS_LENGTH_FORM, 10, "\x82\x7F\x00\x00\x00\x00\x00\x00\xFF\xFF" },
        { CRE_EWS_LENGTH_RANGE, 10, "\x82\x7F\x80\x00\x00\x00\x00\x00\x00\x00" },
    };
    cre_ws_frame frame;
    guard_page guard = guard_make(16);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint8_t *at = guard_place(&guard, cases[i].bytes, cases[i].size);
        CHECK_EQ(cre_ws_unpack(at, cases[i].size, &frame), cases[i].error);
    }
    /* A length that is allowed and cannot be there. */
    const uint8_t *huge = guard_place(&guard, "\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 10);
    CHECK_EQ(cre_ws_unpack(huge, 10, &frame), 0);
    guard_free(&guard);
}

TEST(close_codes) {
    for (unsigned code = 0; code < 70000; code++) {
        bool expected = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                        (code >= 3000 && code <= 4999);
        CHECK_EQ(cre_ws_close_code_valid(code), expected);
    }
}

TEST(close_payloads) {
    uint8_t out[CRE_WS_MAX_CONTROL];
    CHECK_EQ(cre_ws_close_payload(out, 1000, "bye", 3), 5);
    CHECK_MEM(out,
              "\x03\xE8"
              "bye",
              5);
    CHECK_EQ(cre_ws_close_payload(out, 1001, NULL, 0), 2);
    CHECK_EQ(cre_ws_close_payload(out, 1005, NULL, 0), 0);
    CHECK_EQ(cre_ws_close_payload(out, 1006, "x", 1), 0);
    CHECK_EQ(cre_ws_close_payload(out, 0, "x", 1), 0);
    /* A reason of `pad` bytes of ASCII, then characters of four bytes. */
    for (size_t pad = 0; pad < 5; pad++) {
        char reason[200];
        memset(reason, 'x', pad);
        for (size_t i = pad; i + 4 <= sizeof reason; i += 4)
            memcpy(reason + i, "\xF0\x9F\x98\x80", 4);
        size_t length = cre_ws_close_payload(out, 4000, reason, pad + 160);
        CHECK(length <= CRE_WS_MAX_CONTROL && length > CRE_WS_MAX_CONTROL - 4);
        CHECK(cre_utf8_valid(out + 2, length - 2));
        CHECK_MEM(out + 2, reason, length - 2);
    }
}

TEST_MAIN()
