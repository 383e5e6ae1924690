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
#include <http_config.h>
#include <ap_expr.h>

/* EasKcdChallenge. */
enum eas_challenge { EAS_CHALLENGE_AUTO, EAS_CHALLENGE_FORM, EAS_CHALLENGE_BASIC };

/* EasKcdParseEas. */
enum eas_parse { EAS_PARSE_AUTO, EAS_PARSE_ON, EAS_PARSE_OFF };

/* The path of ActiveSync at Exchange.  IIS ignores its letter case. */
#define EAS_ACTIVESYNC_PATH "/Microsoft-Server-ActiveSync"

/*
 * Of a server.  NULL and -1 mean "not set", so that a section can set a default explicitly where it
 * inherits another value.  auth/start_httpd.c completes the record.
 */
struct eas_auth_server {
    const char *keytab_path;
    const char *principal;
    const char *realm;
    apr_array_header_t *domains; /* of struct eas_domain */
    apr_interval_time_t kdc_timeout;
    apr_interval_time_t password_cache;  /* 0: off */
    apr_interval_time_t known_passwords; /* 0: off */
    apr_interval_time_t bad_passwords;   /* 0: off */
    int lockout_failures;                /* 0: off; goes with the two below it */
    apr_interval_time_t lockout_window;
    bool lockout_log_only;
    apr_array_header_t *providers; /* of const char *; NULL: kdc */
    const char *login_path;
    const char *login_page; /* a file; "" is the built-in page */
    const char *session_cookie;
    struct eas_session_limits limits[2]; /* public, private; idle -1: not set */
    struct eas_shared_conf shared;       /* of the main server */

    /* Filled in after the configuration was read; NULL without a keytab. */
    struct eas_authority *authority;
    const struct eas_template *page;
    const char *vhost_key;               /* of this server in the keys of the password cache */
    struct eas_verifier *verifier;       /* of the child */
    apr_interval_time_t longest_session; /* over all servers: users are the same everywhere */
};

/* Of a directory. */
struct eas_auth_dir {
    int require_tls;
    int always;
    int challenge; /* enum eas_challenge */
    const ap_expr_info_t *form_for;
    int parse_eas;                        /* enum eas_parse */
    apr_array_header_t *command_timeouts; /* of auth/activesync/timeouts.h, or NULL */
};

/*
 * What the front asks of the back, given by mod_eas_kcd.c so that auth/ need not know delegation/:
 * whether a session may go on here when its evidence has ended, and whether the KDC still calls an
 * account good (EAS_FORBIDDEN if not; any other failure: it cannot say).  *waited is what the request
 * has waited for KDCs so far, and grows.
 */
struct eas_auth_callbacks {
    bool (*acts_without_evidence)(const request_rec *r);
    enum eas_rc (*check_account)(const server_rec *s, apr_pool_t *pool, const char *principal,
                                 apr_interval_time_t *waited, struct eas_err *err);
};

void eas_auth_set_callbacks(const struct eas_auth_callbacks *back);
const struct eas_auth_callbacks *eas_auth_callbacks(void);

struct eas_auth_server *eas_auth_server_create(apr_pool_t *pool);
struct eas_auth_server *eas_auth_server_merge(apr_pool_t *pool, const struct eas_auth_server *base,
                                              const struct eas_auth_server *add);
struct eas_auth_dir *eas_auth_dir_create(apr_pool_t *pool);
struct eas_auth_dir *eas_auth_dir_merge(apr_pool_t *pool, const struct eas_auth_dir *base,
                                        const struct eas_auth_dir *add);

/* Puts the defaults where nothing is set and a value must be found in place; after the merge. */
void eas_auth_server_complete(struct eas_auth_server *conf);

struct eas_auth_server *eas_auth_server_of(const server_rec *s);

/* The record of a section; one with nothing set for a section without directives of the module. */
struct eas_auth_dir *eas_auth_dir_of(const ap_conf_vector_t *per_dir_config);

/* The effective values: as configured, else the default. */
apr_interval_time_t eas_auth_kdc_timeout(const struct eas_auth_server *conf);
apr_interval_time_t eas_auth_password_cache(const struct eas_auth_server *conf);
struct eas_throttle_rules eas_auth_throttle_rules(const struct eas_auth_server *conf);
const char *eas_auth_session_cookie(const struct eas_auth_server *conf);
const char *eas_auth_login_path(const struct eas_auth_server *conf);
const struct eas_template *eas_auth_login_page(const struct eas_auth_server *conf);
bool eas_auth_requires_tls(const struct eas_auth_dir *conf);

/* The limits of public and private sessions; complete after eas_auth_server_complete(). */
const struct eas_session_limits *eas_auth_session_limits(const struct eas_auth_server *conf);

/* Whether the server can verify passwords, and so has a login form. */
bool eas_auth_serves_login(const struct eas_auth_server *conf);

/* Whether a path is EAS_ACTIVESYNC_PATH or below it; NULL is not. */
bool eas_auth_is_activesync_path(const char *path);

/* Whether requests for the path are read as ActiveSync's (EasKcdParseEas). */
bool eas_auth_is_activesync(const struct eas_auth_dir *conf, const char *path);

/* How long the backend may be silent (EasKcdCommandTimeout); NULL is an unknown command. */
apr_interval_time_t eas_auth_command_timeout(const struct eas_auth_dir *conf, const char *command);

#endif
