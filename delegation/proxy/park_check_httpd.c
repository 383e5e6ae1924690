/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/park_check_httpd.c - start-up check of the MPM's settings for parked requests */

#include "delegation/proxy/park_check_httpd.h"
#include "auth/base/module_httpd.h"

#include <ap_mpm.h>
#include <stdlib.h>
#include <util_cfgtree.h>

/* The event MPM's defaults. */
#define WORKER_FACTOR 2
#define SPARE_THREADS 250

/* Connections for each idle thread; with fewer, a process of parked requests takes no others. */
#define WORKER_FACTOR_MIN 200

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

static void warn(const server_rec *s, const char *name, double value, int better, const char *why)
{
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_WARNING, 0, s,
                 "EAS3069: EasKcdPark: %s is %g, so %s; write %s %d", name, value, why, name,
                 better);
}

void eas_park_check(const server_rec *main_server)
{
    double factor = value_of("AsyncRequestWorkerFactor", WORKER_FACTOR);
    double spare = value_of("MaxSpareThreads", SPARE_THREADS);
    double connections = value_of("MaxConnectionsPerChild", 0);
    int threads = 1, processes = 1;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &processes);
    if (factor < WORKER_FACTOR_MIN) {
        warn(main_server, "AsyncRequestWorkerFactor", factor, WORKER_FACTOR_MIN,
             "a process with some dozens of long polls accepts no other connection");
    }
    if (spare < (double)threads * processes) {
        warn(main_server, "MaxSpareThreads", spare, threads * processes,
             "httpd ends processes that hold long polls only");
    }
    if (connections > 0) {
        warn(main_server, "MaxConnectionsPerChild", connections, 0,
             "httpd ends processes that hold long polls");
    }
}
