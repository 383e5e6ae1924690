/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/kept_httpd.h - clients' connections that wait for the request after a long poll */

#ifndef EAS_DELEGATION_PROXY_KEPT_HTTPD_H
#define EAS_DELEGATION_PROXY_KEPT_HTTPD_H

#include "delegation/proxy/parking.h"

#include <httpd.h>

/*
 * While all its threads are busy, the event MPM closes connections that wait for their next request,
 * even one that has come.  After a wake-up of many parked requests that would be most of their
 * clients' next ones.  So a connection whose request has parked waits as if it were still to be
 * written to, for which the MPM takes a thread when one is idle.  The poller ends that wait after
 * KeepAliveTimeout, and when the process ends: it closes the socket for reading.  A request that has
 * come before is still read.
 */

/* From now on.  s: of the request. */
void eas_kept_begin(conn_rec *c, const server_rec *s);

/* After a request, before the MPM continues. */
void eas_kept_after_request(conn_rec *c);

/* In the hooks of these names. */
void eas_kept_suspend(conn_rec *c, struct eas_parking *parking);
void eas_kept_resume(conn_rec *c, struct eas_parking *parking);

#endif
