/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/page.h - login page and pages of refusals: HTML templates */

#ifndef EAS_AUTH_LOGIN_PAGE_H
#define EAS_AUTH_LOGIN_PAGE_H

#include "auth/base/error.h"
#include "auth/login/session.h"
#include "auth/login/site.h"

#include <apr_pools.h>
#include <apr_tables.h>
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
    EAS_PAGE_BAD_ORIGIN,  /* the address of the page is not known as this site's */
    EAS_PAGE_FORBIDDEN,   /* only if the password was right */
    EAS_PAGE_NOT_ALLOWED, /* this and the next are reasons of refusals */
    EAS_PAGE_NEEDS_TLS,
    EAS_PAGE_UNAVAILABLE, /* EAS_PAGE_TRY_LATER where credentials were not verified */
    EAS_PAGE_CHANGED,     /* the password; the user logs on with the new one */
    EAS_PAGE_EXPIRES,     /* the password, in some days; this and the rest are of the change page */
    EAS_PAGE_DIFFER,      /* the two new passwords */
    EAS_PAGE_NOT_ACCEPTED /* the new password, by the domain, which may say why */
};

enum eas_page_kind {
    EAS_PAGE_FORM,    /* also the sign-out question, by its reason */
    EAS_PAGE_REFUSAL, /* the page of a 403 or 503 */
    EAS_PAGE_CHANGE,  /* the form for a new password */
};

/* The reason's {{reason}}, also its name in the address of the login page; "" for EAS_PAGE_NONE. */
const char *eas_page_reason_name(enum eas_page_reason reason);

/*
 * Values of the placeholders; NULL stands for "".  A refusal has logout_action as a form by which
 * the user leaves, else action as a link, else no way out; username is that of the request's user.
 */
struct eas_page {
    enum eas_page_kind kind;
    const char *action;        /* URL that the login form posts to */
    const char *logout_action; /* URL that the sign-out form posts to */
    const char *title;
    const char *username;
    const char *detail; /* of the change page: the domain's words */
    int days;           /* of the change page: until the password expires */
    const char *destination;
    const char *token;
    bool trusted;                            /* preselects "private" */
    const struct eas_session_limits *limits; /* of public and private sessions */
    const struct eas_site *site;
    int variant; /* of eas_page_choose(); 0 is the default */
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
 *   {{lang}} {{dir}}                      the language, and its direction, as attributes
 *   {{text.sign_in}} ...                  a text of the language (auth/login/texts.def)
 *   {{name_hint}} {{logo}} {{organization}} {{links}}   of the site, as HTML
 *   {{focus_username}} {{focus_password}}   "autofocus" for the field to type in
 *   {{detail}} {{later}} {{trusted}}      of the change page alone
 *   {{public_idle}} {{public_max}} {{private_idle}} {{private_max}}   limits of sessions
 *
 * A page with {{lang}} is for each of the languages, an array of struct eas_language.  A page with
 * another `lang` in its <html> is for that language alone, and one without for English.
 *
 * *template is NULL for the first page, whose language is the default.  Another page adds its
 * languages, or replaces them.  Sign-out page, change page and refusals are always the built-in ones.
 *
 * EAS_OK, or EAS_MISCONFIGURED: a placeholder is unknown, not closed (both with its line) or
 * missing, or the page is not UTF-8.
 */
enum eas_rc eas_page_compile(apr_pool_t *pool, const apr_array_header_t *languages,
                             const char *html, apr_size_t len, struct eas_template **template,
                             struct eas_err *err);

/* The variant that an Accept-Language header prefers; NULL is no preference. */
int eas_page_choose(const struct eas_template *template, const char *accept_language);

/* The language tag of a variant, and a text of it, which is no HTML. */
const char *eas_page_language(const struct eas_template *template, int variant);
const char *eas_page_text(const struct eas_template *template, int variant, enum eas_text text);

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
