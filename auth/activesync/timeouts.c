/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/timeouts.c - backend time-outs by ActiveSync command */

#include "auth/activesync/timeouts.h"

#include <apr_cstr.h>
#include <string.h>

/*
 * The default of EasKcdCommandTimeout.  Exchange answers a Ping or a waiting Sync after at most 59
 * minutes, [MS-ASCMD].
 */
static const struct eas_timeout default_command_timeout[] = {
    { .command = "Ping", .timeout = apr_time_from_sec(3600) },
    { .command = "Sync", .timeout = apr_time_from_sec(3600) },
    { .command = "*", .timeout = apr_time_from_sec(120) },
};

static const struct eas_timeout *find(const struct eas_timeout *all, int n, const char *command)
{
    int i;

    for (i = 0; i < n; i++) {
        if (apr_cstr_casecmp(all[i].command, command) == 0) {
            return &all[i];
        }
    }
    return NULL;
}

static const struct eas_timeout *find_configured(const apr_array_header_t *list,
                                                 const char *command)
{
    return list != NULL ? find((const struct eas_timeout *)list->elts, list->nelts, command) : NULL;
}

static const struct eas_timeout *find_default(const char *command)
{
    return find(default_command_timeout,
                sizeof(default_command_timeout) / sizeof(default_command_timeout[0]), command);
}

apr_interval_time_t eas_timeouts_find(const apr_array_header_t *list, const char *command)
{
    const struct eas_timeout *found = NULL;

    if (command != NULL) {
        found = find_configured(list, command);
        if (found == NULL) {
            found = find_default(command);
        }
    }
    if (found == NULL) {
        found = find_configured(list, "*");
    }
    return found != NULL ? found->timeout : find_default("*")->timeout;
}

bool eas_timeouts_waits(const apr_array_header_t *list, const char *command)
{
    if (command == NULL || strcmp(command, "*") == 0) {
        return false;
    }
    return find_default(command) != NULL
           || eas_timeouts_find(list, command) > eas_timeouts_find(list, NULL);
}

apr_array_header_t *eas_timeouts_set(apr_pool_t *pool, apr_array_header_t *list,
                                     struct eas_timeout timeout)
{
    struct eas_timeout *entry;

    if (list == NULL) {
        list = apr_array_make(pool, 3, sizeof(timeout));
    }
    entry = (struct eas_timeout *)find_configured(list, timeout.command);
    if (entry == NULL) {
        entry = apr_array_push(list);
    }
    *entry = timeout;
    return list;
}

apr_array_header_t *eas_timeouts_merge(apr_pool_t *pool, const apr_array_header_t *outer,
                                       const apr_array_header_t *inner)
{
    if (inner == NULL || outer == NULL) {
        return (apr_array_header_t *)(inner != NULL ? inner : outer);
    }
    return apr_array_append(pool, inner, outer);
}
