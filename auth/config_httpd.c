/* SPDX-License-Identifier: Apache-2.0 */
/* auth/config_httpd.c - the configuration of the front half */

#include "auth/config_httpd.h"
#include "auth/base_httpd.h"
#include "auth/duration.h"
#include "auth/kdc.h"

#include <apr_strings.h>

/* Bytes of proved passwords and their evidence that a child remembers; about 15 000 users. */
#define MEMORY_BYTES (64 * 1024 * 1024)

#define DEFAULT_KDC_TIMEOUT apr_time_from_sec(5)
#define DEFAULT_PASSWORD_CACHE apr_time_from_sec(300)

struct eas_auth_server *eas_auth_server_create(apr_pool_t *pool)
{
    struct eas_auth_server *conf = apr_pcalloc(pool, sizeof(*conf));

    conf->kdc_timeout = -1;
    conf->password_cache = -1;
    return conf;
}

#define INHERIT_POINTER(field) conf->field = add->field != NULL ? add->field : base->field
#define INHERIT_NUMBER(field) conf->field = add->field >= 0 ? add->field : base->field

struct eas_auth_server *eas_auth_server_merge(apr_pool_t *pool, const struct eas_auth_server *base,
                                              const struct eas_auth_server *add)
{
    struct eas_auth_server *conf = eas_auth_server_create(pool);

    INHERIT_POINTER(keytab_path);
    INHERIT_POINTER(principal);
    INHERIT_POINTER(realm);
    INHERIT_NUMBER(kdc_timeout);
    INHERIT_NUMBER(password_cache);
    if (add->domains != NULL && base->domains != NULL) {
        conf->domains = apr_array_append(pool, add->domains, base->domains);
    }
    else {
        INHERIT_POINTER(domains);
    }
    return conf;
}

struct eas_auth_dir *eas_auth_dir_create(apr_pool_t *pool)
{
    struct eas_auth_dir *conf = apr_pcalloc(pool, sizeof(*conf));

    conf->require_tls = -1;
    return conf;
}

struct eas_auth_dir *eas_auth_dir_merge(apr_pool_t *pool, const struct eas_auth_dir *base,
                                        const struct eas_auth_dir *add)
{
    struct eas_auth_dir *conf = eas_auth_dir_create(pool);

    INHERIT_NUMBER(require_tls);
    return conf;
}

apr_interval_time_t eas_auth_password_cache(const struct eas_auth_server *conf)
{
    return conf->password_cache >= 0 ? conf->password_cache : DEFAULT_PASSWORD_CACHE;
}

bool eas_auth_requires_tls(const struct eas_auth_dir *conf)
{
    return conf->require_tls != 0;
}

const char *eas_auth_set_keytab(cmd_parms *cmd, void *dir, const char *arg)
{
    (void)dir;
    eas_auth_server_of(cmd->server)->keytab_path = ap_server_root_relative(cmd->pool, arg);
    return NULL;
}

const char *eas_auth_set_principal(cmd_parms *cmd, void *dir, const char *arg)
{
    (void)dir;
    eas_auth_server_of(cmd->server)->principal = arg;
    return NULL;
}

const char *eas_auth_set_realm(cmd_parms *cmd, void *dir, const char *arg)
{
    (void)dir;
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

    (void)dir;
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

static const char *set_duration(cmd_parms *cmd, const char *arg, apr_interval_time_t *field)
{
    if (!eas_duration_parse(arg, field)) {
        return apr_psprintf(cmd->pool, "%s: '%s' is no duration; write 30, 500ms, 15m, 8h or 30d",
                            cmd->cmd->name, arg);
    }
    return NULL;
}

const char *eas_auth_set_kdc_timeout(cmd_parms *cmd, void *dir, const char *arg)
{
    struct eas_auth_server *conf = eas_auth_server_of(cmd->server);
    const char *error = set_duration(cmd, arg, &conf->kdc_timeout);

    (void)dir;
    if (error == NULL && conf->kdc_timeout < apr_time_from_msec(100)) {
        error = apr_psprintf(cmd->pool, "%s: must be at least 100ms", cmd->cmd->name);
    }
    return error;
}

const char *eas_auth_set_password_cache(cmd_parms *cmd, void *dir, const char *arg)
{
    struct eas_auth_server *conf = eas_auth_server_of(cmd->server);

    (void)dir;
    if (ap_cstr_casecmp(arg, "off") == 0) {
        conf->password_cache = 0;
        return NULL;
    }
    return set_duration(cmd, arg, &conf->password_cache);
}

const char *eas_auth_set_require_tls(cmd_parms *cmd, void *dir, int flag)
{
    (void)dir;
    eas_auth_dir_of(cmd->context)->require_tls = flag;
    return NULL;
}

/* Servers that name the same keytab and principal share what was read. */
static struct eas_keytab *shared_keytab(server_rec *main_server, const server_rec *s)
{
    const struct eas_auth_server *conf = eas_auth_server_of(s);
    const server_rec *other;

    for (other = main_server; other != s; other = other->next) {
        const struct eas_auth_server *theirs = eas_auth_server_of(other);

        if (theirs->authority != NULL && strcmp(theirs->keytab_path, conf->keytab_path) == 0
            && (theirs->principal == conf->principal
                || (theirs->principal != NULL && conf->principal != NULL
                    && strcmp(theirs->principal, conf->principal) == 0))) {
            return theirs->authority->keytab;
        }
    }
    return NULL;
}

static enum eas_rc prepare_server(apr_pool_t *pconf, server_rec *main_server, server_rec *s,
                                  struct eas_err *err)
{
    struct eas_auth_server *conf = eas_auth_server_of(s);
    struct eas_authority *authority;
    enum eas_rc rc = EAS_OK;

    if (conf->keytab_path == NULL) {
        return EAS_OK;
    }
    authority = apr_pcalloc(pconf, sizeof(*authority));
    authority->kdc_timeout = conf->kdc_timeout >= 0 ? conf->kdc_timeout : DEFAULT_KDC_TIMEOUT;
    authority->realms.domains = conf->domains;
    authority->realms.default_realm = conf->realm;
    authority->keytab = shared_keytab(main_server, s);
    if (authority->keytab == NULL) {
        rc = eas_keytab_load(pconf, conf->keytab_path, conf->principal, &authority->keytab, err);
    }
    if (rc == EAS_OK && conf->realm == NULL) {
        rc = eas_kdc_default_realm(pconf, &authority->realms.default_realm, err);
    }
    if (rc == EAS_OK) {
        conf->authority = authority;
        conf->scope = apr_psprintf(pconf, "%pp", (void *)s);
    }
    return rc;
}

int eas_auth_prepare(apr_pool_t *pconf, server_rec *main_server)
{
    struct eas_err err;
    server_rec *s;

    for (s = main_server; s != NULL; s = s->next) {
        if (prepare_server(pconf, main_server, s, &err) != EAS_OK) {
            eas_server_refuse(s, &err);
            return HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    return OK;
}

void eas_auth_child_init(apr_pool_t *pchild, server_rec *main_server)
{
    struct eas_memory *memory = NULL;
    struct eas_err err;
    server_rec *s;

    if (eas_memory_create(pchild, MEMORY_BYTES, &memory, &err) != EAS_OK) {
        eas_server_refuse(main_server, &err); /* goes on, asking the KDC every time */
    }
    for (s = main_server; s != NULL; s = s->next) {
        eas_auth_server_of(s)->memory = memory;
    }
}
