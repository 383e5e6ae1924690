/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/token.h - makes the token of one request from a ticket in hand, and checks the answer */

#ifndef EAS_DELEGATION_KERBEROS_TOKEN_H
#define EAS_DELEGATION_KERBEROS_TOKEN_H

#include "auth/base/error.h"
#include "auth/kerberos/ticket.h"

#include <apr_pools.h>

/*
 * A mint keeps krb5_contexts that never speak to a KDC, one for each thread that mints at the same
 * time, because making a context costs more than making a token.  One per child; thread-safe.
 *
 * It uses the ticket that it is given and nothing else: no credential cache, no default credential,
 * no GSSAPI mechanism glue that could look for one.
 */
struct eas_token_maker;

/* A token that waits for the AP-REP that only the service can make. */
struct eas_pending_ap;

/* The channel that a token is for (RFC 5929): `tls-server-end-point:` and the certificate's hash. */
struct eas_channel_binding {
    const void *bytes;
    apr_size_t len;
};

struct eas_token_maker *eas_token_maker_create(apr_pool_t *pool);

/*
 * The value of an Authorization header, `Negotiate …`, with a fresh authenticator that asks for
 * mutual authentication and is bound to binding, unless that is NULL.  Local work only.  The value is
 * in pool and is a secret: whoever has it can use it once.  The handshake lives as long as pool, and the
 * ticket must.
 * EAS_OK or EAS_UNAVAILABLE.
 */
enum eas_rc eas_token_make(struct eas_token_maker *mint, apr_pool_t *pool,
                           const struct eas_ticket *ticket,
                           const struct eas_channel_binding *binding, const char **value_out,
                           struct eas_pending_ap **pending_out, struct eas_err *err);

/*
 * Does the value of a WWW-Authenticate header, `Negotiate …`, hold the AP-REP to the token
 * (RFC 4120 section 3.2.4)?  A replayed one answers to another authenticator and does not.  EAS_OK;
 * EAS_BACKEND if not; EAS_UNAVAILABLE.
 */
enum eas_rc eas_token_verify(struct eas_token_maker *mint, apr_pool_t *pool,
                             const struct eas_pending_ap *pending, const char *value,
                             struct eas_err *err);

#endif
