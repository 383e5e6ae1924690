/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/activesync_httpd.c - what an ActiveSync request is about: read once, shown, timed */

#include "auth/activesync/activesync_httpd.h"
#include "auth/request_httpd.h"
#include "auth/config_httpd.h"
#include "auth/base/duration.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_request.h>

/* One EasKcdCommandTimeout. */
struct command_timeout {
    const char *command; /* "*": all that are not named */
    apr_interval_time_t timeout;
};

/* Ping and Sync may wait for news as long as Exchange lets them, [MS-ASCMD]: 59 minutes. */
static const struct command_timeout default_timeouts[] = {
    { "Ping", apr_time_from_sec(3600) },
    { "Sync", apr_time_from_sec(3600) },
};

#define OTHERS_TIMEOUT apr_time_from_sec(120)

bool eas_activesync_is_path(const char *path)
{
    const apr_size_t len = sizeof(EAS_ACTIVESYNC_PATH) - 1;

    return path != NULL && ap_cstr_casecmpn(path, EAS_ACTIVESYNC_PATH, len) == 0
           && (path[len] == '\0' || path[len] == '/');
}

bool eas_activesync_applies(const request_rec *r)
{
    int parse = eas_auth_dir_of(r->per_dir_config)->parse_eas;

    return parse == EAS_PARSE_ON || (parse != EAS_PARSE_OFF && eas_activesync_is_path(r->uri));
}

const struct eas_query *eas_activesync_query(const request_rec *r)
{
    const struct eas_request *request = ap_get_module_config(r->request_config, &eas_kcd_module);

    return request != NULL ? request->query : NULL;
}

/* --- the query --------------------------------------------------------------------------------- */

static void show(request_rec *r, const struct eas_query *query)
{
    const struct {
        const char *name, *value;
    } all[] = { { "EAS_COMMAND", query->command },
                { "EAS_USER", query->user },
                { "EAS_DEVICE_ID", query->device_id },
                { "EAS_DEVICE_TYPE", query->device_type },
                { "EAS_PROTOCOL_VERSION", query->protocol_version },
                { "EAS_POLICY_KEY", query->policy_key } };
    apr_size_t i;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].value != NULL) {
            apr_table_setn(r->subprocess_env, all[i].name, all[i].value);
        }
    }
}

/*
 * As soon as the section is known, so that the variables are there for SetEnvIf and every rule, and
 * before anybody is asked for anything: a query that makes no sense does not begin to with a password.
 */
static int read_query(request_rec *r)
{
    struct eas_query *query = NULL;
    struct eas_err err;

    if (!eas_activesync_applies(r) || r->args == NULL || *r->args == '\0') {
        return DECLINED;
    }
    if (eas_query_parse(r->pool, r->args, strlen(r->args), &query, &err) != EAS_OK) {
        eas_request_of(r)->refused = HTTP_BAD_REQUEST;
        return eas_log_refuse(r, &err);
    }
    /* The base64 form always has a version; its other field is then the blob's, or none. */
    if (query->protocol_version == NULL) {
        query->protocol_version = apr_table_get(r->headers_in, "MS-ASProtocolVersion");
        query->policy_key = apr_table_get(r->headers_in, "X-MS-PolicyKey");
    }
    eas_request_of(r)->query = query;
    show(r, query);
    return OK;
}

/* --- time-outs --------------------------------------------------------------------------------- */

static const struct command_timeout *find_timeout(const struct command_timeout *all, int n,
                                                  const char *command)
{
    int i;

    for (i = 0; i < n; i++) {
        if (ap_cstr_casecmp(all[i].command, command) == 0) {
            return &all[i];
        }
    }
    return NULL;
}

/* What is named comes before `*`, and what is configured before a default for the same. */
apr_interval_time_t eas_timeouts_find(const struct eas_auth_dir *conf, const char *command)
{
    const apr_array_header_t *list = conf->command_timeouts;
    const struct command_timeout *set = list != NULL ? (struct command_timeout *)list->elts : NULL;
    const struct command_timeout *found = NULL;
    int n = list != NULL ? list->nelts : 0;

    if (command != NULL) {
        found = find_timeout(set, n, command);
        if (found == NULL) {
            found = find_timeout(default_timeouts,
                                 sizeof(default_timeouts) / sizeof(default_timeouts[0]), command);
        }
    }
    if (found == NULL) {
        found = find_timeout(set, n, "*");
    }
    return found != NULL ? found->timeout : OTHERS_TIMEOUT;
}

apr_interval_time_t eas_activesync_timeout(request_rec *r)
{
    const struct eas_query *query = eas_activesync_query(r);

    return eas_activesync_applies(r) ? eas_timeouts_find(eas_auth_dir_of(r->per_dir_config),
                                                         query != NULL ? query->command : NULL)
                                     : 0;
}

apr_array_header_t *eas_timeouts_merge(apr_pool_t *pool, const apr_array_header_t *base,
                                       const apr_array_header_t *add)
{
    if (add == NULL || base == NULL) {
        return (apr_array_header_t *)(add != NULL ? add : base);
    }
    return apr_array_append(pool, add, base);
}

/* --- directives -------------------------------------------------------------------------------- */

const char *eas_auth_set_parse_eas(cmd_parms *cmd, void *dir, const char *arg)
{
    static const char *const names[] = { "auto", "on", "off" };
    int i;

    (void)dir;
    for (i = EAS_PARSE_AUTO; i <= EAS_PARSE_OFF; i++) {
        if (ap_cstr_casecmp(arg, names[i]) == 0) {
            eas_auth_dir_of(cmd->context)->parse_eas = i;
            return NULL;
        }
    }
    return apr_psprintf(cmd->pool, "%s: '%s' is none of On, Off and auto", cmd->cmd->name, arg);
}

const char *eas_auth_set_command_timeout(cmd_parms *cmd, void *dir, const char *command,
                                         const char *duration)
{
    struct eas_auth_dir *conf = eas_auth_dir_of(cmd->context);
    struct command_timeout *set, new = { command, 0 };
    const char *p = command;

    (void)dir;
    while (apr_isalnum(*p)) {
        p++;
    }
    if (strcmp(command, "*") != 0 && (*p != '\0' || p == command)) {
        return apr_psprintf(cmd->pool, "%s: '%s' is no ActiveSync command; write Ping, Sync or *",
                            cmd->cmd->name, command);
    }
    if (!eas_duration_parse(duration, &new.timeout) || new.timeout < apr_time_from_sec(1)) {
        return apr_psprintf(cmd->pool,
                            "%s: '%s' is no duration of a second or more; write 120s, 15m or 1h",
                            cmd->cmd->name, duration);
    }
    if (conf->command_timeouts == NULL) {
        conf->command_timeouts = apr_array_make(cmd->pool, 3, sizeof(struct command_timeout));
    }
    set = (struct command_timeout *)find_timeout(
        (struct command_timeout *)conf->command_timeouts->elts, conf->command_timeouts->nelts,
        command);
    if (set == NULL) {
        set = apr_array_push(conf->command_timeouts);
    }
    *set = new;
    return NULL;
}

void eas_activesync_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_post_perdir_config(read_query, NULL, NULL, APR_HOOK_MIDDLE);
}
