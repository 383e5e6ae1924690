/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/change.h - change of a password: throttle and job */

#ifndef EAS_AUTH_PASSWORD_CHANGE_H
#define EAS_AUTH_PASSWORD_CHANGE_H

#include "auth/password/credentials.h"

struct eas_change_request {
    struct eas_credentials_request log_on; /* with the old password */
    const struct eas_secret *new_password; /* not empty, without a NUL */

    /* A password that is valid for longer than this may not be changed; -1: each may be. */
    apr_interval_time_t due_within;
};

struct eas_change_result {
    struct eas_password_change change;   /* in the caller's pool */
    struct eas_throttle_attempt attempt; /* for logs, as in eas_credentials_result */
    apr_interval_time_t waited;          /* as there */
};

/*
 * Has a worker change the password, if the throttle admits the old one: an attempt is one of the
 * log-on's, and counts as one if the old password is wrong.  That this one was refused lately, as an
 * expired one, is no refusal.  Equal calls at the same time share one job.
 *
 * After EAS_OK the new password is the known one, refusals of it are forgotten, and the password
 * caches know the old one no longer.  The identity is that of a log-on with the new password, which
 * the caller lets follow: only that is checked with the keytab.
 *
 * Errors are those of eas_throttle_begin() and eas_password_change().  EAS_FORBIDDEN, too, for a
 * password that is not due.  Where due_within is set, eas_password_verify() sees the old one first.
 * EAS_UNAVAILABLE, too, where the timeout leaves no time.  No change goes on after the call.
 */
enum eas_rc eas_change_password(const struct eas_verifier *verifier, apr_pool_t *pool,
                                const struct eas_change_request *request,
                                struct eas_change_result *result, struct eas_err *err);

#endif
