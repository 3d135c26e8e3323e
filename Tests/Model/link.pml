/*
 * A model of the link between a reactor and a worker that may die at any step: the rings, their spills, and the
 * wake-ups of Sources/CReactor/link. scripts/check-model checks it with Spin.
 *
 * The reactor sends messages of one or two records; the worker answers each before it takes the next one, and each
 * time it dies another process takes its place. What is checked in all states that can be reached:
 *
 * - answers arrive in order, none twice, and none is put together from two messages;
 * - when nothing can happen any more, everything that was sent has been read: no wake-up is lost, and nobody waits
 *   for room that there is;
 * - each death costs at most the message in hand;
 * - a payload in an arena stays what it was until its receiver has served it, and, if that has returned it, until its
 *   sender has served the answer.
 *
 * A step is one access to shared memory, in the order of the C code. Not modelled: reordering by the CPU (the C code
 * has the fences), lengths and fillers, processes that write where they must not, and the check once a second,
 * without which all of this must hold.
 *
 * With BLOCKS, messages have one record each, and those for which a block of the arena is free have their payload
 * there: the record refers to it. With RETURNS, too, the answer to such a message refers to the same block.
 *
 * WAKE_ONCE, LOOK_ONCE, LOOK_FIRST and SPILL_FIRST, with BLOCKS also FREE_TAKEN and FORGET_SENT, and with RETURNS
 * FREE_RETURNED and TAIL_FIRST, each skip one rule of the protocol: with any of them the check must fail.
 */
#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef RING
#define RING 2 /* records */
#endif
#define SPILL  8 /* records, of which half may be used */
#ifdef BLOCKS
#define RECORDS(number) 1
#else
#define RECORDS(number) (1 + (number) % 2) /* of a message */
#endif
#define LIMIT  2 /* records that may queue in the spill before senders wait */

/* A direction has the name of its receiver. */
#define WORKER  0
#define REACTOR 1

/* A record: the number of its message, and whether it is the first and the last one of it. Nothing is 0. */
#define RECORD(number, first, last) ((number) * 4 + (first) * 2 + (last))
#define NUMBER(record)   ((record) / 4)
#define IS_FIRST(record) ((record) & 2)
#define IS_LAST(record)  ((record) & 1)

#define DISTANCE(from, to) (((to) - (from)) & 255)

/* ---- shared memory ---- */

byte ring[2 * RING], tail[2], head[2], taken[2];
byte spill[2 * SPILL], spill_tail[2], spill_taken[2], spill_begin[2];
bit producer_waits[2];
#ifdef BLOCKS
byte block[2 * BLOCKS];   /* the number of the message of which it has the payload */
byte reference[2 * RING]; /* of a record in the ring: its block, counted from 1; 0: none; from RETURNED on: the
                             block of the other direction that is returned */
#define RETURNED 64
#endif
bit sleeping[2], eventfd[2];

/* ---- what is known outside ---- */

byte sent;     /* messages, by the reactor */
byte answered; /* the last message whose answer arrived */
byte answers, refused, deaths;
bit kill;

/* ---- the sending side: ring.c, spill.c, arena.c, send.c ---- */

#ifdef BLOCKS

/* What a predecessor has sent may still be read. */
inline restore_sent(to) {
    d_step {
        at = other;
        do
        :: at != own ->
            claimed = reference[to * RING + at % RING];
            at++;
            if
            :: claimed && claimed < RETURNED -> block_end[claimed - 1] = at; in_use[claimed - 1] = 1
            :: else
            fi
        :: else -> break
        od;
        at = 0;
        claimed = 0
    }
}

#ifdef RETURNS
/* Sets `piece`, the position up to which records were freed, back to what it was before those that answers on their
 * way may refer to. Nobody returns what goes to the reactor. */
inline look_at_answers(to) {
#ifndef TAIL_FIRST
    back = tail[REACTOR];
#endif
    d_step {
        if
        :: to == WORKER && in_published != back ->
            if
            :: waits && DISTANCE(barrier, in_published) < 128 ->
                at = freed;
                waits = 0
            :: else -> at = safe
            fi;
            if
            :: !waits ->
                waits = 1;
                freed = piece;
                barrier = back
            :: else
            fi;
#ifndef FREE_RETURNED
            piece = at;
#endif
            at = 0
        :: else -> waits = 0
        fi;
        safe = piece;
        back = 0
    }
}
#endif

/* Sets `claimed`, counted from 1; 0: all are in use. */
inline take_block(to, number) {
#ifdef TAIL_FIRST
    back = tail[REACTOR];
#endif
#ifdef FREE_TAKEN
    piece = taken[to];
#else
    piece = head[to];
#endif
#ifdef RETURNS
    look_at_answers(to);
#endif
    d_step {
        claimed = 0;
        at = 0;
        do
        :: at < BLOCKS ->
            if
            :: in_use[at] && DISTANCE(block_end[at], piece) < 128 -> in_use[at] = 0; block_end[at] = 0
            :: else
            fi;
            if
            :: !in_use[at] -> claimed = at + 1
            :: else
            fi;
            at++
        :: else -> break
        od;
        at = 0
    }
    if
    :: claimed -> block[to * BLOCKS + claimed - 1] = number
    :: else
    fi
}
#endif

inline open_outbound(to) {
    d_step {
        own = tail[to];
        published = own;
        spill_own = spill_tail[to];
        spill_published = spill_own
    }
    other = head[to];
    d_step {
        begin = spill_begin[to];
        spilling = 1;
        dirty = 1;
        congested = 0;
        unwoken = 0
    }
#if defined(BLOCKS) && !defined(FORGET_SENT)
    restore_sent(to)
#endif
}

/* Sets `queued`. */
inline look_at_spill(to) {
    d_step {
        queued = DISTANCE(spill_taken[to], spill_own);
        gap = DISTANCE(spill_taken[to], begin);
        queued = (gap <= queued -> queued - gap : queued);
        gap = 0
    }
}

inline update_spilling(to) {
    if
    :: spilling ->
        look_at_spill(to);
        if
        :: queued == 0 -> spilling = 0
        :: else
        fi
    :: else -> queued = 0
    fi
}

inline write_to_ring(to, record) {
    if
    :: own + 1 - other > RING -> other = head[to]
    :: else
    fi;
    d_step {
        if
        :: own + 1 - other > RING -> written = 0
        :: else ->
            ring[to * RING + own % RING] = record;
#ifdef BLOCKS
            reference[to * RING + own % RING] = claimed;
            if
            :: claimed && claimed < RETURNED -> in_use[claimed - 1] = 1; block_end[claimed - 1] = own + 1
            :: else
            fi;
#endif
            own++;
            written = 1
        fi
    }
}

inline write_to_spill(to, record) {
    look_at_spill(to);
    d_step {
        if
        :: queued + 1 > SPILL / 2 -> written = 0
        :: else ->
            if
            :: queued == 0 ->
                /* begins again at the beginning of the part */
                spill_own = spill_own + (SPILL - spill_own % SPILL) % SPILL;
                begin = spill_own
            :: else
            fi;
            spill[to * SPILL + spill_own % SPILL] = record;
            spill_own++;
            written = 1
        fi
    }
}

/* Sets `written`: whether the message was accepted. */
inline send(to, number, records) {
    update_spilling(to);
    if
    :: queued && queued + records > LIMIT ->
        written = 0;
        congested = 1
    :: else ->
        dirty = 1;
        ring_before = own;
        spill_before = spill_own;
        at = 0;
        do
        :: at < records ->
#ifdef BLOCKS
            if
            :: !spilling -> take_block(to, number)
            :: else
            fi;
#endif
            piece = RECORD(number, at == 0, at == records - 1);
            written = 0;
            if
            :: !spilling -> write_to_ring(to, piece)
            :: else
            fi;
            if
            :: !written ->
                write_to_spill(to, piece);
                congested = 1;
                if
                :: written -> spilling = 1
                :: else ->
                    own = ring_before;
                    spill_own = spill_before;
                    break
                fi
            :: else
            fi;
            at++
        :: else -> break
        od;
        at = 0;
        piece = 0;
#ifdef BLOCKS
        claimed = 0;
#endif
        ring_before = 0;
        spill_before = 0
    fi;
    queued = 0
}

#ifdef RETURNS
/* Sets `written`: whether the answer refers to the payload that is being served. */
inline return_payload(to, number) {
    update_spilling(to);
    queued = 0;
    if
    :: served && !spilling ->
        dirty = 1;
        claimed = RETURNED + served;
        write_to_ring(to, RECORD(number, 1, 1));
        claimed = 0
    :: else
    fi
}
#endif

inline publish_ring(to) {
    if
    :: own != published ->
        d_step {
            tail[to] = own;
            published = own
        }
        unwoken = 1
    :: else
    fi
}

/* The ring first: what is in it is older. */
inline publish(to) {
#ifndef SPILL_FIRST
    publish_ring(to);
#endif
    if
    :: spill_own != spill_published ->
        spill_begin[to] = begin;
        d_step {
            spill_tail[to] = spill_own;
            spill_published = spill_own
        }
        unwoken = 1
    :: else
    fi;
#ifdef SPILL_FIRST
    publish_ring(to)
#endif
}

/* Between the two the caller may die. */
inline wake(node) {
    if
    :: sleeping[node] ->
        d_step {
            woken = sleeping[node];
            sleeping[node] = 0
        }
        if
        :: woken -> eventfd[node] = 1
        :: else
        fi;
        woken = 0
    :: else
    fi
}

/* A process that died while it woke the node has perhaps cleared `sleeping` and not written the eventfd. */
inline wake_always(node) {
#ifndef WAKE_ONCE
    sleeping[node] = 1;
#endif
    wake(node)
}

/* Clears `congested` when there is room. */
inline flush(to) {
    publish(to);
    if
    :: unwoken ->
        unwoken = 0;
        wake(to)
    :: else
    fi;
    if
    :: dirty ->
        update_spilling(to);
        if
        :: spilling ->
            producer_waits[to] = 1;
            update_spilling(to)
        :: else
        fi;
        if
        :: !spilling ->
            dirty = 0;
            congested = 0
        :: else
        fi;
        queued = 0
    :: else
    fi
}

/* ---- the receiving side: ring.c, spill.c, node.c ---- */

inline wake_producer(from, node) {
    if
    :: producer_waits[node] ->
        d_step {
            woken = producer_waits[node];
            producer_waits[node] = 0
        }
        if
        :: woken -> wake(from)
        :: else
        fi;
        woken = 0
    :: else
    fi
}

inline open_inbound(from, node) {
    d_step {
        in_own = taken[node];
        in_other = in_own;
        in_published = head[node];
        spill_in = spill_taken[node];
        partial = 0
    }
    if
    :: spill_tail[node] == spill_in ->
        /* a predecessor took it */
        producer_waits[node] = 0;
        wake_always(from)
    :: else
    fi
}

/* Sets `record`, 0 when there is none in the ring. */
inline read_ring(node) {
    if
    :: in_own == in_other -> in_other = tail[node]
    :: else
    fi;
    if
    :: in_own != in_other ->
        d_step {
            record = ring[node * RING + in_own % RING];
            assert(record);
#ifdef BLOCKS
            served = reference[node * RING + in_own % RING];
            served_number = NUMBER(record);
#endif
            in_own++;
            taken[node] = in_own
        }
    :: else -> record = 0
    fi
}

inline read_spill(from, node, end) {
    d_step {
        gap = DISTANCE(spill_in, spill_begin[node]);
        if
        :: gap && gap <= DISTANCE(spill_in, end) ->
            spill_in = spill_in + gap;
            assert(spill_in % SPILL == 0 && spill_in != end)
        :: else
        fi;
        gap = 0
    }
    d_step {
        record = spill[node * SPILL + spill_in % SPILL];
        assert(record);
        spill_in++
    }
    spill_taken[node] = spill_in;
    if
    :: spill_in == end -> wake_producer(from, node)
    :: else
    fi
}

/* Sets `record`. */
inline read_next(from, node) {
    read_ring(node);
    if
    :: record == 0 && spill_tail[node] != spill_in ->
        /* The end of the spill is looked up before it is certain that the ring is empty. */
        end = spill_tail[node];
#ifndef LOOK_ONCE
        read_ring(node);
#endif
        if
        :: record == 0 -> read_spill(from, node, end)
        :: else
        fi;
        end = 0
    :: else
    fi
}

/* Sets `number` when `record` is the last one of a message of which nothing is missing. */
inline put_together() {
    d_step {
        number = 0;
        if
        :: IS_FIRST(record) -> partial = NUMBER(record) /* one that was under way is dropped */
        :: else -> assert(!partial || partial == NUMBER(record))
        fi;
        if
        :: IS_LAST(record) ->
            number = partial;
            partial = 0
        :: else
        fi;
        record = 0
    }
}

inline release(node) {
    if
    :: in_published != in_own ->
        d_step {
            head[node] = in_own;
            in_published = in_own
        }
    :: else
    fi
}

#ifdef BLOCKS
/* A payload must be whole until the handler has returned. Then its block is free at once. */
inline end_serving(node) {
    if
    :: served ->
        d_step {
            if
            :: served < RETURNED -> assert(block[node * BLOCKS + served - 1] == served_number)
            :: else -> assert(block[(1 - node) * BLOCKS + served - RETURNED - 1] == served_number)
            fi;
            served = 0;
            served_number = 0
        }
        release(node)
    :: else
    fi
}
#endif

inline go_to_sleep(node, to) {
#ifndef LOOK_FIRST
    sleeping[node] = 1;
#endif
    if
    :: tail[node] != in_own -> sleeping[node] = 0
    :: else ->
        if
        :: spill_tail[node] != spill_in -> sleeping[node] = 0
        :: else ->
            if
            :: dirty && !producer_waits[to] -> sleeping[node] = 0
            :: else ->
#ifdef LOOK_FIRST
                sleeping[node] = 1;
#endif
                eventfd[node];
                eventfd[node] = 0;
                sleeping[node] = 0
            fi
        fi
    fi
}

#define PRIVATE                                                                         \
    byte own, published, other, spill_own, spill_published, begin, queued, gap;         \
    bit spilling, dirty, congested, unwoken, written, woken;                            \
    byte ring_before, spill_before, at, piece;                                          \
    byte in_own, in_other, in_published, spill_in, end, record, partial, number         \
    ARENA

#ifdef RETURNS
#define RETURNING                                                                       \
    ; byte back, barrier, freed, safe;                                                  \
    bit waits
#else
#define RETURNING
#endif

#ifdef BLOCKS
#define ARENA                                                                           \
    ; byte claimed, served, served_number, block_end[BLOCKS];                           \
    bit in_use[BLOCKS]                                                                  \
    RETURNING
#else
#define ARENA
#endif

/* ---- the processes ---- */

active proctype Reactor() {
    PRIVATE;
    open_outbound(WORKER);
    open_inbound(WORKER, REACTOR);
    do
    ::
        /* as much as one turn delivers */
        do
        :: read_next(WORKER, REACTOR);
            if
            :: record == 0 -> break
            :: else
            fi;
            put_together();
            if
            :: number ->
                d_step {
                    assert(number > answered && number <= sent);
                    answered = number;
                    answers++;
                    number = 0
                }
            :: else
            fi
#ifdef BLOCKS
            ; end_serving(REACTOR)
#endif
        od;
        release(REACTOR);
        do
        :: sent < MESSAGES && !congested ->
            send(WORKER, sent + 1, RECORDS(sent + 1));
            if
            :: written ->
                sent++;
                written = 0
            :: else
            fi
        :: break
        :: sent == MESSAGES || congested -> break
        od;
        flush(WORKER);
        if
        :: sent == MESSAGES || congested -> go_to_sleep(REACTOR, WORKER)
        :: else
        fi
    od
}

/* The turns of one process in the worker's place. */
inline work() {
    open_inbound(REACTOR, WORKER);
    open_outbound(REACTOR);
    sleeping[WORKER] = 0;
    wake_always(REACTOR);
    do
    ::
        do
        :: read_next(REACTOR, WORKER);
            if
            :: record == 0 -> break
            :: else
            fi;
            put_together();
            if
            :: number ->
#ifdef RETURNS
                return_payload(REACTOR, number);
                if
                :: !written -> send(REACTOR, number, RECORDS(number + 1))
                :: else
                fi;
#else
                send(REACTOR, number, RECORDS(number + 1));
#endif
                d_step {
                    if
                    :: !written -> refused++ /* the handler knows */
                    :: else -> written = 0
                    fi;
                    number = 0
                }
                publish(REACTOR)
            :: else
            fi
#ifdef BLOCKS
            ; end_serving(WORKER)
#endif
        od;
        release(WORKER);
        flush(REACTOR);
        go_to_sleep(WORKER, REACTOR)
    od
}

active proctype Worker() {
    PRIVATE;
    do
    :: { work() } unless { kill };
        d_step {
            kill = 0;
            deaths++;
            own = 0; published = 0; other = 0; spill_own = 0; spill_published = 0; begin = 0; queued = 0; gap = 0;
            spilling = 0; dirty = 0; congested = 0; unwoken = 0; written = 0; woken = 0;
            ring_before = 0; spill_before = 0; at = 0; piece = 0;
            in_own = 0; in_other = 0; in_published = 0; spill_in = 0; end = 0; record = 0; partial = 0; number = 0;
#ifdef BLOCKS
            claimed = 0; served = 0; served_number = 0;
            do
            :: at < BLOCKS -> block_end[at] = 0; in_use[at] = 0; at++
            :: else -> break
            od;
            at = 0
#endif
        }
        /* cre_bus_forget */
        sleeping[WORKER] = 0;
        wake_always(REACTOR)
    od
}

active proctype Killer() {
    byte kills;
    do
    :: kills < DEATHS ->
        kills++;
        kill = 1;
        !kill
    :: break
    od
}

active proctype Observer() {
    timeout;
    assert(sent == MESSAGES);
    assert(tail[WORKER] == taken[WORKER] && tail[REACTOR] == taken[REACTOR]);
    assert(spill_tail[WORKER] == spill_taken[WORKER] && spill_tail[REACTOR] == spill_taken[REACTOR]);
    assert(answers + refused + deaths >= sent)
}
