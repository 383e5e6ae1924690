/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/client_httpd.h - end of a client during the wait for the backend's response */

#ifndef EAS_DELEGATION_PROXY_CLIENT_HTTPD_H
#define EAS_DELEGATION_PROXY_CLIENT_HTTPD_H

#include "delegation/proxy/long_polls.h"

#include <httpd.h>
#include <util_filter.h>

enum eas_client_event {
    EAS_CLIENT_READ,      /* a read from the backend returns data, its end or an error at once */
    EAS_CLIENT_TIMEUP,    /* the time is over */
    EAS_CLIENT_LEFT,      /* the client has left */
    EAS_CLIENT_REPLACED,  /* a newer long poll has ended this one */
    EAS_CLIENT_DISMISSED, /* this process ends */
    EAS_CLIENT_NO_BACKEND /* the backend has closed the connection, without a response */
};

/* Where a response is awaited. */
struct eas_client_backend {
    ap_filter_t *next;      /* on the outgoing connection */
    apr_bucket_brigade *bb; /* empty before and after */
    bool drained;           /* no filter holds data: what comes is in the socket */
};

/*
 * Waits for the backend's response for max at most; below 0 is no limit.  The poll is NULL where
 * nothing limits it.  A client has left if
 *  - it has closed or reset its TCP connection, or its half of it;
 *  - or it has sent TLS's close_notify, noticed within a second;
 *  - or HTTP/2 has ended the stream, noticed within a second.  The streams of a connection share its
 *    socket, which another thread reads.
 * A TLS client that has sent data before, such as pipelined requests, leaves by TCP only.
 */
enum eas_client_event eas_client_wait(request_rec *r, const struct eas_long_poll *poll,
                                      const struct eas_client_backend *backend,
                                      apr_interval_time_t max);

/* The same without a backend, and without a wait.  EAS_CLIENT_TIMEUP: the client is still there. */
enum eas_client_event eas_client_look(request_rec *r, const struct eas_long_poll *poll);

/*
 * Reads ahead what a client has sent, where TLS may hide its end.  EAS_CLIENT_LEFT: it has left.
 * Otherwise *has_data tells whether it has sent more than an end.
 */
enum eas_client_event eas_client_read_ahead(request_rec *r, bool *has_data);

/*
 * A read from the backend would get this: data also where their connection has ended behind them.
 * `next` as above.  The look may read ahead, so that the data are in a filter.
 */
enum eas_client_heard { EAS_CLIENT_HEARD_NOTHING, EAS_CLIENT_HEARD_DATA, EAS_CLIENT_HEARD_END };
enum eas_client_heard eas_client_hear_backend(request_rec *r, ap_filter_t *next);

/* The descriptor of a connection's socket, or -1. */
int eas_client_descriptor(conn_rec *c);

#endif
