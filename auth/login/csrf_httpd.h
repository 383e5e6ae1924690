/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/csrf_httpd.h - CSRF protection of the login form */

#ifndef EAS_AUTH_LOGIN_CSRF_HTTPD_H
#define EAS_AUTH_LOGIN_CSRF_HTTPD_H

#include "auth/base/error.h"

#include <httpd.h>
#include <stdbool.h>

/*
 * The token of a form: the MAC of the browser's form cookie, in r->pool.  Sets the cookie if the
 * request has none.  EAS_OK, or EAS_UNAVAILABLE.
 */
enum eas_rc eas_csrf_token(request_rec *r, const char **token_out, struct eas_err *err);

/*
 * Checks that a page of this site posted the form: the origin of the request is this site, and the
 * token (NULL: none) belongs to the form cookie.  EAS_OK, EAS_FORBIDDEN, or EAS_UNAVAILABLE.
 */
enum eas_rc eas_csrf_check(request_rec *r, const char *token, struct eas_err *err);

/* Whether a page of another site caused the request (Fetch Metadata, else the Origin header). */
bool eas_csrf_is_cross_site(const request_rec *r);

#endif
