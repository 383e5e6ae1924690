/* SPDX-License-Identifier: Apache-2.0 */
/* auth/directives_httpd.h - handlers of auth/directives.def */

#ifndef EAS_AUTH_DIRECTIVES_HTTPD_H
#define EAS_AUTH_DIRECTIVES_HTTPD_H

#include <httpd.h>
#include <http_config.h>

/* Each returns NULL, or the error that stops the start: the cause and the cure. */
const char *eas_auth_set_keytab(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_principal(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_realm(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_domain(cmd_parms *cmd, void *dir, const char *name, const char *realm);
const char *eas_auth_set_log_names(cmd_parms *cmd, void *dir, int flag);
const char *eas_auth_set_group(cmd_parms *cmd, void *dir, const char *name, const char *sid);
const char *eas_auth_set_armor(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_kdc_timeout(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_password_cache(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_known_passwords(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_bad_password_memory(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_password_change(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_password_warn(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_password_expired(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_lockout(cmd_parms *cmd, void *dir, int argc, char *const argv[]);
const char *eas_auth_set_cache(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_secret_file(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_event_log(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_password_provider(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_login_path(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_login_page(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_login_languages(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_login_info(cmd_parms *cmd, void *dir, const char *kind, const char *value);
const char *eas_auth_set_session(cmd_parms *cmd, void *dir, const char *kind, const char *idle,
                                 const char *max);
const char *eas_auth_set_session_cookie(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_challenge(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_form_for(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_remote_user(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_always(cmd_parms *cmd, void *dir, int flag);
const char *eas_auth_set_require_tls(cmd_parms *cmd, void *dir, int flag);
const char *eas_auth_set_strict_path(cmd_parms *cmd, void *dir, int flag);
const char *eas_auth_set_negotiate(cmd_parms *cmd, void *dir, int flag);
const char *eas_auth_set_timeout(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_parse_eas(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_command_timeout(cmd_parms *cmd, void *dir, const char *command,
                                         const char *duration);

#endif
