/* The clients: what they send, and what they may receive. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "link/bus_internal.h"
#include "model.h"

enum { OUT_ROOM = MOST_LENGTH + 64, IN_ROOM = 20000 };

static struct {
    uint8_t out[OUT_ROOM], in[IN_ROOM + 1];
} rooms[MOST_CLIENTS];

void fill(uint8_t *at, size_t length, uint32_t from) {
    for (size_t i = 0; i < length; i++)
        at[i] = (uint8_t)(from + i);
}

bool is_filled(const uint8_t *at, size_t length, uint32_t from) {
    for (size_t i = 0; i < length; i++)
        if (at[i] != (uint8_t)(from + i)) return false;
    return true;
}

/* ---- planning ---- */

static uint16_t random_length(void) {
    switch (machine_below(8)) {
    case 0: return (uint16_t)machine_below(MOST_LENGTH); /* more than a record of the ring */
    case 1:
    case 2: return (uint16_t)machine_below(900);
    default: return (uint16_t)machine_below(40);
    }
}

static action random_action(bool websocket) {
    static const action of_requests[] = { ACTION_ECHO, ACTION_ECHO, ACTION_PUBLISH, ACTION_CROSS,
                                          ACTION_TASK, ACTION_PIPE, ACTION_BLOCK };
    static const action of_messages[] = { ACTION_ECHO,    ACTION_ECHO,  ACTION_ECHO,  ACTION_SUBSCRIBE,
                                          ACTION_PUBLISH, ACTION_CROSS, ACTION_TASK,  ACTION_TASK,
                                          ACTION_PIPE,    ACTION_BLOCK, ACTION_PAUSE, ACTION_WAIT };
    return websocket ? of_messages[machine_below(12)] : of_requests[machine_below(7)];
}

void clients_plan(void) {
    for (uint32_t id = 0; id < model.plan.clients; id++) {
        client *it = &model.clients[id];
        *it = (client){ .id = (uint16_t)id, .node = -1 };
        it->websocket = machine_chance(70);
        it->stays = it->subscribes = it->websocket && machine_chance(40);
        it->end = it->stays ? END_BY_FRAME : (client_end)machine_below(4);
        it->count = (uint16_t)(1 + machine_below(MOST_MESSAGES));
        it->starts_at = machine_now() + machine_below(machine_chance(50) ? 2 : 60) * 1000000ull;
        for (uint16_t i = 0; i < it->count; i++) {
            message *of = &it->messages[i];
            of->action = (uint8_t)random_action(it->websocket);
            if (it->stays && i == 0) of->action = ACTION_SUBSCRIBE;
            if (it->websocket && !it->stays && i + 1 == it->count && machine_chance(30))
                of->action = ACTION_CLOSE;
            of->argument = (uint8_t)machine_random();
            of->length = random_length();
        }
    }
}

/* ---- writing ---- */

static size_t frame(uint8_t *at, uint8_t first, const void *head, size_t head_length, size_t length,
                    uint32_t from) {
    const size_t total_length = head_length + length;
    uint8_t *begin = at;
    *at++ = first;
    if (total_length < 126) {
        *at++ = (uint8_t)(0x80 | total_length);
    } else {
        *at++ = 0x80 | 126;
        *at++ = (uint8_t)(total_length >> 8);
        *at++ = (uint8_t)total_length;
    }
    memset(at, 0, 4); /* the mask */
    at += 4;
    memcpy(at, head, head_length);
    fill(at + head_length, length, from);
    return (size_t)(at - begin) + total_length;
}

static void compose(client *it) {
    char *text = (char *)rooms[it->id].out;
    const uint16_t number = it->composed;
    it->out_sent = 0;
    if (it->state == CLIENT_HANDSHAKE) {
        it->out_length = (uint32_t)sprintf(
            text,
            "GET /%u HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            it->id);
        return;
    }
    const message *of = &it->messages[number];
    it->composed++;
    if (!it->websocket) {
        it->out_length = (uint32_t)sprintf(text, "GET /%u/%u HTTP/1.1\r\nHost: a\r\n\r\n", it->id, number);
        return;
    }
    const asking_head head = { of->action, of->argument, it->id, number, of->length };
    it->out_length = (uint32_t)frame(rooms[it->id].out, 0x82, &head, sizeof head, of->length, number);
}

static void write_some(client *it) {
    uint32_t left = it->out_length - it->out_sent;
    if (left > 1 && machine_chance(20)) left = 1 + machine_below(left);
    it->out_sent += (uint32_t)wire_write(it->wire, rooms[it->id].out + it->out_sent, left);
    if (it->out_sent == it->out_length && it->composed) it->messages[it->composed - 1].sent = true;
}

/* ---- reading ---- */

static void leave(client *it, bool reset) {
    wire_close(it->wire, reset);
    it->state = CLIENT_DONE;
    it->done_at = ++model.moments;
    trace("client %u is done", it->id);
}

static void receive_payload(client *it, const uint8_t *data, size_t length) {
    payload_head head;
    memcpy(&head, data, sizeof head);
    if (length != sizeof head + head.length || !is_filled(data + sizeof head, head.length, head.stamp) ||
        head.from >= MOST_NODES) {
        violated("client %u received a message changed", it->id);
        return;
    }
    if (head.stamp <= it->last_stamp[head.from])
        violated("client %u received what node %u had pushed behind later pushes", it->id, head.from);
    it->last_stamp[head.from] = head.stamp;
    if (head.kind == PAYLOAD_ECHO) {
        message *of = &it->messages[head.number % MOST_MESSAGES];
        trace("client %u receives answer %u", it->id, head.number);
        if (of->received++) violated("client %u received answer %u twice", it->id, head.number);
        if (!of->served) violated("client %u received answer %u of nobody", it->id, head.number);
        if (of->action == ACTION_SUBSCRIBE && !of->declined && !it->subscribed_at[of->argument % TOPICS])
            it->subscribed_at[of->argument % TOPICS] = ++model.moments;
        return;
    }
    item *of = &model.items[head.number % MOST_ITEMS];
    if (of->reached & 1u << it->id) violated("client %u received item %u twice", it->id, head.number);
    if (of->kind == ITEM_CROSS && of->to != it->id)
        violated("client %u received a push to another one", it->id);
    of->reached |= 1u << it->id;
}

/* Returns the bytes of a whole frame at the beginning, 0: there is none. */
static size_t read_frame(client *it, const uint8_t *at, size_t length) {
    if (length < 2) return 0;
    size_t size = at[1] & 127, head = 2;
    if (size == 126) {
        if (length < 4) return 0;
        size = (size_t)at[2] << 8 | at[3];
        head = 4;
    }
    if (length < head + size) return 0;
    if (at[0] == 0x88) {
        it->closed_by_server = it->closed_by_server || it->state != CLIENT_LEAVING;
        if (it->state == CLIENT_LEAVING) return head + size;
        const uint8_t code[] = { 0x0f, 0xa0 };
        it->out_length = (uint32_t)frame(rooms[it->id].out, 0x88, code, 2, 0, 0);
        it->out_sent = 0;
        it->composed = it->count;
        it->state = CLIENT_LEAVING;
    } else if (at[0] == 0x82) {
        receive_payload(it, at + head, size);
    } else {
        violated("client %u received a frame of kind %x", it->id, at[0]);
    }
    return head + size;
}

static size_t read_handshake(client *it, const char *text) {
    const char *end = strstr(text, "\r\n\r\n");
    if (!end) return 0;
    if (strncmp(text, "HTTP/1.1 101 ", 13) != 0) violated("client %u was refused: %.20s", it->id, text);
    it->state = CLIENT_OPEN;
    it->handshaken = true;
    return (size_t)(end + 4 - text);
}

/* Returns the bytes of a whole response, 0: there is none. */
static size_t read_response(client *it, const char *text) {
    const char *end = strstr(text, "\r\n\r\n");
    if (!end) return 0;
    const unsigned status = (unsigned)strtoul(text + 9, NULL, 10);
    const char *body = end + 4, *length = strcasestr(text, "content-length: ");
    char got[17] = "";
    size_t size;
    if (length && length < end) {
        size = strtoul(length + 16, NULL, 10);
        if (strlen(body) < size) return 0;
        if (size < sizeof got) memcpy(got, body, size);
    } else {
        const char *last = strstr(body, "0\r\n\r\n");
        if (!last) return 0;
        size = (size_t)(last + 5 - body);
        sscanf(body, "%*x\r\n%16[0-9]", got);
    }
    const uint16_t number = it->answered++;
    message *of = &it->messages[number % MOST_MESSAGES];
    trace("client %u receives status %u of request %u", it->id, status, number);
    of->received++;
    of->status = (uint16_t)status;
    if (number >= it->composed) violated("client %u received a response to no request", it->id);
    if (status == 200 && strtoul(got, NULL, 10) != number)
        violated("client %u received \"%s\" as response %u", it->id, got, number);
    if (status == 200 && !of->served) violated("client %u received response %u of nobody", it->id, number);
    if (status != 200 && status != 500) violated("client %u received status %u", it->id, status);
    return (size_t)(body - text) + size;
}

static void ended(client *it) {
    const wire *of = it->wire;
    const bool reset = of->server_reset;
    trace("the connection of client %u has ended%s", it->id, reset ? ", by a reset" : "");
    if (reset) counted.resets++;
    bool expected = it->disturbed || it->state == CLIENT_LEAVING || it->closed_by_server;
    if (!it->websocket && reset) /* a response had begun, and its worker died */
        for (uint16_t i = it->answered; i < it->count && !it->disturbed; i++)
            if (it->messages[i].began && (all_deaths() || it->messages[i].refused))
                expected = it->disturbed = true;
    if (!expected || (reset && !it->disturbed))
        violated("the connection of client %u has ended%s", it->id, reset ? " by a reset" : "");
    leave(it, false);
}

static void read_some(client *it) {
    uint8_t *in = rooms[it->id].in;
    size_t room = IN_ROOM - it->in_length;
    if (machine_chance(30)) room = 1 + machine_below((uint32_t)room);
    const size_t got = wire_read(it->wire, in + it->in_length, room);
    if (!got) {
        ended(it);
        return;
    }
    it->in_length += (uint32_t)got;
    uint32_t done = 0;
    for (size_t n = 1; n; done += (uint32_t)n) {
        in[it->in_length] = 0;
        const uint8_t *at = in + done;
        if (!it->websocket)
            n = read_response(it, (const char *)at);
        else if (it->handshaken)
            n = read_frame(it, at, it->in_length - done);
        else
            n = read_handshake(it, (const char *)at);
    }
    memmove(in, in + done, it->in_length - done);
    it->in_length -= done;
    if (it->in_length == IN_ROOM) violated("client %u received what has no end", it->id);
    if (machine_chance(10)) it->reads_at = machine_now() + machine_below(40) * 1000000ull;
}

/* ---- acting ---- */

static bool can_read(const client *it) {
    const wire *of = it->wire;
    return of->down.length || of->server_ended || of->server_closed || of->server_reset;
}

static bool has_output(const client *it) {
    return it->out_sent < it->out_length;
}

static bool can_write(const client *it) {
    return has_output(it) && it->wire->up.length < it->wire->up.capacity && !it->wire->server_closed;
}

static bool has_all(const client *it) {
    return it->composed == it->count && !has_output(it);
}

static bool may_leave(const client *it) {
    if (!has_all(it) || it->stays || it->state != CLIENT_OPEN || machine_now() < it->leaves_at) return false;
    return it->websocket || it->end == END_BY_INPUT || it->end == END_BY_RESET || it->answered == it->count;
}

/* The worker that gets the connection in base mode. */
static actor *open_worker(void) {
    const uint32_t first = machine_below(model.plan.workers);
    for (uint32_t i = 0; i < model.plan.workers; i++) {
        actor *it = model.seat[(first + i) % model.plan.workers].now;
        if (it && it->is_open && !it->draining && !it->process->ended) return it;
    }
    return NULL;
}

static bool can_connect(const client *it) {
    return it->state == CLIENT_WAITING && machine_now() >= it->starts_at && !model.stopping &&
           (!model.plan.base || open_worker());
}

static void connect_client(client *it) {
    actor *by = model.plan.base ? open_worker() : NULL;
    it->owner = by ? by->process : NULL;
    it->wire = kernel_connect(it->id, it->owner, model.plan.wire_bytes);
    it->state = it->websocket ? CLIENT_HANDSHAKE : CLIENT_OPEN;
    if (it->websocket) compose(it);
    if (by) {
        machine_allocate_for(by->process);
        if (cre_engine_hand_over(cre_worker_engine(by->worker), it->wire->descriptor, 0)) abort();
        machine_allocate_for(NULL);
        return;
    }
    cre_reactor *reactor = model.reactors[machine_below(model.plan.reactors)];
    if (cre_reactor_hand_over(reactor, it->wire->descriptor, 0)) abort();
}

static void begin_to_leave(client *it) {
    if (it->end == END_BY_RESET) {
        it->disturbed = true;
        leave(it, true);
        return;
    }
    if (it->end == END_BY_ANSWERS && !it->leaves_at) {
        it->leaves_at = machine_now() + 300000000u;
        return;
    }
    it->state = CLIENT_LEAVING;
    if (it->end == END_BY_INPUT || !it->websocket) {
        wire_end(it->wire);
        return;
    }
    const uint8_t code[] = { 0x03, 0xe8 };
    it->out_length = (uint32_t)frame(rooms[it->id].out, 0x88, code, 2, 0, 0);
    it->out_sent = 0;
}

enum { READS = 1, WRITES = 2, COMPOSES = 4, CONNECTS = 8, LEAVES = 16 };

static int abilities(const client *it) {
    if (it->state == CLIENT_DONE) return 0;
    if (it->state == CLIENT_WAITING) return can_connect(it) ? CONNECTS : 0;
    int can = can_read(it) && machine_now() >= it->reads_at ? READS : 0;
    if (can_write(it)) can |= WRITES;
    if (it->state == CLIENT_OPEN && !has_output(it) && it->composed < it->count) can |= COMPOSES;
    if (may_leave(it)) can |= LEAVES;
    return can;
}

static void do_something(client *it, int can) {
    int chosen;
    do
        chosen = 1 << machine_below(5);
    while (!(can & chosen));
    switch (chosen) {
    case READS: read_some(it); break;
    case WRITES: write_some(it); break;
    case COMPOSES: compose(it); break;
    case CONNECTS: connect_client(it); break;
    default: begin_to_leave(it); break;
    }
}

bool clients_act(void) {
    const uint32_t first = machine_below(model.plan.clients);
    for (uint32_t i = 0; i < model.plan.clients; i++) {
        client *it = &model.clients[(first + i) % model.plan.clients];
        const int can = abilities(it);
        if (!can) continue;
        do_something(it, can);
        return true;
    }
    return false;
}

uint64_t clients_next(void) {
    uint64_t next = UINT64_MAX;
    const uint64_t now = machine_now();
    for (uint32_t i = 0; i < model.plan.clients; i++) {
        const client *it = &model.clients[i];
        if (it->state == CLIENT_DONE) continue;
        const uint64_t times[] = { it->starts_at, it->reads_at, it->leaves_at };
        for (int at = 0; at < 3; at++)
            if (times[at] > now && times[at] < next) next = times[at];
    }
    return next;
}

bool clients_are_done(void) {
    bool others = true, all = true;
    for (uint32_t i = 0; i < model.plan.clients; i++) {
        const client *it = &model.clients[i];
        const bool done = it->state == CLIENT_DONE || (model.stopping && it->state == CLIENT_WAITING);
        all = all && done;
        others = others && (done || it->stays);
    }
    return others && (all || !model.stopping);
}

void clients_release(void) {
    for (uint32_t i = 0; i < model.plan.clients; i++)
        model.clients[i].stays = false;
}

void clients_disturb(void) {
    for (uint32_t i = 0; i < model.plan.clients; i++) {
        model.clients[i].disturbed = true;
        model.clients[i].stays = false;
    }
}
