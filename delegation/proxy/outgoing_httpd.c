/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/outgoing_httpd.c - filter on every outgoing connection: owners, and tokens */

#include "delegation/proxy/outgoing_httpd.h"
#include "auth/base/clock.h"
#include "auth/request_httpd.h"
#include "delegation/proxy/await_httpd.h"
#include "delegation/proxy/client_record_httpd.h"
#include "delegation/proxy/coalesce.h"
#include "delegation/proxy/end_point.h"
#include "delegation/proxy/peer_certificate_httpd.h"
#include "delegation/proxy/placeholder_httpd.h"
#include "delegation/proxy/tls_session_httpd.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_ssl.h>
#include <mod_ssl_openssl.h>
#include <stdatomic.h>
#include <util_filter.h>

#define OUTGOING_FILTER "EAS_KCD_GUARD"

/* The module's record of a connection to a backend; in the connection's pool. */
struct record {
    struct eas_connection *connection; /* NULL before its first exchange */
    bool tls_done;                     /* the TLS handshake is over, or there is none */
    bool tls;
    bool unowned;  /* it carried data outside of any exchange */
    bool answered; /* the backend has sent something */
    bool filled;   /* a read below the filter may have left data that poll() does not see */
    apr_uint64_t authorized; /* the last exchange whose token it carries */
    apr_uint64_t written_by; /* the last exchange that has written to it */
    unsigned char binding[EAS_END_POINT_MAX];
    apr_size_t binding_len; /* 0: no TLS */
};

static _Thread_local struct eas_exchange *current;

/* A variant of the module, built for tests alone, has no veto: they test the check at the write. */
#ifdef EAS_TEST_NO_VETO
static const bool veto = false;
#else
static const bool veto = true;
#endif

bool eas_outgoing_is_for_user(void)
{
    return current != NULL && current->ticket != NULL;
}

struct eas_exchange *eas_outgoing_begin(struct eas_exchange *exchange)
{
    static _Atomic apr_uint64_t last_serial;
    struct eas_exchange *interrupted = current;

    current = exchange;
    exchange->postponed = exchange->given_up = false;
    exchange->lines = 0;
    if (exchange->parked) {
        exchange->parked = false;
        exchange->replayed = true;
        return interrupted;
    }
    exchange->serial = atomic_fetch_add(&last_serial, 1) + 1;
    exchange->connection = NULL;
    exchange->resolved = exchange->connected = exchange->written = exchange->pooled = false;
    exchange->got_response = exchange->responding = exchange->interim = exchange->resumed = false;
    exchange->ended = exchange->dismissed = exchange->replayed = false;
    exchange->since = 0;
    exchange->released = exchange->send_incomplete = exchange->body_sent = false;
    exchange->pending = NULL;
    exchange->token_len = 0;
    exchange->failure.rc = exchange->tls_failure.rc = EAS_OK;
    return interrupted;
}

void eas_outgoing_end(struct eas_exchange *exchange, struct eas_exchange *interrupted)
{
    current = interrupted;
    if (!exchange->parked) {
        eas_outgoing_drop(exchange);
    }
}

void eas_outgoing_drop(struct eas_exchange *exchange)
{
    if (exchange->connection != NULL) {
        if (!exchange->released) {
            eas_connection_abandon(exchange->connection, exchange->serial);
        }
        eas_connection_unref(exchange->connection);
        exchange->connection = NULL;
    }
}

void eas_outgoing_fail_parked(struct eas_err *err)
{
    eas_fail(
        err, EAS_UNAVAILABLE, 2091,
        "mod_proxy has closed the connection on which the backend's response to a long poll was "
        "awaited");
}

void eas_outgoing_release(struct eas_exchange *exchange)
{
    if (exchange->connection != NULL) {
        eas_connection_release(exchange->connection, exchange->serial);
        exchange->released = true;
    }
}

const char *eas_outgoing_client_owner(request_rec *r)
{
    static const char *const schemes[] = { "Negotiate", "NTLM", "Kerberos", "Bearer" };
    static _Atomic apr_uint64_t clients;
    conn_rec *c = r->connection;
    const struct eas_client_record *record = eas_client_record_of(c);
    const char *owner = record != NULL ? record->owner : NULL;
    /* All lines: httpd joins several, and a backend may find one of these schemes in any place. */
    const char *value = apr_table_getm(r->pool, r->headers_in, "Authorization");
    apr_size_t i;

    for (i = 0; owner == NULL && value != NULL && i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (ap_strcasestr(value, schemes[i]) != NULL) {
            owner = apr_psprintf(c->pool, "client\n%" APR_UINT64_T_FMT,
                                 (apr_uint64_t)atomic_fetch_add(&clients, 1));
            eas_client_record_make(c)->owner = owner;
        }
    }
    return owner;
}

static const char *current_owner(void)
{
    return current != NULL ? current->owner : NULL;
}

static apr_uint64_t current_serial(void)
{
    return current != NULL ? current->serial : 0;
}

/* The exchange has written to the connection. */
static bool has(const struct eas_exchange *exchange, const struct record *record)
{
    return exchange != NULL && exchange->connection != NULL
           && exchange->connection == record->connection;
}

static apr_status_t close_connection(void *data)
{
    eas_connection_close(data);
    return APR_SUCCESS;
}

/* The mutex is not for reads within an exchange: mod_proxy_http reads ahead after each header line. */
static bool may_reuse(const struct record *record, const struct eas_exchange *exchange)
{
    const char *owner = exchange != NULL ? exchange->owner : NULL;

    if (record->connection == NULL) {
        return !record->unowned || owner == NULL;
    }
    return (has(exchange, record) && !exchange->released)
           || eas_connection_reuse(record->connection, owner,
                                   exchange != NULL ? exchange->serial : 0);
}

/* The end of a connection leaves a data bucket of length 0. */
static bool has_data(const apr_bucket_brigade *bb)
{
    const apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        if (!APR_BUCKET_IS_METADATA(b) && b->length != 0) {
            return true;
        }
    }
    return false;
}

static void note_response(struct record *record, struct eas_exchange *exchange)
{
    if (!record->answered) {
        record->answered = true;
        eas_connection_answered(record->connection);
    }
    if (has(exchange, record)) {
        exchange->got_response = true;
    }
}

/* mod_proxy_http reads a response, for which this exchange waits. */
static bool is_awaited(const struct eas_exchange *exchange, const struct record *record,
                       ap_input_mode_t mode, apr_read_type_e block)
{
    return has(exchange, record) && exchange->ticket != NULL && !exchange->responding
           && mode == AP_MODE_GETLINE && block == APR_BLOCK_READ;
}

/* mod_proxy_http runs again for a request that has parked, on the connection that has it. */
static bool is_replay(const struct eas_exchange *exchange, const struct record *record)
{
    return exchange != NULL && exchange->replayed && exchange->connection == record->connection;
}

/* await_httpd has answered the read in the backend's place. */
static bool is_empty_response(const struct eas_exchange *exchange, const struct record *record)
{
    return has(exchange, record) && (exchange->ended || exchange->parked);
}

/* Whether a response is to be noted that begins; the further lines of a head are many. */
static bool is_news(const struct eas_exchange *exchange, const struct record *record)
{
    return record->connection != NULL
           && (!record->answered || (has(exchange, record) && !exchange->got_response));
}

/* A speculative read that finds nothing leaves nothing; TLS may hide a record (client_httpd). */
static void note_read(struct record *record, ap_input_mode_t mode, apr_status_t rv,
                      const apr_bucket_brigade *bb)
{
    if (mode == AP_MODE_SPECULATIVE) {
        record->filled = !APR_STATUS_IS_EAGAIN(rv) && (rv != APR_SUCCESS || has_data(bb));
    }
    else if (mode != AP_MODE_INIT) {
        record->filled = true;
    }
}

/* The exchange's final response has begun, so that reads of the rest, line by line, change nothing. */
static bool is_under_way(const struct eas_exchange *exchange, const struct record *record)
{
    return has(exchange, record) && exchange->got_response && !exchange->released
           && (exchange->ticket == NULL || exchange->responding);
}

static apr_status_t read_response(ap_filter_t *f, struct eas_exchange *exchange,
                                  apr_bucket_brigade *bb, apr_off_t readbytes)
{
    struct record *record = f->ctx;

    exchange->drained = !record->filled && !record->tls;
    record->filled = true;
    return eas_await_read(exchange, f, bb, readbytes);
}

/*
 * mod_proxy checks by a speculative read whether a pooled connection is alive.  The thread's exchange
 * is looked up once, because a thread's variable of a loaded module costs a call each time.
 */
static apr_status_t input_filter(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode,
                                 apr_read_type_e block, apr_off_t readbytes)
{
    struct record *record = f->ctx;
    struct eas_exchange *exchange = current;
    apr_status_t rv;

    if (is_under_way(exchange, record)) {
        record->filled = true;
        return ap_get_brigade(f->next, bb, mode, block, readbytes);
    }
    if (mode == AP_MODE_SPECULATIVE && is_replay(exchange, record)) {
        return APR_EAGAIN;
    }
    if (veto && mode == AP_MODE_SPECULATIVE && !may_reuse(record, exchange)) {
        return APR_ECONNABORTED;
    }
    if (is_awaited(exchange, record, mode, block)) {
        rv = read_response(f, exchange, bb, readbytes);
    }
    else {
        rv = ap_get_brigade(f->next, bb, mode, block, readbytes);
        note_read(record, mode, rv, bb);
    }
    if (is_news(exchange, record) && mode != AP_MODE_INIT && rv == APR_SUCCESS && has_data(bb)
        && !is_empty_response(exchange, record)) {
        note_response(record, exchange);
    }
    return rv;
}

static void attach_connection(conn_rec *c, struct record *record)
{
    if (record->connection != NULL || record->unowned) {
        return;
    }
    if (current == NULL) {
        record->unowned = true; /* mod_proxy's own, such as a health check */
        return;
    }
    record->connection = eas_connection_open(current->connections, eas_clock_now());
    apr_pool_cleanup_register(c->pool, record->connection, close_connection, apr_pool_cleanup_null);
}

static enum eas_rc acquire(const struct record *record, struct eas_err *err)
{
    struct eas_connection *connection = record->connection;

    if (connection == NULL && current_owner() == NULL) {
        return EAS_OK;
    }
    if (connection == NULL
        || !eas_connection_acquire(connection, current_owner(), current_serial())) {
        return eas_fail(err, EAS_MISCONFIGURED, 2050,
                        "refused to use a backend connection that belongs to another request");
    }
    if (current != NULL && current->connection != connection) {
        eas_connection_unref(current->connection);
        current->connection = eas_connection_ref(connection);
        current->written = true;
        current->pooled = record->answered;
        current->got_response = current->responding = current->released = false;
    }
    return EAS_OK;
}

/* Replaces the placeholder by a token.  The body, after the head, has none. */
static enum eas_rc authorize(struct record *record, apr_bucket_brigade *bb, struct eas_err *err)
{
    const struct eas_token_request request = {
        .by = current->token_by,
        .ticket = current->ticket,
        .binding = { record->binding, current->bind ? record->binding_len : 0 },
        .text_pool = current->run->pool,
    };
    apr_bucket *place, *bucket;
    struct eas_token token;
    enum eas_rc rc;

    place = eas_placeholder_split_off(bb);
    if (place == NULL) {
        return record->authorized == current->serial
                   ? EAS_OK
                   : eas_fail(err, EAS_UNAVAILABLE, 2051,
                              "a request in a user's name was about to be sent without a token");
    }
    if (current->bind && record->binding_len == 0) {
        return eas_fail(err, EAS_MISCONFIGURED, 2094,
                        "no token can be bound to the connection, because mod_ssl has reported no "
                        "certificate of the backend; use SSLProxyEngine of mod_ssl, or set "
                        "EasKcdChannelBinding Off");
    }
    rc = eas_kcd_token(current->principal, current->r->pool, &request, &token, err);
    if (rc == EAS_OK) {
        current->pending = token.pending;
        current->token_len = token.len;
        bucket = apr_bucket_pool_create(token.value, current->token_len, current->run->pool,
                                        bb->bucket_alloc);
        APR_BUCKET_INSERT_BEFORE(place, bucket);
        apr_bucket_delete(place);
        record->authorized = current->serial;
    }
    return rc;
}

/* Before the first byte is written: the token is bound to the channel. */
static apr_status_t do_tls_handshake(conn_rec *c, struct record *record, apr_bucket_alloc_t *alloc)
{
    apr_bucket_brigade *none = apr_brigade_create(c->pool, alloc);
    apr_status_t rv;

    record->tls_done = true;
    rv = ap_get_brigade(c->input_filters, none, AP_MODE_INIT, APR_BLOCK_READ, 0);
    apr_brigade_destroy(none);
    record->tls = ap_ssl_conn_is_ssl(c);
    if (rv != APR_SUCCESS) {
        eas_peer_certificate_fail(c, &current->tls_failure);
        c->aborted = 1;
    }
    return rv;
}

static apr_status_t refuse(ap_filter_t *f, apr_bucket_brigade *bb, const struct eas_err *err)
{
    if (current != NULL) {
        current->failure = *err;
    }
    else {
        ap_log_cerror(APLOG_MARK, APLOG_CRIT, 0, f->c, "EAS%04d: %s", err->tag, err->text);
    }
    f->c->aborted = 1; /* a failure of the backend: mod_proxy answers 400 otherwise */
    apr_brigade_cleanup(bb);
    return APR_ECONNABORTED;
}

/* mod_proxy_http writes a head with Expect by itself, and any other one together with the body. */
static void prepare_write(struct record *record, apr_bucket_brigade *bb)
{
    if (record->written_by == current->serial || !eas_await_continues(current)) {
        current->body_sent = true;
    }
    record->written_by = current->serial;
    if (record->tls) {
        eas_coalesce(bb);
    }
}

static apr_status_t begin_write(conn_rec *c, struct record *record, apr_bucket_brigade *bb)
{
    if (current != NULL && eas_await_gives_up(current, c)) {
        c->aborted = 1;
        apr_brigade_cleanup(bb);
        return APR_ECONNABORTED;
    }
    attach_connection(c, record);
    return current == NULL || record->tls_done ? APR_SUCCESS
                                               : do_tls_handshake(c, record, bb->bucket_alloc);
}

static apr_status_t output_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    struct record *record = f->ctx;
    struct eas_err err;
    apr_status_t rv;

    if (!has_data(bb)) {
        return ap_pass_brigade(f->next, bb);
    }
    if (is_replay(current, record)) {
        apr_brigade_cleanup(bb);
        return APR_SUCCESS;
    }
    if (current != NULL && current->replayed) {
        eas_outgoing_fail_parked(&err);
        return refuse(f, bb, &err);
    }
    rv = begin_write(f->c, record, bb);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (acquire(record, &err) != EAS_OK
        || (current != NULL && current->ticket != NULL && authorize(record, bb, &err) != EAS_OK)) {
        return refuse(f, bb, &err);
    }
    if (current != NULL) {
        prepare_write(record, bb);
        /* Each time: a pooled connection has the time-out of another exchange. */
        apr_socket_timeout_set(ap_get_conn_socket(f->c), current->timeout);
    }
    rv = ap_pass_brigade(f->next, bb);
    if (rv != APR_SUCCESS && current != NULL) {
        current->send_incomplete = true;
    }
    return rv;
}

static int hook_pre_connection(conn_rec *c, void *socket)
{
    (void)socket;
    if (c->outgoing) {
        struct record *record = apr_pcalloc(c->pool, sizeof(*record));

        ap_set_module_config(c->conn_config, &eas_kcd_module, record);
        ap_add_input_filter(OUTGOING_FILTER, record, NULL, c);
        ap_add_output_filter(OUTGOING_FILTER, record, NULL, c);
        if (current != NULL) {
            current->connected = true;
        }
    }
    return OK;
}

static int hook_pre_handshake(conn_rec *c, SSL *ssl, int is_proxy)
{
    if (is_proxy) {
        eas_tls_session_begin(current, c, ssl);
    }
    return OK;
}

static int hook_proxy_post_handshake(conn_rec *c, SSL *ssl)
{
    struct record *record = ap_get_module_config(c->conn_config, &eas_kcd_module);

    if (record != NULL) {
        record->binding_len = eas_end_point_of(SSL_get0_peer_certificate(ssl), record->binding);
    }
    eas_tls_session_end(current, c, ssl);
    return OK;
}

void eas_outgoing_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_pre_connection(hook_pre_connection, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ssl, pre_handshake, hook_pre_handshake, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ssl, proxy_post_handshake, hook_proxy_post_handshake, NULL, NULL,
                      APR_HOOK_MIDDLE);
    /* Above mod_ssl's, for requests instead of TLS records. */
    ap_register_input_filter(OUTGOING_FILTER, input_filter, NULL, AP_FTYPE_CONNECTION);
    ap_register_output_filter(OUTGOING_FILTER, output_filter, NULL, AP_FTYPE_CONNECTION);
}
