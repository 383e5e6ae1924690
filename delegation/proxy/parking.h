/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/parking.h - poller for the sockets and times of parked requests */

#ifndef EAS_DELEGATION_PROXY_PARKING_H
#define EAS_DELEGATION_PROXY_PARKING_H

#include "delegation/proxy/long_polls.h"
#include "delegation/proxy/park.h"

#include <stdint.h>

/*
 * One thread of a process watches all parked requests: their backends and clients by epoll, their
 * times and long polls once a second.  At the first event of a request its descriptor `wake`
 * becomes readable, which the MPM watches.  Times are of eas_clock_now().  Thread-safe.
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
    unsigned events; /* bits; under the poller's lock */
    bool suspended;  /* no thread has it; likewise */
    unsigned place;
    uint32_t serial;
};

/* NULL without descriptors, memory or a thread. */
struct eas_parking *eas_parking_create(void);

/* Ends the thread.  No request may be parked any more, or none is ever removed. */
void eas_parking_destroy(struct eas_parking *parking);

/* False without a descriptor or memory. */
bool eas_parking_add(struct eas_parking *parking, struct eas_parked *parked);

/* The thread that has added it does nothing more with it; the MPM waits for `wake`. */
void eas_parking_suspend(struct eas_parking *parking, struct eas_parked *parked);

/* Closes `wake`.  Returns the events so far. */
unsigned eas_parking_remove(struct eas_parking *parking, struct eas_parked *parked);

/* EAS_PARK_STOP for all requests, spread over that time; for later ones at once. */
void eas_parking_stop(struct eas_parking *parking, apr_interval_time_t spread);

/*
 * A suspended request without an event, which gets none any more: the caller has it.  NULL if there
 * is none.  If no other thread is left, events do not matter: no thread takes them.  A request that
 * parks after that gets EAS_PARK_STOP at once.
 */
struct eas_parked *eas_parking_claim(struct eas_parking *parking, bool is_last_thread);

#endif
