/* Processes, threads, memory and the clock. */
#include "machine.h"

#include <creactor/alloc.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <uv.h>

#define STACK_BYTES (128u << 10)

int machine_steps_left = INT_MAX;
void (*machine_on_idle)(process *it);
void (*machine_on_killed)(process *it);

static struct {
    uint64_t random, now;
    thread *current, *threads;
    process *processes;
    process *allocating;
    pid_t last_pid;
    jmp_buf scheduler;
    process model; /* of the model itself, and of the master with its reactors */
    void *free_stacks;
} machine;

/* ---- random numbers ---- */

void machine_seed(uint64_t seed) {
    machine.random = seed * 0x9E3779B97F4A7C15u + 0x1234567;
}

uint64_t machine_random(void) {
    uint64_t x = machine.random += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

uint32_t machine_below(uint32_t bound) {
    return (uint32_t)((machine_random() >> 32) * bound >> 32);
}

bool machine_chance(uint32_t percent) {
    return machine_below(100) < percent;
}

/* ---- memory: each allocation belongs to a process and ends with it ---- */

typedef struct allocation {
    struct allocation *next, *previous;
    process *owner;
    uint64_t reserved;
} allocation;

static process *owner_now(void) {
    if (machine.allocating) return machine.allocating;
    return machine.current ? machine.current->of : &machine.model;
}

static void enlist(allocation *it, process *owner) {
    it->owner = owner;
    it->previous = NULL;
    it->next = owner->memory;
    if (it->next) it->next->previous = it;
    owner->memory = it;
    owner->allocations++;
}

static void delist(allocation *it) {
    if (it->previous)
        it->previous->next = it->next;
    else
        it->owner->memory = it->next;
    if (it->next) it->next->previous = it->previous;
    it->owner->allocations--;
}

static void *allocate(void *context, size_t size) {
    (void)context;
    allocation *it = malloc(sizeof *it + size);
    if (!it) abort();
    enlist(it, owner_now());
    return it + 1;
}

static void release(void *context, void *memory) {
    (void)context;
    if (!memory) return;
    allocation *it = (allocation *)memory - 1;
    delist(it);
    free(it);
}

static void *reallocate(void *context, void *memory, size_t size) {
    if (!memory) return allocate(context, size);
    allocation *it = (allocation *)memory - 1;
    process *owner = it->owner;
    delist(it);
    it = realloc(it, sizeof *it + size);
    if (!it) abort();
    enlist(it, owner);
    return it + 1;
}

void machine_allocate_for(process *owner) {
    machine.allocating = owner;
}

long machine_live_allocations(void) {
    return machine.model.allocations;
}

static void free_all(process *of) {
    while (of->memory) {
        allocation *next = of->memory->next;
        free(of->memory);
        of->memory = next;
    }
    of->allocations = 0;
}

/* ---- threads ---- */

static uint8_t *take_stack(void) {
    if (machine.free_stacks) {
        void *stack = machine.free_stacks;
        memcpy(&machine.free_stacks, stack, sizeof(void *));
        return stack;
    }
    uint8_t *map = mmap(NULL, STACK_BYTES + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map, 4096, PROT_NONE)) abort();
    return map + 4096;
}

static void give_stack(uint8_t *stack) {
    memcpy(stack, &machine.free_stacks, sizeof(void *));
    machine.free_stacks = stack;
}

static __attribute__((noinline)) void leave_thread(void) {
    const int error = errno;
    if (!_setjmp(machine.current->context)) _longjmp(machine.scheduler, 1);
    errno = error;
}

static void begin(void) {
    thread *it = machine.current;
    it->run(it->argument);
    it->state = THREAD_ENDED;
    if (it->of != &machine.model) it->of->ended = true;
    leave_thread();
    abort();
}

static __attribute__((noinline)) void enter_thread(thread *it) {
    machine.current = it;
    if (_setjmp(machine.scheduler)) return;
    if (it->begun) _longjmp(it->context, 1);
    it->begun = true;
    setcontext(&it->start);
}

static thread *make_thread(process *of, void *(*run)(void *argument), void *argument) {
    thread *it = calloc(1, sizeof *it);
    if (!it) abort();
    it->of = of;
    it->run = run;
    it->argument = argument;
    it->stack = take_stack();
    getcontext(&it->start);
    it->start.uc_stack.ss_sp = it->stack;
    it->start.uc_stack.ss_size = STACK_BYTES;
    makecontext(&it->start, begin, 0);
    it->next = machine.threads;
    machine.threads = it;
    return it;
}

static void free_thread(thread *it) {
    for (thread **at = &machine.threads; *at; at = &(*at)->next) {
        if (*at != it) continue;
        *at = it->next;
        break;
    }
    give_stack(it->stack);
    free(it);
}

static void run_thread(thread *it, int steps) {
    process *of = it->of;
    const bool burns = of->fuse > 0;
    if (burns && of->fuse < steps) steps = of->fuse;
    machine_steps_left = steps;
    enter_thread(it);
    const int used = steps - (machine_steps_left > 0 ? machine_steps_left : 0);
    machine.current = NULL;
    machine_steps_left = INT_MAX;
    if (of->ended) {
        kernel_release(of);
        free_thread(it);
        of->main = NULL;
        return;
    }
    if (burns && (of->fuse -= used) <= 0) {
        of->fuse = 0;
        machine_kill(of);
    }
}

void machine_decide(void) {
    if (!machine.current) {
        machine_steps_left = INT_MAX;
        return;
    }
    leave_thread();
}

void machine_block(uint64_t due) {
    thread *it = machine.current;
    if (!it) abort();
    it->state = THREAD_POLLING;
    it->woken = false;
    it->due = due;
    if (machine_on_idle) machine_on_idle(it->of);
    leave_thread();
}

void machine_sleep(uint64_t milliseconds) {
    thread *it = machine.current;
    it->state = THREAD_ASLEEP;
    it->due = machine.now + milliseconds * 1000000u;
    leave_thread();
}

void machine_wait(void) {
    if (!machine.current->woken) machine_block(UINT64_MAX);
    machine.current->woken = false;
}

void machine_wake(thread *it) {
    if (it) it->woken = true;
}

static bool can_run(const thread *it) {
    switch (it->state) {
    case THREAD_READY: return true;
    case THREAD_POLLING: return it->woken || it->due <= machine.now;
    case THREAD_ASLEEP: return it->due <= machine.now;
    case THREAD_ENDED: break;
    }
    return false;
}

/* Mostly a few steps, so that threads meet in the middle of what they do; at times many. */
static int random_steps(void) {
    const uint64_t bits = machine_random();
    switch (bits & 7) {
    case 0: return 1;
    case 1:
    case 2: return 1 + (int)(bits >> 8 & 7);
    case 3:
    case 4:
    case 5: return 1 + (int)(bits >> 8 & 63);
    default: return 1 + (int)(bits >> 8 & 1023);
    }
}

bool machine_run_any(void) {
    thread *ready[32];
    uint32_t count = 0;
    for (thread *it = machine.threads; it && count < 32; it = it->next)
        if (can_run(it)) ready[count++] = it;
    if (!count) return false;
    thread *it = ready[count > 1 ? machine_below(count) : 0];
    it->state = THREAD_READY;
    run_thread(it, random_steps());
    return true;
}

bool machine_pass_time(uint64_t limit) {
    uint64_t next = UINT64_MAX;
    for (thread *it = machine.threads; it; it = it->next)
        if (it->state != THREAD_ENDED && it->due < next) next = it->due;
    if (next == UINT64_MAX || next > limit) return false;
    if (next > machine.now) machine.now = next;
    return true;
}

uint64_t machine_now(void) {
    return machine.now;
}

void machine_pass(uint64_t nanoseconds) {
    machine.now += nanoseconds;
}

/* ---- processes ---- */

static void *run_process(void *argument) {
    process *self = argument;
    self->run(self);
    return NULL;
}

process *machine_start(void (*run)(process *self), void *role) {
    process *it = calloc(1, sizeof *it);
    if (!it) abort();
    it->pid = ++machine.last_pid;
    it->run = run;
    it->role = role;
    it->main = make_thread(it, run_process, it);
    it->next = machine.processes;
    machine.processes = it;
    return it;
}

thread *machine_current(void) {
    return machine.current;
}

process *machine_self(void) {
    return machine.current ? machine.current->of : NULL;
}

void machine_kill(process *victim) {
    if (victim->ended) return;
    victim->ended = victim->killed = true;
    if (machine_on_killed) machine_on_killed(victim);
    kernel_release(victim);
    free_all(victim);
    free_thread(victim->main);
    victim->main = NULL;
}

void machine_init(void) {
    static const cre_allocator allocator = { .allocate = allocate,
                                             .reallocate = reallocate,
                                             .release = release };
    if (cre_set_allocator(&allocator)) abort();
}

void machine_reset(void) {
    for (process *it = machine.processes, *next; it; it = next) {
        next = it->next;
        free_all(it);
        free(it);
    }
    while (machine.threads)
        free_thread(machine.threads);
    free_all(&machine.model);
    machine.processes = NULL;
    machine.allocating = NULL;
    machine.now = 1000000000u;
    machine.last_pid = 100;
    machine.model.pid = 100;
    kernel_reset();
}

/* ---- calls of the library about processes, threads and time ---- */

pid_t __wrap_getpid(void);
pid_t __wrap_getpid(void) {
    return machine.current ? machine.current->of->pid : machine.model.pid;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now) {
    (void)clock;
    now->tv_sec = (time_t)(machine.now / 1000000000u);
    now->tv_nsec = (long)(machine.now % 1000000000u);
    return 0;
}

uint64_t uv_hrtime(void) {
    machine.now += 100;
    return machine.now;
}

/* The only threads are those of reactors, in the model's process. */
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *argument),
                          void *argument);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *argument),
                          void *argument) {
    (void)attributes;
    thread *it = make_thread(&machine.model, run, argument);
    *out = (pthread_t)it;
    return 0;
}

int __wrap_pthread_join(pthread_t which, void **result);
int __wrap_pthread_join(pthread_t which, void **result) {
    (void)result;
    thread *it = (thread *)which;
    for (int i = 0; it->state != THREAD_ENDED; i++) {
        if (i > 1000000) abort();
        if (!machine_run_any() && !machine_pass_time(UINT64_MAX)) abort();
    }
    free_thread(it);
    return 0;
}

int __wrap_sem_init(sem_t *it, int shared, unsigned value);
int __wrap_sem_init(sem_t *it, int shared, unsigned value) {
    (void)shared;
    *(unsigned *)(void *)it = value;
    return 0;
}

int __wrap_sem_post(sem_t *it);
int __wrap_sem_post(sem_t *it) {
    ++*(unsigned *)(void *)it;
    return 0;
}

int __wrap_sem_destroy(sem_t *it);
int __wrap_sem_destroy(sem_t *it) {
    (void)it;
    return 0;
}

int __wrap_sem_wait(sem_t *it);
int __wrap_sem_wait(sem_t *it) {
    while (!*(unsigned *)(void *)it)
        if (!machine_run_any()) abort();
    --*(unsigned *)(void *)it;
    return 0;
}
