/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/password.h - Password verification at the KDC */

#ifndef EAS_AUTH_PASSWORD_PASSWORD_H
#define EAS_AUTH_PASSWORD_PASSWORD_H

#include "auth/base/secret.h"
#include "auth/identity.h"
#include "auth/kerberos/armor.h"
#include "auth/kerberos/keytab.h"
#include "auth/workers/workers.h"

#include <apr_time.h>
#include <stdbool.h>

/* Keytab, realms and timeout of a virtual host.  Lives as long as its configuration. */
struct eas_authority {
    struct eas_keytab *keytab;
    struct eas_service_tgt *service_tgt; /* of this child, and its armour; NULL in the parent */
    struct eas_armor *armor;
    enum eas_armor_mode armor_mode;
    struct eas_realms realms;
    apr_interval_time_t kdc_timeout;
};

/* A login name and the password presented for it.  All pointers are the caller's. */
struct eas_password_request {
    const struct eas_authority *authority;
    struct eas_login login;
    struct eas_secret *password;
};

/*
 * Verifies a password in four steps.  Each step can only refuse.
 *  1.  An AS exchange with the password (RFC 4120 3.1) requests a canonical name and a forwardable
 *     ticket.  A wrong password is one failure at the KDC, whatever krb5.conf names as primary KDC.
 *  2.  The canonical name is that of a user of the realms.
 *  3.  The TGT buys a ticket for the gateway's own principal, which needs an SPN in AD.
 *  4.  That ticket decrypts with the gateway's keytab, so that a spoofed KDC logs nobody in.
 * The ticket of step 3 is the evidence ticket for constrained delegation.
 *
 * EAS_OK with the identity in pool, which also holds its evidence.  EAS_FORBIDDEN if the password is
 * right, but a policy refuses step 3.  EAS_DENIED, EAS_UNKNOWN, EAS_EXPIRED, EAS_UNAVAILABLE or
 * EAS_MISCONFIGURED otherwise.
 *
 * Blocks on the network for the authority's timeout at most; where libkrb5 sends, longer by the
 * exchange under way (auth/kerberos/kdc.h).  Runs on the thread of the job.
 */
enum eas_rc eas_password_verify(apr_pool_t *pool, struct eas_job *job,
                                const struct eas_password_request *request,
                                struct eas_identity **identity_out, struct eas_err *err);

/* Result of an attempt to change a password. */
struct eas_password_change {
    const char *principal; /* the user's canonical name: the old password is right; else NULL */
    const char *reason;    /* why the domain refuses the new password, for the user; or NULL */
};

/*
 * Changes a password at the domain (auth/kerberos/kpasswd.h), also one that has expired.  First an
 * AS exchange for kadmin/changepw proves the old one.  It comes from the KDC of a realm of ours,
 * and no other than the user's knows the old password; the keytab has no part in that.
 *
 * EAS_OK with the new password in effect.  EAS_DENIED and result->reason: the domain refuses the
 * new one.  EAS_FORBIDDEN: the user may change none.  Else the errors of step 1 of
 * eas_password_verify(); result->principal is NULL then.  Results are in pool.  Blocks on the network
 * for timeout at most, as eas_password_verify() does.
 */
enum eas_rc eas_password_change(apr_pool_t *pool, struct eas_job *job,
                                const struct eas_password_request *request,
                                const struct eas_secret *new_password, apr_interval_time_t timeout,
                                struct eas_password_change *result_out, struct eas_err *err);

struct eas_kpasswd_result;

/* The error that a server's answer stands for; change->reason, where the domain refuses. */
enum eas_rc eas_password_read_change(const struct eas_kpasswd_result *result,
                                     struct eas_password_change *change, struct eas_err *err);

/* Whether an error of eas_password_change() lets the new password be in effect: its answer got lost. */
bool eas_password_may_have_changed(const struct eas_err *err);

/* Whether an error of eas_password_verify() means a wrong password, and nothing else. */
bool eas_password_was_wrong(const struct eas_err *err);

/*
 * The salt of the user's keys, in pool.  All login names of an AD user have it in common.  Sends
 * one message, without a password, on the thread of the job.  Errors are those of step 1 before a
 * password was sent.
 */
enum eas_rc eas_password_salt(apr_pool_t *pool, struct eas_job *job,
                              const struct eas_password_request *request, const char **salt_out,
                              struct eas_err *err);

#endif
