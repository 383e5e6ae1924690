/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/long_polls_httpd.c - limits for the long polls that all processes hold */

#include "delegation/proxy/long_polls_httpd.h"
#include "auth/base/clock.h"
#include "auth/base/counters.h"
#include "auth/base/module_httpd.h"
#include "auth/request_httpd.h"
#include "auth/shared/retained_httpd.h"
#include "delegation/config_httpd.h"

#include <ap_mpm.h>

/* For 26 000 polls.  Only what is used becomes memory. */
#define BYTES ((apr_size_t)1 << 20)
#define RETAINED_NAME "mod_eas_kcd:long-polls:1"

void eas_long_polls_post_config(server_rec *main_server)
{
    static const struct eas_retained_layout layout[EAS_RETAINED_SEGMENTS] = { { BYTES, false } };
    const struct eas_retained *retained = eas_retained_attach(main_server, RETAINED_NAME, layout);
    void *memory = retained != NULL ? retained->segments[0] : NULL;
    struct eas_long_polls *polls = NULL;

    if (memory != NULL) {
        polls = eas_long_polls_attach(memory, BYTES);
        if (polls == NULL) {
            eas_long_polls_format(memory, BYTES);
            polls = eas_long_polls_attach(memory, BYTES);
        }
    }
    eas_module_process()->long_polls = polls;
}

static unsigned workers(void)
{
    int threads = 1, processes = 1;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &processes);
    return (unsigned)(threads > 0 ? threads : 1) * (unsigned)processes;
}

enum eas_rc eas_long_polls_admit(request_rec *r, const char *principal,
                                 struct eas_long_poll **poll_out, struct eas_err *err)
{
    struct eas_long_polls *all = eas_module_process()->long_polls;
    unsigned n = eas_delegation_long_polls(eas_delegation_dir_of(r->per_dir_config));
    const char *device = eas_request_waiting_device(r);
    struct eas_long_poll *poll;

    *poll_out = NULL;
    if (all == NULL || n == 0 || device == NULL) {
        return EAS_OK;
    }
    poll = apr_palloc(r->pool, sizeof(*poll));
    if (!eas_long_polls_begin(all, eas_long_polls_key(principal, device),
                              eas_long_polls_limits(n, workers()), eas_clock_now(), poll)) {
        return eas_fail(err, EAS_THROTTLED, 2082,
                        "the user's long polls come faster than older ones end; look for a device "
                        "that does not wait for its answers, or raise EasKcdLongPolls");
    }
    eas_counters_add(EAS_COUNTER_LONG_POLLS);
    *poll_out = poll;
    return EAS_OK;
}

unsigned eas_long_polls_held(void)
{
    struct eas_long_polls *all = eas_module_process()->long_polls;

    return all != NULL ? eas_long_polls_count(all, eas_clock_now()) : 0;
}
