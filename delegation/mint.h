/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/mint.h - makes the token of one request from a ticket in hand */

#ifndef EAS_DELEGATION_MINT_H
#define EAS_DELEGATION_MINT_H

#include "auth/base.h"
#include "auth/ticket.h"

#include <apr_pools.h>

/*
 * A mint keeps krb5_contexts that never speak to a KDC, one for each thread that mints at the same
 * time, because making a context costs more than making a token.  One per child; thread-safe.
 *
 * It uses the ticket that it is given and nothing else: no credential cache, no default credential,
 * no GSSAPI mechanism glue that could look for one (I2).
 */
struct eas_mint;

struct eas_mint *eas_mint_create(apr_pool_t *pool);

/*
 * The value of an Authorization header, `Negotiate …`, with a fresh authenticator that asks for
 * mutual authentication.  Local work only.  The value is in pool and is a secret: whoever has it
 * can use it once.  EAS_OK or EAS_UNAVAILABLE.
 */
enum eas_rc eas_mint_token(struct eas_mint *mint, apr_pool_t *pool, const struct eas_ticket *ticket,
                           const char **value_out, struct eas_err *err);

#endif
