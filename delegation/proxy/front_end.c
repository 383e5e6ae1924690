/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/front_end.c - headers and cookies that only Exchange's own front end sends */

#include "delegation/proxy/front_end.h"
#include "auth/base/cookie.h"

#include <apr_cstr.h>
#include <apr_lib.h>
#include <string.h>

/* In the order of the reference. */
static const char *const built_in[] = {
    "X-CommonAccessToken",
    "X-Rps-CAT",
    "X-EXT-ACBT",
    "X-IsFromCafe",
    "X-IsFromBackend",
    "X-BEResource",
    "X-AnonResource",
    "X-AnonResource-Backend",
    "SecurityToken",
    "msExchLogonMailbox",
    "msExchLogonAccount",
    "msExchTargetMailbox",
    "X-vDirObjectId",
    "X-OWA-ExplicitLogonUser",
    "X-MS-EdgeIP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "Front-End-Https",
    "Remote-User",
    "X-Remote-User",
    "Proxy",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Server",
};

/* ASP.NET looks cookies up without letter case. */
static const char *const cookies[] = {
    "X-AnonResource",
    "X-AnonResource-Backend",
    "X-BEResource",
    "SecurityToken",
};

static char folded(char c)
{
    return (char)(c == '_' || c == '.' ? '-' : apr_tolower(c));
}

static bool same_name(const char *a, const char *b)
{
    while (*a != '\0' && folded(*a) == folded(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

bool eas_front_end_is_name(const char *name)
{
    const char *p = name;

    while (apr_isalnum(*p) || (*p != '\0' && strchr("-_.", *p) != NULL)) {
        p++;
    }
    return p != name && *p == '\0';
}

static bool is_built_in(const char *header)
{
    char first = folded(*header);
    apr_size_t i;

    for (i = 0; i < sizeof(built_in) / sizeof(built_in[0]); i++) {
        /* Most names differ in the first letter. */
        if ((built_in[i][0] | 0x20) == first && same_name(header, built_in[i])) {
            return true;
        }
    }
    return false;
}

static bool is_stripped(const char *header, const apr_array_header_t *names)
{
    int i;

    for (i = 0; names != NULL && i < names->nelts; i++) {
        const char *name = APR_ARRAY_IDX(names, i, const char *);

        if (same_name(header, name + (*name == '-'))) {
            return *name != '-';
        }
    }
    return is_built_in(header);
}

static void strip_cookies(apr_pool_t *pool, apr_table_t *headers)
{
    const char *header = eas_cookie_header(pool, headers);
    apr_size_t i;

    for (i = 0; header != NULL && i < sizeof(cookies) / sizeof(cookies[0]); i++) {
        header = eas_cookie_strip(pool, header, cookies[i]);
    }
    eas_cookie_set_header(headers, header);
}

void eas_front_end_strip(apr_pool_t *pool, apr_table_t *headers, const apr_array_header_t *names)
{
    const apr_array_header_t *all = apr_table_elts(headers);
    apr_array_header_t *found = NULL; /* by most requests none */
    int i;

    for (i = 0; i < all->nelts; i++) {
        const char *header = APR_ARRAY_IDX(all, i, apr_table_entry_t).key;

        if (is_stripped(header, names)) {
            found = found != NULL ? found : apr_array_make(pool, 4, sizeof(const char *));
            APR_ARRAY_PUSH(found, const char *) = header;
        }
    }
    for (i = 0; found != NULL && i < found->nelts; i++) {
        apr_table_unset(headers, APR_ARRAY_IDX(found, i, const char *));
    }
    strip_cookies(pool, headers);
}
