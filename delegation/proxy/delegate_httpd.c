/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delegation/proxy/delegate_httpd.c - scheme handler around mod_proxy's: sends the user's token
 *
 * For each worker that mod_proxy tries:
 *  1. scheme_handler runs before that of mod_proxy_http.  The worker is known.  prepare_httpd gets
 *     a ticket for it and reads the body.  A failure here still ends the request.  If the KDC
 *     issues nobody a ticket for it, mod_proxy tries the balancer's next one (failover_httpd).
 *  2. The real scheme handler runs inside, without the client's credentials, and with the
 *     connection pool of the ticket's owner.  For a long poll it runs twice (first_run_httpd).
 *  3. fixups: mod_proxy has copied the headers and removed those that `Connection` names.  So the
 *     client can neither remove nor double the Authorization header that is set now.  Its value is
 *     a placeholder, because a failure is impossible here.  The outgoing-connection filter
 *     (outgoing_httpd) replaces it by a token at the write.
 *  4. response_httpd decides on the response.  After a 401 to a token the request is repeated once,
 *     with a new ticket.
 *  5. A status that no failure of the connection has caused is hidden from mod_proxy, which marks a
 *     balancer's member as broken for it.  request_status makes it the request's (answer_httpd).
 */

#include "delegation/proxy/delegate_httpd.h"
#include "auth/authn_httpd.h"
#include "auth/base/clock.h"
#include "auth/login/cookie_httpd.h"
#include "auth/path_httpd.h"
#include "auth/request_httpd.h"
#include "delegation/proxy/answer_httpd.h"
#include "delegation/proxy/await_httpd.h"
#include "delegation/proxy/failover_httpd.h"
#include "delegation/proxy/first_run_httpd.h"
#include "delegation/proxy/front_end.h"
#include "delegation/proxy/long_polls_httpd.h"
#include "delegation/proxy/mod_proxy_httpd.h"
#include "delegation/proxy/outgoing_httpd.h"
#include "delegation/proxy/placeholder_httpd.h"
#include "delegation/proxy/prepare_httpd.h"

#include <apr_optional_hooks.h>

/* A worker gets a request twice at most: the second time with a newer ticket. */
#define TRIES 2

/* The time between two looks at a client that waits for a connection to the backend. */
#define SLICE apr_time_from_sec(1)

/* Of this thread.  A subrequest may be proxied while its main request is. */
static _Thread_local struct eas_attempt *current;

static void strip_request(const struct eas_attempt *attempt, apr_table_t *headers)
{
    /* Browsers send the module's cookies to every path of the site, and no backend needs them. */
    eas_cookie_strip_request(attempt->exchange.run, headers);
    if (attempt->response.in_effect) {
        /* Here and in fixups: schemes such as AJP do not run fixups. */
        apr_table_unset(headers, "Authorization");
        apr_table_unset(headers, "Proxy-Authorization");
    }
    /* A section that lets credentials pass can want it, too: no module verifies them (Bearer). */
    if (eas_delegation_is_on(attempt->conf) || attempt->conf->strip_headers != NULL) {
        eas_front_end_strip(attempt->exchange.run->pool, headers, attempt->conf->strip_headers);
    }
    if (attempt->ticket != NULL) {
        apr_table_unset(headers, "Upgrade"); /* no filter sees the requests in a tunnel */
    }
}

static void set_environment(const struct eas_attempt *attempt)
{
    request_rec *run = attempt->exchange.run;
    apr_table_t *env = run->subprocess_env;

    if (!eas_delegation_reuses(attempt->conf)) {
        apr_table_setn(env, "proxy-nokeepalive", "1");
    }
    /* mod_proxy_http would pass on an interim response before the decision on the response. */
    apr_table_setn(env, "proxy-interim-response", "Suppress");
    /* Of a worker before, with ping=.  mod_proxy_http sets it anew for this one, if it has that. */
    apr_table_unset(run->notes, "proxy-100-continue");
    if (attempt->exchange.parked) {
        /* By this mod_proxy_http closes a kept connection: the one with the answer. */
        apr_table_unset(env, "proxy-initial-not-pooled");
    }
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
        if (slot != NULL) {
            return slot;
        }
        left = until - eas_clock_now();
        if (left <= 0) {
            return NULL;
        }
        event = eas_client_look(attempt->r, exchange->poll);
        if (event != EAS_CLIENT_TIMEUP) {
            eas_await_abort(exchange, event);
            return NULL;
        }
    }
}

/*
 * An exchange without an owner uses the worker's own connection pool.  A nested one does so rather
 * than wait, because the outer one may hold the last slot.
 */
static bool take_slot(struct eas_attempt *attempt, bool nested, proxy_worker **worker)
{
    if (attempt->owner == NULL) {
        return true;
    }
    if (attempt->slot != NULL) {
        *worker = attempt->slot->handle; /* since before it parked */
        eas_conn_pools_resume(attempt->slot);
        return true;
    }
    attempt->slot = nested ? eas_conn_pools_take(attempt->response.pools, attempt->owner, 0,
                                                 attempt->fresh, worker)
                           : await_slot(attempt, worker);
    if (attempt->slot == NULL && !nested && !attempt->exchange.ended) {
        eas_fail(&attempt->exchange.failure, EAS_UNAVAILABLE, 2073,
                 "all connections to %s that its max= permits are busy; raise that, or shorten the "
                 "backend's responses",
                 attempt->call.worker->s->name_ex);
    }
    return attempt->slot != NULL || nested;
}

static int run_on_slot(struct eas_attempt *attempt, bool nested)
{
    const struct eas_scheme_call *call = &attempt->call;
    proxy_worker *worker = call->worker;

    if (!take_slot(attempt, nested, &worker)) {
        return HTTP_SERVICE_UNAVAILABLE;
    }
    return eas_mod_proxy_run_scheme_handler(attempt->exchange.run, worker, call->conf, call->url,
                                            call->proxyhost, call->proxyport);
}

static void put_slot(struct eas_attempt *attempt)
{
    if (attempt->slot != NULL) {
        eas_conn_pools_put(attempt->response.pools, attempt->slot, attempt->exchange.released);
        attempt->slot = NULL;
    }
}

/*
 * mod_proxy has closed the connection on which the response would come: while the exchange parked,
 * or before a read after that, as it does where it has marked the worker as broken.
 */
static void check_parking(struct eas_attempt *attempt, int status)
{
    struct eas_exchange *exchange = &attempt->exchange;
    bool lost = exchange->parked && !eas_mod_proxy_slot_is_open(attempt->slot->handle);

    if (lost) {
        exchange->parked = false;
        eas_park_cancel(attempt->r);
    }
    if ((lost || (exchange->replayed && status != OK)) && exchange->failure.rc == EAS_OK) {
        eas_outgoing_fail_parked(&exchange->failure);
    }
}

/* After an exchange that has parked: the lease of its slot goes on. */
static void keep_slot(struct eas_attempt *attempt, bool by_copy)
{
    if (!by_copy) {
        eas_response_discard(attempt->r, &attempt->response);
    }
    if (!attempt->exchange.postponed) {
        eas_conn_pools_set_aside(attempt->response.pools, attempt->slot);
    }
}

/* mod_proxy_http gets the request, or a copy, which it can only send. */
static void begin_run(struct eas_attempt *attempt, bool by_copy)
{
    request_rec *r = attempt->r;
    request_rec *run = by_copy ? eas_first_run_begin(r) : r;

    attempt->exchange.run = run;
    run->headers_in = apr_table_copy(run->pool, r->headers_in);
    strip_request(attempt, run->headers_in);
    if (attempt->ticket != NULL) {
        set_environment(attempt);
        eas_body_hand_over(run, attempt->body);
    }
}

static void end_run(struct eas_attempt *attempt, apr_table_t *client_headers)
{
    struct eas_exchange *exchange = &attempt->exchange;
    request_rec *run = exchange->run;

    exchange->run = attempt->r;
    attempt->r->headers_in = client_headers;
    if (run != attempt->r) {
        attempt->response.filter = NULL; /* in the copy's chain */
        eas_first_run_end(attempt->r, run,
                          !exchange->parked && !exchange->ended && !exchange->given_up);
    }
}

/* Step 2. */
static int run_real_handler(struct eas_attempt *attempt, bool by_copy)
{
    request_rec *r = attempt->r;
    struct eas_attempt *outer = current;
    apr_table_t *client_headers = r->headers_in;
    struct eas_exchange *interrupted;
    int status;

    begin_run(attempt, by_copy);
    attempt->exchange.ticket = attempt->ticket;
    eas_response_expect(r, &attempt->response);
    interrupted = eas_outgoing_begin(&attempt->exchange);
    current = attempt;
    status = run_on_slot(attempt, outer != NULL);
    current = outer;
    end_run(attempt, client_headers);
    eas_response_end(r, &attempt->response, status);
    if (attempt->body != NULL && attempt->exchange.body_sent) {
        eas_body_note_sent(attempt->body);
    }
    check_parking(attempt, status);
    eas_outgoing_end(&attempt->exchange, interrupted);
    if (attempt->exchange.parked) {
        keep_slot(attempt, by_copy);
    }
    else {
        put_slot(attempt);
    }
    return status;
}

/* The response of a request that may park is read by a second run. */
static int run_exchange(struct eas_attempt *attempt)
{
    const struct eas_exchange *exchange = &attempt->exchange;
    bool by_copy = exchange->park != NULL && !exchange->parked && attempt->park.facts.body_whole
                   && attempt->park.facts.kept && !attempt->call.worker->s->ping_timeout_set
                   && eas_delegation_reuses(attempt->conf) && eas_first_run_fits(attempt->r);
    int status = run_real_handler(attempt, by_copy);

    if ((exchange->parked && exchange->postponed) || exchange->given_up) {
        status = run_real_handler(attempt, false);
    }
    return status;
}

/* Step 3. */
static int hook_proxy_fixups(request_rec *r)
{
    struct eas_attempt *attempt = current;

    if (attempt == NULL || attempt->exchange.run != r) {
        return DECLINED;
    }
    attempt->exchange.resolved = true;
    if (!attempt->response.in_effect) {
        return DECLINED;
    }
    apr_table_unset(r->headers_in, "Authorization");
    apr_table_unset(r->headers_in, "Proxy-Authorization");
    if (attempt->ticket != NULL) {
        apr_table_setn(r->headers_in, "Authorization", eas_placeholder());
    }
    return OK;
}

/* After a 401 to the token: whether to send the request again.  If not, *err is the reason. */
static bool try_other_ticket(struct eas_attempt *attempt, struct eas_err *err)
{
    /* In any case, for the next request. */
    enum eas_rc rc = eas_prepare_ticket(attempt, err);

    if (rc == EAS_OK && attempt->tries < TRIES && eas_body_is_whole(attempt->body)) {
        eas_log_line(attempt->r, APLOG_INFO,
                     "EAS2056: the backend does not accept the ticket; trying a new one (user %s, "
                     "service %s)",
                     attempt->request.identity->principal, attempt->request.spn);
        return true;
    }
    if (rc == EAS_OK || rc == EAS_BACKEND) {
        eas_answer_fail_refused(attempt, rc != EAS_OK, err);
    }
    return false;
}

/*
 * The backend closed a kept-alive connection, perhaps before it got the request.  Without its body,
 * which awaits 100 (Continue), it has none of any method.
 */
static bool may_repeat(const struct eas_attempt *attempt)
{
    return attempt->exchange.pooled && attempt->tries < TRIES
           && (!attempt->exchange.body_sent
               || (attempt->r->method_number == M_GET && eas_body_is_whole(attempt->body)));
}

/* Steps 2 to 4.  SUSPENDED: the exchange has parked, and resume() continues it. */
static int try_worker(struct eas_attempt *attempt)
{
    const struct eas_response *response = &attempt->response;
    request_rec *r = attempt->r;
    struct eas_err err;
    int status;

    for (;;) {
        attempt->tries += !attempt->exchange.parked;
        status = run_exchange(attempt);
        if (attempt->exchange.parked) {
            return SUSPENDED;
        }
        if (attempt->ticket == NULL) {
            break;
        }
        if (response->state == EAS_RESPONSE_WITHHELD
            && response->verdict == EAS_VERDICT_UNAUTHORIZED) {
            eas_response_discard(r, response);
            if (!try_other_ticket(attempt, &err)) {
                return eas_answer_refuse(attempt, &err);
            }
        }
        else if ((response->state == EAS_RESPONSE_BROKEN
                  || eas_response_lacks_continue(response, status))
                 && may_repeat(attempt)) {
            eas_response_discard(r, response);
            attempt->fresh = true; /* it closes all idle ones when it needs their threads */
        }
        else {
            break;
        }
    }
    return eas_answer_conclude(attempt, status);
}

/* Steps 2 to 5.  A long poll holds its place until it ends. */
static int try_worker_in_place(struct eas_attempt *attempt)
{
    int status = try_worker(attempt);

    if (status != SUSPENDED && attempt->exchange.poll != NULL) {
        eas_long_polls_end(attempt->exchange.poll);
    }
    return status == OK ? OK : eas_answer_hide(attempt, status);
}

/* An exchange that has parked ends without a response; so does the connection. */
static void drop_exchange(struct eas_attempt *attempt)
{
    eas_outgoing_drop(&attempt->exchange);
    put_slot(attempt);
    if (attempt->exchange.poll != NULL) {
        eas_long_polls_end(attempt->exchange.poll);
    }
}

/* Steps 2 to 5 of a request that has parked; without another run of mod_proxy_http, if for nothing. */
static int resume(void *data, enum eas_client_event event)
{
    struct eas_attempt *attempt = data;
    int status;

    if (event == EAS_CLIENT_READ) {
        status = try_worker_in_place(attempt);
    }
    else {
        attempt->exchange.parked = false;
        drop_exchange(attempt);
        if (event == EAS_CLIENT_NO_BACKEND) {
            attempt->response.state = EAS_RESPONSE_BROKEN;
        }
        else {
            eas_await_abort(&attempt->exchange, event);
        }
        status = eas_answer_conclude(attempt, DONE);
    }
    return eas_answer_status(attempt->r, status);
}

/* The pool of a request that has parked ends. */
static void drop(void *data)
{
    struct eas_attempt *attempt = data;

    drop_exchange(attempt);
}

/* A request that the backend may keep waiting can park. */
static void offer_parking(struct eas_attempt *attempt, bool nested)
{
    attempt->park.data = attempt;
    attempt->park.resume = resume;
    attempt->park.drop = drop;
    attempt->park.facts.body_whole = attempt->body != NULL && eas_body_is_whole(attempt->body);
    /* httpd 2.4.63 closes connections through ProxyRemote after each response. */
    attempt->park.facts.kept =
        eas_mod_proxy_keeps(attempt->call.worker) && attempt->call.proxyhost == NULL;
    if (attempt->owner != NULL && !nested && eas_request_waiting_device(attempt->r) != NULL
        && eas_delegation_parks(attempt->conf, eas_park_is_possible())) {
        attempt->exchange.park = &attempt->park;
    }
}

/* Steps 2 to 5 of a request with a ticket, or without one. */
static int run_attempt(struct eas_attempt *attempt)
{
    struct eas_long_poll *poll = NULL;
    struct eas_err err;

    eas_prepare_exchange(attempt);
    if (attempt->ticket != NULL) {
        if (eas_long_polls_admit(attempt->r, attempt->request.identity->principal, &poll, &err)
            != EAS_OK) {
            return eas_answer_refuse(attempt, &err);
        }
        attempt->exchange.poll = poll;
        offer_parking(attempt, current != NULL);
    }
    return try_worker_in_place(attempt);
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

    if (current != NULL && current->exchange.run == r) {
        return DECLINED; /* step 2 */
    }
    eas_log_forget_refusal(r);
    eas_failover_begin(r);
    eas_answer_forget(r); /* a failure at the worker before is not the answer */
    status = r->user == NULL && eas_authn_in_effect(r) ? eas_request_refused_before(r) : 0;
    if (status != 0) {
        return eas_answer(r, status); /* an error page from a backend is refused, too */
    }
    status = eas_path_check_url(r, url);
    if (status != OK) {
        return eas_answer(r, status);
    }
    attempt = apr_palloc(r->pool, sizeof(*attempt));
    if (eas_prepare_attempt(attempt, r, &call, &err) != EAS_OK) {
        status = eas_answer_refuse(attempt, &err);
        return err.rc == EAS_NO_SERVICE && eas_failover_to_next(r, conf, worker)
                   ? HTTP_SERVICE_UNAVAILABLE
                   : status;
    }
    status = eas_prepare_check(attempt);
    if (status != OK) {
        return eas_answer(r, status);
    }
    if (attempt->ticket != NULL) {
        status = eas_prepare_body(attempt);
        if (status != OK) {
            return eas_answer(r, status);
        }
        if (eas_body_is_exhausted(attempt->body)) {
            eas_fail(&err, EAS_UNAVAILABLE, 2059,
                     "the request cannot be sent to another worker: its body is longer than "
                     "EasKcdRetryBody, and was sent to the one before");
            return eas_answer_refuse(attempt, &err);
        }
    }
    return run_attempt(attempt);
}

void eas_delegate_pre_config(apr_pool_t *pconf)
{
    eas_mod_proxy_find(pconf, hook_scheme_handler, eas_failover_pre_request);
}

void eas_delegate_register_hooks(apr_pool_t *pool)
{
    /* Optional hooks work without mod_proxy.  mod_proxy ignores the result of fixups. */
    APR_OPTIONAL_HOOK(proxy, fixups, hook_proxy_fixups, NULL, NULL, APR_HOOK_REALLY_LAST);
    eas_answer_register_hooks(pool);
    eas_response_register_hooks(pool);
}
