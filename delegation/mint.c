/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/mint.c - makes the token of one request from a ticket in hand */

#include "delegation/mint.h"
#include "delegation/spnego.h"

#include <apr_encode.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <apr_thread_mutex.h>
#include <gssapi/gssapi.h>
#include <string.h>

/* The checksum that carries GSSAPI's flags and channel bindings, RFC 4121 section 4.1.1. */
#define GSS_CHECKSUM_TYPE 0x8003
#define GSS_CHECKSUM_SIZE 24
#define GSS_BINDINGS_SIZE 16

#define GSS_FLAGS                                                                  \
    (GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_CONF_FLAG \
     | GSS_C_INTEG_FLAG)

struct eas_mint {
    apr_thread_mutex_t *mutex;
    apr_array_header_t *idle; /* krb5_contexts that no thread is using */
};

static apr_status_t mint_cleanup(void *data)
{
    struct eas_mint *mint = data;
    krb5_context *ctx;

    while ((ctx = apr_array_pop(mint->idle)) != NULL) {
        krb5_free_context(*ctx);
    }
    return APR_SUCCESS;
}

struct eas_mint *eas_mint_create(apr_pool_t *pool)
{
    struct eas_mint *mint = apr_palloc(pool, sizeof(*mint));

    apr_thread_mutex_create(&mint->mutex, APR_THREAD_MUTEX_DEFAULT, pool);
    mint->idle = apr_array_make(pool, 256, sizeof(krb5_context));
    apr_pool_cleanup_register(pool, mint, mint_cleanup, apr_pool_cleanup_null);
    return mint;
}

static krb5_error_code borrow_context(struct eas_mint *mint, krb5_context *ctx_out)
{
    krb5_context *idle;

    apr_thread_mutex_lock(mint->mutex);
    idle = apr_array_pop(mint->idle);
    *ctx_out = idle != NULL ? *idle : NULL;
    apr_thread_mutex_unlock(mint->mutex);
    return *ctx_out != NULL ? 0 : krb5_init_context(ctx_out);
}

static void return_context(struct eas_mint *mint, krb5_context ctx)
{
    apr_thread_mutex_lock(mint->mutex);
    APR_ARRAY_PUSH(mint->idle, krb5_context) = ctx;
    apr_thread_mutex_unlock(mint->mutex);
}

static void put_le32(unsigned char *p, unsigned value)
{
    p[0] = (unsigned char)value;
    p[1] = (unsigned char)(value >> 8);
    p[2] = (unsigned char)(value >> 16);
    p[3] = (unsigned char)(value >> 24);
}

/* An AP-REQ with the authenticator that gss_init_sec_context() would make. */
static krb5_error_code make_ap_req(krb5_context ctx, const struct eas_ticket *ticket,
                                   krb5_data *ap_req)
{
    unsigned char checksum[GSS_CHECKSUM_SIZE] = { 0 };
    krb5_data in = { 0 };
    krb5_auth_context auth = NULL;
    krb5_error_code code = krb5_auth_con_init(ctx, &auth);

    put_le32(checksum, GSS_BINDINGS_SIZE);
    put_le32(checksum + 4 + GSS_BINDINGS_SIZE, GSS_FLAGS);
    in.data = (char *)checksum;
    in.length = sizeof(checksum);
    if (code == 0) {
        code = krb5_auth_con_setflags(ctx, auth, KRB5_AUTH_CONTEXT_DO_SEQUENCE);
    }
    if (code == 0) {
        code = krb5_auth_con_set_req_cksumtype(ctx, auth, GSS_CHECKSUM_TYPE);
    }
    if (code == 0) {
        code = krb5_mk_req_extended(ctx, &auth, AP_OPTS_MUTUAL_REQUIRED | AP_OPTS_USE_SUBKEY, &in,
                                    eas_ticket_creds(ticket), ap_req);
    }
    krb5_auth_con_free(ctx, auth);
    return code;
}

static enum eas_rc fail(krb5_context ctx, krb5_error_code code, struct eas_err *err)
{
    const char *words = krb5_get_error_message(ctx, code);

    eas_fail(err, EAS_UNAVAILABLE, 2002, "cannot make a token from the service ticket: %s", words);
    krb5_free_error_message(ctx, words);
    return EAS_UNAVAILABLE;
}

enum eas_rc eas_mint_token(struct eas_mint *mint, apr_pool_t *pool, const struct eas_ticket *ticket,
                           const char **value_out, struct eas_err *err)
{
    krb5_context ctx;
    krb5_data ap_req = { 0 };
    krb5_error_code code = borrow_context(mint, &ctx);

    if (code != 0) {
        return fail(NULL, code, err);
    }
    code = make_ap_req(ctx, ticket, &ap_req);
    if (code == 0) {
        apr_size_t len;
        const unsigned char *token = eas_spnego_init_token(pool, ap_req.data, ap_req.length, &len);

        *value_out = apr_pstrcat(
            pool, "Negotiate ",
            apr_pencode_base64_binary(pool, token, (apr_ssize_t)len, APR_ENCODE_NONE, NULL), NULL);
    }
    else {
        fail(ctx, code, err);
    }
    krb5_free_data_contents(ctx, &ap_req);
    return_context(mint, ctx);
    return code == 0 ? EAS_OK : EAS_UNAVAILABLE;
}
