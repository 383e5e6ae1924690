/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_reply.h - rules for a KDC's reply, above all for its errors */

#ifndef EAS_AUTH_KERBEROS_KDC_REPLY_H
#define EAS_AUTH_KERBEROS_KDC_REPLY_H

#include "auth/kerberos/preauth.h"

#include <krb5/krb5.h>
#include <stdbool.h>

/* The longest name of a realm: that of a DNS name. */
#define EAS_KDC_REALM_MAX 255

/* The latest AS exchange (auth/kerberos/as.h), for the hooks and from them. */
struct eas_kdc_as {
    bool running;                         /* what follows concerns the messages under way */
    bool probing;                         /* the first answer ends the exchange */
    bool armored;                         /* with FAST */
    bool unarmored;                       /* an answer to that was not: it ended the exchange */
    bool ended;                           /* no message may follow */
    bool guessed;                         /* the latest message may have a password */
    struct eas_preauth preauth;           /* of the latest answer */
    bool is_error;                        /* the latest answer is one */
    const char *password;                 /* of a log-on, while it runs; or NULL */
    bool has_key;                         /* its key was made (as_key.h) */
    char referral[EAS_KDC_REALM_MAX + 1]; /* the realm that the KDC refers to; "" if to none */
};

/*
 * Reads a reply before libkrb5 does.  Any result but 0 ends the exchange.  *ntstatus is set where
 * the reply is an error: that of AD in it, or 0.
 */
krb5_error_code eas_kdc_reply_read(krb5_context ctx, const krb5_data *realm, const krb5_data *reply,
                                   struct eas_kdc_as *as, unsigned *ntstatus);

#endif
