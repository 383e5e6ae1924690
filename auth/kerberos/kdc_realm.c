/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_realm.c - the KDCs of a realm, as krb5.conf has them */

#include "auth/kerberos/kdc_realm.h"
#include "auth/kerberos/kdc.h"
#include "auth/kerberos/kdc_locate.h"

bool eas_kdc_realm_is_left_to_libkrb5(const char *realm)
{
    struct eas_kdc_addresses ignored;
    bool is_left = false;
    struct eas_kdc kdc;
    struct eas_err err;

    /* Without time, no question is asked. */
    if (eas_kdc_open(&kdc, NULL, 0, &err) == EAS_OK) {
        is_left = eas_kdc_locate(kdc.profile->files, realm, eas_kdc_locate_has_plugin(), kdc.until,
                                 &ignored)
                  == EAS_KDC_LOCATED_BY_OTHERS;
    }
    eas_kdc_close(&kdc);
    return is_left;
}

const char *eas_kdc_realm_names(const char *realm, apr_pool_t *pool)
{
    const char *names = "none";
    struct eas_kdc kdc;
    struct eas_err err;

    if (eas_kdc_open(&kdc, NULL, 0, &err) == EAS_OK) {
        names = eas_kdc_locate_names(kdc.profile->files, realm, pool);
    }
    eas_kdc_close(&kdc);
    return names;
}
