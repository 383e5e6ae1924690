/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/gss_client.h - token and AP-REP by libgssapi, a second opinion to token.h */

#ifndef EAS_DELEGATION_CHECK_GSS_CLIENT_H
#define EAS_DELEGATION_CHECK_GSS_CLIENT_H

#include "auth/base/bytes.h"
#include "auth/kerberos/ticket.h"

/*
 * A SPNEGO context by libgssapi, from the ticket alone.  It shares no code with token.h, whose
 * encoder it checks in this way.
 */
struct eas_gss_client;

/*
 * *value_out is that of an Authorization header; a secret that works once.  NULL after a failure,
 * whose reason is *value_out.
 */
struct eas_gss_client *eas_gss_client_begin(apr_pool_t *pool, const struct eas_ticket *ticket,
                                            struct eas_bytes binding, const char **value_out);

/* Whether value, of a WWW-Authenticate header, has the acceptor's answer to the token. */
bool eas_gss_client_verify(struct eas_gss_client *client, const char *value);

#endif
