/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/sizing_check_httpd.h - start-up check of room for reloads beside long polls */

#ifndef EAS_DELEGATION_PROXY_SIZING_CHECK_HTTPD_H
#define EAS_DELEGATION_PROXY_SIZING_CHECK_HTTPD_H

#include <httpd.h>

/*
 * In post_config, when the MPM knows its limits: warns if EasKcdDelegate serves ActiveSync, long polls
 * hold threads, and ServerLimit is less than twice the processes of MaxRequestWorkers (EAS3091).
 */
void eas_sizing_check(apr_pool_t *ptemp, const server_rec *main_server);

#endif
