/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/page_html.c - parts of pages that are HTML, and not texts alone */

#include "auth/login/page_html.h"
#include "auth/login/escape.h"

#include <apr_strings.h>

/* "You are signed in as alice@EXAMPLE.COM", with a name that no language turns round. */
const char *eas_page_html_signed_in(apr_pool_t *pool, const struct eas_language *language,
                                    const struct eas_page *page)
{
    if (page->kind != EAS_PAGE_REFUSAL || page->username == NULL || *page->username == '\0') {
        return "";
    }
    return eas_language_fill(pool, eas_escape_html(pool, language->texts[EAS_TEXT_SIGNED_IN_AS]),
                             "{{username}}",
                             apr_pstrcat(pool, "<bdi dir=\"ltr\">",
                                         eas_escape_html(pool, page->username), "</bdi>", NULL));
}

const char *eas_page_html_way_out(apr_pool_t *pool, const struct eas_language *language,
                                  const struct eas_page *page)
{
    enum eas_text text =
        page->reason == EAS_PAGE_NOT_ALLOWED ? EAS_TEXT_OTHER_ACCOUNT : EAS_TEXT_TRY_AGAIN;
    const char *label = eas_escape_html(pool, language->texts[text]);

    if (page->kind != EAS_PAGE_REFUSAL) {
        return "";
    }
    if (page->logout_action != NULL) {
        return apr_pstrcat(pool, "<form method=\"post\" action=\"",
                           eas_escape_html(pool, page->logout_action),
                           "\">\n  <input type=\"hidden\" name=\"token\" value=\"",
                           eas_escape_html(pool, page->token), "\">\n  <button type=\"submit\">",
                           label, "</button>\n</form>", NULL);
    }
    return page->action == NULL
               ? ""
               : apr_pstrcat(pool, "<a class=\"button go\" href=\"",
                             eas_escape_html(pool, page->action), "\">", label, "</a>", NULL);
}

/* The domain's words are in its language; krb5's words for a policy of AD are English. */
const char *eas_page_html_detail(apr_pool_t *pool, const struct eas_page *page)
{
    return page->detail == NULL || *page->detail == '\0'
               ? ""
               : apr_pstrcat(pool, "<br><span dir=\"auto\">", eas_escape_html(pool, page->detail),
                             "</span>", NULL);
}

const char *eas_page_html_later(apr_pool_t *pool, const struct eas_language *language,
                                const struct eas_page *page)
{
    return page->reason != EAS_PAGE_EXPIRES
               ? ""
               : apr_pstrcat(pool, "<a class=\"button\" href=\"",
                             eas_escape_html(pool, page->destination), "\">",
                             eas_escape_html(pool, language->texts[EAS_TEXT_LATER]), "</a>", NULL);
}
