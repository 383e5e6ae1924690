/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/page_html.h - parts of pages that are HTML, and not texts alone */

#ifndef EAS_AUTH_LOGIN_PAGE_HTML_H
#define EAS_AUTH_LOGIN_PAGE_HTML_H

#include "auth/login/language.h"

/* HTML in pool; the arguments are plain texts. */

/* "You are signed in as alice@EXAMPLE.COM", with a name that no language turns round. */
const char *eas_page_html_signed_in(apr_pool_t *pool, const struct eas_language *language,
                                    const char *username);

/* A form with a button alone. */
const char *eas_page_html_button(apr_pool_t *pool, const char *action, const char *token,
                                 const char *label);

/* A link that looks like a button, of that class of the style sheet. */
const char *eas_page_html_link(apr_pool_t *pool, const char *style, const char *url,
                               const char *label);

/*
 * A domain's words about a new password, behind a message.  They are in its language, and those of
 * krb5 about a policy of AD in English.
 */
const char *eas_page_html_detail(apr_pool_t *pool, const char *text);

#endif
