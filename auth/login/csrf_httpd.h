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
 * Checks that a page of this site posted the form: no other site caused the request, and the token
 * (NULL: none) belongs to the form cookie.  EAS_OK, EAS_FORBIDDEN, or EAS_UNAVAILABLE.
 */
enum eas_rc eas_csrf_check(request_rec *r, const char *token, struct eas_err *err);

/* The value of the form cookie, random for each browser; NULL: the request has none, or several. */
const char *eas_csrf_cookie(request_rec *r);

/* The site of the page that caused a request (Fetch Metadata, else the Origin header). */
enum eas_csrf_site {
    EAS_CSRF_OWN,
    EAS_CSRF_HIDDEN, /* `Origin: null`, as after `Referrer-Policy: no-referrer`: a token decides */
    EAS_CSRF_OTHER
};

enum eas_csrf_site eas_csrf_site_of(request_rec *r);

/* The path and query of a URL of this site, such as that of a Referer header; NULL: another site. */
const char *eas_csrf_own_path(request_rec *r, const char *url);

#endif
