/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc.c - KDC context: a krb5_context with a deadline, and errors by cause */

#include "auth/kerberos/kdc.h"
#include "auth/base/clock.h"
#include "auth/base/counters.h"
#include "auth/base/notes.h"
#include "auth/kerberos/kdc_background.h"
#include "auth/kerberos/kdc_locate.h"
#include "auth/kerberos/kdc_message.h"
#include "auth/kerberos/kdc_transport.h"

#include <apr_strings.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The default clock skew of MIT Kerberos, Heimdal and AD. */
#define CLOCK_SKEW_SECONDS 300

/* The KDC of the conversation first, then healthy ones. */
static void arrange(const struct eas_kdc *kdc, struct eas_kdc_addresses *addresses)
{
    unsigned i;

    eas_kdc_health_sort(addresses);
    for (i = 1; i < addresses->count; i++) {
        if (strcmp(addresses->at[i].text, kdc->answered.text) == 0) {
            memmove(&addresses->at[1], &addresses->at[0], i * sizeof(addresses->at[0]));
            addresses->at[0] = kdc->answered;
        }
    }
}

static void check_failed(const struct eas_kdc *kdc, const char *realm, struct eas_bytes message,
                         const struct eas_kdc_addresses *addresses)
{
    unsigned i;

    for (i = 1; kdc->job != NULL && i < addresses->count; i++) {
        if (eas_kdc_health_is_due(&addresses->at[i], eas_clock_now())) {
            eas_kdc_background_check(kdc->job, realm, &addresses->at[i], message);
            break; /* one at a time: each holds a thread */
        }
    }
}

static void note_addresses(const char *realm, const struct eas_kdc_addresses *addresses)
{
    unsigned i;

    for (i = 0; i < addresses->count; i++) {
        eas_notes_kdc(addresses->at[i].text, realm, apr_time_now());
    }
}

static krb5_error_code exchange(struct eas_kdc *kdc, krb5_context ctx, const char *realm,
                                struct eas_kdc_addresses *addresses, const krb5_data *message,
                                krb5_data *reply_out)
{
    struct eas_kdc_transport_request request = {
        .addresses = addresses,
        .realm = realm,
        .message = eas_bytes_make(message->data, message->length),
        .until = kdc->until,
    };
    struct eas_kdc_transport_reply reply;

    request.guess = eas_kdc_message_is_guess(request.message, kdc->answered.text[0] != '\0');
    arrange(kdc, addresses);
    note_addresses(realm, addresses);
    if (!request.guess) {
        check_failed(kdc, realm, request.message, addresses);
    }
    if (!eas_kdc_transport_exchange(&request, &reply)) {
        krb5_set_error_message(ctx, KRB5_KDC_UNREACH, "Cannot contact any KDC for realm '%s'",
                               realm);
        return KRB5_KDC_UNREACH;
    }
    kdc->answered = addresses->at[reply.from];
    *reply_out = (krb5_data){ 0, (unsigned)reply.len, (char *)reply.bytes };
    return 0;
}

static krb5_error_code fail_to_locate(krb5_context ctx, const char *realm,
                                      enum eas_kdc_located located)
{
    krb5_error_code code =
        located == EAS_KDC_LOCATED_NONE ? KRB5_REALM_UNKNOWN : KRB5_REALM_CANT_RESOLVE;

    krb5_set_error_message(ctx, code,
                           code == KRB5_REALM_UNKNOWN
                               ? "Cannot find KDC for realm '%s'"
                               : "The name servers do not answer about the KDCs of realm '%s'",
                           realm);
    return code;
}

/* Before the send hook, libkrb5 has asked its plugins; it asks the profile where none answers. */
static enum eas_kdc_located locate(struct eas_kdc *kdc, const char *realm,
                                   struct eas_kdc_addresses *addresses_out)
{
    bool by_plugin = eas_kdc_locate_has_plugin() && !kdc->profile->has_placeholder;

    kdc->profile->has_placeholder = false;
    return eas_kdc_locate(kdc->profile->files, realm, by_plugin, kdc->until, addresses_out);
}

/* For a message that no deadline ends. */
static krb5_error_code take_place(const struct eas_kdc *kdc)
{
    bool may_send = kdc->job == NULL || eas_job_begin_unbounded(kdc->job, kdc->until);

    return may_send ? 0 : KRB5_KDC_UNREACH;
}

/* Sets *sent_out where the message is not left to libkrb5. */
static krb5_error_code send_message(struct eas_kdc *kdc, krb5_context ctx, const char *realm,
                                    const krb5_data *message, krb5_data *reply_out, bool *sent_out)
{
    struct eas_kdc_addresses addresses;
    enum eas_kdc_located located = locate(kdc, realm, &addresses);
    krb5_error_code code;

    *sent_out = located != EAS_KDC_LOCATED_BY_OTHERS;
    if (!*sent_out) {
        return take_place(kdc);
    }
    code = located == EAS_KDC_LOCATED || located == EAS_KDC_LOCATED_STALE
               ? exchange(kdc, ctx, realm, &addresses, message, reply_out)
               : fail_to_locate(ctx, realm, located);
    /* KDCs that do not answer may have other addresses by now. */
    if (kdc->job != NULL && (located == EAS_KDC_LOCATED_STALE || code == KRB5_KDC_UNREACH)) {
        eas_kdc_background_refresh(kdc->job, realm);
    }
    return code;
}

static krb5_error_code read_reply(struct eas_kdc *kdc, krb5_context ctx, const krb5_data *realm,
                                  const krb5_data *reply)
{
    krb5_error_code code = eas_kdc_reply_read(ctx, realm, reply, &kdc->as, &kdc->ntstatus);

    if (kdc->observe != NULL) {
        kdc->observe(kdc, reply);
    }
    return code;
}

static krb5_error_code admit_message(struct eas_kdc *kdc, const krb5_data *realm)
{
    if (kdc->as.running && kdc->as.ended) {
        return KRB5KDC_ERR_PREAUTH_FAILED;
    }
    if (kdc->job != NULL && !eas_job_send(kdc->job, eas_bytes_make(realm->data, realm->length))) {
        return KRB5_KDC_UNREACH;
    }
    return apr_time_now() < kdc->deadline ? 0 : KRB5_KDC_UNREACH;
}

/* The tag of [APPLICATION 10], an AS-REQ (RFC 4120 5.4.1). */
#define AS_REQ 0x6a

/* The message has an answer, or will get none. */
static void receive(const struct eas_kdc *kdc, const krb5_data *message, bool answered)
{
    bool is_as = message->length > 0 && (unsigned char)message->data[0] == AS_REQ;

    if (answered) {
        eas_counters_observe(EAS_HISTOGRAM_KDC, eas_clock_now() - kdc->sent_at);
        eas_counters_add(is_as ? EAS_COUNTER_KDC_AS_ANSWERED : EAS_COUNTER_KDC_TGS_ANSWERED);
    }
    else {
        eas_counters_add(is_as ? EAS_COUNTER_KDC_AS_UNANSWERED : EAS_COUNTER_KDC_TGS_UNANSWERED);
    }
    if (kdc->job != NULL) {
        eas_job_receive(kdc->job, answered ? EAS_PEER_ANSWERED : EAS_PEER_SILENT);
    }
}

static krb5_error_code before_send(krb5_context ctx, void *data, const krb5_data *realm,
                                   const krb5_data *message, krb5_data **new_message_out,
                                   krb5_data **new_reply_out)
{
    struct eas_kdc *kdc = data;
    krb5_error_code code = admit_message(kdc, realm);
    krb5_data *reply;
    bool sent = false;
    char *name;

    (void)new_message_out;
    if (code != 0) {
        return code;
    }
    kdc->messages++;
    kdc->sent_at = eas_clock_now();
    kdc->as.guessed = eas_kdc_message_is_guess(eas_bytes_make(message->data, message->length),
                                               kdc->answered.text[0] != '\0');
    name = strndup(realm->data, realm->length);
    reply = calloc(1, sizeof(*reply));
    code = name == NULL || reply == NULL ? ENOMEM
                                         : send_message(kdc, ctx, name, message, reply, &sent);
    if (sent || code != 0) {
        receive(kdc, message, code == 0);
    }
    if (code == 0 && sent) {
        code = read_reply(kdc, ctx, realm, reply);
    }
    free(name);
    if (code != 0 || !sent) {
        free(reply != NULL ? reply->data : NULL);
        free(reply);
        return code;
    }
    *new_reply_out = reply;
    return 0;
}

/* Where libkrb5 sends; it does not call this after a reply of the send hook. */
static krb5_error_code after_receive(krb5_context ctx, void *data, krb5_error_code code,
                                     const krb5_data *realm, const krb5_data *message,
                                     const krb5_data *reply, krb5_data **new_reply_out)
{
    struct eas_kdc *kdc = data;

    (void)new_reply_out;
    receive(kdc, message, code == 0);
    return code != 0 ? code : read_reply(kdc, ctx, realm, reply);
}

krb5_error_code eas_kdc_begin_unbounded(struct eas_kdc *kdc, const krb5_data *realm)
{
    krb5_error_code code = admit_message(kdc, realm);

    if (code == 0) {
        code = take_place(kdc);
        if (code != 0) {
            eas_kdc_end_unbounded(kdc, code);
        }
    }
    return code;
}

void eas_kdc_end_unbounded(struct eas_kdc *kdc, krb5_error_code code)
{
    bool answered =
        code == 0 || (eas_kdc_cause(code) & (EAS_KDC_UNREACHABLE | EAS_KDC_UNRESOLVED)) == 0;

    if (kdc->job != NULL) {
        eas_job_receive(kdc->job, answered ? EAS_PEER_ANSWERED : EAS_PEER_SILENT);
    }
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
    code = eas_kdc_profile_context(&kdc->ctx, &kdc->profile);
    if (code != 0) {
        kdc->ctx = NULL;
        return eas_kdc_fail(kdc, err, EAS_UNAVAILABLE, 1020, code,
                            "libkrb5 cannot start; check that krb5.conf is readable and valid");
    }
    kdc->timeout = timeout;
    kdc->deadline = apr_time_now() + timeout;
    kdc->until = eas_clock_now() + timeout;
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
    case KRB5_REALM_CANT_RESOLVE:
        return EAS_KDC_UNRESOLVED;
    case KRB5_KDC_UNREACH:
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

krb5_error_code eas_kdc_get_ticket(struct eas_kdc *kdc, krb5_creds *tgt,
                                   krb5_const_principal server, krb5_creds **ticket_out)
{
    krb5_creds wanted;
    krb5_ccache ccache;
    krb5_error_code code = eas_kdc_ccache(kdc, tgt, &ccache);

    if (code == 0) {
        memset(&wanted, 0, sizeof(wanted));
        wanted.client = tgt->client;
        wanted.server = (krb5_principal)server;
        code = krb5_get_credentials(kdc->ctx, KRB5_GC_NO_STORE, ccache, &wanted, ticket_out);
        krb5_cc_destroy(kdc->ctx, ccache);
    }
    return code;
}

bool eas_kdc_permits_aes(krb5_context ctx)
{
    krb5_enctype *permitted, *p;
    bool found = false;

    if (krb5_get_permitted_enctypes(ctx, &permitted) != 0) {
        return false;
    }
    for (p = permitted; *p != ENCTYPE_NULL; p++) {
        found =
            found || *p == ENCTYPE_AES256_CTS_HMAC_SHA1_96 || *p == ENCTYPE_AES128_CTS_HMAC_SHA1_96;
    }
    krb5_free_enctypes(ctx, permitted);
    return found;
}

enum eas_rc eas_kdc_fail(struct eas_kdc *kdc, struct eas_err *err, enum eas_rc rc, int tag,
                         krb5_error_code code, const char *text)
{
    /* The words of the context about an unknown user repeat the name that was typed. */
    krb5_context ctx = eas_kdc_cause(code) == EAS_KDC_UNKNOWN_CLIENT ? NULL : kdc->ctx;
    const char *message = krb5_get_error_message(ctx, code);

    if (kdc->ntstatus != 0) {
        eas_fail(err, rc, tag, "%s: %s (NTSTATUS 0x%08x)", text, message, kdc->ntstatus);
    }
    else {
        eas_fail(err, rc, tag, "%s: %s", text, message);
    }
    krb5_free_error_message(ctx, message);
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
    return eas_kdc_fail(kdc, err, row->rc, tag, code,
                        code != KRB5_REALM_UNKNOWN
                            ? row->text
                            : "neither krb5.conf nor DNS names a KDC of the realm; add kdc lines, "
                              "or SRV records of _kerberos._tcp");
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
