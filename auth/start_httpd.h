/* SPDX-License-Identifier: Apache-2.0 */
/* auth/start_httpd.h - start of auth/: check_config, post_config, child_init */

#ifndef EAS_AUTH_START_HTTPD_H
#define EAS_AUTH_START_HTTPD_H

#include "auth/shared/cache.h"
#include "auth/workers/workers.h"

#include <httpd.h>

/*
 * Reads keytabs and login pages, as root where httpd is started as root, and completes the servers'
 * records.  `httpd -t` runs it too.  OK, or HTTP_INTERNAL_SERVER_ERROR after logging.
 */
int eas_auth_check_config(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *main_server);

/* Attaches the shared memory.  OK, or HTTP_INTERNAL_SERVER_ERROR after logging. */
int eas_auth_post_config(apr_pool_t *pconf, server_rec *main_server);

/* What delegation/ uses of a child's start. */
struct eas_auth_child {
    struct eas_workers *workers;            /* threads for exchanges with KDCs */
    const struct eas_shared_cache *tickets; /* the shared cache of service tickets */
};

struct eas_auth_child eas_auth_child_init(apr_pool_t *pchild, server_rec *main_server);

#endif
