/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/spnego.h - the SPNEGO envelope around a Kerberos message (RFC 4178) */

#ifndef EAS_DELEGATION_KERBEROS_SPNEGO_H
#define EAS_DELEGATION_KERBEROS_SPNEGO_H

#include "delegation/kerberos/der.h"

/* The octets that the envelope of an AP-REQ adds, at most. */
#define EAS_SPNEGO_INIT_MAX 128

/*
 * Makes the AP-REQ, which is all that der holds, the mechToken of a NegTokenInit that offers Kerberos
 * alone, framed as RFC 4121 section 4.1 wants it.  Kerberos being the only and preferred mechanism, no
 * mechListMIC is needed (RFC 4178 section 5).
 */
void eas_spnego_wrap_init(struct eas_der *der);

/*
 * Finds the AP-REP in a NegTokenResp (RFC 4178 section 4.2.2) whose state is accept-completed: its
 * place inside of token.  False for anything else, whatever the octets are; nothing outside of token
 * is looked at.  The mechanism may be Kerberos by its own OID or by the one that Windows knows it by
 * ([MS-SPNG] 3.1.5.2), or left out.
 */
bool eas_spnego_find_ap_rep(struct eas_der_text token, struct eas_der_text *ap_rep_out);

#endif
