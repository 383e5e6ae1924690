/* SPDX-License-Identifier: Apache-2.0 */
/* auth/config_check_httpd.h - start-up warnings about authentication: keytab, realms, krb5.conf */

#ifndef EAS_AUTH_CONFIG_CHECK_HTTPD_H
#define EAS_AUTH_CONFIG_CHECK_HTTPD_H

#include <httpd.h>

/* After the keytabs have been loaded. */
void eas_config_check(apr_pool_t *ptemp, const server_rec *main_server);

#endif
