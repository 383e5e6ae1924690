/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc.h - KDC context: a krb5_context with a deadline, and errors by cause */

#ifndef EAS_AUTH_KERBEROS_KDC_H
#define EAS_AUTH_KERBEROS_KDC_H

#include "auth/base/error.h"
#include "auth/identity.h"
#include "auth/kerberos/kdc_health.h"
#include "auth/kerberos/kdc_profile.h"
#include "auth/kerberos/kdc_reply.h"
#include "auth/workers/job.h"

#include <apr_pools.h>
#include <apr_time.h>
#include <krb5/krb5.h>

/*
 * The context serves one caller on one thread for a few exchanges.  libkrb5 writes into a
 * krb5_context what it learns from a KDC, above all its clock.
 *
 * The send hook of the krb5_context sends the messages itself (kdc_transport.h), to the addresses
 * that kdc_locate.h finds; libkrb5 sends those to realms that only it can locate.  The hooks add
 * three guarantees to those of libkrb5 1.20:
 *  - A wrong password is one failure at the KDC.  The first KDC_ERR_PREAUTH_FAILED ends the
 *    exchange; the library alone would try the next pre-authentication mechanism (get_in_tkt.c).
 *    The KDC that has answered this conversation last is asked first.
 *  - No message is sent after the deadline, and none is waited for.  (Where libkrb5 sends, a
 *    message under way may take longer.)  A job sends no message to a realm whose circuit breaker
 *    is open.
 *  - The NTSTATUS in an error of AD is kept ([MS-KILE] 2.2.1, KERB-ERROR-DATA).
 *  - An error ends an AS exchange with FAST, where it is not armoured itself, or where a password
 *    may have been sent: the KDC's reason is encrypted.
 *  - The question for a password that has been sent ends the exchange: the KDC demands armour.
 *  - A referral ends the AS exchange, so that no password is put to a realm that is not ours.
 */
struct eas_kdc {
    krb5_context ctx;
    struct eas_job *job; /* the job that runs the exchanges, or NULL */
    apr_interval_time_t timeout;
    apr_time_t deadline;
    apr_time_t until;                /* the deadline, of eas_clock_now() */
    struct eas_kdc_profile *profile; /* krb5.conf */
    struct eas_kdc_address answered; /* the last KDC that has; without text: none yet */
    unsigned messages;               /* sent so far */
    apr_time_t sent_at;              /* the last one, of eas_clock_now() */
    unsigned ntstatus;               /* of the last error; 0: none */
    struct eas_kdc_as as;
    void (*observe)(struct eas_kdc *kdc, const krb5_data *reply); /* of each reply; NULL: none */
    void *observer;                                               /* for observe */
};

/* Causes of a failed exchange, one bit each.  Several error codes have the same cause. */
enum eas_kdc_cause {
    EAS_KDC_WRONG_PASSWORD = 1 << 0,
    EAS_KDC_UNKNOWN_CLIENT = 1 << 1,
    EAS_KDC_REVOKED = 1 << 2,     /* disabled, locked, expired, outside log-on hours */
    EAS_KDC_KEY_EXPIRED = 1 << 3, /* the password has expired or must be changed */
    EAS_KDC_POLICY = 1 << 4,
    EAS_KDC_BADOPTION = 1 << 5, /* the KDC refuses to delegate */
    EAS_KDC_UNKNOWN_SERVER = 1 << 6,
    EAS_KDC_SKEW = 1 << 7,
    EAS_KDC_STALE = 1 << 8, /* a ticket of the caller has expired, or its key has changed */
    EAS_KDC_UNREACHABLE = 1 << 9,
    EAS_KDC_NO_KEY = 1 << 10, /* the account has no key of a type that KDC and gateway accept */
    EAS_KDC_OTHER_REALM = 1 << 11, /* the user is of another realm */
    EAS_KDC_NO_ARMOR = 1 << 12,    /* FAST is required, and cannot be had */
    EAS_KDC_UNRESOLVED = 1 << 13,  /* the name servers do not answer */
    EAS_KDC_OTHER = 1 << 14
};

/*
 * Row of a table of errors: the class, tag and text for some causes.  The row with EAS_KDC_OTHER is
 * the last; it also stands for all causes that no row names.
 */
struct eas_kdc_failure {
    unsigned causes; /* of enum eas_kdc_cause, joined by | */
    enum eas_rc rc;
    int tag;
    const char *text;
};

/* Initialises a row.  The tag is an argument of a call whose name contains "fail". */
#define eas_kdc_failure(causes, rc, tag, text) \
    {                                          \
        (causes), (rc), (tag), (text)          \
    }

/*
 * Opens a context, for a job unless that is NULL.  Its deadline is timeout from now.  EAS_OK or
 * EAS_UNAVAILABLE; the caller closes it in both cases.
 */
enum eas_rc eas_kdc_open(struct eas_kdc *kdc, struct eas_job *job, apr_interval_time_t timeout,
                         struct eas_err *err);
void eas_kdc_close(struct eas_kdc *kdc);

/*
 * Around an exchange with the KDC of a realm that the hooks do not see, as GSSAPI's: it counts as one
 * message, and as one that no deadline ends.  KRB5_KDC_UNREACH if it may not be sent; else the
 * caller ends it with its result.
 */
krb5_error_code eas_kdc_begin_unbounded(struct eas_kdc *kdc, const krb5_data *realm);
void eas_kdc_end_unbounded(struct eas_kdc *kdc, krb5_error_code code);

enum eas_kdc_cause eas_kdc_cause(krb5_error_code code);

/* The principal of a login name, of the enterprise type where it is one.  The caller frees it. */
krb5_error_code eas_kdc_principal(struct eas_kdc *kdc, const struct eas_login *login,
                                  krb5_principal *out);

/*
 * The canonical name that the KDC returned, as text in pool.  eas_identity_check() decides whether
 * it names a user of the realms.  EAS_OK, EAS_DENIED or EAS_UNAVAILABLE.
 */
enum eas_rc eas_kdc_user_name(struct eas_kdc *kdc, apr_pool_t *pool, krb5_const_principal name,
                              const struct eas_realms *realms, const char **text_out,
                              struct eas_err *err);

/* The default realm of krb5.conf, in pool.  EAS_OK or EAS_MISCONFIGURED. */
enum eas_rc eas_kdc_default_realm(apr_pool_t *pool, const char **realm_out, struct eas_err *err);

/* A private ccache that holds tgt.  The caller destroys it. */
krb5_error_code eas_kdc_ccache(struct eas_kdc *kdc, krb5_creds *tgt, krb5_ccache *out);

/*
 * A ticket of the client of tgt for a server; the caller frees it.  Not requested as forwardable: the
 * KDC refuses that where tgt is not.
 */
krb5_error_code eas_kdc_get_ticket(struct eas_kdc *kdc, krb5_creds *tgt,
                                   krb5_const_principal server, krb5_creds **ticket_out);

/* Whether this machine accepts AES keys, which each account of AD can have. */
bool eas_kdc_permits_aes(krb5_context ctx);

/*
 * As eas_fail().  The text is that of the argument, a colon and libkrb5's message, with AD's
 * NTSTATUS if the error had one.
 */
enum eas_rc eas_kdc_fail(struct eas_kdc *kdc, struct eas_err *err, enum eas_rc rc, int tag,
                         krb5_error_code code, const char *text);

/* As eas_kdc_fail(), with the row of the table that has the cause of code. */
enum eas_rc eas_kdc_fail_by_cause(struct eas_kdc *kdc, struct eas_err *err, krb5_error_code code,
                                  const struct eas_kdc_failure *table);

/*
 * Compares the local clock with the KDC's time in a fresh ticket; more than five minutes are an
 * error.  libkrb5 corrects the difference in its own exchanges; the backend would refuse the
 * tokens.
 */
enum eas_rc eas_kdc_check_clock(krb5_timestamp kdc_time, apr_time_t now, struct eas_err *err);

#endif
