/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_resolve.h - addresses of host names and services, by hosts file and DNS */

#ifndef EAS_AUTH_KERBEROS_KDC_RESOLVE_H
#define EAS_AUTH_KERBEROS_KDC_RESOLVE_H

#include "auth/kerberos/kdc_health.h"

#define EAS_KDC_RESOLVE_HOSTS 8

/* Host names or addresses, with their ports, in the order in which they are asked. */
struct eas_kdc_hosts {
    unsigned count;
    struct {
        char name[256];
        unsigned short port;
    } at[EAS_KDC_RESOLVE_HOSTS];
};

enum eas_kdc_resolved {
    EAS_KDC_RESOLVED,
    EAS_KDC_RESOLVED_NONE, /* the name server says so */
    EAS_KDC_RESOLVED_NOT   /* the name servers do not answer, or fail */
};

/* Appends an address in numbers.  False if the text is none. */
bool eas_kdc_resolve_number(const char *text, unsigned short port,
                            struct eas_kdc_addresses *addresses);

/*
 * The addresses of the hosts or, if there are none, of the SRV records of service.  Lowers *ttl to
 * that of the answers, in seconds.  Ends at the time until of eas_clock_now().
 */
enum eas_kdc_resolved eas_kdc_resolve(const char *service, const struct eas_kdc_hosts *hosts,
                                      apr_time_t until, struct eas_kdc_addresses *addresses_out,
                                      int *ttl);

#endif
