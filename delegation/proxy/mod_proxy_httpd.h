/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/mod_proxy_httpd.h - mod_proxy, found at run time */

#ifndef EAS_DELEGATION_PROXY_MOD_PROXY_HTTPD_H
#define EAS_DELEGATION_PROXY_MOD_PROXY_HTTPD_H

#include <httpd.h>
#include <http_config.h>
#include <mod_proxy.h>
#include <stdbool.h>

/*
 * Debian loads eas_kcd.load before proxy.load, where mod_proxy's symbols are undefined.  So its
 * functions are looked up in pre_config, after every LoadModule.  httpd sorts the hooks after that
 * (server/main.c).
 */

/* httpd 2.4.59 and later: addresses are counted, and a worker's may change. */
#if AP_MODULE_MAGIC_AT_LEAST(20120211, 130)
#define EAS_MOD_PROXY_HAS_ADDRESSES 1
#else
#define EAS_MOD_PROXY_HAS_ADDRESSES 0
#endif

/* mod_proxy's functions, and the modules. */
struct eas_mod_proxy_functions {
    module *proxy;
    module *proxy_http;
    __typeof__(proxy_run_scheme_handler) *run_scheme_handler;
    __typeof__(ap_proxy_define_worker) *define_worker;
    __typeof__(ap_proxy_initialize_worker) *initialize_worker;
    __typeof__(ap_proxy_acquire_connection) *acquire_connection;
    __typeof__(ap_proxy_release_connection) *release_connection;
    __typeof__(ap_proxy_get_worker) *get_worker;
    __typeof__(ap_proxy_get_balancer) *get_balancer;
    __typeof__(ap_proxy_location_reverse_map) *location_reverse_map;
#if EAS_MOD_PROXY_HAS_ADDRESSES
    __typeof__(ap_proxy_determine_address) *determine_address; /* NULL in an older httpd */
#endif
    const char *missing; /* the name of a function that was not found, or NULL */
};

/* Written by eas_mod_proxy_find(). */
const struct eas_mod_proxy_functions *eas_mod_proxy_functions(void);

/* Finds mod_proxy and mod_proxy_http, and registers the hooks with the former. */
void eas_mod_proxy_find(apr_pool_t *pconf, proxy_HOOK_scheme_handler_t *scheme_handler,
                        proxy_HOOK_pre_request_t *pre_request);

/* Whether mod_proxy and mod_proxy_http are loaded. */
bool eas_mod_proxy_is_loaded(void);

/* The userdata key of what mod_proxy_http has read ahead (ap_proxy_http_handler()). */
#define EAS_MOD_PROXY_INPUT "proxy-req-input"

/*
 * The name of what this module reaches by name and the loaded modules lack, or NULL.  httpd must not
 * start without it: no hook would run, or a repeated request would arrive without its body.
 */
const char *eas_mod_proxy_missing(void);

/* Runs the hook, as mod_proxy does. */
int eas_mod_proxy_run_scheme_handler(request_rec *r, proxy_worker *worker, proxy_server_conf *conf,
                                     char *url, const char *proxyhost, apr_port_t proxyport);

/* Whether a server sends requests by way of another proxy (ProxyRemote). */
bool eas_mod_proxy_has_remotes(const server_rec *main_server);

/* Of `max=`, in this child.  It depends on the MPM and on mod_http2; 0 with one thread. */
int eas_mod_proxy_default_max(apr_pool_t *pool, server_rec *s);

/* Whether mod_proxy keeps the worker's connections after a response. */
bool eas_mod_proxy_keeps(const proxy_worker *worker);

/* mod_proxy's time-out of the worker's socket, in microseconds (ap_proxy_connect_backend()). */
apr_interval_time_t eas_mod_proxy_timeout(const proxy_worker *worker, const proxy_server_conf *conf,
                                          const server_rec *s);

/* The target of a section's own ProxyPass, or NULL. */
const char *eas_mod_proxy_mapping_of(const ap_conf_vector_t *section);

/* The target of the first ProxyPass outside of sections that matches this path, or NULL. */
const char *eas_mod_proxy_server_mapping(const server_rec *s, const char *path);

/* The target of the ProxyPass number i (from 0) outside of sections, or NULL. */
const char *eas_mod_proxy_server_target(const server_rec *s, int i);

/*
 * The time-out of the URL's worker: its timeout=, else ProxyTimeout, else Timeout; for a balancer,
 * the least of its members.  Only after the configuration has been read.
 */
apr_interval_time_t eas_mod_proxy_timeout_of(apr_pool_t *pool, const server_rec *s,
                                             const char *url);

/* The URL after ProxyPassReverse; unchanged, if none matches. */
const char *eas_mod_proxy_reverse_map(request_rec *r, const char *url);

/* The server's <Proxy> sections, of ap_conf_vector_t *, or NULL. */
const apr_array_header_t *eas_mod_proxy_sections(const server_rec *s);

/*
 * The backends of a ProxyPass to url, in the pool: the members if it is a balancer, else url itself.
 * NULL: all workers and members of the server.
 */
apr_array_header_t *eas_mod_proxy_urls(apr_pool_t *pool, const server_rec *s, const char *url);

/*
 * The URL, or the first member of its balancer, if it is neither http nor https and so can get no
 * token.  Otherwise NULL.
 */
const char *eas_mod_proxy_unfit(const server_rec *s, const char *url);

/* Whether the URL itself is neither http nor https. */
bool eas_mod_proxy_unfit_url(const char *url);

/* Whether a worker outside of balancers is for this "https://host:port". */
bool eas_mod_proxy_has_worker(const server_rec *s, const char *host);

enum eas_mod_proxy_reuse {
    EAS_MOD_PROXY_REUSES,
    EAS_MOD_PROXY_REUSES_NONE, /* by disablereuse=, or by $1 in the path of a ProxyPassMatch */
    EAS_MOD_PROXY_CANNOT_REUSE /* by $1 in its host */
};

/* Whether the worker of a URL, or of a name from eas_mod_proxy_urls(), keeps connections. */
enum eas_mod_proxy_reuse eas_mod_proxy_reuse(apr_pool_t *pool, const server_rec *s,
                                             const char *url);

/* Whether the worker of a URL changes to another protocol where a client asks for it (upgrade=). */
bool eas_mod_proxy_upgrades(apr_pool_t *pool, const server_rec *s, const char *url);

/* `max=` of the worker of a URL; 0 without one.  Before the children start. */
int eas_mod_proxy_max(apr_pool_t *pool, const server_rec *s, const char *url);

/* ProxyErrorOverride of a section, else of its server. */
bool eas_mod_proxy_overrides_errors(const server_rec *s, const ap_conf_vector_t *section);

#endif
