/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/as.c - AS exchange (RFC 4120 3.1) with one realm, and its referrals */

#include "auth/kerberos/as.h"
#include "auth/kerberos/string_to_key.h"

#include <apr_strings.h>
#include <openssl/crypto.h>
#include <string.h>

/* The hooks of kdc see an AS exchange while libkrb5 runs it. */
static krb5_error_code run(struct eas_kdc *kdc, krb5_init_creds_context exchange,
                           const struct eas_kdc_as *as)
{
    krb5_error_code code;

    kdc->as = *as;
    kdc->as.running = true;
    code = krb5_init_creds_get(kdc->ctx, exchange);
    kdc->as.running = false;
    return code;
}

/* Options of an exchange, with armour unless that is NULL. */
static krb5_error_code make_options(krb5_context ctx, krb5_ccache armor,
                                    krb5_get_init_creds_opt **opt_out)
{
    krb5_error_code code = krb5_get_init_creds_opt_alloc(ctx, opt_out);

    if (code == 0) {
        krb5_get_init_creds_opt_set_canonicalize(*opt_out, 1);
    }
    if (code == 0 && armor != NULL) {
        code = krb5_get_init_creds_opt_set_fast_ccache(ctx, *opt_out, armor);
    }
    if (code == 0 && armor != NULL) {
        code = krb5_get_init_creds_opt_set_fast_flags(ctx, *opt_out, KRB5_FAST_REQUIRED);
    }
    return code;
}

/* --- keys of passwords ------------------------------------------------------------------------ */

/* A log-on by a password. */
struct log_on {
    struct eas_kdc *kdc;
    const struct eas_as_request *request;
    krb5_init_creds_context exchange;
    krb5_keytab key; /* the password's, or NULL */
};

static krb5_error_code make_keytab(struct log_on *log_on, const unsigned char *key, size_t len)
{
    char name[64];
    krb5_keytab_entry entry = {
        .principal = log_on->request->client,
        .vno = 1,
        .key = { .enctype = log_on->kdc->as.preauth.enctype,
                 .length = (unsigned)len,
                 .contents = (krb5_octet *)key },
    };
    krb5_error_code code;

    /* Keytabs in memory belong to the process, and each name that lives is unique. */
    apr_snprintf(name, sizeof(name), "MEMORY:eas-kcd-log-on-%pp", (void *)log_on);
    code = krb5_kt_resolve(log_on->kdc->ctx, name, &log_on->key);
    return code != 0 ? code : krb5_kt_add_entry(log_on->kdc->ctx, log_on->key, &entry);
}

/*
 * Called after the KDC's question, before libkrb5 reads it.  libkrb5 then finds the key, and does
 * not make it from the password.  It makes it where OpenSSL cannot.
 */
static void give_key(void *data)
{
    struct log_on *log_on = data;
    const struct eas_preauth *preauth = &log_on->kdc->as.preauth;
    const struct eas_string_to_key parameters = {
        .enctype = preauth->enctype,
        .salt = eas_bytes_of_text(preauth->salt),
        .iterations = preauth->iterations,
    };
    unsigned char key[EAS_STRING_TO_KEY_MAX];
    size_t len;

    if (log_on->key != NULL || preauth->salt[0] == '\0') {
        return;
    }
    len = eas_string_to_key(&parameters, eas_bytes_of_text(log_on->request->password), key);
    if (len > 0 && make_keytab(log_on, key, len) == 0) {
        krb5_init_creds_set_keytab(log_on->kdc->ctx, log_on->exchange, log_on->key);
    }
    OPENSSL_cleanse(key, sizeof(key));
}

/* --- exchanges -------------------------------------------------------------------------------- */

static krb5_error_code set_secret(struct eas_kdc *kdc, const struct eas_as_request *request,
                                  krb5_init_creds_context exchange)
{
    return request->password != NULL
               ? krb5_init_creds_set_password(kdc->ctx, exchange, request->password)
               : krb5_init_creds_set_keytab(kdc->ctx, exchange, request->keytab);
}

/*
 * libkrb5 wanted a key of another enctype than the one given.  The password was not put to the KDC,
 * or the KDC has accepted it: KRB5_KT_NOTFOUND by itself concerns the encryption of its reply.
 */
static bool wanted_another_key(const struct log_on *log_on, krb5_error_code code)
{
    return log_on->key != NULL
           && (code == KRB5_KT_NOTFOUND
               || (code == KRB5_PREAUTH_FAILED && !log_on->kdc->as.guessed));
}

static krb5_error_code log_on(struct eas_kdc *kdc, const struct eas_as_request *request,
                              krb5_get_init_creds_opt *opt, bool may_give_key, krb5_creds *tgt,
                              bool *again_out)
{
    struct log_on log_on = { kdc, request, NULL, NULL };
    const struct eas_kdc_as as = { .armored = request->armor != NULL,
                                   .asked = may_give_key ? give_key : NULL,
                                   .asked_data = &log_on };
    krb5_error_code code =
        krb5_init_creds_init(kdc->ctx, request->client, NULL, NULL, 0, opt, &log_on.exchange);

    if (code == 0 && request->service != NULL) {
        code = krb5_init_creds_set_service(kdc->ctx, log_on.exchange, request->service);
    }
    if (code == 0) {
        code = set_secret(kdc, request, log_on.exchange);
    }
    if (code == 0) {
        code = run(kdc, log_on.exchange, &as);
        *again_out = wanted_another_key(&log_on, code);
    }
    if (code == 0) {
        code = krb5_init_creds_get_creds(kdc->ctx, log_on.exchange, tgt);
    }
    krb5_init_creds_free(kdc->ctx, log_on.exchange);
    if (log_on.key != NULL) {
        krb5_kt_close(kdc->ctx, log_on.key);
    }
    return code;
}

krb5_error_code eas_as_log_on(struct eas_kdc *kdc, const struct eas_as_request *request,
                              krb5_creds *tgt)
{
    krb5_get_init_creds_opt *opt = NULL;
    krb5_error_code code = make_options(kdc->ctx, request->armor, &opt);
    bool again = false;

    if (code == 0) {
        krb5_get_init_creds_opt_set_forwardable(opt, 1);
        krb5_get_init_creds_opt_set_proxiable(opt, 0);
        code = log_on(kdc, request, opt, request->password != NULL, tgt, &again);
    }
    if (again) {
        code = log_on(kdc, request, opt, false, tgt, &again);
    }
    krb5_get_init_creds_opt_free(kdc->ctx, opt);
    return code;
}

bool eas_as_follow(struct eas_kdc *kdc, const struct eas_realms *realms, unsigned *hops,
                   krb5_principal client)
{
    const char *realm = eas_identity_realm(realms, kdc->as.referral);

    return realm != NULL && ++*hops <= EAS_AS_REFERRALS
           && krb5_set_principal_realm(kdc->ctx, client, realm) == 0;
}

krb5_error_code eas_as_probe(struct eas_kdc *kdc, krb5_principal client, const char *service)
{
    krb5_get_init_creds_opt *opt = NULL;
    krb5_init_creds_context exchange = NULL;
    krb5_error_code code = make_options(kdc->ctx, NULL, &opt);

    if (code == 0) {
        code = krb5_init_creds_init(kdc->ctx, client, NULL, NULL, 0, opt, &exchange);
    }
    if (code == 0 && service != NULL) {
        code = krb5_init_creds_set_service(kdc->ctx, exchange, service);
    }
    if (code == 0) {
        code = run(kdc, exchange, &(struct eas_kdc_as){ .probing = true });
    }
    krb5_init_creds_free(kdc->ctx, exchange);
    krb5_get_init_creds_opt_free(kdc->ctx, opt);
    return code;
}

static krb5_error_code default_salt(krb5_context ctx, apr_pool_t *pool, krb5_principal client,
                                    const char **salt_out)
{
    krb5_data salt = { 0 };
    krb5_error_code code = krb5_principal2salt(ctx, client, &salt);

    if (code == 0) {
        *salt_out = apr_pstrmemdup(pool, salt.data, salt.length);
    }
    krb5_free_data_contents(ctx, &salt);
    return code;
}

krb5_error_code eas_as_salt(struct eas_kdc *kdc, apr_pool_t *pool, krb5_principal client,
                            const struct eas_realms *realms, const char **salt_out)
{
    unsigned hops = 0;
    krb5_error_code code;

    do {
        code = eas_as_probe(kdc, client, NULL);
        if (code == KRB5KDC_ERR_KEY_EXP) {
            code = eas_as_probe(kdc, client, EAS_AS_CHANGE_PASSWORD);
        }
    } while (code == KRB5KDC_ERR_WRONG_REALM && eas_as_follow(kdc, realms, &hops, client));
    if (code != KRB5KDC_ERR_PREAUTH_REQUIRED) {
        return code;
    }
    if (kdc->as.preauth.salt[0] != '\0') {
        *salt_out = apr_pstrdup(pool, kdc->as.preauth.salt);
        return 0;
    }
    return default_salt(kdc->ctx, pool, client, salt_out);
}

krb5_error_code eas_as_armored_salt(struct eas_kdc *kdc, apr_pool_t *pool, krb5_principal client,
                                    krb5_ccache armor, const char **salt_out)
{
    krb5_get_init_creds_opt *opt = NULL;
    krb5_data salt = { 0 }, parameters = { 0 };
    krb5_enctype enctype = ENCTYPE_NULL;
    krb5_error_code code = make_options(kdc->ctx, armor, &opt);

    memset(&kdc->as, 0, sizeof(kdc->as));
    if (code == 0) {
        code = krb5_get_etype_info(kdc->ctx, client, opt, &enctype, &salt, &parameters);
    }
    if (code == 0 && salt.length == 0) {
        code = default_salt(kdc->ctx, pool, client, salt_out);
    }
    else if (code == 0) {
        *salt_out = apr_pstrmemdup(pool, salt.data, salt.length);
    }
    krb5_free_data_contents(kdc->ctx, &salt);
    krb5_free_data_contents(kdc->ctx, &parameters);
    krb5_get_init_creds_opt_free(kdc->ctx, opt);
    return code;
}
