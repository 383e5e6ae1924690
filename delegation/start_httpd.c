/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/start_httpd.c - start-up phases of delegation/ */

#include "delegation/start_httpd.h"
#include "auth/base/config_tree_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/config_httpd.h"
#include "delegation/config_httpd.h"
#include "delegation/kerberos/token_check.h"
#include "delegation/proxy/case_check_httpd.h"
#include "delegation/proxy/conn_pools_httpd.h"
#include "delegation/proxy/delegate_httpd.h"
#include "delegation/proxy/long_polls_httpd.h"
#include "delegation/proxy/mod_proxy_httpd.h"
#include "delegation/proxy/park_check_httpd.h"
#include "delegation/proxy/park_httpd.h"
#include "delegation/proxy/placeholder_httpd.h"
#include "delegation/proxy/poll_timeout_check_httpd.h"
#include "delegation/proxy/sizing_check_httpd.h"
#include "delegation/proxy/tls_session_httpd.h"
#include "delegation/start_check_httpd.h"
#include "delegation/start_notice_httpd.h"

#include <apr_strings.h>
#include <http_core.h>
#include <string.h>

/* Service tickets of a child, with their keys: about 15 000 of 4 KB each. */
#define TICKET_BYTES ((apr_size_t)128 * 1024 * 1024)

void eas_delegation_pre_config(apr_pool_t *pconf)
{
    eas_delegate_pre_config(pconf);
}

/* By the section, its server or, in doubt, any other section that may be merged with it. */
static bool may_transition(const server_rec *s, const ap_conf_vector_t *section)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    const struct eas_delegation_dir *conf = eas_delegation_dir_of(section);
    int i;

    if (conf->transition >= 0) {
        return conf->transition != 0;
    }
    for (i = 0; core->sec_url != NULL && i < core->sec_url->nelts; i++) {
        const ap_conf_vector_t *other = APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *);

        if (eas_delegation_transitions(eas_delegation_dir_of(other))) {
            return true;
        }
    }
    return eas_delegation_transitions(eas_delegation_dir_of(s->lookup_defaults));
}

static enum eas_rc check_user(const server_rec *s, const ap_conf_vector_t *section,
                              struct eas_err *err)
{
    const struct eas_delegation_dir *conf = eas_delegation_dir_of(section);

    if (conf->delegate_user != NULL && !may_transition(s, section)) {
        return eas_fail(err, EAS_MISCONFIGURED, 3012,
                        "EasKcdDelegateUser needs EasKcdProtocolTransition On");
    }
    if (eas_delegation_by_certificate(conf) && !may_transition(s, section)) {
        return eas_fail(err, EAS_MISCONFIGURED, 3135,
                        "EasKcdDelegateCertificate needs EasKcdProtocolTransition On");
    }
    if (eas_delegation_by_certificate(conf) && conf->delegate_user != NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 3136,
                        "EasKcdDelegateCertificate On and EasKcdDelegateUser stand in one section, "
                        "and only one can name the user; remove one");
    }
    return EAS_OK;
}

static enum eas_rc check_section(const server_rec *s, const ap_conf_vector_t *section,
                                 struct eas_err *err)
{
    const struct eas_delegation_dir *conf = eas_delegation_dir_of(section);
    const char *target, *unfit;

    if (!eas_delegation_is_on(conf)) {
        return EAS_OK;
    }
    if (eas_mod_proxy_missing() != NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 3014,
                        "mod_proxy or mod_proxy_http of this httpd has no %s, which EasKcdDelegate "
                        "needs; use another version of httpd, or of mod_eas_kcd",
                        eas_mod_proxy_missing());
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
    if (check_user(s, section, err) != EAS_OK) {
        return err->rc;
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

/* Names the section, and the line that its error is about. */
static void name_section(apr_pool_t *pool, const server_rec *s, const ap_conf_vector_t *section,
                         struct eas_err *err)
{
    const core_dir_config *core = ap_get_core_module_config(section);
    const char *directive = err->tag == 3012 ? "EasKcdDelegateUser" : "EasKcdDelegate";
    const ap_directive_t *at =
        eas_config_tree_find_in(pool, eas_config_tree_of(s).own, directive, core->d);
    apr_size_t len = strlen(err->text);

    if (at != NULL || core->d != NULL) {
        apr_snprintf(err->text + len, sizeof(err->text) - len, " (%s%s%s)",
                     core->d != NULL ? core->d : "", at != NULL && core->d != NULL ? ", " : "",
                     at != NULL ? eas_config_tree_place(pool, at) : "");
    }
}

/* The server's own section, and each <Location>, <Directory> and <Proxy>. */
static enum eas_rc check_server(apr_pool_t *ptemp, const server_rec *s, struct eas_err *err)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    const apr_array_header_t *lists[] = { core->sec_url, core->sec_dir, eas_mod_proxy_sections(s) };
    const ap_conf_vector_t *section = s->lookup_defaults;
    enum eas_rc rc = check_section(s, section, err);
    apr_size_t i;
    int j;

    for (i = 0; rc == EAS_OK && i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (j = 0; lists[i] != NULL && rc == EAS_OK && j < lists[i]->nelts; j++) {
            section = APR_ARRAY_IDX(lists[i], j, ap_conf_vector_t *);
            rc = check_section(s, section, err);
        }
    }
    if (rc != EAS_OK) {
        name_section(ptemp, s, section, err);
    }
    return rc;
}

int eas_delegation_check_config(apr_pool_t *ptemp, server_rec *main_server)
{
    struct eas_err err;
    server_rec *s;
    int status = OK;

    for (s = main_server; s != NULL && status == OK; s = s->next) {
        if (check_server(ptemp, s, &err) != EAS_OK) {
            eas_log_startup(s, &err);
            status = HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    eas_poll_timeout_check(ptemp, main_server);
    eas_case_check(main_server);
    if (status == OK && eas_mod_proxy_is_loaded()) {
        eas_start_check(ptemp, main_server);
    }
    return status;
}

/* Servers with the same keytab and settings share a principal, and so its TGT and tickets. */
static const struct eas_kcd_principal *shared_principal(server_rec *main_server,
                                                        const server_rec *s)
{
    const struct eas_authority *authority = eas_auth_server_of(s)->authority;
    const server_rec *other;

    for (other = main_server; other != s; other = other->next) {
        const struct eas_authority *theirs = eas_auth_server_of(other)->authority;

        if (theirs != NULL && theirs->keytab == authority->keytab
            && theirs->kdc_timeout == authority->kdc_timeout
            && theirs->realms.domains == authority->realms.domains
            && strcmp(theirs->realms.default_realm, authority->realms.default_realm) == 0) {
            return eas_delegation_server_of(other)->principal;
        }
    }
    return NULL;
}

static bool may_delegate(server_rec *main_server)
{
    const server_rec *s = main_server;

    while (s != NULL && eas_auth_server_of(s)->authority == NULL) {
        s = s->next;
    }
    return s != NULL;
}

static bool uses_gssapi(server_rec *main_server)
{
    const server_rec *s = main_server;

    while (s != NULL && !eas_delegation_server_of(s)->uses_gssapi) {
        s = s->next;
    }
    return s != NULL;
}

/*
 * Native tokens that GSSAPI does not read would be a 401 of every backend.  GSSAPI's own serve as
 * well and cost more, so an update of a library stops no gateway at night.  But if GSSAPI's fail,
 * too, nothing is left to delegate by.
 */
static int check_tokens(apr_pool_t *ptemp, server_rec *main_server)
{
    const char *native = eas_token_check(ptemp, EAS_TOKEN_NATIVE), *gssapi = NULL;
    struct eas_err err;
    server_rec *s;

    if (native != NULL || uses_gssapi(main_server)) {
        gssapi = eas_token_check(ptemp, EAS_TOKEN_GSSAPI);
    }
    if (gssapi != NULL) {
        eas_fail(&err, EAS_MISCONFIGURED, 3081,
                 "GSSAPI makes no tokens that it reads itself (%s); check /etc/krb5.conf, "
                 "/etc/gss/mech.d and the installation of MIT Kerberos",
                 gssapi);
        eas_log_startup(main_server, &err);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (native != NULL) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, main_server,
                     "EAS3080: GSSAPI does not read the module's own tokens (%s), so EasKcdToken "
                     "is gssapi everywhere; check the installation of OpenSSL, then report it",
                     native);
    }
    for (s = main_server; s != NULL; s = s->next) {
        eas_delegation_server_of(s)->native_unfit = native != NULL;
    }
    return OK;
}

static bool parks_by_directive(server_rec *main_server)
{
    const server_rec *s = main_server;

    while (s != NULL && !eas_delegation_server_of(s)->parks) {
        s = s->next;
    }
    return s != NULL;
}

int eas_delegation_post_config(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *main_server)
{
    eas_conn_pools_post_config(pconf);
    eas_long_polls_post_config(main_server);
    /* httpd reads its configuration twice when it starts. */
    if (!may_delegate(main_server)
        || ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    eas_start_notice(ptemp, main_server);
    eas_sizing_check(ptemp, main_server);
    if (eas_park_is_possible()) {
        eas_park_check(ptemp, main_server, !parks_by_directive(main_server));
    }
    return check_tokens(ptemp, main_server);
}

void eas_delegation_child_init(apr_pool_t *pchild, server_rec *main_server,
                               struct eas_workers *workers, const struct eas_shared_cache *tickets)
{
    struct eas_kcd *kcd = eas_kcd_create(workers, tickets, TICKET_BYTES);
    const struct eas_delegation_server *main_conf = eas_delegation_server_of(main_server);
    server_rec *s;

    eas_placeholder_child_init(pchild);
    eas_tls_session_child_init(pchild);
    eas_conn_pools_child_init(pchild, main_server, eas_delegation_backend_pools(main_conf));
    if (may_delegate(main_server)) {
        /* Ends first: its requests have slots. */
        eas_park_child_init(pchild, eas_delegation_park_spread(main_conf));
    }
    for (s = main_server; s != NULL; s = s->next) {
        const struct eas_authority *authority = eas_auth_server_of(s)->authority;
        struct eas_delegation_server *conf = eas_delegation_server_of(s);

        if (authority == NULL) {
            continue;
        }
        conf->principal = shared_principal(main_server, s);
        if (conf->principal == NULL) {
            conf->principal = eas_kcd_principal_create(kcd, authority->service_tgt,
                                                       &authority->realms, authority->kdc_timeout);
        }
    }
}
