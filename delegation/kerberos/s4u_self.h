/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/s4u_self.h - the exchange of S4U2Self, by libkrb5 or by GSSAPI */

#ifndef EAS_DELEGATION_KERBEROS_S4U_SELF_H
#define EAS_DELEGATION_KERBEROS_S4U_SELF_H

#include "auth/kerberos/kdc.h"

/*
 * The ticket for wanted->server, the gateway, in the name of wanted->client.  Where that is NULL, the
 * user is that of the certificate (DER), to which the KDC maps it: PA-S4U-X509-USER of [MS-SFU] 2.2.2.
 * Otherwise certificate is NULL.  ccache has the gateway's TGT.  The caller frees the result by
 * krb5_free_creds().
 *
 * krb5_get_credentials_for_user() is in no public header.  Where configure does not find it, GSSAPI
 * does the exchange.  That has a krb5_context of its own, so the deadline of struct eas_kdc does not
 * hold for it, nor is an NTSTATUS kept.
 */
krb5_error_code eas_s4u_self_exchange(struct eas_kdc *kdc, krb5_ccache ccache, krb5_creds *wanted,
                                      krb5_data *certificate, krb5_creds **evidence_out);

#endif
