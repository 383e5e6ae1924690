/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/spnego.h - SPNEGO around a Kerberos message (RFC 4178) */

#ifndef EAS_AUTH_KERBEROS_SPNEGO_H
#define EAS_AUTH_KERBEROS_SPNEGO_H

#include "auth/base/der.h"

#include <apr_pools.h>

/* The most octets that eas_spnego_wrap_init() adds. */
#define EAS_SPNEGO_INIT_MAX 128

/*
 * der holds an AP-REQ, which becomes the mechToken of a NegTokenInit, framed by RFC 4121 section
 * 4.1.  Kerberos is the only mechanism, so no mechListMIC is needed (RFC 4178 section 5).
 */
void eas_spnego_wrap_init(struct eas_der *der);

/*
 * Finds the AP-REP inside a NegTokenResp (RFC 4178 section 4.2.2) of state accept-completed; false
 * for anything else.  The octets are untrusted.  The mechanism is Kerberos' OID, the one that
 * Windows uses for it ([MS-SPNG] 3.1.5.2), or absent.
 */
bool eas_spnego_find_ap_rep(struct eas_bytes token, struct eas_bytes *ap_rep_out);

/*
 * Whether a NegTokenResp has a state, and a mechanism at most: no responseToken, and so nothing that
 * could be verified.  The acceptors of gokrb5 answer so.
 */
bool eas_spnego_is_bare(struct eas_bytes token);

/*
 * The next element of a WWW-Authenticate header that is not empty, without blanks around it; false at
 * the end.  Moves *value behind it.
 */
bool eas_spnego_next_element(const char **value, struct eas_bytes *element_out);

/*
 * The next challenge with a token of scheme Negotiate, as `Negotiate <token>` in pool; NULL at the
 * end.  Moves *value behind it.  A WWW-Authenticate header can hold challenges of several schemes,
 * with commas between them (RFC 9110 section 11.6.1).
 */
const char *eas_spnego_next_challenge(apr_pool_t *pool, const char **value);

#endif
