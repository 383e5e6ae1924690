/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/turns.h - order in which the MPM gets parked requests that have an event */

#ifndef EAS_DELEGATION_PROXY_TURNS_H
#define EAS_DELEGATION_PROXY_TURNS_H

#include <apr_ring.h>
#include <stdatomic.h>
#include <stdbool.h>

/*
 * While no thread is idle, the event MPM closes kept-alive connections, with the request that comes on
 * one, and accepts no connection.  So a wake-up of many leaves threads for others: a request waits for
 * its turn while half of the threads are busy, or three quarters if it needs one for a moment only.
 * A few go on in any case.  The caller has a lock.
 */

/* Of a request. */
struct eas_turn {
    APR_RING_ENTRY(eas_turn) link;
    bool works; /* its thread makes an answer; else it needs one for a moment */
    bool waits;
    bool woken; /* the MPM has it, and no thread yet */
};

APR_RING_HEAD(eas_turn_ring, eas_turn);

struct eas_turns {
    struct eas_turn_ring waiting[2]; /* by whether they work */
    unsigned threads;
    _Atomic unsigned busy; /* threads that process a connection, whichever; needs no lock */
    unsigned woken;
    unsigned working; /* woken to work, and not done */
};

/* Of a process with that many threads. */
void eas_turns_init(struct eas_turns *turns, unsigned threads);

/* It waits from now on. */
void eas_turns_add(struct eas_turns *turns, struct eas_turn *turn, bool works);

/* The next one whose turn it is; NULL: none, before a call of the two below. */
struct eas_turn *eas_turns_next(struct eas_turns *turns);

/* A thread has it, or it has ended.  If that was woken to work, eas_turns_done() follows. */
void eas_turns_leave(struct eas_turns *turns, struct eas_turn *turn);

void eas_turns_done(struct eas_turns *turns);

#endif
