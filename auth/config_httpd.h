/* SPDX-License-Identifier: Apache-2.0 */
/* auth/config_httpd.h - the configuration of the front half */

#ifndef EAS_AUTH_CONFIG_HTTPD_H
#define EAS_AUTH_CONFIG_HTTPD_H

#include "auth/memory.h"
#include "auth/password.h"

#include <httpd.h>
#include <http_config.h>

/*
 * Of a server; made by httpd's create and merge, completed by eas_auth_prepare() and by
 * eas_auth_child_init().  NULL and -1 mean "not set", so that a default can be set explicitly inside
 * a section that inherits something else.
 */
struct eas_auth_server {
    const char *keytab_path;
    const char *principal;
    const char *realm;
    apr_array_header_t *domains; /* of struct eas_domain */
    apr_interval_time_t kdc_timeout;
    apr_interval_time_t password_cache; /* 0: off */

    /* Filled in after the configuration was read; NULL without a keytab. */
    struct eas_authority *authority;
    const char *scope; /* tells this server's remembered passwords from others' */
    struct eas_memory *memory;
};

/* Of a directory. */
struct eas_auth_dir {
    int require_tls;
};

struct eas_auth_server *eas_auth_server_create(apr_pool_t *pool);
struct eas_auth_server *eas_auth_server_merge(apr_pool_t *pool, const struct eas_auth_server *base,
                                              const struct eas_auth_server *add);
struct eas_auth_dir *eas_auth_dir_create(apr_pool_t *pool);
struct eas_auth_dir *eas_auth_dir_merge(apr_pool_t *pool, const struct eas_auth_dir *base,
                                        const struct eas_auth_dir *add);

/* Given by mod_eas_kcd.c, which owns the module's configuration records. */
struct eas_auth_server *eas_auth_server_of(const server_rec *s);
struct eas_auth_dir *eas_auth_dir_of(const ap_conf_vector_t *per_dir_config);

/* The effective values of what was not set. */
apr_interval_time_t eas_auth_password_cache(const struct eas_auth_server *conf);
bool eas_auth_requires_tls(const struct eas_auth_dir *conf);

/*
 * Reads every keytab, as root where httpd was started as root, and completes the servers' records;
 * static, so that `httpd -t` does it too.  OK, or HTTP_INTERNAL_SERVER_ERROR after having logged.
 */
int eas_auth_prepare(apr_pool_t *pconf, server_rec *main_server);

/* Per child: the memory of proved passwords. */
void eas_auth_child_init(apr_pool_t *pchild, server_rec *main_server);

/* Handlers of auth/directives.def. */
const char *eas_auth_set_keytab(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_principal(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_realm(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_domain(cmd_parms *cmd, void *dir, const char *name, const char *realm);
const char *eas_auth_set_kdc_timeout(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_password_cache(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_require_tls(cmd_parms *cmd, void *dir, int flag);

#endif
