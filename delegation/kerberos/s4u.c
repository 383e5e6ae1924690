/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/s4u.c - S4U2Self and S4U2Proxy ([MS-SFU]) */

#include "delegation/kerberos/s4u.h"
#include "auth/base/counters.h"
#include "delegation/kerberos/s4u_self.h"

#include <stdlib.h>
#include <string.h>

/* [MS-SFU] 3.2.5.2.3: the user's account forbids it, not the configuration. */
#define STATUS_ACCOUNT_RESTRICTION 0xc000006eu

static enum eas_rc open_ccache(struct eas_kdc *kdc, struct eas_service_tgt *service_tgt,
                               struct eas_ticket **tgt, krb5_ccache *ccache, struct eas_err *err)
{
    krb5_error_code code;
    enum eas_rc rc = eas_service_tgt_get(service_tgt, kdc, tgt, err);

    if (rc != EAS_OK) {
        return rc;
    }
    code = eas_kdc_ccache(kdc, eas_ticket_creds(*tgt), ccache);
    if (code != 0) {
        eas_ticket_unref(*tgt);
        return eas_kdc_fail(kdc, err, EAS_UNAVAILABLE, 2020, code, "no credential cache");
    }
    return EAS_OK;
}

static void close_ccache(struct eas_kdc *kdc, struct eas_service_tgt *service_tgt,
                         struct eas_ticket *tgt, krb5_ccache ccache, krb5_error_code code)
{
    enum eas_kdc_cause cause = eas_kdc_cause(code);

    krb5_cc_destroy(kdc->ctx, ccache);
    /* A KDC reports a TGT that it cannot decrypt as one of these. */
    if (code != 0 && (cause == EAS_KDC_STALE || code == KRB5KRB_AP_ERR_BAD_INTEGRITY)) {
        eas_service_tgt_forget(service_tgt, tgt);
    }
    eas_ticket_unref(tgt);
}

/* Failures that both exchanges have in common. */
static const struct eas_kdc_failure common_failures[] = {
    eas_kdc_failure(EAS_KDC_UNREACHABLE | EAS_KDC_UNRESOLVED, EAS_UNAVAILABLE, 2021,
                    "no KDC answered; check the domain controllers and krb5.conf"),
    eas_kdc_failure(EAS_KDC_SKEW, EAS_UNAVAILABLE, 2022,
                    "the clocks of this machine and the KDC differ; synchronise them"),
    eas_kdc_failure(EAS_KDC_REVOKED | EAS_KDC_KEY_EXPIRED | EAS_KDC_POLICY | EAS_KDC_UNKNOWN_CLIENT,
                    EAS_FORBIDDEN, 2023, "the KDC issues no tickets for this user"),
    eas_kdc_failure(EAS_KDC_OTHER, EAS_UNAVAILABLE, 2024, "the KDC refused to delegate"),
};

static enum eas_rc fail_self(struct eas_kdc *kdc, struct eas_service_tgt *service_tgt,
                             krb5_error_code code, struct eas_err *err)
{
    if (code == KRB5KDC_ERR_PADATA_TYPE_NOSUPP) {
        /* libkrb5 reports so that the reply has the client of the TGT (s4u_creds.c). */
        return eas_fail(err, EAS_FORBIDDEN, 2026,
                        "the user is %s, the gateway's own account, for which it cannot act",
                        eas_keytab_principal_name(eas_service_tgt_keytab(service_tgt)));
    }
    return eas_kdc_fail_by_cause(kdc, err, code, common_failures);
}

/* RFC 4556 has the codes of certificates that are refused. */
static enum eas_rc fail_certificate(struct eas_kdc *kdc, krb5_error_code code, struct eas_err *err)
{
    switch (code) {
    case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
    case KRB5KDC_ERR_CLIENT_NOT_TRUSTED:
    case KRB5KDC_ERR_CERTIFICATE_MISMATCH:
    case KRB5KDC_ERR_CLIENT_NAME_MISMATCH:
        return eas_kdc_fail(kdc, err, EAS_FORBIDDEN, 2096, code,
                            "the KDC maps the client's certificate to no user; let it have the SID "
                            "extension of AD's authority, or write a strong mapping into the "
                            "user's altSecurityIdentities");
    case KRB5KDC_ERR_PADATA_TYPE_NOSUPP:
    case KRB5KRB_ERR_GENERIC:
        return eas_kdc_fail(kdc, err, EAS_MISCONFIGURED, 2097, code,
                            "the KDC maps no certificates, which EasKcdDelegateCertificate needs; "
                            "use EasKcdDelegateUser");
    default:
        return eas_kdc_fail_by_cause(kdc, err, code, common_failures);
    }
}

/* The user is wanted->client, or that of the certificate. */
static enum eas_rc get_evidence(struct eas_kdc *kdc, struct eas_service_tgt *service_tgt,
                                const struct eas_login *login, krb5_data *certificate,
                                struct eas_ticket **evidence_out, struct eas_err *err)
{
    krb5_creds wanted, *evidence = NULL;
    krb5_ccache ccache;
    struct eas_ticket *tgt;
    krb5_error_code code;
    enum eas_rc rc = open_ccache(kdc, service_tgt, &tgt, &ccache, err);

    if (rc != EAS_OK) {
        return rc;
    }
    memset(&wanted, 0, sizeof(wanted));
    wanted.server = (krb5_principal)eas_keytab_principal(eas_service_tgt_keytab(service_tgt));
    code = login != NULL ? eas_kdc_principal(kdc, login, &wanted.client) : 0;
    if (code == 0) {
        code = eas_s4u_self_exchange(kdc, ccache, &wanted, certificate, &evidence);
        eas_counters_add(code == 0 ? EAS_COUNTER_S4U_SELF_GRANTED : EAS_COUNTER_S4U_SELF_FAILED);
    }
    if (code == 0) {
        *evidence_out = eas_ticket_take(evidence);
        if (eas_ticket_forwardable(*evidence_out)) {
            eas_service_tgt_note_transition(service_tgt);
        }
    }
    else {
        rc = certificate == NULL ? fail_self(kdc, service_tgt, code, err)
                                 : fail_certificate(kdc, code, err);
    }
    krb5_free_creds(kdc->ctx, evidence);
    krb5_free_principal(kdc->ctx, wanted.client);
    close_ccache(kdc, service_tgt, tgt, ccache, code);
    return rc;
}

enum eas_rc eas_s4u_self(struct eas_kdc *kdc, struct eas_service_tgt *service_tgt,
                         const struct eas_login *login, struct eas_ticket **evidence_out,
                         struct eas_err *err)
{
    return get_evidence(kdc, service_tgt, login, NULL, evidence_out, err);
}

enum eas_rc eas_s4u_self_certificate(struct eas_kdc *kdc, struct eas_service_tgt *service_tgt,
                                     struct eas_bytes certificate, struct eas_ticket **evidence_out,
                                     struct eas_err *err)
{
    krb5_data data;

    data.magic = KV5M_DATA;
    data.length = (unsigned)certificate.len;
    data.data = (char *)certificate.at;
    return get_evidence(kdc, service_tgt, NULL, &data, evidence_out, err);
}

static krb5_error_code parse_spn(krb5_context ctx, const char *spn, krb5_principal *out)
{
    /* Without a realm: the KDC refers to the right one, also across domains. */
    krb5_error_code code = krb5_parse_name_flags(ctx, spn, KRB5_PRINCIPAL_PARSE_NO_DEF_REALM, out);

    if (code == 0) {
        /* libkrb5 resolves the host part of an SRV_HST by DNS. */
        (*out)->type = KRB5_NT_SRV_INST;
    }
    return code;
}

/*
 * The realm of a service, from an ordinary ticket of the gateway for it; NULL if the KDC issues
 * none.  The caller frees it.
 */
static char *service_realm(struct eas_kdc *kdc, krb5_ccache ccache, const char *spn)
{
    krb5_creds wanted, *creds = NULL;
    krb5_ticket *ticket = NULL;
    char *realm = NULL;

    memset(&wanted, 0, sizeof(wanted));
    /* The server of the creds has the realm of the request, which is empty. */
    if (krb5_cc_get_principal(kdc->ctx, ccache, &wanted.client) == 0
        && parse_spn(kdc->ctx, spn, &wanted.server) == 0
        && krb5_get_credentials(kdc->ctx, KRB5_GC_CANONICALIZE | KRB5_GC_NO_STORE, ccache, &wanted,
                                &creds)
               == 0
        && krb5_decode_ticket(&creds->ticket, &ticket) == 0) {
        realm = strndup(ticket->server->realm.data, ticket->server->realm.length);
    }
    krb5_free_ticket(kdc->ctx, ticket);
    krb5_free_creds(kdc->ctx, creds);
    krb5_free_principal(kdc->ctx, wanted.server);
    krb5_free_principal(kdc->ctx, wanted.client);
    return realm;
}

/*
 * Whether the service is one of another realm, and the error that says so.  KDCs refuse it as an
 * unknown service or as one that is not in the list.
 */
static bool fail_other_realm(struct eas_kdc *kdc, krb5_ccache ccache, const char *account,
                             const char *spn, struct eas_err *err)
{
    char *realm = service_realm(kdc, ccache, spn);
    const char *ours = strrchr(account, '@');
    bool is_other = realm != NULL && ours != NULL && strcmp(realm, ours + 1) != 0;

    if (is_other) {
        eas_fail(err, EAS_NO_SERVICE, 2035,
                 "%s is a service of the realm %s, where msDS-AllowedToDelegateTo of %s has no "
                 "effect; add the account to the PrincipalsAllowedToDelegateToAccount of the "
                 "backend's account (resource-based delegation), or use a gateway of that realm",
                 spn, realm, account);
    }
    free(realm);
    return is_other;
}

/* BADOPTION: whose fault is it? */
static enum eas_rc fail_delegation(struct eas_kdc *kdc, struct eas_service_tgt *service_tgt,
                                   const struct eas_s4u_proxy_request *request,
                                   krb5_error_code code, struct eas_err *err)
{
    bool forwardable = eas_ticket_forwardable(request->evidence);
    const char *account = eas_keytab_principal_name(eas_service_tgt_keytab(service_tgt));

    if (kdc->ntstatus == STATUS_ACCOUNT_RESTRICTION
        || (!forwardable
            && (request->origin == EAS_S4U_FROM_PASSWORD
                || eas_service_tgt_may_transition(service_tgt)))) {
        return eas_kdc_fail(kdc, err, EAS_FORBIDDEN, 2030, code,
                            "this user may not be delegated: the account is marked \"sensitive and "
                            "cannot be delegated\" or is in Protected Users");
    }
    if (!forwardable) {
        return eas_fail(err, EAS_MISCONFIGURED, 2031,
                        "%s may not do protocol transition "
                        "(Set-ADAccountControl -TrustedToAuthForDelegation $true), or for "
                        "resource-based delegation is not in the "
                        "PrincipalsAllowedToDelegateToAccount of %s, or this user may not be "
                        "delegated",
                        account, request->spn);
    }
    return eas_fail(
        err, EAS_NO_SERVICE, 2032,
        "the KDC does not let %s, the account of the keytab, delegate to %s; if that is the right "
        "account, add the name to its msDS-AllowedToDelegateTo (or, for resource-based "
        "delegation, the account to the backend's PrincipalsAllowedToDelegateToAccount)",
        account, request->spn);
}

/* Answers of a KDC that has forgotten the key of the evidence. */
static bool is_old_evidence(struct eas_kdc *kdc, struct eas_service_tgt *service_tgt,
                            const struct eas_s4u_proxy_request *request, krb5_error_code code)
{
    return request->origin == EAS_S4U_FROM_PASSWORD
           && (code == KRB5KRB_AP_ERR_BAD_INTEGRITY || code == KRB5KRB_AP_ERR_MODIFIED
               || code == KRB5KRB_AP_ERR_BADKEYVER || code == KRB5KRB_AP_ERR_NOKEY)
           && eas_service_tgt_note_old_evidence(service_tgt, kdc->ctx, request->evidence);
}

static enum eas_rc fail_proxy(struct eas_kdc *kdc, struct eas_service_tgt *service_tgt,
                              krb5_ccache ccache, const struct eas_s4u_proxy_request *request,
                              krb5_error_code code, struct eas_err *err)
{
    const char *account = eas_keytab_principal_name(eas_service_tgt_keytab(service_tgt));
    enum eas_rc rc;

    if (is_old_evidence(kdc, service_tgt, request, code)) {
        return eas_fail(err, EAS_UNAVAILABLE, 1328,
                        "the user's ticket for %s has a key from before a change of the keytab, "
                        "which the KDC does not accept any longer; the next request verifies the "
                        "password again, or leads to the form",
                        account);
    }
    switch (eas_kdc_cause(code)) {
    case EAS_KDC_BADOPTION:
        rc = fail_delegation(kdc, service_tgt, request, code, err);
        if (rc != EAS_FORBIDDEN && fail_other_realm(kdc, ccache, account, request->spn, err)) {
            err->rc = rc; /* evidence that is not forwardable may be the reason, too */
        }
        return rc;
    case EAS_KDC_UNKNOWN_SERVER:
        if (fail_other_realm(kdc, ccache, account, request->spn, err)) {
            return err->rc;
        }
        return eas_fail(
            err, EAS_NO_SERVICE, 2033,
            "the KDC knows no service %s, or two accounts have it (setspn -Q %s); register it where "
            "none has it (setspn -S %s account), else remove it from one; or correct EasKcdSPN or "
            "the worker's host name",
            request->spn, request->spn, request->spn);
    case EAS_KDC_POLICY:
        return eas_fail(err, EAS_FORBIDDEN, 2034,
                        "a policy of the domain forbids this user a ticket for %s; check the "
                        "authentication policy or silo of that service's account, its permission "
                        "\"Allowed to authenticate\", and whether it is enabled",
                        request->spn);
    default:
        return eas_kdc_fail_by_cause(kdc, err, code, common_failures);
    }
}

enum eas_rc eas_s4u_proxy(struct eas_kdc *kdc, struct eas_service_tgt *service_tgt,
                          const struct eas_s4u_proxy_request *request,
                          struct eas_ticket **ticket_out, struct eas_err *err)
{
    krb5_creds wanted, *ticket = NULL;
    krb5_ccache ccache;
    struct eas_ticket *tgt;
    krb5_error_code code;
    enum eas_rc rc = open_ccache(kdc, service_tgt, &tgt, &ccache, err);

    if (rc != EAS_OK) {
        return rc;
    }
    memset(&wanted, 0, sizeof(wanted));
    /* As in krb5_get_credentials_for_proxy(): the client is the gateway. */
    wanted.client = eas_ticket_creds(tgt)->client;
    wanted.second_ticket = eas_ticket_creds(request->evidence)->ticket;
    code = parse_spn(kdc->ctx, request->spn, &wanted.server);
    if (code == 0) {
        code = krb5_get_credentials(
            kdc->ctx, KRB5_GC_CANONICALIZE | KRB5_GC_NO_STORE | KRB5_GC_CONSTRAINED_DELEGATION,
            ccache, &wanted, &ticket);
    }
    eas_counters_add(code == 0 ? EAS_COUNTER_S4U_PROXY_GRANTED : EAS_COUNTER_S4U_PROXY_FAILED);
    if (code == 0
        && !krb5_principal_compare(kdc->ctx, eas_ticket_creds(request->evidence)->client,
                                   ticket->client)) {
        rc = eas_fail(err, EAS_UNAVAILABLE, 2025, "the KDC returned another user's ticket");
    }
    else if (code == 0) {
        *ticket_out = eas_ticket_take(ticket);
    }
    else {
        rc = fail_proxy(kdc, service_tgt, ccache, request, code, err);
    }
    krb5_free_creds(kdc->ctx, ticket);
    krb5_free_principal(kdc->ctx, wanted.server);
    close_ccache(kdc, service_tgt, tgt, ccache, code);
    return rc;
}
