/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/spnego.h - the SPNEGO envelope around a Kerberos message (RFC 4178) */

#ifndef EAS_DELEGATION_SPNEGO_H
#define EAS_DELEGATION_SPNEGO_H

#include <apr_pools.h>
#include <stdbool.h>

/*
 * A NegTokenInit that offers Kerberos alone and carries ap_req as its mechToken, framed as RFC 4121
 * section 4.1 wants it.  Kerberos being the only and preferred mechanism, no mechListMIC is needed
 * (RFC 4178 section 5).  The token is in pool.
 */
const unsigned char *eas_spnego_init_token(apr_pool_t *pool, const void *ap_req,
                                           apr_size_t ap_req_len, apr_size_t *len_out);

/*
 * Finds the AP-REP in a NegTokenResp (RFC 4178 section 4.2.2) whose state is accept-completed: its
 * place inside of token.  False for anything else, whatever the octets are; nothing outside of token
 * is looked at.  The mechanism may be Kerberos by its own OID or by the one that Windows knows it by
 * ([MS-SPNG] 3.1.5.2), or left out.
 */
bool eas_spnego_find_ap_rep(const unsigned char *token, apr_size_t len,
                            const unsigned char **ap_rep_out, apr_size_t *ap_rep_len_out);

#endif
