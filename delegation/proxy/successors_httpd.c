/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/successors_httpd.c - whether processes of a restart exist, and accept connections */

#include "delegation/proxy/successors_httpd.h"

#include <ap_mpm.h>
#include <scoreboard.h>

static bool has_thread_that_works(int process, int threads)
{
    int i;

    for (i = 0; i < threads; i++) {
        int status = ap_get_scoreboard_worker_from_indexes(process, i)->status;

        if (status != SERVER_DEAD && status != SERVER_STARTING) {
            return true;
        }
    }
    return false;
}

static bool exist(ap_generation_t generation, bool must_accept)
{
    int processes = 0, threads = 0, i;

    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &processes);
    ap_mpm_query(AP_MPMQ_HARD_LIMIT_THREADS, &threads);
    for (i = 0; i < processes; i++) {
        const process_score *process = ap_get_scoreboard_process(i);

        if (process->pid != 0 && process->generation == generation
            && (!must_accept || (!process->quiescing && has_thread_that_works(i, threads)))) {
            return true;
        }
    }
    return false;
}

bool eas_successors_exist(void)
{
    return exist(ap_get_scoreboard_global()->running_generation, false);
}

bool eas_successors_accept(void)
{
    ap_generation_t next = ap_get_scoreboard_global()->running_generation;
    int own = 0;

    ap_mpm_query(AP_MPMQ_GENERATION, &own);
    return next == own || exist(next, true);
}
