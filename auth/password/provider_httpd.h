/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/provider_httpd.h - Password providers: the KDC, and authn providers of httpd */

#ifndef EAS_AUTH_PASSWORD_PROVIDER_HTTPD_H
#define EAS_AUTH_PASSWORD_PROVIDER_HTTPD_H

#include "auth/password/basic.h"
#include "auth/password/password.h"
#include "auth/request_httpd.h"

/*
 * Verifies credentials with the providers of EasKcdPasswordProvider, and wipes the password.  The
 * identity is in the request's pool; it has evidence only from the KDC, which the password cache
 * may stand for.  May block on the network.
 */
enum eas_rc eas_provider_verify(request_rec *r, const struct eas_credentials *credentials,
                                const struct eas_identity **identity_out, struct eas_err *err);

/*
 * Changes the password at the KDC (auth/password/change.h) as EasKcdPasswordChange lets it; wipes
 * the old one, and leaves the new one.  Errors are logged and delayed as those of a log-on.
 */
enum eas_rc eas_provider_change(request_rec *r, const struct eas_credentials *credentials,
                                const struct eas_secret *new_password,
                                struct eas_password_change *change_out, struct eas_err *err);

/* Registers the provider `kdc` for AuthType Basic: AuthBasicProvider kdc. */
void eas_provider_register_hooks(apr_pool_t *pool);

#endif
