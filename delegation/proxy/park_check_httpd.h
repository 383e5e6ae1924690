/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/park_check_httpd.h - start-up check of the MPM's settings for parked requests */

#ifndef EAS_DELEGATION_PROXY_PARK_CHECK_HTTPD_H
#define EAS_DELEGATION_PROXY_PARK_CHECK_HTTPD_H

#include <httpd.h>

/*
 * Warns about settings of the event MPM that count parked requests as work, or their process as
 * idle (EAS3069); about too few descriptors (EAS3100); and about max= of a worker (EAS3101).  For a
 * configuration with EasKcdPark On, after the MPM has read its own.
 */
void eas_park_check(apr_pool_t *ptemp, const server_rec *main_server);

#endif
