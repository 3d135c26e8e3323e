/* What the link needs of commands beyond carrying them. */
#ifndef CRE_ENGINE_COMMAND_H
#define CRE_ENGINE_COMMAND_H

#include <creactor/engine.h>
#include <creactor/record.h>

/* Whether a command makes sense by itself: 0 or CRE_EINVALID. A sender checks before it sends, so that an
 * owner who gets one that does not knows that its sender is broken. */
int cre__command_check(const cre_record *command, const cre_slice *parts, int count);

/* cre_engine_command for a command that came over a link: nobody hears of its result, so a frame that does
 * not fit in the queue is never left out of the stream; the connection ends instead. Without memory it is
 * lost, as below. */
int cre__command_late(cre_engine *engine, const cre_record *command, const cre_slice *parts, int count);

/* A command that came over a link and was lost for want of memory: its connection ends, since what follows
 * would have a hole; what was published or sent to an address is counted. */
void cre__command_lost(cre_engine *engine, const cre_record *command);

#endif
