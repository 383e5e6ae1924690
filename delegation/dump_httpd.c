/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/dump_httpd.c - settings for eas-kcd-check: httpd -t -D EAS_KCD_DUMP */

#include "delegation/dump_httpd.h"
#include "auth/config_httpd.h"
#include "delegation/config_httpd.h"
#include "delegation/kerberos/spn.h"
#include "delegation/proxy/mod_proxy_httpd.h"

#include <apr_strings.h>
#include <apr_uri.h>
#include <http_core.h>
#include <stdio.h>
#include <unixd.h>

/* A line is a key, a tab and a value; settings.c has the same keys. */
static void print(const char *key, const char *value)
{
    if (value != NULL) {
        printf("%s\t%s\n", key, value);
    }
}

static void print_target(apr_pool_t *ptemp, const struct eas_delegation_dir *conf, const char *url)
{
    apr_uri_t uri;
    struct eas_err err;
    const char *spn;

    if (apr_uri_parse(ptemp, url, &uri) == APR_SUCCESS && uri.hostname != NULL
        && eas_spn_expand(ptemp, eas_delegation_spn(conf), uri.hostname, &spn, &err) == EAS_OK) {
        print("spn", spn);
        if (eas_delegation_transitions(conf)) {
            print("transition", "On");
        }
    }
}

/* The backend of a section is that of its own ProxyPass, that of its path, or any. */
static void print_section(apr_pool_t *ptemp, const server_rec *s, const ap_conf_vector_t *section)
{
    const core_dir_config *core = ap_get_core_module_config(section);
    const struct eas_delegation_dir *conf = eas_delegation_dir_merge(
        ptemp, eas_delegation_dir_of(s->lookup_defaults), eas_delegation_dir_of(section));
    const char *target = eas_mod_proxy_mapping_of(section);
    const apr_array_header_t *urls;
    int i;

    if (!eas_delegation_is_on(conf)) {
        return;
    }
    if (target == NULL && core->d != NULL && core->r == NULL) {
        target = eas_mod_proxy_server_mapping(s, core->d);
    }
    urls = eas_mod_proxy_urls(ptemp, s, target);
    for (i = 0; i < urls->nelts; i++) {
        print_target(ptemp, conf, APR_ARRAY_IDX(urls, i, const char *));
    }
}

static void print_server(apr_pool_t *ptemp, const server_rec *s)
{
    const struct eas_auth_server *conf = eas_auth_server_of(s);
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    const char *name = s->server_hostname != NULL ? s->server_hostname : "";
    int i;

    print("server", s->port != 0 ? apr_psprintf(ptemp, "%s:%u", name, s->port) : name);
    print("keytab", conf->keytab_path);
    print("principal", conf->principal);
    print("realm", conf->realm);
    print("armor", apr_itoa(ptemp, (int)eas_auth_armor(conf)));
    for (i = 0; conf->domains != NULL && i < conf->domains->nelts; i++) {
        const struct eas_domain *domain = &APR_ARRAY_IDX(conf->domains, i, struct eas_domain);

        print("domain", apr_pstrcat(ptemp, domain->name, "=", domain->realm, NULL));
    }
    print_section(ptemp, s, s->lookup_defaults);
    for (i = 0; core->sec_url != NULL && i < core->sec_url->nelts; i++) {
        print_section(ptemp, s, APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *));
    }
}

void eas_dump_settings(apr_pool_t *ptemp, const server_rec *main_server)
{
    const server_rec *s;
    int mode = ap_state_query(AP_SQ_RUN_MODE);

    if (!ap_exists_config_define("EAS_KCD_DUMP")
        || (mode != AP_SQ_RM_CONFIG_TEST && mode != AP_SQ_RM_CONFIG_DUMP)
        || !eas_mod_proxy_is_loaded()) {
        return;
    }
    print("eas-kcd", EAS_KCD_VERSION);
    print("user", ap_unixd_config.user_name);
    for (s = main_server; s != NULL; s = s->next) {
        if (eas_auth_server_of(s)->keytab_path != NULL) {
            print_server(ptemp, s);
        }
    }
    fflush(stdout);
}
