/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_locate.h - the KDCs of a realm, by krb5.conf or DNS */

#ifndef EAS_AUTH_KERBEROS_KDC_LOCATE_H
#define EAS_AUTH_KERBEROS_KDC_LOCATE_H

#include "auth/kerberos/kdc_health.h"

#include <apr_pools.h>
#include <profile.h>
#include <stdbool.h>

enum eas_kdc_located {
    EAS_KDC_LOCATED,
    EAS_KDC_LOCATED_STALE,    /* as LOCATED; the caller has eas_kdc_locate_refresh() called */
    EAS_KDC_LOCATED_NONE,     /* neither krb5.conf nor DNS has any */
    EAS_KDC_LOCATED_NOT,      /* the name servers do not answer */
    EAS_KDC_LOCATED_BY_OTHERS /* libkrb5 does: by https (MS-KKDCP) or a locator plugin */
};

/*
 * The addresses of the realm's "kdc" relations in krb5.conf or, if there are none and
 * dns_lookup_kdc is not false, of the SRV records of _kerberos._tcp.  If there are none, by_plugin
 * says that a locator plugin serves the realm.  Answers of DNS are kept in
 * this process for their time to live, and beyond it until newer ones have come.  Callers wait for
 * one lookup of a realm at a time.  Thread-safe; ends before the time until of eas_clock_now().
 */
enum eas_kdc_located eas_kdc_locate(profile_t profile, const char *realm, bool by_plugin,
                                    apr_time_t until, struct eas_kdc_addresses *addresses_out);

/*
 * The addresses that take changes of passwords (RFC 3244): those of the realm's "kpasswd_server",
 * "admin_server" or "kdc" relations in krb5.conf, the first of these that there is, or of the SRV
 * records of _kpasswd._tcp.  A port counts in "kpasswd_server" alone; all else has port 464.  No
 * locator plugin is asked.  EAS_KDC_LOCATED, EAS_KDC_LOCATED_NONE or EAS_KDC_LOCATED_NOT.
 */
enum eas_kdc_located eas_kdc_locate_kpasswd(profile_t profile, const char *realm, apr_time_t until,
                                            struct eas_kdc_addresses *addresses_out);

/*
 * Whether libkrb5 has a locator plugin.  It may serve any realm; which ones, only libkrb5 sees.
 */
bool eas_kdc_locate_has_plugin(void);

/* The KDCs of the realm as configured, for people; asks nothing: `kdc1:88, kdc2:88`, or "by DNS". */
const char *eas_kdc_locate_names(profile_t profile, const char *realm, apr_pool_t *pool);

/*
 * False if neither krb5.conf nor DNS can name a KDC of the realm.  Reads krb5.conf, and asks nobody.
 */
bool eas_kdc_locate_may(const char *realm);

/* Asks DNS anew; without an answer the old ones stay. */
void eas_kdc_locate_refresh(profile_t profile, const char *realm, apr_time_t until);

#endif
