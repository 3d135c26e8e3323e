/*
 * The Swift runtime's exported but undocumented points at which a loop can become the main actor's executor,
 * the main dispatch queue can be served by a loop, and the running task has a name. All are weak symbols: a
 * runtime without them is detected and does not crash.
 */
#ifndef CEXECUTORHOOK_H
#define CEXECUTORHOOK_H

#include <stdbool.h>
#include <stdint.h>

/** Makes the serial executor of these two words (an UnownedSerialExecutor, bit for bit) the main actor's in
 * this process, until ceh_restore_main_executor. It may replace another one. False when the runtime has no
 * hook for it. */
bool ceh_install_main_executor(uintptr_t identity, uintptr_t implementation);

/** Restores the executor that the main actor had before ceh_install_main_executor. Without one installed it
 * does nothing. */
void ceh_restore_main_executor(void);

/** The address of the task that the calling thread runs, which is its name while it exists; 0 when there is
 * none, or when the runtime lacks a function for it. */
uintptr_t ceh_current_task(void);

/** Whether the task that ceh_current_task has named, which must exist, is cancelled. */
bool ceh_is_cancelled(uintptr_t task);

/** A descriptor that is readable when the main dispatch queue has work; -1 when there is none, as in a
 * process whose main thread has left its queue to others. The first call in each process replaces what has
 * the number of a descriptor that a parent process made: make it before much else is opened. It must not be
 * closed. */
int ceh_main_queue_descriptor(void);

/** Runs the work of the main dispatch queue. Call it on the main thread. */
void ceh_main_queue_run(int descriptor);

/** Runs the work that the main dispatch queue has now, if the calling thread is the one that serves that
 * queue. */
void ceh_main_queue_run_pending(void);

#endif
