/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/activesync_httpd.c - hook that parses the query of an ActiveSync request */

#include "auth/activesync/activesync_httpd.h"
#include "auth/activesync/query.h"
#include "auth/request_httpd.h"

#include <http_request.h>
#include <string.h>

static void set_variables(request_rec *r, const struct eas_query *query)
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

/* OPTIONS asks for the server's versions, whatever its query says. */
static enum eas_rc parse(request_rec *r, struct eas_query **query_out, struct eas_err *err)
{
    enum eas_rc rc = eas_query_parse(r->pool, r->args, strlen(r->args), query_out, err);

    return rc == EAS_OK && (*query_out)->command == NULL && r->method_number != M_OPTIONS
               ? eas_fail(err, EAS_MALFORMED, 1202, "the ActiveSync query has no command")
               : rc;
}

/*
 * The earliest hook that knows the section: SetEnvIf and all rules see the variables.  A malformed
 * query is refused before a challenge, because a password would not make it better.
 */
static int hook_post_perdir_config(request_rec *r)
{
    struct eas_query *query = NULL;
    struct eas_err err;

    if (!eas_request_is_activesync(r) || r->args == NULL || *r->args == '\0') {
        return DECLINED;
    }
    if (parse(r, &query, &err) != EAS_OK) {
        eas_request_of(r)->refused = HTTP_BAD_REQUEST;
        return eas_log_refuse(r, &err);
    }
    /* The base64 form always has a version.  The plain form leaves both values to headers. */
    if (query->protocol_version == NULL) {
        query->protocol_version = apr_table_get(r->headers_in, "MS-ASProtocolVersion");
        query->policy_key = apr_table_get(r->headers_in, "X-MS-PolicyKey");
    }
    eas_request_of(r)->query = query;
    set_variables(r, query);
    return OK;
}

void eas_activesync_register_hooks(apr_pool_t *pool)
{
    ap_hook_post_perdir_config(hook_post_perdir_config, NULL, NULL, APR_HOOK_MIDDLE);
}
