/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/status_httpd.h - SetHandler eas-kcd-status */

#ifndef EAS_DELEGATION_STATUS_STATUS_HTTPD_H
#define EAS_DELEGATION_STATUS_STATUS_HTTPD_H

#include <httpd.h>

void eas_status_register_hooks(apr_pool_t *pool);

#endif
