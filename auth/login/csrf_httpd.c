/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/csrf_httpd.c - CSRF protection of the login form */

#include "auth/login/csrf_httpd.h"
#include "auth/base/cookie.h"
#include "auth/config_httpd.h"
#include "auth/login/cookie_httpd.h"
#include "auth/login/origin.h"
#include "auth/shared/shared_httpd.h"

#include <apr_strings.h>
#include <openssl/rand.h>
#include <string.h>

#define FORM_COOKIE_SIZE 16

static enum eas_cookie_count find_form_cookie(request_rec *r, const char **value_out)
{
    return eas_cookie_find(r->pool, eas_cookie_header(r->pool, r->headers_in),
                           eas_cookie_form_name(r), value_out);
}

const char *eas_csrf_cookie(request_rec *r)
{
    const char *value;

    return find_form_cookie(r, &value) == EAS_COOKIE_ONE ? value : NULL;
}

static enum eas_rc find_or_set_form_cookie(request_rec *r, const char **value_out,
                                           struct eas_err *err)
{
    unsigned char random[FORM_COOKIE_SIZE];

    if (find_form_cookie(r, value_out) == EAS_COOKIE_ONE) {
        return EAS_OK;
    }
    if (RAND_bytes(random, sizeof(random)) != 1) {
        return eas_fail(err, EAS_UNAVAILABLE, 1090,
                        "OpenSSL has no random bytes for a form cookie");
    }
    *value_out = eas_seal_to_text(r->pool, random, sizeof(random));
    eas_cookie_add(r, eas_cookie_form_name(r), *value_out);
    return EAS_OK;
}

enum eas_rc eas_csrf_token(request_rec *r, const char **token_out, struct eas_err *err)
{
    unsigned char mac[EAS_SEAL_MAC_SIZE];
    struct eas_bytes part;
    const char *cookie;
    enum eas_rc rc = find_or_set_form_cookie(r, &cookie, err);

    if (rc != EAS_OK) {
        return rc;
    }
    part = eas_bytes_of_text(cookie);
    rc = eas_seal_mac(eas_shared_keyring(), 0, EAS_SEAL_CSRF, &part, 1, mac, err);
    if (rc == EAS_OK) {
        *token_out = eas_seal_to_text(r->pool, mac, sizeof(mac));
    }
    return rc;
}

/* An exact name of the virtual host.  A wildcard of ServerAlias may match another site. */
static bool is_own_name(const request_rec *r, const struct eas_origin *origin, const char *name)
{
    return eas_origin_is_at(origin, name)
           || (r->server->port != 0
               && eas_origin_is_at(origin, apr_psprintf(r->pool, "%s:%u", name, r->server->port)));
}

/* A load balancer may rewrite Host; the names of the virtual host are the public ones, too. */
static bool is_own_origin(const request_rec *r, const char *text)
{
    const char *host = apr_table_get(r->headers_in, "Host");
    const apr_array_header_t *names = r->server->names;
    struct eas_origin origin;
    int i;

    if (!eas_origin_parse(text, &origin)
        || (!origin.is_https && eas_auth_requires_tls(eas_auth_dir_of(r->per_dir_config)))) {
        return false;
    }
    if ((host != NULL && eas_origin_is_at(&origin, host))
        || is_own_name(r, &origin, r->server->server_hostname)) {
        return true;
    }
    for (i = 0; names != NULL && i < names->nelts; i++) {
        if (is_own_name(r, &origin, APR_ARRAY_IDX(names, i, const char *))) {
            return true;
        }
    }
    return false;
}

const char *eas_csrf_own_path(request_rec *r, const char *url)
{
    const char *authority = ap_strstr_c(url, "://"), *path;

    path = authority != NULL ? ap_strchr_c(authority + 3, '/') : NULL;
    return path != NULL && is_own_origin(r, apr_pstrmemdup(r->pool, url, (apr_size_t)(path - url)))
               ? path
               : NULL;
}

/* No other site can set a cookie with this prefix, and give the browser a token of its own by it. */
static bool is_cookie_ours_alone(const request_rec *r)
{
    return strncmp(eas_cookie_form_name(r), "__Host-", 7) == 0;
}

enum eas_csrf_site eas_csrf_site_of(request_rec *r)
{
    const char *site = apr_table_get(r->headers_in, "Sec-Fetch-Site");
    const char *origin = apr_table_get(r->headers_in, "Origin");

    if (site != NULL) {
        return strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0 ? EAS_CSRF_OWN
                                                                             : EAS_CSRF_OTHER;
    }
    if (origin != NULL && strcmp(origin, "null") == 0 && is_cookie_ours_alone(r)) {
        return EAS_CSRF_HIDDEN;
    }
    return origin == NULL || is_own_origin(r, origin) ? EAS_CSRF_OWN : EAS_CSRF_OTHER;
}

static const char *header(const request_rec *r, const char *name)
{
    const char *value = apr_table_get(r->headers_in, name);

    return value != NULL ? value : "none";
}

enum eas_rc eas_csrf_check(request_rec *r, const char *token, struct eas_err *err)
{
    const char *cookie, *cause = "the browser returned no cookie, or the form is too old; load the "
                                 "login page again";
    struct eas_bytes mac;
    enum eas_rc rc = EAS_DENIED;

    if (eas_csrf_site_of(r) == EAS_CSRF_OTHER) {
        cause =
            apr_psprintf(r->pool,
                         "another site sent it (Origin %s, Host %s, Sec-Fetch-Site %s); if this "
                         "is the public name of this site, make it ServerName or ServerAlias",
                         header(r, "Origin"), header(r, "Host"), header(r, "Sec-Fetch-Site"));
    }
    else if (token != NULL && eas_seal_from_text(r->pool, token, &mac)
             && find_form_cookie(r, &cookie) == EAS_COOKIE_ONE) {
        struct eas_bytes part = eas_bytes_of_text(cookie);

        rc = eas_seal_mac_check(eas_shared_keyring(), EAS_SEAL_CSRF, &part, 1, mac, err);
    }
    return rc == EAS_DENIED
               ? eas_fail(err, EAS_FORBIDDEN, 1091, "the login form is refused: %s", cause)
               : rc;
}
