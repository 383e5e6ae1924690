/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/dismissal.h - when a process that ends sends its parked requests away */

#ifndef EAS_DELEGATION_PROXY_DISMISSAL_H
#define EAS_DELEGATION_PROXY_DISMISSAL_H

#include <apr_time.h>
#include <stdbool.h>

/*
 * Clients that are sent away come back at once.  So it begins when `may_begin` says that others
 * accept them, or EAS_DISMISSAL_HOLD later; and it is spread over a time, by the request's place in
 * the poller's table, which says nothing about the user.  Times are of eas_clock_now().  The caller
 * serializes; all zero is a process that goes on.
 */
#define EAS_DISMISSAL_HOLD apr_time_from_sec(2)

/* The first look: an MPM may order it before it counts its next generation. */
#define EAS_DISMISSAL_SETTLE (APR_USEC_PER_SEC / 10)

struct eas_dismissal {
    bool ordered;
    apr_time_t from;         /* at the latest; exact once it has begun */
    bool (*may_begin)(void); /* does not block; NULL: at once */
    apr_interval_time_t spread;
    unsigned places; /* it is spread over so many; those behind have their turn when it begins */
};

/* The first order counts. */
void eas_dismissal_order(struct eas_dismissal *dismissal, apr_time_t now,
                         apr_interval_time_t spread, unsigned places, bool (*may_begin)(void));

/* Asks `may_begin` until it has begun. */
void eas_dismissal_look(struct eas_dismissal *dismissal, apr_time_t now);

/* Whether the request of that place is to be sent away. */
bool eas_dismissal_is_due(const struct eas_dismissal *dismissal, unsigned place, apr_time_t now);

#endif
