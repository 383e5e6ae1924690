/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/resolve.h - getaddrinfo() with a deadline */

#ifndef EAS_DELEGATION_CHECK_RESOLVE_H
#define EAS_DELEGATION_CHECK_RESOLVE_H

#include <apr_time.h>
#include <netdb.h>

/*
 * As getaddrinfo(), for a stream socket with these AI_ flags; EAI_AGAIN at the time `until` of
 * eas_clock_now().  A lookup that is not over by then goes on behind the program, to no effect.
 */
int eas_resolve(const char *host, const char *port, int flags, apr_time_t until,
                struct addrinfo **out);

#endif
