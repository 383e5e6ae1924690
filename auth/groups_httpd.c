/* SPDX-License-Identifier: Apache-2.0 */
/* auth/groups_httpd.c - Require eas-group: groups of the user, from the evidence's PAC */

#include "auth/groups_httpd.h"
#include "auth/activesync/rules_httpd.h"
#include "auth/config_httpd.h"
#include "auth/password/account_httpd.h"
#include "auth/request_httpd.h"

#include <apr_strings.h>
#include <http_request.h>

/* Of EasKcdGroup, or of a Require line: len 0 until eas_groups_check_config() has found the SID. */
struct group {
    const char *name;
    struct eas_sid sid;
};

struct group_rule {
    struct eas_rule rule;
    apr_array_header_t *groups; /* of struct group */
    const char *place;          /* in the configuration */
};

/* --- the request ------------------------------------------------------------------------------- */

static bool is_in_any(const struct eas_pac *pac, const apr_array_header_t *groups)
{
    int i;

    for (i = 0; i < groups->nelts; i++) {
        const struct eas_sid *sid = &APR_ARRAY_IDX(groups, i, struct group).sid;

        if (sid->len > 0 && eas_logon_info_has(&pac->logon_info, sid)) {
            return true;
        }
    }
    return false;
}

/* The user of AuthType EasKcd counts, whomever EasKcdDelegateUser names. */
static authz_status check_groups(request_rec *r, const char *line, const void *parsed)
{
    const struct group_rule *rule = parsed;
    const struct eas_identity *identity = eas_request_identity(r);
    enum eas_rules_match match = EAS_RULES_UNCLEAR;
    const struct eas_pac *pac;
    struct eas_err refusal;

    (void)line;
    if (r->user == NULL) {
        return eas_rules_require_user(r);
    }
    if (identity != NULL && identity->authenticated_by == EAS_BY_OTHER) {
        identity = NULL;
    }
    if (eas_account_pac(r, identity, &pac, &refusal) == EAS_OK) {
        match = is_in_any(pac, rule->groups) ? EAS_RULES_MATCH : EAS_RULES_NO_MATCH;
        eas_fail(&refusal, EAS_FORBIDDEN, 1323,
                 "%s (account %s) is in %s of Require %s, which refuses that",
                 identity != NULL ? identity->principal : r->user,
                 pac->account != NULL ? pac->account : "unknown",
                 match == EAS_RULES_MATCH ? "a group" : "no group", rule->rule.text);
    }
    return eas_rules_conclude(r, &rule->rule, match, &refusal, false);
}

/* --- configuration ----------------------------------------------------------------------------- */

const char *eas_groups_add(cmd_parms *cmd, const char *name, const char *sid)
{
    struct eas_auth_server *conf = eas_auth_server_of(cmd->server);
    struct group *group;
    struct eas_sid parsed;

    if (*name == '\0' || eas_sid_parse(name, &parsed) || eas_sid_well_known(name, &parsed)) {
        return apr_psprintf(cmd->pool,
                            "%s: '%s' is no free name: it is an SID, or a group that each domain "
                            "has; write another one",
                            cmd->cmd->name, name);
    }
    if (!eas_sid_parse(sid, &parsed)) {
        return apr_psprintf(cmd->pool,
                            "%s: '%s' is no SID; it looks like S-1-5-21-1004336348-1177238915-"
                            "682003330-1105 (Get-ADGroup '%s')",
                            cmd->cmd->name, sid, name);
    }
    if (conf->groups == NULL) {
        conf->groups = apr_array_make(cmd->pool, 4, sizeof(struct group));
    }
    group = apr_array_push(conf->groups);
    group->name = name;
    group->sid = parsed;
    return NULL;
}

/* The names of EasKcdGroup, then those that each domain has. */
static bool find_sid(const struct eas_auth_server *conf, const char *name, struct eas_sid *sid_out)
{
    int i;

    for (i = 0; conf->groups != NULL && i < conf->groups->nelts; i++) {
        const struct group *group = &APR_ARRAY_IDX(conf->groups, i, struct group);

        if (ap_cstr_casecmp(group->name, name) == 0) {
            *sid_out = group->sid;
            return true;
        }
    }
    return eas_sid_well_known(name, sid_out);
}

static const char *find_sids(apr_pool_t *pool, const struct eas_auth_server *conf,
                             const struct group_rule *rule)
{
    int i;

    for (i = 0; i < rule->groups->nelts; i++) {
        struct group *group = &APR_ARRAY_IDX(rule->groups, i, struct group);

        if (group->sid.len == 0 && !find_sid(conf, group->name, &group->sid)) {
            return apr_psprintf(pool,
                                "Require %s (%s): the group '%s' has no SID; add EasKcdGroup "
                                "\"%s\" with the SID that Get-ADGroup shows",
                                rule->rule.text, rule->place, group->name, group->name);
        }
    }
    return NULL;
}

static const char *parse_groups(cmd_parms *cmd, const char *line, const void **parsed)
{
    struct eas_auth_server *conf = eas_auth_server_of(cmd->server);
    struct group_rule *rule = apr_pcalloc(cmd->pool, sizeof(*rule));
    const char *word, *rest = line;

    rule->rule = eas_rules_read(cmd, line);
    rule->groups = apr_array_make(cmd->pool, 2, sizeof(struct group));
    rule->place =
        apr_psprintf(cmd->pool, "%s:%d", cmd->directive->filename, cmd->directive->line_num);
    while (*(word = ap_getword_conf(cmd->pool, &rest)) != '\0') {
        struct group *group = apr_array_push(rule->groups);

        group->name = word;
        if (!eas_sid_parse(word, &group->sid)) {
            group->sid.len = 0;
        }
    }
    if (rule->groups->nelts == 0) {
        return apr_psprintf(cmd->pool, "%s %s needs at least one name or SID of a group",
                            cmd->cmd->name, rule->rule.text);
    }
    *parsed = rule;
    if (ap_check_cmd_context(cmd, NOT_IN_HTACCESS) != NULL) {
        return find_sids(cmd->pool, conf, rule); /* the configuration is complete */
    }
    if (conf->group_rules == NULL) {
        conf->group_rules = apr_array_make(cmd->pool, 4, sizeof(struct group_rule *));
    }
    APR_ARRAY_PUSH(conf->group_rules, struct group_rule *) = rule;
    return NULL;
}

const char *eas_groups_check_config(apr_pool_t *pool, const server_rec *s)
{
    const struct eas_auth_server *conf = eas_auth_server_of(s);
    const char *error = NULL;
    int i;

    for (i = 0; error == NULL && conf->group_rules != NULL && i < conf->group_rules->nelts; i++) {
        error = find_sids(pool, conf, APR_ARRAY_IDX(conf->group_rules, i, struct group_rule *));
    }
    return error;
}

static const authz_provider group_provider = { check_groups, parse_groups };

void eas_groups_register_hooks(apr_pool_t *pool)
{
    ap_register_auth_provider(pool, AUTHZ_PROVIDER_GROUP, "eas-group", AUTHZ_PROVIDER_VERSION,
                              &group_provider, AP_AUTH_INTERNAL_PER_CONF);
}
