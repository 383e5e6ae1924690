/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/response_httpd.c - filter on a backend's response */

#include "delegation/proxy/response_httpd.h"
#include "auth/login/cookie_httpd.h"
#include "auth/request_httpd.h"
#include "auth/kerberos/spnego.h"
#include "delegation/proxy/tls_session_httpd.h"

#include <http_connection.h>
#include <http_protocol.h>
#include <util_filter.h>

/* mod_proxy_http's note: it discarded the response, and httpd makes an error page. */
#define OVERRIDE_NOTE "proxy-error-override"

/* Octets of a withheld response's body that are read; error pages are shorter. */
#define DISCARDED_MAX 65536

/* mod_proxy's note of a time-out. */
#define TIMED_OUT_NOTE "proxy_timedout"

static ap_filter_rec_t *response_filter_handle;

/* For check_line(). */
struct search {
    request_rec *r;
    struct eas_response *response;
    enum eas_verdict_reply reply;
};

/* One line, in which challenges of other schemes may stand, too. */
static int check_line(void *data, const char *name, const char *value)
{
    struct search *search = data;
    struct eas_exchange *exchange = search->response->exchange;
    const char *challenge;

    (void)name;
    while ((challenge = eas_spnego_next_challenge(search->r->pool, &value)) != NULL) {
        if (!eas_token_is_reply(search->r->pool, challenge)) {
            search->response->bare = true;
            continue;
        }
        search->reply = EAS_REPLY_WRONG;
        if (exchange->pending != NULL
            && eas_token_verify(search->r->pool, exchange->pending, challenge,
                                &search->response->err)
                   == EAS_OK) {
            search->reply = EAS_REPLY_RIGHT;
            return 0;
        }
    }
    return 1;
}

/* The backend authenticates the connection (MS-N2HT 2.2). */
static bool is_persistent(request_rec *r)
{
    return apr_table_get(r->headers_out, "Persistent-Auth") != NULL /* faster, and few send it */
           && ap_find_token(r->pool, apr_table_getm(r->pool, r->headers_out, "Persistent-Auth"),
                            "true");
}

/* There may be several WWW-Authenticate headers. */
static enum eas_verdict_reply check_reply(request_rec *r, struct eas_response *response)
{
    struct search search = { .r = r, .response = response, .reply = EAS_REPLY_ABSENT };

    apr_table_do(check_line, &search, r->headers_out, "WWW-Authenticate", NULL);
    if (search.reply == EAS_REPLY_RIGHT && response->exchange->connection != NULL
        && is_persistent(r)) {
        eas_connection_set_authenticated(response->exchange->connection);
    }
    return search.reply;
}

static void log_persistence(request_rec *r, struct eas_response *response)
{
    const char *backend = is_persistent(r) ? eas_conn_pools_report(response->pools) : NULL;

    if (backend != NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r,
                      "EAS2054: %s authenticates connections (Persistent-Auth: true); each of "
                      "them is used for one user only",
                      backend);
    }
}

/* For the answer instead of a response that does not pass. */
static void keep_reasons(const request_rec *r, struct eas_response *response)
{
    response->retry_after = apr_table_get(r->headers_out, "Retry-After");
    response->location = apr_table_get(r->headers_out, "Location");
    response->offer = eas_offer_of(response->status, r->headers_out);
}

static void decide(request_rec *r, struct eas_response *response, int status)
{
    const struct eas_exchange *exchange = response->exchange;
    struct eas_verdict_facts facts = { .status = status,
                                       .token = exchange->ticket != NULL,
                                       .hides_401 = response->hides_401,
                                       .reply = EAS_REPLY_ABSENT,
                                       .mutual_required = response->mutual_required };

    if (facts.token) {
        facts.reply = check_reply(r, response);
        facts.connection_authenticated =
            exchange->connection != NULL && eas_connection_is_authenticated(exchange->connection);
        log_persistence(r, response);
        response->long_head = facts.reply == EAS_REPLY_ABSENT
                              && eas_verdict_finds_head_long(status, exchange->token_len);
    }
    response->status = status;
    response->verdict = eas_verdict_on(&facts);
    response->state = EAS_RESPONSE_PASSED;
    if (response->verdict != EAS_VERDICT_PASS) {
        response->state = EAS_RESPONSE_WITHHELD;
        keep_reasons(r, response);
    }
}

/* Headers by which a backend authenticates a connection, which is not the client's. */
static void strip_headers(apr_table_t *headers)
{
    apr_table_unset(headers, "WWW-Authenticate");
    apr_table_unset(headers, "Persistent-Auth");
    apr_table_unset(headers, "Proxy-Support");
}

static int add_line(void *headers, const char *name, const char *value)
{
    apr_table_addn(headers, name, value);
    return 1;
}

/*
 * Lines from before the exchange are not the backend's: mod_auth_gssapi's reply to the client, or
 * the challenges of other modules.
 */
static void keep_own(apr_table_t *headers, const apr_table_t *before)
{
    apr_table_do(add_line, headers, before, "WWW-Authenticate", NULL);
}

static void strip_response(request_rec *r, const struct eas_response *response)
{
    eas_cookie_strip_response(r, r->headers_out);
    if (response->in_effect) {
        /* mod_proxy copies some headers to err_headers_out. */
        strip_headers(r->headers_out);
        strip_headers(r->err_headers_out);
        keep_own(r->err_headers_out, response->before.err_headers_out);
    }
}

static bool has_bucket(const apr_bucket_brigade *bb, const apr_bucket_type_t *type)
{
    const apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        if (b->type == type) {
            return true;
        }
    }
    return false;
}

/* At the first brigade: nothing has been sent to the client. */
static void begin(request_rec *r, struct eas_response *response, const apr_bucket_brigade *bb)
{
    if (response->exchange->ended || response->exchange->parked) {
        response->state = EAS_RESPONSE_UNWANTED;
        return;
    }
    /* mod_proxy_http drops the client's connection by this bucket if the backend closed its own. */
    if (response->exchange->run != response->exchange->r
        || (response->exchange->ticket != NULL && has_bucket(bb, &ap_bucket_type_eoc))) {
        response->state = EAS_RESPONSE_BROKEN;
        return;
    }
    decide(r, response, r->status);
    if (response->state == EAS_RESPONSE_PASSED) {
        strip_response(r, response);
    }
}

/* Neither the token nor the backend's reply to it is refused. */
static bool is_accepted(const struct eas_response *response)
{
    return response->verdict == EAS_VERDICT_PASS || response->verdict == EAS_VERDICT_STATUS_ONLY
           || response->verdict == EAS_VERDICT_FORBIDDEN;
}

/* The response was read to its end. */
static void release(struct eas_response *response)
{
    if (is_accepted(response)) {
        eas_outgoing_release(response->exchange);
    }
}

/*
 * The body of a response that does not pass is read so far, because its connection may be used
 * again then.  The rest costs more than a new connection, or has no end.
 */
static bool is_read_on(struct eas_response *response, apr_bucket_brigade *bb)
{
    apr_off_t len = 0;

    if (response->state != EAS_RESPONSE_WITHHELD) {
        return response->state == EAS_RESPONSE_BROKEN;
    }
    apr_brigade_length(bb, 0, &len);
    response->discarded += len;
    return response->verdict != EAS_VERDICT_REFUSE && response->discarded <= DISCARDED_MAX;
}

static apr_status_t response_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    struct eas_response *response = f->ctx;
    bool at_end = !APR_BRIGADE_EMPTY(bb) && APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb));

    if (response->state == EAS_RESPONSE_NONE) {
        begin(f->r, response, bb);
    }
    if (at_end
        && (response->state == EAS_RESPONSE_PASSED || response->state == EAS_RESPONSE_WITHHELD)
        && !has_bucket(bb, &ap_bucket_type_error)) {
        release(response);
    }
    if (response->state != EAS_RESPONSE_PASSED) {
        bool read_on = at_end || is_read_on(response, bb);

        apr_brigade_cleanup(bb);
        return read_on ? APR_SUCCESS : APR_ECONNABORTED;
    }
    if (at_end) {
        response->filter = NULL;
        ap_remove_output_filter(f);
    }
    return ap_pass_brigade(f->next, bb);
}

void eas_response_expect(request_rec *r, struct eas_response *response)
{
    request_rec *run = response->exchange->run;

    response->state = EAS_RESPONSE_NONE;
    response->err.rc = EAS_OK;
    response->bare = response->long_head = false;
    response->discarded = 0;
    response->before.status = r->status;
    response->before.status_line = r->status_line;
    /* A copy has its own. */
    response->before.headers_out =
        run == r ? apr_table_copy(r->pool, r->headers_out) : r->headers_out;
    response->before.err_headers_out =
        run == r ? apr_table_copy(r->pool, r->err_headers_out) : r->err_headers_out;
    response->filter =
        ap_add_output_filter_handle(response_filter_handle, response, run, run->connection);
}

/*
 * The backend closed the connection without a byte, and mod_proxy_http returned 502.  On kept-alive
 * client connections it sends an EOC bucket instead, see begin().  It returns 502 also after a
 * failed TLS handshake, after a time-out, and after an unsent body, where it reads no response.
 */
static bool closed_without_response(request_rec *r, const struct eas_exchange *exchange,
                                    int returned)
{
    return returned == HTTP_BAD_GATEWAY && exchange->ticket != NULL && exchange->connection != NULL
           && exchange->failure.rc == EAS_OK && !exchange->got_response
           && !(exchange->send_incomplete && ap_request_has_body(r))
           && apr_table_get(r->notes, TIMED_OUT_NOTE) == NULL;
}

bool eas_response_is_impossible(request_rec *r, const struct eas_exchange *exchange,
                                const char *backend, struct eas_err *err)
{
    if (exchange->tls_failure.rc != EAS_OK) {
        *err = exchange->tls_failure;
    }
    else if (!exchange->resolved) {
        eas_fail(
            err, EAS_UNAVAILABLE, 2087,
            "the name servers have no address of the backend %s; correct its name in ProxyPass "
            "or BalancerMember, or /etc/resolv.conf",
            backend);
    }
    else {
        return false;
    }
    apr_table_unset(r->notes, "error-notes");
    apr_table_unset(r->notes, "verbose-error-to");
    return true;
}

bool eas_response_lacks_continue(const struct eas_response *response, int returned)
{
    const struct eas_exchange *exchange = response->exchange;

    return returned == HTTP_SERVICE_UNAVAILABLE && response->state == EAS_RESPONSE_NONE
           && exchange->written && !exchange->body_sent && !exchange->ended
           && exchange->failure.rc == EAS_OK;
}

bool eas_response_is_overridden(const request_rec *r)
{
    return apr_table_get(r->notes, OVERRIDE_NOTE) != NULL;
}

/* A kept connection that the backend has closed meanwhile is no failure. */
static void note_tls_session(const struct eas_response *response)
{
    const struct eas_exchange *exchange = response->exchange;
    bool decided =
        response->state == EAS_RESPONSE_PASSED || response->state == EAS_RESPONSE_WITHHELD;

    if (exchange->ticket == NULL || exchange->parked || exchange->ended || exchange->given_up) {
        return;
    }
    if (decided && is_accepted(response)) {
        eas_tls_session_succeed(exchange);
    }
    else if (decided
             || (exchange->resolved && !exchange->pooled && exchange->failure.rc == EAS_OK)) {
        eas_tls_session_fail(exchange, decided || exchange->tls_failure.rc != EAS_OK);
    }
}

void eas_response_end(request_rec *r, struct eas_response *response, int returned)
{
    if (response->filter != NULL) {
        ap_remove_output_filter(response->filter); /* the response did not come to its end */
        response->filter = NULL;
    }
    if (response->state == EAS_RESPONSE_NONE
        && (eas_response_is_overridden(r) || returned == HTTP_UNAUTHORIZED)) {
        decide(r, response, returned); /* with ProxyErrorOverride the filter got nothing */
        release(response);
        if (response->state == EAS_RESPONSE_PASSED) {
            strip_response(r, response);
        }
    }
    if (response->state == EAS_RESPONSE_NONE
        && closed_without_response(r, response->exchange, returned)) {
        response->state = EAS_RESPONSE_BROKEN;
    }
    note_tls_session(response);
    /*
     * By this note of an error mod_proxy_balancer marks the member (failontimeout=), for one user's
     * request.
     */
    if (returned != OK && response->in_effect && response->exchange->written) {
        apr_table_unset(r->notes, TIMED_OUT_NOTE);
    }
    /* Without an owner, mod_proxy alone decides on the reuse of the connection. */
    if (response->exchange->owner == NULL) {
        eas_outgoing_release(response->exchange);
    }
}

void eas_response_discard(request_rec *r, const struct eas_response *response)
{
    static const char *const notes[] = { OVERRIDE_NOTE, "proxy-status", "proxy-100-continue",
                                         "error-notes", "verbose-error-to" };
    apr_size_t i;

    /* On an error page, ap_die() would begin another one with 200. */
    r->status = response->before.status;
    r->status_line = response->before.status_line;
    r->headers_out = response->before.headers_out;
    r->err_headers_out = response->before.err_headers_out;
    r->content_type = NULL;
    r->content_encoding = NULL;
    r->content_languages = NULL;
    r->clength = 0;
    r->bytes_sent = 0;
    r->sent_bodyct = 0;
    r->eos_sent = 0;
    apr_table_clear(r->trailers_out);
    for (i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
        apr_table_unset(r->notes, notes[i]);
    }
}

void eas_response_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    /* Next to the handler, before the filters of other modules. */
    response_filter_handle =
        ap_register_output_filter("EAS_KCD_RESPONSE", response_filter, NULL, AP_FTYPE_RESOURCE - 5);
}
