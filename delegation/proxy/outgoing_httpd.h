/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/outgoing_httpd.h - the guard on every outgoing connection of the process */

#ifndef EAS_DELEGATION_PROXY_OUTGOING_HTTPD_H
#define EAS_DELEGATION_PROXY_OUTGOING_HTTPD_H

#include "delegation/proxy/connection.h"
#include "delegation/kcd.h"

#include <httpd.h>

/*
 * Two connection filters stand on every outgoing connection of the process, also for Locations that do
 * not use this module but share a worker with one that does:
 *  - A pooled connection vetoes itself when mod_proxy looks, before it uses it, whether it is still
 *    alive, unless it belongs to this very owner and its last exchange ended well; a fresh one is made.
 *  - What slips through is refused when it is written, and the connection is lost.  What is written in
 *    a user's name must hold the place of the token, where the token is minted: after the TLS handshake,
 *    for this connection, anew each time that mod_proxy sends the head.
 */

/* An exchange that a thread is having with a backend; told to the guard by who runs mod_proxy. */
struct eas_exchange {
    request_rec *r;
    const char *owner;                /* whose identity, at which service; NULL: nobody's */
    struct eas_connections *siblings; /* the backend's connections */
    apr_interval_time_t timeout;      /* of the backend's socket */

    /* In a user's name. */
    const struct eas_ticket *ticket; /* NULL: without a token */
    struct eas_kcd_principal *account;
    bool bind; /* the token to the TLS channel */

    /* Filled in by the guard. */
    apr_uint64_t serial;               /* never used twice in a process */
    struct eas_connection *connection; /* what it was written on last, a reference; or NULL */
    bool pooled;                       /* ... which had carried another exchange before */
    bool heard;                        /* something has come back on it */
    bool settled;                      /* it has ended well */
    bool unsent;                       /* not all of the request could be written */
    struct eas_pending_ap *pending;    /* of the last token */
    struct eas_err failure;            /* why nothing may be written; rc EAS_OK if it may */
};

/* What stands in the request's Authorization header where the token will be. */
const char *eas_outgoing_placeholder(void);

/* Begins an exchange in this thread; returns the one that it interrupts, for eas_outgoing_end(). */
struct eas_exchange *eas_outgoing_begin(struct eas_exchange *exchange);
void eas_outgoing_end(struct eas_exchange *exchange, struct eas_exchange *interrupted);

/* The exchange has ended well: its connection may be used by its owner again. */
void eas_outgoing_release(struct eas_exchange *exchange);

void eas_outgoing_child_init(void);
void eas_outgoing_register_hooks(apr_pool_t *pool);

#endif
