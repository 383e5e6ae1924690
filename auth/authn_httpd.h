/* SPDX-License-Identifier: Apache-2.0 */
/* auth/authn_httpd.h - authentication for AuthType EasKcd */

#ifndef EAS_AUTH_AUTHN_HTTPD_H
#define EAS_AUTH_AUTHN_HTTPD_H

#include <httpd.h>
#include <stdbool.h>

void eas_authn_register_hooks(apr_pool_t *pool);

/* Whether AuthType EasKcd is in effect for the request. */
bool eas_authn_in_effect(const request_rec *r);

/*
 * The challenge for a request that nothing had required to authenticate, after the backend's 401.
 * Sets the response headers and returns the status.
 */
int eas_authn_challenge(request_rec *r);

#endif
