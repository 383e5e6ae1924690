/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/site.c - what the log-on page shows of a site: names, logo, links */

#include "auth/login/site.h"
#include "auth/login/escape.h"

#include <apr_cstr.h>
#include <apr_strings.h>
#include <stdbool.h>

bool eas_site_is_link(const char *url)
{
    static const char *const begins[] = { "https://", "http://", "mailto:", "tel:", "/" };
    size_t i;

    for (i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        if (apr_cstr_casecmpn(url, begins[i], strlen(begins[i])) == 0) {
            return url[strlen(begins[i])] != '\0';
        }
    }
    return false;
}

/* The first domain that is, or is not, a UPN suffix; NULL: there is none. */
static const char *domain_of(const struct eas_realms *realms, bool is_suffix)
{
    int i;

    for (i = 0; realms->domains != NULL && i < realms->domains->nelts; i++) {
        const char *name = APR_ARRAY_IDX(realms->domains, i, struct eas_domain).name;

        if ((strchr(name, '.') != NULL) == is_suffix) {
            return name;
        }
    }
    return NULL;
}

/* Names are written from left to right in all languages. */
static const char *example(apr_pool_t *pool, const char *before, const char *first,
                           const char *joint, const char *second)
{
    return apr_pstrcat(pool, before, "<bdi dir=\"ltr\">", eas_escape_html(pool, first), joint,
                       eas_escape_html(pool, second), "</bdi>", NULL);
}

const char *eas_site_name_hint(apr_pool_t *pool, const struct eas_site *site,
                               const struct eas_language *language)
{
    const char *name = language->texts[EAS_TEXT_NAME_EXAMPLE], *domain, *suffix;

    if (site == NULL || site->realms == NULL) {
        return "";
    }
    domain = domain_of(site->realms, false);
    suffix = domain_of(site->realms, true);
    if (domain == NULL && suffix == NULL) {
        return eas_escape_html(pool, language->texts[EAS_TEXT_NAME_HINT_PLAIN]);
    }
    return apr_pstrcat(pool, eas_escape_html(pool, language->texts[EAS_TEXT_NAME_HINT]),
                       example(pool, " ", name, "", ""),
                       domain != NULL ? example(pool, ", ", domain, "\\", name) : "",
                       suffix != NULL ? example(pool, ", ", name, "@", suffix) : "", NULL);
}

/* The organization's name stands beside the logo, and is no second time read aloud. */
const char *eas_site_logo(apr_pool_t *pool, const struct eas_site *site)
{
    return site == NULL || site->logo == NULL
               ? ""
               : apr_pstrcat(pool, "<img src=\"", eas_escape_html(pool, site->logo), "\" alt=\"\">",
                             NULL);
}

static const char *link_to(apr_pool_t *pool, const char *url, const char *text)
{
    return url == NULL ? ""
                       : apr_pstrcat(pool, "<a href=\"", eas_escape_html(pool, url), "\">",
                                     eas_escape_html(pool, text), "</a>", NULL);
}

const char *eas_site_links(apr_pool_t *pool, const struct eas_site *site,
                           const struct eas_language *language)
{
    return site == NULL
               ? ""
               : apr_pstrcat(pool,
                             link_to(pool, site->change, language->texts[EAS_TEXT_CHANGE_PASSWORD]),
                             link_to(pool, site->help, language->texts[EAS_TEXT_HELP]),
                             link_to(pool, site->privacy, language->texts[EAS_TEXT_PRIVACY]), NULL);
}
