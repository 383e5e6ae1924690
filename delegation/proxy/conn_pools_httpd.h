/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/conn_pools_httpd.h - connection pools of a backend, of one connection each */

#ifndef EAS_DELEGATION_PROXY_CONN_POOLS_HTTPD_H
#define EAS_DELEGATION_PROXY_CONN_POOLS_HTTPD_H

#include "delegation/proxy/connection.h"
#include "delegation/proxy/mod_proxy_slot_httpd.h"
#include "delegation/proxy/slots.h"

/*
 * mod_proxy takes any idle connection of a worker's pool.  Each connection has one owner, so most
 * of them would have another owner and be closed.  Therefore a worker gets pools of one connection
 * each (delegation/proxy/slots.h), made as they are needed.  Connections without an owner stay in
 * the worker's own pool.
 *
 * In a child there are no more of these connections, kept or busy, than the worker's `max=`.  Where
 * that is not less than mod_proxy's default, EasKcdBackendPools may raise it.
 */
struct eas_conn_pools;

/* Makes the reaper, if mod_watchdog is loaded, and the memory that the children share. */
void eas_conn_pools_post_config(apr_pool_t *pconf);

/* Per child.  n is EasKcdBackendPools. */
void eas_conn_pools_child_init(apr_pool_t *pchild, server_rec *main_server, int n);

/* The pools of a worker; made at the first call. */
struct eas_conn_pools *eas_conn_pools_of(proxy_worker *worker);

/* All connections to this backend. */
struct eas_connections *eas_conn_pools_connections(const struct eas_conn_pools *pools);

/* The time that an exchange waits for a pool: the worker's `acquire=`, else its own time-out. */
apr_interval_time_t eas_conn_pools_patience(const struct eas_conn_pools *pools,
                                            apr_interval_time_t timeout);

/*
 * Leases a pool to an exchange of that owner; *worker_out is mod_proxy's worker with that pool.
 * Waits for one for max_wait at most; NULL if none came.  fresh: the owner's kept connection is
 * closed, too.
 */
struct eas_slot *eas_conn_pools_take(struct eas_conn_pools *pools, const char *owner,
                                     apr_interval_time_t max_wait, bool fresh,
                                     proxy_worker **worker_out);

/*
 * The exchange parks.  Its connection does not count against EasKcdBackendPools until its next
 * exchange, so that the answers of many parked ones do not close their connections.  It counts
 * against a `max=` that protects the backend.
 */
void eas_conn_pools_set_aside(struct eas_conn_pools *pools, struct eas_slot *slot);

/* The exchange of that slot goes on where its response is read; until eas_conn_pools_put(). */
void eas_conn_pools_resume(struct eas_slot *slot);

/* Ends the lease.  Closes the connection unless the exchange has released it. */
void eas_conn_pools_put(struct eas_conn_pools *pools, struct eas_slot *slot, bool released);

/* The backend authenticates connections.  Returns its name at the first call, then NULL. */
const char *eas_conn_pools_report(struct eas_conn_pools *pools);

#endif
