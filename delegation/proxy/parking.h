/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/parking.h - poller for the sockets and times of parked requests */

#ifndef EAS_DELEGATION_PROXY_PARKING_H
#define EAS_DELEGATION_PROXY_PARKING_H

#include "delegation/proxy/long_polls.h"
#include "delegation/proxy/park.h"
#include "delegation/proxy/turns.h"

#include <stdint.h>

/*
 * One thread of a process watches all parked requests: their backends and clients by epoll, their
 * times and long polls once a second.  After the first event of a request its descriptor `wake`
 * becomes readable, which the MPM watches: at once, or when its turn comes (turns.h).
 * Times are of eas_clock_now().  Thread-safe.
 */
struct eas_parking;

/* A parked request; the caller's memory, from eas_parking_add() to eas_parking_remove(). */
struct eas_parked {
    /* Set by the caller. */
    int backend;
    int client;
    bool reads_client;                /* what the client sends is an event */
    apr_time_t deadline;              /* 0: none */
    apr_time_t refresh;               /* 0: never */
    const struct eas_long_poll *poll; /* whose lease is renewed; NULL: none */

    /* Set here. */
    int wake;
    unsigned events; /* bits; under the poller's lock, as all that follow */
    bool suspended;  /* no thread has it */
    struct eas_turn turn;
    unsigned place;
    uint32_t serial;
};

/* For a process with that many threads.  NULL without descriptors, memory or a thread. */
struct eas_parking *eas_parking_create(unsigned threads);

/* Ends the thread.  No request may be parked any more, or none is ever removed. */
void eas_parking_destroy(struct eas_parking *parking);

/* False without a descriptor or memory. */
bool eas_parking_add(struct eas_parking *parking, struct eas_parked *parked);

/*
 * A connection without a request, of which `client` and `deadline` are set.  It has no `wake`: the
 * client's socket ends for reading at that time, or as soon as the process stops; false if it does.
 */
bool eas_parking_keep(struct eas_parking *parking, struct eas_parked *parked);

/* The thread that has added it does nothing more with it; the MPM waits for `wake`. */
void eas_parking_suspend(struct eas_parking *parking, struct eas_parked *parked);

/* Closes `wake`.  Returns the events so far. */
unsigned eas_parking_remove(struct eas_parking *parking, struct eas_parked *parked);

/* A thread has done what the request was woken for, which was work. */
void eas_parking_done(struct eas_parking *parking);

/* A thread begins to process a connection, whichever it is, or ends that. */
void eas_parking_begin_work(struct eas_parking *parking);
void eas_parking_end_work(struct eas_parking *parking);

/* EAS_PARK_STOP for all requests (dismissal.h).  `may_begin` is called under the poller's lock. */
void eas_parking_stop(struct eas_parking *parking, apr_interval_time_t spread,
                      bool (*may_begin)(void));

/*
 * A suspended request that is not woken, and is not any more: the caller has it.  NULL if there is
 * none.  If no other thread is left, those that are woken count, too: no thread takes them.  A
 * request that parks after that gets EAS_PARK_STOP at once.
 */
struct eas_parked *eas_parking_claim(struct eas_parking *parking, bool is_last_thread);

#endif
