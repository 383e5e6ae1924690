/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/poll_timeout_check_httpd.c - start-up check of time-outs for Ping */

#include "delegation/proxy/poll_timeout_check_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/base/module_httpd.h"
#include "auth/config_httpd.h"
#include "delegation/proxy/mod_proxy_httpd.h"

#include <http_core.h>

/* The longest HeartbeatInterval that Exchange accepts. */
#define HEARTBEAT apr_time_from_sec(3540)

static int seconds(apr_interval_time_t time)
{
    return (int)apr_time_sec(time);
}

/* With EasKcdParseEas. */
static void check_commands(const server_rec *s, const char *where, const struct eas_auth_dir *conf)
{
    static const char *const waiting[] = { "Ping", "Sync" };
    struct eas_err err;
    apr_size_t i;

    for (i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++) {
        apr_interval_time_t timeout = eas_auth_command_timeout(conf, waiting[i]);

        if (timeout < HEARTBEAT) {
            eas_fail(&err, EAS_MISCONFIGURED, 3050,
                     "%s: EasKcdCommandTimeout %s %ds is less than the %d s that phones may wait "
                     "for a response, and they repeat what it ends; raise it",
                     where, waiting[i], seconds(timeout), seconds(HEARTBEAT));
            eas_log_startup_warning(s, &err);
        }
    }
}

/* Without EasKcdParseEas. */
static void check_backend(apr_pool_t *ptemp, const server_rec *s, const char *where,
                          const char *target)
{
    apr_interval_time_t timeout = eas_mod_proxy_timeout_of(ptemp, s, target);
    struct eas_err err;

    if (timeout < HEARTBEAT) {
        eas_fail(&err, EAS_MISCONFIGURED, 3051,
                 "%s: EasKcdParseEas is Off, so a Ping ends after %s was silent for %d s (timeout= "
                 "of the worker, else ProxyTimeout, else Timeout), but phones may wait %d s; set "
                 "EasKcdParseEas auto, or timeout=3600",
                 where, target, seconds(timeout), seconds(HEARTBEAT));
        eas_log_startup_warning(s, &err);
    }
}

static void check_mapping(apr_pool_t *ptemp, const server_rec *s, const char *where,
                          const struct eas_auth_dir *conf, const char *target)
{
    if (eas_mod_proxy_unfit(s, target) != NULL) {
        return;
    }
    if (conf->parse_eas == EAS_PARSE_OFF) {
        check_backend(ptemp, s, where, target);
    }
    else {
        check_commands(s, where, conf);
    }
}

/* Whether the section covers ActiveSync's directory, in any form. */
static bool is_activesync(const core_dir_config *core)
{
    return core->r != NULL ? ap_regexec(core->r, EAS_ACTIVESYNC_PATH, 0, NULL, 0) == 0
                           : eas_auth_is_activesync_path(core->d);
}

/* Returns whether the section covers ActiveSync's directory. */
static bool check_section(apr_pool_t *ptemp, const server_rec *s, const ap_conf_vector_t *section)
{
    const core_dir_config *core = ap_get_core_module_config(section);
    const struct eas_auth_dir *own = eas_auth_dir_of(section);
    const char *target = eas_mod_proxy_mapping_of(section);
    bool ours = is_activesync(core);

    if (target == NULL && ours) {
        target = eas_mod_proxy_server_mapping(s, EAS_ACTIVESYNC_PATH);
    }
    if (target != NULL && (ours || own->parse_eas == EAS_PARSE_ON)) {
        check_mapping(ptemp, s, core->d,
                      eas_auth_dir_merge(ptemp, eas_auth_dir_of(s->lookup_defaults), own), target);
    }
    return ours;
}

void eas_poll_timeout_check(apr_pool_t *ptemp, const server_rec *main_server)
{
    const server_rec *s;

    for (s = main_server; s != NULL; s = s->next) {
        const core_server_config *core = ap_get_core_module_config(s->module_config);
        const apr_array_header_t *sections = core->sec_url;
        const char *target = eas_mod_proxy_server_mapping(s, EAS_ACTIVESYNC_PATH);
        bool in_section = false;
        int i;

        for (i = 0; sections != NULL && i < sections->nelts; i++) {
            in_section |= check_section(ptemp, s, APR_ARRAY_IDX(sections, i, ap_conf_vector_t *));
        }
        if (target != NULL && !in_section) {
            check_mapping(ptemp, s, "ProxyPass", eas_auth_dir_of(s->lookup_defaults), target);
        }
    }
}
