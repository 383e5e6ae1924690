/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/page_html.c - parts of pages that are HTML, and not texts alone */

#include "auth/login/page_html.h"
#include "auth/login/escape.h"

#include <apr_strings.h>

const char *eas_page_html_signed_in(apr_pool_t *pool, const struct eas_language *language,
                                    const char *username)
{
    return eas_language_fill(
        pool, eas_escape_html(pool, language->texts[EAS_TEXT_SIGNED_IN_AS]), "{{username}}",
        apr_pstrcat(pool, "<bdi dir=\"ltr\">", eas_escape_html(pool, username), "</bdi>", NULL));
}

const char *eas_page_html_button(apr_pool_t *pool, const char *action, const char *token,
                                 const char *label)
{
    return apr_pstrcat(pool, "<form method=\"post\" action=\"", eas_escape_html(pool, action),
                       "\">\n  <input type=\"hidden\" name=\"token\" value=\"",
                       eas_escape_html(pool, token), "\">\n  <button type=\"submit\">",
                       eas_escape_html(pool, label), "</button>\n</form>", NULL);
}

const char *eas_page_html_link(apr_pool_t *pool, const char *style, const char *url,
                               const char *label)
{
    return apr_pstrcat(pool, "<a class=\"", style, "\" href=\"", eas_escape_html(pool, url), "\">",
                       eas_escape_html(pool, label), "</a>", NULL);
}

const char *eas_page_html_detail(apr_pool_t *pool, const char *text)
{
    return *text == '\0' ? ""
                         : apr_pstrcat(pool, "<br><span dir=\"auto\">", eas_escape_html(pool, text),
                                       "</span>", NULL);
}
