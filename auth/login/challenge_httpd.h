/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/challenge_httpd.h - how a request without proof is asked for it: form, Basic or neither */

#ifndef EAS_AUTH_LOGIN_CHALLENGE_HTTPD_H
#define EAS_AUTH_LOGIN_CHALLENGE_HTTPD_H

#include "auth/login/page.h"

#include <httpd.h>
#include <http_config.h>

/*
 * The built-in rule of EasKcdFormFor, an expression of httpd's (ap_expr): a person in a browser, as
 * ISA's listener told them, and not one of Exchange's programs.
 */
extern const char eas_challenge_form_rule[];

/* Who is a script in a browser: it can do neither form nor password box. */
extern const char eas_challenge_script_rule[];

/* Parses the two; NULL or what is wrong. */
const char *eas_challenge_compile(apr_pool_t *pconf, apr_pool_t *ptemp);

/*
 * Asks: sets the headers of the answer and returns its status.  302 to the form, 401 with the one
 * Basic challenge, 403 where only a form would do, 440 for scripts.  had_session: the request came
 * with a cookie of ours that is no longer good.
 */
int eas_challenge(request_rec *r, enum eas_page_reason reason, bool had_session);

void eas_challenge_register_hooks(apr_pool_t *pool);

#endif
