/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/provider_httpd.h - who proves passwords: the KDC, or httpd's own authn providers */

#ifndef EAS_AUTH_PASSWORD_PROVIDER_HTTPD_H
#define EAS_AUTH_PASSWORD_PROVIDER_HTTPD_H

#include "auth/request_httpd.h"
#include "auth/password/basic.h"

/*
 * Proves the credentials by the server's EasKcdPasswordProvider, from memory where these very
 * credentials were proved lately, and cleanses the password.  The identity is in the request's pool;
 * without evidence if it was not the KDC that proved it.  May block on the network.
 */
enum eas_rc eas_provider_verify(request_rec *r, const struct eas_credentials *credentials,
                                const struct eas_identity **identity_out, struct eas_err *err);

/* Registers `kdc` for plain AuthType Basic: AuthBasicProvider kdc. */
void eas_provider_register_hooks(apr_pool_t *pool);

#endif
