/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/session.h - who has logged on by the form, as the browser's cookie tells it */

#ifndef EAS_AUTH_LOGIN_SESSION_H
#define EAS_AUTH_LOGIN_SESSION_H

#include "auth/base/seal.h"

#include <apr_time.h>

#define EAS_SESSION_ID_SIZE 16

/* A longer principal gets no session, so that name and cookie stay far below a browser's 4096. */
#define EAS_SESSION_PRINCIPAL_MAX 1024

/*
 * The whole session is in its cookie, sealed for its virtual host: nothing to look up, nothing to
 * lose.  No password and no ticket is in it.
 */
struct eas_session {
    unsigned char id[EAS_SESSION_ID_SIZE]; /* random; finds the session's evidence */
    const char *principal;                 /* user@REALM */
    bool is_private;                       /* the user's own computer: the longer limits */
    bool has_evidence;                     /* a ticket of the user's is kept somewhere */
    apr_time_t started;                    /* when the user logged on */
    apr_time_t seen; /* when the cookie was last made: set it to now before making it anew */
    apr_time_t end;  /* when it is over, whatever the user does */
};

/* Positive, at most some years. */
struct eas_session_limits {
    apr_interval_time_t idle; /* from one request to the next */
    apr_interval_time_t max;  /* from log-on to the end */
};

/*
 * A new session with a new id, for a user who has just been proved.  It ends after limits' max at the
 * latest; that it ends with its evidence is for whoever looks for that evidence to say.  Session and
 * principal's copy in pool.  EAS_OK, or EAS_UNAVAILABLE if OpenSSL has no randomness to give.
 */
enum eas_rc eas_session_begin(apr_pool_t *pool, const char *principal, bool is_private,
                              bool has_evidence,
                              const struct eas_session_limits limits[2] /* [is_private] */,
                              apr_time_t now, struct eas_session **out, struct eas_err *err);

/*
 * The cookie's value, good at this virtual host only.  In pool.  EAS_OK; EAS_FORBIDDEN if the
 * principal is empty or too long; EAS_UNAVAILABLE.
 */
enum eas_rc eas_session_seal(const struct eas_keyring *ring, apr_pool_t *pool,
                             const struct eas_session *session, const char *vhost,
                             const char **value_out, struct eas_err *err);

/*
 * The session in a cookie's value, in pool; set too, so that it can be signed out, where it opened but
 * its times were refused.  EAS_OK; EAS_EXPIRED if it was ours, but more than idle ago (to the
 * microsecond), or if its end or today's max is reached; EAS_DENIED for all else, also for what was
 * made more than five minutes in the future: the clock was set back, and the limits would mean
 * nothing; EAS_UNAVAILABLE.
 */
enum eas_rc eas_session_unseal(const struct eas_keyring *ring, apr_pool_t *pool, const char *value,
                               const char *vhost,
                               const struct eas_session_limits limits[2] /* [is_private] */,
                               apr_time_t now, struct eas_session **out, struct eas_err *err);

/*
 * Should a running session's cookie be made anew?  Not for each request: only once it is older than
 * a minute, or than a tenth of idle if that is less, by which a session may become idle too early.
 * Its end stays the same.
 */
bool eas_session_wants_renewal(const struct eas_session *session,
                               const struct eas_session_limits limits[2] /* [is_private] */,
                               apr_time_t now);

#endif
