/* SPDX-License-Identifier: Apache-2.0 */
/* auth/start_httpd.h - start of auth/: check_config, post_config, child_init */

#ifndef EAS_AUTH_START_HTTPD_H
#define EAS_AUTH_START_HTTPD_H

#include "auth/shared/cache.h"
#include "auth/workers/workers.h"

#include <httpd.h>

/*
 * Reads keytabs and login pages, with the privileges that httpd starts with, and completes the
 * records of the servers.  `httpd -t` runs it, too.  OK, or HTTP_INTERNAL_SERVER_ERROR after
 * logging.
 */
int eas_auth_check_config(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *main_server);

/* Attaches the shared memory.  OK, or HTTP_INTERNAL_SERVER_ERROR after logging. */
int eas_auth_post_config(apr_pool_t *pconf, server_rec *main_server);

/* Objects of a child process for delegation/. */
struct eas_auth_child {
    struct eas_workers *workers;            /* threads for exchanges with KDCs */
    const struct eas_shared_cache *tickets; /* the shared cache of service tickets */
};

/* Creates the worker pool, the password cache and the verifier of the process. */
struct eas_auth_child eas_auth_child_init(apr_pool_t *pchild, server_rec *main_server);

#endif
