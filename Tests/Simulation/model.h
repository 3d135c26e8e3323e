/*
 * The model: a server's processes, its clients, the faults of a schedule, and a ledger of what was accepted,
 * begun and received, from which it follows what must be true.
 */
#ifndef SIMULATION_MODEL_H
#define SIMULATION_MODEL_H

#include <creactor/internal/task.h>
#include <creactor/internal/worker.h>

#include "machine.h"

enum {
    MOST_SEATS = 6, /* up to 3 workers and 3 task workers */
    MOST_NODES = 8,
    MOST_REACTORS = 2,
    MOST_CLIENTS = 8,
    MOST_MESSAGES = 16, /* of a client */
    MOST_ITEMS = 512,
    MOST_EFFECTS = 256,
    MOST_LENGTH = 6000, /* of a message */
    TOPICS = 2,
};

/* ---- the schedule ---- */

typedef struct plan {
    bool base;  /* workers own the sockets */
    bool stops; /* it is stopped in the middle */
    uint32_t workers, task_workers, reactors, clients, faults;
    uint32_t ring_bytes, arena_bytes, backlog_bytes, queue_bytes, max_queue, wire_bytes, spin_ns;
    uint32_t fault_every; /* rounds, on average */
} plan;

/* ---- the ledger ---- */

/* What a client asks for, in a message or in the path of a request. */
typedef enum action {
    ACTION_ECHO,
    ACTION_SUBSCRIBE,
    ACTION_PUBLISH,
    ACTION_CROSS, /* a push to another client */
    ACTION_TASK,
    ACTION_PIPE, /* a message to another actor */
    ACTION_BLOCK,
    ACTION_PAUSE, /* reading stops for a moment */
    ACTION_WAIT,  /* further events of the client are deferred for a moment */
    ACTION_CLOSE,
    ACTIONS,
} action;

/* A message or request of a client. */
typedef struct message {
    uint8_t action, argument;
    uint16_t length;
    bool sent, certain, refused, began;
    bool declined; /* a SUBSCRIBE for which there was no room */
    uint8_t served, received;
    uint16_t status; /* of a request's response */
} message;

typedef enum item_kind { ITEM_CROSS, ITEM_PUBLISH, ITEM_PIPE, ITEM_TASK } item_kind;

/* Something that one process has sent to another one, or to clients by the reactors. Its number is its place.
 */
typedef struct item {
    item_kind kind;
    uint8_t from, to; /* nodes; of a CROSS the client, of a PUBLISH the topic */
    uint8_t argument; /* of a task: how it goes; and its kind */
    uint8_t task_kind;
    bool certain; /* its sender went on after it: it must arrive */
    bool
        late; /* a PUBLISH that was deferred until its client left: subscribers need not have stayed for it */
    uint8_t begun, finals;
    uint64_t number;  /* of the task; 0: not known */
    uint64_t moment;  /* of its sending */
    uint32_t reached; /* clients */
} item;

typedef enum effect_kind { EFFECT_ANSWER, EFFECT_ITEM } effect_kind;

typedef struct effect {
    effect_kind kind;
    uint16_t client, number; /* of the message; or of the item */
} effect;

/* ---- clients ---- */

typedef enum client_end { END_BY_FRAME, END_BY_INPUT, END_BY_RESET, END_BY_ANSWERS } client_end;

typedef enum client_state {
    CLIENT_WAITING,
    CLIENT_HANDSHAKE,
    CLIENT_OPEN,
    CLIENT_LEAVING,
    CLIENT_DONE
} client_state;

typedef struct client {
    uint16_t id;
    bool websocket, subscribes, stays, handshaken, closed_by_server;
    bool disturbed; /* its connection ended with a process: nothing is expected any more */
    client_state state;
    client_end end;
    int node;       /* of its worker; -1: not known */
    process *owner; /* of its socket, in base mode */
    uint64_t starts_at, reads_at, leaves_at;
    wire *wire;
    message messages[MOST_MESSAGES];
    uint16_t count, composed, last_served, answered;
    uint32_t out_length, out_sent, in_length;
    uint32_t opens, closes;
    cre_session session;
    uint32_t last_stamp[MOST_NODES];
    uint64_t subscribed_at[TOPICS], done_at;
} client;

/* ---- processes ---- */

/* The events of a client that wait for its handler. */
typedef struct lane {
    bool busy;
    uint32_t tickets[MOST_MESSAGES + 4];
    uint32_t count;
} lane;

typedef struct actor {
    process *process;
    uint32_t node;
    bool is_task_worker, is_open, draining, suspended;
    bool may_open; /* its predecessor has ended */
    int signal;    /* an eventfd: asks it to end */
    cre_bus *bus;
    cre_loop *loop;
    cre_worker *worker;
    cre_watch *signals;
    uint32_t requests, posted; /* without an answer */
    lane lanes[MOST_CLIENTS];
    bool flushing; /* an event that could not be deferred is in hand: none is deferred */
    effect effects[MOST_EFFECTS];
    uint32_t effect_count;
} actor;

typedef struct seat {
    actor *now, *successor;
} seat;

typedef struct totals {
    uint64_t schedules, rounds, kills, kills_in_work, reloads, stops, messages, requests, items, tasks,
        crashed, lost, answered_500, resets, deferred;
} totals;

typedef struct model_state {
    plan plan;
    cre_bus_config bus_config;
    cre_bus *bus;
    cre_reactor *reactors[MOST_REACTORS];
    int descriptors[MOST_NODES + 1];
    uint32_t nodes, seats;
    seat seat[MOST_SEATS];
    process *manager;
    bool stopping, reload_wanted, all_ended;
    uint32_t reactors_done;
    uint32_t faults_left;
    uint32_t stamp;
    client clients[MOST_CLIENTS];
    item items[MOST_ITEMS];
    uint32_t item_count;
    uint32_t last_stamp[MOST_NODES][MOST_NODES]; /* of messages, by receiver and sender */
    uint64_t moments;
    uint32_t deaths[MOST_NODES], lost[MOST_NODES], crashed[MOST_NODES], manager_deaths;
    uint32_t lost_somewhere, unknown_closes;
    bool failed, tracing;
    char violation[400];
} model_state;

extern model_state model;
extern totals counted;

void violated(const char *format, ...) __attribute__((format(printf, 1, 2)));
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline uint32_t first_task(void) {
    return model.plan.workers;
}

static inline uint32_t first_owner(void) {
    return model.plan.base ? 0 : model.seats;
}

static inline uint32_t owner_count(void) {
    return model.plan.base ? model.plan.workers : model.plan.reactors;
}

uint32_t all_deaths(void);

/* ---- worker.c ---- */

void worker_begin(actor *it); /* starts its process */
void worker_idle(process *it);
void worker_killed(process *it);

/* ---- waits.c ---- */

client *worker_client(cre_session session);
/* The handler of a client waits: further events of the client are deferred. */
void worker_wait(actor *it, uint16_t client_id, uint32_t milliseconds);
/* Whether the event waits for others of its client. */
bool worker_defers(actor *it, const cre_record *event);
/* Whether an actor that is leaving still serves the events of a session. */
bool worker_keeps(void *context, cre_session session);

/* ---- manager.c ---- */

void manager_start(void);
void manager_wake(void);

/* ---- clients.c ---- */

void clients_plan(void);
void clients_disturb(void);  /* the server stops: nothing is expected any more */
uint64_t clients_next(void); /* when one of them may act again */
/* One of them does something. False: none can. */
bool clients_act(void);
bool clients_are_done(void);
void clients_release(void);
void clients_check(void);
/* A client receives this in a frame. */
typedef struct payload_head {
    uint8_t kind; /* of payload_kind */
    uint8_t from;
    uint16_t number;
    uint32_t stamp, length;
} payload_head;

typedef enum payload_kind { PAYLOAD_ECHO, PAYLOAD_CROSS, PAYLOAD_PUBLISHED } payload_kind;

/* And the server this. */
typedef struct asking_head {
    uint8_t action, argument;
    uint16_t client, number, length;
} asking_head;

void fill(uint8_t *at, size_t length, uint32_t from);
bool is_filled(const uint8_t *at, size_t length, uint32_t from);

/* ---- checks.c ---- */

void check_idle(void);
void check_bounds(void);
void check_ledger(void);

#endif
