/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/spn.h - a backend's service principal name */

#ifndef EAS_DELEGATION_KERBEROS_SPN_H
#define EAS_DELEGATION_KERBEROS_SPN_H

#include "auth/base/error.h"

#include <apr_pools.h>

/*
 * Checks a pattern of EasKcdSPN: `service/host`, where %h is the chosen worker's host name and %% a
 * percent sign.  It has no realm: the KDC finds it (krb5 refuses S4U2Proxy to a guessed one).
 * Returns NULL, or the defect as the end of a sentence.
 */
const char *eas_spn_check(const char *pattern);

/*
 * The SPN of a worker on host, in pool.  host comes from the configuration, never from a request;
 * even so it may hold only characters of a DNS name; or be an IPv6 address, if the pattern has no %h.
 * EAS_OK or EAS_MISCONFIGURED.
 */
enum eas_rc eas_spn_expand(apr_pool_t *pool, const char *pattern, const char *host,
                           const char **spn_out, struct eas_err *err);

#endif
