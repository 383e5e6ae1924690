/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/dump_httpd.h - settings for eas-kcd-check: httpd -t -D EAS_KCD_DUMP */

#ifndef EAS_DELEGATION_DUMP_HTTPD_H
#define EAS_DELEGATION_DUMP_HTTPD_H

#include <httpd.h>

/*
 * Under `-t -D EAS_KCD_DUMP`, prints to stdout the accounts, the realms and the targets of
 * delegation, as delegation/check/settings.h reads them.  Otherwise does nothing.
 */
void eas_dump_settings(apr_pool_t *ptemp, const server_rec *main_server);

#endif
