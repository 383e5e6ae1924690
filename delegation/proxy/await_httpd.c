/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/await_httpd.c - wait of an exchange for its response, and its early end */

#include "delegation/proxy/await_httpd.h"
#include "auth/base/clock.h"
#include "delegation/proxy/tls_session_httpd.h"
#include "delegation/proxy/wait.h"

#include <http_core.h>

/* Octets of a line that tell whether a response begins: up to the status. */
#define STATUS_LINE_START 16

bool eas_await_continues(const struct eas_exchange *exchange)
{
    return apr_table_get(exchange->run->notes, "proxy-100-continue") != NULL;
}

bool eas_await_gives_up(struct eas_exchange *exchange, const conn_rec *c)
{
    exchange->given_up = exchange->run != exchange->r && !exchange->written
                         && (c->keepalive == AP_CONN_CLOSE || eas_await_continues(exchange));
    return exchange->given_up;
}

void eas_await_abort(struct eas_exchange *exchange, enum eas_client_event event)
{
    exchange->ended = true;
    exchange->dismissed = event == EAS_CLIENT_DISMISSED;
    if (event == EAS_CLIENT_REPLACED) {
        eas_fail(&exchange->failure, EAS_THROTTLED, 2081,
                 "a newer long poll of the user has ended this one; if devices need more at once, "
                 "raise EasKcdLongPolls");
    }
}

/*
 * For mod_proxy_http this is the shortest response.  It would log an error as the backend's fault.
 * After HTTP/1.1 it keeps the connection.
 */
static apr_status_t read_empty_response(struct eas_exchange *exchange, apr_bucket_brigade *bb)
{
    const char *const response[] = { exchange->parked ? "HTTP/1.1 204 No Content\r\n"
                                                      : "HTTP/1.0 204 No Content\r\n",
                                     "\r\n" };
    const char *line;

    if (exchange->lines == sizeof(response) / sizeof(response[0])) {
        return APR_ECONNABORTED;
    }
    line = response[exchange->lines++];
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_immortal_create(line, strlen(line), bb->bucket_alloc));
    return APR_SUCCESS;
}

static bool park(struct eas_exchange *exchange, ap_filter_t *backend, apr_interval_time_t timeout)
{
    struct eas_park_owner *owner = exchange->park;

    owner->facts.sent = !exchange->send_incomplete;
    owner->facts.expects = eas_await_continues(exchange);
    if (!eas_park_request(exchange->r, owner, backend, exchange->poll,
                          timeout < 0 ? 0 : exchange->since + timeout)) {
        exchange->park = NULL;
    }
    return exchange->park != NULL;
}

/* EAS_CLIENT_TIMEUP also for an exchange that has parked; within a head, none parks. */
static enum eas_client_event wait_or_park(struct eas_exchange *exchange, ap_filter_t *f,
                                          apr_bucket_brigade *bb)
{
    struct eas_client_backend backend = { .next = f->next, .bb = bb };
    apr_interval_time_t timeout, left = -1, patience;
    enum eas_client_event event;
    bool parks;

    apr_socket_timeout_get(ap_get_conn_socket(f->c), &timeout);
    do {
        apr_time_t now = eas_clock_now();

        if (exchange->since == 0) {
            exchange->since = now;
        }
        if (timeout >= 0) {
            left = now - exchange->since < timeout ? timeout - (now - exchange->since) : 0;
        }
        patience = eas_park_begin_wait(exchange->interim ? NULL : exchange->park);
        parks = patience >= 0 && (left < 0 || patience < left);
        backend.drained = exchange->drained;
        exchange->drained = false;
        event = eas_client_wait(exchange->r, exchange->poll, &backend, parks ? patience : left);
        if (patience >= 0) {
            eas_park_end_wait();
        }
        if (event == EAS_CLIENT_TIMEUP && parks) {
            eas_tls_session_remember(exchange, f->c); /* before another thread has the connection */
            exchange->parked = park(exchange, f->next, timeout);
        }
    } while (event == EAS_CLIENT_TIMEUP && parks && !exchange->parked);
    if (event == EAS_CLIENT_READ) {
        exchange->since = 0;
    }
    return event;
}

/* A copy of the request gets no response (first_run_httpd.h); it may get the connection's end. */
static bool is_for_next_run(const struct eas_exchange *exchange, const ap_filter_t *f,
                            enum eas_client_event event)
{
    return exchange->run != exchange->r && !exchange->parked
           && (event == EAS_CLIENT_TIMEUP
               || (event == EAS_CLIENT_READ
                   && eas_client_hear_backend(exchange->r, f->next) != EAS_CLIENT_HEARD_END));
}

/* Whether the response is to be read; if not, *rv is the result of the read. */
static bool await_response(struct eas_exchange *exchange, ap_filter_t *f, apr_bucket_brigade *bb,
                           apr_status_t *rv)
{
    if (!exchange->ended && !exchange->parked) {
        enum eas_client_event event = wait_or_park(exchange, f, bb);

        if (is_for_next_run(exchange, f, event)) {
            exchange->parked = exchange->postponed = true;
            event = EAS_CLIENT_TIMEUP;
        }
        if (event == EAS_CLIENT_READ) {
            return true;
        }
        if (event == EAS_CLIENT_TIMEUP && !exchange->parked) {
            *rv = APR_TIMEUP;
            return false;
        }
        if (event != EAS_CLIENT_TIMEUP) {
            eas_await_abort(exchange, event);
        }
    }
    *rv = read_empty_response(exchange, bb);
    return false;
}

apr_status_t eas_await_read(struct eas_exchange *exchange, ap_filter_t *f, apr_bucket_brigade *bb,
                            apr_off_t readbytes)
{
    char line[STATUS_LINE_START];
    apr_size_t len = sizeof(line);
    apr_status_t rv;

    exchange->replayed = false;
    if (!await_response(exchange, f, bb, &rv)) {
        return rv;
    }
    rv = ap_get_brigade(f->next, bb, AP_MODE_GETLINE, APR_BLOCK_READ, readbytes);
    if (rv == APR_SUCCESS) {
        eas_tls_session_remember(exchange, f->c);
    }
    /* A look may have split the line into several buckets. */
    if (rv == APR_SUCCESS && apr_brigade_flatten(bb, line, &len) == APR_SUCCESS) {
        exchange->responding = eas_wait_is_over(line, len);
        exchange->interim = eas_wait_is_interim(line, len, exchange->interim);
    }
    return rv;
}
