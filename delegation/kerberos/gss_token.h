/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/gss_token.h - tokens and verification by GSSAPI (EasKcdToken gssapi) */

#ifndef EAS_DELEGATION_KERBEROS_GSS_TOKEN_H
#define EAS_DELEGATION_KERBEROS_GSS_TOKEN_H

#include "auth/base/bytes.h"
#include "auth/base/secret.h"
#include "auth/kerberos/ticket.h"

/*
 * MIT's gss_init_sec_context() over a credential that holds one service ticket and no TGT.  So no
 * message to a KDC is possible: the ticket is found, or the call fails.  Its client keytab is an
 * empty one, because GSSAPI would get a TGT by the default one.
 *
 * The functions return NULL, or the reason for a failure, in pool.
 */

/* A security context whose first token is made.  Its reply is verified once. */
struct eas_gss_token;

/*
 * The token is a NegTokenInit of Kerberos alone that requires mutual authentication and delegates
 * nothing.  ctx makes the ticket's ccache; GSSAPI has a context of its own.  The security context
 * ends with eas_gss_token_verify(), or with pool.
 */
const char *eas_gss_token_make(krb5_context ctx, apr_pool_t *pool, const struct eas_ticket *ticket,
                               struct eas_bytes binding, struct eas_gss_token **made,
                               struct eas_secret **token);

/*
 * Whether reply completes the security context, which ends: GSSAPI cannot try a second reply after
 * a wrong one.  The octets are untrusted.
 */
const char *eas_gss_token_verify(struct eas_gss_token *made, apr_pool_t *pool,
                                 struct eas_bytes reply);

/* The mechanism's words for a failure of a call, if it has any, else those of GSSAPI. */
const char *eas_gss_token_words(apr_pool_t *pool, unsigned major, unsigned minor);

/* The name of a ccache or keytab in memory, which no other code can guess; NULL on failure. */
const char *eas_gss_token_secret_name(apr_pool_t *pool);

#endif
