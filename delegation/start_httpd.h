/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/start_httpd.h - start-up phases of delegation/ */

#ifndef EAS_DELEGATION_START_HTTPD_H
#define EAS_DELEGATION_START_HTTPD_H

#include "auth/base/error.h"
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

void eas_delegation_post_config(apr_pool_t *pconf, server_rec *main_server);

/* Makes the ticket cache, a delegation principal for each keytab, and the connection pools. */
void eas_delegation_child_init(apr_pool_t *pchild, server_rec *main_server,
                               struct eas_workers *workers, const struct eas_shared_cache *tickets);

/*
 * Asks the KDC whether it issues tickets for a user, by S4U2Self, which needs no right to protocol
 * transition.  EAS_OK; EAS_FORBIDDEN if not; otherwise the KDC gave no answer.  *waited is the time
 * that the request has waited for KDCs so far, and grows.
 */
enum eas_rc eas_delegation_check_user(const server_rec *s, apr_pool_t *pool, const char *principal,
                                      apr_interval_time_t *waited, struct eas_err *err);

#endif
