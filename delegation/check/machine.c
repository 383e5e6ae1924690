/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/machine.c - steps about this machine: keytab, krb5.conf, KDCs, clock */

#include "delegation/check/machine.h"
#include "auth/base/clock.h"
#include "auth/kerberos/kdc.h"
#include "auth/kerberos/kdc_locate.h"
#include "auth/kerberos/kdc_message.h"
#include "auth/kerberos/kdc_transport.h"
#include "delegation/check/key.h"

#include <apr_strings.h>
#include <apr_user.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SLOW apr_time_from_sec(1)
#define DRIFT_SECONDS 60
#define SKEW_SECONDS 300

/* --- keytab ----------------------------------------------------------------------------------- */

static enum eas_finding keytab_finding(int tag)
{
    switch (tag) {
    case 3000:
        return EAS_FINDING_KRB5_CONF;
    case 3006:
        return EAS_FINDING_KEYTAB_EXPOSED;
    case 3002:
    case 3003:
        return EAS_FINDING_KEYTAB_NO_ENTRY;
    default:
        return EAS_FINDING_KEYTAB_UNREADABLE;
    }
}

static const char *describe_file(apr_pool_t *pool, const char *path)
{
    char *owner = NULL;
    apr_finfo_t file;

    if (apr_stat(&file, path, APR_FINFO_PROT | APR_FINFO_OWNER, pool) != APR_SUCCESS) {
        return "";
    }
    apr_uid_name_get(&owner, file.user, pool);
    return apr_psprintf(pool, "; %03x, of %s", (unsigned)file.protection & 0x777,
                        owner != NULL ? owner : "nobody known");
}

/* sAMAccountName: mostly the beginning of the principal. */
static const char *account_of(apr_pool_t *pool, const char *principal)
{
    return apr_pstrmemdup(pool, principal, strcspn(principal, "@"));
}

void eas_machine_keytab(struct eas_check *check)
{
    const struct eas_options *options = check->options;
    struct eas_err err;
    struct eas_key_list keys;

    eas_report_begin(check->report, "keytab", options->keytab);
    check->names.keytab = options->keytab;
    if (options->principal != NULL) {
        check->names.principal = options->principal;
        check->names.account = account_of(check->pool, options->principal);
    }
    if (eas_keytab_load(check->pool, options->keytab, options->principal, &check->keytab, &err)
        != EAS_OK) {
        eas_report_find(check->report, keytab_finding(err.tag), &check->names, err.text);
        check->keytab = NULL;
        return;
    }
    check->names.principal = eas_keytab_principal_name(check->keytab);
    check->names.account = account_of(check->pool, check->names.principal);
    check->service_tgt = eas_service_tgt_create(check->pool, check->keytab);
    check->armor = eas_armor_create(check->pool, check->service_tgt);
    eas_key_list(check->pool, check->keytab, &keys);
    keys.text = apr_pstrcat(check->pool, check->names.principal, ", ", keys.text,
                            describe_file(check->pool, options->keytab), NULL);
    if (keys.only_rc4) {
        eas_report_find(check->report, EAS_FINDING_KEYTAB_RC4, &check->names, keys.text);
    }
    else {
        eas_report_pass(check->report, keys.text);
    }
}

/* --- krb5.conf -------------------------------------------------------------------------------- */

/* libkrb5 takes a missing file for an empty one.  KRB5_CONFIG can name several. */
static bool is_missing(apr_pool_t *pool, const char *files)
{
    char *state, *file = apr_strtok(apr_pstrdup(pool, files), ":", &state);
    apr_finfo_t info;

    for (; file != NULL; file = apr_strtok(NULL, ":", &state)) {
        if (apr_stat(&info, file, APR_FINFO_TYPE, pool) == APR_SUCCESS) {
            return false;
        }
    }
    return true;
}

void eas_machine_krb5_conf(struct eas_check *check)
{
    const char *file = getenv("KRB5_CONFIG");
    struct eas_err err;
    struct eas_kdc kdc;

    file = file != NULL ? file : "/etc/krb5.conf";
    eas_report_begin(check->report, "krb5.conf", file);
    check->realms.domains = check->options->domains;
    check->realms.default_realm = check->options->realm;
    if (is_missing(check->pool, file)) {
        eas_report_find(check->report, EAS_FINDING_KRB5_CONF, &check->names, "no such file");
        return;
    }
    if (eas_kdc_open(&kdc, NULL, check->options->timeout, &err) != EAS_OK) {
        eas_report_find(check->report, EAS_FINDING_KRB5_CONF, &check->names, err.text);
    }
    else if (check->realms.default_realm == NULL
             && eas_kdc_default_realm(check->pool, &check->realms.default_realm, &err) != EAS_OK) {
        eas_report_find(check->report, EAS_FINDING_NO_REALM, &check->names, err.text);
    }
    else if (!eas_kdc_permits_aes(kdc.ctx)) {
        eas_report_find(check->report, EAS_FINDING_NO_AES, &check->names, "");
    }
    else {
        eas_report_pass(check->report,
                        apr_pstrcat(check->pool, "users of ", check->realms.default_realm, NULL));
    }
    check->names.realm = check->realms.default_realm;
    eas_kdc_close(&kdc);
}

/* --- KDCs ------------------------------------------------------------------------------------- */

/* The first message of an AS exchange, which is no guess.  The caller frees it. */
static krb5_error_code make_probe(krb5_context ctx, krb5_principal client, krb5_data *message_out)
{
    krb5_init_creds_context exchange = NULL;
    krb5_data nothing = { 0 }, realm = { 0 };
    unsigned flags = 0;
    krb5_error_code code = krb5_init_creds_init(ctx, client, NULL, NULL, 0, NULL, &exchange);

    if (code == 0) {
        code = krb5_init_creds_step(ctx, exchange, &nothing, message_out, &realm, &flags);
    }
    krb5_free_data_contents(ctx, &realm);
    krb5_init_creds_free(ctx, exchange);
    return code;
}

/* Seconds by which this machine's clock is ahead of the one in the reply, an error. */
static bool read_clock(krb5_context ctx, const struct eas_kdc_transport_reply *reply,
                       apr_int64_t *ahead_out)
{
    krb5_data data = { 0, (unsigned)reply->len, (char *)reply->bytes };
    krb5_error *error;

    if (krb5_rd_error(ctx, &data, &error) != 0) {
        return false;
    }
    *ahead_out = apr_time_sec(apr_time_now()) - (apr_int64_t)(uint32_t)error->stime;
    krb5_free_error(ctx, error);
    return true;
}

static void report_clock(struct eas_check *check, const char *kdc, apr_int64_t ahead)
{
    apr_int64_t distance = ahead < 0 ? -ahead : ahead;
    const char *detail = apr_psprintf(check->pool, "this machine is %" APR_INT64_T_FMT " s %s",
                                      distance, ahead < 0 ? "behind" : "ahead");

    eas_report_begin(check->report, "clock", kdc);
    if (distance > DRIFT_SECONDS) {
        eas_report_find(check->report,
                        distance > SKEW_SECONDS ? EAS_FINDING_CLOCK : EAS_FINDING_CLOCK_DRIFT,
                        &check->names, detail);
    }
    else {
        eas_report_pass(check->report, detail);
    }
}

/* Returns whether the KDC has answered. */
static bool ask(struct eas_check *check, krb5_context ctx, const struct eas_kdc_address *address,
                const krb5_data *probe)
{
    struct eas_kdc_addresses one = { .count = 1, .at = { *address } };
    struct eas_kdc_transport_request request = {
        .addresses = &one,
        .message = eas_bytes_make(probe->data, probe->length),
        .until = eas_clock_now() + check->options->timeout,
    };
    struct eas_kdc_transport_reply reply;
    struct eas_finding_names names = check->names;
    apr_time_t began = eas_clock_now();
    apr_int64_t ahead;

    names.kdc = apr_pstrdup(check->pool, address->text);
    eas_report_begin(check->report, "KDC", names.kdc);
    if (!eas_kdc_transport_exchange(&request, &reply)) {
        eas_report_find(check->report, EAS_FINDING_KDC_DOWN, &names, "");
        return false;
    }
    if (eas_clock_now() - began > SLOW) {
        eas_report_find(check->report, EAS_FINDING_KDC_SLOW, &names, "");
    }
    else {
        eas_report_pass(check->report, "answers");
    }
    if (read_clock(ctx, &reply, &ahead)) {
        report_clock(check, names.kdc, ahead);
    }
    free(reply.bytes);
    return true;
}

static void ask_each(struct eas_check *check, struct eas_kdc *kdc,
                     const struct eas_kdc_addresses *addresses)
{
    krb5_data probe = { 0 };
    bool any = false;
    unsigned i;

    if (make_probe(kdc->ctx, (krb5_principal)eas_keytab_principal(check->keytab), &probe) != 0) {
        return;
    }
    for (i = 0; i < addresses->count; i++) {
        any |= ask(check, kdc->ctx, &addresses->at[i], &probe);
    }
    krb5_free_data_contents(kdc->ctx, &probe);
    if (!any) {
        eas_report_begin(check->report, "KDCs", check->names.realm);
        eas_report_find(check->report, EAS_FINDING_KDC_ALL_DOWN, &check->names, "");
    }
}

static void report_located(struct eas_check *check, enum eas_kdc_located located,
                           const struct eas_kdc_addresses *addresses)
{
    const char *text = "";
    unsigned i;

    for (i = 0; i < addresses->count; i++) {
        text = apr_pstrcat(check->pool, text, i > 0 ? " " : "", addresses->at[i].text, NULL);
    }
    switch (located) {
    case EAS_KDC_LOCATED_NONE:
        eas_report_find(check->report, EAS_FINDING_KDC_NONE, &check->names, "");
        break;
    case EAS_KDC_LOCATED_NOT:
        eas_report_find(check->report, EAS_FINDING_DNS, &check->names, "");
        break;
    case EAS_KDC_LOCATED_BY_OTHERS:
        eas_report_pass(check->report, "behind a proxy or a locator plugin of libkrb5");
        break;
    default:
        eas_report_pass(check->report, text);
        break;
    }
}

void eas_machine_kdcs(struct eas_check *check)
{
    const krb5_data *realm = &eas_keytab_principal(check->keytab)->realm;
    struct eas_kdc_addresses addresses = { 0 };
    enum eas_kdc_located located = EAS_KDC_LOCATED_NOT;
    struct eas_err err;
    struct eas_kdc kdc;

    check->names.realm = apr_pstrmemdup(check->pool, realm->data, realm->length);
    eas_report_begin(check->report, "KDCs", check->names.realm);
    if (eas_kdc_open(&kdc, NULL, check->options->timeout, &err) == EAS_OK) {
        located = eas_kdc_locate(kdc.profile->files, check->names.realm,
                                 eas_kdc_locate_has_plugin(), kdc.until, &addresses);
        report_located(check, located, &addresses);
        if (addresses.count > 0) {
            ask_each(check, &kdc, &addresses);
        }
    }
    eas_kdc_close(&kdc);
}
