/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kpasswd.h - change of a password at the KDC (RFC 3244, version 1) */

#ifndef EAS_AUTH_KERBEROS_KPASSWD_H
#define EAS_AUTH_KERBEROS_KPASSWD_H

#include "auth/base/secret.h"
#include "auth/kerberos/kdc.h"

/* The server's answer. */
struct eas_kpasswd_result {
    int code; /* KRB5_KPASSWD_SUCCESS or another of these; -1: no code came */

    /*
     * Why the domain refuses the password, in pool: a text of the server, or AD's policy in words
     * (krb5_chpw_message()).  NULL where the key of the ticket did not protect it.
     */
    const char *text;
};

/*
 * Changes the password of the client of a ticket for kadmin/changepw, which only the old password
 * gives.  Sends one message by TCP, to one server: a second one would find the password changed.
 * No libkrb5 function does it with a deadline.
 *
 * 0 if a server answered, which says whether it has changed the password.  KRB5_KDC_UNREACH or
 * KRB5_REALM_CANT_RESOLVE: none did before the context's deadline; if its answer got lost, the
 * password may have changed.  Other codes: the answer is not that of the domain.
 *
 * These messages neither open the circuit of the realm's KDCs nor heed it, because another port of
 * them may be closed.
 */
krb5_error_code eas_kpasswd_change(struct eas_kdc *kdc, apr_pool_t *pool, krb5_creds *ticket,
                                   const struct eas_secret *new_password,
                                   struct eas_kpasswd_result *result_out);

/* Parts of a reply.  Untrusted octets. */
struct eas_kpasswd_reply {
    struct eas_bytes ap_rep;   /* empty: an error */
    struct eas_bytes krb_priv; /* that of the result; or the KRB-ERROR */
};

/* Splits a reply, also one that is a KRB-ERROR alone, as AD sends it.  False: it is none. */
bool eas_kpasswd_split(struct eas_bytes octets, struct eas_kpasswd_reply *reply_out);

#endif
