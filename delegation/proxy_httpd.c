/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy_httpd.c - mod_proxy, found at run time */

#include "delegation/proxy_httpd.h"

#include <apr_dso.h>
#include <dlfcn.h>

/* What was found; written in pre_config by the one thread there is. */
static struct {
    module *proxy;
    module *proxy_http;
    __typeof__(proxy_run_scheme_handler) *run_scheme_handler;
} found;

/* A symbol of mod_proxy, which may also be linked into httpd itself. */
static void *find_symbol(apr_pool_t *pool, const char *name)
{
    apr_dso_handle_t *handle = found.proxy->dynamic_load_handle;
    apr_dso_handle_sym_t symbol = NULL;

    if (handle == NULL && apr_os_dso_handle_put(&handle, dlopen(NULL, RTLD_NOW), pool)) {
        return NULL;
    }
    return apr_dso_sym(&symbol, handle, name) == APR_SUCCESS ? symbol : NULL;
}

void eas_proxy_find(apr_pool_t *pconf,
                    int (*scheme_handler)(request_rec *r, proxy_worker *worker,
                                          proxy_server_conf *conf, char *url, const char *proxyhost,
                                          apr_port_t proxyport))
{
    __typeof__(proxy_hook_scheme_handler) *hook = NULL;

    found.proxy = ap_find_linked_module("mod_proxy.c");
    found.proxy_http = ap_find_linked_module("mod_proxy_http.c");
    found.run_scheme_handler = NULL;
    if (found.proxy == NULL) {
        return;
    }
    found.run_scheme_handler = find_symbol(pconf, "proxy_run_scheme_handler");
    hook = find_symbol(pconf, "proxy_hook_scheme_handler");
    if (hook != NULL) {
        hook(scheme_handler, NULL, NULL, APR_HOOK_REALLY_FIRST);
    }
}

bool eas_proxy_is_loaded(void)
{
    return found.proxy_http != NULL && found.run_scheme_handler != NULL;
}

int eas_proxy_run_scheme_handler(request_rec *r, proxy_worker *worker, proxy_server_conf *conf,
                                 char *url, const char *proxyhost, apr_port_t proxyport)
{
    return found.run_scheme_handler(r, worker, conf, url, proxyhost, proxyport);
}

const char *eas_proxy_mapping_of(const ap_conf_vector_t *section)
{
    const proxy_dir_conf *conf =
        found.proxy != NULL ? ap_get_module_config(section, found.proxy) : NULL;

    return conf != NULL && conf->alias != NULL ? conf->alias->real : NULL;
}

const apr_array_header_t *eas_proxy_sections(const server_rec *s)
{
    const proxy_server_conf *conf =
        found.proxy != NULL ? ap_get_module_config(s->module_config, found.proxy) : NULL;

    return conf != NULL ? conf->sec_proxy : NULL;
}

bool eas_proxy_can_delegate_to(const char *url)
{
    return ap_cstr_casecmpn(url, "http://", 7) == 0 || ap_cstr_casecmpn(url, "https://", 8) == 0
           || ap_cstr_casecmpn(url, "balancer://", 11) == 0;
}
