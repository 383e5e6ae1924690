/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/site.h - what the log-on page shows of a site: names, logo, links */

#ifndef EAS_AUTH_LOGIN_SITE_H
#define EAS_AUTH_LOGIN_SITE_H

#include "auth/identity.h"
#include "auth/login/language.h"

/* Of EasKcdLoginInfo; NULL: not set. */
struct eas_site {
    const char *organization;
    const char *logo; /* a URL */
    const char *help; /* a URL */
    const char *privacy;
    const char *change;              /* a URL: each user may change the password there */
    const struct eas_realms *realms; /* NULL: not the KDC verifies the names first */
};

/* Whether a link may lead there: https, http, mailto, tel, or a path. */
bool eas_site_is_link(const char *url);

/*
 * HTML, "" where there is nothing to show, also for a site that is NULL.  The hint has one example
 * for each kind of names: "name", DOMAIN\name, name@suffix.
 */
const char *eas_site_name_hint(apr_pool_t *pool, const struct eas_site *site,
                               const struct eas_language *language);
const char *eas_site_logo(apr_pool_t *pool, const struct eas_site *site);
const char *eas_site_links(apr_pool_t *pool, const struct eas_site *site,
                           const struct eas_language *language);

#endif
