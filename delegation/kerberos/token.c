/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/token.c - SPNEGO tokens for HTTP, and verification of the replies */

#include "delegation/kerberos/token.h"
#include "auth/base/thread.h"
#include "auth/base/secret.h"
#include "delegation/kerberos/ap.h"
#include "delegation/kerberos/gss_token.h"
#include "delegation/kerberos/spnego.h"

#include <apr_cstr.h>
#include <apr_encode.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <gssapi/gssapi.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

/* The checksum that carries GSSAPI's flags and channel bindings, RFC 4121 section 4.1.1. */
#define GSS_CHECKSUM_SIZE 24
#define GSS_BINDINGS_SIZE 16

#define GSS_FLAGS                                                                  \
    (GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_CONF_FLAG \
     | GSS_C_INTEG_FLAG)

/* An AP-REP has a few hundred octets, and a header line not many more than this. */
#define RESPONSE_TOKEN_MAX 8192

struct eas_token_maker {
    apr_thread_mutex_t *mutex;
    apr_array_header_t *idle; /* krb5_contexts without a thread */
};

struct eas_pending_ap {
    const struct eas_ticket *ticket;
    struct eas_ap_time time;   /* of the authenticator */
    struct eas_gss_token *gss; /* NULL: native */
};

static apr_status_t free_contexts(void *data)
{
    struct eas_token_maker *maker = data;
    krb5_context *ctx;

    while ((ctx = apr_array_pop(maker->idle)) != NULL) {
        krb5_free_context(*ctx);
    }
    return APR_SUCCESS;
}

struct eas_token_maker *eas_token_maker_create(apr_pool_t *pool)
{
    struct eas_token_maker *maker = apr_palloc(pool, sizeof(*maker));

    maker->mutex = eas_thread_make_mutex(pool);
    maker->idle = apr_array_make(pool, 256, sizeof(krb5_context));
    apr_pool_cleanup_register(pool, maker, free_contexts, apr_pool_cleanup_null);
    return maker;
}

static krb5_error_code checkout_context(struct eas_token_maker *maker, krb5_context *ctx_out)
{
    krb5_context *idle;

    apr_thread_mutex_lock(maker->mutex);
    idle = apr_array_pop(maker->idle);
    *ctx_out = idle != NULL ? *idle : NULL;
    apr_thread_mutex_unlock(maker->mutex);
    return *ctx_out != NULL ? 0 : krb5_init_context(ctx_out);
}

static void checkin_context(struct eas_token_maker *maker, krb5_context ctx)
{
    apr_thread_mutex_lock(maker->mutex);
    APR_ARRAY_PUSH(maker->idle, krb5_context) = ctx;
    apr_thread_mutex_unlock(maker->mutex);
}

static void put_le32(unsigned char *p, unsigned value)
{
    p[0] = (unsigned char)value;
    p[1] = (unsigned char)(value >> 8);
    p[2] = (unsigned char)(value >> 16);
    p[3] = (unsigned char)(value >> 24);
}

/*
 * The MD5 of a gss_channel_bindings_struct without addresses (RFC 4121 section 4.1.1.2).  Address
 * types and lengths are zero.  The length of the application data and the data follow.
 * Little-endian.
 */
static krb5_error_code hash_binding(krb5_context ctx, struct eas_bytes binding,
                                    unsigned char hash_out[GSS_BINDINGS_SIZE])
{
    unsigned char plain[20 + 128] = { 0 };
    krb5_data in = { 0, (unsigned)(20 + binding.len), (char *)plain };
    krb5_checksum sum;
    krb5_error_code code;

    if (binding.len > sizeof(plain) - 20) {
        return E2BIG;
    }
    put_le32(plain + 16, (unsigned)binding.len);
    memcpy(plain + 20, binding.at, binding.len);
    /* As libkrb5's GSSAPI does: OpenSSL may be built or configured without MD5. */
    code = krb5_c_make_checksum(ctx, CKSUMTYPE_RSA_MD5, NULL, 0, &in, &sum);
    if (code == 0) {
        memcpy(hash_out, sum.contents, GSS_BINDINGS_SIZE);
        krb5_free_checksum_contents(ctx, &sum);
    }
    return code;
}

static krb5_error_code make_token(krb5_context ctx, const struct eas_ticket *ticket,
                                  struct eas_bytes binding, struct eas_der *der,
                                  struct eas_ap_time *time)
{
    unsigned char octets[GSS_CHECKSUM_SIZE] = { 0 };
    krb5_data checksum = { 0, sizeof(octets), (char *)octets };
    krb5_error_code code = 0;
    struct eas_ticket_key *key;

    put_le32(octets, GSS_BINDINGS_SIZE);
    put_le32(octets + 4 + GSS_BINDINGS_SIZE, GSS_FLAGS);
    if (binding.len > 0) {
        code = hash_binding(ctx, binding, octets + 4);
    }
    if (code == 0) {
        code = eas_ticket_checkout_key(ticket, ctx, &key);
    }
    if (code == 0) {
        code = eas_ap_request(ctx, key, eas_ticket_creds(ticket), &checksum, der, time);
        eas_ticket_checkin_key(ticket, key);
    }
    if (code == 0) {
        eas_spnego_wrap_init(der);
    }
    return code;
}

/* NULL for 0, else libkrb5's words. */
static const char *words_of(krb5_context ctx, apr_pool_t *pool, krb5_error_code code)
{
    const char *words, *copy;

    if (code == 0) {
        return NULL;
    }
    words = krb5_get_error_message(ctx, code);
    copy = apr_pstrdup(pool, words);
    krb5_free_error_message(ctx, words);
    return copy;
}

static enum eas_rc fail(struct eas_err *err, const char *words)
{
    return eas_fail(err, EAS_UNAVAILABLE, 2002, "cannot make a token from the service ticket: %s",
                    words);
}

/* Wiped with the pool; a long poll keeps it for up to an hour. */
static const char *header_value(apr_pool_t *pool, const void *token, apr_size_t len)
{
    static const char scheme[] = "Negotiate ";
    const apr_size_t prefix = sizeof(scheme) - 1;
    struct eas_secret *value = eas_secret_room(pool, prefix + (len + 2) / 3 * 4);

    memcpy(value->bytes, scheme, prefix);
    /* For a token of about 2,000 octets it takes a third of the time of apr_encode_base64(). */
    EVP_EncodeBlock((unsigned char *)value->bytes + prefix, token, (int)len);
    return value->bytes;
}

static const char *make_natively(krb5_context ctx, apr_pool_t *pool,
                                 const struct eas_token_request *request, struct eas_token *token)
{
    apr_size_t room = eas_ap_request_max(eas_ticket_creds(request->ticket)) + EAS_SPNEGO_INIT_MAX;
    struct eas_der der = eas_der_begin(apr_palloc(pool, room), room);
    krb5_error_code code =
        make_token(ctx, request->ticket, request->binding, &der, &token->pending->time);

    if (code == 0) {
        token->value = header_value(pool, der.at, (apr_size_t)(der.end - der.at));
    }
    OPENSSL_cleanse(der.at, (apr_size_t)(der.end - der.at));
    return words_of(ctx, pool, code);
}

static const char *make_by_gssapi(krb5_context ctx, apr_pool_t *pool,
                                  const struct eas_token_request *request, struct eas_token *token)
{
    struct eas_secret *octets;
    const char *words = eas_gss_token_make(ctx, pool, request->ticket, request->binding,
                                           &token->pending->gss, &octets);

    if (words == NULL) {
        token->value = header_value(pool, octets->bytes, octets->len);
        eas_secret_wipe(octets);
    }
    return words;
}

enum eas_rc eas_token_make(struct eas_token_maker *maker, apr_pool_t *pool,
                           const struct eas_token_request *request, struct eas_token *token_out,
                           struct eas_err *err)
{
    struct eas_token token = { NULL, apr_pcalloc(pool, sizeof(*token.pending)) };
    const char *words;
    krb5_context ctx;
    krb5_error_code code = checkout_context(maker, &ctx);

    if (code != 0) {
        return fail(err, words_of(NULL, pool, code));
    }
    token.pending->ticket = request->ticket;
    words = request->by == EAS_TOKEN_GSSAPI ? make_by_gssapi(ctx, pool, request, &token)
                                            : make_natively(ctx, pool, request, &token);
    checkin_context(maker, ctx);
    if (words != NULL) {
        return fail(err, words);
    }
    *token_out = token;
    return EAS_OK;
}

static bool decode(apr_pool_t *pool, const char *value, struct eas_bytes *token)
{
    if (apr_cstr_casecmpn(value, "Negotiate ", 10) != 0 || strlen(value) > RESPONSE_TOKEN_MAX) {
        return false;
    }
    value += 10 + strspn(value + 10, " ");
    token->at =
        apr_pdecode_base64_binary(pool, value, APR_ENCODE_STRING, APR_ENCODE_NONE, &token->len);
    return token->at != NULL;
}

bool eas_token_is_reply(apr_pool_t *pool, const char *value)
{
    struct eas_bytes token;

    return !decode(pool, value, &token) || !eas_spnego_is_bare(token);
}

static krb5_error_code check_reply(krb5_context ctx, const struct eas_pending_ap *pending,
                                   struct eas_bytes token)
{
    struct eas_bytes ap_rep;
    krb5_error_code code;
    struct eas_ticket_key *key;

    if (!eas_spnego_find_ap_rep(token, &ap_rep)) {
        return KRB5KRB_AP_ERR_MSG_TYPE;
    }
    code = eas_ticket_checkout_key(pending->ticket, ctx, &key);
    if (code == 0) {
        code = eas_ap_check_reply(ctx, key, ap_rep, &pending->time);
        eas_ticket_checkin_key(pending->ticket, key);
    }
    return code;
}

enum eas_rc eas_token_verify(struct eas_token_maker *maker, apr_pool_t *pool,
                             struct eas_pending_ap *pending, const char *value, struct eas_err *err)
{
    struct eas_bytes token;
    const char *words;
    krb5_context ctx;
    krb5_error_code code = checkout_context(maker, &ctx);

    if (code != 0) {
        return fail(err, words_of(NULL, pool, code));
    }
    if (!decode(pool, value, &token)) {
        words = words_of(ctx, pool, KRB5KRB_AP_ERR_MSG_TYPE);
    }
    else {
        words = pending->gss != NULL ? eas_gss_token_verify(pending->gss, pool, token)
                                     : words_of(ctx, pool, check_reply(ctx, pending, token));
    }
    checkin_context(maker, ctx);
    return words == NULL
               ? EAS_OK
               : eas_fail(err, EAS_BACKEND, 2053,
                          "mutual authentication failed: the backend's reply does not belong to "
                          "the token: %s",
                          words);
}
