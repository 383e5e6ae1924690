/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/start_notice_httpd.h - start notice of each virtual host */

#ifndef EAS_DELEGATION_START_NOTICE_HTTPD_H
#define EAS_DELEGATION_START_NOTICE_HTTPD_H

#include <httpd.h>

/*
 * In post_config: logs one line for each server with a keytab, with its account, keys, realm, KDCs,
 * backends and their SPNs (EAS3095).  Asks neither DNS nor KDCs.
 */
void eas_start_notice(apr_pool_t *ptemp, const server_rec *main_server);

#endif
