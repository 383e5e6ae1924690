/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/await_httpd.c - wait of an exchange for its response, and its early end */

#include "delegation/proxy/await_httpd.h"
#include "delegation/proxy/wait.h"

/* Octets of a line that tell whether a response begins: up to the status. */
#define STATUS_LINE_START 16

void eas_await_abort(struct eas_exchange *exchange, enum eas_client_event event)
{
    exchange->ended = true;
    if (event == EAS_CLIENT_REPLACED) {
        eas_fail(&exchange->failure, EAS_THROTTLED, 2081,
                 "a newer long poll of the user has ended this one; if devices need more at once, "
                 "raise EasKcdLongPolls");
    }
}

/*
 * For mod_proxy_http this is the shortest response.  It would log an error as the backend's fault.
 */
static apr_status_t read_empty_response(struct eas_exchange *exchange, apr_bucket_brigade *bb)
{
    static const char *const response[] = { "HTTP/1.0 204 No Content\r\n", "\r\n" };
    const char *line;

    if (exchange->lines == sizeof(response) / sizeof(response[0])) {
        return APR_ECONNABORTED;
    }
    line = response[exchange->lines++];
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_immortal_create(line, strlen(line), bb->bucket_alloc));
    return APR_SUCCESS;
}

/* Whether the response is to be read; if not, *rv is the result of the read. */
static bool await_response(struct eas_exchange *exchange, ap_filter_t *f, apr_bucket_brigade *bb,
                           apr_status_t *rv)
{
    if (!exchange->ended) {
        enum eas_client_event event = eas_client_wait(exchange->r, exchange->poll, f->next, bb);

        if (event == EAS_CLIENT_READ) {
            return true;
        }
        if (event == EAS_CLIENT_TIMEUP) {
            *rv = APR_TIMEUP;
            return false;
        }
        eas_await_abort(exchange, event);
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

    if (!await_response(exchange, f, bb, &rv)) {
        return rv;
    }
    rv = ap_get_brigade(f->next, bb, AP_MODE_GETLINE, APR_BLOCK_READ, readbytes);
    /* A look may have split the line into several buckets. */
    if (rv == APR_SUCCESS && apr_brigade_flatten(bb, line, &len) == APR_SUCCESS) {
        exchange->responding = eas_wait_is_over(line, len);
    }
    return rv;
}
