/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/page_html.h - parts of pages that are HTML, and not texts alone */

#ifndef EAS_AUTH_LOGIN_PAGE_HTML_H
#define EAS_AUTH_LOGIN_PAGE_HTML_H

#include "auth/login/page.h"

/* Values of placeholders of auth/login/page.c, in pool; "" on pages of another kind. */

/* Of a refusal: the user of the request, and the link or form that leads on. */
const char *eas_page_html_signed_in(apr_pool_t *pool, const struct eas_language *language,
                                    const struct eas_page *page);
const char *eas_page_html_way_out(apr_pool_t *pool, const struct eas_language *language,
                                  const struct eas_page *page);

/* Of the form for a new password: the domain's words, and the link of a user who changes none now. */
const char *eas_page_html_detail(apr_pool_t *pool, const struct eas_page *page);
const char *eas_page_html_later(apr_pool_t *pool, const struct eas_language *language,
                                const struct eas_page *page);

#endif
