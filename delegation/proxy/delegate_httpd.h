/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/delegate_httpd.h - scheme handler around mod_proxy's: sends the user's token */

#ifndef EAS_DELEGATION_PROXY_DELEGATE_HTTPD_H
#define EAS_DELEGATION_PROXY_DELEGATE_HTTPD_H

#include <apr_pools.h>

/* Optional hooks, also without mod_proxy. */
void eas_delegate_register_hooks(apr_pool_t *pool);

/* After every LoadModule: registers the scheme handler with mod_proxy. */
void eas_delegate_pre_config(apr_pool_t *pconf);

#endif
