/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/conn_pools_httpd.h - for each backend, connection pools that identities are spread over */

#ifndef EAS_DELEGATION_PROXY_CONN_POOLS_HTTPD_H
#define EAS_DELEGATION_PROXY_CONN_POOLS_HTTPD_H

#include "delegation/proxy/connection.h"
#include "delegation/proxy/mod_proxy_httpd.h"

/*
 * mod_proxy gives out any idle connection of a worker's pool.  As a connection serves one identity
 * only, most of what one pool gives would be somebody else's and have to be closed.  So each worker gets
 * EasKcdBackendPools pools more, made when they are first needed, and an identity always has the same
 * one; what belongs to nobody stays in the worker's own.
 */
struct eas_conn_pools;

/* In post_config: the reaper, where mod_watchdog is there, and what the children share. */
void eas_conn_pools_post_config(apr_pool_t *pconf);

/* Per child.  n is EasKcdBackendPools. */
void eas_conn_pools_child_init(apr_pool_t *pchild, server_rec *main_server, int n);

/* The pools of a worker; made at the first call. */
struct eas_conn_pools *eas_conn_pools_of(proxy_worker *worker);

/* All connections of all of them. */
struct eas_connections *eas_conn_pools_connections(const struct eas_conn_pools *pools);

/* The worker to hand to mod_proxy for an owner: one of the pools, or the original if there is none. */
proxy_worker *eas_conn_pools_worker_for(struct eas_conn_pools *pools, const char *owner);

/* The backend has been found to authenticate connections.  Its name at the first call, then NULL. */
const char *eas_conn_pools_report(struct eas_conn_pools *pools);

#endif
