/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/connection.h - whose a backend connection is, and whether it may be used again */

#ifndef EAS_DELEGATION_PROXY_CONNECTION_H
#define EAS_DELEGATION_PROXY_CONNECTION_H

#include <apr_pools.h>
#include <apr_time.h>
#include <stdbool.h>

/*
 * A backend may authenticate the connection instead of the request (IIS does, `Persistent-Auth:
 * true`), and a connection whose last exchange broke off may still bring that exchange's response.
 * So a connection belongs to one owner for life, and to one exchange at a time:
 *
 *   new --claim--> busy --settle--> idle --take--> busy ...
 *                   |                 `---doom---> doomed
 *                   `--abandon--> doomed: the exchange did not end well
 *
 * An owner is a text (whose identity, at which service), or NULL: nobody's.  An exchange is a serial
 * number that is never used twice in a process.  0 is what mod_proxy does on its own account, such as
 * health checks: it has no owner, and nobody says when it ends.
 *
 * Thread-safe.  Counted by references, since mod_proxy gives a connection back, and another thread may
 * close it, while the exchange that used it still looks at its response.
 */
struct eas_connection;

/* The connections of one child to one backend, over all of mod_proxy's pools. */
struct eas_connections;

/*
 * At most max connections with an owner are open: where there is one more, the one that has been idle
 * for longest is closed.  (Busy ones are never closed, so there can be more of these.)  None stays idle
 * for longer than max_idle.
 *
 * A new connection whose first request is not answered within a second may mean that the backend has
 * no thread left to serve it, and that our idle connections hold them.  So each of these closes the one
 * that has been idle for longest: after one second, two, four, and so on.  (Where it was but a long poll,
 * little is lost.)
 */
struct eas_connections *eas_connections_create(apr_pool_t *pool, unsigned max,
                                               apr_interval_time_t max_idle);

/*
 * Closes what is to be closed by now; to be called every second.  Returns how many new connections that
 * were not answered found no idle one to close: other children may have one.
 */
unsigned eas_connections_reap(struct eas_connections *all, apr_time_t now);

/* Closes up to n of those that have been idle for longest. */
void eas_connections_evict(struct eas_connections *all, unsigned n);

/*
 * A connection that has just been made.  hang_up(socket) makes the peer and mod_proxy see its end; it
 * is called at most once, under a lock, in any thread, and never after eas_connection_close().
 * Returns one reference.
 */
struct eas_connection *eas_connection_open(struct eas_connections *all,
                                           void (*hang_up)(void *socket), void *socket,
                                           apr_time_t now);

/* The socket goes. */
void eas_connection_close(struct eas_connection *connection);

struct eas_connection *eas_connection_ref(struct eas_connection *connection);
void eas_connection_unref(struct eas_connection *connection);

/* Before it is used again: may this exchange have it?  If so it is busy with it. */
bool eas_connection_take(struct eas_connection *connection, const char *owner,
                         apr_uint64_t exchange);

/*
 * Before anything is written: does it belong to this exchange and owner?  A new one does from then on.
 * The last defence, which does not rely on eas_connection_take() having been called.
 */
bool eas_connection_claim(struct eas_connection *connection, const char *owner,
                          apr_uint64_t exchange);

/* The exchange has ended well: its whole response was read, and was what it had to be. */
void eas_connection_release(struct eas_connection *connection, apr_uint64_t exchange,
                            apr_time_t now);

/* The exchange is over and was not settled: an owned one is closed now, lest it hold the backend. */
void eas_connection_abandon(struct eas_connection *connection, apr_uint64_t exchange);

/* The backend has sent something on it. */
void eas_connection_answered(struct eas_connection *connection);

/* Has the backend proved itself to its owner on it?  Set and read by the exchange that it is busy with. */
void eas_connection_set_authenticated(struct eas_connection *connection);
bool eas_connection_is_authenticated(const struct eas_connection *connection);

#endif
