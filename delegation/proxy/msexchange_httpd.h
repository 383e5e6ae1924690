/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/msexchange_httpd.h - what Exchange answers and httpd does not know */

#ifndef EAS_DELEGATION_PROXY_MSEXCHANGE_HTTPD_H
#define EAS_DELEGATION_PROXY_MSEXCHANGE_HTTPD_H

#include <httpd.h>

/*
 * For responses that mod_proxy brings from where ActiveSync is read or delegation is on:
 *  - the statuses of [MS-ASHTTP] 2.2.2.1.1 (449, 451, 456, 457) have reason phrases of their own, also
 *    where the backend has none or ProxyErrorOverride makes the page; httpd would say "500 Internal
 *    Server Error" beside them;
 *  - X-MS-Location, where a phone shall go from now on, is mapped as ProxyPassReverse maps Location.
 */
void eas_msexchange_register_hooks(apr_pool_t *pool);

#endif
