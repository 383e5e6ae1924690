/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/connection.h - backend connections: their owners, and one exchange at a time */

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
 *                     `--abandon--> closed
 *
 * An owner is a text: user, service, evidence and delegation principal.  NULL: the connection has
 * none.  An exchange is a serial number, unique in the process.  0 stands for mod_proxy's own
 * exchanges, such as health checks, which have no owner and no known end.
 *
 * Times are of eas_clock_now().  Thread-safe.  Counted by references: mod_proxy returns a connection to its pool, and another
 * thread may close it, before its exchange ends.
 */
struct eas_connection;

/* The connections of one child to one backend, in all pools of mod_proxy. */
struct eas_connections;

/*
 * Counted by references, too, and independent of any pool: mod_proxy's pools of connections may
 * outlive the module's.  Returns one reference.
 */
struct eas_connections *eas_connections_create(void);
void eas_connections_unref(struct eas_connections *all);

/*
 * A new connection without a response for a second may mean that idle connections hold all threads
 * of the backend.  Each such connection requests the end of one idle connection: after one second,
 * two, four, and so on.  If it is only a long poll, little is lost.  Returns the number of requests;
 * to be called every second.
 */
unsigned eas_connections_requests(struct eas_connections *all, apr_time_t now);

/* A new connection, with one reference. */
struct eas_connection *eas_connection_open(struct eas_connections *all, apr_time_t now);

/* The socket's owner closes it.  Drops the reference of eas_connection_open(). */
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
void eas_connection_release(struct eas_connection *connection, apr_uint64_t exchange);

/* The exchange has ended, without a release: no other has a connection with an owner. */
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
