/* SPDX-License-Identifier: Apache-2.0 */
/* auth/authn_httpd.c - AuthType EasKcd: who asks? */

#include "auth/authn_httpd.h"
#include "auth/base_httpd.h"
#include "auth/basic.h"
#include "auth/config_httpd.h"
#include "auth/password.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <http_ssl.h>
#include <mod_auth.h>
#include <util_filter.h>

#define PRIVATE_FILTER "EAS_KCD_PRIVATE"

bool eas_authn_in_effect(const request_rec *r)
{
    const char *type = ap_auth_type((request_rec *)r);

    return type != NULL && ap_cstr_casecmp(type, "EasKcd") == 0;
}

/* The one challenge (RFC 7617); Negotiate is never offered. */
static int note_auth_failure(request_rec *r, const char *type)
{
    const char *realm = ap_auth_name(r);

    if (ap_cstr_casecmp(type, "EasKcd") != 0) {
        return DECLINED;
    }
    if (realm == NULL) {
        realm = r->server->server_hostname;
    }
    apr_table_setn(r->err_headers_out, "WWW-Authenticate",
                   apr_pstrcat(r->pool, "Basic realm=\"", ap_escape_quotes(r->pool, realm),
                               "\", charset=\"UTF-8\"", NULL));
    return OK;
}

static void accept_identity(request_rec *r, const struct eas_identity *identity)
{
    struct eas_request *request = eas_request_of(r);

    request->identity = identity;
    r->user = apr_pstrdup(r->pool, identity->principal);
    r->ap_auth_type = apr_pstrdup(r->pool, "EasKcd");
    apr_table_setn(r->subprocess_env, "EAS_KCD_USER", r->user);
    apr_table_setn(r->subprocess_env, "EAS_KCD_AUTH",
                   identity->proof == EAS_PROOF_CACHED ? "cached" : "basic");
    eas_authn_make_private(r);
}

/* From memory if these very credentials were proved lately, else from the KDC. */
static enum eas_rc prove(request_rec *r, const struct eas_auth_server *conf,
                         const struct eas_credentials *credentials, struct eas_identity **identity,
                         struct eas_err *err)
{
    unsigned char key[EAS_MEMORY_KEY_SIZE];
    apr_interval_time_t remember = eas_auth_password_cache(conf), waited = 0;
    enum eas_rc rc;

    if (conf->memory == NULL || remember == 0) {
        rc = eas_password_prove(r->pool, conf->authority, credentials, identity, &waited, err);
        eas_request_waited(r, waited);
        return rc;
    }
    rc = eas_memory_key(conf->memory, conf->scope, credentials, key, err);
    if (rc != EAS_OK) {
        return rc;
    }
    *identity = eas_memory_recall(conf->memory, key, apr_time_now(), r->pool);
    if (*identity != NULL) {
        return EAS_OK;
    }
    rc = eas_password_prove(r->pool, conf->authority, credentials, identity, &waited, err);
    eas_request_waited(r, waited);
    if (rc == EAS_OK) {
        eas_memory_remember(conf->memory, key, *identity, apr_time_now() + remember);
    }
    return rc;
}

/* The credentials of the request, proved; EAS_DENIED if there are none. */
static enum eas_rc authenticate(request_rec *r, struct eas_identity **identity, struct eas_err *err)
{
    const struct eas_auth_server *conf = eas_auth_server_of(r->server);
    struct eas_credentials *credentials;
    enum eas_rc rc;

    if (eas_auth_requires_tls(eas_auth_dir_of(r->per_dir_config))
        && !ap_ssl_conn_is_ssl(r->connection)) {
        return eas_fail(err, EAS_FORBIDDEN, 1060,
                        "plain HTTP: credentials are not looked at (EasKcdRequireTLS Off where TLS "
                        "ends before httpd)");
    }
    if (conf->authority == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 1061,
                        "AuthType EasKcd needs EasKcdKeytab in this virtual host or outside");
    }
    rc = eas_basic_parse(r->pool, apr_table_get(r->headers_in, "Authorization"), &credentials, err);
    if (rc != EAS_OK) {
        return rc;
    }
    if (credentials == NULL) {
        return eas_fail(err, EAS_DENIED, 1062, "no credentials");
    }
    rc = prove(r, conf, credentials, identity, err);
    eas_secret_wipe(credentials->password);
    return rc;
}

static int check_authn(request_rec *r)
{
    struct eas_identity *identity = NULL;
    struct eas_err err;
    enum eas_rc rc;
    int status;

    if (!eas_authn_in_effect(r)) {
        return DECLINED;
    }
    rc = authenticate(r, &identity, &err);
    if (rc == EAS_OK) {
        accept_identity(r, identity);
        return OK;
    }
    apr_table_setn(r->subprocess_env, "EAS_KCD_AUTH", "none");
    status = eas_request_refuse(r, &err);
    if (status == HTTP_UNAUTHORIZED) {
        ap_note_auth_failure(r);
    }
    return status;
}

/*
 * httpd answers 401 to a user whom `Require` refuses, which tells a phone that its good password is
 * bad (I5).  So the authorization is run from here and its 401 for a proved user becomes 403.
 */
static int check_authz(request_rec *r)
{
    struct eas_request *request = eas_request_of(r);
    int status;

    if (request->identity == NULL || request->authorizing || !eas_authn_in_effect(r)) {
        return DECLINED;
    }
    request->authorizing = true;
    status = ap_run_auth_checker(r);
    request->authorizing = false;
    if (status == HTTP_UNAUTHORIZED) {
        struct eas_err err;

        apr_table_unset(r->err_headers_out, "WWW-Authenticate");
        eas_fail(&err, EAS_FORBIDDEN, 1063, "Require refuses the proved user %s", r->user);
        return eas_request_refuse(r, &err);
    }
    return status;
}

/* The backend's Cache-Control with `private`, and without what would contradict it. */
static const char *private_cache_control(apr_pool_t *pool, const char *value)
{
    char *token, *last, *copy = apr_pstrdup(pool, value != NULL ? value : "");
    const char *result = "private";

    for (token = apr_strtok(copy, ", \t", &last); token != NULL;
         token = apr_strtok(NULL, ", \t", &last)) {
        if (ap_cstr_casecmp(token, "public") != 0 && ap_cstr_casecmp(token, "private") != 0
            && ap_cstr_casecmpn(token, "s-maxage", 8) != 0) {
            result = apr_pstrcat(pool, result, ", ", token, NULL);
        }
    }
    return result;
}

static apr_status_t private_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    const char *value = apr_table_get(r->headers_out, "Cache-Control");

    apr_table_unset(r->err_headers_out, "Cache-Control");
    apr_table_setn(r->headers_out, "Cache-Control", private_cache_control(r->pool, value));
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

static void insert_private_filter(request_rec *r)
{
    if (eas_request_of(r)->private_response) {
        ap_add_output_filter(PRIVATE_FILTER, NULL, r, r->connection);
    }
}

void eas_authn_make_private(request_rec *r)
{
    struct eas_request *request = eas_request_of(r);

    r->no_cache = 1;
    if (!request->private_response) {
        request->private_response = true;
        insert_private_filter(r);
    }
}

void eas_authn_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_check_authn(check_authn, NULL, NULL, APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authz(check_authz, NULL, NULL, APR_HOOK_REALLY_FIRST, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_note_auth_failure(note_auth_failure, NULL, NULL, APR_HOOK_MIDDLE);
    /* An error page has a filter chain of its own. */
    ap_hook_insert_error_filter(insert_private_filter, NULL, NULL, APR_HOOK_MIDDLE);
    ap_register_output_filter(PRIVATE_FILTER, private_filter, NULL, AP_FTYPE_CONTENT_SET);
}
