/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/sizing_check_httpd.c - start-up check of room for reloads beside long polls */

#include "delegation/proxy/sizing_check_httpd.h"
#include "auth/base/module_httpd.h"
#include "auth/config_httpd.h"
#include "delegation/config_httpd.h"
#include "delegation/proxy/park_httpd.h"

#include <ap_mpm.h>
#include <http_core.h>

/* Places of ServerLimit for each process: its successor of one reload must have one. */
#define PLACES_MIN 2

/* Of two reloads within one long poll. */
#define PLACES 3

/* Whether the section is that of ActiveSync's directory, or one around it. */
static bool covers_activesync(const ap_conf_vector_t *section)
{
    const core_dir_config *core = ap_get_core_module_config(section);

    return core->r != NULL
               ? ap_regexec(core->r, EAS_ACTIVESYNC_PATH, 0, NULL, 0) == 0
               : core->d != NULL
                     && ap_cstr_casecmpn(EAS_ACTIVESYNC_PATH, core->d, strlen(core->d)) == 0;
}

/* Whether long polls hold threads of this server, as far as its configuration tells. */
static bool has_threads_of_phones(apr_pool_t *ptemp, const server_rec *s)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    const struct eas_delegation_dir *all = eas_delegation_dir_of(s->lookup_defaults), *conf;
    bool mpm_can = eas_park_is_possible();
    bool has = eas_delegation_is_on(all) && !(mpm_can && eas_delegation_parks(all, true));
    int i;

    for (i = 0; core->sec_url != NULL && i < core->sec_url->nelts && !has; i++) {
        const ap_conf_vector_t *section = APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *);

        conf = eas_delegation_dir_merge(ptemp, all, eas_delegation_dir_of(section));
        has = eas_delegation_is_on(conf) && !(mpm_can && eas_delegation_parks(conf, true))
              && covers_activesync(section);
    }
    return has;
}

void eas_sizing_check(apr_pool_t *ptemp, const server_rec *main_server)
{
    const server_rec *s = main_server;
    int limit = 0, processes = 0;

    while (s != NULL && !has_threads_of_phones(ptemp, s)) {
        s = s->next;
    }
    if (s != NULL && ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &limit) == APR_SUCCESS
        && ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &processes) == APR_SUCCESS && limit > 0
        && limit < PLACES_MIN * processes) {
        ap_log_error(
            APLOG_MARK, APLOG_WARNING, 0, s,
            "EAS3091: ServerLimit is %d, and MaxRequestWorkers needs %d processes: after a "
            "graceful reload, no request is answered until the long polls of phones end; "
            "set ServerLimit %d",
            limit, processes, PLACES * processes);
    }
}
