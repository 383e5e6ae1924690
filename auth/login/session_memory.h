/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/session_memory.h - cookies that this process has unsealed lately */

#ifndef EAS_AUTH_LOGIN_SESSION_MEMORY_H
#define EAS_AUTH_LOGIN_SESSION_MEMORY_H

#include "auth/base/bytes.h"

#include <apr_pools.h>
#include <apr_time.h>
#include <stdatomic.h>

/*
 * One per child process, thread-safe.  Only a cookie whose seal is good, and whose session was
 * valid then, gets an entry.  Its key is a keyed digest (SipHash) of the virtual host and of the
 * whole text, under a random key of the process.  So it costs another cookie as many guesses as a
 * seal's tag does.  An entry replaces the work of unsealing alone: the limits, sign-outs and the
 * user's state are checked at each request, as without it.  At most max_bytes; the least recently
 * used entries leave first, and each leaves when its session is idle or over.  No quota: a session
 * takes one entry for each renewal of its cookie.
 */
struct eas_session_memory;

/* An entry, counted by references. */
struct eas_session_memo {
    atomic_uint refs;
    _Atomic(apr_time_t) alive_until;       /* the user is known to be valid until then */
    _Atomic(unsigned char *) record_names; /* of the session's shared records; NULL: none yet */
    apr_size_t len;
    unsigned char plain[]; /* the unsealed record */
};

/* NULL if OpenSSL has no random bytes: all cookies are unsealed then. */
struct eas_session_memory *eas_session_memory_create(apr_pool_t *pool, apr_size_t max_bytes);

/* The entry of a cookie, which lives as long as pool, or NULL. */
struct eas_session_memo *eas_session_memory_get(struct eas_session_memory *memory,
                                                const char *vhost, const char *cookie,
                                                apr_time_t now, apr_pool_t *pool);

/* Keeps an entry until expires.  The result is as that of eas_session_memory_get(). */
struct eas_session_memo *eas_session_memory_put(struct eas_session_memory *memory,
                                                const char *vhost, const char *cookie,
                                                struct eas_bytes plain, apr_time_t expires,
                                                apr_pool_t *pool);

/* The names; or takes over these, which malloc() has allocated, unless another thread was first. */
const unsigned char *eas_session_memory_names(struct eas_session_memo *memo, unsigned char *names);

#endif
