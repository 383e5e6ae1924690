/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc.h - one conversation with a KDC: its context, its deadline, its errors in plain words */

#ifndef EAS_AUTH_KERBEROS_KDC_H
#define EAS_AUTH_KERBEROS_KDC_H

#include "auth/base/error.h"
#include "auth/identity.h"
#include "auth/workers/job.h"

#include <apr_pools.h>
#include <apr_time.h>
#include <krb5/krb5.h>

/*
 * A conversation has a krb5_context of its own, because libkrb5 writes what it learns from a KDC
 * (its clock above all) into the context, and because a context is for one thread at a time.
 *
 * The hooks on the context make three promises that libkrb5 1.20 alone does not:
 *  - one guess is one failure: the first KDC_ERR_PREAUTH_FAILED ends the conversation, where the
 *    library would go on to the next pre-authentication mechanism (get_in_tkt.c);
 *  - no message is sent after the deadline (a message under way may still take longer), nor, in a
 *    job, to a realm whose circuit is open;
 *  - the NTSTATUS that AD puts into an error is kept ([MS-KILE] 2.2.1, KERB-ERROR-DATA).
 */
struct eas_kdc {
    krb5_context ctx;
    struct eas_job *job; /* that it is part of, or NULL */
    apr_interval_time_t timeout;
    apr_time_t deadline;
    unsigned messages; /* sent so far */
    unsigned ntstatus; /* of the last error, 0 if it had none */
};

/* What a failed exchange means, whatever code said so. */
enum eas_kdc_cause {
    EAS_KDC_WRONG_PASSWORD,
    EAS_KDC_UNKNOWN_CLIENT,
    EAS_KDC_REVOKED,     /* disabled, locked, expired, outside log-on hours */
    EAS_KDC_KEY_EXPIRED, /* the password has expired or must be changed */
    EAS_KDC_POLICY,
    EAS_KDC_BADOPTION, /* how a KDC refuses delegation */
    EAS_KDC_UNKNOWN_SERVER,
    EAS_KDC_SKEW,
    EAS_KDC_STALE, /* a ticket of ours is no longer good: expired, or its key has changed */
    EAS_KDC_UNREACHABLE,
    EAS_KDC_OTHER
};

/*
 * Begins a conversation, of that job if it is not NULL, that may last for timeout.  EAS_OK or
 * EAS_UNAVAILABLE; close always.
 */
enum eas_rc eas_kdc_open(struct eas_kdc *kdc, struct eas_job *job, apr_interval_time_t timeout,
                         struct eas_err *err);
void eas_kdc_close(struct eas_kdc *kdc);

enum eas_kdc_cause eas_kdc_cause(krb5_error_code code);

/* A login name as a principal, of the enterprise type where it is one; the caller frees it. */
krb5_error_code eas_kdc_principal(struct eas_kdc *kdc, const struct eas_login *login,
                                  krb5_principal *out);

/*
 * A name that the KDC returned, as text in pool, if it may be a user here: eas_identity_check().
 * EAS_OK, EAS_DENIED or EAS_UNAVAILABLE.
 */
enum eas_rc eas_kdc_user_name(struct eas_kdc *kdc, apr_pool_t *pool, krb5_const_principal name,
                              const struct eas_realms *realms, const char **text_out,
                              struct eas_err *err);

/*
 * The AS exchange (RFC 4120 3.1) that proves client by a password or, if that is NULL, by a keytab.
 * Asks for the canonical name and for a forwardable ticket, always.  On success *tgt is the
 * caller's to free.  krb5_get_init_creds_password() would ask the primary KDC again after a refusal
 * and offer to change an expired password (gic_pwd.c); this does neither.
 */
krb5_error_code eas_kdc_log_on(struct eas_kdc *kdc, krb5_principal client, const char *password,
                               krb5_keytab keytab, krb5_creds *tgt);

/*
 * The salt of client's keys, allocated by libkrb5 (krb5_free_data_contents): what all spellings of an
 * account have in common, and what the KDC tells before it has seen a password.  Costs one message,
 * the first of an AS exchange (RFC 4120 5.2.7.5); fails as that would.  Where the KDC names no salt
 * (RC4 keys) it is that of the name as given.
 */
krb5_error_code eas_kdc_salt(struct eas_kdc *kdc, krb5_principal client, krb5_data *salt_out);

/* The realm that krb5.conf names as the default, in pool.  EAS_OK or EAS_MISCONFIGURED. */
enum eas_rc eas_kdc_default_realm(apr_pool_t *pool, const char **realm_out, struct eas_err *err);

/* A ccache that holds tgt and that nobody else knows; the caller destroys it. */
krb5_error_code eas_kdc_ccache(struct eas_kdc *kdc, krb5_creds *tgt, krb5_ccache *out);

/* As eas_fail(); the text is `what: <the library's words>`, with AD's NTSTATUS if there was one. */
enum eas_rc eas_kdc_fail(struct eas_kdc *kdc, struct eas_err *err, enum eas_rc rc, int tag,
                         krb5_error_code code, const char *what);

/*
 * Is our clock more than five minutes from the KDC's, whose time stands in a ticket fresh from it?
 * libkrb5 quietly works around that for its own exchanges; our tokens at a backend would fail.
 */
enum eas_rc eas_kdc_check_clock(krb5_timestamp kdc_time, apr_time_t now, struct eas_err *err);

#endif
