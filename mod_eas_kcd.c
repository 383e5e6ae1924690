/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_eas_kcd.c - module record, list of hooks, order of start
 *
 * auth/ authenticates, delegation/ acts for the user.  auth/README is the map of both.
 */

#include "auth/activesync/activesync_httpd.h"
#include "auth/activesync/rules_httpd.h"
#include "auth/authn_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/base/module_httpd.h"
#include "auth/base/wipe_httpd.h"
#include "auth/config_httpd.h"
#include "auth/directives_httpd.h"
#include "auth/events_httpd.h"
#include "auth/groups_httpd.h"
#include "auth/login/challenge_httpd.h"
#include "auth/login/login_httpd.h"
#include "auth/login/change_form_httpd.h"
#include "auth/login/refusal_page_httpd.h"
#include "auth/login/session_httpd.h"
#include "auth/password/account_httpd.h"
#include "auth/password/provider_httpd.h"
#include "auth/path_httpd.h"
#include "auth/private_httpd.h"
#include "auth/rotation_httpd.h"
#include "auth/shared/counters_httpd.h"
#include "auth/shared/retained_httpd.h"
#include "auth/start_httpd.h"
#include "delegation/config_httpd.h"
#include "delegation/directives_httpd.h"
#include "delegation/dump_httpd.h"
#include "delegation/evidence_httpd.h"
#include "delegation/proxy/coalesce_httpd.h"
#include "delegation/proxy/delegate_httpd.h"
#include "delegation/proxy/flush_httpd.h"
#include "delegation/proxy/msexchange_httpd.h"
#include "delegation/proxy/outgoing_httpd.h"
#include "delegation/proxy/park_httpd.h"
#include "delegation/proxy/peer_certificate_httpd.h"
#include "delegation/proxy/replacement_httpd.h"
#include "delegation/start_httpd.h"
#include "delegation/status/status_httpd.h"

#include <httpd.h>

static void *dir_create(apr_pool_t *pool, char *path)
{
    struct eas_module_dir *dir = apr_palloc(pool, sizeof(*dir));

    dir->auth = eas_auth_dir_create(pool);
    dir->delegation = eas_delegation_dir_create(pool);
    return dir;
}

static void *dir_merge(apr_pool_t *pool, void *basev, void *addv)
{
    struct eas_module_dir *dir = apr_palloc(pool, sizeof(*dir)), *base = basev, *add = addv;

    dir->auth = eas_auth_dir_merge(pool, base->auth, add->auth);
    dir->delegation = eas_delegation_dir_merge(pool, base->delegation, add->delegation);
    return dir;
}

static void *server_create(apr_pool_t *pool, server_rec *s)
{
    struct eas_module_server *server = apr_palloc(pool, sizeof(*server));

    server->auth = eas_auth_server_create(pool);
    server->delegation = eas_delegation_server_create(pool);
    server->process = apr_pcalloc(pool, sizeof(*server->process));
    return server;
}

static void *server_merge(apr_pool_t *pool, void *basev, void *addv)
{
    struct eas_module_server *server = apr_palloc(pool, sizeof(*server)), *base = basev,
                             *add = addv;

    server->auth = eas_auth_server_merge(pool, base->auth, add->auth);
    server->delegation = add->delegation; /* no server inherits any of it */
    server->process = base->process;
    return server;
}

static const command_rec directives[] = {
#define EAS_DIRECTIVE(name, take, handler, context, syntax, preset, help) \
    take(name, handler, NULL, context, help),
#include "auth/directives.def"
#include "delegation/directives.def"
#undef EAS_DIRECTIVE
    { NULL }
};

static int hook_pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    eas_delegation_pre_config(pconf);
    return OK;
}

/* Static checks run here and not in post_config, because `httpd -t` ends before post_config. */
static int hook_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    int status;

    eas_dump_settings(ptemp, s);
    status = eas_delegation_check_config(ptemp, s);
    return status == OK ? eas_auth_check_config(pconf, ptemp, s) : status;
}

static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    int status = eas_delegation_post_config(pconf, ptemp, s);

    ap_add_version_component(pconf, "mod_eas_kcd/" EAS_KCD_VERSION);
    return status == OK ? eas_auth_post_config(pconf, s) : status;
}

static void hook_child_init(apr_pool_t *pchild, server_rec *s)
{
    struct eas_auth_child child = eas_auth_child_init(pchild, s);

    eas_delegation_child_init(pchild, s, child.workers, child.tickets);
}

static bool acts_without_evidence(const request_rec *r)
{
    return eas_delegation_transitions(eas_delegation_dir_of(r->per_dir_config));
}

static const struct eas_session_callbacks session_callbacks = {
    .acts_without_evidence = acts_without_evidence,
    .check_user = eas_evidence_check_user,
};

static const struct eas_account_callbacks account_callbacks = {
    .identity = eas_evidence_identity,
    .evidence = eas_evidence_get,
};

static void register_hooks(apr_pool_t *pool)
{
    eas_session_set_callbacks(&session_callbacks);
    eas_account_set_callbacks(&account_callbacks);
    ap_hook_pre_config(hook_pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(hook_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(hook_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    eas_log_register_hooks(pool);
    eas_events_register_hooks(pool);
    eas_retained_register_hooks(pool);
    eas_counters_register_hooks(pool);
    eas_rotation_register_hooks(pool);
    eas_authn_register_hooks(pool);
    eas_path_register_hooks(pool);
    eas_private_register_hooks(pool);
    eas_wipe_register_hooks(pool);
    eas_challenge_register_hooks(pool);
    eas_activesync_register_hooks(pool);
    eas_rules_register_hooks(pool);
    eas_groups_register_hooks(pool);
    eas_login_register_hooks(pool);
    eas_change_form_register_hooks(pool);
    eas_refusal_page_register_hooks(pool);
    eas_provider_register_hooks(pool);
    eas_outgoing_register_hooks(pool);
    eas_flush_register_hooks(pool);
    eas_coalesce_register_hooks(pool);
    eas_park_register_hooks(pool);
    eas_replacement_register_hooks(pool);
    eas_peer_certificate_register_hooks(pool);
    eas_delegate_register_hooks(pool);
    eas_msexchange_register_hooks(pool);
    eas_status_register_hooks(pool);
}

module AP_MODULE_DECLARE_DATA eas_kcd_module = {
    STANDARD20_MODULE_STUFF, dir_create, dir_merge, server_create, server_merge, directives,
    register_hooks,
};
