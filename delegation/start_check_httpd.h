/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/start_check_httpd.h - start-up warnings about sections that delegate, and their backends */

#ifndef EAS_DELEGATION_START_CHECK_HTTPD_H
#define EAS_DELEGATION_START_CHECK_HTTPD_H

#include <httpd.h>

/* After the configuration has been read, with mod_proxy loaded. */
void eas_start_check(apr_pool_t *ptemp, const server_rec *main_server);

#endif
