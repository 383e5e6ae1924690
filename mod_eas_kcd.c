/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_eas_kcd.c - the front door: the module's record, its hooks, the order of its start
 *
 * auth/ proves who asks, delegation/ acts for them; this file only strings the two together.
 */

#include "auth/authn_httpd.h"
#include "auth/request_httpd.h"
#include "auth/login/challenge_httpd.h"
#include "auth/config_httpd.h"
#include "auth/directives_httpd.h"
#include "auth/activesync/activesync_httpd.h"
#include "auth/activesync/rules_httpd.h"
#include "auth/login/login_httpd.h"
#include "auth/password/provider_httpd.h"
#include "delegation/proxy/outgoing_httpd.h"
#include "delegation/config_httpd.h"
#include "delegation/proxy/msexchange_httpd.h"
#include "delegation/proxy/delegate_httpd.h"
#include "delegation/proxy/poll_timeout_check_httpd.h"

/* The module's configuration of a directory and of a server: the two halves' side by side. */
struct dir_conf {
    struct eas_auth_dir *auth;
    struct eas_delegation_dir *kcd;
};

struct server_conf {
    struct eas_auth_server *auth;
    struct eas_delegation_server *kcd;
};

static void *dir_conf_create(apr_pool_t *pool, char *path)
{
    struct dir_conf *conf = apr_palloc(pool, sizeof(*conf));

    (void)path;
    conf->auth = eas_auth_dir_create(pool);
    conf->kcd = eas_delegation_dir_create(pool);
    return conf;
}

static void *dir_conf_merge(apr_pool_t *pool, void *basev, void *addv)
{
    struct dir_conf *conf = apr_palloc(pool, sizeof(*conf)), *base = basev, *add = addv;

    conf->auth = eas_auth_dir_merge(pool, base->auth, add->auth);
    conf->kcd = eas_delegation_dir_merge(pool, base->kcd, add->kcd);
    return conf;
}

static void *server_conf_create(apr_pool_t *pool, server_rec *s)
{
    struct server_conf *conf = apr_palloc(pool, sizeof(*conf));

    (void)s;
    conf->auth = eas_auth_server_create(pool);
    conf->kcd = apr_pcalloc(pool, sizeof(*conf->kcd));
    return conf;
}

static void *server_conf_merge(apr_pool_t *pool, void *basev, void *addv)
{
    struct server_conf *conf = apr_palloc(pool, sizeof(*conf)), *base = basev, *add = addv;

    conf->auth = eas_auth_server_merge(pool, base->auth, add->auth);
    conf->kcd = apr_pcalloc(pool, sizeof(*conf->kcd));
    return conf;
}

static struct server_conf *server_conf_of(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &eas_kcd_module);
}

struct eas_auth_server *eas_auth_server_of(const server_rec *s)
{
    return server_conf_of(s)->auth;
}

struct eas_delegation_server *eas_delegation_server_of(const server_rec *s)
{
    return server_conf_of(s)->kcd;
}

static struct dir_conf *dir_conf_of(const ap_conf_vector_t *per_dir_config)
{
    /* A section in which no directive of ours stands has no record of ours. */
    static struct eas_auth_dir no_auth = {
        .require_tls = -1, .always = -1, .challenge = -1, .parse_eas = -1
    };
    static struct eas_delegation_dir no_kcd = {
        .delegate = -1, .transition = -1, .mutual = -1, .reuse = -1, .bind = -1, .retry_body = -1
    };
    static struct dir_conf nothing = { &no_auth, &no_kcd };
    struct dir_conf *conf = ap_get_module_config(per_dir_config, &eas_kcd_module);

    return conf != NULL ? conf : &nothing;
}

struct eas_auth_dir *eas_auth_dir_of(const ap_conf_vector_t *per_dir_config)
{
    return dir_conf_of(per_dir_config)->auth;
}

struct eas_delegation_dir *eas_delegation_dir_of(const ap_conf_vector_t *per_dir_config)
{
    return dir_conf_of(per_dir_config)->kcd;
}

static const command_rec directives[] = {
#define EAS_DIRECTIVE(name, take, handler, context, syntax, preset, help) \
    take(name, handler, NULL, context, help),
#include "auth/directives.def"
#include "delegation/directives.def"
#undef EAS_DIRECTIVE
    { NULL }
};

/* Every LoadModule has been obeyed by now, whatever its order. */
static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)plog, (void)ptemp;
    eas_delegate_pre_config(pconf);
    return OK;
}

/*
 * All that can be judged without serving: here and not in post_config, so that `httpd -t`, which
 * ends before that, judges it too.  Runs as root where httpd is started as root.
 */
static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    int status = eas_delegation_check_config(ptemp, s);

    (void)plog;
    eas_poll_timeout_check(ptemp, s);
    return status == OK ? eas_auth_check_config(pconf, ptemp, s) : status;
}

/* Before the fork: what all children share. */
static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    (void)plog, (void)ptemp;
    eas_delegation_post_config(pconf);
    return eas_auth_post_config(pconf, s);
}

static void child_init(apr_pool_t *pchild, server_rec *s)
{
    eas_delegation_child_init(pchild, s, eas_auth_child_init(pchild, s));
}

/* What the front half asks of the back half. */
static bool acts_without_evidence(const request_rec *r)
{
    return eas_delegation_transitions(dir_conf_of(r->per_dir_config)->kcd);
}

static const struct eas_auth_callbacks back = { acts_without_evidence, eas_delegation_check_user };

static void register_hooks(apr_pool_t *pool)
{
    eas_auth_set_callbacks(&back);
    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    eas_authn_register_hooks(pool);
    eas_challenge_register_hooks(pool);
    eas_activesync_register_hooks(pool);
    eas_rules_register_hooks(pool);
    eas_login_register_hooks(pool);
    eas_provider_register_hooks(pool);
    eas_outgoing_register_hooks(pool);
    eas_delegate_register_hooks(pool);
    eas_msexchange_register_hooks(pool);
}

module AP_MODULE_DECLARE_DATA eas_kcd_module = {
    STANDARD20_MODULE_STUFF, dir_conf_create, dir_conf_merge, server_conf_create,
    server_conf_merge,       directives,      register_hooks,
};
