/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_profile.h - krb5.conf for a krb5_context that sends nothing by itself */

#ifndef EAS_AUTH_KERBEROS_KDC_PROFILE_H
#define EAS_AUTH_KERBEROS_KDC_PROFILE_H

#include <krb5/krb5.h>
#include <profile.h>
#include <stdbool.h>

struct eas_kdc_profile {
    profile_t files;      /* krb5.conf itself */
    bool has_placeholder; /* libkrb5 has taken the placeholder; the caller clears it */
};

/*
 * libkrb5 locates the KDCs of a realm before it calls the send hook (sendto_kdc.c): by a locator
 * plugin, then by krb5.conf, then by DNS.  This context's profile has a placeholder for realms
 * without KDCs in krb5.conf, and says that DNS is not asked for KDCs.  It has the plugin of
 * as_key.h, too, and not that of PKINIT.  All else is as in krb5.conf.
 * *profile_out lives as long as the context, for the same thread.
 */
krb5_error_code eas_kdc_profile_context(krb5_context *ctx_out,
                                        struct eas_kdc_profile **profile_out);

#endif
