/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/negotiate_httpd.h - EasKcdNegotiate: the Kerberos ticket of a client of the domain */

#ifndef EAS_AUTH_LOGIN_NEGOTIATE_HTTPD_H
#define EAS_AUTH_LOGIN_NEGOTIATE_HTTPD_H

#include "auth/identity.h"

#include <httpd.h>

/*
 * The token of the request's scheme Negotiate; NULL: EasKcdNegotiate is off, there is no keytab, or
 * the request has other credentials or none.
 */
const char *eas_negotiate_token_of(const request_rec *r);

/* Whether a challenge offers the scheme.  Not again after a token, which the gateway has refused. */
bool eas_negotiate_is_offered(const request_rec *r);

/*
 * Accepts the token for this request alone, and adds the proof for the client to the response.
 * Errors are those of eas_negotiate_accept(), and EAS_FORBIDDEN: another site made the browser send
 * the request, with a method or in a way in which it sends no session cookie either (SameSite=Lax).
 */
enum eas_rc eas_negotiate_verify(request_rec *r, const char *token,
                                 const struct eas_identity **identity_out, struct eas_err *err);

#endif
