/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/csrf_httpd.c - CSRF protection of the login form */

#include "auth/login/csrf_httpd.h"
#include "auth/base/cookie.h"
#include "auth/login/cookie_httpd.h"
#include "auth/shared/shared_httpd.h"

#include <openssl/rand.h>
#include <string.h>

#define FORM_COOKIE_SIZE 16

static enum eas_cookie_count find_form_cookie(request_rec *r, const char **value_out)
{
    return eas_cookie_find(r->pool, eas_cookie_header(r->pool, r->headers_in),
                           eas_cookie_form_name(r), value_out);
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

bool eas_csrf_is_cross_site(const request_rec *r)
{
    const char *site = apr_table_get(r->headers_in, "Sec-Fetch-Site");
    const char *origin = apr_table_get(r->headers_in, "Origin");
    const char *host = apr_table_get(r->headers_in, "Host"), *authority;

    if (site != NULL) {
        return strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
    }
    if (origin == NULL) {
        return false;
    }
    authority = ap_strstr_c(origin, "://");
    return authority == NULL || host == NULL || ap_cstr_casecmp(authority + 3, host) != 0;
}

enum eas_rc eas_csrf_check(request_rec *r, const char *token, struct eas_err *err)
{
    const char *cookie;
    struct eas_bytes mac;
    enum eas_rc rc = EAS_DENIED;

    if (!eas_csrf_is_cross_site(r) && token != NULL && eas_seal_from_text(r->pool, token, &mac)
        && find_form_cookie(r, &cookie) == EAS_COOKIE_ONE) {
        struct eas_bytes part = eas_bytes_of_text(cookie);

        rc = eas_seal_mac_check(eas_shared_keyring(), EAS_SEAL_CSRF, &part, 1, mac, err);
    }
    return rc == EAS_DENIED ? eas_fail(err, EAS_FORBIDDEN, 1091,
                                       "the login form came from another site, or the browser "
                                       "returned no cookie; load the login page again")
                            : rc;
}
