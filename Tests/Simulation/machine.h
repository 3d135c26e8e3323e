/*
 * The machine on which the library's real code is simulated: processes whose threads are coroutines, a clock
 * that moves only when nobody can run, and a kernel with a shared memory file, eventfds and sockets.
 *
 * Everything in one schedule follows from its seed.
 */
#ifndef SIMULATION_MACHINE_H
#define SIMULATION_MACHINE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <ucontext.h>

#include "steps.h"

/* ---- random numbers ---- */

void machine_seed(uint64_t seed);
uint64_t machine_random(void);
/* 0 up to `bound`, without that. */
uint32_t machine_below(uint32_t bound);
/* True in `percent` of all cases. */
bool machine_chance(uint32_t percent);

/* ---- processes and their threads ---- */

typedef struct process process;
typedef struct thread thread;

typedef enum thread_state {
    THREAD_READY,
    THREAD_POLLING, /* waits for descriptors, timers and asynchronous wake-ups of its loop */
    THREAD_ASLEEP,  /* waits for the time only: its handler blocks */
    THREAD_ENDED,
} thread_state;

struct thread {
    thread *next;
    process *of;
    thread_state state;
    bool begun, woken;
    uint64_t due; /* in nanoseconds; UINT64_MAX: never */
    void *(*run)(void *argument);
    void *argument;
    uint8_t *stack;
    jmp_buf context;
    ucontext_t start;
};

struct process {
    process *next;
    pid_t pid;
    bool ended, killed;
    int fuse; /* steps of its own until it is killed; 0: it is not */
    struct allocation *memory;
    long allocations;
    thread *main;
    void (*run)(process *self);
    void *role; /* the model's */
};

/* Starts a process whose only thread runs `run` with the process. */
process *machine_start(void (*run)(process *self), void *role);
/* The running process; NULL: the model. */
process *machine_self(void);
/* Ends a process wherever it is: its memory is freed, its descriptors are closed. */
void machine_kill(process *victim);
/* For a handler that blocks. */
void machine_sleep(uint64_t milliseconds);
/* Waits until another process calls machine_wake for this one's thread. */
void machine_wait(void);
/* Allocations until the next call belong to this process, although the model runs. */
void machine_allocate_for(process *owner);
/* Memory that the model and the master have allocated and not freed. */
long machine_live_allocations(void);

/* Runs one thread that can run, for a random number of steps. False: none can. */
bool machine_run_any(void);
/* Moves the clock to the next moment at which a thread can run, at most to `limit`. False: there is none. */
bool machine_pass_time(uint64_t limit);
uint64_t machine_now(void); /* nanoseconds */

/* Called by the machine: the process waits for its loop's next event, is about to be killed. */
extern void (*machine_on_idle)(process *it);
extern void (*machine_on_killed)(process *it);

/* Before and after a schedule. */
void machine_reset(void);

/* ---- for the kernel and the stand-in of libuv ---- */

void machine_block(uint64_t due); /* until `woken`, or the time */
void machine_wake(thread *it);
thread *machine_current(void); /* NULL: the model */
void machine_pass(uint64_t nanoseconds);
void machine_init(void);

/* ---- the kernel ---- */

void kernel_reset(void);
void kernel_release(process *of); /* closes its descriptors */
int kernel_open_files(void);      /* sockets in use */
/* The descriptor of a libuv loop, which is readable while it is set. */
int kernel_make_signal(void);
void kernel_set_signal(int descriptor, bool on);
void kernel_free_signal(int descriptor);

/* ---- clients' ends of sockets ---- */

#define PIPE_ROOM 16384u

typedef struct pipe_queue {
    uint8_t bytes[PIPE_ROOM];
    uint32_t start, length, capacity;
} pipe_queue;

typedef struct wire {
    pipe_queue up, down; /* to the server; to the client */
    bool client_ended, server_ended;
    bool client_reset, server_reset; /* by whom the connection was reset */
    bool client_closed, server_closed;
    bool linger_off; /* the server's close is a reset */
    int descriptor;
    int id;
} wire;

/* A connected socket, of which `owner` has the descriptor. */
wire *kernel_connect(int id, process *owner, uint32_t capacity);
size_t wire_write(wire *it, const void *data, size_t length);
size_t wire_read(wire *it, void *data, size_t room);
void wire_end(wire *it);
void wire_close(wire *it, bool reset);

#endif
