/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/targets_httpd.c - backends of a server that get tokens, as it is configured */

#include "delegation/proxy/targets_httpd.h"
#include "delegation/kerberos/spn.h"
#include "delegation/proxy/mod_proxy_httpd.h"

#include <apr_uri.h>
#include <http_core.h>

static void add_target(apr_array_header_t *targets, const struct eas_delegation_dir *conf,
                       const char *url)
{
    struct eas_target target = { .url = url, .conf = conf };
    struct eas_err err;
    apr_uri_t uri;

    if (apr_uri_parse(targets->pool, url, &uri) == APR_SUCCESS && uri.hostname != NULL
        && eas_spn_expand(targets->pool, eas_delegation_spn(conf), uri.hostname, &target.spn, &err)
               == EAS_OK) {
        APR_ARRAY_PUSH(targets, struct eas_target) = target;
    }
}

/* The backend of a section is that of its own ProxyPass, that of its path, or any. */
static void add_section(apr_array_header_t *targets, const server_rec *s,
                        const ap_conf_vector_t *section)
{
    const core_dir_config *core = ap_get_core_module_config(section);
    const struct eas_delegation_dir *conf = eas_delegation_dir_merge(
        targets->pool, eas_delegation_dir_of(s->lookup_defaults), eas_delegation_dir_of(section));
    const char *target = eas_mod_proxy_mapping_of(section);
    const apr_array_header_t *urls;
    int i;

    if (!eas_delegation_is_on(conf)) {
        return;
    }
    if (target == NULL && core->d != NULL && core->r == NULL) {
        target = eas_mod_proxy_server_mapping(s, core->d);
    }
    urls = eas_mod_proxy_urls(targets->pool, s, target);
    for (i = 0; i < urls->nelts; i++) {
        add_target(targets, conf, APR_ARRAY_IDX(urls, i, const char *));
    }
}

apr_array_header_t *eas_targets_of(apr_pool_t *pool, const server_rec *s)
{
    apr_array_header_t *targets = apr_array_make(pool, 4, sizeof(struct eas_target));
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    int i;

    add_section(targets, s, s->lookup_defaults);
    for (i = 0; core->sec_url != NULL && i < core->sec_url->nelts; i++) {
        add_section(targets, s, APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *));
    }
    return targets;
}
