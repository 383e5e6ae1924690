/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/directives_httpd.c - handlers of delegation/directives.def */

#include "delegation/directives_httpd.h"
#include "auth/base/duration.h"
#include "auth/base/module_httpd.h"
#include "delegation/config_httpd.h"
#include "delegation/kerberos/spn.h"
#include "delegation/proxy/front_end.h"

#include <apr_strings.h>

#define RETRY_BODY_MAX 67108864 /* 64 MiB */
#define POOLS_MAX 4096
#define LONG_POLLS_MAX 1000
#define PARK_SPREAD_MAX apr_time_from_sec(60)

const char *eas_delegation_set_delegate(cmd_parms *cmd, void *dir, int flag)
{
    (void)dir;
    eas_delegation_dir_of(cmd->context)->delegate = flag;
    return NULL;
}

const char *eas_delegation_set_spn(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *error = eas_spn_check(arg);

    (void)dir;
    if (error != NULL) {
        return apr_psprintf(cmd->pool, "%s: '%s' %s", cmd->cmd->name, arg, error);
    }
    eas_delegation_dir_of(cmd->context)->spn = arg;
    return NULL;
}

const char *eas_delegation_set_delegate_user(cmd_parms *cmd, void *dir, const char *arg)
{
    struct eas_delegation_dir *conf = eas_delegation_dir_of(cmd->context);
    const char *error = NULL;

    (void)dir;
    conf->user_of_certificate = ap_strcasestr(arg, "SSL_CLIENT_") != NULL;
    conf->delegate_user = ap_expr_parse_cmd(cmd, arg, AP_EXPR_FLAG_STRING_RESULT, &error, NULL);
    if (error != NULL) {
        return apr_psprintf(cmd->pool, "%s: cannot parse the expression '%s': %s", cmd->cmd->name,
                            arg, error);
    }
    return NULL;
}

const char *eas_delegation_set_delegate_certificate(cmd_parms *cmd, void *dir, int flag)
{
    (void)dir;
    eas_delegation_dir_of(cmd->context)->delegate_certificate = flag;
    return NULL;
}

const char *eas_delegation_set_transition(cmd_parms *cmd, void *dir, int flag)
{
    (void)dir;
    eas_delegation_dir_of(cmd->context)->transition = flag;
    return NULL;
}

const char *eas_delegation_set_mutual(cmd_parms *cmd, void *dir, const char *arg)
{
    bool required = ap_cstr_casecmp(arg, "required") == 0;

    (void)dir;
    if (!required && ap_cstr_casecmp(arg, "optional") != 0) {
        return apr_psprintf(cmd->pool, "%s: '%s' is neither required nor optional", cmd->cmd->name,
                            arg);
    }
    eas_delegation_dir_of(cmd->context)->mutual = required;
    return NULL;
}

const char *eas_delegation_set_reuse(cmd_parms *cmd, void *dir, int flag)
{
    (void)dir;
    eas_delegation_dir_of(cmd->context)->reuse = flag;
    return NULL;
}

const char *eas_delegation_set_resume(cmd_parms *cmd, void *dir, int flag)
{
    (void)dir;
    eas_delegation_dir_of(cmd->context)->resume = flag;
    return NULL;
}

const char *eas_delegation_set_bind(cmd_parms *cmd, void *dir, int flag)
{
    (void)dir;
    eas_delegation_dir_of(cmd->context)->bind = flag;
    return NULL;
}

const char *eas_delegation_set_token(cmd_parms *cmd, void *dir, const char *arg)
{
    bool native = ap_cstr_casecmp(arg, "native") == 0;

    (void)dir;
    if (!native && ap_cstr_casecmp(arg, "gssapi") != 0) {
        return apr_psprintf(cmd->pool, "%s: '%s' is neither native nor gssapi", cmd->cmd->name,
                            arg);
    }
    eas_delegation_dir_of(cmd->context)->token_by = native ? EAS_TOKEN_NATIVE : EAS_TOKEN_GSSAPI;
    eas_delegation_server_of(cmd->server)->uses_gssapi |= !native;
    return NULL;
}

/* A whole number from low to high, or false. */
static bool parse_number(const char *arg, apr_int64_t low, apr_int64_t high, apr_int64_t *out)
{
    char *end;

    *out = apr_strtoi64(arg, &end, 10);
    return *arg != '\0' && *end == '\0' && *out >= low && *out <= high;
}

const char *eas_delegation_set_strip_headers(cmd_parms *cmd, void *dir, const char *arg)
{
    struct eas_delegation_dir *conf = eas_delegation_dir_of(cmd->context);

    (void)dir;
    if (!eas_front_end_is_name(arg + (*arg == '-'))) {
        return apr_psprintf(cmd->pool,
                            "%s: '%s' is no name of a header; write X-Name to strip it, -X-Name to "
                            "let it pass",
                            cmd->cmd->name, arg);
    }
    if (conf->strip_headers == NULL) {
        conf->strip_headers = apr_array_make(cmd->pool, 4, sizeof(const char *));
    }
    APR_ARRAY_PUSH(conf->strip_headers, const char *) = arg;
    return NULL;
}

const char *eas_delegation_set_retry_body(cmd_parms *cmd, void *dir, const char *arg)
{
    apr_int64_t bytes;

    (void)dir;
    if (!parse_number(arg, 0, RETRY_BODY_MAX, &bytes)) {
        return apr_psprintf(cmd->pool, "%s: '%s' is no number of bytes from 0 to %d",
                            cmd->cmd->name, arg, RETRY_BODY_MAX);
    }
    eas_delegation_dir_of(cmd->context)->retry_body = (apr_off_t)bytes;
    return NULL;
}

const char *eas_delegation_set_park(cmd_parms *cmd, void *dir, int flag)
{
    (void)dir;
    eas_delegation_dir_of(cmd->context)->park = flag;
    eas_delegation_server_of(cmd->server)->parks |= flag;
    return NULL;
}

const char *eas_delegation_set_park_spread(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_interval_time_t spread;

    (void)dir;
    if (error == NULL && (!eas_duration_parse(arg, &spread) || spread > PARK_SPREAD_MAX)) {
        error = apr_psprintf(cmd->pool, "%s: '%s' is no duration of at most a minute; write 3s",
                             cmd->cmd->name, arg);
    }
    if (error == NULL) {
        eas_delegation_server_of(cmd->server)->park_spread = spread;
    }
    return error;
}

const char *eas_delegation_set_long_polls(cmd_parms *cmd, void *dir, const char *arg)
{
    apr_int64_t n = 0;

    (void)dir;
    if (ap_cstr_casecmp(arg, "Off") != 0 && !parse_number(arg, 0, LONG_POLLS_MAX, &n)) {
        return apr_psprintf(cmd->pool, "%s: '%s' is neither Off nor a number from 0 to %d",
                            cmd->cmd->name, arg, LONG_POLLS_MAX);
    }
    eas_delegation_dir_of(cmd->context)->long_polls = (int)n;
    return NULL;
}

const char *eas_delegation_set_pools(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_int64_t n;

    (void)dir;
    if (error == NULL && !parse_number(arg, 1, POOLS_MAX, &n)) {
        error = apr_psprintf(cmd->pool, "%s: '%s' is no number from 1 to %d", cmd->cmd->name, arg,
                             POOLS_MAX);
    }
    if (error == NULL) {
        eas_delegation_server_of(cmd->server)->pools = (int)n;
    }
    return error;
}
