/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delegation/inject_httpd.c - puts the user's token into what mod_proxy sends to the backend
 *
 * The request's way through this file, once for each worker that mod_proxy tries:
 *  1. scheme_handler, before mod_proxy_http's: the worker is known; get a ticket for it and mint a
 *     token.  A failure here still stops the request.
 *  2. The real scheme handler runs inside ours, without the client's credentials.
 *  3. fixups: mod_proxy has copied the headers and dropped those that `Connection` names, so that
 *     what is placed now can neither be removed nor doubled by the client.  Cannot fail.
 *  4. The response filter keeps the backend's side of the authentication from the client, and a 401
 *     altogether.
 *  5. request_status: a refusal of ours gets its status when no worker can be blamed for it any more.
 */

#include "delegation/inject_httpd.h"
#include "auth/authn_httpd.h"
#include "auth/base_httpd.h"
#include "auth/config_httpd.h"
#include "auth/session_httpd.h"
#include "delegation/backend_httpd.h"
#include "delegation/config_httpd.h"
#include "delegation/proxy_httpd.h"
#include "delegation/spn.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#define RESPONSE_FILTER "EAS_KCD_RESPONSE"

/*
 * What scheme_handler returns for a refusal of ours: unlike 500, 502 and 503 it neither marks a
 * balancer's member as broken nor is it likely to stand in a failonstatus list, and mod_proxy does
 * not go on to another worker.  request_status puts the true status in its place.
 */
#define REFUSED HTTP_FORBIDDEN

/* One try of one worker. */
struct attempt {
    const request_rec *r;
    struct eas_exchange exchange;
    bool guarded;        /* AuthType EasKcd or EasKcdDelegate is in effect */
    const char *token;   /* the Authorization header to place, or NULL */
    ap_filter_t *filter; /* of the response, while it is in the chain */
    bool unauthorized;   /* the backend answered 401, which was kept from the client */
    int status;          /* as before the try */
    apr_table_t *headers_out;
    apr_table_t *err_headers_out;
};

/* What this thread is about; a subrequest may be proxied while its main request is. */
static _Thread_local struct attempt *attempting;

/* The status for request_status to set, kept in the request's notes under this name. */
#define STATUS_NOTE "eas-kcd:status"

static int answer(request_rec *r, int status)
{
    apr_table_setn(r->notes, STATUS_NOTE, apr_itoa(r->pool, status));
    return REFUSED;
}

static int refuse(request_rec *r, const struct eas_err *err)
{
    return answer(r, eas_request_refuse(r, err));
}

static int request_status(int *status, request_rec *r)
{
    const char *note = apr_table_get(r->notes, STATUS_NOTE);

    if (note == NULL) {
        return DECLINED;
    }
    *status = atoi(note);
    return OK;
}

/*
 * For whom to act: EasKcdDelegateUser, else whom our own half proved, else whom another module did.
 * *out is NULL where nobody is known.
 */
static enum eas_rc delegated_identity(request_rec *r, const struct eas_kcd_dir *conf,
                                      const struct eas_identity **out, struct eas_err *err)
{
    const char *name = r->user, *error = NULL;

    *out = NULL;
    if (conf->delegate_user != NULL) {
        name = ap_expr_str_exec(r, conf->delegate_user, &error);
        if (error != NULL || name == NULL || *name == '\0') {
            return eas_fail(err, EAS_FORBIDDEN, 2060, "EasKcdDelegateUser gives no user: %s",
                            error != NULL ? error : "empty");
        }
    }
    else {
        *out = eas_request_identity(r);
        if (name == NULL || (*out != NULL && (*out)->proof != EAS_PROOF_OTHER)) {
            return EAS_OK;
        }
    }
    return eas_identity_foreign(r->pool, name, &eas_auth_server_of(r->server)->authority->realms,
                                out, err);
}

static void show_grant(request_rec *r, const char *spn, const struct eas_kcd_grant *grant)
{
    apr_table_setn(r->subprocess_env, "EAS_KCD_SPN", spn);
    apr_table_setn(r->subprocess_env, "EAS_KCD_TICKET",
                   grant->source == EAS_KCD_HIT ? "hit" : "fetched");
}

static enum eas_rc obtain_token(request_rec *r, const struct eas_kcd_dir *conf,
                                const proxy_worker *worker, const struct eas_identity *identity,
                                const char **token, struct eas_err *err)
{
    struct eas_kcd_account *account = eas_kcd_server_of(r->server)->account;
    struct eas_kcd_wish wish = { identity, NULL, eas_kcd_transitions(conf) };
    struct eas_kcd_grant grant;
    enum eas_rc rc;

    rc = eas_spn_expand(r->pool, eas_kcd_spn(conf), worker->s->hostname_ex, &wish.spn, err);
    if (rc != EAS_OK) {
        return rc;
    }
    rc = eas_kcd_ticket(account, r->pool, &wish, &grant, err);
    eas_request_waited(r, grant.waited);
    if (rc != EAS_OK) {
        return rc;
    }
    show_grant(r, wish.spn, &grant);
    return eas_kcd_token(account, r->pool, &grant, token, err);
}

/*
 * A token goes to an http or https worker, and to that worker's host: a request that some rewriting
 * sends elsewhere (CVE-2021-40438 and its kind) must not take a user's token along.
 */
static enum eas_rc check_target(request_rec *r, const proxy_worker *worker, const char *url,
                                struct eas_err *err)
{
    apr_uri_t uri;

    if (apr_uri_parse(r->pool, url, &uri) != APR_SUCCESS || uri.hostname == NULL
        || strcasecmp(uri.hostname, worker->s->hostname_ex) != 0) {
        return eas_fail(err, EAS_MISCONFIGURED, 2065,
                        "the request is not for the host of its worker, %s; EasKcdDelegate needs a "
                        "worker for every backend (ProxyPass or a <Proxy> section)",
                        worker->s->hostname_ex);
    }
    if (strcmp(worker->s->scheme, "http") != 0 && strcmp(worker->s->scheme, "https") != 0) {
        return eas_fail(err, EAS_MISCONFIGURED, 2062,
                        "EasKcdDelegate cannot send Kerberos tokens to a backend of scheme %s; use "
                        "http or https",
                        worker->s->scheme);
    }
    return EAS_OK;
}

/* Step 1.  EAS_OK also where there is nobody to act for. */
static enum eas_rc prepare(request_rec *r, const proxy_worker *worker, const char *url,
                           struct attempt *attempt, struct eas_err *err)
{
    const struct eas_kcd_dir *conf = eas_kcd_dir_of(r->per_dir_config);
    const struct eas_identity *identity;
    enum eas_rc rc;

    attempt->guarded = eas_kcd_delegates(conf) || eas_authn_in_effect(r);
    if (!eas_kcd_delegates(conf)) {
        return EAS_OK;
    }
    if (eas_auth_server_of(r->server)->authority == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 2061,
                        "EasKcdDelegate needs EasKcdKeytab in this virtual host or outside");
    }
    rc = delegated_identity(r, conf, &identity, err);
    if (rc == EAS_OK && identity != NULL) {
        apr_table_setn(r->subprocess_env, "EAS_KCD_USER", identity->principal);
        if (identity->proof == EAS_PROOF_OTHER && eas_request_identity(r) == NULL) {
            apr_table_setn(r->subprocess_env, "EAS_KCD_AUTH", "other");
        }
        eas_authn_make_private(r);
        rc = check_target(r, worker, url, err);
        if (rc == EAS_OK) {
            rc = obtain_token(r, conf, worker, identity, &attempt->token, err);
        }
    }
    return rc;
}

/* Step 3. */
static int proxy_fixups(request_rec *r)
{
    const struct attempt *attempt = attempting;

    if (attempt == NULL || attempt->r != r || !attempt->guarded) {
        return DECLINED;
    }
    apr_table_unset(r->headers_in, "Authorization");
    apr_table_unset(r->headers_in, "Proxy-Authorization");
    if (attempt->token != NULL) {
        apr_table_setn(r->headers_in, "Authorization", attempt->token);
    }
    return OK;
}

/* err_headers_out are what we set ourselves, cookies among them, and what mod_proxy copies there. */
static void strip_headers(apr_table_t *headers)
{
    apr_table_unset(headers, "WWW-Authenticate");
    apr_table_unset(headers, "Persistent-Auth");
    apr_table_unset(headers, "Proxy-Support");
}

/* But what was there before the try is no backend's: mod_auth_gssapi's word to our own client. */
static void keep_own(apr_table_t *headers, const apr_table_t *before)
{
    const char *own = apr_table_get(before, "WWW-Authenticate");

    if (own != NULL) {
        apr_table_setn(headers, "WWW-Authenticate", own);
    }
}

/* Is this 401 about the gateway's dealings with the backend, and not for the client to see? */
static bool concerns_us(const request_rec *r, const struct attempt *attempt)
{
    return attempt->token != NULL || eas_authn_in_effect(r);
}

/* Step 4. */
static apr_status_t response_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    struct attempt *attempt = f->ctx;
    request_rec *r = f->r;

    if (!attempt->unauthorized && r->status == HTTP_UNAUTHORIZED && concerns_us(r, attempt)) {
        attempt->unauthorized = true;
    }
    if (attempt->unauthorized) {
        apr_brigade_cleanup(bb);
        return APR_SUCCESS;
    }
    eas_session_strip_set_cookies(r, r->headers_out);
    if (attempt->guarded) {
        strip_headers(r->headers_out);
        strip_headers(r->err_headers_out);
        keep_own(r->err_headers_out, attempt->err_headers_out);
    }
    attempt->filter = NULL;
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

/* Forgets a response that nobody has seen, so that httpd can make another. */
static void forget_response(request_rec *r, struct attempt *attempt)
{
    r->status = attempt->status; /* not 200 on an error page: ap_die() would start another */
    r->status_line = NULL;
    r->headers_out = attempt->headers_out;
    r->err_headers_out = attempt->err_headers_out;
    r->content_type = NULL;
    r->content_encoding = NULL;
    r->content_languages = NULL;
    r->clength = 0;
    r->bytes_sent = 0;
    r->sent_bodyct = 0;
    r->eos_sent = 0;
    apr_table_unset(r->notes, "proxy-error-override");
}

/* The backend's 401: to our token it is our trouble, without a user it is our challenge. */
static int answer_unauthorized(request_rec *r, struct attempt *attempt)
{
    struct eas_err err;

    forget_response(r, attempt);
    if (attempt->token != NULL) {
        eas_fail(
            &err, EAS_UNAVAILABLE, 2063,
            "the backend does not accept our Kerberos token for %s; is the service principal "
            "name registered to the account that runs the backend, and only there (setspn -X)?",
            apr_table_get(r->subprocess_env, "EAS_KCD_SPN"));
        return refuse(r, &err);
    }
    if (r->user != NULL) {
        eas_fail(
            &err, EAS_MISCONFIGURED, 2067,
            "the backend asks a user for credentials whom we know; EasKcdDelegate On would give it "
            "a Kerberos token");
        return refuse(r, &err);
    }
    eas_fail(&err, EAS_DENIED, 2064, "the backend asks for a user");
    eas_request_log(r, &err);
    return answer(r, eas_authn_challenge(r));
}

/* Step 2. */
static int run_real_handler(request_rec *r, proxy_worker *worker, proxy_server_conf *conf,
                            char *url, const char *proxyhost, apr_port_t proxyport,
                            struct attempt *attempt)
{
    struct attempt *outer = attempting;
    apr_table_t *client_headers = r->headers_in;
    const struct eas_exchange *interrupted;
    int status;

    attempt->status = r->status;
    attempt->headers_out = apr_table_copy(r->pool, r->headers_out);
    attempt->err_headers_out = apr_table_copy(r->pool, r->err_headers_out);
    r->headers_in = apr_table_copy(r->pool, client_headers);
    /* Everywhere: browsers send our cookies to every path of the site, and to nobody's benefit. */
    eas_session_strip(r, r->headers_in);
    if (attempt->guarded) {
        /* Also for schemes that build their headers elsewhere, such as AJP's. */
        apr_table_unset(r->headers_in, "Authorization");
        apr_table_unset(r->headers_in, "Proxy-Authorization");
    }
    attempt->filter = ap_add_output_filter(RESPONSE_FILTER, attempt, r, r->connection);
    if (attempt->token != NULL) {
        apr_table_setn(r->subprocess_env, "proxy-nokeepalive", "1");
    }
    interrupted = eas_backend_begin(&attempt->exchange, attempt->token != NULL);
    attempting = attempt;
    status = eas_proxy_run_scheme_handler(r, worker, conf, url, proxyhost, proxyport);
    attempting = outer;
    eas_backend_end(interrupted);
    r->headers_in = client_headers;
    if (attempt->filter != NULL) {
        ap_remove_output_filter(attempt->filter); /* nothing came, or nothing passed */
    }
    return status;
}

/* TRACE, and IIS's TRACK, would show the token to the client. */
static bool reflects_headers(const request_rec *r)
{
    return r->method_number == M_TRACE || strcmp(r->method, "TRACK") == 0;
}

/* Steps 1 and 2; registered before every real handler. */
static int scheme_handler(request_rec *r, proxy_worker *worker, proxy_server_conf *conf, char *url,
                          const char *proxyhost, apr_port_t proxyport)
{
    struct attempt *attempt;
    struct eas_err err;
    int status;

    if (attempting != NULL && attempting->r == r) {
        return DECLINED; /* this is the run inside ours */
    }
    status = r->user == NULL && eas_authn_in_effect(r) ? eas_request_refused_before(r) : 0;
    if (status != 0) {
        return answer(r, status); /* not by way of the error page either */
    }
    attempt = apr_pcalloc(r->pool, sizeof(*attempt));
    attempt->r = r;
    if (prepare(r, worker, url, attempt, &err) != EAS_OK) {
        return refuse(r, &err);
    }
    if (attempt->token != NULL && reflects_headers(r)) {
        return HTTP_METHOD_NOT_ALLOWED;
    }
    status = run_real_handler(r, worker, conf, url, proxyhost, proxyport, attempt);
    if (status == HTTP_UNAUTHORIZED && concerns_us(r, attempt)) {
        attempt->unauthorized = true; /* ProxyErrorOverride keeps the response from the filter */
    }
    return attempt->unauthorized ? answer_unauthorized(r, attempt) : status;
}

void eas_inject_find_proxy(apr_pool_t *pconf)
{
    eas_proxy_find(pconf, scheme_handler);
}

void eas_inject_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    /* Optional hooks: they need nothing of mod_proxy to be loaded, and fixups' result is ignored. */
    APR_OPTIONAL_HOOK(proxy, fixups, proxy_fixups, NULL, NULL, APR_HOOK_REALLY_LAST);
    APR_OPTIONAL_HOOK(proxy, request_status, request_status, NULL, NULL, APR_HOOK_REALLY_LAST);
    /* Next to the handler: before a filter of anybody else has seen the response. */
    ap_register_output_filter(RESPONSE_FILTER, response_filter, NULL, AP_FTYPE_RESOURCE - 5);
}
