/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc.c - KDC context: a krb5_context with a deadline, and errors by cause */

#include "auth/kerberos/kdc.h"

#include <apr_strings.h>
#include <stdint.h>
#include <string.h>

/* The default clock skew of MIT Kerberos, Heimdal and AD. */
#define CLOCK_SKEW_SECONDS 300

/* The application tag of a KRB-ERROR (RFC 4120 section 5.9.1) as its first octet. */
#define KRB_ERROR_OCTET 0x7e

static krb5_error_code before_send(krb5_context ctx, void *data, const krb5_data *realm,
                                   const krb5_data *message, krb5_data **new_message_out,
                                   krb5_data **new_reply_out)
{
    struct eas_kdc *kdc = data;

    (void)ctx, (void)message, (void)new_message_out, (void)new_reply_out;
    if (kdc->as.running && kdc->as.ended) {
        return KRB5KDC_ERR_PREAUTH_FAILED;
    }
    if (kdc->job != NULL && !eas_job_send(kdc->job, eas_bytes_make(realm->data, realm->length))) {
        return KRB5_KDC_UNREACH;
    }
    if (apr_time_now() >= kdc->deadline) {
        return KRB5_KDC_UNREACH;
    }
    kdc->messages++;
    return 0;
}

/*
 * The NTSTATUS in the e-data of an error; 0 if there is none.  KERB-ERROR-DATA is a SEQUENCE of a
 * type [1] INTEGER and a value [2] OCTET STRING.  The type is KERB_ERR_TYPE_EXTENDED (3); the value
 * is three little-endian words, and the first is the status ([MS-KILE] 2.2.1 and 2.2.2).
 */
static unsigned ntstatus_of(const krb5_data *e_data)
{
    static const unsigned char head[] = { 0x30, 0x15, 0xa1, 0x03, 0x02, 0x01,
                                          0x03, 0xa2, 0x0e, 0x04, 0x0c };
    const unsigned char *p = (const unsigned char *)e_data->data;

    if (e_data->length != sizeof(head) + 12 || memcmp(p, head, sizeof(head)) != 0) {
        return 0;
    }
    p += sizeof(head);
    return (unsigned)p[0] | (unsigned)p[1] << 8 | (unsigned)p[2] << 16 | (unsigned)p[3] << 24;
}

/* An error may name a realm of the client, in which the KDC knows the client (RFC 6806 section 7). */
static bool read_referral(struct eas_kdc_as *as, const krb5_data *realm, const krb5_error *error)
{
    krb5_error_code code = ERROR_TABLE_BASE_krb5 + (krb5_error_code)error->error;
    const krb5_data *to;

    if (error->client == NULL
        || (code != KRB5KDC_ERR_WRONG_REALM && code != KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN)) {
        return false;
    }
    to = &error->client->realm;
    if (to->length == 0 || to->length > EAS_KDC_REALM_MAX
        || memchr(to->data, '\0', to->length) != NULL
        || (to->length == realm->length && memcmp(to->data, realm->data, to->length) == 0)) {
        return false;
    }
    memcpy(as->referral, to->data, to->length);
    as->referral[to->length] = '\0';
    return true;
}

/* Any result but 0 ends the exchange. */
static krb5_error_code read_as_error(struct eas_kdc_as *as, const krb5_data *realm,
                                     const krb5_error *error)
{
    krb5_error_code code = ERROR_TABLE_BASE_krb5 + (krb5_error_code)error->error;

    eas_preauth_read_error(eas_bytes_make(error->e_data.data, error->e_data.length), &as->preauth);
    if (read_referral(as, realm, error)) {
        return KRB5KDC_ERR_WRONG_REALM;
    }
    if (as->armored && !as->preauth.is_fast && code != KRB5KRB_ERR_RESPONSE_TOO_BIG) {
        as->unarmored = true;
        return code;
    }
    as->ended = as->armored && code != KRB5KDC_ERR_PREAUTH_REQUIRED
                && code != KRB5KDC_ERR_MORE_PREAUTH_DATA_REQUIRED
                && code != KRB5KRB_ERR_RESPONSE_TOO_BIG;
    return as->probing && code == KRB5KDC_ERR_PREAUTH_REQUIRED ? code : 0;
}

static krb5_error_code read_error(struct eas_kdc *kdc, const krb5_data *realm,
                                  const krb5_error *error)
{
    kdc->ntstatus = ntstatus_of(&error->e_data);
    if (error->error == KRB5KDC_ERR_PREAUTH_FAILED - ERROR_TABLE_BASE_krb5) {
        return KRB5KDC_ERR_PREAUTH_FAILED;
    }
    return kdc->as.running ? read_as_error(&kdc->as, realm, error) : 0;
}

static krb5_error_code after_receive(krb5_context ctx, void *data, krb5_error_code code,
                                     const krb5_data *realm, const krb5_data *message,
                                     const krb5_data *reply, krb5_data **new_reply_out)
{
    struct eas_kdc *kdc = data;
    krb5_error *error;

    (void)message, (void)new_reply_out;
    if (kdc->job != NULL) {
        eas_job_receive(kdc->job, code == 0);
    }
    if (code != 0 || reply->length == 0) {
        return code;
    }
    /* An AS-REP answers a probe for a user without pre-authentication. */
    if (kdc->as.running && kdc->as.probing
        && eas_preauth_read_reply(eas_bytes_make(reply->data, reply->length), &kdc->as.preauth)) {
        return KRB5KDC_ERR_PREAUTH_REQUIRED;
    }
    if ((unsigned char)reply->data[0] != KRB_ERROR_OCTET
        || krb5_rd_error(ctx, reply, &error) != 0) {
        return 0;
    }
    code = read_error(kdc, realm, error);
    krb5_free_error(ctx, error);
    return code;
}

enum eas_rc eas_kdc_open(struct eas_kdc *kdc, struct eas_job *job, apr_interval_time_t timeout,
                         struct eas_err *err)
{
    krb5_error_code code;

    memset(kdc, 0, sizeof(*kdc));
    kdc->job = job;
    if (job != NULL) {
        eas_job_open(job);
    }
    code = krb5_init_context(&kdc->ctx);
    if (code != 0) {
        kdc->ctx = NULL;
        return eas_kdc_fail(kdc, err, EAS_UNAVAILABLE, 1020, code,
                            "libkrb5 cannot start; check that krb5.conf is readable and valid");
    }
    kdc->timeout = timeout;
    kdc->deadline = apr_time_now() + timeout;
    krb5_set_kdc_send_hook(kdc->ctx, before_send, kdc);
    krb5_set_kdc_recv_hook(kdc->ctx, after_receive, kdc);
    return EAS_OK;
}

void eas_kdc_close(struct eas_kdc *kdc)
{
    if (kdc->job != NULL) {
        eas_job_close(kdc->job);
        kdc->job = NULL;
    }
    if (kdc->ctx != NULL) {
        krb5_free_context(kdc->ctx);
        kdc->ctx = NULL;
    }
}

enum eas_kdc_cause eas_kdc_cause(krb5_error_code code)
{
    switch (code) {
    case KRB5KDC_ERR_PREAUTH_FAILED:
    case KRB5KRB_AP_ERR_BAD_INTEGRITY: /* a user without pre-authentication */
    case KRB5_PREAUTH_FAILED:
        return EAS_KDC_WRONG_PASSWORD;
    case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
        return EAS_KDC_UNKNOWN_CLIENT;
    case KRB5KDC_ERR_CLIENT_REVOKED:
    case KRB5KDC_ERR_CLIENT_NOTYET:
    case KRB5KDC_ERR_NAME_EXP:
        return EAS_KDC_REVOKED;
    case KRB5KDC_ERR_KEY_EXP:
        return EAS_KDC_KEY_EXPIRED;
    case KRB5KDC_ERR_POLICY:
        return EAS_KDC_POLICY;
    case KRB5KDC_ERR_ETYPE_NOSUPP:
    case KRB5KDC_ERR_NULL_KEY:
        return EAS_KDC_NO_KEY;
    case KRB5KDC_ERR_BADOPTION:
        return EAS_KDC_BADOPTION;
    case KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN:
    case KRB5KDC_ERR_MUST_USE_USER2USER:
        return EAS_KDC_UNKNOWN_SERVER;
    case KRB5KRB_AP_ERR_SKEW:
    case KRB5KRB_AP_ERR_TKT_NYV:
    case KRB5_KDCREP_SKEW:
        return EAS_KDC_SKEW;
    case KRB5KRB_AP_ERR_TKT_EXPIRED:
    case KRB5KRB_AP_ERR_MODIFIED:
    case KRB5KDC_ERR_TGT_REVOKED:
        return EAS_KDC_STALE;
    case KRB5_KDC_UNREACH:
    case KRB5_REALM_CANT_RESOLVE:
    case KRB5_REALM_UNKNOWN:
    case KRB5KDC_ERR_SVC_UNAVAILABLE:
        return EAS_KDC_UNREACHABLE;
    case KRB5KDC_ERR_WRONG_REALM:
        return EAS_KDC_OTHER_REALM;
    case KRB5_ERR_FAST_REQUIRED:
        return EAS_KDC_NO_ARMOR;
    default:
        return EAS_KDC_OTHER;
    }
}

krb5_error_code eas_kdc_principal(struct eas_kdc *kdc, const struct eas_login *login,
                                  krb5_principal *out)
{
    krb5_error_code code = krb5_build_principal(kdc->ctx, out, (unsigned)strlen(login->realm),
                                                login->realm, login->user, (char *)NULL);

    if (code == 0 && login->enterprise) {
        (*out)->type = KRB5_NT_ENTERPRISE_PRINCIPAL;
    }
    return code;
}

enum eas_rc eas_kdc_user_name(struct eas_kdc *kdc, apr_pool_t *pool, krb5_const_principal name,
                              const struct eas_realms *realms, const char **text_out,
                              struct eas_err *err)
{
    const char *realm = apr_pstrmemdup(pool, name->realm.data, name->realm.length);
    krb5_error_code code;
    enum eas_rc rc;
    char *text;

    if (name->length != 1 || strlen(realm) != name->realm.length) {
        return eas_fail(err, EAS_DENIED, 1022,
                        "the canonical name that the KDC returned is not that of a user");
    }
    rc = eas_identity_check(name->data[0].data, name->data[0].length, realm, realms, err);
    if (rc != EAS_OK) {
        return rc;
    }
    code = krb5_unparse_name(kdc->ctx, name, &text);
    if (code != 0) {
        return eas_kdc_fail(kdc, err, EAS_UNAVAILABLE, 1023, code,
                            "libkrb5 cannot print the canonical name");
    }
    *text_out = apr_pstrdup(pool, text);
    krb5_free_unparsed_name(kdc->ctx, text);
    return EAS_OK;
}

enum eas_rc eas_kdc_default_realm(apr_pool_t *pool, const char **realm_out, struct eas_err *err)
{
    krb5_context ctx = NULL;
    char *realm = NULL;
    krb5_error_code code = krb5_init_context(&ctx);

    if (code == 0) {
        code = krb5_get_default_realm(ctx, &realm);
    }
    if (code == 0) {
        *realm_out = apr_pstrdup(pool, realm);
        krb5_free_default_realm(ctx, realm);
    }
    if (ctx != NULL) {
        krb5_free_context(ctx);
    }
    return code == 0 ? EAS_OK
                     : eas_fail(err, EAS_MISCONFIGURED, 3005,
                                "krb5.conf names no default realm; set EasKcdRealm");
}

krb5_error_code eas_kdc_ccache(struct eas_kdc *kdc, krb5_creds *tgt, krb5_ccache *out)
{
    krb5_ccache ccache = NULL;
    krb5_error_code code = krb5_cc_new_unique(kdc->ctx, "MEMORY", NULL, &ccache);

    if (code == 0) {
        code = krb5_cc_initialize(kdc->ctx, ccache, tgt->client);
    }
    if (code == 0) {
        code = krb5_cc_store_cred(kdc->ctx, ccache, tgt);
    }
    if (code != 0 && ccache != NULL) {
        krb5_cc_destroy(kdc->ctx, ccache);
        ccache = NULL;
    }
    *out = ccache;
    return code;
}

enum eas_rc eas_kdc_fail(struct eas_kdc *kdc, struct eas_err *err, enum eas_rc rc, int tag,
                         krb5_error_code code, const char *text)
{
    const char *message = krb5_get_error_message(kdc->ctx, code);

    if (kdc->ntstatus != 0) {
        eas_fail(err, rc, tag, "%s: %s (NTSTATUS 0x%08x)", text, message, kdc->ntstatus);
    }
    else {
        eas_fail(err, rc, tag, "%s: %s", text, message);
    }
    krb5_free_error_message(kdc->ctx, message);
    return rc;
}

enum eas_rc eas_kdc_fail_by_cause(struct eas_kdc *kdc, struct eas_err *err, krb5_error_code code,
                                  const struct eas_kdc_failure *table)
{
    const struct eas_kdc_failure *row = table;
    unsigned wanted = (unsigned)eas_kdc_cause(code) | EAS_KDC_OTHER;
    int tag;

    while ((row->causes & wanted) == 0) {
        row++;
    }
    tag = row->tag;
    return eas_kdc_fail(kdc, err, row->rc, tag, code, row->text);
}

enum eas_rc eas_kdc_check_clock(krb5_timestamp kdc_time, apr_time_t now, struct eas_err *err)
{
    /* krb5_timestamp is read as unsigned and lasts until 2106 (krb5 1.16). */
    apr_int64_t ahead = apr_time_sec(now) - (apr_int64_t)(uint32_t)kdc_time;

    if (ahead > CLOCK_SKEW_SECONDS || ahead < -CLOCK_SKEW_SECONDS) {
        return eas_fail(err, EAS_UNAVAILABLE, 1021,
                        "the clock of this machine is %" APR_INT64_T_FMT " seconds %s the KDC's; "
                        "synchronise it with the domain controllers",
                        ahead < 0 ? -ahead : ahead, ahead < 0 ? "behind" : "ahead of");
    }
    return EAS_OK;
}
