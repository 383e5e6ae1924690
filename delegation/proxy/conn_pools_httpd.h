/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/conn_pools_httpd.h - connection pools of a backend, one for several owners */

#ifndef EAS_DELEGATION_PROXY_CONN_POOLS_HTTPD_H
#define EAS_DELEGATION_PROXY_CONN_POOLS_HTTPD_H

#include "delegation/proxy/connection.h"
#include "delegation/proxy/mod_proxy_httpd.h"

/*
 * mod_proxy takes any idle connection of a worker's pool.  Each connection has one owner, so most
 * of them would have another owner and be closed.  Therefore each worker gets EasKcdBackendPools
 * more pools, made at their first use.  An owner always has the same pool.  Connections without an
 * owner stay in the worker's own pool.
 */
struct eas_conn_pools;

/* Makes the reaper, if mod_watchdog is loaded, and the memory that the children share. */
void eas_conn_pools_post_config(apr_pool_t *pconf);

/* Per child.  n is EasKcdBackendPools. */
void eas_conn_pools_child_init(apr_pool_t *pchild, server_rec *main_server, int n);

/* The pools of a worker; made at the first call. */
struct eas_conn_pools *eas_conn_pools_of(proxy_worker *worker);

/* The connections in all of these pools. */
struct eas_connections *eas_conn_pools_connections(const struct eas_conn_pools *pools);

/* mod_proxy's worker with the owner's pool; the original worker if mod_proxy can make none. */
proxy_worker *eas_conn_pools_worker_for(struct eas_conn_pools *pools, const char *owner);

/* The backend authenticates connections.  Returns its name at the first call, then NULL. */
const char *eas_conn_pools_report(struct eas_conn_pools *pools);

#endif
