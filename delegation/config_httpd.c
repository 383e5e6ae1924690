/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/config_httpd.c - the configuration of the back half */

#include "delegation/config_httpd.h"
#include "auth/request_httpd.h"
#include "auth/config_httpd.h"
#include "auth/shared/shared_httpd.h"
#include "delegation/proxy/outgoing_httpd.h"
#include "delegation/proxy/conn_pools_httpd.h"
#include "delegation/proxy/mod_proxy_httpd.h"
#include "delegation/kerberos/spn.h"

#include <apr_strings.h>
#include <http_core.h>

/* Bytes of service tickets that a child keeps, with their keys: about 15 000 of 4 KB each. */
#define TICKET_BYTES (128 * 1024 * 1024)

/* Bytes of a request kept to repeat it after a 401. */
#define DEFAULT_RETRY_BODY (128 * 1024)
#define RETRY_BODY_MAX (64 * 1024 * 1024)

#define DEFAULT_POOLS 64
#define POOLS_MAX 4096

struct eas_delegation_dir *eas_delegation_dir_create(apr_pool_t *pool)
{
    struct eas_delegation_dir *conf = apr_pcalloc(pool, sizeof(*conf));

    conf->delegate = -1;
    conf->transition = -1;
    conf->mutual = -1;
    conf->reuse = -1;
    conf->bind = -1;
    conf->retry_body = -1;
    return conf;
}

#define INHERIT_POINTER(field) conf->field = add->field != NULL ? add->field : base->field
#define INHERIT_NUMBER(field) conf->field = add->field >= 0 ? add->field : base->field

struct eas_delegation_dir *eas_delegation_dir_merge(apr_pool_t *pool,
                                                    const struct eas_delegation_dir *base,
                                                    const struct eas_delegation_dir *add)
{
    struct eas_delegation_dir *conf = eas_delegation_dir_create(pool);

    INHERIT_NUMBER(delegate);
    INHERIT_NUMBER(transition);
    INHERIT_NUMBER(mutual);
    INHERIT_NUMBER(reuse);
    INHERIT_NUMBER(bind);
    INHERIT_NUMBER(retry_body);
    INHERIT_POINTER(spn);
    INHERIT_POINTER(delegate_user);
    return conf;
}

bool eas_delegation_is_on(const struct eas_delegation_dir *conf)
{
    return conf->delegate == 1;
}

bool eas_delegation_transitions(const struct eas_delegation_dir *conf)
{
    return conf->transition == 1;
}

const char *eas_delegation_spn(const struct eas_delegation_dir *conf)
{
    return conf->spn != NULL ? conf->spn : "HTTP/%h";
}

bool eas_delegation_requires_mutual(const struct eas_delegation_dir *conf)
{
    return conf->mutual != 0;
}

bool eas_delegation_reuses(const struct eas_delegation_dir *conf)
{
    return conf->reuse != 0;
}

bool eas_delegation_binds(const struct eas_delegation_dir *conf)
{
    return conf->bind != 0;
}

apr_off_t eas_delegation_retry_body(const struct eas_delegation_dir *conf)
{
    return conf->retry_body >= 0 ? conf->retry_body : DEFAULT_RETRY_BODY;
}

const char *eas_delegation_set_delegate(cmd_parms *cmd, void *dir, int flag)
{
    (void)dir;
    eas_delegation_dir_of(cmd->context)->delegate = flag;
    return NULL;
}

const char *eas_delegation_set_spn(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *error = eas_spn_check(arg);

    (void)dir;
    if (error != NULL) {
        return apr_psprintf(cmd->pool, "%s: '%s' %s", cmd->cmd->name, arg, error);
    }
    eas_delegation_dir_of(cmd->context)->spn = arg;
    return NULL;
}

const char *eas_delegation_set_delegate_user(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *error = NULL;

    (void)dir;
    eas_delegation_dir_of(cmd->context)->delegate_user =
        ap_expr_parse_cmd(cmd, arg, AP_EXPR_FLAG_STRING_RESULT, &error, NULL);
    if (error != NULL) {
        return apr_psprintf(cmd->pool, "%s: cannot parse the expression '%s': %s", cmd->cmd->name,
                            arg, error);
    }
    return NULL;
}

const char *eas_delegation_set_transition(cmd_parms *cmd, void *dir, int flag)
{
    (void)dir;
    eas_delegation_dir_of(cmd->context)->transition = flag;
    return NULL;
}

const char *eas_delegation_set_mutual(cmd_parms *cmd, void *dir, const char *arg)
{
    bool required = ap_cstr_casecmp(arg, "required") == 0;

    (void)dir;
    if (!required && ap_cstr_casecmp(arg, "optional") != 0) {
        return apr_psprintf(cmd->pool, "%s: '%s' is neither required nor optional", cmd->cmd->name,
                            arg);
    }
    eas_delegation_dir_of(cmd->context)->mutual = required;
    return NULL;
}

const char *eas_delegation_set_reuse(cmd_parms *cmd, void *dir, int flag)
{
    (void)dir;
    eas_delegation_dir_of(cmd->context)->reuse = flag;
    return NULL;
}

const char *eas_delegation_set_bind(cmd_parms *cmd, void *dir, int flag)
{
    (void)dir;
    eas_delegation_dir_of(cmd->context)->bind = flag;
    return NULL;
}

/* A whole number from low to high, or false. */
static bool parse_number(const char *arg, apr_int64_t low, apr_int64_t high, apr_int64_t *out)
{
    char *end;

    *out = apr_strtoi64(arg, &end, 10);
    return *arg != '\0' && *end == '\0' && *out >= low && *out <= high;
}

const char *eas_delegation_set_retry_body(cmd_parms *cmd, void *dir, const char *arg)
{
    apr_int64_t bytes;

    (void)dir;
    if (!parse_number(arg, 0, RETRY_BODY_MAX, &bytes)) {
        return apr_psprintf(cmd->pool, "%s: '%s' is no number of bytes from 0 to %d",
                            cmd->cmd->name, arg, RETRY_BODY_MAX);
    }
    eas_delegation_dir_of(cmd->context)->retry_body = (apr_off_t)bytes;
    return NULL;
}

const char *eas_delegation_set_pools(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_int64_t n;

    (void)dir;
    if (error == NULL && !parse_number(arg, 1, POOLS_MAX, &n)) {
        error = apr_psprintf(cmd->pool, "%s: '%s' is no number from 1 to %d", cmd->cmd->name, arg,
                             POOLS_MAX);
    }
    if (error == NULL) {
        eas_delegation_server_of(cmd->server)->pools = (int)n;
    }
    return error;
}

static enum eas_rc check_section(const server_rec *s, const ap_conf_vector_t *section,
                                 struct eas_err *err)
{
    const struct eas_delegation_dir *conf = eas_delegation_dir_of(section);
    const char *target, *unfit;

    if (!eas_delegation_is_on(conf)) {
        return EAS_OK;
    }
    if (!eas_mod_proxy_is_loaded()) {
        return eas_fail(
            err, EAS_MISCONFIGURED, 3010,
            "EasKcdDelegate needs mod_proxy and mod_proxy_http: LoadModule proxy_module "
            "and LoadModule proxy_http_module (a2enmod proxy proxy_http)");
    }
    if (eas_auth_server_of(s)->keytab_path == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 3011,
                        "EasKcdDelegate needs EasKcdKeytab in its virtual host or outside");
    }
    if (conf->delegate_user != NULL && conf->transition == 0) {
        return eas_fail(err, EAS_MISCONFIGURED, 3012,
                        "EasKcdDelegateUser needs EasKcdProtocolTransition On");
    }
    target = eas_mod_proxy_mapping_of(section);
    unfit = target != NULL ? eas_mod_proxy_unfit(s, target) : NULL;
    if (unfit != NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 3013,
                        "EasKcdDelegate cannot send Kerberos tokens to %s; use an http or https "
                        "backend (over HTTP/2, one connection would carry many users, and Windows "
                        "refuses to authenticate there)",
                        unfit);
    }
    return EAS_OK;
}

/* The server's own section, every <Location> and <Directory>, and every <Proxy>. */
static enum eas_rc check_server(const server_rec *s, struct eas_err *err)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    const apr_array_header_t *lists[] = { core->sec_url, core->sec_dir, eas_mod_proxy_sections(s) };
    enum eas_rc rc = check_section(s, s->lookup_defaults, err);
    apr_size_t i;
    int j;

    for (i = 0; rc == EAS_OK && i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (j = 0; lists[i] != NULL && rc == EAS_OK && j < lists[i]->nelts; j++) {
            rc = check_section(s, APR_ARRAY_IDX(lists[i], j, ap_conf_vector_t *), err);
        }
    }
    return rc;
}

int eas_delegation_check_config(apr_pool_t *ptemp, server_rec *main_server)
{
    struct eas_err err;
    server_rec *s;

    (void)ptemp;
    for (s = main_server; s != NULL; s = s->next) {
        if (check_server(s, &err) != EAS_OK) {
            eas_log_startup(s, &err);
            return HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    return OK;
}

/* Servers that share a keytab and its use share the account, and with it TGT and tickets. */
static struct eas_kcd_principal *shared_account(server_rec *main_server, const server_rec *s)
{
    const struct eas_authority *authority = eas_auth_server_of(s)->authority;
    const server_rec *other;

    for (other = main_server; other != s; other = other->next) {
        const struct eas_authority *theirs = eas_auth_server_of(other)->authority;

        if (theirs != NULL && theirs->keytab == authority->keytab
            && theirs->kdc_timeout == authority->kdc_timeout
            && theirs->realms.domains == authority->realms.domains
            && strcmp(theirs->realms.default_realm, authority->realms.default_realm) == 0) {
            return eas_delegation_server_of(other)->account;
        }
    }
    return NULL;
}

void eas_delegation_post_config(apr_pool_t *pconf)
{
    eas_conn_pools_post_config(pconf);
}

void eas_delegation_child_init(apr_pool_t *pchild, server_rec *main_server,
                               struct eas_workers *kdcs)
{
    struct eas_kcd *kcd = eas_kcd_create(kdcs, eas_shared_cache(EAS_SHARED_TICKET), TICKET_BYTES);
    int pools = eas_delegation_server_of(main_server)->pools;
    server_rec *s;

    eas_outgoing_child_init();
    eas_conn_pools_child_init(pchild, main_server, pools > 0 ? pools : DEFAULT_POOLS);
    for (s = main_server; s != NULL; s = s->next) {
        const struct eas_authority *authority = eas_auth_server_of(s)->authority;
        struct eas_delegation_server *conf = eas_delegation_server_of(s);

        if (authority == NULL) {
            continue;
        }
        conf->account = shared_account(main_server, s);
        if (conf->account == NULL) {
            conf->account = eas_kcd_principal_create(kcd, authority->keytab, &authority->realms,
                                                     authority->kdc_timeout);
        }
    }
}

enum eas_rc eas_delegation_check_user(const server_rec *s, apr_pool_t *pool, const char *principal,
                                      apr_interval_time_t *waited, struct eas_err *err)
{
    struct eas_kcd_principal *account = eas_delegation_server_of(s)->account;
    const struct eas_authority *authority = eas_auth_server_of(s)->authority;
    const struct eas_identity *identity;
    enum eas_rc rc;

    if (account == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 2070, "no keytab to check accounts with");
    }
    rc = eas_identity_foreign(pool, principal, &authority->realms, &identity, err);
    return rc == EAS_OK ? eas_kcd_check_user(account, pool, &identity->login, waited, err) : rc;
}
