/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/session_httpd.h - the session that a request's cookie carries, and its beginning and end */

#ifndef EAS_AUTH_LOGIN_SESSION_HTTPD_H
#define EAS_AUTH_LOGIN_SESSION_HTTPD_H

#include "auth/request_httpd.h"
#include "auth/login/session.h"

/* What the cookie of a request is worth. */
enum eas_session_state {
    EAS_SESSION_NONE, /* no cookie of ours */
    EAS_SESSION_DEAD, /* tampered with, revoked, or another host's */
    EAS_SESSION_OVER, /* idle for too long, at its end, or its evidence is */
    EAS_SESSION_LIVE
};

/*
 * Reads and judges the cookie.  *session_out is NULL, or the session whose cookie it is, live or not;
 * LIVE: *identity_out is set too.  Both in the request's pool.
 * On anything but EAS_OK the session's state could not be found out (no session, and 503).
 */
enum eas_rc eas_session_of(request_rec *r, enum eas_session_state *state_out,
                           struct eas_session **session_out,
                           const struct eas_identity **identity_out, struct eas_err *err);

/* Renews the cookie of a live session if it is time, unless `eas-kcd-no-renew` is in the
 * environment. */
void eas_session_renew(request_rec *r, struct eas_session *session);

/* Begins a session for a user just proved, keeps the evidence, and sets the cookie. */
enum eas_rc eas_session_start(request_rec *r, const struct eas_identity *identity, bool is_private,
                              struct eas_err *err);

/* Ends a session for every child, generation and gateway; everywhere: all of the user's. */
enum eas_rc eas_session_end(request_rec *r, const struct eas_session *session, bool everywhere,
                            struct eas_err *err);

#endif
