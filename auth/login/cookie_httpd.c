/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/cookie_httpd.c - cookies of the module in requests and responses */

#include "auth/login/cookie_httpd.h"
#include "auth/config_httpd.h"
#include "auth/base/cookie.h"

#include <apr_strings.h>
#include <http_ssl.h>

const char *eas_cookie_name(const request_rec *r)
{
    return eas_auth_session_cookie(eas_auth_server_of(r->server));
}

const char *eas_cookie_form_name(const request_rec *r)
{
    return apr_pstrcat(r->pool, eas_cookie_name(r), "-form", NULL);
}

const char *eas_cookie_typed_name(const request_rec *r)
{
    return apr_pstrcat(r->pool, eas_cookie_name(r), "-typed", NULL);
}

void eas_cookie_add(request_rec *r, const char *name, const char *value)
{
    bool secure = ap_ssl_conn_is_ssl(r->connection)
                  || eas_auth_requires_tls(eas_auth_dir_of(r->per_dir_config));

    apr_table_addn(r->err_headers_out, "Set-Cookie",
                   eas_cookie_format(r->pool, name, value, secure));
}

void eas_cookie_clear(request_rec *r)
{
    eas_cookie_add(r, eas_cookie_name(r), NULL);
    if (apr_table_get(r->subprocess_env, "eas-kcd-keep-site-data") == NULL) {
        apr_table_setn(r->err_headers_out, "Clear-Site-Data", "\"cache\", \"cookies\"");
    }
}

void eas_cookie_strip_request(request_rec *r, apr_table_t *headers)
{
    const char *cookies = eas_cookie_header(r->pool, headers);

    /* Each name where it is needed: few requests have more than the session's cookie. */
    if (cookies != NULL) {
        cookies = eas_cookie_strip(r->pool, cookies, eas_cookie_name(r));
    }
    if (cookies != NULL) {
        cookies = eas_cookie_strip(r->pool, cookies, eas_cookie_form_name(r));
    }
    if (cookies != NULL) {
        cookies = eas_cookie_strip(r->pool, cookies, eas_cookie_typed_name(r));
    }
    eas_cookie_set_header(headers, cookies);
}

static bool sets_cookie(const char *value, const char *name)
{
    apr_size_t len = strlen(name);

    value += strspn(value, " \t");
    return strncmp(value, name, len) == 0 && ap_strchr_c("= \t;", value[len]) != NULL;
}

void eas_cookie_strip_response(request_rec *r, apr_table_t *headers)
{
    const char *session, *form, *typed;
    apr_table_t *kept;
    const apr_array_header_t *all;
    int i;

    if (apr_table_get(headers, "Set-Cookie") == NULL) {
        return;
    }
    session = eas_cookie_name(r);
    form = eas_cookie_form_name(r);
    typed = eas_cookie_typed_name(r);
    kept = apr_table_copy(r->pool, headers);
    apr_table_unset(headers, "Set-Cookie");
    all = apr_table_elts(kept);
    for (i = 0; i < all->nelts; i++) {
        const apr_table_entry_t *header = &APR_ARRAY_IDX(all, i, apr_table_entry_t);

        if (ap_cstr_casecmp(header->key, "Set-Cookie") == 0 && !sets_cookie(header->val, session)
            && !sets_cookie(header->val, form) && !sets_cookie(header->val, typed)) {
            apr_table_addn(headers, header->key, header->val);
        }
    }
}
