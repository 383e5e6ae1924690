/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/session.h - browser session in a sealed cookie */

#ifndef EAS_AUTH_LOGIN_SESSION_H
#define EAS_AUTH_LOGIN_SESSION_H

#include "auth/base/seal.h"
#include "auth/login/session_memory.h"

#include <apr_time.h>

#define EAS_SESSION_ID_SIZE 16

/* A longer principal gets no session: a browser's limit for a cookie is 4096 bytes. */
#define EAS_SESSION_PRINCIPAL_MAX 1024

/*
 * A session.  All of it is in its cookie, sealed for its virtual host; the gateway stores nothing.
 * It contains neither a password nor a ticket.
 */
struct eas_session {
    unsigned char id[EAS_SESSION_ID_SIZE]; /* random; the key of the session's evidence */
    const char *principal;                 /* user@REALM */
    bool is_private;                       /* a private computer: the longer limits */
    bool has_evidence;                     /* an evidence ticket is stored under the id */
    apr_time_t started;                    /* time of the log-on */
    apr_time_t seen;               /* time of the last seal; the caller sets it before a renewal */
    apr_time_t end;                /* the latest end, which no request moves */
    struct eas_session_memo *memo; /* of its cookie, as long as the session's pool; or NULL */
};

/* Positive durations of at most some years. */
struct eas_session_limits {
    apr_interval_time_t idle; /* between two requests */
    apr_interval_time_t max;  /* from log-on to end */
};

/* The parameters that all sessions of a virtual host share.  They outlive the calls. */
struct eas_session_params {
    const struct eas_keyring *keyring;
    const char *vhost;                       /* a cookie is valid for this virtual host only */
    const struct eas_session_limits *limits; /* two, by is_private */
    struct eas_session_memory *memory;       /* of unsealed cookies, or NULL */
};

/*
 * Starts a session after a log-on.  The caller has set principal, is_private and has_evidence; the
 * function sets the rest.  It ends after max; only the store of evidence knows of an earlier end.
 * EAS_OK, or EAS_UNAVAILABLE if OpenSSL has no random bytes.
 */
enum eas_rc eas_session_begin(const struct eas_session_params *params, struct eas_session *session,
                              apr_time_t now, struct eas_err *err);

/*
 * Moves the start of a new session behind the time at which its user signed out everywhere.  That
 * time is in the future if the clock was set back since, or if another gateway's clock is ahead.
 */
void eas_session_start_after(struct eas_session *session, apr_time_t not_before);

/*
 * The cookie's value, in pool.  EAS_OK; EAS_FORBIDDEN if the principal is empty or too long;
 * EAS_UNAVAILABLE.
 */
enum eas_rc eas_session_seal(const struct eas_session_params *params, apr_pool_t *pool,
                             const struct eas_session *session, const char **value_out,
                             struct eas_err *err);

/*
 * The session in a cookie's value, in pool.
 *
 * EAS_OK.  EAS_EXPIRED if more than idle has passed since `seen`, or if its end or the current max
 * is reached.  EAS_DENIED for everything else, also for a session from more than five minutes in
 * the future: after a step of the clock its limits would mean nothing.  EAS_UNAVAILABLE.
 *
 * *out is set whenever the record could be read, so that an expired session can be signed out.
 */
enum eas_rc eas_session_unseal(const struct eas_session_params *params, apr_pool_t *pool,
                               const char *value, apr_time_t now, struct eas_session **out,
                               struct eas_err *err);

/*
 * Whether a valid session's cookie is due for renewal: if it is older than a minute, or than a
 * tenth of idle if that is less.  A session may thus become idle early by this time.
 */
bool eas_session_wants_renewal(const struct eas_session_params *params,
                               const struct eas_session *session, apr_time_t now);

#endif
