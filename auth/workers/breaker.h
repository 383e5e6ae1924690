/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/breaker.h - circuit breaker */

#ifndef EAS_AUTH_WORKERS_BREAKER_H
#define EAS_AUTH_WORKERS_BREAKER_H

#include <apr_time.h>
#include <stdbool.h>

/*
 * Stops messages to a peer that does not answer.  Some failures in a row open the circuit.  Four
 * seconds later it is half-open: one job may send, as a probe.  A success closes the circuit.
 * After a failure the next probe may start when this one has ended, and four seconds after it
 * began.  So requests are served four seconds after the end of an outage, or a probe's time-out.
 *
 * All zero but the limit is a closed circuit.  The owner locks.  Times are microseconds of a
 * monotonic clock.
 */
struct eas_breaker {
    unsigned limit;        /* of failures in a row that open the circuit */
    unsigned failures;     /* in a row */
    bool probing;          /* a probe is pending */
    apr_time_t probe_at;   /* the next probe may start */
    apr_time_t changed_at; /* last success or start of a probe; older messages no longer count */
};

enum eas_breaker_state {
    EAS_BREAKER_CLOSED, /* send */
    EAS_BREAKER_PROBE,  /* half-open: send, and end the probe */
    EAS_BREAKER_OPEN    /* do not send */
};

bool eas_breaker_is_closed(const struct eas_breaker *breaker);

/* Each result EAS_BREAKER_PROBE starts a probe, which eas_breaker_probe_end() must end. */
enum eas_breaker_state eas_breaker_admit(struct eas_breaker *breaker, apr_time_t now);

void eas_breaker_succeeded(struct eas_breaker *breaker, apr_time_t now);
void eas_breaker_failed(struct eas_breaker *breaker, apr_time_t sent_at, apr_time_t now);

/* The peer has answered, though too late: the next probe may start at once. */
void eas_breaker_answered_late(struct eas_breaker *breaker, apr_time_t now);

/* Ends a probe.  If it reported no result, because it sent nothing, the next may start at once. */
void eas_breaker_probe_end(struct eas_breaker *breaker, bool reported, apr_time_t now);

#endif
