/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/mod_proxy_httpd.h - mod_proxy, found at run time */

#ifndef EAS_DELEGATION_PROXY_MOD_PROXY_HTTPD_H
#define EAS_DELEGATION_PROXY_MOD_PROXY_HTTPD_H

#include <httpd.h>
#include <http_config.h>
#include <mod_proxy.h>
#include <stdbool.h>

/*
 * Debian loads eas_kcd.load before proxy.load, and a module that links against mod_proxy's symbols
 * fails there as undefined.  So its functions are looked up in pre_config, when every LoadModule has
 * been obeyed; httpd sorts the hooks again after that (server/main.c).
 */

/* Finds mod_proxy and mod_proxy_http, and registers scheme_handler with the former. */
void eas_mod_proxy_find(apr_pool_t *pconf,
                        int (*scheme_handler)(request_rec *r, proxy_worker *worker,
                                              proxy_server_conf *conf, char *url,
                                              const char *proxyhost, apr_port_t proxyport));

/* Are both modules there? */
bool eas_mod_proxy_is_loaded(void);

/* mod_proxy's own run of that hook; only while eas_mod_proxy_is_loaded(). */
int eas_mod_proxy_run_scheme_handler(request_rec *r, proxy_worker *worker, proxy_server_conf *conf,
                                     char *url, const char *proxyhost, apr_port_t proxyport);

/*
 * Another connection pool for the same backend: a worker that mod_proxy allocates and initializes (so
 * that its size is mod_proxy's, whatever headers we were built with) and that shares everything but
 * the connections with the original: status, counters, parameters.  NULL if mod_proxy cannot.
 */
proxy_worker *eas_mod_proxy_make_slot(apr_pool_t *pool, proxy_worker *worker, server_rec *s);

/* How long mod_proxy waits for this worker's backend, in microseconds (as ap_proxy_connect_backend()). */
apr_interval_time_t eas_mod_proxy_timeout(const proxy_worker *worker, const proxy_server_conf *conf,
                                          const server_rec *s);

/* Where a section's own ProxyPass leads, or NULL. */
const char *eas_mod_proxy_mapping_of(const ap_conf_vector_t *section);

/* Where the server's first ProxyPass outside of sections leads that takes this path, or NULL. */
const char *eas_mod_proxy_server_mapping(const server_rec *s, const char *path);

/*
 * For how long the worker of this URL may be silent: its timeout=, else ProxyTimeout, else Timeout; of
 * a balancer the least of its members'.  For the time after the configuration was read.
 */
apr_interval_time_t eas_mod_proxy_timeout_of(apr_pool_t *pool, const server_rec *s,
                                             const char *url);

/* The URL as the client must see it, by ProxyPassReverse; itself, if that says nothing about it. */
const char *eas_mod_proxy_reverse_map(request_rec *r, const char *url);

/* The server's <Proxy> sections, of ap_conf_vector_t *, or NULL. */
const apr_array_header_t *eas_mod_proxy_sections(const server_rec *s);

/*
 * The URL, or for a balancer the first member, that no token can be sent to: all but http and https.
 * NULL if there is none.
 */
const char *eas_mod_proxy_unfit(const server_rec *s, const char *url);

#endif
