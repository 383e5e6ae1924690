/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/pac.h - Account name in a ticket's PAC ([MS-PAC]) */

#ifndef EAS_DELEGATION_KERBEROS_PAC_H
#define EAS_DELEGATION_KERBEROS_PAC_H

#include "auth/base/bytes.h"
#include "auth/kerberos/kdc.h"
#include "auth/kerberos/keytab.h"
#include "auth/kerberos/ticket.h"

#include <apr_pools.h>

/* UTF-16LE as UTF-8 in pool; NULL for unpaired surrogates and for a NUL. */
const char *eas_pac_utf8(apr_pool_t *pool, const unsigned char *utf16, size_t count);

/* EffectiveName of a KERB_VALIDATION_INFO ([MS-PAC] 2.5), as UTF-8 in pool; NULL: none. */
const char *eas_pac_effective_name(apr_pool_t *pool, struct eas_bytes logon_info);

/*
 * A buffer of the PAC in a ticket for the gateway, in pool.  Without octets if the ticket has no
 * such PAC, or the keytab does not decrypt it.  type is libkrb5's, such as KRB5_PAC_LOGON_INFO.
 */
struct eas_bytes eas_pac_buffer(struct eas_kdc *kdc, apr_pool_t *pool, struct eas_keytab *keytab,
                                const struct eas_ticket *ticket, krb5_ui_4 type);

/*
 * The sAMAccountName of the client of a ticket for the gateway, in pool.  NULL if eas_pac_buffer()
 * has none.
 */
const char *eas_pac_account(struct eas_kdc *kdc, apr_pool_t *pool, struct eas_keytab *keytab,
                            const struct eas_ticket *ticket);

#endif
