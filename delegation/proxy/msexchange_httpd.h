/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/msexchange_httpd.h - statuses and headers of Exchange, unknown to httpd */

#ifndef EAS_DELEGATION_PROXY_MSEXCHANGE_HTTPD_H
#define EAS_DELEGATION_PROXY_MSEXCHANGE_HTTPD_H

#include <httpd.h>

/*
 * For mod_proxy's responses where EasKcdParseEas or EasKcdDelegate is in effect:
 *  - The statuses of [MS-ASHTTP] 2.2.2.1.1 (449, 451, 456, 457) get their reason phrases, if the
 *    backend sends none or ProxyErrorOverride makes the page.  httpd would send "500 Internal
 *    Server Error".
 *  - X-MS-Location, the phone's new URL, is mapped as ProxyPassReverse maps Location.
 */
void eas_msexchange_register_hooks(apr_pool_t *pool);

#endif
