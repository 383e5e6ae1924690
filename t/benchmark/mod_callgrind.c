/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t/benchmark/mod_callgrind.c - httpd's side of callgrind: requests that start and end a count
 *
 * SetHandler callgrind; the query is `start` or `dump`.  valgrind's own way from outside is ptrace,
 * which containers forbid.  Built and loaded by t/bench.
 */

#include <httpd.h>

#include <http_config.h>
#include <http_protocol.h>
#include <string.h>
#include <valgrind/callgrind.h>

static int hook_handler(request_rec *r)
{
    if (strcmp(r->handler, "callgrind") != 0) {
        return DECLINED;
    }
    if (r->args != NULL && strcmp(r->args, "start") == 0) {
        CALLGRIND_START_INSTRUMENTATION;
    }
    else {
        CALLGRIND_STOP_INSTRUMENTATION;
        CALLGRIND_DUMP_STATS;
    }
    ap_rputs("done\n", r);
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_handler(hook_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(callgrind) = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL,
                                 register_hooks,          0 };
