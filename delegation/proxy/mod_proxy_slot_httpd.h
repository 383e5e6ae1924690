/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/mod_proxy_slot_httpd.h - slot as mod_proxy's worker with a pool of one connection */

#ifndef EAS_DELEGATION_PROXY_MOD_PROXY_SLOT_HTTPD_H
#define EAS_DELEGATION_PROXY_MOD_PROXY_SLOT_HTTPD_H

#include "delegation/proxy/mod_proxy_httpd.h"

#include <stdbool.h>

/*
 * Pools that all slots of a process share, with allocators that threads share.  Those of connections
 * and addresses keep nothing that is freed, so that a pool for some 300 bytes has a single page: the
 * second one of a node of 8 KB is touched only where that has been used before.
 */
struct eas_mod_proxy_slot_pools {
    apr_pool_t *slots;
    apr_pool_t *connections; /* of workers that keep them; ends before addresses, as does unkept */
    apr_pool_t *unkept;      /* of the others, where mod_proxy makes all anew after each response */
    apr_pool_t *addresses;
    apr_allocator_t *sockets; /* of what ends with a socket, and of what is read; or NULL */
    apr_pool_t *references;   /* to addresses that slots share; never ends */
};

/*
 * A worker for the same backend with a pool of one connection.  It shares status, counters and
 * parameters with the original.  mod_proxy allocates it, so that its size is that of the loaded
 * mod_proxy.  One exchange at a time may use it.  NULL if mod_proxy fails.
 */
proxy_worker *eas_mod_proxy_slot_make(const struct eas_mod_proxy_slot_pools *pools,
                                      proxy_worker *worker, server_rec *s);

/* Whether slots of that worker may share an address: with no other one, and no time to live. */
bool eas_mod_proxy_slot_may_share(const proxy_worker *worker, const server_rec *main_server);

/*
 * A new slot, without a connection yet, gets the address that another slot of that worker has looked
 * up, which then counts one more user.  If no connection comes about, mod_proxy looks the slot's own
 * address up, as it does with any that it keeps.  Not if there is no such address yet, or the first that
 * `from` had was one of several of its family, among which each slot finds its own.
 */
void eas_mod_proxy_slot_share(proxy_worker *slot, proxy_worker *from, apr_pool_t *references,
                              server_rec *s);

/*
 * mod_proxy closes a kept connection whose socket has ended, although a response may lie in the
 * connection's filters (ap_proxy_check_connection()).  From _hide_end() to _show_end() it looks at a
 * silent socket instead.
 */
void eas_mod_proxy_slot_hide_end(const proxy_worker *slot, apr_socket_t *silent);
void eas_mod_proxy_slot_show_end(const proxy_worker *slot, const apr_socket_t *silent);

/* Whether the pool of such a worker, which no exchange uses, has an open connection. */
bool eas_mod_proxy_slot_is_open(const proxy_worker *slot);
void eas_mod_proxy_slot_close(proxy_worker *slot, server_rec *s);

#endif
