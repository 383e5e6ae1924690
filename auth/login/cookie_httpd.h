/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/cookie_httpd.h - cookies of the module in requests and responses */

#ifndef EAS_AUTH_BASE_COOKIE_HTTPD_H
#define EAS_AUTH_BASE_COOKIE_HTTPD_H

#include <httpd.h>

/*
 * The session in this browser has ended.  Makes the browser delete the session cookie, and by
 * `Clear-Site-Data` the cookies and cached pages of the backends, which would serve the next user
 * as this one; unless `eas-kcd-keep-site-data` is set.  Only the answer to a navigation does so.
 * Such a response sets no cookie: Chromium drops it, too, and Firefox keeps it.
 */
void eas_cookie_clear(request_rec *r);

/* Removes the module's cookies from the headers of a request to a backend. */
void eas_cookie_strip_request(request_rec *r, apr_table_t *headers);

/* Removes them from a backend's response, which must neither end a session nor set one. */
void eas_cookie_strip_response(request_rec *r, apr_table_t *headers);

/*
 * The names of the session cookie, of the form cookie (auth/login/csrf_httpd.h), and of that with
 * the input of a refused log-on (auth/login/typed_httpd.h).
 */
const char *eas_cookie_name(const request_rec *r);
const char *eas_cookie_form_name(const request_rec *r);
const char *eas_cookie_typed_name(const request_rec *r);

/* Adds a Set-Cookie header, also to error pages and beside those of a backend.  NULL deletes. */
void eas_cookie_add(request_rec *r, const char *name, const char *value);

#endif
