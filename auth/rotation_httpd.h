/* SPDX-License-Identifier: Apache-2.0 */
/* auth/rotation_httpd.h - new keys in a keytab, without a reload */

#ifndef EAS_AUTH_ROTATION_HTTPD_H
#define EAS_AUTH_ROTATION_HTTPD_H

#include <httpd.h>

/* Makes the memory by which the parent process hands keys over.  After eas_shared_post_config(). */
void eas_rotation_post_config(apr_pool_t *pconf, server_rec *main_server);

void eas_rotation_register_hooks(apr_pool_t *pool);

#endif
