/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/mod_proxy_slot_httpd.h - slot as mod_proxy's worker with a pool of one connection */

#ifndef EAS_DELEGATION_PROXY_MOD_PROXY_SLOT_HTTPD_H
#define EAS_DELEGATION_PROXY_MOD_PROXY_SLOT_HTTPD_H

#include "delegation/proxy/mod_proxy_httpd.h"

#include <stdbool.h>

/* Pools that all slots of a process share, with an allocator that threads share. */
struct eas_mod_proxy_slot_pools {
    apr_pool_t *slots;
    apr_pool_t *connections; /* ends before addresses, to which connections refer */
    apr_pool_t *addresses;
};

/*
 * A worker for the same backend with a pool of one connection.  It shares status, counters and
 * parameters with the original.  mod_proxy allocates it, so that its size is that of the loaded
 * mod_proxy.  One exchange at a time may use it.  NULL if mod_proxy fails.
 */
proxy_worker *eas_mod_proxy_slot_make(const struct eas_mod_proxy_slot_pools *pools,
                                      proxy_worker *worker, server_rec *s);

/* Whether the pool of such a worker, which no exchange uses, has an open connection. */
bool eas_mod_proxy_slot_is_open(const proxy_worker *slot);
void eas_mod_proxy_slot_close(proxy_worker *slot, server_rec *s);

#endif
