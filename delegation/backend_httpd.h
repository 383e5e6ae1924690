/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/backend_httpd.h - the guard on every outgoing connection of the process (I1) */

#ifndef EAS_DELEGATION_BACKEND_HTTPD_H
#define EAS_DELEGATION_BACKEND_HTTPD_H

#include <apr_pools.h>
#include <stdbool.h>

/*
 * A backend may authenticate the connection instead of the request (IIS does, `Persistent-Auth:
 * true`), so that whatever is sent next on that connection is served as the earlier user.  Therefore
 * a connection that has carried a user's token serves that one exchange only, and a delegated request
 * never goes out on a connection that has carried anything before:
 *  - a pooled connection vetoes itself when mod_proxy checks it before use, so that a fresh one is
 *    made;
 *  - whatever slips through is refused when it is written, and the connection is lost.
 * This holds for every Location of the process, also for those that do not use this module but share
 * a worker with one that does.
 */

/* The exchange that a thread is having with a backend; told to the guard by who runs mod_proxy. */
struct eas_exchange {
    apr_uint64_t serial; /* never used twice in a process; 0 is no exchange */
    bool delegated;      /* it carries a user's token */
};

/* Begins an exchange in this thread; returns the one that it interrupts, for eas_backend_end(). */
const struct eas_exchange *eas_backend_begin(struct eas_exchange *exchange, bool delegated);
void eas_backend_end(const struct eas_exchange *interrupted);

void eas_backend_register_hooks(apr_pool_t *pool);

#endif
