/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/s4u_self.c - the exchange of S4U2Self, by libkrb5 or by GSSAPI */

#include "delegation/kerberos/s4u_self.h"

#ifdef HAVE_KRB5_GET_CREDENTIALS_FOR_USER

/* Exported by libkrb5 since 1.8, and used by kvno. */
krb5_error_code krb5_get_credentials_for_user(krb5_context context, krb5_flags options,
                                              krb5_ccache ccache, krb5_creds *in_creds,
                                              krb5_data *cert, krb5_creds **out_creds);

krb5_error_code eas_s4u_self_exchange(struct eas_kdc *kdc, krb5_ccache ccache, krb5_creds *wanted,
                                      krb5_data *certificate, krb5_creds **evidence_out)
{
    return krb5_get_credentials_for_user(kdc->ctx, KRB5_GC_CANONICALIZE | KRB5_GC_NO_STORE, ccache,
                                         wanted, certificate, evidence_out);
}

#else

#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <string.h>

/* The empty client keytab: with the default one, GSSAPI would get a TGT of its own. */
#define NO_KEYTAB "MEMORY:eas-kcd-none"

/* libgssapi_krb5 returns libkrb5's codes as they are. */
static krb5_error_code code_of(OM_uint32 major, OM_uint32 minor)
{
    if (!GSS_ERROR(major)) {
        return 0;
    }
    return minor != 0 ? (krb5_error_code)minor : (krb5_error_code)KRB5KRB_ERR_GENERIC;
}

static OM_uint32 acquire_gateway(OM_uint32 *minor, const char *ccache_name, gss_cred_id_t *gateway)
{
    gss_key_value_element_desc elements[] = { { "ccache", ccache_name },
                                              { "client_keytab", NO_KEYTAB } };
    const gss_key_value_set_desc store = { 2, elements };
    gss_OID_set_desc krb5 = { 1, (gss_OID)gss_mech_krb5 };

    return gss_acquire_cred_from(minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &krb5, GSS_C_INITIATE,
                                 &store, gateway, NULL, NULL);
}

static OM_uint32 import_user(OM_uint32 *minor, krb5_principal user, const krb5_data *certificate,
                             gss_name_t *name)
{
    gss_buffer_desc text = { sizeof(krb5_principal), &user };

    if (user == NULL) {
        text.length = certificate->length;
        text.value = certificate->data;
    }
    return gss_import_name(minor, &text,
                           user != NULL ? gss_nt_krb5_principal : GSS_KRB5_NT_X509_CERT, name);
}

/* The credential of the user holds the gateway's TGT, too. */
static krb5_error_code impersonate(const char *ccache_name, krb5_principal user,
                                   const krb5_data *certificate, krb5_ccache out)
{
    gss_OID_set_desc krb5 = { 1, (gss_OID)gss_mech_krb5 };
    gss_cred_id_t gateway = GSS_C_NO_CREDENTIAL, cred = GSS_C_NO_CREDENTIAL;
    gss_name_t name = GSS_C_NO_NAME;
    OM_uint32 minor, ignored, major = acquire_gateway(&minor, ccache_name, &gateway);

    if (!GSS_ERROR(major)) {
        major = import_user(&minor, user, certificate, &name);
    }
    if (!GSS_ERROR(major)) {
        major = gss_acquire_cred_impersonate_name(&minor, gateway, name, GSS_C_INDEFINITE, &krb5,
                                                  GSS_C_INITIATE, &cred, NULL, NULL);
    }
    if (!GSS_ERROR(major)) {
        major = gss_krb5_copy_ccache(&minor, cred, out);
    }
    gss_release_cred(&ignored, &cred);
    gss_release_cred(&ignored, &gateway);
    gss_release_name(&ignored, &name);
    return code_of(major, minor);
}

/* The ticket for the gateway, among its TGT and libkrb5's remarks. */
static krb5_error_code find_evidence(krb5_context ctx, krb5_ccache ccache,
                                     krb5_const_principal server, krb5_creds **evidence_out)
{
    krb5_cc_cursor cursor;
    krb5_creds creds;
    krb5_error_code code = krb5_cc_start_seq_get(ctx, ccache, &cursor);

    if (code != 0) {
        return code;
    }
    while (*evidence_out == NULL && (code = krb5_cc_next_cred(ctx, ccache, &cursor, &creds)) == 0) {
        if (krb5_principal_compare(ctx, creds.server, server)) {
            code = krb5_copy_creds(ctx, &creds, evidence_out);
        }
        krb5_free_cred_contents(ctx, &creds);
    }
    krb5_cc_end_seq_get(ctx, ccache, &cursor);
    return *evidence_out != NULL ? 0 : code;
}

krb5_error_code eas_s4u_self_exchange(struct eas_kdc *kdc, krb5_ccache ccache, krb5_creds *wanted,
                                      krb5_data *certificate, krb5_creds **evidence_out)
{
    krb5_ccache found = NULL;
    char *name = NULL;
    krb5_error_code code = krb5_cc_get_full_name(kdc->ctx, ccache, &name);

    if (code == 0) {
        code = krb5_cc_new_unique(kdc->ctx, "MEMORY", NULL, &found);
    }
    if (code == 0) {
        code = krb5_cc_initialize(kdc->ctx, found,
                                  wanted->client != NULL ? wanted->client : wanted->server);
    }
    if (code == 0) {
        code = eas_kdc_begin_unbounded(kdc, &wanted->server->realm);
    }
    if (code == 0) {
        code = impersonate(name, wanted->client, certificate, found);
        eas_kdc_end_unbounded(kdc, code);
    }
    if (code == 0) {
        code = find_evidence(kdc->ctx, found, wanted->server, evidence_out);
    }
    if (found != NULL) {
        krb5_cc_destroy(kdc->ctx, found);
    }
    krb5_free_string(kdc->ctx, name);
    return code;
}

#endif
