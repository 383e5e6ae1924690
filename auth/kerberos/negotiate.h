/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/negotiate.h - a client's token of scheme Negotiate (RFC 4559), accepted */

#ifndef EAS_AUTH_KERBEROS_NEGOTIATE_H
#define EAS_AUTH_KERBEROS_NEGOTIATE_H

#include "auth/identity.h"
#include "auth/kerberos/keytab.h"

/*
 * A client that is a member of the domain sends its ticket for the gateway, with an authenticator.
 * The ticket is evidence for constrained delegation as it is.
 *
 * libkrb5 reads the AP-REQ (krb5_rd_req).  GSSAPI's acceptor does not return the ticket: for a
 * delegated credential it would log the gateway on within the request.  Neither a replay cache nor
 * channel bindings are used: TLS protects the token on its way (reference.md, EasKcdNegotiate).
 */
struct eas_negotiated {
    struct eas_identity *identity; /* with evidence */
    const char *proof;             /* for the client, base64; NULL: it wants none */
};

/*
 * text is base64.  Sends no message.  EAS_OK with the result in pool, which also holds the evidence.
 * EAS_DENIED: NTLM, another mechanism, a ticket that no key of the gateway's account decrypts, that is
 * over or for another realm's user, a clock that differs by more than five minutes.  EAS_UNAVAILABLE.
 */
enum eas_rc eas_negotiate_accept(apr_pool_t *pool, struct eas_keytab *keytab,
                                 const struct eas_realms *realms, const char *text,
                                 struct eas_negotiated *out, struct eas_err *err);

#endif
