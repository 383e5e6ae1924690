/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/counters_httpd.h - memory for the gateway's numbers and notes */

#ifndef EAS_AUTH_SHARED_COUNTERS_HTTPD_H
#define EAS_AUTH_SHARED_COUNTERS_HTTPD_H

#include <httpd.h>

/* Attaches the memory, which outlives graceful restarts.  Without it each process has its own. */
void eas_counters_post_config(server_rec *main_server);

/* Has the slots of children end with them. */
void eas_counters_register_hooks(apr_pool_t *pool);

/* Gives this process a slot. */
void eas_counters_child_init(apr_pool_t *pchild);

#endif
