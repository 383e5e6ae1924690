/* SPDX-License-Identifier: Apache-2.0 */
/* auth/authn_httpd.h - AuthType EasKcd: who asks? */

#ifndef EAS_AUTH_AUTHN_HTTPD_H
#define EAS_AUTH_AUTHN_HTTPD_H

#include <httpd.h>
#include <stdbool.h>

void eas_authn_register_hooks(apr_pool_t *pool);

/* Is AuthType EasKcd in effect for the request? */
bool eas_authn_in_effect(const request_rec *r);

/*
 * The answer to a request that turned out to need a user: its status, with the headers set.  For the
 * backend's 401, which comes where nothing was required here.
 */
int eas_authn_challenge(request_rec *r);

#endif
