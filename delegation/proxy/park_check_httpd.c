/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/park_check_httpd.c - start-up check of the MPM's settings for parked requests */

#include "delegation/proxy/park_check_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/base/module_httpd.h"
#include "delegation/proxy/mod_proxy_httpd.h"
#include "delegation/proxy/targets_httpd.h"

#include <ap_mpm.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <util_cfgtree.h>

/* The event MPM's defaults. */
#define WORKER_FACTOR 2
#define SPARE_THREADS 250

/* Connections for each idle thread; with fewer, a process of parked requests takes no others. */
#define WORKER_FACTOR_MIN 200

/* Descriptors of a parked request; and of a process besides: logs, listeners, KDCs, caches. */
#define DESCRIPTORS_EACH 3
#define DESCRIPTORS_BESIDES 256

/*
 * The last such directive counts.  It is on the tree's first level: these directives are the main
 * server's, and httpd resolves <IfModule> as it reads it.
 */
static double value_of(const char *name, double preset)
{
    const ap_directive_t *directive;
    double value = preset;

    for (directive = ap_conftree; directive != NULL; directive = directive->next) {
        if (ap_cstr_casecmp(directive->directive, name) == 0) {
            value = strtod(directive->args, NULL);
        }
    }
    return value;
}

/* Of the check of the MPM's settings. */
struct advice {
    const server_rec *server;
    int level;
};

static void advise(const struct advice *advice, const char *name, double value, int better,
                   const char *why)
{
    ap_log_error(APLOG_MARK, APLOG_STARTUP | advice->level, 0, advice->server,
                 "EAS3069: EasKcdPark: %s is %g, so %s; write %s %d", name, value, why, name,
                 better);
}

static void check_mpm(const struct advice *advice, double factor, int threads)
{
    double spare = value_of("MaxSpareThreads", SPARE_THREADS);
    double connections = value_of("MaxConnectionsPerChild", value_of("MaxRequestsPerChild", 0));
    int processes = 1;

    ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &processes);
    if (factor < WORKER_FACTOR_MIN) {
        advise(advice, "AsyncRequestWorkerFactor", factor, WORKER_FACTOR_MIN,
               "a process with some dozens of long polls accepts no other connection");
    }
    if (spare < (double)threads * processes) {
        advise(advice, "MaxSpareThreads", spare, threads * processes,
               "httpd ends processes that hold long polls only");
    }
    if (connections > 0) {
        advise(advice, "MaxConnectionsPerChild", connections, 0,
               "httpd ends processes that hold long polls");
    }
}

/* httpd's children inherit the limit. */
static void check_descriptors(const server_rec *main_server, double connections)
{
    double enough = DESCRIPTORS_EACH * connections + DESCRIPTORS_BESIDES;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY
        && (double)limit.rlim_cur < enough) {
        ap_log_error(
            APLOG_MARK, APLOG_STARTUP | APLOG_WARNING, 0, main_server,
            "EAS3100: EasKcdPark: httpd ends a process that has no more descriptors; it may "
            "have %.0f, and AsyncRequestWorkerFactor admits %.0f connections to it, of "
            "three each; write LimitNOFILE=%.0f in httpd's service",
            (double)limit.rlim_cur, connections, enough);
    }
}

/*
 * As conn_pools_httpd has it: mod_proxy's default, the number of threads, is no limit.  With mod_http2
 * the default is more, and only a child knows it: then each max= is named.
 */
static bool limits(int max, int threads, int pools)
{
    return max > 0
           && (ap_find_linked_module("mod_http2.c") != NULL
               || (max != threads && (max < threads || max > pools)));
}

/* Of the backends whose requests park; each URL once. */
static void check_workers(apr_pool_t *ptemp, const server_rec *s, int threads, int pools,
                          double connections)
{
    const apr_array_header_t *targets = eas_targets_of(ptemp, s);
    apr_array_header_t *urls = apr_array_make(ptemp, targets->nelts + 1, sizeof(const char *));
    struct eas_err err;
    int i, max;

    for (i = 0; i < targets->nelts; i++) {
        const struct eas_target *target = &APR_ARRAY_IDX(targets, i, struct eas_target);

        if (!eas_delegation_parks(target->conf, true) || ap_array_str_contains(urls, target->url)) {
            continue;
        }
        APR_ARRAY_PUSH(urls, const char *) = target->url;
        max = eas_mod_proxy_max(ptemp, s, target->url);
        if (limits(max, threads, pools) && max < connections) {
            eas_fail(&err, EAS_MISCONFIGURED, 3101,
                     "EasKcdPark: the worker of %s has max=%d, so that a process has no connection "
                     "for one more long poll, though it admits %.0f clients; remove max=, or write "
                     "max=%.0f",
                     target->url, max, connections, connections);
            eas_log_startup_warning(s, &err);
        }
    }
}

/* Whether a request to one of the backends that the start knows may park. */
static bool parks_anywhere(apr_pool_t *ptemp, const server_rec *main_server)
{
    const server_rec *s;
    int i;

    for (s = main_server; s != NULL; s = s->next) {
        const apr_array_header_t *targets = eas_targets_of(ptemp, s);

        for (i = 0; i < targets->nelts; i++) {
            if (eas_delegation_parks(APR_ARRAY_IDX(targets, i, struct eas_target).conf, true)) {
                return true;
            }
        }
    }
    return false;
}

void eas_park_check(apr_pool_t *ptemp, const server_rec *main_server, bool is_by_default)
{
    const struct advice advice = { main_server, is_by_default ? APLOG_INFO : APLOG_WARNING };
    double factor = value_of("AsyncRequestWorkerFactor", WORKER_FACTOR), connections;
    int pools = eas_delegation_backend_pools(eas_delegation_server_of(main_server));
    const server_rec *s;
    int threads = 1;

    if (is_by_default && !parks_anywhere(ptemp, main_server)) {
        return;
    }
    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    check_mpm(&advice, factor, threads);
    /* The MPM's limit while all threads are idle, once the advice above is taken. */
    if (!is_by_default && factor < WORKER_FACTOR_MIN) {
        factor = WORKER_FACTOR_MIN;
    }
    connections = threads * (1 + factor);
    check_descriptors(main_server, connections);
    for (s = main_server; s != NULL; s = s->next) {
        check_workers(ptemp, s, threads, pools, connections);
    }
}
