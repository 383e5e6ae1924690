/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/login_httpd.h - login form: page, log-on, sign-out */

#ifndef EAS_AUTH_LOGIN_LOGIN_HTTPD_H
#define EAS_AUTH_LOGIN_LOGIN_HTTPD_H

#include "auth/login/page.h"

#include <httpd.h>
#include <stdbool.h>

/* The URL of the login form with a reason and a destination, which may be NULL; in r->pool. */
const char *eas_login_location(request_rec *r, enum eas_page_reason reason,
                               const char *destination);

/* A path of this site, but not below the login path: that would be a loop, or a sign-out. */
bool eas_login_is_destination(request_rec *r, const char *destination);

/* Whether the request is for a path below EasKcdLoginPath. */
bool eas_login_handles(request_rec *r);

void eas_login_register_hooks(apr_pool_t *pool);

#endif
