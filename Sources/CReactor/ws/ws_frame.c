#include "ws/ws_frame.h"

#include <creactor/websocket_utf8.h>
#include <string.h>

#include "ws/ws_mask.h"

int cre__ws_read_length(const uint8_t *header, uint64_t *length) {
    uint8_t brief = header[1] & 0x7F;
    if (brief < 126) {
        *length = brief;
        return 0;
    }
    uint64_t value = 0;
    size_t end = cre__ws_length_end(header[1]);
    for (size_t i = 2; i < end; i++)
        value = value << 8 | header[i];
    if (value >> 63) return CRE_EWS_LENGTH_RANGE;
    if (value < (brief == 126 ? 126u : 65536u)) return CRE_EWS_LENGTH_FORM;
    *length = value;
    return 0;
}

size_t cre_ws_pack(uint8_t *out, size_t capacity, uint8_t first, const uint8_t *data, size_t length,
                   const uint8_t *mask) {
    if (cre__ws_check_first(first) != 0) return 0;
    if (cre__ws_is_control(first) && (length > CRE_WS_MAX_CONTROL || first & CRE_WS_RSV1)) return 0;
    uint8_t header[CRE_WS_MAX_HEADER];
    size_t size = cre_ws_header(header, first, length, mask);
    if (capacity < size || capacity - size < length) return 0;
    memcpy(out, header, size);
    if (mask)
        cre__ws_mask(out + size, data, length, cre__ws_key(mask));
    else if (length)
        memcpy(out + size, data, length);
    return size + length;
}

int cre_ws_unpack(const uint8_t *data, size_t size, cre_ws_frame *frame) {
    if (size < 1) return 0;
    int error = cre__ws_check_first(data[0]);
    if (error) return error;
    if (cre__ws_is_control(data[0]) && data[0] & CRE_WS_RSV1) return CRE_EWS_RSV;
    if (size < 2) return 0;
    error = cre__ws_check_second(data[0], data[1]);
    if (error) return error;
    size_t header = cre__ws_length_end(data[1]);
    if (size < header) return 0;
    uint64_t length;
    error = cre__ws_read_length(data, &length);
    if (error) return error;
    bool masked = (data[1] & 0x80) != 0;
    if (size < header + (masked ? 4 : 0)) return 0;
    *frame = (cre_ws_frame){
        .opcode = data[0] & 0x0F,
        .final = (data[0] & CRE_WS_FIN) != 0,
        .rsv1 = (data[0] & CRE_WS_RSV1) != 0,
        .masked = masked,
    };
    if (masked) {
        memcpy(frame->key, data + header, 4);
        header += 4;
    }
    if (size - header < length) return 0;
    frame->payload = data + header;
    frame->length = (size_t)length;
    frame->size = header + (size_t)length;
    return 1;
}

bool cre_ws_close_code_valid(unsigned code) {
    if (code >= 3000) return code <= 4999;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

bool cre_ws_close_payload_valid(const uint8_t *payload, size_t length) {
    return length >= 2 && length <= CRE_WS_MAX_CONTROL &&
           cre_ws_close_code_valid((unsigned)payload[0] << 8 | payload[1]) &&
           cre_utf8_valid(payload + 2, length - 2);
}

size_t cre_ws_close_payload(uint8_t out[CRE_WS_MAX_CONTROL], uint16_t code, const char *reason,
                            size_t reason_length) {
    if (!cre_ws_close_code_valid(code)) return 0;
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    size_t length = reason_length;
    if (length > CRE_WS_MAX_CONTROL - 2) {
        length = CRE_WS_MAX_CONTROL - 2;
        while (length > 0 && ((uint8_t)reason[length] & 0xC0) == 0x80)
            length--;
    }
    if (length) memcpy(out + 2, reason, length);
    return 2 + length;
}
