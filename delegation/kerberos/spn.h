/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/spn.h - which service principal name a backend has */

#ifndef EAS_DELEGATION_KERBEROS_SPN_H
#define EAS_DELEGATION_KERBEROS_SPN_H

#include "auth/base/error.h"

#include <apr_pools.h>

/*
 * An EasKcdSPN pattern: `service/host`, where %h stands for the chosen worker's host name and %% for
 * a percent sign.  No realm: the KDC finds it (krb5 refuses S4U2Proxy to a guessed one).
 * Returns NULL if the pattern is good, else what is wrong with it.
 */
const char *eas_spn_check(const char *pattern);

/*
 * The SPN of the worker on host, in pool.  The host comes from the configuration alone, never from
 * the request, and still is held to the characters of a DNS name.  EAS_OK or EAS_MISCONFIGURED.
 */
enum eas_rc eas_spn_expand(apr_pool_t *pool, const char *pattern, const char *host,
                           const char **spn_out, struct eas_err *err);

#endif
