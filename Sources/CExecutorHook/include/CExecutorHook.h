/*
 * The Swift runtime's exported but undocumented points at which a loop can become the main actor's executor,
 * and the main dispatch queue can be served by a loop. All are weak: a runtime without them is noticed, not
 * crashed on.
 */
#ifndef CEXECUTORHOOK_H
#define CEXECUTORHOOK_H

#include <stdbool.h>
#include <stdint.h>

/** Makes the serial executor of these two words (an UnownedSerialExecutor, bit for bit) the main actor's, in
 * this process, for ever. False when the runtime has no hook for it. */
bool ceh_install_main_executor(uintptr_t identity, uintptr_t implementation);

/** A descriptor that is readable when the main dispatch queue has work; -1 when there is none to be had. Call
 * it once in each process, before it opens much: a descriptor of the same number is replaced. */
int ceh_main_queue_descriptor(void);

/** Runs what the main dispatch queue has. */
void ceh_main_queue_run(int descriptor);

#endif
