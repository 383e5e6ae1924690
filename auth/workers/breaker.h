/* SPDX-License-Identifier: Apache-2.0 */
/* auth/workers/breaker.h - leaves a KDC alone that does not answer, and looks now and then */

#ifndef EAS_AUTH_WORKERS_BREAKER_H
#define EAS_AUTH_WORKERS_BREAKER_H

#include <apr_time.h>
#include <stdbool.h>

/*
 * A circuit breaker.  It opens after three failures in a row.  Five seconds later one asker may try: if
 * that succeeds the circuit closes, else it is open for as long again.  Of a trial of which nothing is
 * heard for ten seconds nothing more is expected; but no more than three are ever on their way.
 *
 * All zero is a closed circuit.  Its owner locks.  Times are microseconds of any clock that does not
 * jump.
 */
struct eas_breaker {
    unsigned failures;     /* in a row */
    unsigned trials;       /* that have not come back */
    apr_time_t trial_at;   /* from when on one may try */
    apr_time_t changed_at; /* by a success or a trial: what was asked before says nothing more */
};

enum eas_breaker_state {
    EAS_BREAKER_CLOSED, /* go on */
    EAS_BREAKER_PROBE,  /* go on, and come back: others wait for that */
    EAS_BREAKER_OPEN    /* do not */
};

/* May the KDC be asked now?  Each answer of EAS_BREAKER_PROBE is for one asker alone. */
enum eas_breaker_state eas_breaker_admit(struct eas_breaker *breaker, apr_time_t now);

void eas_breaker_succeeded(struct eas_breaker *breaker, apr_time_t now);
void eas_breaker_failed(struct eas_breaker *breaker, apr_time_t asked_at, apr_time_t now);

/* Who had the trial is back.  If he has told nothing, since he asked no KDC, the next may try at once. */
void eas_breaker_probe_end(struct eas_breaker *breaker, bool told, apr_time_t now);

#endif
