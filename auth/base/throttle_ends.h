/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/throttle_ends.h - throttles whose end is awaited, in memory of all processes */

#ifndef EAS_AUTH_BASE_THROTTLE_ENDS_H
#define EAS_AUTH_BASE_THROTTLE_ENDS_H

#include <apr_time.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Of accounts and client addresses of a virtual host, 256 at most; the end of a further one is not
 * awaited.  A robust mutex is held for a look at these.
 */
struct eas_throttle_end {
    apr_time_t until;
    char account[256]; /* empty: the address is throttled */
    char address[64];  /* of the last guess */
    char vhost[256];
};

/* Of the memory, which is all zero at first. */
size_t eas_throttle_ends_size(void);

/* In the process that makes the others.  False if the system has no such mutexes. */
bool eas_throttle_ends_attach(void *memory);

/*
 * Has the later end of the same throttle take the place of the former: then false, because the
 * throttle goes on.
 */
bool eas_throttle_ends_await(void *memory, const struct eas_throttle_end *end);

/*
 * Takes out one that is over, or one of the account, if that is not NULL.  False if there is none.
 * Each is taken once.
 */
bool eas_throttle_ends_take(void *memory, const char *account, apr_time_t now,
                            struct eas_throttle_end *out);

#endif
