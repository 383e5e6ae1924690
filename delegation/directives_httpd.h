/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/directives_httpd.h - handlers of delegation/directives.def */

#ifndef EAS_DELEGATION_DIRECTIVES_HTTPD_H
#define EAS_DELEGATION_DIRECTIVES_HTTPD_H

#include <httpd.h>

#include <http_config.h>

/* Each returns NULL, or an error message, at which httpd does not start: cause, then cure. */
const char *eas_delegation_set_delegate(cmd_parms *cmd, void *dir, int flag);
const char *eas_delegation_set_spn(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_delegation_set_delegate_user(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_delegation_set_delegate_certificate(cmd_parms *cmd, void *dir, int flag);
const char *eas_delegation_set_transition(cmd_parms *cmd, void *dir, int flag);
const char *eas_delegation_set_mutual(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_delegation_set_reuse(cmd_parms *cmd, void *dir, int flag);
const char *eas_delegation_set_resume(cmd_parms *cmd, void *dir, int flag);
const char *eas_delegation_set_bind(cmd_parms *cmd, void *dir, int flag);
const char *eas_delegation_set_token(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_delegation_set_strip_headers(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_delegation_set_retry_body(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_delegation_set_park(cmd_parms *cmd, void *dir, int flag);
const char *eas_delegation_set_park_spread(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_delegation_set_long_polls(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_delegation_set_pools(cmd_parms *cmd, void *dir, const char *arg);

#endif
