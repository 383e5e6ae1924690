/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_profile.h - krb5.conf for a krb5_context that sends nothing by itself */

#ifndef EAS_AUTH_KERBEROS_KDC_PROFILE_H
#define EAS_AUTH_KERBEROS_KDC_PROFILE_H

#include <krb5/krb5.h>
#include <profile.h>

/*
 * libkrb5 locates the KDCs of a realm before it calls the send hook (sendto_kdc.c), by DNS if
 * krb5.conf names none.  This context's profile has a placeholder for such realms, and says that
 * DNS is not asked for KDCs; all else is as in krb5.conf.  *profile_out is krb5.conf itself, which
 * lives as long as the context.
 */
krb5_error_code eas_kdc_profile_context(krb5_context *ctx_out, profile_t *profile_out);

#endif
