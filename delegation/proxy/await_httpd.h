/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/await_httpd.h - wait of an exchange for its response, and its early end */

#ifndef EAS_DELEGATION_PROXY_AWAIT_HTTPD_H
#define EAS_DELEGATION_PROXY_AWAIT_HTTPD_H

#include "delegation/proxy/client_httpd.h"
#include "delegation/proxy/exchange_httpd.h"

/* Whether mod_proxy_http sends the head alone, and the body after 100 (Continue). */
bool eas_await_continues(const struct eas_exchange *exchange);

/*
 * Before a write to the backend's connection: whether the exchange ends, and nothing is sent, because
 * a copy of the request can only send it (first_run_httpd.h).  mod_proxy_http would close the
 * connection after a response, or wait for 100 (Continue).
 */
bool eas_await_gives_up(struct eas_exchange *exchange, const conn_rec *c);

/* Ends an exchange without a response, for an event of its client; the failure says why, if any. */
void eas_await_abort(struct eas_exchange *exchange, enum eas_client_event event);

/*
 * Waits for a line of the backend's response, and reads it.  If the client leaves meanwhile, the
 * exchange ends, and mod_proxy_http gets an empty response in the backend's place.  f is the filter
 * on the outgoing connection.
 */
apr_status_t eas_await_read(struct eas_exchange *exchange, ap_filter_t *f, apr_bucket_brigade *bb,
                            apr_off_t readbytes);

#endif
