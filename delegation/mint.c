/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/mint.c - makes the token of one request from a ticket in hand, and checks the answer */

#include "delegation/mint.h"
#include "auth/secret.h"
#include "delegation/spnego.h"

#include <apr_encode.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <apr_thread_mutex.h>
#include <gssapi/gssapi.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* The checksum that carries GSSAPI's flags and channel bindings, RFC 4121 section 4.1.1. */
#define GSS_CHECKSUM_TYPE 0x8003
#define GSS_CHECKSUM_SIZE 24
#define GSS_BINDINGS_SIZE 16

#define GSS_FLAGS                                                                  \
    (GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_CONF_FLAG \
     | GSS_C_INTEG_FLAG)

/* A response token is an AP-REP of a few hundred octets; a header line cannot hold much more. */
#define RESPONSE_TOKEN_MAX 8192

struct eas_mint {
    apr_thread_mutex_t *mutex;
    apr_array_header_t *idle; /* krb5_contexts that no thread is using */
};

/* libkrb5's auth contexts do not depend on the krb5_context that made them. */
struct eas_handshake {
    krb5_auth_context auth;
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

/*
 * The MD5 of a gss_channel_bindings_struct without addresses (RFC 4121 section 4.1.1.2): address
 * types and lengths of zero, then the application data after its length, all little-endian.
 */
static krb5_error_code hash_binding(krb5_context ctx, const struct eas_binding *binding,
                                    unsigned char hash_out[GSS_BINDINGS_SIZE])
{
    unsigned char plain[20 + 128] = { 0 };
    krb5_data in = { 0, (unsigned)(20 + binding->len), (char *)plain };
    krb5_checksum sum;
    krb5_error_code code;

    if (binding->len > sizeof(plain) - 20) {
        return E2BIG;
    }
    put_le32(plain + 16, (unsigned)binding->len);
    memcpy(plain + 20, binding->bytes, binding->len);
    /* By libkrb5, as its GSSAPI does it: OpenSSL may have no MD5 to give. */
    code = krb5_c_make_checksum(ctx, CKSUMTYPE_RSA_MD5, NULL, 0, &in, &sum);
    if (code == 0) {
        memcpy(hash_out, sum.contents, GSS_BINDINGS_SIZE);
        krb5_free_checksum_contents(ctx, &sum);
    }
    return code;
}

/* An AP-REQ with the authenticator that gss_init_sec_context() would make. */
static krb5_error_code make_ap_req(krb5_context ctx, const struct eas_ticket *ticket,
                                   const struct eas_binding *binding, krb5_auth_context *auth,
                                   krb5_data *ap_req)
{
    unsigned char checksum[GSS_CHECKSUM_SIZE] = { 0 };
    krb5_data in = { 0, sizeof(checksum), (char *)checksum };
    krb5_error_code code = krb5_auth_con_init(ctx, auth);

    put_le32(checksum, GSS_BINDINGS_SIZE);
    put_le32(checksum + 4 + GSS_BINDINGS_SIZE, GSS_FLAGS);
    if (code == 0 && binding != NULL) {
        code = hash_binding(ctx, binding, checksum + 4);
    }
    if (code == 0) {
        code = krb5_auth_con_setflags(ctx, *auth, KRB5_AUTH_CONTEXT_DO_SEQUENCE);
    }
    if (code == 0) {
        code = krb5_auth_con_set_req_cksumtype(ctx, *auth, GSS_CHECKSUM_TYPE);
    }
    if (code == 0) {
        code = krb5_mk_req_extended(ctx, auth, AP_OPTS_MUTUAL_REQUIRED | AP_OPTS_USE_SUBKEY, &in,
                                    eas_ticket_creds(ticket), ap_req);
    }
    return code;
}

static enum eas_rc fail(krb5_context ctx, krb5_error_code code, struct eas_err *err)
{
    const char *words = krb5_get_error_message(ctx, code);

    eas_fail(err, EAS_UNAVAILABLE, 2002, "cannot make a token from the service ticket: %s", words);
    krb5_free_error_message(ctx, words);
    return EAS_UNAVAILABLE;
}

static apr_status_t handshake_cleanup(void *data)
{
    /* Needs no context. */
    krb5_auth_con_free(NULL, ((struct eas_handshake *)data)->auth);
    return APR_SUCCESS;
}

/* As text; wiped with the pool, which a long poll keeps for an hour. */
static const char *header_value(apr_pool_t *pool, const krb5_data *ap_req)
{
    static const char scheme[] = "Negotiate ";
    const apr_size_t prefix = sizeof(scheme) - 1;
    apr_size_t len;
    const unsigned char *token = eas_spnego_init_token(pool, ap_req->data, ap_req->length, &len);
    struct eas_secret *value = eas_secret_room(pool, prefix + (len + 2) / 3 * 4);

    memcpy(value->bytes, scheme, prefix);
    apr_encode_base64_binary(value->bytes + prefix, token, (apr_ssize_t)len, APR_ENCODE_NONE, NULL);
    OPENSSL_cleanse((void *)token, len);
    return value->bytes;
}

enum eas_rc eas_mint_token(struct eas_mint *mint, apr_pool_t *pool, const struct eas_ticket *ticket,
                           const struct eas_binding *binding, const char **value_out,
                           struct eas_handshake **handshake_out, struct eas_err *err)
{
    struct eas_handshake *handshake = apr_pcalloc(pool, sizeof(*handshake));
    krb5_context ctx;
    krb5_data ap_req = { 0 };
    krb5_error_code code = borrow_context(mint, &ctx);

    if (code != 0) {
        return fail(NULL, code, err);
    }
    apr_pool_cleanup_register(pool, handshake, handshake_cleanup, apr_pool_cleanup_null);
    code = make_ap_req(ctx, ticket, binding, &handshake->auth, &ap_req);
    if (code == 0) {
        *value_out = header_value(pool, &ap_req);
        *handshake_out = handshake;
    }
    else {
        fail(ctx, code, err);
    }
    if (ap_req.data != NULL) {
        OPENSSL_cleanse(ap_req.data, ap_req.length);
    }
    krb5_free_data_contents(ctx, &ap_req);
    return_context(mint, ctx);
    return code == 0 ? EAS_OK : EAS_UNAVAILABLE;
}

/* The AP-REP in the value, or false. */
static bool find_ap_rep(apr_pool_t *pool, const char *value, krb5_data *ap_rep)
{
    const unsigned char *token, *place;
    apr_size_t len, place_len;

    if (strncasecmp(value, "Negotiate ", 10) != 0 || strlen(value) > RESPONSE_TOKEN_MAX) {
        return false;
    }
    value += 10 + strspn(value + 10, " ");
    token = apr_pdecode_base64_binary(pool, value, APR_ENCODE_STRING, APR_ENCODE_NONE, &len);
    if (token == NULL || !eas_spnego_find_ap_rep(token, len, &place, &place_len)) {
        return false;
    }
    ap_rep->data = (char *)place;
    ap_rep->length = (unsigned)place_len;
    return true;
}

enum eas_rc eas_mint_verify(struct eas_mint *mint, apr_pool_t *pool,
                            struct eas_handshake *handshake, const char *value, struct eas_err *err)
{
    krb5_ap_rep_enc_part *reply = NULL;
    krb5_data ap_rep = { 0 };
    krb5_context ctx;
    krb5_error_code code = borrow_context(mint, &ctx);

    if (code != 0) {
        return fail(NULL, code, err);
    }
    code = find_ap_rep(pool, value, &ap_rep) ? krb5_rd_rep(ctx, handshake->auth, &ap_rep, &reply)
                                             : KRB5KRB_AP_ERR_MSG_TYPE;
    if (code != 0) {
        const char *words = krb5_get_error_message(ctx, code);

        eas_fail(err, EAS_BACKEND, 2053,
                 "mutual authentication failed: the backend's reply is not to our token: %s",
                 words);
        krb5_free_error_message(ctx, words);
    }
    krb5_free_ap_rep_enc_part(ctx, reply);
    return_context(mint, ctx);
    return code == 0 ? EAS_OK : EAS_BACKEND;
}
