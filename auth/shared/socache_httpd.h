/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/socache_httpd.h - Client of the socache provider of EasKcdCache */

#ifndef EAS_AUTH_SHARED_SOCACHE_HTTPD_H
#define EAS_AUTH_SHARED_SOCACHE_HTTPD_H

#include "auth/base/bytes.h"
#include "auth/base/error.h"

#include <httpd.h>
#include <stdbool.h>

/*
 * One provider, or none.  Providers have no reliable time-outs, so workers call them.  A caller
 * waits a second at most, and not at all while the circuit breaker is open
 * (auth/workers/workers.h).  Names are EAS_SHM_TABLE_KEY_SIZE bytes; values are sealed.
 */

enum eas_shared_answer { EAS_SHARED_FOUND, EAS_SHARED_NONE, EAS_SHARED_FAILED };

/* In check_config.  A NULL name is no provider.  EAS_OK or EAS_MISCONFIGURED. */
enum eas_rc eas_socache_check_config(apr_pool_t *pconf, const char *name, const char *args,
                                     struct eas_err *err);

/* In post_config, with the name of the liveness record.  EAS_OK or EAS_UNAVAILABLE. */
enum eas_rc eas_socache_post_config(apr_pool_t *pconf, server_rec *s,
                                    const unsigned char *liveness_name, struct eas_err *err);

/* Logs failures; the child then has no provider. */
void eas_socache_child_init(apr_pool_t *pchild, server_rec *s);

/* True also without a provider. */
bool eas_socache_put(apr_pool_t *pool, const unsigned char *name, struct eas_bytes sealed,
                     apr_time_t expires);

/* A copy in pool.  EAS_SHARED_FAILED: the provider gives no answer. */
enum eas_shared_answer eas_socache_get(apr_pool_t *pool, const unsigned char *name,
                                       struct eas_bytes *sealed);

#endif
