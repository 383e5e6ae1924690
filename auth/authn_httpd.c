/* SPDX-License-Identifier: Apache-2.0 */
/* auth/authn_httpd.c - authentication for AuthType EasKcd */

#include "auth/authn_httpd.h"
#include "auth/activesync/rules_httpd.h"
#include "auth/base/counters.h"
#include "auth/config_httpd.h"
#include "auth/login/challenge_httpd.h"
#include "auth/login/cookie_httpd.h"
#include "auth/login/login_httpd.h"
#include "auth/login/session_httpd.h"
#include "auth/login/negotiate_httpd.h"
#include "auth/password/account_httpd.h"
#include "auth/password/basic.h"
#include "auth/password/provider_httpd.h"
#include "auth/private_httpd.h"
#include "auth/request_httpd.h"

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

static enum eas_rc accept_identity(request_rec *r, const struct eas_identity *identity,
                                   enum eas_session_state session, struct eas_err *err)
{
    const char *how = session == EAS_SESSION_VALID                  ? "session"
                      : identity->authenticated_by == EAS_BY_CACHE  ? "cached"
                      : identity->authenticated_by == EAS_BY_TICKET ? "negotiate"
                                                                    : "basic";
    enum eas_rc rc = eas_account_accept(r, identity, how, err);

    if (rc == EAS_OK) {
        r->ap_auth_type = (char *)"EasKcd";
        eas_private_mark(r);
    }
    return rc;
}

/*
 * Precedence: a valid session is the user, whatever Basic credentials say.  Any other cookie counts
 * as none, because browsers send cookies unasked.  Then come the credentials of the Authorization
 * header, which must be right.
 */
static enum eas_rc authenticate(request_rec *r, struct eas_session_result *session,
                                const struct eas_identity **identity_out, struct eas_err *err)
{
    const char *token = eas_negotiate_token_of(r);
    struct eas_credentials *credentials;
    enum eas_rc rc;

    if (eas_auth_requires_tls(eas_auth_dir_of(r->per_dir_config))
        && !ap_ssl_conn_is_ssl(r->connection)) {
        return eas_fail(err, EAS_FORBIDDEN, 1060,
                        "the request came over plain HTTP, and its credentials were not read; use "
                        "https, or EasKcdRequireTLS Off where TLS ends before httpd");
    }
    rc = eas_session_of(r, session, err);
    if (rc != EAS_OK) {
        return rc;
    }
    if (session->state == EAS_SESSION_VALID) {
        eas_counters_add(EAS_COUNTER_SESSION_ACCEPTED);
        eas_session_renew(r, session->session);
        eas_session_show_trust(r, session->session->is_private);
        *identity_out = session->identity;
        return EAS_OK;
    }
    if (session->state != EAS_SESSION_NONE) {
        eas_counters_add(EAS_COUNTER_SESSION_OVER);
    }
    if (token != NULL) {
        return eas_negotiate_verify(r, token, identity_out, err);
    }
    rc = eas_basic_parse(r->pool, apr_table_get(r->headers_in, "Authorization"), &credentials, err);
    if (rc != EAS_OK) {
        return rc;
    }
    if (credentials == NULL) {
        return eas_fail(err, EAS_DENIED, 1062, "the request has no credentials");
    }
    rc = eas_provider_verify(r, credentials, identity_out, err);
    eas_counters_log_on(EAS_COUNTERS_BY_BASIC, rc);
    return rc;
}

/*
 * Only the redirect to the form clears the browser.  The answer to a script may arrive after the
 * next log-on, and would delete the new session.
 */
static int challenge(request_rec *r, enum eas_session_state state)
{
    bool had_session = state != EAS_SESSION_NONE;
    enum eas_page_reason reason = state == EAS_SESSION_EXPIRED ? EAS_PAGE_TIMED_OUT : EAS_PAGE_NONE;
    int status = eas_challenge(r, reason, had_session);

    if (had_session && status == HTTP_MOVED_TEMPORARILY) {
        eas_cookie_clear(r);
    }
    return status;
}

int eas_authn_challenge(request_rec *r)
{
    struct eas_session_result session;
    struct eas_err err;

    if (eas_session_of(r, &session, &err) != EAS_OK) {
        return eas_log_refuse(r, &err);
    }
    return challenge(r, session.state);
}

static int check_authn(request_rec *r)
{
    struct eas_session_result session = { .state = EAS_SESSION_NONE };
    const struct eas_identity *identity;
    struct eas_err err;
    int status = eas_request_refused_before(r);

    if (status != 0) {
        return status; /* verified and counted once */
    }
    if (authenticate(r, &session, &identity, &err) == EAS_OK
        && accept_identity(r, identity, session.state, &err) == EAS_OK) {
        return OK;
    }
    apr_table_setn(r->subprocess_env, "EAS_KCD_AUTH", "none");
    status = eas_log_refuse(r, &err);
    eas_request_of(r)->refused = status;
    return status == HTTP_UNAUTHORIZED ? challenge(r, session.state) : status;
}

/* Once for a request: hook_check_access() may come first. */
static int hook_check_authn(request_rec *r)
{
    struct eas_request *request = eas_request_of(r);

    if (!eas_authn_in_effect(r)) {
        return DECLINED;
    }
    if (!request->authn_done) {
        request->authn_status = check_authn(r);
        request->authn_done = true;
    }
    return request->authn_status;
}

static bool has_basic_credentials(request_rec *r)
{
    struct eas_credentials *credentials;
    struct eas_err err;

    return eas_basic_parse(r->pool, apr_table_get(r->headers_in, "Authorization"), &credentials,
                           &err)
               != EAS_OK
           || credentials != NULL;
}

/* An invalid cookie is no credentials: it causes no challenge where nothing is required. */
static bool has_session(request_rec *r)
{
    struct eas_session_result session;
    struct eas_err err;

    return eas_session_of(r, &session, &err) != EAS_OK || session.state == EAS_SESSION_VALID;
}

/*
 * Credentials that a request presents are always verified, and EasKcdAlwaysAuthenticate requires
 * them.
 */
static bool must_authenticate(request_rec *r)
{
    return eas_authn_in_effect(r) && !eas_login_handles(r)
           && (eas_auth_always_authenticates(eas_auth_dir_of(r->per_dir_config))
               || has_basic_credentials(r) || eas_negotiate_token_of(r) != NULL || has_session(r));
}

/* Where nothing is required, httpd does not call check_authn. */
static int hook_force_authn(request_rec *r)
{
    return must_authenticate(r) ? OK : DECLINED;
}

/*
 * With `Satisfy Any` and an allowed address, httpd calls none of the other hooks.  After a refusal
 * here it calls check_authn.
 */
static int hook_check_access(request_rec *r)
{
    int status = ap_satisfies(r) == SATISFY_ANY && must_authenticate(r) ? hook_check_authn(r) : OK;

    return status == OK ? DECLINED : status;
}

/* The login form needs no user.  Other requirements, such as `Require ip`, still hold. */
static int hook_check_access_ex(request_rec *r)
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
 * httpd answers 401 where `Require` refuses a user, and a phone takes that for a wrong password.
 * Authorization therefore runs inside this hook, and its 401 for an authenticated user becomes 403.
 * The eas-* rules give their own response, whichever module has authenticated the user.
 */
static int hook_check_authz(request_rec *r)
{
    struct eas_request *request = eas_request_of(r);
    int status, response;

    if (request->authorizing) {
        return DECLINED;
    }
    request->authorizing = true;
    status = ap_run_auth_checker(r);
    request->authorizing = false;
    response = ap_is_HTTP_ERROR(status) ? eas_rules_answer(r, status) : status;
    if (response == HTTP_UNAUTHORIZED && request->identity != NULL && eas_authn_in_effect(r)) {
        struct eas_err err;

        apr_table_unset(r->err_headers_out, "WWW-Authenticate");
        eas_fail(&err, EAS_FORBIDDEN, 1063, "Require refuses the authenticated user %s", r->user);
        return eas_log_refuse(r, &err);
    }
    return response;
}

/*
 * Whether it would be in effect in one of the <If> sections of conf, or of these.  A section has no
 * records of modules that it does not configure: so the merge is only for one with an AuthType, or
 * another directive of its module, and costs the others nothing.
 */
static bool in_effect_by_condition(const request_rec *r, const module *authn_core,
                                   ap_conf_vector_t *conf)
{
    const core_dir_config *core = ap_get_core_module_config(conf);
    request_rec there = *r;
    int i;

    for (i = 0; core->sec_if != NULL && i < core->sec_if->nelts; i++) {
        ap_conf_vector_t *section = APR_ARRAY_IDX(core->sec_if, i, ap_conf_vector_t *);

        if (ap_get_module_config(section, authn_core) != NULL) {
            there.per_dir_config = ap_merge_per_dir_configs(r->pool, r->per_dir_config, section);
            if (eas_authn_in_effect(&there)) {
                return true;
            }
        }
        if (in_effect_by_condition(r, authn_core, section)) {
            return true;
        }
    }
    return false;
}

/* The same path may have a reader with a user, also where the condition of an <If> is false now. */
static bool may_be_in_effect(const request_rec *r)
{
    const module *authn_core = ap_find_linked_module("mod_authn_core.c");

    return eas_authn_in_effect(r)
           || (authn_core != NULL && in_effect_by_condition(r, authn_core, r->per_dir_config));
}

/* The response, or the error page instead of it, which may be another Location's. */
static void hook_insert_filter(request_rec *r)
{
    const request_rec *q = r;

    while (q != NULL && !may_be_in_effect(q)) {
        q = q->prev;
    }
    if (q != NULL) {
        eas_private_mark(r);
    }
}

void eas_authn_register_hooks(apr_pool_t *pool)
{
    /* mod_ssl leaves a decoded copy of Basic credentials behind (ssl_hook_UserCheck). */
    static const char *const before[] = { "mod_ssl.c", NULL };

    ap_hook_check_authn(hook_check_authn, NULL, before, APR_HOOK_FIRST, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authz(hook_check_authz, NULL, NULL, APR_HOOK_REALLY_FIRST,
                        AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_access(hook_check_access, NULL, NULL, APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_access_ex(hook_check_access_ex, NULL, NULL, APR_HOOK_REALLY_FIRST,
                            AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_force_authn(hook_force_authn, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_insert_filter(hook_insert_filter, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_insert_error_filter(hook_insert_filter, NULL, NULL, APR_HOOK_MIDDLE);
}
