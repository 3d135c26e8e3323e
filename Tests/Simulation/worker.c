/* What the application does in workers and task workers, and how these begin and end. */
#include <creactor/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/memory.h"
#include "link/node_internal.h"
#include "model.h"
#include "runtime/worker_internal.h"

/* ---- effects: what was sent is certain when the process has gone on ---- */

static void commit(actor *it) {
    for (uint32_t i = 0; i < it->effect_count; i++) {
        const effect *of = &it->effects[i];
        if (of->kind == EFFECT_ANSWER)
            model.clients[of->client].messages[of->number].certain = true;
        else
            model.items[of->number].certain = true;
    }
    it->effect_count = 0;
}

static void add_effect(actor *it, effect_kind kind, uint16_t client_id, uint16_t number) {
    if (it->effect_count == MOST_EFFECTS) abort();
    it->effects[it->effect_count++] = (effect){ kind, client_id, number };
}

/* A record was taken from a ring, so everything before it is published. What events of own sockets cause
 * leaves at the end of the turn. */
static void begin_record(actor *it) {
    if (!model.plan.base) commit(it);
}

void worker_idle(process *of) {
    actor *it = of->role;
    if (it && it->is_open) commit(it);
}

void worker_killed(process *of) {
    actor *it = of->role;
    if (!it) return;
    uint32_t lost = it->is_open + it->flushing;
    if (it->is_open)
        for (uint32_t from = 0; from < model.nodes; from++)
            lost += it->worker->node->in[from].data != NULL;
    model.deaths[it->node] += lost;
    counted.kills++;
    counted.kills_in_work += it->effect_count > 0;
    trace("process %d of node %u is killed", of->pid, it->node);
    it->is_open = false;
    manager_wake();
    for (uint32_t i = 0; i < model.plan.clients; i++)
        if (model.plan.base && model.clients[i].owner == of) model.clients[i].disturbed = true;
}

/* ---- sending ---- */

static item *new_item(actor *it, item_kind kind, uint32_t to) {
    if (model.item_count == MOST_ITEMS) return NULL;
    item *of = &model.items[model.item_count++];
    *of = (item){ .kind = kind, .from = (uint8_t)it->node, .to = (uint8_t)to, .moment = ++model.moments };
    return of;
}

static uint16_t number_of(const item *of) {
    return (uint16_t)(of - model.items);
}

typedef struct pushed {
    payload_head head;
    uint8_t bytes[MOST_LENGTH];
} pushed;

static size_t compose(pushed *out, actor *it, payload_kind kind, uint16_t number, uint32_t length) {
    out->head = (payload_head){ (uint8_t)kind, (uint8_t)it->node, number, ++model.stamp, length };
    fill(out->bytes, length, out->head.stamp);
    return sizeof out->head + length;
}

/* An answer in the place of the message, so that its payload may be returned to the reactor. */
static const uint8_t *compose_in_place(uint8_t *at, size_t length, actor *it, uint16_t number) {
    const payload_head head = { PAYLOAD_ECHO, (uint8_t)it->node, number, ++model.stamp,
                                (uint32_t)(length - sizeof head) };
    memcpy(at, &head, sizeof head);
    fill(at + sizeof head, head.length, head.stamp);
    return at;
}

static void settle(actor *it, const item *of, int result) {
    static const char *const kinds[] = { "push", "message to a topic", "message", "task" };
    trace("node %u sends item %u, a %s to %u: %d", it->node, number_of(of), kinds[of->kind], of->to, result);
    if (!result) add_effect(it, EFFECT_ITEM, 0, number_of(of));
}

static void publish(actor *it, uint32_t topic, uint32_t length, cre_session asking) {
    item *of = new_item(it, ITEM_PUBLISH, topic);
    if (!of) return;
    const client *from = asking ? worker_client(asking) : NULL;
    of->late = from && from->state >= CLIENT_LEAVING;
    const char name = (char)('a' + topic);
    pushed data;
    const size_t size = compose(&data, it, PAYLOAD_PUBLISHED, number_of(of), length);
    settle(it, of, cre_worker_publish(it->worker, &name, 1, CRE_WS_BINARY, &data, size, 0));
}

static void push_across(actor *it, uint32_t to, uint32_t length) {
    const cre_session session = model.clients[to].session;
    if (!session || model.clients[to].closes) return;
    item *of = new_item(it, ITEM_CROSS, to);
    if (!of) return;
    pushed data;
    const size_t size = compose(&data, it, PAYLOAD_CROSS, number_of(of), length);
    settle(it, of, cre_worker_push(it->worker, session, CRE_WS_BINARY, true, &data, size));
}

static void send_message(actor *it, uint32_t to, uint32_t length) {
    if (to == it->node) return;
    item *of = new_item(it, ITEM_PIPE, to);
    if (!of) return;
    pushed data;
    const size_t size = compose(&data, it, PAYLOAD_ECHO, number_of(of), length);
    settle(it, of, cre_worker_send_message(it->worker, to, &data, size));
}

enum {
    TASK_SILENT,
    TASK_ANSWERS,
    TASK_ANSWERS_TWICE,
    TASK_FAILS,
    TASK_SUSPENDS,
    TASK_BLOCKS,
    TASK_POSTS,
    TASK_WAYS
};

static void post_task(actor *it, uint32_t argument, uint32_t length) {
    item *of = new_item(it, ITEM_TASK, 0);
    if (!of) return;
    of->argument = (uint8_t)(argument % (TASK_WAYS + 2));
    if (of->argument > TASK_POSTS) of->argument = TASK_POSTS;
    of->task_kind = (uint8_t)(argument / TASK_WAYS % 3);
    pushed data;
    const size_t size = compose(&data, it, PAYLOAD_ECHO, number_of(of), length);
    cre_task_posting posting;
    const int result = cre_task_post(it->worker, -1, (cre_task_kind)of->task_kind, &data, size, &posting);
    if (result) {
        if (of->begun) violated("task %u was refused with %d, and began", number_of(of), result);
        return;
    }
    if (of->number && of->number != posting.number) violated("task %u has two numbers", number_of(of));
    of->number = posting.number;
    for (uint32_t i = 0; i < number_of(of); i++)
        if (model.items[i].kind == ITEM_TASK && model.items[i].from == it->node &&
            model.items[i].number == posting.number)
            violated("node %u has used the number %llu of task %u again", it->node,
                     (unsigned long long)posting.number, i);
    settle(it, of, 0);
    it->posted += of->task_kind != CRE_TASK_ONE_WAY;
}

/* ---- connections ---- */

static void answer(actor *it, client *to, uint16_t number, cre_session session, uint8_t *received,
                   size_t length) {
    message *of = &to->messages[number];
    pushed data;
    const void *at = &data;
    size_t size = length;
    if (of->argument % 2 && length >= sizeof data.head)
        at = compose_in_place(received, length, it, number);
    else
        size = compose(&data, it, PAYLOAD_ECHO, number, of->length);
    int result = cre_worker_push(it->worker, session, CRE_WS_BINARY, true, at, size);
    if (result)
        of->refused = true;
    else
        add_effect(it, EFFECT_ANSWER, to->id, number);
}

typedef struct paused {
    actor *worker;
    cre_session session;
} paused;

static void set_reading(actor *it, cre_session session, bool on) {
    const cre_record command = { .kind = on ? CRE_COMMAND_RESUME : CRE_COMMAND_PAUSE, .session = session };
    int result = cre_worker_command(it->worker, &command, NULL, 0);
    trace("node %u %s reading: %d", it->node, on ? "resumes" : "pauses", result);
}

static void on_resume(void *context, cre_timer *timer) {
    const paused *of = context;
    cre_timer_stop(timer);
    set_reading(of->worker, of->session, true);
    of->worker->requests--;
    cre__free(context);
}

static void pause_reading(actor *it, cre_session session, uint32_t milliseconds) {
    set_reading(it, session, false);
    paused *of = cre__malloc(sizeof *of);
    *of = (paused){ it, session };
    it->requests++; /* a process does not end while something is suspended */
    cre_timer *timer;
    if (cre_timer_start(it->loop, milliseconds, 0, on_resume, of, &timer)) abort();
}

static void act(actor *it, message *of, cre_session session) {
    const char topic = (char)('a' + of->argument % TOPICS);
    switch (of->action) {
    case ACTION_SUBSCRIBE:
        of->declined = cre_worker_subscribe(it->worker, session, &topic, 1, true) != 0;
        break;
    case ACTION_PUBLISH: publish(it, of->argument % TOPICS, of->length, session); break;
    case ACTION_CROSS: push_across(it, of->argument % model.plan.clients, of->length); break;
    case ACTION_TASK:
        if (model.plan.task_workers) post_task(it, of->argument, of->length);
        break;
    case ACTION_PIPE: send_message(it, of->argument % model.plan.workers, of->length); break;
    case ACTION_BLOCK: machine_sleep(1 + of->argument % 32); break;
    case ACTION_PAUSE: pause_reading(it, session, 1 + of->argument % 16); break;
    default: break;
    }
}

static void know(actor *it, client *of, cre_session session) {
    if (of->session && of->session != session) violated("client %u has two sessions", of->id);
    of->session = session;
    if (of->node >= 0 && of->node != (int)it->node)
        violated("client %u is served by nodes %d and %u", of->id, of->node, it->node);
    of->node = (int)it->node;
}

static void serve_message(actor *it, const cre_record *event, uint8_t *payload) {
    asking_head head;
    memcpy(&head, payload, sizeof head);
    if (event->length != sizeof head + head.length || head.client >= model.plan.clients ||
        !is_filled(payload + sizeof head, head.length, head.number)) {
        violated("a message arrived changed");
        return;
    }
    client *from = &model.clients[head.client];
    message *of = &from->messages[head.number];
    trace("node %u serves message %u of client %u", it->node, head.number, from->id);
    know(it, from, event->session);
    if (of->served++) violated("message %u of client %u is served twice", head.number, from->id);
    if (head.number + 1u <= from->last_served)
        violated("message %u of client %u is served behind message %u", head.number, from->id,
                 from->last_served - 1);
    if (from->closes) violated("message %u of client %u is served after its close", head.number, from->id);
    from->last_served = (uint16_t)(head.number + 1);
    act(it, of, event->session);
    answer(it, from, head.number, event->session, payload, event->length);
    if (of->action == ACTION_CLOSE) cre_worker_close(it->worker, event->session, 4000, NULL, 0);
    if (of->action == ACTION_WAIT && !model.plan.base) worker_wait(it, from->id, 1 + of->argument % 16);
}

/* ---- requests ---- */

typedef struct pending {
    actor *worker;
    client *client;
    cre_session session;
    uint16_t number;
    uint8_t request;
    bool began;
} pending;

static void on_later(void *context, cre_timer *timer);

static void respond_later(actor *it, const pending *to, uint32_t milliseconds) {
    pending *later = cre__malloc(sizeof *later);
    *later = *to;
    it->requests++;
    cre_timer *timer;
    if (cre_timer_start(it->loop, milliseconds, 0, on_later, later, &timer)) abort();
}

static void respond(actor *it, const pending *to) {
    char text[16];
    const size_t length = (size_t)snprintf(text, sizeof text, "%u", to->number);
    int result =
        to->began ? cre_worker_respond_body(it->worker, to->session, to->request, text, length, true)
                  : cre_worker_respond(it->worker, to->session, to->request, 200, 0, NULL, 0, text, length);
    message *of = &to->client->messages[to->number];
    if (!result)
        add_effect(it, EFFECT_ANSWER, to->client->id, to->number);
    else if (result == CRE_ELINK_FULL && !to->began)
        respond_later(it, to, 2);
    else
        of->refused = true; /* the connection has gone, or is reset because the response has no end */
}

static void on_later(void *context, cre_timer *timer) {
    pending *to = context;
    cre_timer_stop(timer);
    to->worker->requests--;
    respond(to->worker, to);
    cre__free(to);
}

static void serve_request(actor *it, const cre_record *event, const uint8_t *payload) {
    cre_request_view view;
    unsigned id, number;
    if (cre_request_view_init(&view, payload, event->length) ||
        sscanf((const char *)view.bytes, "GET /%u/%u ", &id, &number) != 2 || id >= model.plan.clients) {
        violated("a request arrived changed");
        return;
    }
    client *from = &model.clients[id];
    message *of = &from->messages[number];
    trace("node %u serves request %u of client %u", it->node, number, id);
    know(it, from, event->session);
    if (of->served++) violated("request %u of client %u is served twice", number, id);
    pending to = { it, from, event->session, (uint16_t)number, event->opcode, false };
    if (of->argument & 1) {
        act(it, of, 0);
        respond(it, &to);
        return;
    }
    if (of->argument & 2) {
        int result =
            cre_worker_respond_more(it->worker, event->session, event->opcode, 200, 0, NULL, 0, NULL, 0);
        to.began = of->began = !result;
    }
    respond_later(it, &to, 1 + of->argument % 16);
}

static void serve_open(actor *it, const cre_record *event, const uint8_t *payload) {
    cre_request_view view;
    unsigned id;
    if (cre_request_view_init(&view, payload, event->length) ||
        sscanf((const char *)view.bytes, "GET /%u ", &id) != 1 || id >= model.plan.clients) {
        violated("an open arrived changed");
        return;
    }
    client *of = &model.clients[id];
    trace("node %u opens client %u", it->node, id);
    know(it, of, event->session);
    if (of->opens++) violated("client %u was opened twice", id);
    if (of->closes || of->last_served) violated("client %u was opened late", id);
}

static void serve_close(actor *it, const cre_record *event) {
    client *of = worker_client(event->session);
    if (!of) { /* its open was lost, and it sent nothing */
        model.unknown_closes++;
        return;
    }
    trace("node %u closes client %u", it->node, of->id);
    if (of->closes++) violated("client %u was closed twice", of->id);
}

/* ---- events ---- */

static void on_event(void *context, const cre_record *event, uint8_t *payload) {
    actor *it = context;
    begin_record(it);
    if (worker_defers(it, event)) return;
    switch (event->kind) {
    case CRE_EVENT_OPEN: serve_open(it, event, payload); break;
    case CRE_EVENT_CLOSE: serve_close(it, event); break;
    case CRE_EVENT_REQUEST: serve_request(it, event, payload); break;
    case CRE_EVENT_END: cre_worker_close(it->worker, event->session, 0, NULL, 0); break;
    case CRE_EVENT_MESSAGE: {
        cre_record next = *event;
        const cre_session session = event->session;
        do {
            begin_record(it);
            serve_message(it, &next, payload);
        } while (!worker_keeps(it, session) && cre_worker_take_message(it->worker, session, &next, &payload));
        break;
    }
    default: break;
    }
}

/* ---- tasks and messages ---- */

static item *item_of(actor *it, uint32_t from, const cre_record *record, const uint8_t *payload,
                     item_kind kind) {
    payload_head head;
    memcpy(&head, payload, sizeof head);
    if (record->length != sizeof head + head.length || head.number >= model.item_count ||
        !is_filled(payload + sizeof head, head.length, head.stamp) || model.items[head.number].kind != kind ||
        model.items[head.number].from != from) {
        violated("a record of node %u arrived changed at node %u", from, it->node);
        return NULL;
    }
    item *of = &model.items[head.number];
    if (head.stamp <= model.last_stamp[it->node][from])
        violated("item %u of node %u arrived at node %u behind a later one", head.number, from, it->node);
    model.last_stamp[it->node][from] = head.stamp;
    if (of->begun++) violated("item %u of node %u arrived at node %u twice", head.number, from, it->node);
    return of;
}

static void end_task(actor *it) {
    it->suspended = false;
    cre_task_end(it->worker, CRE_TASK_DONE, NULL, 0);
}

static void on_task_later(void *context, cre_timer *timer) {
    cre_timer_stop(timer);
    end_task(context);
}

static void run_task(actor *it, uint32_t from, const cre_record *record, const uint8_t *payload) {
    item *of = item_of(it, from, record, payload, ITEM_TASK);
    if (!of) return;
    of->to = (uint8_t)it->node;
    if (of->number && of->number != record->session) violated("task %u has two numbers", number_of(of));
    of->number = record->session;
    trace("node %u begins task %u, number %llu of node %u, in way %u", it->node, number_of(of),
          (unsigned long long)of->number, from, of->argument);
    cre_timer *timer;
    switch (of->argument) {
    case TASK_ANSWERS_TWICE: cre_task_answer(it->worker, CRE_TASK_RESULT, "1", 1); /* fall through */
    case TASK_ANSWERS: cre_task_answer(it->worker, CRE_TASK_RESULT, "2", 1); break;
    case TASK_FAILS: cre_task_end(it->worker, CRE_TASK_FAILED, "no", 2); break;
    case TASK_SUSPENDS:
        it->suspended = true;
        cre_task_suspend(it->worker);
        if (cre_timer_start(it->loop, 3, 0, on_task_later, it, &timer)) abort();
        break;
    case TASK_BLOCKS: machine_sleep(7); break;
    case TASK_POSTS:
        if (model.plan.task_workers > 1) post_task(it, TASK_BLOCKS, 10);
        break;
    default: break;
    }
}

static void receive_result(actor *it, uint32_t from, const cre_record *record) {
    if (!(record->flags & CRE_RECORD_FINAL)) return;
    const uint32_t status = record->opcode & 15u;
    item *of = NULL, *unknown = NULL;
    for (uint32_t i = 0; i < model.item_count; i++) {
        item *at = &model.items[i];
        if (at->kind != ITEM_TASK || at->from != it->node) continue;
        if (at->number == record->session) of = at;
        if (!at->number && !at->certain) unknown = at;
    }
    if (!of) of = unknown; /* its poster died before it knew the number */
    trace("node %u receives status %u of task number %llu from node %u", it->node, status,
          (unsigned long long)record->session, from);
    if (!of) {
        violated("node %u was notified of an unknown task, number %llu", it->node,
                 (unsigned long long)record->session);
        return;
    }
    of->number = record->session;
    if (of->finals++) violated("the end of task %u was reported twice to node %u", number_of(of), it->node);
    if (it->posted) it->posted--;
    if (status != CRE_TASK_CRASHED) return;
    model.crashed[from]++;
    counted.crashed++;
}

static void on_message(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    actor *it = context;
    begin_record(it);
    if (record->kind == CRE_MESSAGE_TASK) run_task(it, from, record, payload);
    if (record->kind == CRE_MESSAGE_RESULT) receive_result(it, from, record);
    if (record->kind == CRE_MESSAGE_PIPE && item_of(it, from, record, payload, ITEM_PIPE))
        trace("node %u receives a message of node %u", it->node, from);
}

static void on_violation(void *context, uint32_t from) {
    violated("node %u found an invalid record of node %u", ((actor *)context)->node, from);
}

static void on_repaired(void *context, uint64_t count) {
    if (!all_deaths())
        violated("node %u has restored %llu values that nobody had overwritten", ((actor *)context)->node,
                 (unsigned long long)count);
}

/* ---- the orderly end ---- */

static void step_drain(actor *it);

static void on_drain_again(void *context, cre_timer *timer) {
    cre_timer_stop(timer);
    step_drain(context);
}

/* As Drain does it in the server. */
static void step_drain(actor *it) {
    const bool posted = it->posted && !model.stopping;
    if (!it->requests && !posted && !it->suspended && cre_worker_end_receiving(it->worker)) {
        cre_loop_stop(it->loop);
        return;
    }
    cre_timer *timer;
    if (cre_timer_start(it->loop, 5, 0, on_drain_again, it, &timer)) abort();
}

static void on_shut_down(void *context) {
    step_drain(context);
}

static void begin_drain(actor *it) {
    if (it->draining) return;
    it->draining = true;
    trace("node %u drains", it->node);
    cre_worker_set_ending(it->worker, 1);
    if (machine_chance(50))
        cre_worker_leave(it->worker);
    else
        cre_worker_stop_receiving(it->worker);
    if (cre_worker_engine(it->worker)) {
        for (uint32_t i = 0; i < model.plan.clients; i++)
            if (model.clients[i].owner == it->process) model.clients[i].disturbed = true;
        cre_engine_shutdown(cre_worker_engine(it->worker), 2000, on_shut_down, it);
    } else {
        step_drain(it);
    }
}

static void on_signal(void *context, int descriptor) {
    uint64_t count;
    if (read(descriptor, &count, sizeof count) > 0) begin_drain(context);
}

/* ---- the process ---- */

static void run_worker(process *self) {
    actor *it = self->role;
    if (cre_bus_attach(&model.bus_config, model.descriptors, model.nodes + 1, &it->bus)) abort();
    if (cre_loop_create(&it->loop)) abort();
    cre_engine_config engine = { .size = sizeof engine,
                                 .http = true,
                                 .max_pipelined = 8,
                                 .max_queue = model.plan.max_queue,
                                 .close_timeout_ms = 5000 };
    cre_worker_config config = { .bus = it->bus,
                                 .node = it->node,
                                 .on_event = it->is_task_worker ? NULL : on_event,
                                 .on_message = on_message,
                                 .violation = on_violation,
                                 .repaired = on_repaired,
                                 .keeps = worker_keeps,
                                 .context = it,
                                 .first_owner = (uint16_t)first_owner(),
                                 .owner_count = (uint16_t)owner_count(),
                                 .first_task = (uint16_t)first_task(),
                                 .task_count = (uint16_t)model.plan.task_workers };
    if (cre_worker_prepare(it->loop, &config, &it->worker)) abort();
    while (!it->may_open)
        machine_wait();
    if (cre_worker_open(it->worker, model.plan.base && !it->is_task_worker ? &engine : NULL)) abort();
    it->is_open = true;
    trace("process %d opens node %u", self->pid, it->node);
    manager_wake();
    if (cre_watch_start(it->loop, it->signal, on_signal, it, &it->signals)) abort();
    cre_loop_run(it->loop);
    cre_watch_stop(it->signals);
    cre_worker_destroy(it->worker);
    commit(it);
    it->is_open = false;
    cre_loop_destroy(it->loop);
    cre_bus_destroy(it->bus);
    if (self->allocations) violated("a worker has left %ld allocations", self->allocations);
    trace("process %d of node %u has ended", self->pid, it->node);
    manager_wake();
}

void worker_begin(actor *it) {
    it->signal = eventfd(0, EFD_NONBLOCK);
    it->process = machine_start(run_worker, it);
}
