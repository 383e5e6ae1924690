/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/login_httpd.h - the login form's path: page, log-on, sign-out */

#ifndef EAS_AUTH_LOGIN_LOGIN_HTTPD_H
#define EAS_AUTH_LOGIN_LOGIN_HTTPD_H

#include "auth/login/page.h"

#include <httpd.h>
#include <stdbool.h>

/* Where a browser is sent to log on: the form, with what it shall say and lead to. */
const char *eas_login_location(request_rec *r, enum eas_page_reason reason,
                               const char *destination);

/* Is the request for a path of ours? */
bool eas_login_handles(request_rec *r);

void eas_login_register_hooks(apr_pool_t *pool);

#endif
