/* SPDX-License-Identifier: Apache-2.0 */
/* auth/config_httpd.c - configuration records of auth/: stored, merged, read */

#include "auth/config_httpd.h"
#include "auth/activesync/timeouts.h"
#include "auth/base/module_httpd.h"

#include <apr_strings.h>
#include <string.h>

#define SECONDS(n) apr_time_from_sec(n)
#define MINUTES(n) SECONDS((n)*60)
#define HOURS(n) MINUTES((n)*60)
#define DAYS(n) HOURS((n)*24)

/*
 * The defaults, each named after its directive; directives.def has their text.  That of
 * EasKcdCommandTimeout is in auth/activesync/timeouts.c.
 */
#define DEFAULT_KDC_TIMEOUT SECONDS(5)
#define DEFAULT_ARMOR EAS_ARMOR_TRY
#define DEFAULT_PASSWORD_CACHE MINUTES(5)
#define DEFAULT_KNOWN_PASSWORDS DAYS(30)
#define DEFAULT_BAD_PASSWORD_MEMORY MINUTES(15)
#define DEFAULT_LOCKOUT_FAILURES 3
#define DEFAULT_LOCKOUT_WINDOW MINUTES(30)
#define DEFAULT_PASSWORD_CHANGE EAS_CHANGE_EXPIRED
#define DEFAULT_PASSWORD_WARN DAYS(14)
#define DEFAULT_LOG_NAMES 0
#define DEFAULT_REQUIRE_TLS 1
#define DEFAULT_LOGIN_PATH "/eas-kcd/"
/* The limits of Exchange's own form. */
#define DEFAULT_SESSION_PUBLIC MINUTES(15), HOURS(8)
#define DEFAULT_SESSION_PRIVATE HOURS(8), HOURS(24)
#define DEFAULT_SESSION_COOKIE "__Host-eas-kcd"
#define DEFAULT_CHALLENGE EAS_CHALLENGE_AUTO
#define DEFAULT_ALWAYS_AUTHENTICATE 0
#define DEFAULT_REMOTE_USER EAS_REMOTE_USER_PRINCIPAL
#define DEFAULT_PARSE_EAS EAS_PARSE_AUTO
#define DEFAULT_STRICT_PATH 1
#define DEFAULT_NEGOTIATE 0

/* A section in which no directive of the module stands has no record. */
static struct eas_auth_dir unset_dir = { .require_tls = -1,
                                         .always = -1,
                                         .challenge = -1,
                                         .remote_user = -1,
                                         .parse_eas = -1,
                                         .strict_path = -1,
                                         .negotiate = -1,
                                         .timeout = -1 };

struct eas_auth_server *eas_auth_server_of(const server_rec *s)
{
    return eas_module_server_of(s)->auth;
}

struct eas_auth_dir *eas_auth_dir_of(const ap_conf_vector_t *per_dir_config)
{
    struct eas_module_dir *dir = eas_module_dir_of(per_dir_config);

    return dir != NULL ? dir->auth : &unset_dir;
}

struct eas_auth_server *eas_auth_server_create(apr_pool_t *pool)
{
    struct eas_auth_server *conf = apr_pcalloc(pool, sizeof(*conf));

    conf->kdc_timeout = -1;
    conf->armor = -1;
    conf->log_names = -1;
    conf->password_change = -1;
    conf->password_warn = -1;
    conf->password_cache = -1;
    conf->known_passwords = -1;
    conf->bad_password_memory = -1;
    conf->lockout_failures = -1;
    conf->limits[0].idle = conf->limits[1].idle = -1;
    return conf;
}

#define INHERIT_POINTER(field) conf->field = add->field != NULL ? add->field : base->field
#define INHERIT_NUMBER(field) conf->field = add->field >= 0 ? add->field : base->field

#define INHERIT_LIST(field)                                             \
    conf->field = add->field != NULL && base->field != NULL             \
                      ? apr_array_append(pool, add->field, base->field) \
                  : add->field != NULL ? add->field                     \
                                       : base->field

/* Failures, window and mode are one setting. */
static void inherit_lockout(struct eas_auth_server *conf, const struct eas_auth_server *from)
{
    conf->lockout_failures = from->lockout_failures;
    conf->lockout_window = from->lockout_window;
    conf->lockout_gateways = from->lockout_gateways;
    conf->lockout_log_only = from->lockout_log_only;
}

struct eas_auth_server *eas_auth_server_merge(apr_pool_t *pool, const struct eas_auth_server *base,
                                              const struct eas_auth_server *add)
{
    struct eas_auth_server *conf = eas_auth_server_create(pool);
    int i;

    INHERIT_POINTER(keytab_path);
    INHERIT_POINTER(principal);
    INHERIT_POINTER(realm);
    INHERIT_NUMBER(kdc_timeout);
    INHERIT_NUMBER(armor);
    INHERIT_NUMBER(log_names);
    INHERIT_NUMBER(password_change);
    INHERIT_NUMBER(password_warn);
    INHERIT_POINTER(password_expired);
    INHERIT_NUMBER(password_cache);
    INHERIT_NUMBER(known_passwords);
    INHERIT_NUMBER(bad_password_memory);
    inherit_lockout(conf, add->lockout_failures >= 0 ? add : base);
    INHERIT_POINTER(providers);
    INHERIT_POINTER(login_path);
    INHERIT_POINTER(login_pages);
    INHERIT_POINTER(login_languages);
    INHERIT_POINTER(login_logo);
    INHERIT_POINTER(site.organization);
    INHERIT_POINTER(site.help);
    INHERIT_POINTER(site.privacy);
    INHERIT_POINTER(session_cookie);
    INHERIT_POINTER(event_log);
    for (i = 0; i < 2; i++) {
        conf->limits[i] = add->limits[i].idle >= 0 ? add->limits[i] : base->limits[i];
    }
    INHERIT_LIST(domains);
    INHERIT_LIST(groups);
    conf->group_rules = add->group_rules;
    return conf;
}

struct eas_auth_dir *eas_auth_dir_create(apr_pool_t *pool)
{
    return apr_pmemdup(pool, &unset_dir, sizeof(unset_dir));
}

struct eas_auth_dir *eas_auth_dir_merge(apr_pool_t *pool, const struct eas_auth_dir *base,
                                        const struct eas_auth_dir *add)
{
    struct eas_auth_dir *conf = eas_auth_dir_create(pool);

    INHERIT_NUMBER(require_tls);
    INHERIT_NUMBER(always);
    INHERIT_NUMBER(challenge);
    INHERIT_POINTER(form_for);
    INHERIT_NUMBER(remote_user);
    INHERIT_NUMBER(parse_eas);
    INHERIT_NUMBER(strict_path);
    INHERIT_NUMBER(negotiate);
    INHERIT_NUMBER(timeout);
    conf->command_timeouts =
        eas_timeouts_merge(pool, base->command_timeouts, add->command_timeouts);
    return conf;
}

apr_interval_time_t eas_auth_kdc_timeout(const struct eas_auth_server *conf)
{
    return conf->kdc_timeout >= 0 ? conf->kdc_timeout : DEFAULT_KDC_TIMEOUT;
}

apr_interval_time_t eas_auth_password_cache(const struct eas_auth_server *conf)
{
    return conf->password_cache >= 0 ? conf->password_cache : DEFAULT_PASSWORD_CACHE;
}

struct eas_throttle_rules eas_auth_throttle_rules(const struct eas_auth_server *conf)
{
    struct eas_throttle_rules rules = { .count_unknown_users = true, .charge_unknown_users = true };
    bool is_set = conf->lockout_failures >= 0;
    int last = conf->providers != NULL ? conf->providers->nelts - 1 : -1;

    rules.gateways = conf->lockout_gateways > 0 ? (unsigned)conf->lockout_gateways : 1;
    rules.lockout.failures =
        (is_set ? (unsigned)conf->lockout_failures : DEFAULT_LOCKOUT_FAILURES) / rules.gateways;
    rules.lockout.window = is_set ? conf->lockout_window : DEFAULT_LOCKOUT_WINDOW;
    rules.lockout.log_only = is_set && conf->lockout_log_only;
    rules.lockout.remember_for =
        conf->bad_password_memory >= 0 ? conf->bad_password_memory : DEFAULT_BAD_PASSWORD_MEMORY;
    rules.known_for = conf->known_passwords >= 0 ? conf->known_passwords : DEFAULT_KNOWN_PASSWORDS;
    rules.cache_for = eas_auth_password_cache(conf);
    if (last >= 0) {
        rules.count_unknown_users = rules.charge_unknown_users =
            strcmp(APR_ARRAY_IDX(conf->providers, last, const char *), "kdc") == 0;
    }
    return rules;
}

void eas_auth_server_complete(struct eas_auth_server *conf)
{
    static const struct eas_session_limits defaults[2] = {
        { DEFAULT_SESSION_PUBLIC },
        { DEFAULT_SESSION_PRIVATE },
    };
    int i;

    for (i = 0; i < 2; i++) {
        if (conf->limits[i].idle < 0) {
            conf->limits[i] = defaults[i];
        }
    }
}

const struct eas_session_limits *eas_auth_session_limits(const struct eas_auth_server *conf)
{
    return conf->limits;
}

const char *eas_auth_session_cookie(const struct eas_auth_server *conf)
{
    return conf->session_cookie != NULL ? conf->session_cookie : DEFAULT_SESSION_COOKIE;
}

const char *eas_auth_login_path(const struct eas_auth_server *conf)
{
    return conf->login_path != NULL ? conf->login_path : DEFAULT_LOGIN_PATH;
}

const struct eas_template *eas_auth_login_page(const struct eas_auth_server *conf)
{
    return conf->page;
}

bool eas_auth_serves_login(const struct eas_auth_server *conf)
{
    return conf->keytab_path != NULL || conf->providers != NULL;
}

bool eas_auth_asks_kdc_first(const struct eas_auth_server *conf)
{
    return conf->providers == NULL
           || strcmp(APR_ARRAY_IDX(conf->providers, 0, const char *), "kdc") == 0;
}

bool eas_auth_requires_tls(const struct eas_auth_dir *conf)
{
    return conf->require_tls >= 0 ? conf->require_tls : DEFAULT_REQUIRE_TLS;
}

bool eas_auth_negotiates(const struct eas_auth_dir *conf)
{
    return (conf->negotiate >= 0 ? conf->negotiate : DEFAULT_NEGOTIATE) != 0;
}

bool eas_auth_always_authenticates(const struct eas_auth_dir *conf)
{
    return conf->always >= 0 ? conf->always : DEFAULT_ALWAYS_AUTHENTICATE;
}

enum eas_armor_mode eas_auth_armor(const struct eas_auth_server *conf)
{
    return conf->armor >= 0 ? (enum eas_armor_mode)conf->armor : DEFAULT_ARMOR;
}

enum eas_change_mode eas_auth_password_change(const struct eas_auth_server *conf)
{
    return conf->password_change >= 0 ? (enum eas_change_mode)conf->password_change
                                      : DEFAULT_PASSWORD_CHANGE;
}

apr_interval_time_t eas_auth_password_warn(const struct eas_auth_server *conf)
{
    return conf->password_warn >= 0 ? conf->password_warn : DEFAULT_PASSWORD_WARN;
}

bool eas_auth_serves_change(const struct eas_auth_server *conf)
{
    bool asks_kdc = conf->providers == NULL;
    int i;

    for (i = 0; !asks_kdc && i < conf->providers->nelts; i++) {
        asks_kdc = strcmp(APR_ARRAY_IDX(conf->providers, i, const char *), "kdc") == 0;
    }
    return asks_kdc && conf->authority != NULL && conf->password_expired == NULL
           && eas_auth_password_change(conf) != EAS_CHANGE_OFF;
}

bool eas_auth_logs_names(const struct eas_auth_server *conf)
{
    return (conf->log_names >= 0 ? conf->log_names : DEFAULT_LOG_NAMES) != 0;
}

enum eas_challenge eas_auth_challenge(const struct eas_auth_dir *conf)
{
    return conf->challenge >= 0 ? (enum eas_challenge)conf->challenge : DEFAULT_CHALLENGE;
}

enum eas_remote_user eas_auth_remote_user(const struct eas_auth_dir *conf)
{
    return conf->remote_user >= 0 ? (enum eas_remote_user)conf->remote_user : DEFAULT_REMOTE_USER;
}

bool eas_auth_is_activesync_path(const char *path)
{
    const apr_size_t len = sizeof(EAS_ACTIVESYNC_PATH) - 1;

    return path != NULL && ap_cstr_casecmpn(path, EAS_ACTIVESYNC_PATH, len) == 0
           && (path[len] == '\0' || path[len] == '/');
}

bool eas_auth_is_activesync(const struct eas_auth_dir *conf, const char *path)
{
    int mode = conf->parse_eas >= 0 ? conf->parse_eas : DEFAULT_PARSE_EAS;

    return mode == EAS_PARSE_ON || (mode == EAS_PARSE_AUTO && eas_auth_is_activesync_path(path));
}

apr_interval_time_t eas_auth_timeout(const struct eas_auth_dir *conf)
{
    return conf->timeout >= 0 ? conf->timeout : 0;
}

apr_interval_time_t eas_auth_command_timeout(const struct eas_auth_dir *conf, const char *command)
{
    return eas_timeouts_find(conf->command_timeouts, command);
}

bool eas_auth_command_waits(const struct eas_auth_dir *conf, const char *command)
{
    return eas_timeouts_waits(conf->command_timeouts, command);
}

bool eas_auth_is_strict_about_paths(const struct eas_auth_dir *conf)
{
    return (conf->strict_path >= 0 ? conf->strict_path : DEFAULT_STRICT_PATH) != 0;
}
