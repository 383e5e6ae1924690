/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_realm.h - the KDCs of a realm, as krb5.conf has them */

#ifndef EAS_AUTH_KERBEROS_KDC_REALM_H
#define EAS_AUTH_KERBEROS_KDC_REALM_H

#include <apr_pools.h>
#include <stdbool.h>

/* For the start: no question is asked. */

/* The KDCs of the realm as configured, for people (eas_kdc_locate_names()). */
const char *eas_kdc_realm_names(const char *realm, apr_pool_t *pool);

/* True if libkrb5 may have to send to the KDCs of the realm, without a deadline (kdc_locate.h). */
bool eas_kdc_realm_is_left_to_libkrb5(const char *realm);

#endif
