/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/logon_info.h - facts about an account in the PAC of its ticket ([MS-PAC]) */

#ifndef EAS_DELEGATION_CHECK_LOGON_INFO_H
#define EAS_DELEGATION_CHECK_LOGON_INFO_H

#include "delegation/kerberos/pac.h"

struct eas_logon_info {
    const char *account; /* sAMAccountName; NULL: no PAC */
    const char *upn;     /* or NULL */
    bool sensitive;      /* "Account is sensitive and cannot be delegated" */
    bool transition;     /* "Use any authentication protocol" */
    bool protected_user; /* member of Protected Users */
};

/* Reads a KERB_VALIDATION_INFO ([MS-PAC] 2.5).  Untrusted octets; text in pool. */
void eas_logon_info_read(apr_pool_t *pool, struct eas_bytes octets,
                         struct eas_logon_info *info_out);

/* The UPN in a UPN_DNS_INFO ([MS-PAC] 2.10), in pool; NULL: none. */
const char *eas_logon_info_upn(apr_pool_t *pool, struct eas_bytes octets);

/* Of the client of a ticket for the gateway. */
void eas_logon_info_of(struct eas_kdc *kdc, apr_pool_t *pool, struct eas_keytab *keytab,
                       const struct eas_ticket *ticket, struct eas_logon_info *info_out);

#endif
