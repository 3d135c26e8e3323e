/* What a link needs of an engine: the table of commands, used by engines and by the workers that send them.
 */
#ifndef CRE_ENGINE_COMMAND_H
#define CRE_ENGINE_COMMAND_H

#include <creactor/engine.h>
#include <creactor/record.h>

struct cre__response;

typedef struct cre__command_rule {
    /* Whether the payload is valid by itself: 0 or a negative error. The parts are used up. */
    int (*check)(const cre_record *command, cre_slice *parts, int count);
    uint16_t states; /* bits of cre_connection_state in which it has a meaning */
    int16_t misfit;  /* the error in a state in which it has none */
    uint8_t traits;  /* CRE__COMMAND_* */
} cre__command_rule;

enum {
    CRE__COMMAND_QUEUES = 1,          /* a sender refuses it when the connection's queue is full */
    CRE__COMMAND_FINAL_QUEUES = 2,    /* ...also when it has CRE_RECORD_FINAL */
    CRE__COMMAND_RESETS = 4,          /* when it is lost and final, the connection must be reset */
    CRE__COMMAND_PUBLISHES = 8,       /* it is for the connections of all owners */
    CRE__COMMAND_WITHOUT_STREAM = 16, /* its session is 0, or the one to except */
    CRE__COMMAND_FIELDS = 32,         /* it has fields of HTTP, which are sent as they are */
};

/* The rule of a kind; NULL: there is no such command. */
const cre__command_rule *cre__command_rule_of(uint8_t kind);

/* Whether a command is valid by itself: 0 or CRE_EINVALID. A sender checks before it sends, so an owner that
 * receives an invalid one knows that its sender is broken. */
int cre__command_check(const cre_record *command, const cre_slice *parts, int count);

/* Whether it has a meaning for a connection in this state: 0 or a negative error. */
int cre__command_fits(const cre__command_rule *rule, int state);

/* Carries out a command that came over a link, where its sender counts it as accepted: when the queue is full
 * the connection ends instead of losing a part of its stream. Without memory it is lost, as below. */
int cre__command_accepted(cre_engine *engine, const cre_record *command, const cre_slice *parts, int count);

/* Checks a command that came over a link and carries it out, as the two functions above. Returns the result
 * of cre__command_check. */
int cre__command_receive(cre_engine *engine, const cre_record *command, const cre_slice *payload);

/* Carries out a RESPOND that was read, `flags` are its own, to the oldest request of one of the engine's
 * connections. Returns 0 or a negative error as cre_engine_command. For any other session or request, or an
 * invalid status, it returns 1 and does nothing. */
int cre__command_respond(cre_engine *engine, cre_session session, uint8_t request, uint16_t flags,
                         const struct cre__response *response, const cre_slice *body);

/* Carries out a command of this process that answers with a file, as cre_engine_command. `descriptor` is the
 * file, opened before, which is closed in any case; -1: the engine opens it. With a descriptor the command
 * has the range, or the state, in which the file was found then. */
int cre__command_with_file(cre_engine *engine, const cre_record *command, const cre_slice *parts, int count,
                           int descriptor);

/* A command that came over a link was lost for want of memory: its connection ends, since its stream has a
 * hole; published messages and datagrams are counted. */
void cre__command_lost(cre_engine *engine, const cre_record *command);

/* As cre__command_lost, but the link has dropped it because the server is over its memory budget. */
void cre__command_shed(cre_engine *engine, const cre_record *command);

/* What a link holds for the connections of an engine. */
typedef struct cre__transit {
    const uint64_t
        *held; /* bytes, which count as those of the connections do; NULL: the link counts nothing */
    /* Visits the commands that have not arrived completely, and drops those for which `visit` returns true.
     */
    void (*each)(void *link, bool (*visit)(void *context, const cre_record *command, size_t bytes),
                 void *context);
    /* Takes back what receivers have freed, so that it is no longer held. NULL: that is done at once. */
    void (*reclaim)(void *link);
    void *link;
} cre__transit;

/* `transit` is copied; NULL: the link has ended. What it refers to lives until then, or until the engine is
 * destroyed. */
void cre__engine_set_transit(cre_engine *engine, const cre__transit *transit);

/* Has large messages of WebSockets collected in `memory`, which is copied. What is taken from it is given
 * back when connections are freed, the last ones with the loop. */
void cre__engine_set_message_memory(cre_engine *engine, const cre_ws_memory *memory);

/* Compares what the connection table shows of some of the engine's connections, or of all when something was
 * overwritten, and writes that again. Returns how much was overwritten. To be called now and then. */
uint64_t cre__engine_repair(cre_engine *engine);

/* Counts values that others have overwritten, and that the owner of the engine has repaired. */
void cre__engine_count_repaired(cre_engine *engine, uint64_t count);

/* While an event is emitted: the worker that gets it. */
uint16_t cre__engine_event_worker(const cre_engine *engine);

#endif
