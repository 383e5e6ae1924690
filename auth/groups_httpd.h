/* SPDX-License-Identifier: Apache-2.0 */
/* auth/groups_httpd.h - Require eas-group: groups of the user, from the evidence's PAC */

#ifndef EAS_AUTH_GROUPS_HTTPD_H
#define EAS_AUTH_GROUPS_HTTPD_H

#include <httpd.h>
#include <http_config.h>

/* EasKcdGroup: a name for an SID.  NULL, or the error that stops the start. */
const char *eas_groups_add(cmd_parms *cmd, const char *name, const char *sid);

/*
 * Finds the SIDs of the names in all Require lines of a server: EasKcdGroup may come after them.
 * NULL, or the error that stops the start.
 */
const char *eas_groups_check_config(apr_pool_t *pool, const server_rec *s);

void eas_groups_register_hooks(apr_pool_t *pool);

#endif
