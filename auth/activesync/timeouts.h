/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/timeouts.h - backend time-outs by ActiveSync command */

#ifndef EAS_AUTH_ACTIVESYNC_TIMEOUTS_H
#define EAS_AUTH_ACTIVESYNC_TIMEOUTS_H

#include <apr_tables.h>
#include <apr_time.h>

/* One EasKcdCommandTimeout.  Lists of them are arrays; NULL is an empty list. */
struct eas_timeout {
    const char *command; /* compared without letter case; "*" stands for all others */
    apr_interval_time_t timeout;
};

/*
 * The time-out of a command; NULL is an unknown command.  A named command precedes "*", and a
 * configured time-out precedes the default of the same command.
 */
apr_interval_time_t eas_timeouts_find(const apr_array_header_t *list, const char *command);

/* The list with this time-out, which replaces the command's earlier one; made in pool if NULL. */
apr_array_header_t *eas_timeouts_set(apr_pool_t *pool, apr_array_header_t *list,
                                     struct eas_timeout timeout);

/* The inner section's list, then the outer one's. */
apr_array_header_t *eas_timeouts_merge(apr_pool_t *pool, const apr_array_header_t *outer,
                                       const apr_array_header_t *inner);

#endif
