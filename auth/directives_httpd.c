/* SPDX-License-Identifier: Apache-2.0 */
/* auth/directives_httpd.c - handlers of auth/directives.def */

#include "auth/directives_httpd.h"
#include "auth/activesync/query.h"
#include "auth/activesync/timeouts.h"
#include "auth/base/duration.h"
#include "auth/base/module_httpd.h"
#include "auth/config_httpd.h"
#include "auth/events_httpd.h"
#include "auth/groups_httpd.h"
#include "auth/kerberos/keytab.h"
#include "auth/login/destination.h"
#include "auth/login/page_httpd.h"

#include <ap_provider.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <mod_auth.h>

const char *eas_auth_set_keytab(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *path = eas_keytab_path(arg);

    if (path == NULL) {
        return apr_psprintf(cmd->pool,
                            "%s: '%s' is no file, and keys are read from a file only; write its "
                            "path, for example %s /etc/eas-kcd/gateway.keytab",
                            cmd->cmd->name, arg, cmd->cmd->name);
    }
    eas_auth_server_of(cmd->server)->keytab_path = ap_server_root_relative(cmd->pool, path);
    return NULL;
}

const char *eas_auth_set_principal(cmd_parms *cmd, void *dir, const char *arg)
{
    eas_auth_server_of(cmd->server)->principal = arg;
    return NULL;
}

const char *eas_auth_set_realm(cmd_parms *cmd, void *dir, const char *arg)
{
    if (*arg == '\0' || ap_strchr_c(arg, '@')) {
        return apr_psprintf(cmd->pool, "%s: '%s' is no realm; it looks like CORP.EXAMPLE.COM",
                            cmd->cmd->name, arg);
    }
    eas_auth_server_of(cmd->server)->realm = arg;
    return NULL;
}

const char *eas_auth_set_domain(cmd_parms *cmd, void *dir, const char *name, const char *realm)
{
    struct eas_auth_server *conf = eas_auth_server_of(cmd->server);
    struct eas_domain *domain;

    if (*name == '\0' || *realm == '\0' || ap_strchr_c(name, '@') || ap_strchr_c(name, '\\')) {
        return apr_psprintf(cmd->pool,
                            "%s: takes a NetBIOS domain or UPN suffix and its realm, for example "
                            "%s CORP CORP.EXAMPLE.COM",
                            cmd->cmd->name, cmd->cmd->name);
    }
    if (conf->domains == NULL) {
        conf->domains = apr_array_make(cmd->pool, 2, sizeof(struct eas_domain));
    }
    domain = apr_array_push(conf->domains);
    domain->name = name;
    domain->realm = realm;
    return NULL;
}

const char *eas_auth_set_group(cmd_parms *cmd, void *dir, const char *name, const char *sid)
{
    return eas_groups_add(cmd, name, sid);
}

static const char *set_duration(cmd_parms *cmd, const char *arg, apr_interval_time_t *field)
{
    if (!eas_duration_parse(arg, field)) {
        return apr_psprintf(cmd->pool, "%s: '%s' is no duration; write 30, 500ms, 15m, 8h or 30d",
                            cmd->cmd->name, arg);
    }
    return NULL;
}

const char *eas_auth_set_log_names(cmd_parms *cmd, void *dir, int flag)
{
    eas_auth_server_of(cmd->server)->log_names = flag;
    return NULL;
}

/* Sets the field to the index of one of three words. */
static const char *set_word(cmd_parms *cmd, const char *arg, const char *const words[3], int *field)
{
    int i;

    for (i = 0; i < 3; i++) {
        if (ap_cstr_casecmp(arg, words[i]) == 0) {
            *field = i;
            return NULL;
        }
    }
    return apr_psprintf(cmd->pool, "%s: '%s' is none of %s, %s and %s", cmd->cmd->name, arg,
                        words[0], words[1], words[2]);
}

const char *eas_auth_set_armor(cmd_parms *cmd, void *dir, const char *arg)
{
    static const char *const words[] = { "Off", "Try", "Require" };

    return set_word(cmd, arg, words, &eas_auth_server_of(cmd->server)->armor);
}

const char *eas_auth_set_password_change(cmd_parms *cmd, void *dir, const char *arg)
{
    static const char *const words[] = { "Off", "expired", "On" };

    return set_word(cmd, arg, words, &eas_auth_server_of(cmd->server)->password_change);
}

const char *eas_auth_set_password_expired(cmd_parms *cmd, void *dir, const char *arg)
{
    if (!eas_site_is_link(arg)) {
        return apr_psprintf(cmd->pool, "%s: '%s' is no URL that begins with https://, http:// or /",
                            cmd->cmd->name, arg);
    }
    eas_auth_server_of(cmd->server)->password_expired = arg;
    return NULL;
}

const char *eas_auth_set_kdc_timeout(cmd_parms *cmd, void *dir, const char *arg)
{
    struct eas_auth_server *conf = eas_auth_server_of(cmd->server);
    const char *error = set_duration(cmd, arg, &conf->kdc_timeout);

    if (error == NULL && conf->kdc_timeout < apr_time_from_msec(100)) {
        error = apr_psprintf(cmd->pool, "%s: must be at least 100ms", cmd->cmd->name);
    }
    return error;
}

static const char *set_duration_or_off(cmd_parms *cmd, const char *arg, apr_interval_time_t *field)
{
    if (ap_cstr_casecmp(arg, "off") == 0) {
        *field = 0;
        return NULL;
    }
    return set_duration(cmd, arg, field);
}

const char *eas_auth_set_password_cache(cmd_parms *cmd, void *dir, const char *arg)
{
    return set_duration_or_off(cmd, arg, &eas_auth_server_of(cmd->server)->password_cache);
}

const char *eas_auth_set_password_warn(cmd_parms *cmd, void *dir, const char *arg)
{
    return set_duration_or_off(cmd, arg, &eas_auth_server_of(cmd->server)->password_warn);
}

const char *eas_auth_set_known_passwords(cmd_parms *cmd, void *dir, const char *arg)
{
    return set_duration_or_off(cmd, arg, &eas_auth_server_of(cmd->server)->known_passwords);
}

const char *eas_auth_set_bad_password_memory(cmd_parms *cmd, void *dir, const char *arg)
{
    return set_duration_or_off(cmd, arg, &eas_auth_server_of(cmd->server)->bad_password_memory);
}

/* A number from 1 to 998, since the highest threshold of AD is 999. */
static bool parse_failures(const char *text, int *number)
{
    apr_int64_t value;
    char *end;

    if (!apr_isdigit(*text)) {
        return false;
    }
    value = apr_strtoi64(text, &end, 10);
    *number = (int)value;
    return *end == '\0' && value >= 1 && value < 999;
}

static bool parse_lockout_option(const char *text, struct eas_auth_server *conf)
{
    static const char gateways[] = "gateways=";

    if (ap_cstr_casecmp(text, "log-only") == 0) {
        conf->lockout_log_only = true;
        return true;
    }
    return ap_cstr_casecmpn(text, gateways, sizeof(gateways) - 1) == 0
           && parse_failures(text + sizeof(gateways) - 1, &conf->lockout_gateways);
}

/* The reason why the word in question is refused, or NULL. */
static const char *parse_lockout(int argc, char *const argv[], struct eas_auth_server *conf,
                                 const char **word)
{
    int i;

    *word = argc > 0 ? argv[0] : "";
    if (argc < 2) {
        return "lacks the time in which wrong passwords count";
    }
    if (!parse_failures(argv[0], &conf->lockout_failures)) {
        return "is no number of wrong passwords from 1 to 998";
    }
    *word = argv[1];
    if (!eas_duration_parse(argv[1], &conf->lockout_window)
        || conf->lockout_window < apr_time_from_sec(1)) {
        return "is no duration of a second or more";
    }
    for (i = 2; i < argc; i++) {
        *word = argv[i];
        if (!parse_lockout_option(argv[i], conf)) {
            return "is neither log-only nor gateways=n";
        }
    }
    return NULL;
}

const char *eas_auth_set_lockout(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    struct eas_auth_server *conf = eas_auth_server_of(cmd->server);
    const char *reason, *word;

    conf->lockout_log_only = false;
    conf->lockout_gateways = 0;
    if (argc == 1 && ap_cstr_casecmp(argv[0], "off") == 0) {
        conf->lockout_failures = 0;
        conf->lockout_window = 0;
        return NULL;
    }
    reason = parse_lockout(argc, argv, conf, &word);
    if (reason != NULL) {
        return apr_psprintf(cmd->pool,
                            "%s: '%s' %s; the directive takes how many wrong passwords may reach "
                            "Active Directory within which time, for example %s 3 30m; or off",
                            cmd->cmd->name, word, reason, cmd->cmd->name);
    }
    if (conf->lockout_gateways > conf->lockout_failures) {
        return apr_psprintf(cmd->pool,
                            "%s: %d gateways cannot share %d wrong passwords, because each counts "
                            "its own share; set at least two for each gateway",
                            cmd->cmd->name, conf->lockout_gateways, conf->lockout_failures);
    }
    return NULL;
}

const char *eas_auth_set_cache(cmd_parms *cmd, void *dir, const char *arg)
{
    struct eas_shared_conf *conf = &eas_auth_server_of(cmd->server)->shared;
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY), *colon = ap_strchr_c(arg, ':');

    if (error != NULL) {
        return error;
    }
    if (strcmp(arg, "shmcb") == 0) {
        conf->provider_name = NULL;
        return NULL;
    }
    conf->provider_name =
        colon != NULL ? apr_pstrmemdup(cmd->pool, arg, (apr_size_t)(colon - arg)) : arg;
    conf->provider_args = colon != NULL ? colon + 1 : NULL;
    if (strcmp(conf->provider_name, "shmcb") == 0) {
        return apr_psprintf(cmd->pool,
                            "%s: shmcb takes no arguments here: it means the module's own shared "
                            "memory, which is kept over graceful restarts",
                            cmd->cmd->name);
    }
    return NULL;
}

const char *eas_auth_set_secret_file(cmd_parms *cmd, void *dir, const char *arg)
{
    struct eas_shared_conf *conf = &eas_auth_server_of(cmd->server)->shared;
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (error == NULL) {
        if (conf->secret_files == NULL) {
            conf->secret_files = apr_array_make(cmd->pool, 2, sizeof(const char *));
        }
        APR_ARRAY_PUSH(conf->secret_files, const char *) = ap_server_root_relative(cmd->pool, arg);
    }
    return error;
}

const char *eas_auth_set_event_log(cmd_parms *cmd, void *dir, const char *arg)
{
    if (*arg == '\0' || strcmp(arg, "|") == 0) {
        return apr_psprintf(cmd->pool,
                            "%s: takes a file, or a program such as \"|/usr/bin/rotatelogs …\"",
                            cmd->cmd->name);
    }
    eas_auth_server_of(cmd->server)->event_log = eas_events_log_make(cmd->pool, arg);
    return NULL;
}

const char *eas_auth_set_password_provider(cmd_parms *cmd, void *dir, const char *arg)
{
    struct eas_auth_server *conf = eas_auth_server_of(cmd->server);
    const authn_provider *provider =
        ap_lookup_provider(AUTHN_PROVIDER_GROUP, arg, AUTHN_PROVIDER_VERSION);

    if (provider == NULL || provider->check_password == NULL) {
        return apr_psprintf(cmd->pool,
                            "%s: there is no authn provider %s that checks passwords; load its "
                            "module (mod_authn_%s, mod_authnz_%s) before this line",
                            cmd->cmd->name, arg, arg, arg);
    }
    if (conf->providers == NULL) {
        conf->providers = apr_array_make(cmd->pool, 2, sizeof(const char *));
    }
    APR_ARRAY_PUSH(conf->providers, const char *) = arg;
    return NULL;
}

const char *eas_auth_set_login_path(cmd_parms *cmd, void *dir, const char *arg)
{
    apr_size_t len = strlen(arg);

    if (arg[0] != '/' || len < 3 || arg[len - 1] != '/' || !eas_destination_is_local(arg)) {
        return apr_psprintf(cmd->pool,
                            "%s: '%s' must be a path of one segment at least, with a "
                            "slash at both ends, for example /eas-kcd/",
                            cmd->cmd->name, arg);
    }
    if (eas_auth_is_activesync_path(arg)) {
        return apr_psprintf(cmd->pool,
                            "%s: '%s' is below ActiveSync's path, where nobody gets a form; write "
                            "another path, for example /eas-kcd/",
                            cmd->cmd->name, arg);
    }
    eas_auth_server_of(cmd->server)->login_path = arg;
    return NULL;
}

const char *eas_auth_set_login_page(cmd_parms *cmd, void *dir, const char *arg)
{
    struct eas_auth_server *conf = eas_auth_server_of(cmd->server);

    if (conf->login_pages == NULL) {
        conf->login_pages = apr_array_make(cmd->pool, 1, sizeof(const char *));
    }
    APR_ARRAY_PUSH(conf->login_pages, const char *) =
        strcmp(arg, "builtin") == 0 ? "" : ap_server_root_relative(cmd->pool, arg);
    return NULL;
}

const char *eas_auth_set_login_languages(cmd_parms *cmd, void *dir, const char *arg)
{
    eas_auth_server_of(cmd->server)->login_languages = ap_server_root_relative(cmd->pool, arg);
    return NULL;
}

const char *eas_auth_set_login_info(cmd_parms *cmd, void *dir, const char *kind, const char *value)
{
    return eas_page_set_info(cmd, kind, value);
}

const char *eas_auth_set_session(cmd_parms *cmd, void *dir, const char *kind, const char *idle,
                                 const char *max)
{
    struct eas_auth_server *conf = eas_auth_server_of(cmd->server);
    bool is_private = ap_cstr_casecmp(kind, "private") == 0;
    struct eas_session_limits limits;
    const char *error;

    if (!is_private && ap_cstr_casecmp(kind, "public") != 0) {
        return apr_psprintf(cmd->pool, "%s: '%s' is neither public nor private", cmd->cmd->name,
                            kind);
    }
    error = set_duration(cmd, idle, &limits.idle);
    if (error == NULL) {
        error = set_duration(cmd, max, &limits.max);
    }
    if (error != NULL) {
        return error;
    }
    if (limits.idle < apr_time_from_sec(1)) {
        return apr_psprintf(cmd->pool, "%s: '%s' without use must be a second at least",
                            cmd->cmd->name, idle);
    }
    if (limits.max < limits.idle) {
        return apr_psprintf(cmd->pool,
                            "%s: '%s' at most is shorter than '%s' without use; write both, for "
                            "example %s %s 15m 8h",
                            cmd->cmd->name, max, idle, cmd->cmd->name, kind);
    }
    conf->limits[is_private] = limits;
    return NULL;
}

const char *eas_auth_set_session_cookie(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *p;

    for (p = arg; *p; p++) {
        if (!apr_isalnum(*p) && ap_strchr_c("-_.", *p) == NULL) {
            break;
        }
    }
    if (*p || p == arg) {
        return apr_psprintf(cmd->pool,
                            "%s: '%s' is no name for a cookie; letters, digits, '-', '_' "
                            "and '.'",
                            cmd->cmd->name, arg);
    }
    eas_auth_server_of(cmd->server)->session_cookie = arg;
    return NULL;
}

const char *eas_auth_set_challenge(cmd_parms *cmd, void *dir, const char *arg)
{
    static const char *const words[] = { "auto", "form", "basic" };

    return set_word(cmd, arg, words, &eas_auth_dir_of(cmd->context)->challenge);
}

const char *eas_auth_set_remote_user(cmd_parms *cmd, void *dir, const char *arg)
{
    static const char *const words[] = { "principal", "account", "upn" };

    return set_word(cmd, arg, words, &eas_auth_dir_of(cmd->context)->remote_user);
}

const char *eas_auth_set_form_for(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *error = NULL;

    eas_auth_dir_of(cmd->context)->form_for = ap_expr_parse_cmd(cmd, arg, 0, &error, NULL);
    return error == NULL ? NULL
                         : apr_psprintf(cmd->pool, "%s: cannot parse the expression '%s': %s",
                                        cmd->cmd->name, arg, error);
}

const char *eas_auth_set_always(cmd_parms *cmd, void *dir, int flag)
{
    eas_auth_dir_of(cmd->context)->always = flag;
    return NULL;
}

const char *eas_auth_set_require_tls(cmd_parms *cmd, void *dir, int flag)
{
    eas_auth_dir_of(cmd->context)->require_tls = flag;
    return NULL;
}

const char *eas_auth_set_strict_path(cmd_parms *cmd, void *dir, int flag)
{
    eas_auth_dir_of(cmd->context)->strict_path = flag;
    return NULL;
}

const char *eas_auth_set_negotiate(cmd_parms *cmd, void *dir, int flag)
{
    eas_auth_dir_of(cmd->context)->negotiate = flag;
    return NULL;
}

const char *eas_auth_set_parse_eas(cmd_parms *cmd, void *dir, const char *arg)
{
    static const char *const words[] = { "auto", "On", "Off" };

    return set_word(cmd, arg, words, &eas_auth_dir_of(cmd->context)->parse_eas);
}

static const char *set_backend_timeout(cmd_parms *cmd, const char *arg, apr_interval_time_t *field)
{
    if (!eas_duration_parse(arg, field) || *field < apr_time_from_sec(1)) {
        return apr_psprintf(cmd->pool,
                            "%s: '%s' is no duration of a second or more; write 120s, 15m or 1h",
                            cmd->cmd->name, arg);
    }
    return NULL;
}

const char *eas_auth_set_timeout(cmd_parms *cmd, void *dir, const char *arg)
{
    return set_backend_timeout(cmd, arg, &eas_auth_dir_of(cmd->context)->timeout);
}

const char *eas_auth_set_command_timeout(cmd_parms *cmd, void *dir, const char *command,
                                         const char *duration)
{
    struct eas_auth_dir *conf = eas_auth_dir_of(cmd->context);
    struct eas_timeout timeout = { command, 0 };
    const char *error;

    if (strcmp(command, "*") != 0 && !eas_query_is_command(command)) {
        return apr_psprintf(cmd->pool, "%s: '%s' is no ActiveSync command; write Ping, Sync or *",
                            cmd->cmd->name, command);
    }
    error = set_backend_timeout(cmd, duration, &timeout.timeout);
    if (error == NULL) {
        conf->command_timeouts = eas_timeouts_set(cmd->pool, conf->command_timeouts, timeout);
    }
    return error;
}
