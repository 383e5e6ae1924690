/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/rules_httpd.c - Require eas-command, eas-device-type, eas-device-id, eas-user-match */

#include "auth/activesync/rules_httpd.h"
#include "auth/request_httpd.h"
#include "auth/password/basic.h"
#include "auth/config_httpd.h"
#include "auth/activesync/query.h"
#include "auth/activesync/wbxml.h"
#include "auth/login/login_httpd.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <ap_expr.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_auth.h>

/* In the environment: a blocked device is told so in ActiveSync's words. */
#define STATUS_129 "eas-kcd-status-129"

/* A line `Require eas-…`. */
struct rule {
    const char *text;           /* as it is written */
    const ap_expr_info_t *list; /* of words; NULL for eas-user-match */
    bool asserted;              /* for sure, no negation is around it */
};

/* What a request has to show for a rule. */
enum verdict { NO, YES, UNCLEAR };

/*
 * DENIED would be neutral inside of a negation, and the request might be let in; the general error is
 * an error wherever it comes up.  Where there is no negation, DENIED is as good and leaves the other
 * lines of a <RequireAny> alone.
 */
static authz_status tell(request_rec *r, const struct rule *rule, enum verdict verdict,
                         const char *value, bool about_device)
{
    struct eas_rule_result *result = &eas_request_of(r)->rule;
    bool refuses = verdict == UNCLEAR || (verdict == YES) != rule->asserted;

    result->text = refuses ? rule->text : NULL;
    result->value = value;
    result->unclear = verdict == UNCLEAR;
    result->about_device = about_device;
    switch (verdict) {
    case YES:
        return AUTHZ_GRANTED;
    case NO:
        return AUTHZ_DENIED;
    case UNCLEAR:
        break;
    }
    return rule->asserted ? AUTHZ_DENIED : AUTHZ_GENERAL_ERROR;
}

/* Nobody is told anything; note that a user is wanted, since a negation makes a no of this no. */
static authz_status want_user(request_rec *r)
{
    eas_request_of(r)->wants_user = true;
    return AUTHZ_DENIED_NO_USER;
}

/* Is the value one of the words that the rule lists? */
static enum verdict match_list(request_rec *r, const struct rule *rule, const char *value)
{
    const char *error = NULL, *word, *words = ap_expr_str_exec(r, rule->list, &error);
    bool any = false;

    if (error != NULL || words == NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "EAS1212: cannot evaluate Require %s: %s",
                      rule->text, error);
        return UNCLEAR;
    }
    while (*(word = ap_getword_conf(r->pool, &words)) != '\0') {
        any = true;
        if (ap_cstr_casecmp(word, value) == 0) {
            return YES;
        }
    }
    return any ? NO : UNCLEAR; /* a list that came out empty says nothing */
}

/* OPTIONS has neither command nor device, and that is well known; of other requests it is not. */
static enum verdict judge(request_rec *r, const struct rule *rule, const char *value)
{
    if (value != NULL) {
        return match_list(r, rule, value);
    }
    return eas_request_is_activesync(r) && r->method_number == M_OPTIONS
                   && eas_request_query(r) == NULL
               ? NO
               : UNCLEAR;
}

static authz_status check_command(request_rec *r, const char *line, const void *parsed)
{
    const struct eas_query *query = eas_request_query(r);
    const char *value = query != NULL ? query->command : NULL;

    return r->user == NULL ? want_user(r) : tell(r, parsed, judge(r, parsed, value), value, false);
}

static authz_status check_device_type(request_rec *r, const char *line, const void *parsed)
{
    const struct eas_query *query = eas_request_query(r);
    const char *value = query != NULL ? query->device_type : NULL;

    return r->user == NULL ? want_user(r) : tell(r, parsed, judge(r, parsed, value), value, true);
}

static authz_status check_device_id(request_rec *r, const char *line, const void *parsed)
{
    const struct eas_query *query = eas_request_query(r);
    const char *value = query != NULL ? query->device_id : NULL;

    return r->user == NULL ? want_user(r) : tell(r, parsed, judge(r, parsed, value), value, true);
}

/* Is it what was typed beside the password that has proved the user? */
static bool was_typed(request_rec *r, const char *name)
{
    const struct eas_identity *identity = eas_request_identity(r);
    struct eas_credentials *credentials = NULL;
    struct eas_err err;
    bool typed;

    if (identity == NULL
        || (identity->authenticated_by != EAS_BY_PASSWORD
            && identity->authenticated_by != EAS_BY_CACHE)
        || eas_basic_parse(r->pool, apr_table_get(r->headers_in, "Authorization"), &credentials,
                           &err)
               != EAS_OK
        || credentials == NULL) {
        return false;
    }
    typed = ap_cstr_casecmp(credentials->name, name) == 0;
    eas_secret_wipe(credentials->password);
    return typed;
}

/* Does the name lead to the user, without anybody being asked? */
static bool names_user(request_rec *r, const char *name)
{
    const struct eas_authority *authority = eas_auth_server_of(r->server)->authority;
    struct eas_login login;
    struct eas_err err;

    if (ap_cstr_casecmp(name, r->user) == 0) {
        return true;
    }
    return authority != NULL
           && eas_identity_parse(r->pool, name, strlen(name), &authority->realms, &login, &err)
                  == EAS_OK
           && !login.enterprise
           && ap_cstr_casecmp(apr_pstrcat(r->pool, login.user, "@", login.realm, NULL), r->user)
                  == 0;
}

static authz_status check_user_match(request_rec *r, const char *line, const void *parsed)
{
    const struct eas_query *query = eas_request_query(r);
    const char *value = query != NULL ? query->user : NULL;
    enum verdict verdict = UNCLEAR;

    if (r->user == NULL) {
        return want_user(r);
    }
    if (value != NULL) {
        verdict = names_user(r, value) || was_typed(r, value) ? YES : NO;
    }
    return tell(r, parsed, verdict, value, false);
}

/* --- configuration ----------------------------------------------------------------------------- */

/* An alias may be used inside of a negation later. */
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

static struct rule *make_rule(cmd_parms *cmd, const char *line)
{
    struct rule *rule = apr_pcalloc(cmd->pool, sizeof(*rule));
    void *name = NULL;

    apr_pool_userdata_get(&name, AUTHZ_PROVIDER_NAME_NOTE, cmd->temp_pool);
    rule->text = apr_pstrcat(cmd->pool, name != NULL ? name : "eas-", *line != '\0' ? " " : NULL,
                             line, NULL);
    rule->asserted = is_asserted(cmd->directive);
    return rule;
}

static const char *parse_list(cmd_parms *cmd, const char *line, const void **parsed)
{
    struct rule *rule = make_rule(cmd, line);
    const char *error = NULL;

    if (*line == '\0') {
        return apr_psprintf(cmd->pool, "%s %s needs at least one word to compare with",
                            cmd->cmd->name, rule->text);
    }
    rule->list = ap_expr_parse_cmd(cmd, line, AP_EXPR_FLAG_STRING_RESULT, &error, NULL);
    if (error != NULL) {
        return apr_psprintf(cmd->pool, "%s %s: cannot parse the expression: %s", cmd->cmd->name,
                            rule->text, error);
    }
    *parsed = rule;
    return NULL;
}

static const char *parse_nothing(cmd_parms *cmd, const char *line, const void **parsed)
{
    struct rule *rule = make_rule(cmd, line);

    *parsed = rule;
    return *line == '\0' ? NULL
                         : apr_psprintf(cmd->pool, "%s %s: eas-user-match takes nothing beside it",
                                        cmd->cmd->name, rule->text);
}

/* --- the answer -------------------------------------------------------------------------------- */

/* httpd would let nobody in where all rules are neutral or somebody else's say yes. */
static int force_authn(request_rec *r)
{
    return eas_request_of(r)->wants_user && r->user == NULL && !eas_login_handles(r) ? OK
                                                                                     : DECLINED;
}

/* The device is told so itself, if the administrator wants that and it can understand it. */
static int answer_blocked(request_rec *r)
{
    const struct eas_query *query = eas_request_query(r);
    const char *body = NULL;
    apr_size_t len;

    if (apr_table_get(r->subprocess_env, STATUS_129) != NULL && query != NULL
        && r->method_number == M_POST && query->protocol_version != NULL
        && atoi(query->protocol_version) >= 14) {
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
    const char *value = result->value != NULL ? result->value : "nothing of the kind";
    struct eas_err err;

    if (result->text == NULL || (status == HTTP_INTERNAL_SERVER_ERROR && !result->unclear)) {
        return status;
    }
    apr_table_unset(r->err_headers_out, "WWW-Authenticate");
    if (result->unclear) {
        eas_fail(&err, EAS_FORBIDDEN, 1211,
                 "Require %s cannot be judged, and so refuses the user %s: the request has %s",
                 result->text, r->user, value);
        return eas_log_refuse(r, &err);
    }
    eas_fail(&err, EAS_FORBIDDEN, 1210, "Require %s refuses the user %s: the request has %s",
             result->text, r->user, value);
    status = eas_log_refuse(r, &err);
    return result->about_device ? answer_blocked(r) : status;
}

static const authz_provider command_provider = { check_command, parse_list };
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
    ap_hook_force_authn(force_authn, NULL, NULL, APR_HOOK_MIDDLE);
}
