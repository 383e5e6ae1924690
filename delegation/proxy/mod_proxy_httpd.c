/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/mod_proxy_httpd.c - mod_proxy, found at run time */

#include "delegation/proxy/mod_proxy_httpd.h"
#include "auth/base/module_httpd.h"

#include <apr_dso.h>
#include <dlfcn.h>
#include <link.h>
#include <string.h>

static struct eas_mod_proxy_functions *found(void)
{
    return eas_module_process()->mod_proxy;
}

const struct eas_mod_proxy_functions *eas_mod_proxy_functions(void)
{
    return found();
}

/* mod_proxy may be linked into httpd itself. */
static void *find_symbol(apr_pool_t *pool, const char *name)
{
    apr_dso_handle_t *handle = found()->proxy->dynamic_load_handle;
    apr_dso_handle_sym_t symbol = NULL;

    if (handle == NULL && apr_os_dso_handle_put(&handle, dlopen(NULL, RTLD_NOW), pool)) {
        return NULL;
    }
    return apr_dso_sym(&symbol, handle, name) == APR_SUCCESS ? symbol : NULL;
}

static void find_addresses(apr_pool_t *pool)
{
#if EAS_MOD_PROXY_HAS_ADDRESSES
    void *symbol = find_symbol(pool, "ap_proxy_determine_address");

    memcpy(&found()->determine_address, &symbol, sizeof(symbol));
#else
    (void)pool;
#endif
}

/* The functions' types are those of mod_proxy.h.  Without one of them, mod_proxy is not used. */
static void find_functions(apr_pool_t *pool, proxy_HOOK_scheme_handler_t *scheme_handler,
                           proxy_HOOK_pre_request_t *pre_request)
{
    __typeof__(proxy_hook_scheme_handler) *hook_scheme_handler = NULL;
    __typeof__(proxy_hook_pre_request) *hook_pre_request = NULL;
    const struct {
        const char *name;
        void *function;
    } wanted[] = {
        { "proxy_hook_scheme_handler", &hook_scheme_handler },
        { "proxy_hook_pre_request", &hook_pre_request },
        { "proxy_run_scheme_handler", &found()->run_scheme_handler },
        { "ap_proxy_define_worker", &found()->define_worker },
        { "ap_proxy_initialize_worker", &found()->initialize_worker },
        { "ap_proxy_acquire_connection", &found()->acquire_connection },
        { "ap_proxy_release_connection", &found()->release_connection },
        { "ap_proxy_get_worker", &found()->get_worker },
        { "ap_proxy_get_balancer", &found()->get_balancer },
        { "ap_proxy_location_reverse_map", &found()->location_reverse_map },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        void *symbol = find_symbol(pool, wanted[i].name);

        if (symbol == NULL) {
            found()->missing = wanted[i].name;
            found()->proxy = NULL;
            return;
        }
        memcpy(wanted[i].function, &symbol, sizeof(symbol));
    }
    find_addresses(pool);
    hook_scheme_handler(scheme_handler, NULL, NULL, APR_HOOK_REALLY_FIRST);
    hook_pre_request(pre_request, NULL, NULL, APR_HOOK_REALLY_FIRST);
}

void eas_mod_proxy_find(apr_pool_t *pconf, proxy_HOOK_scheme_handler_t *scheme_handler,
                        proxy_HOOK_pre_request_t *pre_request)
{
    eas_module_process()->mod_proxy = apr_pcalloc(pconf, sizeof(struct eas_mod_proxy_functions));
    found()->proxy = ap_find_linked_module("mod_proxy.c");
    found()->proxy_http = ap_find_linked_module("mod_proxy_http.c");
    if (found()->proxy != NULL) {
        find_functions(pconf, scheme_handler, pre_request);
    }
}

bool eas_mod_proxy_is_loaded(void)
{
    return found()->proxy != NULL && found()->proxy_http != NULL;
}

static const char *start_of(const struct dl_phdr_info *object, const ElfW(Phdr) * segment)
{
    return (const char *)object->dlpi_addr + segment->p_vaddr;
}

static bool holds(const struct dl_phdr_info *object, const void *address)
{
    ElfW(Half) i;

    for (i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        const char *start = start_of(object, segment);

        if (segment->p_type == PT_LOAD && (const char *)address >= start
            && (const char *)address < start + segment->p_memsz) {
            return true;
        }
    }
    return false;
}

/* dl_iterate_phdr()'s callback: searches the object that holds mod_proxy_http. */
static int search_object(struct dl_phdr_info *object, size_t size, void *has_input)
{
    ElfW(Half) i;

    (void)size;
    if (!holds(object, found()->proxy_http)) {
        return 0;
    }
    for (i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];

        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_R) != 0
            && memmem(start_of(object, segment), segment->p_filesz, EAS_MOD_PROXY_INPUT,
                      sizeof(EAS_MOD_PROXY_INPUT))
                   != NULL) {
            *(bool *)has_input = true;
        }
    }
    return 1;
}

const char *eas_mod_proxy_missing(void)
{
    bool has_input = false;

    if (found()->missing == NULL && found()->proxy_http != NULL) {
        dl_iterate_phdr(search_object, &has_input);
        return has_input ? NULL : EAS_MOD_PROXY_INPUT;
    }
    return found()->missing;
}

int eas_mod_proxy_run_scheme_handler(request_rec *r, proxy_worker *worker, proxy_server_conf *conf,
                                     char *url, const char *proxyhost, apr_port_t proxyport)
{
    return found()->run_scheme_handler(r, worker, conf, url, proxyhost, proxyport);
}

const char *eas_mod_proxy_mapping_of(const ap_conf_vector_t *section)
{
    const proxy_dir_conf *conf =
        found()->proxy != NULL ? ap_get_module_config(section, found()->proxy) : NULL;

    return conf != NULL && conf->alias != NULL ? conf->alias->real : NULL;
}

static proxy_server_conf *server_conf_of(const server_rec *s)
{
    return found()->proxy != NULL ? ap_get_module_config(s->module_config, found()->proxy) : NULL;
}

const char *eas_mod_proxy_server_mapping(const server_rec *s, const char *path)
{
    const proxy_server_conf *conf = server_conf_of(s);
    int i;

    for (i = 0; conf != NULL && i < conf->aliases->nelts; i++) {
        const struct proxy_alias *alias = &APR_ARRAY_IDX(conf->aliases, i, struct proxy_alias);

        if (alias->regex != NULL ? ap_regexec(alias->regex, path, 0, NULL, 0) == 0
                                 : strncmp(alias->fake, path, strlen(alias->fake)) == 0) {
            return alias->real;
        }
    }
    return NULL;
}

const char *eas_mod_proxy_server_target(const server_rec *s, int i)
{
    const proxy_server_conf *conf = server_conf_of(s);

    return conf != NULL && i < conf->aliases->nelts
               ? APR_ARRAY_IDX(conf->aliases, i, struct proxy_alias).real
               : NULL;
}

bool eas_mod_proxy_has_remotes(const server_rec *main_server)
{
    const server_rec *s = main_server;

    while (s != NULL && server_conf_of(s)->proxies->nelts == 0) {
        s = s->next;
    }
    return s != NULL;
}

static apr_interval_time_t timeout_of_worker(const server_rec *s, const proxy_worker *worker)
{
    const proxy_server_conf *conf = server_conf_of(s);

    if (worker != NULL && worker->s->timeout_set) {
        return worker->s->timeout;
    }
    return conf->timeout_set ? conf->timeout : s->timeout;
}

apr_interval_time_t eas_mod_proxy_timeout_of(apr_pool_t *pool, const server_rec *s, const char *url)
{
    proxy_server_conf *conf = server_conf_of(s);
    proxy_balancer *balancer = found()->get_balancer(pool, conf, url, 0);
    apr_interval_time_t least;
    int i;

    if (balancer == NULL || balancer->workers->nelts == 0) {
        return timeout_of_worker(s, found()->get_worker(pool, NULL, conf, url));
    }
    least = timeout_of_worker(s, APR_ARRAY_IDX(balancer->workers, 0, proxy_worker *));
    for (i = 1; i < balancer->workers->nelts; i++) {
        apr_interval_time_t timeout =
            timeout_of_worker(s, APR_ARRAY_IDX(balancer->workers, i, proxy_worker *));

        least = timeout < least ? timeout : least;
    }
    return least;
}

const char *eas_mod_proxy_reverse_map(request_rec *r, const char *url)
{
    return found()->location_reverse_map(r, ap_get_module_config(r->per_dir_config, found()->proxy),
                                         url);
}

const apr_array_header_t *eas_mod_proxy_sections(const server_rec *s)
{
    const proxy_server_conf *conf = server_conf_of(s);

    return conf != NULL ? conf->sec_proxy : NULL;
}

static bool is_http(const char *url)
{
    return ap_cstr_casecmpn(url, "http://", 7) == 0 || ap_cstr_casecmpn(url, "https://", 8) == 0;
}

static const proxy_balancer *find_balancer(const server_rec *s, const char *url)
{
    const proxy_server_conf *conf = ap_get_module_config(s->module_config, found()->proxy);
    const proxy_balancer *balancer = (const proxy_balancer *)conf->balancers->elts;
    int i;

    for (i = 0; i < conf->balancers->nelts; i++, balancer++) {
        apr_size_t len = strlen(balancer->s->name);

        if (ap_cstr_casecmpn(url, balancer->s->name, len) == 0
            && (url[len] == '\0' || url[len] == '/')) {
            return balancer;
        }
    }
    return NULL;
}

bool eas_mod_proxy_unfit_url(const char *url)
{
    return !is_http(url);
}

const char *eas_mod_proxy_unfit(const server_rec *s, const char *url)
{
    const proxy_balancer *balancer;
    int i;

    if (ap_cstr_casecmpn(url, "balancer://", 11) != 0) {
        return is_http(url) ? NULL : url;
    }
    balancer = find_balancer(s, url);
    for (i = 0; balancer != NULL && i < balancer->workers->nelts; i++) {
        const proxy_worker *member = APR_ARRAY_IDX(balancer->workers, i, proxy_worker *);

        if (!is_http(member->s->name_ex)) {
            return member->s->name_ex;
        }
    }
    return NULL;
}

static void add_members(apr_array_header_t *urls, const proxy_balancer *balancer)
{
    int i;

    for (i = 0; i < balancer->workers->nelts; i++) {
        APR_ARRAY_PUSH(urls, const char *) =
            APR_ARRAY_IDX(balancer->workers, i, proxy_worker *)->s->name_ex;
    }
}

apr_array_header_t *eas_mod_proxy_urls(apr_pool_t *pool, const server_rec *s, const char *url)
{
    const proxy_server_conf *conf = server_conf_of(s);
    apr_array_header_t *urls = apr_array_make(pool, 4, sizeof(const char *));
    const proxy_balancer *balancer = url != NULL ? find_balancer(s, url) : NULL;
    int i;

    if (balancer != NULL) {
        add_members(urls, balancer);
    }
    else if (url != NULL) {
        APR_ARRAY_PUSH(urls, const char *) = url;
    }
    for (i = 0; url == NULL && i < conf->workers->nelts; i++) {
        APR_ARRAY_PUSH(urls, const char *) =
            APR_ARRAY_IDX(conf->workers, i, proxy_worker).s->name_ex;
    }
    for (i = 0; url == NULL && i < conf->balancers->nelts; i++) {
        add_members(urls, &APR_ARRAY_IDX(conf->balancers, i, proxy_balancer));
    }
    return urls;
}

bool eas_mod_proxy_has_worker(const server_rec *s, const char *host)
{
    const proxy_server_conf *conf = server_conf_of(s);
    apr_size_t len = strlen(host);
    int i;

    for (i = 0; i < conf->workers->nelts; i++) {
        const char *name = APR_ARRAY_IDX(conf->workers, i, proxy_worker).s->name_ex;

        if (ap_cstr_casecmpn(name, host, len) == 0 && (name[len] == '\0' || name[len] == '/')) {
            return true;
        }
    }
    return false;
}

/* The members of balancers are found by their names, the other workers as mod_proxy finds them. */
static const proxy_worker *find_worker(apr_pool_t *pool, const server_rec *s, const char *url)
{
    proxy_server_conf *conf = server_conf_of(s);
    int i, j;

    for (i = 0; i < conf->balancers->nelts; i++) {
        const apr_array_header_t *members =
            APR_ARRAY_IDX(conf->balancers, i, proxy_balancer).workers;

        for (j = 0; j < members->nelts; j++) {
            const proxy_worker *member = APR_ARRAY_IDX(members, j, proxy_worker *);

            if (strcmp(member->s->name_ex, url) == 0) {
                return member;
            }
        }
    }
    return found()->get_worker(pool, NULL, conf, url);
}

enum eas_mod_proxy_reuse eas_mod_proxy_reuse(apr_pool_t *pool, const server_rec *s, const char *url)
{
    const proxy_worker *worker = find_worker(pool, s, url);

    if (worker != NULL && !worker->s->is_address_reusable) {
        return EAS_MOD_PROXY_CANNOT_REUSE;
    }
    return worker != NULL && worker->s->disablereuse ? EAS_MOD_PROXY_REUSES_NONE
                                                     : EAS_MOD_PROXY_REUSES;
}

bool eas_mod_proxy_upgrades(apr_pool_t *pool, const server_rec *s, const char *url)
{
    const proxy_worker *worker = find_worker(pool, s, url);

    return worker != NULL && *worker->s->upgrade != '\0'
           && ap_cstr_casecmp(worker->s->upgrade, "NONE") != 0;
}

int eas_mod_proxy_max(apr_pool_t *pool, const server_rec *s, const char *url)
{
    const proxy_worker *worker = find_worker(pool, s, url);

    return worker != NULL ? worker->s->hmax : 0;
}

bool eas_mod_proxy_overrides_errors(const server_rec *s, const ap_conf_vector_t *section)
{
    const proxy_dir_conf *conf = ap_get_module_config(section, found()->proxy);

    if (conf == NULL || !conf->error_override_set) {
        conf = ap_get_module_config(s->lookup_defaults, found()->proxy);
    }
    return conf != NULL && conf->error_override;
}

int eas_mod_proxy_default_max(apr_pool_t *pool, server_rec *s)
{
    proxy_worker *worker;
    apr_pool_t *scratch;
    int max = 0;

    apr_pool_create(&scratch, pool);
    if (found()->define_worker(scratch, &worker, NULL, NULL, "http://default.invalid/", 0) == NULL
        && found()->initialize_worker(worker, s, scratch) == APR_SUCCESS) {
        max = worker->s->hmax;
    }
    apr_pool_destroy(scratch);
    return max;
}

bool eas_mod_proxy_keeps(const proxy_worker *worker)
{
    return worker->s->is_address_reusable && !worker->s->disablereuse;
}

apr_interval_time_t eas_mod_proxy_timeout(const proxy_worker *worker, const proxy_server_conf *conf,
                                          const server_rec *s)
{
    return worker->s->timeout_set ? worker->s->timeout
           : conf->timeout_set    ? conf->timeout
                                  : s->timeout;
}
