/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/challenge_httpd.h - challenge: login form, Basic (RFC 7617), Negotiate, or neither */

#ifndef EAS_AUTH_LOGIN_CHALLENGE_HTTPD_H
#define EAS_AUTH_LOGIN_CHALLENGE_HTTPD_H

#include "auth/login/page.h"

#include <httpd.h>
#include <http_config.h>

/* Parses the built-in rules.  Returns NULL, or the error of ap_expr_parse(). */
const char *eas_challenge_compile(apr_pool_t *pconf, apr_pool_t *ptemp);

/*
 * Challenges the client: sets the response headers and returns the status.  302 to the form; 401
 * with a challenge of Basic or Negotiate; 403 if the client cannot use the only allowed form; 440 for
 * a script.
 * had_session: the request has a session cookie that is not valid.
 */
int eas_challenge(request_rec *r, enum eas_page_reason reason, bool had_session);

/* Whether the client can show the form (EasKcdFormFor): the navigation of a browser. */
bool eas_challenge_has_form(request_rec *r);

/*
 * The page to go on with, which a GET loads: that of the request, else of the form that it posts.
 * Not checked (eas_login_is_destination).
 */
const char *eas_challenge_destination(request_rec *r);

void eas_challenge_register_hooks(apr_pool_t *pool);

#endif
