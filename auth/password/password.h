/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/password.h - proves a password to the KDC, and the KDC to us */

#ifndef EAS_AUTH_PASSWORD_PASSWORD_H
#define EAS_AUTH_PASSWORD_PASSWORD_H

#include "auth/password/basic.h"
#include "auth/identity.h"
#include "auth/workers/workers.h"
#include "auth/kerberos/keytab.h"

#include <apr_time.h>
#include <stdbool.h>

/* Whom a virtual host believes; lives as long as its configuration. */
struct eas_authority {
    struct eas_keytab *keytab;
    struct eas_realms realms;
    apr_interval_time_t kdc_timeout;
};

/*
 * The proof in four steps, of which each can only refuse:
 *  1. an AS exchange with the password (RFC 4120 3.1), asking for a canonical name and a forwardable
 *     ticket; one guess is one failure at the KDC, whatever krb5.conf says about primary KDCs;
 *  2. the canonical name belongs to a user of our realms;
 *  3. with the TGT, a ticket for the gateway's own principal (which needs an SPN in AD);
 *  4. that ticket decrypts with our own keytab, so that a spoofed KDC logs nobody in.
 * The ticket of step 3 is the evidence for constrained delegation.
 *
 * EAS_OK with the identity in pool (which also holds its evidence); EAS_DENIED; EAS_UNKNOWN;
 * EAS_EXPIRED; EAS_UNAVAILABLE; EAS_MISCONFIGURED.
 * Blocks on the network for up to the authority's timeout, and longer by the exchange under way: it is
 * for the thread of the job.
 */
enum eas_rc eas_password_verify(apr_pool_t *pool, struct eas_job *job,
                                const struct eas_authority *authority,
                                const struct eas_login *login, const struct eas_secret *password,
                                struct eas_identity **out, struct eas_err *err);

/* Does the error of eas_password_verify() say that the password was wrong, and nothing else? */
bool eas_password_was_wrong(const struct eas_err *err);

/*
 * What all spellings of an account have in common, in pool: the salt of its keys, without a password
 * and for one message to the KDC, on the job's thread too.  Errors as those of step 1 above, when no password has been shown.
 */
enum eas_rc eas_password_salt(apr_pool_t *pool, struct eas_job *job,
                              const struct eas_authority *authority, const struct eas_login *login,
                              const char **salt_out, struct eas_err *err);

#endif
