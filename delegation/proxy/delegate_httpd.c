/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delegation/proxy/delegate_httpd.c - puts the user's token into what mod_proxy sends to the backend
 *
 * The request's way through this file, once for each worker that mod_proxy tries:
 *  1. scheme_handler, before mod_proxy_http's: the worker is known; get a ticket for it, and keep the
 *     body.  A failure here still stops the request.
 *  2. The real scheme handler runs inside ours, without the client's credentials, on the identity's
 *     own connection pool.
 *  3. fixups: mod_proxy has copied the headers and dropped those that `Connection` names, so that
 *     what is placed now can neither be removed nor doubled by the client.  It is a place only, and
 *     cannot fail: the guard (backend_httpd) puts the token there when the bytes leave.
 *  4. response_httpd judges the response.  A 401 to our token has the request repeated once, with a
 *     new ticket.
 *  5. request_status: a refusal of ours gets its status when no worker can be blamed for it any more.
 */

#include "delegation/proxy/delegate_httpd.h"
#include "auth/authn_httpd.h"
#include "auth/request_httpd.h"
#include "auth/config_httpd.h"
#include "auth/login/cookie_httpd.h"
#include "auth/private_httpd.h"
#include "delegation/proxy/outgoing_httpd.h"
#include "delegation/proxy/body_httpd.h"
#include "delegation/config_httpd.h"
#include "delegation/proxy/conn_pools_httpd.h"
#include "delegation/proxy/mod_proxy_httpd.h"
#include "delegation/proxy/response_httpd.h"
#include "delegation/kerberos/spn.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <stdatomic.h>

/*
 * What scheme_handler returns for a refusal of ours: unlike 500, 502 and 503 it does not mark a
 * balancer's member as broken, nor does mod_proxy go on to another worker; and it stands in nobody's
 * failonstatus list.  request_status puts the true status in its place.
 */
#define REFUSED 418

/* A request is sent to a worker twice at most: with the ticket at hand, and with a newer one. */
#define TRIES 2

/* What is tried with one worker. */
struct attempt {
    request_rec *r;
    const struct eas_delegation_dir *conf;
    struct eas_kcd_request request;
    const char *owner;               /* of the connection it goes out on; NULL: nobody */
    const struct eas_ticket *ticket; /* NULL: no token */
    struct eas_body *body;           /* where there is a token */
    struct eas_exchange exchange;
    struct eas_response response;
};

/* What mod_proxy calls a scheme handler with. */
struct call {
    proxy_worker *worker;
    proxy_server_conf *conf;
    char *url;
    const char *proxyhost;
    apr_port_t proxyport;
};

/* What this thread is about; a subrequest may be proxied while its main request is. */
static _Thread_local struct attempt *attempting;

/* The request's notes for request_status: the answer's status, and r->status as it was before. */
#define STATUS_NOTE "eas-kcd:status"
#define BEFORE_NOTE "eas-kcd:before"

static int answer(request_rec *r, int status)
{
    apr_table_setn(r->notes, STATUS_NOTE, apr_itoa(r->pool, status));
    return REFUSED;
}

static int refuse(request_rec *r, const struct eas_err *err)
{
    return answer(r, eas_log_refuse(r, err));
}

static int request_status(int *status, request_rec *r)
{
    const char *note = apr_table_get(r->notes, STATUS_NOTE);
    const char *before = apr_table_get(r->notes, BEFORE_NOTE);

    if (note == NULL) {
        return DECLINED;
    }
    if (before != NULL) {
        r->status = atoi(before);
    }
    *status = atoi(note);
    return OK;
}

/*
 * For whom to act: EasKcdDelegateUser, else whom our own half proved, else whom another module did.
 * *out is NULL where nobody is known.
 */
static enum eas_rc delegated_identity(request_rec *r, const struct eas_delegation_dir *conf,
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
        if (name == NULL || (*out != NULL && (*out)->authenticated_by != EAS_BY_OTHER)) {
            return EAS_OK;
        }
    }
    return eas_identity_foreign(r->pool, name, &eas_auth_server_of(r->server)->authority->realms,
                                out, err);
}

static void show_result(request_rec *r, const char *spn, const struct eas_kcd_result *result)
{
    static const char *const sources[] = { "hit", "shared", "fetched" };

    apr_table_setn(r->subprocess_env, "EAS_KCD_SPN", spn);
    apr_table_setn(r->subprocess_env, "EAS_KCD_TICKET", sources[result->source]);
}

/* A ticket for the wish; another one where the backend has refused the one at hand. */
static enum eas_rc obtain_ticket(struct attempt *attempt, struct eas_err *err)
{
    request_rec *r = attempt->r;
    struct eas_kcd_result result;
    enum eas_rc rc;

    attempt->request.refused = attempt->ticket;
    attempt->request.waited = eas_request_of(r)->kdc_waited;
    rc = eas_kcd_ticket(eas_delegation_server_of(r->server)->account, r->pool, &attempt->request,
                        &result, err);
    eas_request_waited(r, result.waited);
    if (rc == EAS_OK) {
        attempt->ticket = result.ticket;
        attempt->owner = result.key; /* a connection is shared as the ticket is, and no further */
        show_result(r, attempt->request.spn, &result);
    }
    return rc;
}

/*
 * Where this module stands aside, a client may authenticate its own way through to the backend, by
 * connection (NTLM, Negotiate): then what it sends on this connection of its own has backend
 * connections of its own, and nobody else's request rides on them.
 */
static const char *client_owner(request_rec *r)
{
    static const char *const schemes[] = { "Negotiate", "NTLM", "Kerberos" };
    static _Atomic apr_uint64_t clients;
    conn_rec *c = r->connection;
    const char *owner = ap_get_module_config(c->conn_config, &eas_kcd_module);
    const char *value = apr_table_get(r->headers_in, "Authorization");
    apr_size_t i;

    for (i = 0; owner == NULL && value != NULL && i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (ap_cstr_casecmpn(value, schemes[i], strlen(schemes[i])) == 0) {
            owner = apr_psprintf(c->pool, "client\n%" APR_UINT64_T_FMT,
                                 (apr_uint64_t)atomic_fetch_add(&clients, 1));
            ap_set_module_config(c->conn_config, &eas_kcd_module, (void *)owner);
        }
    }
    return owner;
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
        || strcasecmp(uri.hostname, worker->s->hostname_ex) != 0
        /* A socket that the rewriting named, not the worker (ap_proxy_determine_connection()). */
        || (*worker->s->uds_path == '\0' && apr_table_get(r->notes, "uds_path") != NULL)) {
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

static enum eas_rc prepare_ticket(struct attempt *attempt, const proxy_worker *worker,
                                  const char *url, struct eas_err *err)
{
    request_rec *r = attempt->r;
    enum eas_rc rc = check_target(r, worker, url, err);

    if (rc == EAS_OK) {
        rc = eas_spn_expand(r->pool, eas_delegation_spn(attempt->conf), worker->s->hostname_ex,
                            &attempt->request.spn, err);
    }
    if (rc == EAS_OK) {
        attempt->request.transition = eas_delegation_transitions(attempt->conf);
        rc = obtain_ticket(attempt, err);
    }
    return rc;
}

/* Step 1.  EAS_OK also where there is nobody to act for. */
static enum eas_rc prepare(struct attempt *attempt, const proxy_worker *worker, const char *url,
                           struct eas_err *err)
{
    request_rec *r = attempt->r;
    const struct eas_identity *identity;
    enum eas_rc rc;

    attempt->response.guarded = eas_delegation_is_on(attempt->conf) || eas_authn_in_effect(r);
    if (!attempt->response.guarded) {
        attempt->owner = client_owner(r);
    }
    if (!eas_delegation_is_on(attempt->conf)) {
        return EAS_OK;
    }
    if (eas_auth_server_of(r->server)->authority == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 2061,
                        "EasKcdDelegate needs EasKcdKeytab in this virtual host or outside");
    }
    rc = delegated_identity(r, attempt->conf, &identity, err);
    if (rc == EAS_OK && identity != NULL) {
        apr_table_setn(r->subprocess_env, "EAS_KCD_USER", identity->principal);
        if (identity->authenticated_by == EAS_BY_OTHER && eas_request_identity(r) == NULL) {
            apr_table_setn(r->subprocess_env, "EAS_KCD_AUTH", "other");
        }
        eas_private_mark(r);
        attempt->request.identity = identity;
        rc = prepare_ticket(attempt, worker, url, err);
    }
    return rc;
}

/* One body for all workers that the request is tried with.  OK, or the status to answer. */
static int keep_body(struct attempt *attempt)
{
    struct eas_request *record = eas_request_of(attempt->r);
    int status = OK;

    if (record->body == NULL) {
        status = eas_body_keep(attempt->r, eas_delegation_retry_body(attempt->conf), &record->body);
    }
    attempt->body = record->body;
    return status;
}

/* What the backend shall not see of the request. */
static void strip_request(const struct attempt *attempt, apr_table_t *headers)
{
    /* Everywhere: browsers send our cookies to every path of the site, and to nobody's benefit. */
    eas_cookie_strip_request(attempt->r, headers);
    if (attempt->response.guarded) {
        /* Also for schemes that build their headers elsewhere, such as AJP's. */
        apr_table_unset(headers, "Authorization");
        apr_table_unset(headers, "Proxy-Authorization");
    }
    if (attempt->ticket != NULL) {
        apr_table_unset(headers, "Upgrade"); /* a tunnel would be beyond all control */
    }
}

/* How mod_proxy_http is to treat a request in a user's name. */
static void set_environment(const struct attempt *attempt)
{
    apr_table_t *env = attempt->r->subprocess_env;

    if (!eas_delegation_reuses(attempt->conf)) {
        apr_table_setn(env, "proxy-nokeepalive", "1");
    }
    /* Interim responses are passed on before anybody could judge them. */
    apr_table_setn(env, "proxy-interim-response", "Suppress");
}

/* Step 2. */
static int run_real_handler(struct attempt *attempt, const struct call *call)
{
    request_rec *r = attempt->r;
    struct attempt *outer = attempting;
    apr_table_t *client_headers = r->headers_in;
    struct eas_exchange *interrupted;
    proxy_worker *worker = call->worker;
    int status;

    r->headers_in = apr_table_copy(r->pool, client_headers);
    strip_request(attempt, r->headers_in);
    if (attempt->ticket != NULL) {
        set_environment(attempt);
        eas_body_hand_over(r, attempt->body);
        worker = eas_conn_pools_worker_for(attempt->response.pools, attempt->owner);
    }
    attempt->exchange.ticket = attempt->ticket;
    eas_response_expect(r, &attempt->response);
    interrupted = eas_outgoing_begin(&attempt->exchange);
    attempting = attempt;
    status = eas_mod_proxy_run_scheme_handler(r, worker, call->conf, call->url, call->proxyhost,
                                              call->proxyport);
    attempting = outer;
    eas_response_end(r, &attempt->response, status);
    if (attempt->body != NULL && attempt->exchange.connection != NULL) {
        eas_body_spend(attempt->body);
    }
    eas_outgoing_end(&attempt->exchange, interrupted);
    r->headers_in = client_headers;
    return status;
}

/* Step 3. */
static int proxy_fixups(request_rec *r)
{
    const struct attempt *attempt = attempting;

    if (attempt == NULL || attempt->r != r || !attempt->response.guarded) {
        return DECLINED;
    }
    apr_table_unset(r->headers_in, "Authorization");
    apr_table_unset(r->headers_in, "Proxy-Authorization");
    if (attempt->ticket != NULL) {
        apr_table_setn(r->headers_in, "Authorization", eas_outgoing_placeholder());
    }
    return OK;
}

/* The backend's 401 to a request without a token: without a user it is our challenge. */
static int challenge(request_rec *r)
{
    struct eas_err err;

    if (r->user != NULL) {
        eas_fail(
            &err, EAS_MISCONFIGURED, 2067,
            "the backend asks a user for credentials whom we know; EasKcdDelegate On would give it "
            "a Kerberos token");
        return refuse(r, &err);
    }
    eas_fail(&err, EAS_DENIED, 2064, "the backend asks for a user");
    eas_log_error(r, &err);
    return answer(r, eas_authn_challenge(r));
}

/*
 * The status alone: the rest may be another's.  r->status is the backend's until request_status, for
 * mod_proxy's failonstatus.
 */
static int answer_status_only(request_rec *r, const struct eas_response *response)
{
    const char *number = apr_itoa(r->pool, response->status);

    ap_log_rerror(
        APLOG_MARK, APLOG_INFO, 0, r,
        "EAS2055: the backend answers %d without having proved itself; its headers and body "
        "are not passed on",
        response->status);
    if (response->retry_after != NULL) {
        apr_table_setn(r->err_headers_out, "Retry-After", response->retry_after);
    }
    if (strncmp(ap_get_status_line(response->status), number, 3) != 0) {
        /* One that httpd does not know, and would call a 500. */
        r->status_line = apr_pstrcat(r->pool, number, " Refused by the backend", NULL);
        ap_custom_response(r, response->status, "The mail server has refused the request.\n");
    }
    apr_table_setn(r->notes, BEFORE_NOTE, apr_itoa(r->pool, r->status));
    r->status = response->status;
    return answer(r, response->status);
}

/* Step 4: what the client gets, where it has got nothing yet. */
static int conclude(struct attempt *attempt, int status)
{
    struct eas_response *response = &attempt->response;
    request_rec *r = attempt->r;
    struct eas_err err;

    if (response->state == EAS_RESPONSE_PASSED) {
        return status;
    }
    if (attempt->exchange.failure.rc != EAS_OK) {
        eas_response_forget(r, response);
        return refuse(r, &attempt->exchange.failure);
    }
    if (response->state == EAS_RESPONSE_NONE) {
        return status;
    }
    eas_response_forget(r, response);
    if (response->state == EAS_RESPONSE_BROKEN) {
        eas_fail(&err, EAS_UNAVAILABLE, 2057, "the backend hung up without an answer");
        refuse(r, &err);
        /* On a new connection it is the worker's fault, as mod_proxy has it. */
        return status == OK || attempt->exchange.pooled ? REFUSED : status;
    }
    switch (response->verdict) {
    case EAS_VERDICT_UNAUTHORIZED:
        return challenge(r);
    case EAS_VERDICT_REFUSE:
        return refuse(r, &response->err);
    case EAS_VERDICT_STATUS_ONLY:
        return answer_status_only(r, response);
    case EAS_VERDICT_PASS:
        break;
    }
    return status;
}

/* A 401 to our token: is the request to be sent again?  If not, *err says why. */
static bool renews(struct attempt *attempt, int tries, struct eas_err *err)
{
    /* In any case, so that the next request fares better. */
    enum eas_rc rc = obtain_ticket(attempt, err);

    if (rc == EAS_OK && tries < TRIES && eas_body_is_whole(attempt->body)) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, attempt->r,
                      "EAS2056: the backend does not accept the ticket for %s; trying a new one",
                      attempt->request.spn);
        return true;
    }
    if (rc == EAS_OK || rc == EAS_BACKEND) {
        eas_fail(
            err, EAS_UNAVAILABLE, 2063,
            "the backend does not accept our Kerberos token for %s%s; is the service principal "
            "name registered to the account that runs the backend, and only there (setspn -X)?",
            attempt->request.spn,
            rc == EAS_OK ? ", and the request is too long to be repeated (EasKcdRetryBody)"
                         : ", although its ticket has just been renewed");
    }
    return false;
}

/* A kept-alive connection on which the backend hung up: may what is lost be asked for again? */
static bool may_ask_again(const struct attempt *attempt, int tries)
{
    return attempt->exchange.pooled && tries < TRIES && attempt->r->method_number == M_GET
           && eas_body_is_whole(attempt->body);
}

/* Steps 2 to 4. */
static int try_worker(struct attempt *attempt, const struct call *call)
{
    const struct eas_response *response = &attempt->response;
    request_rec *r = attempt->r;
    struct eas_err err;
    int tries, status;

    for (tries = 1;; tries++) {
        status = run_real_handler(attempt, call);
        if (attempt->ticket == NULL) {
            break;
        }
        if (response->state == EAS_RESPONSE_WITHHELD
            && response->verdict == EAS_VERDICT_UNAUTHORIZED) {
            eas_response_forget(r, response);
            if (!renews(attempt, tries, &err)) {
                return refuse(r, &err);
            }
        }
        else if (response->state == EAS_RESPONSE_BROKEN && may_ask_again(attempt, tries)) {
            eas_response_forget(r, response);
        }
        else {
            break;
        }
    }
    return conclude(attempt, status);
}

/* TRACE, and IIS's TRACK, would show the token to the client. */
static bool reflects_headers(const request_rec *r)
{
    return r->method_number == M_TRACE || strcmp(r->method, "TRACK") == 0;
}

/* What is true of every try. */
static struct attempt *begin(request_rec *r)
{
    struct attempt *attempt = apr_pcalloc(r->pool, sizeof(*attempt));

    attempt->r = r;
    attempt->conf = eas_delegation_dir_of(r->per_dir_config);
    attempt->exchange.r = r;
    attempt->response.exchange = &attempt->exchange;
    return attempt;
}

static void set_out(struct attempt *attempt, const struct call *call)
{
    request_rec *r = attempt->r;

    attempt->response.pools = eas_conn_pools_of(call->worker);
    attempt->response.concerned = attempt->ticket != NULL || eas_authn_in_effect(r);
    attempt->response.required = eas_delegation_requires_mutual(attempt->conf);
    attempt->exchange.owner = attempt->owner;
    attempt->exchange.account = eas_delegation_server_of(r->server)->account;
    attempt->exchange.bind = eas_delegation_binds(attempt->conf);
    attempt->exchange.siblings = eas_conn_pools_connections(attempt->response.pools);
    attempt->exchange.timeout = eas_request_timeout(r);
    if (attempt->exchange.timeout == 0) {
        attempt->exchange.timeout = eas_mod_proxy_timeout(call->worker, call->conf, r->server);
    }
}

/* Steps 1 to 4; registered before every real handler. */
static int scheme_handler(request_rec *r, proxy_worker *worker, proxy_server_conf *conf, char *url,
                          const char *proxyhost, apr_port_t proxyport)
{
    const struct call call = { worker, conf, url, proxyhost, proxyport };
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
    attempt = begin(r);
    if (prepare(attempt, worker, url, &err) != EAS_OK) {
        return refuse(r, &err);
    }
    if (attempt->ticket != NULL) {
        if (reflects_headers(r)) {
            return HTTP_METHOD_NOT_ALLOWED;
        }
        status = keep_body(attempt);
        if (status != OK) {
            return answer(r, status);
        }
        if (eas_body_is_lost(attempt->body)) {
            eas_fail(&err, EAS_UNAVAILABLE, 2059,
                     "the request cannot be sent to another worker: its body is longer than "
                     "EasKcdRetryBody, and was sent to the one before");
            return refuse(r, &err);
        }
    }
    set_out(attempt, &call);
    return try_worker(attempt, &call);
}

void eas_delegate_pre_config(apr_pool_t *pconf)
{
    eas_mod_proxy_find(pconf, scheme_handler);
}

void eas_delegate_register_hooks(apr_pool_t *pool)
{
    /* Optional hooks: they need nothing of mod_proxy to be loaded, and fixups' result is ignored. */
    APR_OPTIONAL_HOOK(proxy, fixups, proxy_fixups, NULL, NULL, APR_HOOK_REALLY_LAST);
    APR_OPTIONAL_HOOK(proxy, request_status, request_status, NULL, NULL, APR_HOOK_REALLY_LAST);
    eas_response_register_hooks(pool);
}
