/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/park_check_httpd.h - start-up check of the MPM's settings for parked requests */

#ifndef EAS_DELEGATION_PROXY_PARK_CHECK_HTTPD_H
#define EAS_DELEGATION_PROXY_PARK_CHECK_HTTPD_H

#include <httpd.h>
#include <stdbool.h>

/*
 * Looks for settings of the event MPM that count parked requests as work, or their process as idle
 * (EAS3069); warns about too few descriptors (EAS3100), and about max= of a worker (EAS3101).  After
 * the MPM has read its settings.
 *
 * Where requests park by default, the first is information: a gateway of few phones does not need
 * other settings.
 */
void eas_park_check(apr_pool_t *ptemp, const server_rec *main_server, bool is_by_default);

#endif
