/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/socache_httpd.h - the provider of EasKcdCache, which may be slow, away or silent */

#ifndef EAS_AUTH_SHARED_SOCACHE_HTTPD_H
#define EAS_AUTH_SHARED_SOCACHE_HTTPD_H

#include "auth/base/error.h"

#include <httpd.h>
#include <stdbool.h>

/*
 * One provider, or none.  Threads of its own speak with it, since providers do not keep their own
 * time-outs: whoever wants something of it waits for a second at most, and not at all while it has not
 * answered lately (auth/workers/workers.h).  Names are EAS_SHM_TABLE_KEY_SIZE bytes; values are sealed.
 */

enum eas_shared_answer { EAS_SHARED_FOUND, EAS_SHARED_NONE, EAS_SHARED_FAILED };

/* In check_config; a NULL name is none.  EAS_OK or EAS_MISCONFIGURED. */
enum eas_rc eas_socache_check_config(apr_pool_t *pconf, const char *name, const char *args,
                                     struct eas_err *err);

/* In post_config.  The beacon names the record by which it is known whether the provider is up. */
enum eas_rc eas_socache_post_config(apr_pool_t *pconf, server_rec *s, const unsigned char *beacon,
                                    struct eas_err *err);

void eas_socache_child_init(apr_pool_t *pchild, server_rec *s);

/* True also where there is no provider. */
bool eas_socache_put(apr_pool_t *pool, const unsigned char *name, const unsigned char *sealed,
                     apr_size_t len, apr_time_t expires);

/* In pool.  EAS_SHARED_FAILED: it cannot say. */
enum eas_shared_answer eas_socache_get(apr_pool_t *pool, const unsigned char *name,
                                       const unsigned char **sealed, apr_size_t *len);

#endif
