/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/counters_httpd.c - memory for the gateway's numbers and notes */

#include "auth/shared/counters_httpd.h"
#include "auth/base/counters.h"
#include "auth/base/notes.h"
#include "auth/shared/retained_httpd.h"

#include <apr_strings.h>
#include <ap_mpm.h>
#include <unistd.h>

/*
 * With both layouts behind it: processes of an older module may count in the older memory, and
 * older memory may be too small for the notes.
 */
#define RETAINED_NAME "mod_eas_kcd:counters:1:%08x:%08x"

void eas_counters_post_config(server_rec *main_server)
{
    enum { COUNTERS, NOTES };
    const struct eas_retained_layout layout[EAS_RETAINED_SEGMENTS] = {
        [COUNTERS] = { eas_counters_size(), false },
        [NOTES] = { eas_notes_size(), false },
    };
    char name[64];
    const struct eas_retained *retained;

    apr_snprintf(name, sizeof(name), RETAINED_NAME, eas_counters_layout(), eas_notes_layout());
    retained = eas_retained_attach(main_server, name, layout);
    if (retained == NULL || !retained->is_complete) {
        return;
    }
    eas_counters_attach(retained->segments[COUNTERS]);
    if (!eas_notes_attach(retained->segments[NOTES])) {
        eas_notes_format(retained->segments[NOTES], apr_time_now());
        eas_notes_attach(retained->segments[NOTES]);
    }
}

/* In the parent process. */
static void hook_child_status(server_rec *s, pid_t pid, ap_generation_t generation, int slot,
                              mpm_child_status status)
{
    (void)s, (void)generation, (void)slot;
    if (status == MPM_CHILD_EXITED) {
        eas_counters_ended((int)pid);
    }
}

void eas_counters_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_child_status(hook_child_status, NULL, NULL, APR_HOOK_MIDDLE);
}

static apr_status_t end(void *data)
{
    (void)data;
    eas_counters_end();
    return APR_SUCCESS;
}

void eas_counters_child_init(apr_pool_t *pchild)
{
    eas_counters_begin((int)getpid(), apr_time_now());
    apr_pool_cleanup_register(pchild, NULL, end, apr_pool_cleanup_null);
}
