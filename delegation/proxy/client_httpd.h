/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/client_httpd.h - end of a client during the wait for the backend's response */

#ifndef EAS_DELEGATION_PROXY_CLIENT_HTTPD_H
#define EAS_DELEGATION_PROXY_CLIENT_HTTPD_H

#include <httpd.h>
#include <stdbool.h>
#include <util_filter.h>

/*
 * Waits until a read from the backend returns data, the end of the connection or an error at once.
 * The filter is the next one on the outgoing connection; bb is empty before and after.  APR_SUCCESS;
 * APR_TIMEUP after the time-out of the backend's socket; APR_ECONNABORTED if the client has left:
 *  - it has closed or reset its TCP connection, or its half of it;
 *  - or it has sent TLS's close_notify, noticed within a second;
 *  - or HTTP/2 has ended the stream, noticed within a second.  The streams of a connection share its
 *    socket, which another thread reads.
 * A TLS client that has sent data before, such as pipelined requests, leaves by TCP only.
 */
apr_status_t eas_client_wait(request_rec *r, ap_filter_t *next, apr_bucket_brigade *bb);

#endif
