/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/login_httpd.h - login form: page, log-on, sign-out */

#ifndef EAS_AUTH_LOGIN_LOGIN_HTTPD_H
#define EAS_AUTH_LOGIN_LOGIN_HTTPD_H

#include "auth/identity.h"
#include "auth/login/form.h"
#include "auth/login/page.h"

#include <httpd.h>
#include <stdbool.h>

/* The URL of the login form with a reason and a destination, which may be NULL; in r->pool. */
const char *eas_login_location(request_rec *r, enum eas_page_reason reason,
                               const char *destination);

/* The URL of the form for a new password, likewise. */
const char *eas_login_change_location(request_rec *r, enum eas_page_reason reason,
                                      const char *destination);

/* The reason in the query string of the request. */
enum eas_page_reason eas_login_reason(request_rec *r);

/*
 * Begins the response to a request below the login path.  OK, or the status of a refusal: plain
 * HTTP, another method than GET, HEAD and POST.
 */
int eas_login_begin(request_rec *r);

/* The form in the body, with a token of this site.  EAS_OK, or an error of eas_form_parse(). */
enum eas_rc eas_login_read_form(request_rec *r, struct eas_form **form_out, struct eas_err *err);

/* Sends a page with a form, whose token and destination (or NULL) it sets. */
int eas_login_send(request_rec *r, int status, struct eas_page *page, const char *destination);

/* Answers a form that was not read, or not from a page of this site.  Logs the error. */
int eas_login_refuse_form(request_rec *r, const struct eas_err *err);

/* Begins the session of a user whose password was verified; answers that, or the failure. */
int eas_login_enter(request_rec *r, const struct eas_identity *identity,
                    const struct eas_form *form);

int eas_login_redirect(request_rec *r, const char *location);

/* A path of this site, but not below the login path: that would be a loop, or a sign-out. */
bool eas_login_is_destination(request_rec *r, const char *destination);

/* Whether the request is for a path below EasKcdLoginPath. */
bool eas_login_handles(request_rec *r);

void eas_login_register_hooks(apr_pool_t *pool);

#endif
