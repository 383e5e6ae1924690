/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delegation/proxy/delegate_httpd.c - scheme handler around mod_proxy's: sends the user's token
 *
 * For each worker that mod_proxy tries:
 *  1. scheme_handler runs before that of mod_proxy_http.  The worker is known.  prepare_httpd gets
 *     a ticket for it and reads the body.  A failure here still ends the request.  If the KDC
 *     issues nobody a ticket for it, mod_proxy tries the balancer's next one (failover_httpd).
 *  2. The real scheme handler runs inside, without the client's credentials, and with the
 *     connection pool of the ticket's owner.
 *  3. fixups: mod_proxy has copied the headers and removed those that `Connection` names.  So the
 *     client can neither remove nor double the Authorization header that is set now.  Its value is
 *     a placeholder, because a failure is impossible here.  The outgoing-connection filter
 *     (outgoing_httpd) replaces it by a token at the write.
 *  4. response_httpd decides on the response.  After a 401 to a token the request is repeated once,
 *     with a new ticket.
 *  5. A status that no failure of the connection has caused is hidden from mod_proxy, which marks a
 *     balancer's member as broken for it.
 *  6. request_status: the hidden status becomes the request's.
 */

#include "delegation/proxy/delegate_httpd.h"
#include "auth/authn_httpd.h"
#include "auth/base/clock.h"
#include "auth/login/cookie_httpd.h"
#include "auth/path_httpd.h"
#include "auth/request_httpd.h"
#include "delegation/proxy/failover_httpd.h"
#include "delegation/proxy/front_end.h"
#include "delegation/proxy/long_polls_httpd.h"
#include "delegation/proxy/mod_proxy_httpd.h"
#include "delegation/proxy/outgoing_httpd.h"
#include "delegation/proxy/prepare_httpd.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>

/*
 * The result of scheme_handler where the worker is not to blame (verdict.h).  mod_proxy marks none
 * for it, and no failonstatus list has it.  request_status replaces it by the true status.
 */
#define REFUSED 418

/* A worker gets a request twice at most: the second time with a newer ticket. */
#define TRIES 2

/* The time between two looks at a client that waits for a connection to the backend. */
#define SLICE apr_time_from_sec(1)

/* Of this thread.  A subrequest may be proxied while its main request is. */
static _Thread_local struct eas_attempt *current;

/* Note for request_status: the status of the answer. */
#define STATUS_NOTE "eas-kcd:status"

static int answer(request_rec *r, int status)
{
    apr_table_setn(r->notes, STATUS_NOTE, apr_itoa(r->pool, status));
    return REFUSED;
}

static int refuse(const struct eas_attempt *attempt, struct eas_err *err)
{
    eas_prepare_name_parties(attempt, err);
    return answer(attempt->r, eas_log_refuse(attempt->r, err));
}

static int hook_request_status(int *status, request_rec *r)
{
    const char *note = apr_table_get(r->notes, STATUS_NOTE);

    if (note == NULL) {
        return DECLINED;
    }
    *status = (int)apr_atoi64(note);
    return OK;
}

static void strip_request(const struct eas_attempt *attempt, apr_table_t *headers)
{
    /* Browsers send the module's cookies to every path of the site, and no backend needs them. */
    eas_cookie_strip_request(attempt->r, headers);
    if (attempt->response.in_effect) {
        /* Here and in fixups: schemes such as AJP do not run fixups. */
        apr_table_unset(headers, "Authorization");
        apr_table_unset(headers, "Proxy-Authorization");
    }
    if (eas_delegation_is_on(attempt->conf)) {
        eas_front_end_strip(attempt->r->pool, headers, attempt->conf->strip_headers);
    }
    if (attempt->ticket != NULL) {
        apr_table_unset(headers, "Upgrade"); /* no filter sees the requests in a tunnel */
    }
}

static void set_environment(const struct eas_attempt *attempt)
{
    apr_table_t *env = attempt->r->subprocess_env;

    if (!eas_delegation_reuses(attempt->conf)) {
        apr_table_setn(env, "proxy-nokeepalive", "1");
    }
    /* mod_proxy_http would pass on an interim response before the decision on the response. */
    apr_table_setn(env, "proxy-interim-response", "Suppress");
}

/* Waits in slices, because meanwhile the client can leave and a newer long poll can end this one. */
static struct eas_slot *await_slot(struct eas_attempt *attempt, proxy_worker **worker)
{
    struct eas_exchange *exchange = &attempt->exchange;
    struct eas_conn_pools *pools = attempt->response.pools;
    apr_interval_time_t left = eas_conn_pools_patience(pools, exchange->timeout);
    apr_time_t until = eas_clock_now() + left;
    enum eas_client_event event = EAS_CLIENT_TIMEUP;
    struct eas_slot *slot;

    for (;;) {
        slot = eas_conn_pools_take(pools, attempt->owner, left < SLICE ? left : SLICE,
                                   attempt->fresh, worker);
        left = until - eas_clock_now();
        if (slot != NULL || left <= 0) {
            return slot;
        }
        event = eas_client_look(attempt->r, exchange->poll);
        if (event != EAS_CLIENT_TIMEUP) {
            eas_outgoing_abort(exchange, event);
            return NULL;
        }
    }
}

/*
 * An exchange without an owner uses the worker's own connection pool.  A nested one does so rather
 * than wait, because the outer one may hold the last slot.
 */
static int run_on_slot(struct eas_attempt *attempt, const struct eas_scheme_call *call, bool nested,
                       struct eas_slot **slot)
{
    proxy_worker *worker = call->worker;

    if (attempt->owner != NULL) {
        *slot = nested ? eas_conn_pools_take(attempt->response.pools, attempt->owner, 0,
                                             attempt->fresh, &worker)
                       : await_slot(attempt, &worker);
        if (*slot == NULL && !nested) {
            if (!attempt->exchange.ended) {
                eas_fail(&attempt->exchange.failure, EAS_UNAVAILABLE, 2073,
                         "all connections to %s that its max= permits are busy; raise that, or "
                         "shorten the backend's responses",
                         call->worker->s->name_ex);
            }
            return HTTP_SERVICE_UNAVAILABLE;
        }
    }
    return eas_mod_proxy_run_scheme_handler(attempt->r, worker, call->conf, call->url,
                                            call->proxyhost, call->proxyport);
}

/* Step 2. */
static int run_real_handler(struct eas_attempt *attempt, const struct eas_scheme_call *call)
{
    request_rec *r = attempt->r;
    struct eas_attempt *outer = current;
    apr_table_t *client_headers = r->headers_in;
    struct eas_exchange *interrupted;
    struct eas_slot *slot = NULL;
    int status;

    r->headers_in = apr_table_copy(r->pool, client_headers);
    strip_request(attempt, r->headers_in);
    if (attempt->ticket != NULL) {
        set_environment(attempt);
        eas_body_hand_over(r, attempt->body);
    }
    attempt->exchange.ticket = attempt->ticket;
    eas_response_expect(r, &attempt->response);
    interrupted = eas_outgoing_begin(&attempt->exchange);
    current = attempt;
    status = run_on_slot(attempt, call, outer != NULL, &slot);
    current = outer;
    eas_response_end(r, &attempt->response, status);
    if (attempt->body != NULL && attempt->exchange.connection != NULL) {
        eas_body_note_sent(attempt->body);
    }
    eas_outgoing_end(&attempt->exchange, interrupted);
    if (slot != NULL) {
        eas_conn_pools_put(attempt->response.pools, slot, attempt->exchange.released);
    }
    r->headers_in = client_headers;
    return status;
}

/* Step 3. */
static int hook_proxy_fixups(request_rec *r)
{
    struct eas_attempt *attempt = current;

    if (attempt == NULL || attempt->r != r) {
        return DECLINED;
    }
    attempt->exchange.resolved = true;
    if (!attempt->response.in_effect) {
        return DECLINED;
    }
    apr_table_unset(r->headers_in, "Authorization");
    apr_table_unset(r->headers_in, "Proxy-Authorization");
    if (attempt->ticket != NULL) {
        apr_table_setn(r->headers_in, "Authorization", eas_outgoing_placeholder());
    }
    return OK;
}

/* The backend's 401 to a request without a token: without a user, the client gets a challenge. */
static int challenge(const struct eas_attempt *attempt)
{
    request_rec *r = attempt->r;
    struct eas_err err;

    if (r->user != NULL) {
        eas_fail(&err, EAS_MISCONFIGURED, 2067,
                 "the backend requires credentials of a user that is authenticated here; "
                 "EasKcdDelegate On sends it a Kerberos token");
        return refuse(attempt, &err);
    }
    eas_fail(&err, EAS_DENIED, 2064, "the backend requires a user");
    eas_log_error(r, &err);
    return answer(r, eas_authn_challenge(r));
}

/* Headers and body may come from a server that is not the backend. */
static int answer_status_only(request_rec *r, const struct eas_response *response)
{
    const char *number = apr_itoa(r->pool, response->status);

    ap_log_rerror(
        APLOG_MARK, APLOG_INFO, 0, r,
        "EAS2055: the backend answers %d without mutual authentication; its headers and body "
        "are not passed on",
        response->status);
    if (response->retry_after != NULL) {
        apr_table_setn(r->err_headers_out, "Retry-After", response->retry_after);
    }
    if (strncmp(ap_get_status_line(response->status), number, 3) != 0) {
        /* httpd makes 500 of a status that it does not know. */
        r->status_line = apr_pstrcat(r->pool, number, " Refused by the backend", NULL);
        ap_custom_response(r, response->status, "The mail server has refused the request.\n");
    }
    return answer(r, response->status);
}

/* As nginx logs it: "client closed request". */
#define CLIENT_LEFT 499

/* Nothing is written to the client.  An error page would make another request. */
static int end_request(request_rec *r)
{
    struct eas_err err;

    eas_fail(&err, EAS_MALFORMED, 2080,
             "the client has closed its connection before the backend's response; the request to "
             "the backend is aborted");
    eas_log_error(r, &err);
    r->connection->aborted = 1;
    r->status = CLIENT_LEFT;
    return DONE;
}

/* Step 4: the answer, if the client has no response yet. */
static int conclude(struct eas_attempt *attempt, int status)
{
    struct eas_response *response = &attempt->response;
    request_rec *r = attempt->r;
    struct eas_err err;

    if (response->state == EAS_RESPONSE_PASSED) {
        return status;
    }
    if (attempt->exchange.failure.rc != EAS_OK) {
        eas_response_discard(r, response);
        return refuse(attempt, &attempt->exchange.failure);
    }
    if (attempt->exchange.ended) {
        eas_response_discard(r, response);
        return end_request(r);
    }
    if (response->state == EAS_RESPONSE_NONE) {
        return status;
    }
    eas_response_discard(r, response);
    if (response->state == EAS_RESPONSE_BROKEN) {
        eas_fail(&err, EAS_UNAVAILABLE, 2057,
                 "the backend closed the connection without a response");
        return refuse(attempt, &err);
    }
    switch (response->verdict) {
    case EAS_VERDICT_UNAUTHORIZED:
        return challenge(attempt);
    case EAS_VERDICT_REFUSE:
        return refuse(attempt, &response->err);
    case EAS_VERDICT_FORBIDDEN:
        eas_fail(&err, EAS_FORBIDDEN, 2074,
                 "the backend knows the user, and refuses the request; give the user the right to "
                 "it at the backend");
        return refuse(attempt, &err);
    case EAS_VERDICT_STATUS_ONLY:
        return answer_status_only(r, response);
    case EAS_VERDICT_PASS:
        break;
    }
    return status;
}

/* After a 401 to the token: whether to send the request again.  If not, *err is the reason. */
static bool try_other_ticket(struct eas_attempt *attempt, int tries, struct eas_err *err)
{
    /* In any case, for the next request. */
    enum eas_rc rc = eas_prepare_ticket(attempt, err);

    if (rc == EAS_OK && tries < TRIES && eas_body_is_whole(attempt->body)) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, attempt->r,
                      "EAS2056: the backend does not accept the ticket for %s; trying a new one",
                      attempt->request.spn);
        return true;
    }
    if (rc == EAS_OK || rc == EAS_BACKEND) {
        eas_fail(
            err, EAS_UNAVAILABLE, 2063,
            "the backend does not accept the Kerberos token for %s%s; check that the service "
            "principal name is registered to the account that runs the backend, and to no other "
            "(setspn -X)",
            attempt->request.spn,
            rc == EAS_OK ? ", and the request is too long to be repeated (EasKcdRetryBody)"
                         : ", although its ticket has just been renewed");
    }
    return false;
}

/* The backend closed a kept-alive connection, perhaps before it got the request. */
static bool may_repeat(const struct eas_attempt *attempt, int tries)
{
    return attempt->exchange.pooled && tries < TRIES && attempt->r->method_number == M_GET
           && eas_body_is_whole(attempt->body);
}

/* Steps 2 to 4. */
static int try_worker(struct eas_attempt *attempt, const struct eas_scheme_call *call)
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
            eas_response_discard(r, response);
            if (!try_other_ticket(attempt, tries, &err)) {
                return refuse(attempt, &err);
            }
        }
        else if (response->state == EAS_RESPONSE_BROKEN && may_repeat(attempt, tries)) {
            eas_response_discard(r, response);
            attempt->fresh = true; /* it closes all idle ones when it needs their threads */
        }
        else {
            break;
        }
    }
    return conclude(attempt, status);
}

/* Steps 2 to 4 of a long poll hold a place. */
static int try_worker_in_place(struct eas_attempt *attempt, const struct eas_scheme_call *call)
{
    struct eas_long_poll *poll = NULL;
    struct eas_err err;
    int status;

    if (attempt->ticket != NULL
        && eas_long_polls_admit(attempt->r, attempt->request.identity->principal, &poll, &err)
               != EAS_OK) {
        return refuse(attempt, &err);
    }
    attempt->exchange.poll = poll;
    status = try_worker(attempt, call);
    if (poll != NULL) {
        eas_long_polls_end(poll);
    }
    return status;
}

/* Step 5. */
static int hide_from_worker(const struct eas_attempt *attempt, const struct eas_scheme_call *call,
                            int status)
{
    const struct eas_exchange *exchange = &attempt->exchange;
    request_rec *r = attempt->r;
    const struct eas_verdict_end end = {
        .status = status,
        .from_backend = eas_response_is_overridden(r),
        .in_effect = attempt->response.in_effect,
        .resolved = exchange->resolved,
        .connected = exchange->connected,
        .written = exchange->written,
    };
    struct eas_err err;

    if (status == DECLINED && end.in_effect) {
        /* mod_proxy would run the other handlers again, with the client's credentials. */
        eas_fail(&err, EAS_MISCONFIGURED, 2084,
                 "no module of httpd serves %s; https needs mod_ssl (a2enmod ssl)", call->url);
        return refuse(attempt, &err);
    }
    if (status == HTTP_INTERNAL_SERVER_ERROR && end.in_effect && !end.from_backend
        && eas_response_is_impossible(r, exchange, call->worker->s->hostname_ex, &err)) {
        refuse(attempt, &err);
        return status; /* for which mod_proxy marks the member; the answer is another */
    }
    return status == OK || status == DECLINED || status == DONE || status == REFUSED
                   || eas_verdict_blames_worker(&end)
               ? status
               : answer(r, status);
}

/* Steps 1 to 5. */
static int hook_scheme_handler(request_rec *r, proxy_worker *worker, proxy_server_conf *conf,
                               /* NOLINTNEXTLINE(readability-non-const-parameter): as the hook's */
                               char *url, const char *proxyhost, apr_port_t proxyport)
{
    const struct eas_scheme_call call = { worker, conf, url, proxyhost, proxyport };
    struct eas_attempt *attempt;
    struct eas_err err;
    int status;

    if (current != NULL && current->r == r) {
        return DECLINED; /* step 2 */
    }
    if (eas_failover_begin(r)) {
        apr_table_unset(r->notes, STATUS_NOTE);
    }
    status = r->user == NULL && eas_authn_in_effect(r) ? eas_request_refused_before(r) : 0;
    if (status != 0) {
        return answer(r, status); /* an error page from a backend is refused, too */
    }
    status = eas_path_check_url(r, url);
    if (status != OK) {
        return answer(r, status);
    }
    attempt = apr_palloc(r->pool, sizeof(*attempt));
    if (eas_prepare_attempt(attempt, r, &call, &err) != EAS_OK) {
        status = refuse(attempt, &err);
        return err.rc == EAS_NO_SERVICE && eas_failover_to_next(r, worker, proxyhost)
                   ? HTTP_SERVICE_UNAVAILABLE
                   : status;
    }
    status = eas_prepare_check(attempt);
    if (status != OK) {
        return answer(r, status);
    }
    if (attempt->ticket != NULL) {
        status = eas_prepare_body(attempt);
        if (status != OK) {
            return answer(r, status);
        }
        if (eas_body_is_exhausted(attempt->body)) {
            eas_fail(&err, EAS_UNAVAILABLE, 2059,
                     "the request cannot be sent to another worker: its body is longer than "
                     "EasKcdRetryBody, and was sent to the one before");
            return refuse(attempt, &err);
        }
    }
    eas_prepare_exchange(attempt, &call);
    return hide_from_worker(attempt, &call, try_worker_in_place(attempt, &call));
}

void eas_delegate_pre_config(apr_pool_t *pconf)
{
    eas_mod_proxy_find(pconf, hook_scheme_handler, eas_failover_pre_request);
}

void eas_delegate_register_hooks(apr_pool_t *pool)
{
    /* Optional hooks work without mod_proxy.  mod_proxy ignores the result of fixups. */
    APR_OPTIONAL_HOOK(proxy, fixups, hook_proxy_fixups, NULL, NULL, APR_HOOK_REALLY_LAST);
    APR_OPTIONAL_HOOK(proxy, request_status, hook_request_status, NULL, NULL, APR_HOOK_REALLY_LAST);
    eas_response_register_hooks(pool);
}
