/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/token.h - SPNEGO tokens for HTTP, and verification of the replies */

#ifndef EAS_DELEGATION_KERBEROS_TOKEN_H
#define EAS_DELEGATION_KERBEROS_TOKEN_H

#include "auth/base/bytes.h"
#include "auth/base/error.h"
#include "auth/kerberos/ticket.h"

#include <apr_pools.h>
#include <stdbool.h>

/* The maker of tokens and verifier of replies, by EasKcdToken. */
enum eas_token_by {
    EAS_TOKEN_NATIVE, /* ap.h and spnego.h */
    EAS_TOKEN_GSSAPI  /* gss_token.h */
};

/*
 * A pool of krb5_contexts, one for each thread that makes a token at the same time: making a
 * context costs more than making a token.  None of them contacts a KDC.  One per child;
 * thread-safe.
 *
 * A token depends on its ticket alone: on no default credential, ccache or keytab.
 */
struct eas_token_maker;

/* A pending AP exchange: the token was made, the AP-REP has not been verified. */
struct eas_pending_ap;

struct eas_token_request {
    enum eas_token_by by;
    const struct eas_ticket *ticket;
    /* The TLS channel: `tls-server-end-point:` and the certificate's hash (RFC 5929); len 0 for an
     * unbound token. */
    struct eas_bytes binding;
    apr_pool_t *text_pool; /* of the token's text; NULL: as the pending exchange */
};

struct eas_token {
    const char *value; /* of an Authorization header, `Negotiate …`; a secret that works once */
    struct eas_pending_ap *pending;
    apr_size_t len; /* of the value */
};

struct eas_token_maker *eas_token_maker_create(apr_pool_t *pool);

/*
 * A token with a fresh authenticator that requires mutual authentication.  Local work only.  The
 * token lives as long as pool; the ticket must, too.
 * EAS_OK or EAS_UNAVAILABLE.
 */
enum eas_rc eas_token_make(struct eas_token_maker *maker, apr_pool_t *pool,
                           const struct eas_token_request *request, struct eas_token *token_out,
                           struct eas_err *err);

/*
 * Whether value, of a WWW-Authenticate header, claims to hold the AP-REP: not where it has the state
 * of the negotiation alone.
 */
bool eas_token_is_reply(apr_pool_t *pool, const char *value);

/*
 * The most bytes that the first native token keeps with its ticket: the text that all of the
 * ticket's tokens begin with.  Only the authenticator of the next ones is encoded.
 */
apr_size_t eas_token_form_max(const struct eas_ticket *ticket);

/*
 * Verifies that value, of a WWW-Authenticate header, holds the AP-REP to the token (RFC 4120
 * section 3.2.4).  A replayed AP-REP repeats another authenticator's time and fails.  With GSSAPI,
 * no reply is right after a wrong one.
 * EAS_OK; EAS_BACKEND if it does not; EAS_UNAVAILABLE.
 */
enum eas_rc eas_token_verify(apr_pool_t *pool, struct eas_pending_ap *pending, const char *value,
                             struct eas_err *err);

#endif
