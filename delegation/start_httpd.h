/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/start_httpd.h - start-up phases of delegation/ */

#ifndef EAS_DELEGATION_START_HTTPD_H
#define EAS_DELEGATION_START_HTTPD_H

#include "auth/shared/cache.h"
#include "auth/workers/workers.h"

#include <httpd.h>

/* Finds mod_proxy, after every LoadModule. */
void eas_delegation_pre_config(apr_pool_t *pconf);

/*
 * Checks statically: mod_proxy is loaded, delegating servers have a keytab, and delegating sections
 * are mapped to http or https.  OK, or HTTP_INTERNAL_SERVER_ERROR after logging.
 */
int eas_delegation_check_config(apr_pool_t *ptemp, server_rec *main_server);

/* Returns OK, or an HTTP status after logging, at which httpd does not start. */
int eas_delegation_post_config(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *main_server);

/* Makes the ticket cache, a delegation principal for each keytab, and the connection pools. */
void eas_delegation_child_init(apr_pool_t *pchild, server_rec *main_server,
                               struct eas_workers *workers, const struct eas_shared_cache *tickets);

#endif
