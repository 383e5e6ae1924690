/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/poll_timeout_check_httpd.h - start-up check of time-outs for Ping */

#ifndef EAS_DELEGATION_PROXY_POLL_TIMEOUT_CHECK_HTTPD_H
#define EAS_DELEGATION_PROXY_POLL_TIMEOUT_CHECK_HTTPD_H

#include <httpd.h>

/*
 * A Ping waits for up to 59 minutes ([MS-ASCMD]: HeartbeatInterval up to 3540 s), after its body
 * was read.  Only the backend's time-out can end it early.  Where EasKcdParseEas is in effect, this
 * is EasKcdCommandTimeout; elsewhere the worker's timeout=, ProxyTimeout or Timeout.
 *
 * Warns about each ProxyPass of ActiveSync's path with a shorter time-out (EAS3050, EAS3051).  A
 * static check, for `httpd -t`, too.
 */
void eas_poll_timeout_check(apr_pool_t *ptemp, const server_rec *main_server);

#endif
