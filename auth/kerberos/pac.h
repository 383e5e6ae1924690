/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/pac.h - verified PAC of a ticket for the gateway ([MS-PAC]) */

#ifndef EAS_AUTH_KERBEROS_PAC_H
#define EAS_AUTH_KERBEROS_PAC_H

#include "auth/kerberos/keytab.h"
#include "auth/kerberos/logon_info.h"

/* Names and groups of a ticket's client, as the KDC has them.  Immutable; one piece of memory outside pools. */
struct eas_pac {
    const char *fault;   /* why the PAC says nothing, and the cure; NULL: the rest is valid */
    const char *account; /* sAMAccountName, or NULL */
    const char *upn;     /* userPrincipalName; account@domain where AD has none; or NULL */
    struct eas_logon_info logon_info;
};

/*
 * Decrypts the ticket with the gateway's key, verifies the PAC's server signature with that key, and
 * reads the PAC.  A client could have put another PAC into the ticket, but not signed it.  The
 * memory is smaller than the ticket, except for the structure.  NULL if no key decrypts the ticket.
 */
struct eas_pac *eas_pac_read(krb5_context ctx, struct eas_keytab *keytab, const krb5_data *ticket);

/* The same of a ticket that these keys, the gateway's, have decrypted. */
struct eas_pac *eas_pac_of_decrypted(krb5_context ctx, krb5_keytab keys, krb5_const_principal us,
                                     const krb5_ticket *ticket);

void eas_pac_free(struct eas_pac *pac); /* NULL is allowed */

#endif
