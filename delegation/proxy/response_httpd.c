/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/response_httpd.c - a backend's response: whether it is believed, and what of it passes */

#include "delegation/proxy/response_httpd.h"
#include "auth/request_httpd.h"
#include "auth/login/cookie_httpd.h"

#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

/* mod_proxy_http's note that it has thrown a response away, of which httpd shall make an error page. */
#define OVERRIDE_NOTE "proxy-error-override"

/* Its note that the backend was too slow. */
#define TIMED_OUT_NOTE "proxy_timedout"

static ap_filter_rec_t *response_filter_handle;

/* For apr_table_do(): one value of WWW-Authenticate. */
struct search {
    request_rec *r;
    struct eas_response *response;
    enum eas_verdict_reply reply;
};

static int check_value(void *data, const char *name, const char *value)
{
    struct search *search = data;
    struct eas_exchange *exchange = search->response->exchange;

    (void)name;
    if (strncasecmp(value, "Negotiate ", 10) != 0 || value[10 + strspn(value + 10, " ")] == '\0') {
        return 1; /* another scheme, or the bare offer of this one */
    }
    search->reply = EAS_REPLY_WRONG;
    if (exchange->pending != NULL
        && eas_kcd_verify(exchange->account, search->r->pool, exchange->pending, value,
                          &search->response->err)
               == EAS_OK) {
        search->reply = EAS_REPLY_RIGHT;
        return 0;
    }
    return 1;
}

/* The AP-REP among the backend's WWW-Authenticate headers, of which there may be several. */
static enum eas_verdict_reply check_reply(request_rec *r, struct eas_response *response)
{
    struct search search = { r, response, EAS_REPLY_ABSENT };

    apr_table_do(check_value, &search, r->headers_out, "WWW-Authenticate", NULL);
    if (search.reply == EAS_REPLY_RIGHT && response->exchange->connection != NULL) {
        eas_connection_set_authenticated(response->exchange->connection);
    }
    return search.reply;
}

/* What must not be relied on, and what the administrator may want to know. */
static void report_persistence(request_rec *r, struct eas_response *response)
{
    const char *value = apr_table_get(r->headers_out, "Persistent-Auth"), *backend;

    if (value != NULL && strcasecmp(value, "true") == 0) {
        backend = eas_conn_pools_report(response->pools);
        if (backend != NULL) {
            ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r,
                          "EAS2054: %s authenticates connections (Persistent-Auth: true); each of "
                          "them is used for one user only",
                          backend);
        }
    }
}

static void judge(request_rec *r, struct eas_response *response, int status)
{
    const struct eas_exchange *exchange = response->exchange;
    struct eas_verdict_facts facts = {
        status, exchange->ticket != NULL, response->concerned, EAS_REPLY_ABSENT,
        false,  response->required
    };

    if (facts.token) {
        facts.reply = check_reply(r, response);
        facts.proved_before =
            exchange->connection != NULL && eas_connection_is_authenticated(exchange->connection);
        report_persistence(r, response);
    }
    response->status = status;
    response->retry_after = apr_table_get(r->headers_out, "Retry-After");
    response->verdict = eas_verdict_on(&facts);
    response->state =
        response->verdict == EAS_VERDICT_PASS ? EAS_RESPONSE_PASSED : EAS_RESPONSE_WITHHELD;
    if (response->verdict == EAS_VERDICT_REFUSE && facts.reply == EAS_REPLY_ABSENT) {
        eas_fail(&response->err, EAS_BACKEND, 2052,
                 "mutual authentication failed: the backend has not proved itself in its response "
                 "(EasKcdMutualAuth optional, where it cannot)");
    }
}

/* Of a backend that authenticates connections, nothing of which is the client's business. */
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

/* What is not for the client of a response that passes. */
static void strip_response(request_rec *r, const struct eas_response *response)
{
    eas_cookie_strip_response(r, r->headers_out);
    if (response->guarded) {
        /* err_headers_out: what mod_proxy copies there. */
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

/* The first brigade: nothing has been sent to the client yet. */
static void begin(request_rec *r, struct eas_response *response, const apr_bucket_brigade *bb)
{
    /* How mod_proxy_http has httpd drop the client's connection, lest it answer for the backend. */
    if (response->exchange->ticket != NULL && has_bucket(bb, &ap_bucket_type_eoc)) {
        response->state = EAS_RESPONSE_BROKEN;
        return;
    }
    judge(r, response, r->status);
    if (response->state == EAS_RESPONSE_PASSED) {
        strip_response(r, response);
    }
}

/* The connection is good for another exchange if this one's response was read to its end. */
static void settle(struct eas_response *response)
{
    if (response->verdict == EAS_VERDICT_PASS || response->verdict == EAS_VERDICT_STATUS_ONLY) {
        eas_outgoing_release(response->exchange);
    }
}

static apr_status_t response_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    struct eas_response *response = f->ctx;
    bool at_end = !APR_BRIGADE_EMPTY(bb) && APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb));

    if (response->state == EAS_RESPONSE_NONE) {
        begin(f->r, response, bb);
    }
    if (at_end && response->state != EAS_RESPONSE_BROKEN
        && !has_bucket(bb, &ap_bucket_type_error)) {
        settle(response);
    }
    if (response->state != EAS_RESPONSE_PASSED) {
        apr_brigade_cleanup(bb);
        /* What is refused need not be read. */
        return response->state == EAS_RESPONSE_WITHHELD && response->verdict == EAS_VERDICT_REFUSE
                   ? APR_ECONNABORTED
                   : APR_SUCCESS;
    }
    if (at_end) {
        response->filter = NULL;
        ap_remove_output_filter(f);
    }
    return ap_pass_brigade(f->next, bb);
}

void eas_response_expect(request_rec *r, struct eas_response *response)
{
    response->state = EAS_RESPONSE_NONE;
    response->err.rc = EAS_OK;
    response->before.status = r->status;
    response->before.headers_out = apr_table_copy(r->pool, r->headers_out);
    response->before.err_headers_out = apr_table_copy(r->pool, r->err_headers_out);
    response->filter =
        ap_add_output_filter_handle(response_filter_handle, response, r, r->connection);
}

/*
 * Nothing was heard, and the client's connection is too new for mod_proxy_http's way with that, which
 * begin() sees: it makes a 502 of it, as of a handshake that failed and of an answer that came too late;
 * and of a body that could not be written, where an answer may have come that it did not look for.
 */
static bool hung_up(request_rec *r, const struct eas_exchange *exchange, int returned)
{
    return returned == HTTP_BAD_GATEWAY && exchange->ticket != NULL && exchange->connection != NULL
           && exchange->failure.rc == EAS_OK && !exchange->heard
           && !(exchange->unsent && ap_request_has_body(r))
           && apr_table_get(r->notes, TIMED_OUT_NOTE) == NULL;
}

void eas_response_end(request_rec *r, struct eas_response *response, int returned)
{
    if (response->filter != NULL) {
        ap_remove_output_filter(response->filter); /* nothing came, or not to its end */
        response->filter = NULL;
    }
    if (response->state == EAS_RESPONSE_NONE
        && (apr_table_get(r->notes, OVERRIDE_NOTE) != NULL || returned == HTTP_UNAUTHORIZED)) {
        judge(r, response, returned); /* ProxyErrorOverride has kept it from the filter */
        settle(response);
        if (response->state == EAS_RESPONSE_PASSED) {
            strip_response(r, response);
        }
    }
    if (response->state == EAS_RESPONSE_NONE && hung_up(r, response->exchange, returned)) {
        response->state = EAS_RESPONSE_BROKEN;
    }
    /* What nobody owns is mod_proxy's to judge, which closes what it does not like. */
    if (response->exchange->owner == NULL) {
        eas_outgoing_release(response->exchange);
    }
}

void eas_response_forget(request_rec *r, const struct eas_response *response)
{
    static const char *const notes[] = { OVERRIDE_NOTE, "proxy-status", "proxy-100-continue",
                                         "error-notes", "verbose-error-to" };
    apr_size_t i;

    r->status =
        response->before.status; /* not 200 on an error page: ap_die() would start another */
    r->status_line = NULL;
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
    /* Next to the handler: before a filter of anybody else has seen the response. */
    response_filter_handle =
        ap_register_output_filter("EAS_KCD_RESPONSE", response_filter, NULL, AP_FTYPE_RESOURCE - 5);
}
