/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/spnego.h - the SPNEGO envelope around a Kerberos message (RFC 4178) */

#ifndef EAS_DELEGATION_SPNEGO_H
#define EAS_DELEGATION_SPNEGO_H

#include <apr_pools.h>

/*
 * A NegTokenInit that offers Kerberos alone and carries ap_req as its mechToken, framed as RFC 4121
 * section 4.1 wants it.  Kerberos being the only and preferred mechanism, no mechListMIC is needed
 * (RFC 4178 section 5).  The token is in pool.
 */
const unsigned char *eas_spnego_init_token(apr_pool_t *pool, const void *ap_req,
                                           apr_size_t ap_req_len, apr_size_t *len_out);

#endif
