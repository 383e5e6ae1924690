/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/password.c - proves a password to the KDC, and the KDC to us */

#include "auth/password/password.h"
#include "auth/kerberos/kdc.h"
#include "auth/kerberos/ticket.h"

#include <apr_strings.h>
#include <string.h>

/* What an AS exchange's failure means for the one who asked, and what the administrator reads. */
static enum eas_rc refuse(struct eas_kdc *kdc, krb5_error_code code, struct eas_err *err)
{
    switch (eas_kdc_cause(code)) {
    case EAS_KDC_WRONG_PASSWORD:
        return eas_kdc_fail(kdc, err, EAS_DENIED, 1030, code, "wrong password");
    case EAS_KDC_UNKNOWN_CLIENT:
        return eas_kdc_fail(kdc, err, EAS_UNKNOWN, 1031, code, "unknown user");
    case EAS_KDC_REVOKED:
        return eas_kdc_fail(kdc, err, EAS_DENIED, 1032, code,
                            "the account is disabled, locked, expired or outside its log-on hours");
    case EAS_KDC_KEY_EXPIRED:
        /* An answer to the first message, which carries no password, has proved nothing. */
        return eas_kdc_fail(kdc, err, kdc->messages > 1 ? EAS_EXPIRED : EAS_DENIED, 1033, code,
                            "the password has expired or must be changed");
    case EAS_KDC_POLICY:
        return eas_kdc_fail(kdc, err, EAS_DENIED, 1034, code,
                            "a policy of the domain forbids this log-on");
    case EAS_KDC_SKEW:
        return eas_kdc_fail(kdc, err, EAS_UNAVAILABLE, 1035, code,
                            "the clocks of this machine and the KDC differ; synchronise them");
    case EAS_KDC_UNREACHABLE:
        return eas_kdc_fail(kdc, err, EAS_UNAVAILABLE, 1036, code,
                            "no KDC answered; check the domain controllers and krb5.conf");
    case EAS_KDC_BADOPTION:
    case EAS_KDC_UNKNOWN_SERVER:
    case EAS_KDC_STALE:
    case EAS_KDC_OTHER:
        break;
    }
    return eas_kdc_fail(kdc, err, EAS_UNAVAILABLE, 1037, code, "the KDC cannot authenticate users");
}

/* The user's ticket for the gateway, forwardable if the TGT is; to demand it would be refused. */
static krb5_error_code get_evidence(struct eas_kdc *kdc, krb5_creds *tgt,
                                    krb5_const_principal gateway, krb5_creds **evidence)
{
    krb5_creds wanted;
    krb5_ccache ccache;
    krb5_error_code code = eas_kdc_ccache(kdc, tgt, &ccache);

    if (code == 0) {
        memset(&wanted, 0, sizeof(wanted));
        wanted.client = tgt->client;
        wanted.server = (krb5_principal)gateway;
        code = krb5_get_credentials(kdc->ctx, KRB5_GC_NO_STORE, ccache, &wanted, evidence);
        krb5_cc_destroy(kdc->ctx, ccache);
    }
    return code;
}

/*
 * Does the ticket decrypt with our own key?  As krb5_verify_init_creds() does it (vfy_increds.c),
 * which itself cannot return the ticket and skips the check where a keytab is missing.
 */
static krb5_error_code verify_evidence(krb5_context ctx, krb5_creds *evidence,
                                       struct eas_keytab *keytab)
{
    krb5_auth_context ours = NULL, theirs = NULL;
    krb5_data request = { 0 };
    krb5_error_code code = krb5_mk_req_extended(ctx, &theirs, 0, NULL, evidence, &request);

    if (code == 0) {
        code = krb5_auth_con_init(ctx, &ours);
    }
    if (code == 0) {
        /* No replay cache: we are talking to ourselves. */
        code = krb5_auth_con_setflags(ctx, ours, 0);
    }
    if (code == 0) {
        code = krb5_rd_req(ctx, &ours, &request, eas_keytab_principal(keytab),
                           eas_keytab_handle(keytab), NULL, NULL);
    }
    krb5_free_data_contents(ctx, &request);
    krb5_auth_con_free(ctx, ours);
    krb5_auth_con_free(ctx, theirs);
    return code;
}

static enum eas_rc refuse_evidence(struct eas_kdc *kdc, krb5_error_code code, struct eas_err *err)
{
    switch (eas_kdc_cause(code)) {
    case EAS_KDC_UNKNOWN_SERVER:
        return eas_kdc_fail(kdc, err, EAS_MISCONFIGURED, 1040, code,
                            "the KDC issues no tickets for the gateway's own account; give it a "
                            "service principal name (setspn -S HTTP/gateway.example.com account)");
    case EAS_KDC_UNREACHABLE:
        return eas_kdc_fail(kdc, err, EAS_UNAVAILABLE, 1041, code,
                            "the KDC stopped answering during a log-on");
    default:
        return eas_kdc_fail(kdc, err, EAS_UNAVAILABLE, 1042, code,
                            "the KDC refused the user's ticket for the gateway");
    }
}

static enum eas_rc prove_kdc(struct eas_kdc *kdc, const struct eas_authority *authority,
                             krb5_creds *tgt, struct eas_ticket **evidence_out, struct eas_err *err)
{
    krb5_creds *evidence = NULL;
    krb5_error_code code;
    enum eas_rc rc = EAS_OK;

    code = get_evidence(kdc, tgt, eas_keytab_principal(authority->keytab), &evidence);
    if (code != 0) {
        return refuse_evidence(kdc, code, err);
    }
    code = verify_evidence(kdc->ctx, evidence, authority->keytab);
    if (code != 0) {
        rc = eas_kdc_fail(kdc, err, EAS_MISCONFIGURED, 1043, code,
                          "the KDC's ticket for the gateway does not match the keytab: the keytab "
                          "is older than the account's password (export it again), or somebody "
                          "is spoofing the KDC");
    }
    else {
        *evidence_out = eas_ticket_take(evidence);
    }
    krb5_free_creds(kdc->ctx, evidence);
    return rc;
}

/* Steps 1 to 4, in a conversation that is open. */
static enum eas_rc prove(apr_pool_t *pool, struct eas_kdc *kdc,
                         const struct eas_authority *authority, const struct eas_login *login,
                         const struct eas_secret *password, struct eas_identity **out,
                         struct eas_err *err)
{
    krb5_principal client = NULL;
    krb5_creds tgt;
    struct eas_identity *identity = apr_pcalloc(pool, sizeof(*identity));
    enum eas_rc rc;
    krb5_error_code code = eas_kdc_principal(kdc, login, &client);

    memset(&tgt, 0, sizeof(tgt));
    if (code == 0) {
        code = eas_kdc_log_on(kdc, client, password->bytes, NULL, &tgt);
    }
    rc = code == 0 ? eas_kdc_check_clock(tgt.times.authtime, apr_time_now(), err)
                   : refuse(kdc, code, err);
    if (rc == EAS_OK) {
        rc =
            eas_kdc_user_name(kdc, pool, tgt.client, &authority->realms, &identity->principal, err);
    }
    if (rc == EAS_OK) {
        rc = prove_kdc(kdc, authority, &tgt, &identity->evidence, err);
    }
    if (rc == EAS_OK) {
        eas_ticket_to_pool(identity->evidence, pool);
        identity->authenticated_by = EAS_BY_PASSWORD;
        *out = identity;
    }
    krb5_free_cred_contents(kdc->ctx, &tgt);
    krb5_free_principal(kdc->ctx, client);
    return rc;
}

enum eas_rc eas_password_verify(apr_pool_t *pool, struct eas_job *job,
                                const struct eas_authority *authority,
                                const struct eas_login *login, const struct eas_secret *password,
                                struct eas_identity **out, struct eas_err *err)
{
    struct eas_kdc kdc;
    enum eas_rc rc;

    eas_keytab_refresh(authority->keytab);
    rc = eas_kdc_open(&kdc, job, authority->kdc_timeout, err);
    if (rc == EAS_OK) {
        rc = prove(pool, &kdc, authority, login, password, out, err);
    }
    eas_kdc_close(&kdc);
    return rc;
}

bool eas_password_was_wrong(const struct eas_err *err)
{
    return err->rc == EAS_DENIED && err->tag == 1030;
}

static enum eas_rc ask_salt(apr_pool_t *pool, struct eas_kdc *kdc, const struct eas_login *login,
                            const char **salt_out, struct eas_err *err)
{
    krb5_principal client = NULL;
    krb5_data salt = { 0 };
    krb5_error_code code = eas_kdc_principal(kdc, login, &client);

    if (code == 0) {
        code = eas_kdc_salt(kdc, client, &salt);
    }
    if (code == 0) {
        *salt_out = apr_pstrmemdup(pool, salt.data, salt.length);
    }
    krb5_free_data_contents(kdc->ctx, &salt);
    krb5_free_principal(kdc->ctx, client);
    return code == 0 ? EAS_OK : refuse(kdc, code, err);
}

enum eas_rc eas_password_salt(apr_pool_t *pool, struct eas_job *job,
                              const struct eas_authority *authority, const struct eas_login *login,
                              const char **salt_out, struct eas_err *err)
{
    struct eas_kdc kdc;
    enum eas_rc rc = eas_kdc_open(&kdc, job, authority->kdc_timeout, err);

    if (rc == EAS_OK) {
        rc = ask_salt(pool, &kdc, login, salt_out, err);
    }
    eas_kdc_close(&kdc);
    return rc;
}
