/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/session_httpd.h - session of a request: validation, start, renewal, end */

#ifndef EAS_AUTH_LOGIN_SESSION_HTTPD_H
#define EAS_AUTH_LOGIN_SESSION_HTTPD_H

#include "auth/login/session.h"
#include "auth/request_httpd.h"

#include <httpd.h>

/*
 * Questions of a session's validation that delegation/ answers.  mod_eas_kcd.c sets them, so that
 * auth/ does not depend on delegation/.
 */
struct eas_session_callbacks {
    /* Whether a session may continue for this request after its evidence has expired. */
    bool (*acts_without_evidence)(const request_rec *r);

    /*
     * Whether the KDC still issues tickets for the user.  EAS_OK; EAS_FORBIDDEN if not; otherwise
     * the KDC gave no answer.  *waited is the request's time of waiting for KDCs so far, and grows.
     */
    enum eas_rc (*check_user)(const server_rec *s, apr_pool_t *pool, const char *principal,
                              apr_interval_time_t *waited, struct eas_err *err);
};

/* Before any request; the callbacks live as long as the process. */
void eas_session_set_callbacks(const struct eas_session_callbacks *callbacks);

/* Makes the child's memory of cookies. */
void eas_session_child_init(apr_pool_t *pool);

enum eas_session_state {
    EAS_SESSION_NONE,    /* the request has no session cookie */
    EAS_SESSION_INVALID, /* modified, signed out, of another virtual host, or of a disabled user */
    EAS_SESSION_EXPIRED, /* idle for too long, at its end, or without its evidence */
    EAS_SESSION_VALID
};

/* The session cookie of a request, validated.  In the request's pool. */
struct eas_session_result {
    enum eas_session_state state;
    struct eas_session *session;         /* also set for an expired session; NULL: unreadable */
    const struct eas_identity *identity; /* set for a valid session, else NULL */
    bool is_live; /* neither signed out, nor idle, nor at its end; it may lack its evidence */
};

/* Validates the session of a request.  EAS_OK, or EAS_UNAVAILABLE if its state is unknown. */
enum eas_rc eas_session_of(request_rec *r, struct eas_session_result *result_out,
                           struct eas_err *err);

/* Renews the cookie of a valid session that is due, unless `eas-kcd-no-renew` is set. */
void eas_session_renew(request_rec *r, struct eas_session *session);

/* Sets EAS_KCD_TRUST: the user's choice at the form. */
void eas_session_show_trust(request_rec *r, bool is_private);

/* Starts a session after a log-on: stores the evidence and sets the cookie. */
enum eas_rc eas_session_start(request_rec *r, const struct eas_identity *identity, bool is_private,
                              struct eas_err *err);

/*
 * Ends a session in each child process, after each restart, and on each gateway.  `everywhere` ends
 * all sessions of the user if this one is live.  An idle session ends alone: another browser may
 * have kept it alive.  *ended is false if there was nothing to end: no session, one that was signed
 * out, or one past its end.  Then no record is written, so that old cookies cannot fill the memory.
 */
enum eas_rc eas_session_end(request_rec *r, const struct eas_session_result *found, bool everywhere,
                            bool *ended_out, struct eas_err *err);

/*
 * Ends all sessions of a user, by an administrator or after a change of the password.  The principal
 * must be spelled as in the sessions (EAS_KCD_USER).  EAS_OK, or EAS_UNAVAILABLE: this gateway alone
 * may know the end.
 */
enum eas_rc eas_session_end_user(request_rec *r, const char *principal, struct eas_err *err);

#endif
