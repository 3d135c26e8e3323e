/* Tasks and messages between processes, and what each process shows of what it is at. */
#include <creactor/error.h>
#include <creactor/internal/task.h>
#include <string.h>
#include <time.h>

#include "runtime/worker_internal.h"

#define KIND_SHIFT 4

/* Of task_ended: positions are even. */
#define NOT_ENDED 1u

static const char died[] = "the task worker died in it", no_room[] = "there was no room for its result";

static uint64_t load(_Atomic uint64_t *value) {
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* ---- posting ---- */

static uint64_t waiting_for(const cre_worker *worker, uint32_t node) {
    cre__activity_block *activity = &worker->config.bus->activities[node];
    uint64_t given = load(&activity->tasks_given), done = load(&activity->tasks_done);
    return given > done ? given - done : 0;
}

/* The one with the least to do; of several the one behind the last choice. */
static uint32_t least_busy(cre_worker *worker) {
    const cre_worker_config *config = &worker->config;
    uint32_t best = UINT32_MAX;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 1; i <= config->task_count && least; i++) {
        uint32_t index = (worker->last_choice + i) % config->task_count, node = config->first_task + index;
        uint64_t waiting = waiting_for(worker, node);
        if (node == config->node || waiting >= least) continue;
        least = waiting;
        best = index;
    }
    worker->last_choice = best == UINT32_MAX ? 0 : best;
    return best;
}

int cre_task_post(cre_worker *worker, int chosen, cre_task_kind kind, const void *data, size_t length,
                  cre_task_posting *posting) {
    const cre_worker_config *config = &worker->config;
    uint32_t index = chosen < 0 ? least_busy(worker) : (uint32_t)chosen;
    if (index >= config->task_count) return CRE_EINVALID;
    uint32_t node = config->first_task + index;
    cre__activity_block *own = cre__own_activity(worker);
    uint64_t number = worker->last_task + 1;
    *posting = (cre_task_posting){ .number = number, .node = node, .waiting = waiting_for(worker, node) };
    cre_record record = { .kind = CRE_MESSAGE_TASK, .opcode = (uint8_t)kind, .session = number };
    cre_slice part = { data, length };
    /* Before the task is out: a successor uses no number twice, but may skip one. */
    atomic_store_explicit(&own->last_task, number, memory_order_relaxed);
    int result = cre__worker_send(worker, node, &record, &part, 1);
    if (result) return result;
    worker->last_task = number;
    atomic_fetch_add_explicit(&config->bus->activities[node].tasks_given, 1, memory_order_relaxed);
    return 0;
}

int cre_worker_send_message(cre_worker *worker, uint32_t node, const void *data, size_t length) {
    cre_record record = { .kind = CRE_MESSAGE_PIPE };
    cre_slice part = { data, length };
    return cre__worker_send(worker, node, &record, &part, 1);
}

/* ---- working on a task ----
 *
 * The process may be killed at any step, and its successor reads from shared memory what to do. A task is
 * published as being in hand before it is taken, with the position of its ring then: when the ring is not
 * there, the successor takes it. The position that is behind its end in the poster's ring is published before
 * that end is: when the ring is there, the poster knows. In between the task died with its process.
 */

/* Does not publish the record. */
static int answer(cre_worker *worker, cre_task_status status, bool final, const void *data, size_t length) {
    const uint64_t task = worker->task;
    const uint32_t kind = worker->task_kind;
    if (!task || kind == CRE_TASK_ONE_WAY) return CRE_EGONE;
    cre_record record = { .kind = CRE_MESSAGE_RESULT,
                          .opcode = (uint8_t)((uint32_t)status | kind << KIND_SHIFT),
                          .flags = final ? CRE_RECORD_FINAL : 0,
                          .session = task };
    cre_slice part = { data, length };
    return cre_node_send(worker->node, worker->task_from, &record, &part, 1);
}

int cre_task_answer(cre_worker *worker, cre_task_status status, const void *data, size_t length) {
    if (status != CRE_TASK_RESULT) return CRE_EINVALID;
    int result = answer(worker, status, false, data, length);
    if (worker->immediate) cre_node_flush(worker->node);
    return result;
}

void cre_task_suspend(cre_worker *worker) {
    cre_node_set_paused(worker->node, true);
    worker->suspended = true;
}

static void retract_task(cre_worker *worker) {
    worker->task = 0;
    atomic_store_explicit(&cre__own_activity(worker)->task, 0, memory_order_release);
}

static void forget_task(cre_worker *worker) {
    retract_task(worker);
    atomic_fetch_add_explicit(&cre__own_activity(worker)->tasks_done, 1, memory_order_relaxed);
}

/* Counts a task once: it may end inside its callback. */
static void count_task(cre_worker *worker, uint64_t number) {
    if (!worker->task_began_ns) return;
    const uint64_t ns = cre__call_clock() - worker->task_began_ns;
    worker->task_began_ns = 0;
    cre__count_call(worker, &(cre_record){ .kind = CRE_MESSAGE_TASK, .session = number }, NULL, ns);
}

void cre_task_end(cre_worker *worker, cre_task_status status, const void *data, size_t length) {
    cre__activity_block *activity = cre__own_activity(worker);
    if (!worker->task) return;
    if (worker->suspended) count_task(worker, worker->task);
    int result = answer(worker, status, true, data, length);
    if (result && status == CRE_TASK_RESULT) {
        status = CRE_TASK_FAILED;
        result = answer(worker, status, true, no_room, strlen(no_room));
    }
    /* Without a text there is room in the reserve for small records. */
    if (result && result != CRE_EGONE) result = answer(worker, status, true, NULL, 0);
    if (!result)
        atomic_store_explicit(&activity->task_ended, cre__node_sent(worker->node, worker->task_from),
                              memory_order_release);
    cre_node_flush(worker->node);
    forget_task(worker);
    if (!worker->suspended) return;
    worker->suspended = false;
    cre_node_set_paused(worker->node, false);
}

static bool is_task(const cre_worker *worker, const cre_record *record) {
    return record->kind == CRE_MESSAGE_TASK && cre__is_task_worker(worker) && record->session &&
           record->opcode <= CRE_TASK_ONE_WAY;
}

void cre__task_taking(void *context, uint32_t from, const cre_record *record, uint64_t mark) {
    cre_worker *worker = context;
    cre__activity_block *activity = cre__own_activity(worker);
    if (!is_task(worker, record)) return;
    atomic_store_explicit(&activity->task_from, from, memory_order_relaxed);
    atomic_store_explicit(&activity->task_kind, record->opcode, memory_order_relaxed);
    atomic_store_explicit(&activity->task_taken, mark, memory_order_relaxed);
    atomic_store_explicit(&activity->task_ended, NOT_ENDED, memory_order_relaxed);
    atomic_store_explicit(&activity->task, record->session, memory_order_release);
}

static void begin_task(cre_worker *worker, uint32_t from, const cre_record *task) {
    worker->task = task->session;
    worker->task_from = from;
    worker->task_kind = task->opcode;
    worker->task_began_ns = cre__call_clock();
}

/* What became of the task that a predecessor has published as being in hand. */
static void end_inherited_task(cre_worker *worker) {
    const cre_bus *bus = worker->config.bus;
    const uint32_t node = worker->config.node, from = worker->task_from;
    const cre__activity_block *activity = cre__own_activity(worker);
    if (from >= bus->config.nodes || cre__bus_taken(bus, from, node) != atomic_load(&activity->task_taken))
        retract_task(worker);
    else if (cre__bus_published(bus, node, from) == atomic_load(&activity->task_ended))
        forget_task(worker);
    else
        cre_task_end(worker, CRE_TASK_CRASHED, died, strlen(died));
}

void cre__take_over_activity(cre_worker *worker) {
    cre__activity_block *activity = cre__own_activity(worker);
    worker->last_task = load(&activity->last_task);
    worker->task = load(&activity->task);
    worker->task_from = atomic_load_explicit(&activity->task_from, memory_order_relaxed);
    worker->task_kind = atomic_load_explicit(&activity->task_kind, memory_order_relaxed);
    if (worker->task) end_inherited_task(worker);
    atomic_store_explicit(&activity->since_ms, 0, memory_order_relaxed);
    atomic_store_explicit(&activity->ending, 0, memory_order_relaxed);
}

/* Tasks are counted as given by their posters and as done here. Without a task anywhere both are the same; a
 * poster has published its task a moment before it counts it. */
static uint32_t repair_counts(cre_worker *worker) {
    cre__activity_block *activity = cre__own_activity(worker);
    uint64_t surplus = load(&activity->tasks_given) - load(&activity->tasks_done), before = worker->surplus;
    worker->surplus = surplus;
    if (!surplus || surplus != before || worker->task || cre__node_has_unread(worker->node)) return 0;
    worker->surplus = 0;
    atomic_fetch_sub_explicit(&activity->tasks_given, surplus, memory_order_relaxed);
    return 1;
}

uint32_t cre__activity_repair(cre_worker *worker) {
    cre__activity_block *activity = cre__own_activity(worker);
    uint32_t repaired = cre__is_task_worker(worker) ? repair_counts(worker) : 0;
    if (!load(&activity->since_ms)) return repaired;
    atomic_store_explicit(&activity->since_ms, 0, memory_order_relaxed);
    return repaired + 1;
}

/* ---- what comes ---- */

int cre__message(cre_worker *worker, uint32_t from, const cre_record *record, uint8_t *payload) {
    const cre_worker_config *config = &worker->config;
    const bool task = is_task(worker, record);
    if (record->kind == CRE_MESSAGE_TOPICS)
        return worker->engine ? cre__answer_topics(worker->node, worker->engine, from, record, payload)
                              : CRE_EINVALID;
    if (record->kind == CRE_MESSAGE_COUNT)
        return worker->engine ? cre__answer_count(worker->node, worker->engine, from, record, payload)
                              : CRE_EINVALID;
    if (record->kind == CRE_MESSAGE_ANSWER && !cre__answer_is_valid(worker, from, record))
        return CRE_EINVALID;
    const bool is_count = record->kind == CRE_MESSAGE_COUNTED;
    if (is_count && !cre__count_is_valid(worker, from, record)) return CRE_EINVALID;
    if (record->kind == CRE_MESSAGE_RECOVERED) return cre__worker_recovered(worker, from, record, payload);
    const bool is_change = record->kind == CRE_MESSAGE_MEMBER;
    if (is_change && !cre__change_is_valid(worker, from, record, payload)) return CRE_EINVALID;
    if (record->kind >= CRE_MESSAGE_INTEREST && record->kind != CRE_MESSAGE_ANSWER && !is_change && !is_count)
        return cre__gateway_record(&worker->interest, worker->engine, from, record, payload);
    if (record->kind == CRE_MESSAGE_TASK && !task) return CRE_EINVALID;
    if (task) begin_task(worker, from, record);
    cre__activity_state before = cre__activity_begin(worker, record->kind, record->session);
    if (task) cre_worker_set_immediate(worker, true);
    const bool is_timed = !task && cre__is_sampled(worker);
    if (is_timed) cre__begin_timed(worker, record->kind);
    if (config->on_message) config->on_message(config->context, from, record, payload);
    if (is_timed) cre__end_timed(worker);
    if (task) cre_worker_set_immediate(worker, false);
    if (task && !worker->suspended) count_task(worker, record->session);
    cre__activity_restore(worker, before);
    if (task && !worker->suspended) cre_task_end(worker, CRE_TASK_DONE, NULL, 0);
    return task; /* it may have taken long: signals and timers come before the next one */
}

/* A task that cannot be begun. */
static void end_unread(cre_worker *worker, uint32_t from, const cre_record *record, cre_task_status status,
                       const char *text) {
    if (!is_task(worker, record)) return;
    begin_task(worker, from, record);
    cre_task_end(worker, status, text, strlen(text));
}

void cre__message_lost(cre_worker *worker, uint32_t from, const cre_record *record) {
    end_unread(worker, from, record, CRE_TASK_FAILED, "the task worker has no memory for it");
}

void cre__message_crashed(cre_worker *worker, uint32_t from, const cre_record *record) {
    end_unread(worker, from, record, CRE_TASK_CRASHED, died);
}

/* ---- what a process is at ---- */

bool cre_worker_set_activity(cre_worker *worker, uint32_t kind) {
    cre__activity_block *activity = cre__own_activity(worker);
    if (!activity) return false; /* it is the predecessor's */
    if (!kind) {
        if (worker->began_ns) cre__end_timed(worker);
        atomic_store_explicit(&activity->since_ms, 0, memory_order_relaxed);
        cre__node_publish(worker->node); /* what it sent is out before the next activity begins */
    } else if (load(&activity->since_ms))
        return false;
    else {
        cre__activity_begin(worker, kind, 0);
        /* The start may load much; code that continues a task is part of that. */
        const bool is_counted = kind == CRE_AT_TIMER || (kind == CRE_AT_JOB && !worker->task);
        if (is_counted && cre__is_sampled(worker)) cre__begin_timed(worker, kind);
    }
    return true;
}

void cre_worker_set_ending(cre_worker *worker, uint32_t why) {
    atomic_store_explicit(&cre__own_activity(worker)->ending, why, memory_order_relaxed);
}

void cre_bus_get_activity(const cre_bus *bus, uint32_t node, cre_activity *activity) {
    *activity = (cre_activity){ 0 };
    if (node >= bus->config.nodes) return;
    cre__activity_block *shown = &bus->activities[node];
    uint64_t since = load(&shown->since_ms);
    activity->running = since != 0;
    if (since) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
        activity->running_ms = now_ms > since ? now_ms - since : 0;
    }
    activity->kind = atomic_load_explicit(&shown->kind, memory_order_relaxed);
    activity->session = load(&shown->session);
    activity->ending = atomic_load_explicit(&shown->ending, memory_order_relaxed);
    activity->served = load(&shown->served);
    activity->tasks_given = load(&shown->tasks_given);
    activity->tasks_done = load(&shown->tasks_done);
    activity->turns = __atomic_load_n(&cre__bus_loop_stats(bus, node)->turns, __ATOMIC_RELAXED);
}
