/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/gateway.c - steps about the gateway's account */

#include "delegation/check/gateway.h"
#include "auth/kerberos/as.h"
#include "delegation/check/diagnosis.h"
#include "delegation/check/key.h"
#include "delegation/check/seen.h"

#include <apr_strings.h>
#include <string.h>

/* --- log-on ----------------------------------------------------------------------------------- */

/* The default salt is the realm and all components of the name (RFC 4120 section 4). */
static const char *default_salt(apr_pool_t *pool, krb5_const_principal principal)
{
    const char *salt = apr_pstrmemdup(pool, principal->realm.data, principal->realm.length);
    krb5_int32 i;

    for (i = 0; i < principal->length; i++) {
        salt = apr_pstrcat(pool, salt,
                           apr_pstrmemdup(pool, principal->data[i].data, principal->data[i].length),
                           NULL);
    }
    return salt;
}

/*
 * The salt of the account, if it is not that of its present name.  A computer account's salt is
 * made otherwise ([MS-KILE] 3.1.1.2).
 */
static const char *other_salt(struct eas_check *check)
{
    krb5_const_principal us = eas_keytab_principal(check->keytab);
    const struct eas_realms realms = { .default_realm = check->names.realm };
    krb5_principal client = NULL;
    const char *salt = NULL;
    struct eas_err err;
    struct eas_kdc kdc;

    if (eas_kdc_open(&kdc, NULL, check->options->timeout, &err) == EAS_OK
        && krb5_copy_principal(kdc.ctx, us, &client) == 0
        && eas_as_salt(&kdc, check->pool, client, &realms, &salt) == 0
        && (strchr(check->names.account, '$') != NULL
            || strcmp(salt, default_salt(check->pool, us)) == 0)) {
        salt = NULL;
    }
    krb5_free_principal(kdc.ctx, client);
    eas_kdc_close(&kdc);
    return salt;
}

static void report_refusal(struct eas_check *check, enum eas_diagnosis_asked asked,
                           const struct eas_kdc *kdc, int tag)
{
    const struct eas_seen *seen = kdc->observer;
    const struct eas_diagnosis diagnosis = { .asked = asked,
                                             .error = seen->last.code,
                                             .ntstatus = seen->last.ntstatus,
                                             .tag = tag,
                                             .guessed = kdc->as.guessed };
    enum eas_finding finding = eas_diagnosis_of(&diagnosis);
    const char *text = eas_seen_text(check->pool, &seen->last, tag), *salt;

    if (finding == EAS_FINDING_KEYTAB_KEY && (salt = other_salt(check)) != NULL) {
        finding = EAS_FINDING_KEYTAB_SALT;
        text = apr_psprintf(check->pool, "the salt is %s", salt);
    }
    eas_report_find(check->report, finding, &check->names, text);
}

void eas_gateway_log_on(struct eas_check *check)
{
    struct eas_ticket *tgt;
    struct eas_seen seen;
    struct eas_err err;
    struct eas_kdc kdc;
    enum eas_rc rc;

    eas_report_begin(check->report, "log-on", check->names.principal);
    rc = eas_kdc_open(&kdc, NULL, check->options->timeout, &err);
    eas_seen_attach(&seen, &kdc);
    if (rc == EAS_OK) {
        rc = eas_service_tgt_get(check->service_tgt, &kdc, &tgt, &err);
    }
    if (rc == EAS_OK) {
        eas_report_pass(check->report,
                        apr_psprintf(check->pool, "by the KDC %s", kdc.answered.text));
        eas_ticket_unref(tgt);
    }
    else {
        report_refusal(check, EAS_DIAGNOSIS_LOG_ON, &kdc, err.tag);
    }
    eas_kdc_close(&kdc);
}

/* --- own ticket ------------------------------------------------------------------------------- */

static void report_own_ticket(struct eas_check *check, struct eas_kdc *kdc,
                              const struct eas_ticket *ticket)
{
    struct eas_key key = { .text = "" };
    struct eas_key_list list;
    const struct eas_pac *pac;

    eas_key_of_ticket(check->pool, eas_ticket_creds(ticket), &key);
    eas_key_list(check->pool, check->keytab, &list);
    if (!eas_key_decrypts(kdc->ctx, check->keytab, eas_ticket_creds(ticket))) {
        eas_report_find(
            check->report, eas_key_finding(&key, &list), &check->names,
            apr_psprintf(check->pool, "the ticket has %s, the keytab %s", key.text, list.text));
        return;
    }
    pac = eas_ticket_pac(ticket, kdc->ctx, check->keytab);
    check->may_transition = pac != NULL && pac->logon_info.transition;
    if (pac != NULL && pac->account != NULL) {
        check->names.account = apr_pstrdup(check->pool, pac->account);
    }
    if (eas_key_is_rc4(key.enctype)) {
        eas_report_find(check->report, EAS_FINDING_OWN_RC4, &check->names, key.text);
    }
    else {
        eas_report_pass(check->report, key.text);
    }
}

void eas_gateway_own_ticket(struct eas_check *check)
{
    struct eas_ticket *tgt = NULL, *ticket = NULL;
    krb5_creds *creds = NULL;
    struct eas_seen seen;
    struct eas_err err;
    struct eas_kdc kdc;
    enum eas_rc rc;

    eas_report_begin(check->report, "ticket for itself", check->names.principal);
    rc = eas_kdc_open(&kdc, NULL, check->options->timeout, &err);
    eas_seen_attach(&seen, &kdc);
    if (rc == EAS_OK) {
        rc = eas_service_tgt_get(check->service_tgt, &kdc, &tgt, &err);
    }
    if (rc != EAS_OK) {
        report_refusal(check, EAS_DIAGNOSIS_OWN, &kdc, err.tag);
    }
    else if (eas_kdc_get_ticket(&kdc, eas_ticket_creds(tgt), eas_keytab_principal(check->keytab),
                                &creds)
             != 0) {
        report_refusal(check, EAS_DIAGNOSIS_OWN, &kdc, 0);
    }
    else {
        ticket = eas_ticket_take(creds);
        krb5_free_creds(kdc.ctx, creds);
        report_own_ticket(check, &kdc, ticket);
    }
    eas_ticket_unref(ticket);
    eas_ticket_unref(tgt);
    eas_kdc_close(&kdc);
}
