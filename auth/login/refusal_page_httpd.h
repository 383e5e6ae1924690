/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/refusal_page_httpd.h - pages of the module's own 403 and 503 */

#ifndef EAS_AUTH_LOGIN_REFUSAL_PAGE_HTTPD_H
#define EAS_AUTH_LOGIN_REFUSAL_PAGE_HTTPD_H

#include <apr_pools.h>

/*
 * A 403 or 503 of eas_log_refuse() has a page in place of httpd's for the navigations of browsers,
 * unless an ErrorDocument or another module has one.  Status, Retry-After and all other clients'
 * responses stay as they are.
 */
void eas_refusal_page_register_hooks(apr_pool_t *pool);

#endif
