/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/timeouts.h - backend time-outs by ActiveSync command */

#ifndef EAS_AUTH_ACTIVESYNC_TIMEOUTS_H
#define EAS_AUTH_ACTIVESYNC_TIMEOUTS_H

#include <apr_tables.h>
#include <apr_time.h>
#include <stdbool.h>

/* One EasKcdCommandTimeout.  A list is an APR array; NULL is an empty list. */
struct eas_timeout {
    const char *command; /* compared without letter case; "*" is every other command */
    apr_interval_time_t timeout;
};

/*
 * The time-out of a command; NULL is an unknown command.  A named command precedes "*", and a
 * configured time-out precedes the default of the same command.
 */
apr_interval_time_t eas_timeouts_find(const apr_array_header_t *list, const char *command);

/*
 * Whether the backend may keep a request of the command waiting on purpose: Ping, Sync, and a
 * command whose own time-out is longer than that of "*".
 */
bool eas_timeouts_waits(const apr_array_header_t *list, const char *command);

/* Adds a time-out or replaces that of its command.  Creates the list in pool if it is NULL. */
apr_array_header_t *eas_timeouts_set(apr_pool_t *pool, apr_array_header_t *list,
                                     struct eas_timeout timeout);

/* The list of a section inside another one: its own entries precede. */
apr_array_header_t *eas_timeouts_merge(apr_pool_t *pool, const apr_array_header_t *outer,
                                       const apr_array_header_t *inner);

#endif
