/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/as.c - AS exchange (RFC 4120 3.1) with one realm, and its referrals */

#include "auth/kerberos/as.h"
#include "auth/kerberos/as_key.h"

#include <apr_strings.h>
#include <string.h>

/* The hooks of kdc see an AS exchange while libkrb5 runs it, and so does the plugin. */
static krb5_error_code run(struct eas_kdc *kdc, krb5_init_creds_context exchange,
                           const struct eas_kdc_as *as)
{
    krb5_error_code code;

    kdc->as = *as;
    kdc->as.running = true;
    eas_as_key_set_exchange(&kdc->as);
    code = krb5_init_creds_get(kdc->ctx, exchange);
    eas_as_key_set_exchange(NULL);
    kdc->as.running = false;
    kdc->as.password = NULL;
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

static krb5_error_code set_secret(struct eas_kdc *kdc, const struct eas_as_request *request,
                                  krb5_init_creds_context exchange)
{
    return request->password != NULL
               ? krb5_init_creds_set_password(kdc->ctx, exchange, request->password)
               : krb5_init_creds_set_keytab(kdc->ctx, exchange, request->keytab);
}

krb5_error_code eas_as_log_on(struct eas_kdc *kdc, const struct eas_as_request *request,
                              krb5_creds *tgt)
{
    const struct eas_kdc_as as = { .armored = request->armor != NULL,
                                   .password = request->password };
    krb5_get_init_creds_opt *opt = NULL;
    krb5_init_creds_context exchange = NULL;
    krb5_error_code code = make_options(kdc->ctx, request->armor, &opt);

    if (code == 0) {
        krb5_get_init_creds_opt_set_forwardable(opt, 1);
        krb5_get_init_creds_opt_set_proxiable(opt, 0);
        code = krb5_init_creds_init(kdc->ctx, request->client, NULL, NULL, 0, opt, &exchange);
    }
    if (code == 0 && request->service != NULL) {
        code = krb5_init_creds_set_service(kdc->ctx, exchange, request->service);
    }
    if (code == 0) {
        code = set_secret(kdc, request, exchange);
    }
    if (code == 0) {
        code = run(kdc, exchange, &as);
    }
    if (code == 0) {
        code = krb5_init_creds_get_creds(kdc->ctx, exchange, tgt);
    }
    krb5_init_creds_free(kdc->ctx, exchange);
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
