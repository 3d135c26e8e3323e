/*
 * Rings and spills are memory that the other side may overwrite at any time: the reader never leaves them,
 * never reads without end and never hands out a record that is not whole, and the writer stays in them, too.
 * Nodes put together what large records consist of, within their limit, and receive again when what others
 * overwrote was restored.
 *
 * Input: mode (bit 0: a bus with a node instead of a bare ring), where the control block is overwritten (8
 * fields of 8 bytes), then steps: a byte and its arguments. What is missing at the end is zero.
 */
#include <creactor/error.h>
#include <creactor/internal/bus.h>
#include <creactor/loop.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "link/node_internal.h"
#include "link/ring.h"
#include "loop/loop_internal.h"

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

enum { CAPACITY = 4096, MAX_PAYLOAD = 3000, MAX_STEPS = 64, FIELDS = 8, PART = 1 << 20 };
enum {
    READ,
    RELEASE,
    WRITE,
    RECORD,
    SCRIBBLE,
    POSITION,
    REOPEN_READER,
    REOPEN_WRITER,
    BREAK,
    SPILL,
    SCRIBBLE_SPILL,
    SCRIBBLE_NODES,
    REPAIR,
    TRIM,
    KINDS
};

typedef struct input {
    const uint8_t *at, *end;
} input;

typedef struct side {
    uint8_t *memory; /* the ring: control block and data */
    cre__ring reader, writer;
    cre__spill_place place;
    cre__spill spill_reader, spill_writer;
    cre_loop *loop; /* with a node */
    cre_bus *bus;
    cre_node *node;
    uint32_t received;
} side;

static uint8_t take(input *in) {
    return in->at < in->end ? *in->at++ : 0;
}

static uint64_t take_number(input *in, int bytes) {
    uint64_t number = 0;
    for (int i = 0; i < bytes; i++)
        number |= (uint64_t)take(in) << 8 * i;
    return number;
}

static void touch(const uint8_t *payload, uint32_t length) {
    volatile uint8_t sum = 0;
    for (uint32_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + payload[i]);
}

/* ---- a node ---- */

static int on_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    ((side *)context)->received++;
    REQUIRE(from < 2 && record->length <= MAX_PAYLOAD);
    REQUIRE(!(record->flags & (CRE_RECORD_MORE | CRE_RECORD_CONTINUED)));
    touch(payload, record->length);
    return record->opcode == 1 ? CRE_EINVALID : record->opcode == 2;
}

static void open_node(side *s) {
    static const cre_node_handlers handlers = { .record = on_record };
    const cre_bus_config config = {
        .nodes = 2, .ring_bytes = CAPACITY, .connections = 1, .max_payload = MAX_PAYLOAD
    };
    REQUIRE(cre_loop_create(&s->loop) == 0 && cre_bus_create(&config, &s->bus) == 0);
    s->memory = cre__bus_ring(s->bus, 0, 1);
    s->place = cre__bus_spill(s->bus, 0, 1);
    atomic_store(&s->bus->nodes[1].senders[0], 1);
    REQUIRE(cre_node_open(s->bus, 1, s->loop, &handlers, s, &s->node) == 0);
}

static void close_node(side *s) {
    cre_node_close(s->node);
    cre_loop_destroy(s->loop);
    cre_bus_destroy(s->bus);
}

/* ---- steps ---- */

static cre__ring_control *control_of(side *s) {
    return (cre__ring_control *)(void *)s->memory;
}

static void set_position(side *s, uint8_t which, uint64_t value) {
    cre__ring_control *control = control_of(s);
    switch (which % FIELDS) {
    case 0: atomic_store(&control->tail, value); break;
    case 1: atomic_store(&control->head, value); break;
    case 2: atomic_store(&control->taken, value); break;
    case 3: atomic_store(&control->broken, (uint32_t)value & 1); break;
    case 4: atomic_store(&control->spill_tail, value); break;
    case 5: atomic_store(&control->spill_taken, value); break;
    case 6: atomic_store(&control->spill_begin, value); break;
    default: atomic_store(&control->producer_waits, (uint32_t)value & 1);
    }
}

/* Reads until there is nothing or an error; each record takes room, so a ringful is the most. */
static void read_all(side *s) {
    if (s->node) {
        cre__loop_turn(s->loop, false);
        return;
    }
    cre_record record;
    uint8_t *payload;
    int result = 1;
    for (uint32_t seen = 0; (result = cre__ring_find(&s->reader, &record, &payload)) > 0; seen++) {
        cre__ring_take(&s->reader);
        REQUIRE(seen <= CAPACITY / sizeof record && record.kind != 0);
        REQUIRE(payload >= s->memory && payload + record.length <= s->memory + cre__ring_size(CAPACITY));
        touch(payload, record.length);
    }
    uint64_t tail = cre__spill_tail(&s->spill_reader);
    for (uint32_t seen = 0; !result && tail != s->spill_reader.own; seen++) {
        result = cre__spill_find(&s->spill_reader, tail, &record, &payload);
        if (result <= 0) break;
        cre__spill_take(&s->spill_reader, &record);
        REQUIRE(seen <= 2 * PART / sizeof record && record.kind != 0);
        touch(payload, record.length);
        result = 0;
    }
    if (result < 0) cre__ring_break(&s->reader);
}

static void spill_one(side *s, input *in) {
    cre_record record = { .kind = (uint8_t)(1 + take(in) % 255), .opcode = take(in) };
    record.flags = (uint16_t)take_number(in, 2);
    uint8_t bytes[CAPACITY];
    memset(bytes, 's', sizeof bytes);
    cre_slice part = { bytes, (uint32_t)take_number(in, 2) % (cre__ring_max_payload(&s->writer) + 1) };
    const cre_slice *parts = &part;
    size_t offset = 0;
    if (cre__spill_write(&s->spill_writer, &record, &parts, &offset, (uint32_t)part.length) == 0)
        cre__spill_publish(&s->spill_writer);
}

static void open_writer(side *s) {
    cre__ring_open_producer(&s->writer, s->memory, CAPACITY);
    cre__spill_open_producer(&s->spill_writer, &s->writer, s->place);
}

static void open_reader(side *s) {
    cre__spill_rest(&s->spill_reader);
    cre__ring_open_consumer(&s->reader, s->memory, CAPACITY);
    cre__spill_open_consumer(&s->spill_reader, &s->reader, s->place);
}

/* What a worker may do to the block of the node. */
static void scribble_nodes(side *s, input *in) {
    if (!s->node) return;
    uint32_t at = (uint32_t)take_number(in, 2) % (2 * sizeof *s->bus->nodes - 8);
    uint64_t bytes = take_number(in, 8);
    memcpy((uint8_t *)s->bus->nodes + at, &bytes, 8);
    if (take(in) & 1) memset(s->bus->nodes, (int)bytes & 255, 2 * sizeof *s->bus->nodes);
}

/* Everything restored, and with a ring that is new to both sides: a record arrives. */
static void check_node(side *s) {
    cre__node_repair(s->node);
    cre_node_close(s->node);
    memset(s->memory, 0, sizeof(cre__ring_control));
    const cre_node_handlers handlers = { .record = on_record };
    REQUIRE(cre_node_open(s->bus, 1, s->loop, &handlers, s, &s->node) == 0);
    cre_node *sender;
    REQUIRE(cre_node_open(s->bus, 0, NULL, &handlers, s, &sender) == 0);
    uint32_t received = s->received;
    REQUIRE(cre_node_send(sender, 1, &(cre_record){ .kind = 1 }, NULL, 0) == 0);
    cre_node_close(sender);
    cre__loop_turn(s->loop, false);
    REQUIRE(s->received == received + 1);
}

static void write_one(side *s, input *in) {
    cre_record record = { .kind = (uint8_t)(1 + take(in) % 255), .opcode = take(in) };
    record.flags = (uint16_t)take_number(in, 2);
    uint32_t length = (uint32_t)take_number(in, 2) % (cre__ring_max_payload(&s->writer) + 1);
    uint8_t *payload = cre__ring_write(&s->writer, &record, record.flags, length);
    if (!payload) return;
    REQUIRE(payload >= s->memory && payload + length <= s->memory + cre__ring_size(CAPACITY));
    memset(payload, 'x', length);
    cre__ring_publish(&s->writer);
}

/* A header as a broken producer might write it, where the reader looks next. */
static void put_header(side *s, input *in) {
    cre_record record = { .kind = take(in), .opcode = take(in), .flags = (uint16_t)take_number(in, 2) };
    record.length = (uint32_t)take_number(in, 4);
    uint64_t tail = atomic_load(&control_of(s)->tail);
    memcpy(s->memory + sizeof(cre__ring_control) + (tail & (CAPACITY - 1) & ~15u), &record, sizeof record);
    uint64_t size = sizeof record + (((uint64_t)record.length + 15) & ~15ull);
    atomic_store(&control_of(s)->tail, tail + size);
}

static void scribble(side *s, input *in) {
    uint32_t at = (uint32_t)take_number(in, 2) % (CAPACITY - 8);
    uint64_t bytes = take_number(in, 8);
    memcpy(s->memory + sizeof(cre__ring_control) + at, &bytes, 8);
}

static void step(side *s, input *in) {
    switch (take(in) % KINDS) {
    case READ: read_all(s); break;
    case RELEASE:
        if (!s->node) cre__ring_release(&s->reader);
        break;
    case WRITE: write_one(s, in); break;
    case RECORD: put_header(s, in); break;
    case SCRIBBLE: scribble(s, in); break;
    case POSITION: {
        uint8_t which = take(in);
        set_position(s, which, take_number(in, 8));
        break;
    }
    case REOPEN_READER:
        if (!s->node) open_reader(s);
        break;
    case REOPEN_WRITER: open_writer(s); break;
    case SPILL: spill_one(s, in); break;
    case SCRIBBLE_SPILL: {
        uint64_t at = take_number(in, 2), bytes = take_number(in, 8);
        REQUIRE(pwrite(s->place.file, &bytes, 8, (off_t)(s->place.offset + at)) == 8);
        break;
    }
    case SCRIBBLE_NODES: scribble_nodes(s, in); break;
    case REPAIR:
        if (s->node) cre__node_repair(s->node);
        break;
    case TRIM: cre__spill_trim(&s->spill_writer); break;
    default:
        if (!s->node) cre__ring_break(&s->reader);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    side s = { 0 };
    input in = { data, data + size };
    if (take(&in) & 1) {
        open_node(&s);
    } else {
        s.memory = aligned_alloc(64, cre__ring_size(CAPACITY));
        REQUIRE(s.memory != NULL);
        memset(s.memory, 0, cre__ring_size(CAPACITY));
        static int file = -1;
        if (file < 0) file = memfd_create("spill", MFD_CLOEXEC);
        REQUIRE(file >= 0 && ftruncate(file, 0) == 0 && ftruncate(file, PART) == 0);
        s.place = (cre__spill_place){ file, 0, PART };
    }
    for (uint8_t which = 0; which < FIELDS; which++)
        set_position(&s, which, take_number(&in, 8));
    open_writer(&s);
    if (!s.node) open_reader(&s);
    for (int i = 0; i < MAX_STEPS && in.at < in.end; i++)
        step(&s, &in);
    read_all(&s);
    if (s.node) {
        check_node(&s);
        close_node(&s);
    } else {
        cre__spill_rest(&s.spill_reader);
        free(s.memory);
    }
    return 0;
}
