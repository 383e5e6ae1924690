/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/poll_timeout_check_httpd.h - says at the start where a phone's Ping would be cut short */

#ifndef EAS_DELEGATION_PROXY_POLL_TIMEOUT_CHECK_HTTPD_H
#define EAS_DELEGATION_PROXY_POLL_TIMEOUT_CHECK_HTTPD_H

#include <httpd.h>

/*
 * A Ping waits for up to 59 minutes ([MS-ASCMD]: HeartbeatInterval up to 3540 s), and its body was
 * read before it begins to.  So the one thing that cuts it is for how long the backend may be silent:
 * EasKcdCommandTimeout where requests are read as ActiveSync's, whatever Timeout, ProxyTimeout and the
 * worker say; there, just these.
 *
 * Warns about every ProxyPass of ActiveSync's path under which that is less (EAS3050, EAS3051).
 * Static, so that `httpd -t` does it too.
 */
void eas_poll_timeout_check(apr_pool_t *ptemp, const server_rec *main_server);

#endif
