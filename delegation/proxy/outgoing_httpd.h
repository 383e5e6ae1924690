/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/outgoing_httpd.h - filter on every outgoing connection: owners, and tokens */

#ifndef EAS_DELEGATION_PROXY_OUTGOING_HTTPD_H
#define EAS_DELEGATION_PROXY_OUTGOING_HTTPD_H

#include "delegation/proxy/exchange_httpd.h"

/*
 * An input and an output filter on every outgoing connection of the process.  They also serve
 * Locations that do not use this module but share a worker with one that does.
 *  - Input: mod_proxy checks whether a pooled connection is alive before it uses it.  The filter
 *    reports it as closed unless it has the exchange's owner and its last exchange ended well.
 *    mod_proxy then makes another connection.
 *  - Output: a write to a connection of another owner or exchange fails, and the connection is
 *    closed.  A request in a user's name must hold the placeholder.  The filter replaces it by a
 *    token, after the TLS handshake, anew each time that mod_proxy sends the head.
 *  - Input, before the response to such a request: if the client leaves, or a newer long poll ends
 *    this one, mod_proxy gets an empty response in the backend's place.  The connection is closed
 *    after it.
 */

/*
 * Begins an exchange in this thread, or continues one that has parked.  Returns the interrupted one,
 * for eas_outgoing_end(), which leaves an exchange that has parked as it is.
 */
struct eas_exchange *eas_outgoing_begin(struct eas_exchange *exchange);
void eas_outgoing_end(struct eas_exchange *exchange, struct eas_exchange *interrupted);

/* Whether this thread's exchange is a request in a user's name. */
bool eas_outgoing_is_for_user(void);

/* Ends an exchange that has parked, outside of any thread's. */
void eas_outgoing_drop(struct eas_exchange *exchange);

/* The error of an exchange whose connection ended while it was parked. */
void eas_outgoing_fail_parked(struct eas_err *err);

/* The exchange has ended well: its owner may use the connection again. */
void eas_outgoing_release(struct eas_exchange *exchange);

/*
 * The owner for requests of a client that the backend itself authenticates: its connection (NTLM,
 * Negotiate, Kerberos), or its request (Bearer).  No other client's request uses these backend
 * connections.  NULL without such credentials.
 */
const char *eas_outgoing_client_owner(request_rec *r);

void eas_outgoing_register_hooks(apr_pool_t *pool);

#endif
