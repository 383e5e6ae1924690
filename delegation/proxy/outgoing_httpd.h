/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/outgoing_httpd.h - filter on every outgoing connection: owners, and tokens */

#ifndef EAS_DELEGATION_PROXY_OUTGOING_HTTPD_H
#define EAS_DELEGATION_PROXY_OUTGOING_HTTPD_H

#include "delegation/kcd.h"
#include "delegation/proxy/client_httpd.h"
#include "delegation/proxy/connection.h"

#include <httpd.h>

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

/* A request to a backend and its response, in one thread. */
struct eas_exchange {
    request_rec *r;
    const char *owner;                   /* of the connection; NULL: none */
    struct eas_connections *connections; /* of the backend */
    apr_interval_time_t timeout;         /* of the backend's socket */

    /* In a user's name. */
    const struct eas_ticket *ticket; /* NULL: without a token */
    const struct eas_kcd_principal *principal;
    bool bind; /* the token to the TLS channel */
    enum eas_token_by token_by;
    const struct eas_long_poll *poll; /* NULL: nothing limits it */

    bool resolved; /* mod_proxy_http has made the head; set by the proxy's fixups */

    /* Set by the filter. */
    apr_uint64_t serial;               /* never used twice in a process */
    struct eas_connection *connection; /* the last that was written to; a reference, or NULL */
    bool pooled;                       /* ... and had carried another exchange */
    bool connected;                    /* mod_proxy has made a new connection */
    bool written;                      /* ... or found one, and has begun to write */
    bool got_response;                 /* the backend has sent something on it */
    bool responding;                   /* its final response has begun */
    bool ended;                        /* by the client, before that */
    unsigned lines;                    /* of the empty response, that mod_proxy has read */
    bool released;                     /* it has ended well */
    bool send_incomplete;              /* a part of the request could not be written */
    struct eas_pending_ap *pending;    /* of the last token */
    apr_size_t token_len;              /* of its Authorization header */
    struct eas_err failure;            /* the filter's refusal; otherwise rc is EAS_OK */
    struct eas_err tls_failure;        /* of the handshake, likewise */
};

/* The value of the Authorization header until the filter replaces it by a token. */
const char *eas_outgoing_placeholder(void);

/* Begins an exchange in this thread; returns the interrupted one, for eas_outgoing_end(). */
struct eas_exchange *eas_outgoing_begin(struct eas_exchange *exchange);
void eas_outgoing_end(struct eas_exchange *exchange, struct eas_exchange *interrupted);

/* Ends an exchange without a response, for an event of its client; the failure says why, if any. */
void eas_outgoing_abort(struct eas_exchange *exchange, enum eas_client_event event);

/* The exchange has ended well: its owner may use the connection again. */
void eas_outgoing_release(struct eas_exchange *exchange);

/*
 * The owner for requests of a client that authenticates its own connection to the backend (NTLM,
 * Negotiate, Kerberos).  No other client's request uses these backend connections.  NULL without
 * such credentials.
 */
const char *eas_outgoing_client_owner(request_rec *r);

void eas_outgoing_child_init(apr_pool_t *pchild);
void eas_outgoing_register_hooks(apr_pool_t *pool);

#endif
