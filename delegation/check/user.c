/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/user.c - steps about the user, and delegation in the user's name */

#include "delegation/check/user.h"
#include "auth/base/clock.h"
#include "auth/kerberos/as.h"
#include "auth/password/password.h"
#include "delegation/check/diagnosis.h"
#include "delegation/check/key.h"
#include "delegation/check/resolve.h"
#include "delegation/check/seen.h"
#include "delegation/kerberos/s4u.h"

#include <apr_cstr.h>
#include <apr_strings.h>
#include <string.h>

static bool parse(struct eas_check *check, struct eas_login *login)
{
    const char *user = check->options->user;
    struct eas_err err;

    check->names.user = user;
    if (eas_identity_parse(check->pool, user, strlen(user), &check->realms, login, &err)
        == EAS_OK) {
        check->names.user = login->user; /* commands take no DOMAIN\\user */
        return true;
    }
    eas_report_find(check->report, EAS_FINDING_USER_NAME, &check->names, err.text);
    return false;
}

/* --- the user --------------------------------------------------------------------------------- */

/*
 * One message without a password: PREAUTH_REQUIRED means that the KDC knows the user.  A policy may
 * forbid the user all messages without armour, and httpd asks again, too.
 */
static krb5_error_code probe(struct eas_check *check, struct eas_kdc *kdc,
                             const struct eas_login *login, const char **detail_out)
{
    struct eas_seen *seen = kdc->observer, first;
    const char *salt = "";
    krb5_principal client = NULL;
    unsigned hops = 0;
    krb5_error_code code = eas_kdc_principal(kdc, login, &client);

    do {
        code =
            code == 0 || code == KRB5KDC_ERR_WRONG_REALM ? eas_as_probe(kdc, client, NULL) : code;
    } while (code == KRB5KDC_ERR_WRONG_REALM && eas_as_follow(kdc, &check->realms, &hops, client));
    if (code == KRB5KDC_ERR_PREAUTH_REQUIRED) {
        code = 0;
        salt = apr_pstrdup(check->pool, kdc->as.preauth.salt);
        *detail_out = *salt != '\0' ? apr_pstrcat(check->pool, "salt ", salt, NULL) : "";
    }
    else if (code == KRB5KDC_ERR_POLICY) {
        first = *seen;
        code = eas_armor_salt(check->armor, check->options->armor, kdc, check->pool, client, &salt);
        *detail_out = apr_pstrcat(check->pool, "with armour, salt ", salt, NULL);
        *seen = first; /* the reason, which an answer with armour hides */
    }
    krb5_free_principal(kdc->ctx, client);
    return code;
}

static void find_probe(struct eas_check *check, const struct eas_seen *seen)
{
    const struct eas_diagnosis diagnosis = { .asked = EAS_DIAGNOSIS_USER,
                                             .error = seen->last.code,
                                             .ntstatus = seen->last.ntstatus };

    eas_report_find(check->report, eas_diagnosis_of(&diagnosis), &check->names,
                    eas_seen_text(check->pool, &seen->last, 0));
}

void eas_user_exists(struct eas_check *check)
{
    const char *detail = "";
    struct eas_login login;
    struct eas_seen seen;
    struct eas_err err;
    struct eas_kdc kdc;

    eas_report_begin(check->report, "user", check->options->user);
    if (!parse(check, &login)) {
        return;
    }
    if (eas_kdc_open(&kdc, NULL, check->options->timeout, &err) != EAS_OK) {
        eas_report_find(check->report, EAS_FINDING_KRB5_CONF, &check->names, err.text);
        eas_kdc_close(&kdc);
        return;
    }
    eas_seen_attach(&seen, &kdc);
    if (probe(check, &kdc, &login, &detail) == 0) {
        eas_report_pass(check->report, detail);
    }
    else {
        find_probe(check, &seen);
    }
    eas_kdc_close(&kdc);
}

/* --- S4U2Self --------------------------------------------------------------------------------- */

/* Without a PAC, as for an account without names, flags and groups. */
static const char *describe_self(struct eas_check *check, struct eas_kdc *kdc)
{
    static const struct eas_pac nothing;
    const struct eas_pac *pac = eas_ticket_pac(check->evidence, kdc->ctx, check->keytab);
    struct eas_sid protected_users;
    const char *detail;
    char *name = NULL;

    pac = pac != NULL ? pac : &nothing;
    check->user_sensitive = pac->logon_info.sensitive;
    check->user_protected = eas_sid_well_known("Protected Users", &protected_users)
                            && eas_logon_info_has(&pac->logon_info, &protected_users);
    if (pac->account != NULL) {
        check->names.user = apr_pstrdup(check->pool, pac->account);
    }
    if (krb5_unparse_name(kdc->ctx, eas_ticket_creds(check->evidence)->client, &name) != 0) {
        name = NULL;
    }
    detail =
        apr_psprintf(check->pool, "%s, account %s, UPN %s, %s", name != NULL ? name : "?",
                     pac->account != NULL ? pac->account : "?", pac->upn != NULL ? pac->upn : "?",
                     eas_ticket_forwardable(check->evidence) ? "forwardable" : "not forwardable");
    krb5_free_unparsed_name(kdc->ctx, name);
    return detail;
}

static void report_self(struct eas_check *check, struct eas_kdc *kdc)
{
    const char *detail = describe_self(check, kdc);
    bool forwardable = eas_ticket_forwardable(check->evidence);

    if (check->user_sensitive) {
        eas_report_find(check->report, EAS_FINDING_USER_SENSITIVE, &check->names, detail);
    }
    else if (check->user_protected) {
        eas_report_find(check->report, EAS_FINDING_USER_PROTECTED, &check->names, detail);
    }
    else if (check->options->transition && !forwardable && !check->may_transition) {
        eas_report_find(check->report, EAS_FINDING_TRANSITION_MISSING, &check->names, detail);
    }
    else if (!check->options->transition && check->may_transition) {
        eas_report_find(check->report, EAS_FINDING_TRANSITION_UNNEEDED, &check->names, detail);
    }
    else {
        eas_report_pass(check->report, detail);
    }
}

/* As in kcd.c: S4U2Self leaves an enterprise name as it is, so it is repeated for the account. */
static enum eas_rc get_evidence(struct eas_check *check, struct eas_kdc *kdc,
                                struct eas_login *login, struct eas_err *err)
{
    enum eas_rc rc = eas_s4u_self(kdc, check->service_tgt, login, &check->evidence, err);

    if (rc == EAS_OK && login->enterprise) {
        const krb5_data *realm = &eas_ticket_creds(check->evidence)->client->realm;
        const struct eas_pac *pac = eas_ticket_pac(check->evidence, kdc->ctx, check->keytab);

        if (pac != NULL && pac->account != NULL) {
            *login = (struct eas_login){ apr_pstrdup(check->pool, pac->account),
                                         apr_pstrmemdup(check->pool, realm->data, realm->length),
                                         false };
            eas_ticket_unref(check->evidence);
            rc = eas_s4u_self(kdc, check->service_tgt, login, &check->evidence, err);
        }
    }
    return rc;
}

void eas_user_self(struct eas_check *check)
{
    struct eas_login login;
    struct eas_seen seen;
    struct eas_err err;
    struct eas_kdc kdc;
    enum eas_rc rc;

    eas_report_begin(check->report, "S4U2Self", check->options->user);
    if (!parse(check, &login)) {
        return;
    }
    rc = eas_kdc_open(&kdc, NULL, check->options->timeout, &err);
    eas_seen_attach(&seen, &kdc);
    if (rc == EAS_OK) {
        rc = get_evidence(check, &kdc, &login, &err);
    }
    if (rc == EAS_OK) {
        eas_ticket_to_pool(check->evidence, check->pool);
        report_self(check, &kdc);
    }
    else {
        const struct eas_diagnosis diagnosis = { .asked = EAS_DIAGNOSIS_SELF,
                                                 .error = seen.last.code,
                                                 .ntstatus = seen.last.ntstatus,
                                                 .tag = err.tag };

        check->evidence = NULL;
        eas_report_find(check->report, eas_diagnosis_of(&diagnosis), &check->names,
                        eas_seen_text(check->pool, &seen.last, err.tag));
    }
    eas_kdc_close(&kdc);
}

/* --- the password ----------------------------------------------------------------------------- */

void eas_user_log_on(struct eas_check *check)
{
    struct eas_authority authority = { .keytab = check->keytab,
                                       .service_tgt = check->service_tgt,
                                       .armor = check->armor,
                                       .armor_mode = check->options->armor,
                                       .realms = check->realms,
                                       .kdc_timeout = check->options->timeout };
    struct eas_password_request request = { .authority = &authority, .password = check->password };
    struct eas_identity *identity;
    struct eas_err err;

    eas_report_begin(check->report, "password", check->options->user);
    if (!parse(check, &request.login)) {
        return;
    }
    if (eas_password_verify(check->pool, NULL, &request, &identity, &err) == EAS_OK) {
        check->evidence = identity->evidence;
        check->from_password = true;
        eas_report_pass(check->report,
                        apr_psprintf(check->pool, "%s, evidence %s", identity->principal,
                                     eas_ticket_forwardable(identity->evidence)
                                         ? "forwardable"
                                         : "not forwardable"));
    }
    else {
        const struct eas_diagnosis diagnosis = { .asked = EAS_DIAGNOSIS_PASSWORD,
                                                 .error = -1,
                                                 .tag = err.tag };

        check->evidence = NULL;
        eas_report_find(check->report, eas_diagnosis_of(&diagnosis), &check->names,
                        apr_psprintf(check->pool, "EAS%d", err.tag));
    }
}

static krb5_error_code get_ticket_for_gateway(struct eas_check *check, struct eas_kdc *kdc,
                                              const struct eas_login *login, krb5_creds **ticket)
{
    struct eas_as_request request = { .password = check->password->bytes };
    krb5_principal client = NULL;
    krb5_creds tgt;
    krb5_error_code code = eas_kdc_principal(kdc, login, &client);

    memset(&tgt, 0, sizeof(tgt));
    request.client = client;
    if (code == 0) {
        code = eas_as_log_on(kdc, &request, &tgt);
    }
    if (code == 0) {
        code = eas_kdc_get_ticket(kdc, &tgt, eas_keytab_principal(check->keytab), ticket);
    }
    krb5_free_cred_contents(kdc->ctx, &tgt);
    krb5_free_principal(kdc->ctx, client);
    return code;
}

void eas_user_compare_key(struct eas_check *check)
{
    krb5_creds *ticket = NULL;
    struct eas_key key = { .text = "" };
    struct eas_key_list list;
    struct eas_login login;
    struct eas_err err;
    struct eas_kdc kdc;

    eas_report_begin(check->report, "key of the gateway", check->names.principal);
    if (!parse(check, &login)) {
        return;
    }
    if (eas_kdc_open(&kdc, NULL, check->options->timeout, &err) != EAS_OK
        || get_ticket_for_gateway(check, &kdc, &login, &ticket) != 0
        || !eas_key_of_ticket(check->pool, ticket, &key)) {
        eas_report_skip(check->report, "the user gets no ticket for the gateway");
    }
    else if (eas_key_decrypts(kdc.ctx, check->keytab, ticket)) {
        eas_report_pass(check->report, key.text);
    }
    else {
        eas_key_list(check->pool, check->keytab, &list);
        eas_report_find(
            check->report, eas_key_finding(&key, &list), &check->names,
            apr_psprintf(check->pool, "the ticket has %s, the keytab %s", key.text, list.text));
    }
    krb5_free_creds(kdc.ctx, ticket);
    eas_kdc_close(&kdc);
}

/* --- S4U2Proxy -------------------------------------------------------------------------------- */

/* The canonical name of the host in an SPN, if it is another one; else NULL. */
static const char *alias_of(const struct eas_check *check, const char *spn)
{
    apr_time_t until = eas_clock_now() + check->options->timeout;
    const char *host = strchr(spn, '/');
    const char *canonical = NULL;
    struct addrinfo *found;

    if (host != NULL && eas_resolve(host + 1, NULL, AI_CANONNAME, until, &found) == 0) {
        if (found->ai_canonname != NULL && apr_cstr_casecmp(found->ai_canonname, host + 1) != 0) {
            canonical = apr_pstrdup(check->pool, found->ai_canonname);
        }
        freeaddrinfo(found);
    }
    return canonical;
}

static void report_proxy_refusal(struct eas_check *check, const char *spn,
                                 const struct eas_seen *seen, const struct eas_err *err)
{
    const struct eas_diagnosis diagnosis = {
        .asked = EAS_DIAGNOSIS_PROXY,
        .error = seen->first.code, /* later ones answer questions about the reason */
        .ntstatus = seen->first.ntstatus,
        .tag = err->tag,
        .forwardable = eas_ticket_forwardable(check->evidence),
        .from_password = check->from_password,
        .transition = check->options->transition,
        .sensitive = check->user_sensitive,
        .protected_user = check->user_protected,
    };
    enum eas_finding finding = eas_diagnosis_of(&diagnosis);
    struct eas_finding_names names = check->names;

    names.spn = spn;
    /* The command line names the SPN, or it is one of the configuration's. */
    if (finding == EAS_FINDING_PASSWORD_NEEDED && check->options->conf != NULL) {
        finding = EAS_FINDING_PASSWORD_NOT_ASKED;
    }
    if (finding == EAS_FINDING_SPN_UNKNOWN && (names.host = alias_of(check, spn)) != NULL) {
        finding = EAS_FINDING_SPN_ALIAS;
    }
    eas_report_find(check->report, finding, &names,
                    eas_seen_text(check->pool, &seen->first, err->tag));
}

struct eas_ticket *eas_user_proxy(struct eas_check *check, const char *spn)
{
    const struct eas_s4u_proxy_request request = {
        .evidence = check->evidence,
        .origin = check->from_password ? EAS_S4U_FROM_PASSWORD : EAS_S4U_FROM_TRANSITION,
        .spn = spn,
    };
    struct eas_ticket *ticket = NULL;
    struct eas_key key = { .text = "" };
    struct eas_seen seen;
    struct eas_err err;
    struct eas_kdc kdc;
    enum eas_rc rc;

    eas_report_begin(check->report, "S4U2Proxy", spn);
    if (check->evidence == NULL) {
        eas_report_skip(check->report, "no evidence");
        return NULL;
    }
    rc = eas_kdc_open(&kdc, NULL, check->options->timeout, &err);
    eas_seen_attach(&seen, &kdc);
    if (rc == EAS_OK) {
        rc = eas_s4u_proxy(&kdc, check->service_tgt, &request, &ticket, &err);
    }
    if (rc != EAS_OK) {
        report_proxy_refusal(check, spn, &seen, &err);
    }
    else if (eas_key_of_ticket(check->pool, eas_ticket_creds(ticket), &key)
             && eas_key_is_rc4(key.enctype)) {
        struct eas_finding_names names = check->names;

        names.spn = spn;
        eas_report_find(check->report, EAS_FINDING_BACKEND_RC4, &names, key.text);
    }
    else {
        eas_report_pass(check->report, key.text);
    }
    eas_kdc_close(&kdc);
    return ticket;
}
