/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_health.h - addresses of KDCs, and which of them answer */

#ifndef EAS_AUTH_KERBEROS_KDC_HEALTH_H
#define EAS_AUTH_KERBEROS_KDC_HEALTH_H

#include <apr_time.h>
#include <stdbool.h>
#include <sys/socket.h>

#define EAS_KDC_HEALTH_ADDRESSES 8

/* A KDC's address; equal texts are equal addresses. */
struct eas_kdc_address {
    struct sockaddr_storage socket;
    socklen_t len;
    char text[56]; /* [address]:port */
};

/* The addresses of a realm, in the order in which they are asked. */
struct eas_kdc_addresses {
    unsigned count;
    struct eas_kdc_address at[EAS_KDC_HEALTH_ADDRESSES];
};

/*
 * The records of this process, for the addresses used last.  Thread-safe.  Times are of
 * eas_clock_now().
 */

/* Moves addresses that have failed behind the others. */
void eas_kdc_health_sort(struct eas_kdc_addresses *addresses);

void eas_kdc_health_answered(const struct eas_kdc_address *address, apr_interval_time_t took);
void eas_kdc_health_failed(const struct eas_kdc_address *address, apr_time_t now);

/* Time without an answer after which another address is asked, too: up to a second. */
apr_interval_time_t eas_kdc_health_patience(const struct eas_kdc_address *address);

/* True once in some seconds while the address counts as failed: its caller looks at it again. */
bool eas_kdc_health_is_due(const struct eas_kdc_address *address, apr_time_t now);

#endif
