/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/replacement_httpd.c - new processes at once where old ones have parked requests */

#include "delegation/proxy/replacement_httpd.h"
#include "auth/base/counters.h"
#include "auth/base/thread.h"
#include "delegation/proxy/successors_httpd.h"

#include <ap_mpm.h>
#include <apr_time.h>
#include <http_config.h>
#include <scoreboard.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#define STEP (APR_USEC_PER_SEC / 50)
#define STEPS_TO_RUN 500 /* from the last of the configuration on */
/* A signal between two sleeps is lost. */
#define TRIES 3
#define STEPS_PER_TRY 2

struct watch {
    pthread_t thread;
    pthread_t parent; /* the MPM's thread */
    pid_t process;
    int processes;
    struct sigaction before; /* of SIGURG; the handler here is gone with the module */
    atomic_bool ends;
};

static void do_nothing(int signal_)
{
    (void)signal_;
}

static bool mpm_runs(void)
{
    int state = AP_MPMQ_STARTING;

    ap_mpm_query(AP_MPMQ_MPM_STATE, &state);
    return state == AP_MPMQ_RUNNING;
}

/* Without a free place, the MPM would make none, and not replace those that end soon, either. */
static bool has_free_place(const struct watch *watch)
{
    int i = 0;

    while (i < watch->processes && ap_get_scoreboard_process(i)->pid != 0) {
        i++;
    }
    return i < watch->processes;
}

static void sleep_for(const struct watch *watch, int steps)
{
    while (steps-- > 0 && !atomic_load(&watch->ends)) {
        apr_sleep(STEP);
    }
}

static void *run(void *data)
{
    const struct watch *watch = data;
    int i;

    for (i = 0; i < STEPS_TO_RUN && !mpm_runs() && !atomic_load(&watch->ends); i++) {
        apr_sleep(STEP);
    }
    for (i = 0; i < TRIES && mpm_runs() && !atomic_load(&watch->ends); i++) {
        sleep_for(watch, STEPS_PER_TRY);
        if (eas_successors_exist() || !has_free_place(watch)) {
            break;
        }
        pthread_kill(watch->parent, SIGURG);
    }
    return NULL;
}

/* In a child, which has the parent's memory, there is no such thread. */
static apr_status_t end(void *data)
{
    struct watch *watch = data;

    if (watch->process == getpid()) {
        atomic_store(&watch->ends, true);
        pthread_join(watch->thread, NULL);
        sigaction(SIGURG, &watch->before, NULL);
    }
    return APR_SUCCESS;
}

/* By the old processes. */
static bool is_any_request_parked(apr_pool_t *scratch)
{
    return eas_counters_read(scratch).sums.gauges[EAS_GAUGE_PARKED_NOW] > 0;
}

static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const struct sigaction action = { .sa_handler = do_nothing };
    struct watch *watch;

    (void)plog;
    (void)s;
    if (is_any_request_parked(ptemp)) {
        watch = apr_pcalloc(pconf, sizeof(*watch));
        watch->parent = pthread_self();
        watch->process = getpid();
        ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &watch->processes);
        sigaction(SIGURG, &action, &watch->before);
        if (eas_thread_start(&watch->thread, run, watch)) {
            apr_pool_pre_cleanup_register(pconf, watch, end);
        }
        else {
            sigaction(SIGURG, &watch->before, NULL);
        }
    }
    return OK;
}

void eas_replacement_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_REALLY_LAST);
}
