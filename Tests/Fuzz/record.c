/*
 * Whatever a worker writes, the master survives: commands of any form to connections in every state, a
 * connection table that is overwritten, and the views of requests.
 *
 * Input: a list of steps. Each is a byte that says what happens, and its arguments:
 *
 *   command, lost   kind, opcode, flags (2 bytes), connection, length, payload
 *   large command   the same, and its payload is repeated up to 64 times that length
 *   turn            -
 *   reads, ends     connection: its client reads what there is, or ends its side
 *   sends           connection, length, bytes
 *   connect         port, length, bytes
 *   room            worker
 *   damage          place (2 bytes), length, bytes: written to the connection table
 *   fill            byte: the whole connection table
 *   repair          -
 *   view            length, bytes: a request of any form
 *
 * A length is one byte.
 */
#include "input.h"
#include "record_engine.h"

enum { MAX_STEPS = 64, MAX_REPEAT = 64 };
enum { COMMAND, LOST, LARGE, TURN, READS, ENDS, SENDS, CONNECT, ROOM, DAMAGE, VIEW, FILL, REPAIR, KINDS };

static void command(target *t, input *in, uint8_t step) {
    cre_record record = { .kind = take(in), .opcode = take(in), .flags = take_two(in), .session = take(in) };
    if (record.session == 255) record.session = UINT64_MAX;
    uint8_t *payload = take_bytes(in, step == LARGE ? MAX_REPEAT : 1, &record.length);
    if (step == LOST)
        target_lost(t, &record);
    else
        target_record(t, &record, payload);
    free(payload);
}

static void view(input *in) {
    uint32_t length;
    uint8_t *payload = take_bytes(in, 1, &length);
    cre_request_view view;
    if (cre_request_view_init(&view, payload, length) == 0) {
        const size_t fields = view.head->field_count * sizeof *view.fields;
        REQUIRE((const uint8_t *)view.fields >= payload &&
                view.bytes == (const uint8_t *)view.fields + fields);
        const uint8_t *behind = view.bytes + view.head->head_length;
        if (view.head->flags & CRE_HTTP_CLIENT_CERTIFICATE) {
            REQUIRE(view.certificate == behind + sizeof(uint32_t));
            behind = view.certificate + view.certificate_length;
        }
        REQUIRE(view.body == behind);
        REQUIRE(view.body + view.body_length == payload + length);
    }
    cre_request_is(payload, length, "");
    cre_request_is(payload, length, "/hello");
    free(payload);
}

static void bytes_of_client(target *t, input *in, uint8_t step) {
    uint32_t length, which = step == DAMAGE ? take_two(in) : take(in);
    uint8_t *bytes = take_bytes(in, 1, &length);
    if (step == SENDS)
        target_client_sends(t, which, bytes, length);
    else if (step == CONNECT)
        target_connect(t, (uint16_t)(which % PORT_DATAGRAM), (const char *)bytes, length);
    else
        target_damage(t, which, bytes, length);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static target t;
    input in = { data, data + size };
    target_open(&t);
    for (int i = 0; i < MAX_STEPS && in.at < in.end; i++) {
        const uint8_t step = take(&in) % KINDS;
        switch (step) {
        case COMMAND:
        case LOST:
        case LARGE: command(&t, &in, step); break;
        case TURN: target_turn(&t); break;
        case READS: target_client_reads(&t, take(&in)); break;
        case ENDS: target_client_ends(&t, take(&in)); break;
        case ROOM: target_has_room(&t, take(&in)); break;
        case VIEW: view(&in); break;
        case FILL: target_fill(&t, take(&in)); break;
        case REPAIR: cre__engine_repair(t.engine); break;
        default: bytes_of_client(&t, &in, step);
        }
    }
    target_turn(&t);
    target_check(&t);
    target_close(&t);
    return 0;
}
