/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/delegate_httpd.h - puts the user's token into what mod_proxy sends to the backend */

#ifndef EAS_DELEGATION_PROXY_DELEGATE_HTTPD_H
#define EAS_DELEGATION_PROXY_DELEGATE_HTTPD_H

#include <apr_pools.h>

/* Without mod_proxy, whose hooks are found by eas_delegate_pre_config(). */
void eas_delegate_register_hooks(apr_pool_t *pool);

/* In pre_config, when every LoadModule has been obeyed. */
void eas_delegate_pre_config(apr_pool_t *pconf);

#endif
