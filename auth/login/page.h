/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/page.h - login page: HTML template */

#ifndef EAS_AUTH_LOGIN_PAGE_H
#define EAS_AUTH_LOGIN_PAGE_H

#include "auth/base/error.h"

#include <apr_pools.h>
#include <stdbool.h>

/* The reason for the page.  Each has a text for the user. */
enum eas_page_reason {
    EAS_PAGE_NONE,
    EAS_PAGE_WRONG,            /* also an unknown user and a locked one: the page must not differ */
    EAS_PAGE_EXPIRED_PASSWORD, /* only if the password was right */
    EAS_PAGE_TIMED_OUT,
    EAS_PAGE_NOT_TAKEN, /* a form of the backend, sent without a user */
    EAS_PAGE_SIGNED_OUT,
    EAS_PAGE_OTHER_SESSION, /* the browser had another user's session */
    EAS_PAGE_TRY_LATER,
    EAS_PAGE_CONFIRM_LOGOUT, /* the sign-out page, which posts to logout_action */
    EAS_PAGE_BAD_REQUEST,
    EAS_PAGE_BAD_ORIGIN, /* the address of the page is not known as this site's */
    EAS_PAGE_FORBIDDEN   /* only if the password was right */
};

/* The reason's {{reason}}, also its name in the address of the login page; "" for EAS_PAGE_NONE. */
const char *eas_page_reason_name(enum eas_page_reason reason);

/* Values of the placeholders; NULL stands for "". */
struct eas_page {
    const char *action;        /* URL that the login form posts to */
    const char *logout_action; /* URL that the sign-out form posts to */
    const char *title;
    const char *username;
    const char *destination;
    const char *token;
    bool trusted; /* preselects "private" */
    enum eas_page_reason reason;
};

/* A parsed template.  Constant, and therefore thread-safe. */
struct eas_template;

/*
 * Parses a login page, or the built-in one if html is NULL.  Copies the html.  Placeholders:
 *
 *   {{action}} {{token}} {{destination}}  for the form; all three are required
 *   {{title}} {{username}}                the site's name, and the user name if it is known
 *   {{message}} {{reason}}                the reason as a text, and as a class attribute: "wrong",
 *                                         "expired", "timed-out", "not-taken", "signed-out",
 *                                         "other-session", "try-later", "bad-request", or nothing
 *   {{checked_public}} {{checked_private}}  "checked" for one of the two values of `trusted`
 *   {{style}}                             the built-in style sheet, for a <style> element
 *
 * The sign-out page is always the built-in one.
 *
 * EAS_OK, or EAS_MISCONFIGURED: a placeholder is unknown, not closed (both with its line) or
 * missing, or the page is not UTF-8.
 */
enum eas_rc eas_page_compile(apr_pool_t *pool, const char *html, apr_size_t len,
                             const struct eas_template **template_out, struct eas_err *err);

/*
 * The page with its values, in pool.  Values are escaped for text and for quoted attributes.
 * Placeholders inside a value are not expanded.
 */
const char *eas_page_render(apr_pool_t *pool, const struct eas_template *template,
                            const struct eas_page *page);

/*
 * The Content-Security-Policy of every page: no script, no frame around it, and no resources but
 * the built-in style sheet and the images and styles of this site.
 */
const char *eas_page_csp(void);

#endif
