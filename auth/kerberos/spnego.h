/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/spnego.h - SPNEGO around a Kerberos message (RFC 4178) */

#ifndef EAS_AUTH_KERBEROS_SPNEGO_H
#define EAS_AUTH_KERBEROS_SPNEGO_H

#include "auth/base/der.h"

#include <apr_pools.h>

/* The most octets that eas_spnego_wrap_init() adds, and eas_spnego_wrap_response(). */
#define EAS_SPNEGO_INIT_MAX 128
#define EAS_SPNEGO_RESPONSE_MAX 64

/*
 * der holds an AP-REQ, which becomes the mechToken of a NegTokenInit, framed by RFC 4121 section
 * 4.1.  Kerberos is the only mechanism, so no mechListMIC is needed (RFC 4178 section 5).
 */
void eas_spnego_wrap_init(struct eas_der *der);

/* A client's first token. */
struct eas_spnego_init {
    struct eas_bytes mechanism; /* the OID that the client prefers; empty: a token without SPNEGO */
    struct eas_bytes ap_req;
};

/*
 * Reads a NegTokenInit (RFC 4178 section 4.2.1), whose first mechanism must be Kerberos, by either OID;
 * or Kerberos' token alone (RFC 4121 section 4.1).  False for anything else.  The octets are untrusted,
 * and the result points into them.
 */
bool eas_spnego_find_ap_req(struct eas_bytes token, struct eas_spnego_init *out);

/*
 * der holds an AP-REP, or nothing if the client wants no proof.  It becomes the answer to init: a
 * NegTokenResp of state accept-completed.
 */
void eas_spnego_wrap_response(struct eas_der *der, const struct eas_spnego_init *init);

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
