/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/cookie_httpd.h - the module's cookies in requests and responses */

#ifndef EAS_AUTH_LOGIN_COOKIE_HTTPD_H
#define EAS_AUTH_LOGIN_COOKIE_HTTPD_H

#include <httpd.h>

/* Makes the browser forget the cookie. */
void eas_cookie_clear(request_rec *r);

/* Takes our cookies out of headers that are about to go to a backend. */
void eas_cookie_strip_request(request_rec *r, apr_table_t *headers);

/* Takes cookies of our names out of a backend's answer: it must neither end a session nor plant one. */
void eas_cookie_strip_response(request_rec *r, apr_table_t *headers);

/* The name of the session cookie, and of the one that ties a login form to its browser. */
const char *eas_cookie_name(const request_rec *r);
const char *eas_cookie_form_name(const request_rec *r);

/* Adds a Set-Cookie that survives error pages and the backend's own; value NULL clears the cookie. */
void eas_cookie_add(request_rec *r, const char *name, const char *value);

#endif
