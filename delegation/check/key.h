/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/key.h - key versions and encryption types of the keytab and of tickets */

#ifndef EAS_DELEGATION_CHECK_KEY_H
#define EAS_DELEGATION_CHECK_KEY_H

#include "auth/kerberos/keytab.h"
#include "auth/kerberos/ticket.h"
#include "delegation/check/finding.h"

/* Keys of the gateway's principal in its keytab. */
struct eas_key_list {
    const char *text; /* such as `kvno 3 (aes256-cts-hmac-sha1-96)`, in the pool */
    unsigned newest;  /* kvno */
    bool only_rc4;
};

void eas_key_list(apr_pool_t *pool, struct eas_keytab *keytab, struct eas_key_list *list_out);

/* The key that encrypts a ticket. */
struct eas_key {
    unsigned kvno;
    krb5_enctype enctype;
    const char *text; /* as above */
};

/* False if the ticket cannot be decoded. */
bool eas_key_of_ticket(apr_pool_t *pool, const krb5_creds *ticket, struct eas_key *key_out);

/* Whether the keytab decrypts the ticket. */
bool eas_key_decrypts(krb5_context ctx, struct eas_keytab *keytab, const krb5_creds *ticket);

/* The finding about a ticket that the keytab does not decrypt. */
enum eas_finding eas_key_finding(const struct eas_key *key, const struct eas_key_list *list);

/* RC4 in any form. */
bool eas_key_is_rc4(krb5_enctype enctype);

#endif
