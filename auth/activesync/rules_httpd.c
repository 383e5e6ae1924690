/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/rules_httpd.c - Require eas-command, eas-device-type, eas-device-id, eas-user-match */

#include "auth/activesync/rules_httpd.h"
#include "auth/activesync/query.h"
#include "auth/activesync/wbxml.h"
#include "auth/config_httpd.h"
#include "auth/login/login_httpd.h"
#include "auth/password/basic.h"
#include "auth/request_httpd.h"

#include <ap_expr.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_auth.h>

/* The variable that permits the ActiveSync status for a blocked device. */
#define STATUS_129 "eas-kcd-status-129"

/* A rule about ActiveSync. */
struct rule {
    struct eas_rule rule;
    const ap_expr_info_t *list; /* of words; NULL for eas-user-match */
};

bool eas_rules_refuses(const struct eas_rule *rule, enum eas_rules_match match)
{
    return match == EAS_RULES_UNCLEAR || (match == EAS_RULES_MATCH) != rule->asserted;
}

/*
 * Records the result for eas_rules_answer().  Inside a negation AUTHZ_DENIED is neutral, and
 * another rule could grant the request; AUTHZ_GENERAL_ERROR refuses it everywhere.  Outside a
 * negation AUTHZ_DENIED refuses as well, and leaves the other lines of a <RequireAny> in effect.
 */
authz_status eas_rules_conclude(request_rec *r, const struct eas_rule *rule,
                                enum eas_rules_match match, const struct eas_err *refusal,
                                bool about_device)
{
    struct eas_rule_result *result = &eas_request_of(r)->rule;

    result->refusal =
        eas_rules_refuses(rule, match) ? apr_pmemdup(r->pool, refusal, sizeof(*refusal)) : NULL;
    result->unclear = match == EAS_RULES_UNCLEAR;
    result->about_device = about_device;
    switch (match) {
    case EAS_RULES_MATCH:
        return AUTHZ_GRANTED;
    case EAS_RULES_NO_MATCH:
        return AUTHZ_DENIED;
    case EAS_RULES_UNCLEAR:
        break;
    }
    return rule->asserted ? AUTHZ_DENIED : AUTHZ_GENERAL_ERROR;
}

static authz_status set_result(request_rec *r, const struct rule *rule, enum eas_rules_match match,
                               const char *value, bool about_device)
{
    struct eas_err refusal = { .rc = EAS_OK };

    value = value != NULL ? value : "no such value";
    if (match == EAS_RULES_UNCLEAR) {
        eas_fail(
            &refusal, EAS_FORBIDDEN, 1211,
            "Require %s cannot be evaluated for a request that has %s, and refuses the user %s",
            rule->rule.text, value, r->user);
    }
    else if (eas_rules_refuses(&rule->rule, match)) {
        eas_fail(&refusal, EAS_FORBIDDEN, 1210,
                 "the request has %s, so that Require %s refuses the user %s", value,
                 rule->rule.text, r->user);
    }
    return eas_rules_conclude(r, &rule->rule, match, &refusal, about_device);
}

/* The record outlives the status: a negation makes AUTHZ_DENIED_NO_USER neutral. */
authz_status eas_rules_require_user(request_rec *r)
{
    eas_request_of(r)->needs_user = true;
    return AUTHZ_DENIED_NO_USER;
}

static enum eas_rules_match match_list(request_rec *r, const struct rule *rule, const char *value)
{
    const char *error = NULL, *word, *words = ap_expr_str_exec(r, rule->list, &error);
    bool any = false;

    if (error != NULL || words == NULL) {
        eas_log_line(r, APLOG_ERR, "EAS1212: the expression of Require %s cannot be evaluated: %s",
                     rule->rule.text, error);
        return EAS_RULES_UNCLEAR;
    }
    while (*(word = ap_getword_conf(r->pool, &words)) != '\0') {
        any = true;
        if (ap_cstr_casecmp(word, value) == 0) {
            return EAS_RULES_MATCH;
        }
    }
    return any ? EAS_RULES_NO_MATCH : EAS_RULES_UNCLEAR; /* an empty list decides nothing */
}

/* OPTIONS needs no command and no device; any other request must have them. */
static enum eas_rules_match match_rule(request_rec *r, const struct rule *rule, const char *value)
{
    if (value != NULL) {
        return match_list(r, rule, value);
    }
    return eas_request_is_activesync(r) && r->method_number == M_OPTIONS ? EAS_RULES_NO_MATCH
                                                                         : EAS_RULES_UNCLEAR;
}

static authz_status check_list(request_rec *r, const struct rule *rule, const char *value,
                               bool about_device)
{
    return r->user == NULL ? eas_rules_require_user(r)
                           : set_result(r, rule, match_rule(r, rule, value), value, about_device);
}

static authz_status check_command(request_rec *r, const char *line, const void *parsed)
{
    const struct eas_query *query = eas_request_query(r);

    return check_list(r, parsed, query != NULL ? query->command : NULL, false);
}

static authz_status check_device_type(request_rec *r, const char *line, const void *parsed)
{
    const struct eas_query *query = eas_request_query(r);

    return check_list(r, parsed, query != NULL ? query->device_type : NULL, true);
}

static authz_status check_device_id(request_rec *r, const char *line, const void *parsed)
{
    const struct eas_query *query = eas_request_query(r);

    return check_list(r, parsed, query != NULL ? query->device_id : NULL, true);
}

/* Whether the name is the login name of the Basic credentials that authenticated the user. */
static bool is_login_name(request_rec *r, const char *name)
{
    const struct eas_identity *identity = eas_request_identity(r);
    struct eas_credentials *credentials = NULL;
    struct eas_err err;
    bool same;

    if (identity == NULL
        || (identity->authenticated_by != EAS_BY_PASSWORD
            && identity->authenticated_by != EAS_BY_CACHE)
        || eas_basic_parse(r->pool, apr_table_get(r->headers_in, "Authorization"), &credentials,
                           &err)
               != EAS_OK
        || credentials == NULL) {
        return false;
    }
    same = ap_cstr_casecmp(credentials->name, name) == 0;
    eas_secret_wipe(credentials->password);
    return same;
}

/* Whether the name means the user, without a question to the KDC.  Nobody typed it: blanks count. */
static bool names_user(request_rec *r, const char *name)
{
    const struct eas_authority *authority = eas_auth_server_of(r->server)->authority;
    const struct eas_identity *identity = eas_request_identity(r);
    const char *principal = identity != NULL ? identity->principal : r->user;
    apr_size_t len = strlen(name);
    struct eas_login login;
    struct eas_err err;

    eas_identity_trim(name, &len);
    if (ap_cstr_casecmp(name, r->user) == 0) {
        return true;
    }
    return authority != NULL && name[len] == '\0'
           && eas_identity_parse(r->pool, name, len, &authority->realms, &login, &err) == EAS_OK
           && !login.enterprise
           && ap_cstr_casecmp(apr_pstrcat(r->pool, login.user, "@", login.realm, NULL), principal)
                  == 0;
}

static authz_status check_user_match(request_rec *r, const char *line, const void *parsed)
{
    const struct eas_query *query = eas_request_query(r);
    const char *value = query != NULL ? query->user : NULL;
    enum eas_rules_match match = EAS_RULES_UNCLEAR;

    if (r->user == NULL) {
        return eas_rules_require_user(r);
    }
    if (value != NULL) {
        match =
            names_user(r, value) || is_login_name(r, value) ? EAS_RULES_MATCH : EAS_RULES_NO_MATCH;
    }
    return set_result(r, parsed, match, value, false);
}

/* --- configuration ----------------------------------------------------------------------------- */

/* A negation may use an alias later. */
static bool is_asserted(const ap_directive_t *directive)
{
    if (ap_cstr_casecmpn(directive->args, "not", 3) == 0 && apr_isspace(directive->args[3])) {
        return false;
    }
    for (; directive != NULL; directive = directive->parent) {
        if (ap_cstr_casecmp(directive->directive, "<RequireNone") == 0
            || ap_cstr_casecmp(directive->directive, "<AuthzProviderAlias") == 0) {
            return false;
        }
    }
    return true;
}

struct eas_rule eas_rules_read(cmd_parms *cmd, const char *line)
{
    struct eas_rule rule = { .asserted = is_asserted(cmd->directive) };
    void *name = NULL;

    apr_pool_userdata_get(&name, AUTHZ_PROVIDER_NAME_NOTE, cmd->temp_pool);
    rule.text = apr_pstrcat(cmd->pool, name != NULL ? name : "eas-", *line != '\0' ? " " : NULL,
                            line, NULL);
    return rule;
}

static struct rule *make_rule(cmd_parms *cmd, const char *line)
{
    struct rule *rule = apr_pcalloc(cmd->pool, sizeof(*rule));

    rule->rule = eas_rules_read(cmd, line);
    return rule;
}

static const char *parse_list(cmd_parms *cmd, const char *line, const void **parsed)
{
    struct rule *rule = make_rule(cmd, line);
    const char *error = NULL;

    if (*line == '\0') {
        return apr_psprintf(cmd->pool, "%s %s needs at least one word to compare with",
                            cmd->cmd->name, rule->rule.text);
    }
    rule->list = ap_expr_parse_cmd(cmd, line, AP_EXPR_FLAG_STRING_RESULT, &error, NULL);
    if (error != NULL) {
        return apr_psprintf(cmd->pool, "%s %s: cannot parse the expression: %s", cmd->cmd->name,
                            rule->rule.text, error);
    }
    *parsed = rule;
    return NULL;
}

/* Of the words that stand there as they are; expressions give theirs with the request. */
static const char *parse_commands(cmd_parms *cmd, const char *line, const void **parsed)
{
    const char *word, *rest = line;

    while (*(word = ap_getword_conf(cmd->temp_pool, &rest)) != '\0') {
        if (ap_strchr_c(word, '%') == NULL && !eas_query_is_command(word)) {
            return apr_psprintf(cmd->pool,
                                "%s eas-command: '%s' is no ActiveSync command; write Ping, Sync, "
                                "or the number of a new one",
                                cmd->cmd->name, word);
        }
    }
    return parse_list(cmd, line, parsed);
}

static const char *parse_nothing(cmd_parms *cmd, const char *line, const void **parsed)
{
    struct rule *rule = make_rule(cmd, line);

    *parsed = rule;
    return *line == '\0' ? NULL
                         : apr_psprintf(cmd->pool, "%s %s: eas-user-match takes nothing beside it",
                                        cmd->cmd->name, rule->rule.text);
}

/* --- response ---------------------------------------------------------------------------------- */

/* httpd would admit a request without a user if all rules are neutral or another one grants it. */
static int hook_force_authn(request_rec *r)
{
    return eas_request_of(r)->needs_user && r->user == NULL && !eas_login_handles(r) ? OK
                                                                                     : DECLINED;
}

/* The ActiveSync status if the administrator permits it and the device knows it, else 403. */
static int respond_blocked(request_rec *r)
{
    const struct eas_query *query = eas_request_query(r);
    const char *body = NULL;
    apr_size_t len;

    if (apr_table_get(r->subprocess_env, STATUS_129) != NULL && query != NULL
        && r->method_number == M_POST && query->protocol_version != NULL
        && apr_strtoi64(query->protocol_version, NULL, 10) >= 14) {
        body = eas_wbxml_status(r->pool, query->command, EAS_STATUS_DEVICE_BLOCKED, &len);
    }
    if (body == NULL) {
        return HTTP_FORBIDDEN;
    }
    ap_set_content_type(r, "application/vnd.ms-sync.wbxml");
    ap_set_content_length(r, (apr_off_t)len);
    ap_rwrite(body, (int)len, r);
    return DONE;
}

int eas_rules_answer(request_rec *r, int status)
{
    const struct eas_rule_result *result = &eas_request_of(r)->rule;

    if (result->refusal == NULL || (status == HTTP_INTERNAL_SERVER_ERROR && !result->unclear)) {
        return status;
    }
    apr_table_unset(r->err_headers_out, "WWW-Authenticate");
    status = eas_log_refuse(r, result->refusal);
    return result->about_device && !result->unclear ? respond_blocked(r) : status;
}

static const authz_provider command_provider = { check_command, parse_commands };
static const authz_provider device_type_provider = { check_device_type, parse_list };
static const authz_provider device_id_provider = { check_device_id, parse_list };
static const authz_provider user_match_provider = { check_user_match, parse_nothing };

void eas_rules_register_hooks(apr_pool_t *pool)
{
    static const struct {
        const char *name;
        const authz_provider *provider;
    } all[] = { { "eas-command", &command_provider },
                { "eas-device-type", &device_type_provider },
                { "eas-device-id", &device_id_provider },
                { "eas-user-match", &user_match_provider } };
    apr_size_t i;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        ap_register_auth_provider(pool, AUTHZ_PROVIDER_GROUP, all[i].name, AUTHZ_PROVIDER_VERSION,
                                  all[i].provider, AP_AUTH_INTERNAL_PER_CONF);
    }
    ap_hook_force_authn(hook_force_authn, NULL, NULL, APR_HOOK_MIDDLE);
}
