/* SPDX-License-Identifier: Apache-2.0 */
/* auth/authn_httpd.c - AuthType EasKcd: who asks? */

#include "auth/authn_httpd.h"
#include "auth/request_httpd.h"
#include "auth/password/basic.h"
#include "auth/login/challenge_httpd.h"
#include "auth/config_httpd.h"
#include "auth/activesync/rules_httpd.h"
#include "auth/login/login_httpd.h"
#include "auth/password/provider_httpd.h"
#include "auth/login/session_httpd.h"
#include "auth/login/cookie_httpd.h"
#include "auth/private_httpd.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <http_ssl.h>

bool eas_authn_in_effect(const request_rec *r)
{
    const char *type = ap_auth_type((request_rec *)r);

    return type != NULL && ap_cstr_casecmp(type, "EasKcd") == 0;
}

static void accept_identity(request_rec *r, const struct eas_identity *identity, const char *how)
{
    struct eas_request *request = eas_request_of(r);

    request->identity = identity;
    r->user = apr_pstrdup(r->pool, identity->principal);
    r->ap_auth_type = apr_pstrdup(r->pool, "EasKcd");
    apr_table_setn(r->subprocess_env, "EAS_KCD_USER", r->user);
    apr_table_setn(r->subprocess_env, "EAS_KCD_AUTH", how);
    eas_private_mark(r);
}

/* What a request brings along: a live session, else Basic credentials, else nothing. */
struct proof {
    const struct eas_identity *identity; /* proved; NULL if nothing proves anything */
    enum eas_session_state session_state;
};

/*
 * The precedence, in this order: a live session is the user, whatever Basic says beside it; a cookie
 * that is no live session counts as none, because browsers send cookies unasked; then Basic
 * credentials, which must be right; then nothing (EAS_DENIED 1062).
 */
static enum eas_rc authenticate(request_rec *r, struct proof *proof, struct eas_err *err)
{
    struct eas_credentials *credentials;
    struct eas_session *session = NULL;
    enum eas_rc rc;

    if (eas_auth_requires_tls(eas_auth_dir_of(r->per_dir_config))
        && !ap_ssl_conn_is_ssl(r->connection)) {
        return eas_fail(err, EAS_FORBIDDEN, 1060,
                        "plain HTTP: credentials are not looked at (EasKcdRequireTLS Off where TLS "
                        "ends before httpd)");
    }
    rc = eas_session_of(r, &proof->session_state, &session, &proof->identity, err);
    if (rc != EAS_OK) {
        return rc;
    }
    if (proof->session_state == EAS_SESSION_LIVE) {
        eas_session_renew(r, session);
        return EAS_OK;
    }
    rc = eas_basic_parse(r->pool, apr_table_get(r->headers_in, "Authorization"), &credentials, err);
    if (rc != EAS_OK) {
        return rc;
    }
    if (credentials == NULL) {
        return eas_fail(err, EAS_DENIED, 1062, "no credentials");
    }
    return eas_provider_verify(r, credentials, &proof->identity, err);
}

/* A session that has ended is named as the reason. */
static int challenge(request_rec *r, enum eas_session_state state)
{
    if (state != EAS_SESSION_NONE) {
        eas_cookie_clear(r);
    }
    return eas_challenge(r, state == EAS_SESSION_OVER ? EAS_PAGE_TIMED_OUT : EAS_PAGE_NONE,
                         state != EAS_SESSION_NONE);
}

int eas_authn_challenge(request_rec *r)
{
    const struct eas_identity *identity;
    enum eas_session_state state;
    struct eas_session *session;
    struct eas_err err;

    if (eas_session_of(r, &state, &session, &identity, &err) != EAS_OK) {
        return eas_log_refuse(r, &err);
    }
    return challenge(r, state);
}

static int check_authn(request_rec *r)
{
    struct proof proof = { NULL, EAS_SESSION_NONE };
    struct eas_err err;
    int status;

    if (!eas_authn_in_effect(r)) {
        return DECLINED;
    }
    status = eas_request_refused_before(r);
    if (status != 0) {
        return status; /* found out once, and counted once */
    }
    if (authenticate(r, &proof, &err) == EAS_OK) {
        accept_identity(r, proof.identity,
                        proof.session_state == EAS_SESSION_LIVE ? "session"
                        : proof.identity->authenticated_by == EAS_BY_CACHE ? "cached"
                                                                : "basic");
        return OK;
    }
    apr_table_setn(r->subprocess_env, "EAS_KCD_AUTH", "none");
    status = eas_log_refuse(r, &err);
    eas_request_of(r)->refused = status;
    return status == HTTP_UNAUTHORIZED ? challenge(r, proof.session_state) : status;
}

/*
 * Where nothing is required httpd would not ask us.  But credentials that are presented are always
 * verified, and EasKcdAlwaysAuthenticate asks everybody.
 */
static int force_authn(request_rec *r)
{
    const struct eas_identity *identity;
    struct eas_credentials *credentials;
    enum eas_session_state state;
    struct eas_session *session;
    struct eas_err err;

    if (!eas_authn_in_effect(r) || eas_login_handles(r)) {
        return DECLINED;
    }
    if (eas_auth_dir_of(r->per_dir_config)->always == 1
        || eas_basic_parse(r->pool, apr_table_get(r->headers_in, "Authorization"), &credentials,
                           &err)
               != EAS_OK
        || credentials != NULL) {
        return OK;
    }
    /* A dead cookie is no reason to ask for anything where nothing is required. */
    return eas_session_of(r, &state, &session, &identity, &err) != EAS_OK
                   || state == EAS_SESSION_LIVE
               ? OK
               : DECLINED;
}

/* The login form needs no user; whatever else is required still is, be it `Require ip` or nobody. */
static int check_access(request_rec *r)
{
    struct eas_request *request = eas_request_of(r);
    int status;

    if (request->authorizing || !eas_login_handles(r)) {
        return DECLINED;
    }
    request->authorizing = true;
    status = ap_run_access_checker_ex(r);
    request->authorizing = false;
    return status == DECLINED ? OK : status;
}

/*
 * httpd answers 401 to a user whom `Require` refuses, which tells a phone that its good password is
 * bad.  So the authorization is run from here and its 401 for a proved user becomes 403; and our
 * own rules say how they refuse, whoever has proved the user.
 */
static int check_authz(request_rec *r)
{
    struct eas_request *request = eas_request_of(r);
    int status, answer;

    if (request->authorizing) {
        return DECLINED;
    }
    request->authorizing = true;
    status = ap_run_auth_checker(r);
    request->authorizing = false;
    answer = ap_is_HTTP_ERROR(status) ? eas_rules_answer(r, status) : status;
    if (answer == HTTP_UNAUTHORIZED && request->identity != NULL && eas_authn_in_effect(r)) {
        struct eas_err err;

        apr_table_unset(r->err_headers_out, "WWW-Authenticate");
        eas_fail(&err, EAS_FORBIDDEN, 1063, "Require refuses the proved user %s", r->user);
        return eas_log_refuse(r, &err);
    }
    return answer;
}

void eas_authn_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_check_authn(check_authn, NULL, NULL, APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authz(check_authz, NULL, NULL, APR_HOOK_REALLY_FIRST, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_access_ex(check_access, NULL, NULL, APR_HOOK_REALLY_FIRST,
                            AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_force_authn(force_authn, NULL, NULL, APR_HOOK_MIDDLE);
}
