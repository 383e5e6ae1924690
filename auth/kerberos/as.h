/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/as.h - AS exchange (RFC 4120 3.1) with one realm, and its referrals */

#ifndef EAS_AUTH_KERBEROS_AS_H
#define EAS_AUTH_KERBEROS_AS_H

#include "auth/kerberos/kdc.h"

/* The most realms that the KDCs of one log-on may refer to, one after the other. */
#define EAS_AS_REFERRALS 4

struct eas_as_request {
    krb5_principal client;
    const char *password; /* or NULL: the keytab */
    krb5_keytab keytab;
    const char *service; /* NULL: the TGT */
    krb5_ccache armor;   /* for FAST, with a TGT of the client's realm; NULL: none */
};

/* The service for changes of passwords.  A KDC issues its ticket for an expired password, too. */
#define EAS_AS_CHANGE_PASSWORD "kadmin/changepw"

/*
 * A log-on at the realm of the client.  Always requests the canonical name and a forwardable
 * ticket.  The caller frees *tgt after success.
 *
 * krb5_get_init_creds_password() would repeat a refused exchange at the primary KDC and offer to
 * change an expired password (gic_pwd.c).  This function does neither.  Nor does it follow a
 * referral: KRB5KDC_ERR_WRONG_REALM.
 */
krb5_error_code eas_as_log_on(struct eas_kdc *kdc, const struct eas_as_request *request,
                              krb5_creds *tgt);

/*
 * The first message of an exchange.  KRB5KDC_ERR_PREAUTH_REQUIRED if the KDC knows the client, and
 * kdc->as.preauth has its answer.
 */
krb5_error_code eas_as_probe(struct eas_kdc *kdc, krb5_principal client, const char *service);

/*
 * After KRB5KDC_ERR_WRONG_REALM (RFC 6806 section 7): puts the realm that the KDC refers to into
 * client, if it is one of the realms.  False if it is not, or after too many hops, which the
 * function counts.
 */
bool eas_as_follow(struct eas_kdc *kdc, const struct eas_realms *realms, unsigned *hops,
                   krb5_principal client);

/*
 * The salt of the client's keys, in pool.  All login names of an AD user have it in common, and the
 * KDC returns it without a password.  Follows referrals, and leaves the realm in client.
 *
 * Sends one message to each realm, the first of an AS exchange (RFC 4120 5.2.7.5), and fails as
 * that does.  A KDC that refuses an expired password before it asks for it is sent another one.
 * Where the KDC names no salt (RC4 keys), the result is the default salt of the name.
 */
krb5_error_code eas_as_salt(struct eas_kdc *kdc, apr_pool_t *pool, krb5_principal client,
                            const struct eas_realms *realms, const char **salt_out);

/*
 * The same with armour, at the realm of client alone: a policy of the domain may forbid a user all
 * messages without (KRB5KDC_ERR_POLICY).
 */
krb5_error_code eas_as_armored_salt(struct eas_kdc *kdc, apr_pool_t *pool, krb5_principal client,
                                    krb5_ccache armor, const char **salt_out);

#endif
