/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/connection.h - backend connections: owners, reuse, eviction */

#ifndef EAS_DELEGATION_PROXY_CONNECTION_H
#define EAS_DELEGATION_PROXY_CONNECTION_H

#include <apr_pools.h>
#include <apr_time.h>
#include <stdbool.h>

/*
 * A backend may authenticate the connection instead of the request (IIS: `Persistent-Auth: true`).
 * After an exchange that broke off, its response may still arrive.  So a connection has one owner
 * for life, and one exchange at a time:
 *
 *   new --acquire--> busy --release--> idle --reuse--> busy ...
 *                     |                  `---close---> closed
 *                     `--abandon--> closed
 *
 * An owner is a text: user, service, evidence and delegation principal.  NULL: the connection has
 * none.  An exchange is a serial number, unique in the process.  0 stands for mod_proxy's own
 * exchanges, such as health checks, which have no owner and no known end.
 *
 * Thread-safe.  Counted by references: mod_proxy returns a connection to its pool, and another
 * thread may close it, before its exchange ends.
 */
struct eas_connection;

/* The connections of one child to one backend, in all pools of mod_proxy. */
struct eas_connections;

/*
 * At most max connections with an owner are open, and none is idle for longer than max_idle.  One
 * more than max closes the longest idle one.  Busy connections are never closed, so there can be
 * more than max of these.
 *
 * A new connection without a response for a second may mean that idle connections hold all threads
 * of the backend.  Each such connection closes the longest idle one: after one second, two, four,
 * and so on.  If it is only a long poll, little is lost.
 */
struct eas_connections *eas_connections_create(apr_pool_t *pool, unsigned max,
                                               apr_interval_time_t max_idle);

/*
 * Closes connections that are due; to be called every second.  Returns the number of unsatisfied
 * eviction requests: new connections without a response that found no idle one to close.
 */
unsigned eas_connections_reap(struct eas_connections *all, apr_time_t now);

/* Closes up to n connections for other children, the longest idle ones first. */
void eas_connections_evict(struct eas_connections *all, unsigned n);

/*
 * A new connection.  shutdown_socket(socket) shuts the socket down, for the peer and for mod_proxy.
 * It is called at most once, under a lock, in any thread, and never after eas_connection_close().
 * Returns one reference.
 */
struct eas_connection *eas_connection_open(struct eas_connections *all,
                                           void (*shutdown_socket)(void *socket), void *socket,
                                           apr_time_t now);

/* The owner of the socket closes it.  Drops the reference of eas_connection_open(). */
void eas_connection_close(struct eas_connection *connection);

struct eas_connection *eas_connection_ref(struct eas_connection *connection);
void eas_connection_unref(struct eas_connection *connection);

/* Before a reuse: whether the exchange may have the connection, which is then busy. */
bool eas_connection_reuse(struct eas_connection *connection, const char *owner,
                          apr_uint64_t exchange);

/*
 * Before each write: whether the exchange and owner have the connection.  A new one is theirs from
 * then on.  Works without eas_connection_reuse().
 */
bool eas_connection_acquire(struct eas_connection *connection, const char *owner,
                            apr_uint64_t exchange);

/* The exchange has ended well: its whole response was read and accepted. */
void eas_connection_release(struct eas_connection *connection, apr_uint64_t exchange,
                            apr_time_t now);

/* The exchange has ended, without a release: a connection with an owner is closed at once. */
void eas_connection_abandon(struct eas_connection *connection, apr_uint64_t exchange);

/* The backend has sent something. */
void eas_connection_answered(struct eas_connection *connection);

/*
 * Whether the backend has authenticated itself and the connection to the owner; only for the
 * connection's exchange.
 */
void eas_connection_set_authenticated(struct eas_connection *connection);
bool eas_connection_is_authenticated(const struct eas_connection *connection);

#endif
