/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/log_limit.h - rate limits of the error log */

#ifndef EAS_AUTH_BASE_LOG_LIMIT_H
#define EAS_AUTH_BASE_LOG_LIMIT_H

#include <apr_pools.h>
#include <apr_time.h>
#include <stdbool.h>

/*
 * The lines of a log tag are counted in windows of ten seconds.  In each window the log gets the
 * first 25 lines of one text and client address, and a hundred of the tag.  Half of these are kept
 * for texts that are new in the window, so that no cause hides another.  A hundred more are the
 * first ones of an address, so that none hides another from fail2ban.  The rest is counted.
 *
 * One per process; thread-safe.  The mutex is held for a look into small tables.  Texts and
 * addresses are compared by hashes: equal ones share a count, at worst.
 */
struct eas_log_limit;

#define EAS_LOG_LIMIT_WINDOW apr_time_from_sec(10)
#define EAS_LOG_LIMIT_SAME 25
#define EAS_LOG_LIMIT_ADDRESSES 100 /* each of an address that is new */
#define EAS_LOG_LIMIT_LINES 50      /* more, whatever their texts and addresses */
#define EAS_LOG_LIMIT_TEXTS 50      /* more, each of a text that is new */

struct eas_log_limit *eas_log_limit_create(apr_pool_t *pool);

struct eas_log_limit_line {
    int tag;
    int level;
    const char *text;    /* without the tag */
    const char *address; /* of the client */
    const void *server;  /* of the caller; comes back with the rest */
};

/*
 * True if the line is to be logged, at that time of the monotonic clock.  Otherwise it is counted.
 */
bool eas_log_limit_admit(struct eas_log_limit *limit, const struct eas_log_limit_line *line,
                         apr_time_t now);

/*
 * The lines of a tag that were counted only, in one window.  They are lost where more than 64 tags
 * have such lines at once.
 */
struct eas_log_limit_rest {
    int tag;
    int level;
    unsigned count;
    apr_interval_time_t during; /* the window's length so far */
    char text[480];             /* of the last one */
    char address[64];
    const void *server;
};

/*
 * True with the rest of a tag whose window is over; with `all`, also of windows that are not.  Each
 * rest is returned once.  Costs next to nothing while nothing was counted.
 */
bool eas_log_limit_next(struct eas_log_limit *limit, apr_time_t now, bool all,
                        struct eas_log_limit_rest *rest_out);

#endif
