/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/page.h - the page that a person logs on with: a template, filled in */

#ifndef EAS_AUTH_LOGIN_PAGE_H
#define EAS_AUTH_LOGIN_PAGE_H

#include "auth/base/error.h"

#include <apr_pools.h>
#include <stdbool.h>

/* Why the page is shown.  Each has a text for the user. */
enum eas_page_reason {
    EAS_PAGE_NONE,
    EAS_PAGE_WRONG,            /* one text for a wrong password and an unknown or locked account */
    EAS_PAGE_EXPIRED_PASSWORD, /* only where the password was proved right */
    EAS_PAGE_TIMED_OUT,
    EAS_PAGE_SIGNED_OUT,
    EAS_PAGE_TRY_LATER,
    EAS_PAGE_CONFIRM_LOGOUT, /* another page: it asks whether to sign out, for the logout_action */
    EAS_PAGE_BAD_REQUEST
};

/* The reason's {{reason}}, also its name in the address of the login page; "" for EAS_PAGE_NONE. */
const char *eas_page_reason_name(enum eas_page_reason reason);

/* What is filled in; NULL stands for "". */
struct eas_page {
    const char *action;        /* where the login form is posted to */
    const char *logout_action; /* and where EAS_PAGE_CONFIRM_LOGOUT is */
    const char *title;
    const char *username;
    const char *destination;
    const char *token;
    bool trusted; /* "private" is preselected */
    enum eas_page_reason reason;
};

/* A parsed page; thread-safe, since nothing changes it. */
struct eas_template;

/*
 * Parses a login page, or the built-in one if html is NULL.  The html is copied.  Its placeholders:
 *
 *   {{action}} {{token}} {{destination}}  for the form; these three must be there
 *   {{title}} {{username}}                the name of the site, and what is known of the user's
 *   {{message}} {{reason}}                why the page is shown: a text; and one of "wrong",
 *                                         "expired", "timed-out", "signed-out", "try-later",
 *                                         "bad-request" or nothing, for a class attribute
 *   {{checked_public}} {{checked_private}}  "checked" at one of the two values of `trusted`
 *   {{style}}                             the built-in style sheet, for a <style> of its own
 *
 * The page that asks whether to sign out is always the built-in one.
 *
 * EAS_OK, or EAS_MISCONFIGURED with the name and the line of a placeholder that is unknown, not
 * closed or missing, or if the page is not UTF-8.
 */
enum eas_rc eas_page_compile(apr_pool_t *pool, const char *html, apr_size_t len,
                             const struct eas_template **template_out, struct eas_err *err);

/*
 * The page, filled in.  Values are escaped for text and for quoted attributes; what they hold is not
 * expanded again.
 */
const char *eas_page_render(apr_pool_t *pool, const struct eas_template *template,
                            const struct eas_page *page);

/*
 * The Content-Security-Policy that goes with every page: no script; besides the built-in style sheet
 * and this site's own images and styles, nothing is loaded; not to be framed.
 */
const char *eas_page_csp(void);

#endif
