/* SPDX-License-Identifier: Apache-2.0 */
/* auth/config_httpd.h - configuration records of auth/: stored, merged, read */

#ifndef EAS_AUTH_CONFIG_HTTPD_H
#define EAS_AUTH_CONFIG_HTTPD_H

#include "auth/login/page.h"
#include "auth/login/session.h"
#include "auth/password/credentials.h"
#include "auth/password/throttle.h"
#include "auth/shared/shared_httpd.h"

#include <httpd.h>
#include <ap_expr.h>
#include <http_config.h>

/* EasKcdChallenge. */
enum eas_challenge { EAS_CHALLENGE_AUTO, EAS_CHALLENGE_FORM, EAS_CHALLENGE_BASIC };

/* EasKcdRemoteUser. */
enum eas_remote_user { EAS_REMOTE_USER_PRINCIPAL, EAS_REMOTE_USER_ACCOUNT, EAS_REMOTE_USER_UPN };

/* EasKcdPasswordChange. */
enum eas_change_mode { EAS_CHANGE_OFF, EAS_CHANGE_EXPIRED, EAS_CHANGE_ON };

/* EasKcdParseEas. */
enum eas_parse { EAS_PARSE_AUTO, EAS_PARSE_ON, EAS_PARSE_OFF };

/* The path of ActiveSync on Exchange.  IIS compares it without letter case. */
#define EAS_ACTIVESYNC_PATH "/Microsoft-Server-ActiveSync"

/*
 * The record of a server.  NULL and -1 mean "not set", so that a virtual host can set a default
 * explicitly where it inherits another value.
 */
struct eas_auth_server {
    const char *keytab_path;
    const char *principal;
    const char *realm;
    apr_array_header_t *domains;     /* of struct eas_domain */
    apr_array_header_t *groups;      /* of EasKcdGroup (auth/groups_httpd.c); or NULL */
    apr_array_header_t *group_rules; /* Require eas-group of this server alone; or NULL */
    apr_interval_time_t kdc_timeout;
    int armor;                               /* enum eas_armor_mode */
    apr_interval_time_t password_cache;      /* 0: off */
    apr_interval_time_t known_passwords;     /* 0: off */
    apr_interval_time_t bad_password_memory; /* 0: off */
    int lockout_failures;                    /* 0: off; -1: the three below are not set either */
    int lockout_gateways;                    /* that share these failures; 0: not declared */
    apr_interval_time_t lockout_window;
    bool lockout_log_only;
    apr_array_header_t *providers; /* of const char *; NULL: kdc */
    const char *login_path;
    apr_array_header_t *login_pages; /* of const char *: files; "" is the built-in page; or NULL */
    const char *login_languages;     /* a directory, or NULL */
    const char *login_logo;          /* a file, or NULL */
    struct eas_site site;            /* of EasKcdLoginInfo; start_httpd.c completes it */
    const char *session_cookie;
    struct eas_session_limits limits[2]; /* public, private; idle -1: not set */
    int password_change;                 /* enum eas_change_mode */
    apr_interval_time_t password_warn;   /* 0: off */
    const char *password_expired;        /* a URL; NULL: the form for changes */
    int log_names;
    struct eas_events_log *event_log; /* NULL: none */
    struct eas_shared_conf shared;    /* of the main server */

    /* Set by auth/start_httpd.c. */
    struct eas_authority *authority; /* NULL without a keytab */
    const struct eas_template *page;
    struct eas_bytes logo;               /* the file's content */
    const char *logo_type;               /* its media type */
    const char *vhost_key;               /* separates the cached passwords of servers; or NULL */
    struct eas_verifier *verifier;       /* of the child process */
    apr_interval_time_t longest_session; /* the maximum over all servers */
};

/* The record of a section; -1 and NULL mean "not set". */
struct eas_auth_dir {
    int require_tls;
    int always;
    int challenge; /* enum eas_challenge */
    const ap_expr_info_t *form_for;
    int remote_user; /* enum eas_remote_user */
    int parse_eas;   /* enum eas_parse */
    int strict_path;
    int negotiate;
    apr_interval_time_t timeout;          /* of what is no ActiveSync request */
    apr_array_header_t *command_timeouts; /* of auth/activesync/timeouts.h, or NULL */
};

struct eas_auth_server *eas_auth_server_create(apr_pool_t *pool);
struct eas_auth_server *eas_auth_server_merge(apr_pool_t *pool, const struct eas_auth_server *base,
                                              const struct eas_auth_server *add);
struct eas_auth_dir *eas_auth_dir_create(apr_pool_t *pool);
struct eas_auth_dir *eas_auth_dir_merge(apr_pool_t *pool, const struct eas_auth_dir *base,
                                        const struct eas_auth_dir *add);

/* Sets the session limits that are not set to their defaults.  For use after the merge. */
void eas_auth_server_complete(struct eas_auth_server *conf);

struct eas_auth_server *eas_auth_server_of(const server_rec *s);

/* The record of a section.  Without directives of the module it is one in which nothing is set. */
struct eas_auth_dir *eas_auth_dir_of(const ap_conf_vector_t *per_dir_config);

/* The effective values: as configured, else the default. */
apr_interval_time_t eas_auth_kdc_timeout(const struct eas_auth_server *conf);
enum eas_armor_mode eas_auth_armor(const struct eas_auth_server *conf);
enum eas_change_mode eas_auth_password_change(const struct eas_auth_server *conf);
apr_interval_time_t eas_auth_password_warn(const struct eas_auth_server *conf);
bool eas_auth_logs_names(const struct eas_auth_server *conf);
apr_interval_time_t eas_auth_password_cache(const struct eas_auth_server *conf);
struct eas_throttle_rules eas_auth_throttle_rules(const struct eas_auth_server *conf);
const char *eas_auth_session_cookie(const struct eas_auth_server *conf);
const char *eas_auth_login_path(const struct eas_auth_server *conf);
const struct eas_template *eas_auth_login_page(const struct eas_auth_server *conf);
bool eas_auth_requires_tls(const struct eas_auth_dir *conf);
bool eas_auth_is_strict_about_paths(const struct eas_auth_dir *conf);
bool eas_auth_negotiates(const struct eas_auth_dir *conf);
bool eas_auth_always_authenticates(const struct eas_auth_dir *conf);
enum eas_challenge eas_auth_challenge(const struct eas_auth_dir *conf);
enum eas_remote_user eas_auth_remote_user(const struct eas_auth_dir *conf);

/* The limits of public and private sessions, valid after eas_auth_server_complete(). */
const struct eas_session_limits *eas_auth_session_limits(const struct eas_auth_server *conf);

/* Whether the server can verify passwords, and therefore has a login form. */
bool eas_auth_serves_login(const struct eas_auth_server *conf);

/* Whether the KDC is the first or only provider, so that names are Active Directory's. */
bool eas_auth_asks_kdc_first(const struct eas_auth_server *conf);

/* Whether the login path has a form for changes of passwords: the KDC is one of the providers. */
bool eas_auth_serves_change(const struct eas_auth_server *conf);

/* Whether a path is EAS_ACTIVESYNC_PATH or below it; NULL is not. */
bool eas_auth_is_activesync_path(const char *path);

/* Whether a request for the path is an ActiveSync request (EasKcdParseEas). */
bool eas_auth_is_activesync(const struct eas_auth_dir *conf, const char *path);

/* The backend's time-out for a request that is not an ActiveSync request; 0: that of its worker. */
apr_interval_time_t eas_auth_timeout(const struct eas_auth_dir *conf);

/* The backend's time-out for the command (EasKcdCommandTimeout); NULL is an unknown command. */
apr_interval_time_t eas_auth_command_timeout(const struct eas_auth_dir *conf, const char *command);

/* Whether the backend may keep the command waiting (auth/activesync/timeouts.h). */
bool eas_auth_command_waits(const struct eas_auth_dir *conf, const char *command);

#endif
