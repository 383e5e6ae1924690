/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/password.c - Password verification at the KDC */

#include "auth/password/password.h"
#include "auth/kerberos/armor.h"
#include "auth/kerberos/kpasswd.h"
#include "auth/kerberos/ticket.h"

#include <apr_strings.h>
#include <string.h>

static const struct eas_kdc_failure log_on_failures[] = {
    eas_kdc_failure(EAS_KDC_WRONG_PASSWORD, EAS_DENIED, 1030, "wrong password"),
    eas_kdc_failure(EAS_KDC_UNKNOWN_CLIENT, EAS_UNKNOWN, 1031, "unknown user"),
    eas_kdc_failure(EAS_KDC_REVOKED, EAS_DENIED, 1032,
                    "the account is disabled, locked, expired or outside its log-on hours"),
    eas_kdc_failure(EAS_KDC_KEY_EXPIRED, EAS_EXPIRED, 1033,
                    "the password has expired or must be changed"),
    eas_kdc_failure(EAS_KDC_POLICY, EAS_DENIED, 1034, "a policy of the domain forbids this log-on"),
    eas_kdc_failure(EAS_KDC_NO_KEY, EAS_DENIED, 1038,
                    "the account has no key of an encryption type that the KDC and krb5.conf "
                    "accept; set its password anew, or check its encryption types"),
    eas_kdc_failure(EAS_KDC_SKEW, EAS_UNAVAILABLE, 1035,
                    "the clocks of this machine and the KDC differ; synchronise them"),
    eas_kdc_failure(EAS_KDC_UNREACHABLE, EAS_UNAVAILABLE, 1036,
                    "no KDC answered; check the domain controllers and krb5.conf"),
    eas_kdc_failure(EAS_KDC_NO_ARMOR, EAS_MISCONFIGURED, 1045,
                    "EasKcdArmor Require or the domain demands armour (FAST) for the log-on, and "
                    "there is none; enable it in the domain (\"KDC support for claims, compound "
                    "authentication and Kerberos armoring\"), and set EasKcdArmor Try"),
    eas_kdc_failure(EAS_KDC_UNRESOLVED, EAS_UNAVAILABLE, 1039,
                    "the KDC's address cannot be looked up; check the name servers in "
                    "/etc/resolv.conf, or name the KDCs by address in krb5.conf"),
    eas_kdc_failure(EAS_KDC_OTHER, EAS_UNAVAILABLE, 1037, "the KDC cannot authenticate users"),
};

static const struct eas_kdc_failure evidence_failures[] = {
    eas_kdc_failure(EAS_KDC_UNKNOWN_SERVER, EAS_MISCONFIGURED, 1040,
                    "the KDC issues no tickets for the gateway's own account; give it a "
                    "service principal name (setspn -S HTTP/gateway.example.com account)"),
    eas_kdc_failure(EAS_KDC_POLICY, EAS_FORBIDDEN, 1044,
                    "a policy of the domain forbids this user a ticket for the gateway; check the "
                    "authentication policy or silo of the gateway's account, and its permission "
                    "\"Allowed to authenticate\""),
    eas_kdc_failure(EAS_KDC_UNREACHABLE | EAS_KDC_UNRESOLVED, EAS_UNAVAILABLE, 1041,
                    "the KDC stopped answering during a log-on"),
    eas_kdc_failure(EAS_KDC_OTHER, EAS_UNAVAILABLE, 1042,
                    "the KDC refused the user's ticket for the gateway"),
};

static const struct eas_kdc_failure change_failures[] = {
    eas_kdc_failure(EAS_KDC_UNREACHABLE | EAS_KDC_UNRESOLVED, EAS_UNAVAILABLE, 1166,
                    "no server of the domain has answered the change of a password, which it may "
                    "have made; open port 464 (TCP) of the domain controllers to this machine, or "
                    "name the server in krb5.conf (kpasswd_server)"),
    eas_kdc_failure(EAS_KDC_OTHER, EAS_UNAVAILABLE, 1167, "the domain cannot change a password"),
};

static enum eas_rc fail_log_on(struct eas_kdc *kdc, krb5_error_code code,
                               const struct eas_realms *realms, struct eas_err *err)
{
    if (eas_kdc_cause(code) == EAS_KDC_OTHER_REALM && kdc->as.referral[0] != '\0'
        && eas_identity_check_realm(kdc->as.referral, realms, err) != EAS_OK) {
        return err->rc;
    }
    if (eas_kdc_cause(code) == EAS_KDC_NO_KEY && !eas_kdc_permits_aes(kdc->ctx)) {
        return eas_kdc_fail(kdc, err, EAS_UNAVAILABLE, 1046, code,
                            "krb5.conf permits no AES keys; check permitted_enctypes");
    }
    return eas_kdc_fail_by_cause(kdc, err, code, log_on_failures);
}

/*
 * A KDC may report an expired password before it has verified any (MIT, Samba 4.22).  The ticket
 * for a change of the password verifies it.  Without that ticket it is not known to be right.
 */
static enum eas_rc fail_expired(struct eas_kdc *kdc, krb5_principal client,
                                const struct eas_password_request *request, struct eas_err *err)
{
    const struct eas_as_request change = { .client = client,
                                           .password = request->password->bytes,
                                           .service = EAS_AS_CHANGE_PASSWORD };
    krb5_creds ticket;
    krb5_error_code code = eas_armor_log_on(request->authority->armor,
                                            request->authority->armor_mode, kdc, &change, &ticket);

    if (code == 0) {
        krb5_free_cred_contents(kdc->ctx, &ticket);
        return eas_kdc_fail_by_cause(kdc, err, KRB5KDC_ERR_KEY_EXP, log_on_failures);
    }
    fail_log_on(kdc, code, &request->authority->realms, err);
    if (err->rc == EAS_EXPIRED) {
        err->rc = EAS_DENIED;
    }
    return err->rc;
}

/*
 * Decrypts the ticket with the gateway's keys, as krb5_verify_init_creds() does (vfy_increds.c).
 * That function cannot return the ticket and skips the check where a keytab is missing.  The caller
 * frees *decrypted_out, which has the PAC, after success.
 */
static krb5_error_code verify_evidence(krb5_context ctx, krb5_creds *evidence,
                                       krb5_const_principal us, krb5_keytab keys,
                                       krb5_ticket **decrypted_out)
{
    krb5_auth_context acceptor = NULL, initiator = NULL;
    krb5_data request = { 0 };
    krb5_error_code code = krb5_mk_req_extended(ctx, &initiator, 0, NULL, evidence, &request);

    if (code == 0) {
        code = krb5_auth_con_init(ctx, &acceptor);
    }
    if (code == 0) {
        /* No replay cache: the request comes from this function. */
        code = krb5_auth_con_setflags(ctx, acceptor, 0);
    }
    if (code == 0) {
        code = krb5_rd_req(ctx, &acceptor, &request, us, keys, NULL, decrypted_out);
    }
    krb5_free_data_contents(ctx, &request);
    krb5_auth_con_free(ctx, acceptor);
    krb5_auth_con_free(ctx, initiator);
    return code;
}

static enum eas_rc fail_evidence(struct eas_kdc *kdc, struct eas_keytab *keytab,
                                 const krb5_creds *evidence, krb5_error_code code,
                                 struct eas_err *err)
{
    apr_pool_t *scratch;

    apr_pool_create(&scratch, NULL);
    eas_kdc_fail(kdc, err, EAS_MISCONFIGURED, 1043, code,
                 apr_psprintf(scratch, "the KDC's ticket for %s does not fit the keytab: %s",
                              eas_keytab_principal_name(keytab),
                              eas_keytab_explain(keytab, kdc->ctx, scratch, &evidence->ticket)));
    apr_pool_destroy(scratch);
    return err->rc;
}

/* Steps 3 and 4. */
static enum eas_rc authenticate_kdc(struct eas_kdc *kdc, struct eas_keytab *keytab, krb5_creds *tgt,
                                    struct eas_ticket **evidence_out, struct eas_err *err)
{
    krb5_const_principal us = eas_keytab_principal(keytab);
    krb5_keytab keys;
    krb5_creds *evidence = NULL;
    krb5_ticket *decrypted = NULL;
    krb5_error_code code;
    enum eas_rc rc = EAS_OK;

    code = eas_kdc_get_ticket(kdc, tgt, us, &evidence);
    if (code != 0) {
        return eas_kdc_fail_by_cause(kdc, err, code, evidence_failures);
    }
    keys = eas_keytab_handle(keytab);
    code = verify_evidence(kdc->ctx, evidence, us, keys, &decrypted);
    if (code != 0) {
        rc = fail_evidence(kdc, keytab, evidence, code, err);
    }
    else {
        *evidence_out = eas_ticket_take(evidence);
        /* Later, that would need a context and another decryption. */
        eas_ticket_keep_pac(*evidence_out, eas_pac_of_decrypted(kdc->ctx, keys, us, decrypted));
    }
    krb5_free_ticket(kdc->ctx, decrypted);
    krb5_free_creds(kdc->ctx, evidence);
    return rc;
}

/* The realm of client is then that of the user. */
static krb5_error_code log_on(struct eas_kdc *kdc, krb5_principal client, const char *service,
                              const struct eas_password_request *request, krb5_creds *tgt)
{
    const struct eas_authority *authority = request->authority;
    const struct eas_as_request as_request = { .client = client,
                                               .password = request->password->bytes,
                                               .service = service };
    unsigned hops = 0;
    krb5_error_code code;

    do {
        code = eas_armor_log_on(authority->armor, authority->armor_mode, kdc, &as_request, tgt);
    } while (code == KRB5KDC_ERR_WRONG_REALM
             && eas_as_follow(kdc, &authority->realms, &hops, client));
    return code;
}

static enum eas_rc verify(apr_pool_t *pool, struct eas_kdc *kdc,
                          const struct eas_password_request *request,
                          struct eas_identity **identity_out, struct eas_err *err)
{
    const struct eas_authority *authority = request->authority;
    krb5_principal client = NULL;
    krb5_creds tgt;
    struct eas_identity *identity = apr_pcalloc(pool, sizeof(*identity));
    enum eas_rc rc;
    krb5_error_code code = eas_kdc_principal(kdc, &request->login, &client);

    memset(&tgt, 0, sizeof(tgt));
    if (code == 0) {
        code = log_on(kdc, client, NULL, request, &tgt);
    }
    rc = code == 0 ? eas_kdc_check_clock(tgt.times.authtime, apr_time_now(), err)
         : eas_kdc_cause(code) == EAS_KDC_KEY_EXPIRED
             ? fail_expired(kdc, client, request, err)
             : fail_log_on(kdc, code, &authority->realms, err);
    if (rc == EAS_OK) {
        rc =
            eas_kdc_user_name(kdc, pool, tgt.client, &authority->realms, &identity->principal, err);
    }
    if (rc == EAS_OK) {
        rc = authenticate_kdc(kdc, authority->keytab, &tgt, &identity->evidence, err);
    }
    if (rc == EAS_OK) {
        eas_ticket_to_pool(identity->evidence, pool);
        identity->authenticated_by = EAS_BY_PASSWORD;
        *identity_out = identity;
    }
    krb5_free_cred_contents(kdc->ctx, &tgt);
    krb5_free_principal(kdc->ctx, client);
    return rc;
}

enum eas_rc eas_password_verify(apr_pool_t *pool, struct eas_job *job,
                                const struct eas_password_request *request,
                                struct eas_identity **identity_out, struct eas_err *err)
{
    struct eas_kdc kdc;
    enum eas_rc rc;

    eas_keytab_refresh(request->authority->keytab);
    rc = eas_kdc_open(&kdc, job, request->authority->kdc_timeout, err);
    if (rc == EAS_OK) {
        rc = verify(pool, &kdc, request, identity_out, err);
    }
    eas_kdc_close(&kdc);
    return rc;
}

/* --- changes ---------------------------------------------------------------------------------- */

enum eas_rc eas_password_read_change(const struct eas_kpasswd_result *result,
                                     struct eas_password_change *change, struct eas_err *err)
{
    switch (result->code) {
    case KRB5_KPASSWD_SUCCESS:
        return EAS_OK;
    case KRB5_KPASSWD_SOFTERROR:
        change->reason = result->text != NULL ? result->text : "";
        return eas_fail(err, EAS_DENIED, 1165, "the domain does not accept the new password: %s",
                        change->reason);
    case KRB5_KPASSWD_ACCESSDENIED:
        return eas_fail(
            err, EAS_FORBIDDEN, 1168,
            "the domain does not let this user change the password; check \"User cannot "
            "change password\" of the account");
    default:
        return eas_fail(err, EAS_UNAVAILABLE, 1331,
                        "the domain has not changed a password: code %d of RFC 3244, %s",
                        result->code, result->text != NULL ? result->text : "without a text");
    }
}

static enum eas_rc change(apr_pool_t *pool, struct eas_kdc *kdc,
                          const struct eas_password_request *request,
                          const struct eas_secret *new_password,
                          struct eas_password_change *change_out, struct eas_err *err)
{
    const struct eas_realms *realms = &request->authority->realms;
    struct eas_kpasswd_result result = { .code = -1 };
    krb5_principal client = NULL;
    krb5_creds ticket;
    krb5_error_code code = eas_kdc_principal(kdc, &request->login, &client);
    enum eas_rc rc;

    memset(&ticket, 0, sizeof(ticket));
    if (code == 0) {
        code = log_on(kdc, client, EAS_AS_CHANGE_PASSWORD, request, &ticket);
    }
    rc = code == 0 ? eas_kdc_check_clock(ticket.times.authtime, apr_time_now(), err)
                   : fail_log_on(kdc, code, realms, err);
    if (rc == EAS_OK) {
        rc = eas_kdc_user_name(kdc, pool, ticket.client, realms, &change_out->principal, err);
    }
    if (rc == EAS_OK) {
        code = eas_kpasswd_change(kdc, pool, &ticket, new_password, &result);
        rc = code == 0 ? eas_password_read_change(&result, change_out, err)
                       : eas_kdc_fail_by_cause(kdc, err, code, change_failures);
    }
    krb5_free_cred_contents(kdc->ctx, &ticket);
    krb5_free_principal(kdc->ctx, client);
    return rc;
}

enum eas_rc eas_password_change(apr_pool_t *pool, struct eas_job *job,
                                const struct eas_password_request *request,
                                const struct eas_secret *new_password, apr_interval_time_t timeout,
                                struct eas_password_change *result_out, struct eas_err *err)
{
    struct eas_kdc kdc;
    enum eas_rc rc = eas_kdc_open(&kdc, job, timeout, err);

    *result_out = (struct eas_password_change){ NULL, NULL };
    if (rc == EAS_OK) {
        rc = change(pool, &kdc, request, new_password, result_out, err);
    }
    eas_kdc_close(&kdc);
    return rc;
}

bool eas_password_may_have_changed(const struct eas_err *err)
{
    return err->rc == EAS_UNAVAILABLE && (err->tag == 1166 || err->tag == 1167);
}

bool eas_password_was_wrong(const struct eas_err *err)
{
    return err->rc == EAS_DENIED && err->tag == 1030;
}

static enum eas_rc get_salt(apr_pool_t *pool, struct eas_kdc *kdc,
                            const struct eas_password_request *request, const char **salt_out,
                            struct eas_err *err)
{
    const struct eas_realms *realms = &request->authority->realms;
    krb5_principal client = NULL;
    krb5_error_code code = eas_kdc_principal(kdc, &request->login, &client);

    if (code == 0) {
        code = eas_as_salt(kdc, pool, client, realms, salt_out);
    }
    if (code == 0) {
        eas_armor_note(request->authority->armor, kdc, client);
    }
    else if (code == KRB5KDC_ERR_POLICY) {
        code = eas_armor_salt(request->authority->armor, request->authority->armor_mode, kdc, pool,
                              client, salt_out);
    }
    krb5_free_principal(kdc->ctx, client);
    return code == 0 ? EAS_OK : fail_log_on(kdc, code, realms, err);
}

enum eas_rc eas_password_salt(apr_pool_t *pool, struct eas_job *job,
                              const struct eas_password_request *request, const char **salt_out,
                              struct eas_err *err)
{
    struct eas_kdc kdc;
    enum eas_rc rc = eas_kdc_open(&kdc, job, request->authority->kdc_timeout, err);

    if (rc == EAS_OK) {
        rc = get_salt(pool, &kdc, request, salt_out, err);
    }
    eas_kdc_close(&kdc);
    return rc;
}
