/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/token.c - SPNEGO tokens for HTTP, and verification of the replies */

#include "delegation/kerberos/token.h"
#include "auth/base/thread.h"
#include "auth/base/base64.h"
#include "auth/base/secret.h"
#include "delegation/kerberos/ap.h"
#include "delegation/kerberos/gss_token.h"
#include "auth/kerberos/spnego.h"

#include <apr_cstr.h>
#include <apr_encode.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <gssapi/gssapi.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* In the checksum that carries GSSAPI's flags and channel bindings, RFC 4121 section 4.1.1. */
#define GSS_BINDINGS_SIZE 16

#define GSS_FLAGS                                                                  \
    (GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_CONF_FLAG \
     | GSS_C_INTEG_FLAG)

static const char scheme[] = "Negotiate ";
#define SCHEME_SIZE (sizeof(scheme) - 1)

/* An AP-REP has a few hundred octets, and a header line not many more than this. */
#define RESPONSE_TOKEN_MAX 8192

struct eas_token_maker {
    apr_thread_mutex_t *mutex;
    apr_array_header_t *idle; /* krb5_contexts without a thread */
};

/*
 * The common part of a ticket's native tokens.  Their lengths are equal, so that the text before the
 * encrypted authenticator is, too.  base64 takes three octets at a time: the octets that
 * are left over are encoded with the authenticator.
 */
struct form {
    struct eas_ap_form ap;
    unsigned char rest[2];
    unsigned rest_len;
    apr_size_t text_len;
    char text[]; /* `Negotiate ` and base64; behind it lies the room of ap */
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

static krb5_error_code make_checksum(krb5_context ctx, struct eas_bytes binding,
                                     unsigned char checksum[EAS_AP_CHECKSUM_SIZE])
{
    memset(checksum, 0, EAS_AP_CHECKSUM_SIZE);
    put_le32(checksum, GSS_BINDINGS_SIZE);
    put_le32(checksum + 4 + GSS_BINDINGS_SIZE, GSS_FLAGS);
    return binding.len > 0 ? hash_binding(ctx, binding, checksum + 4) : 0;
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

static apr_size_t base64_size(apr_size_t len)
{
    return (len + 2) / 3 * 4;
}

/* The text of the octets is wiped with the pool.  The ticket before them is no secret. */
static void set_value(apr_pool_t *pool, const char *begin, apr_size_t begin_len, const void *octets,
                      apr_size_t len, struct eas_token *token)
{
    char *value = apr_palloc(pool, begin_len + base64_size(len) + 1);

    memcpy(value, begin, begin_len);
    eas_base64_encode(value + begin_len, octets, len);
    eas_secret_mark(pool, value + begin_len, base64_size(len));
    token->value = value;
    token->len = begin_len + base64_size(len);
}

/* The most octets of a token. */
static apr_size_t token_max(const struct eas_ticket *ticket)
{
    return eas_ap_request_max(eas_ticket_creds(ticket)) + EAS_SPNEGO_INIT_MAX;
}

static apr_size_t text_max(const struct eas_ticket *ticket)
{
    return SCHEME_SIZE + base64_size(token_max(ticket)) + 1;
}

apr_size_t eas_token_form_max(const struct eas_ticket *ticket)
{
    return sizeof(struct form) + text_max(ticket)
           + eas_ap_authenticator_max(eas_ticket_creds(ticket));
}

/* A token's octets before its authenticator, as text. */
static void encode_begin(struct form *form, const struct eas_ticket *ticket, krb5_enctype enctype)
{
    apr_size_t room = token_max(ticket), len;
    unsigned char *scratch = malloc(room);
    struct eas_der der;

    if (scratch == NULL) {
        abort(); /* as APR's pools do */
    }
    der = eas_der_begin(scratch, room);
    memset(eas_der_put_room(&der, form->ap.cipher_len), 0, form->ap.cipher_len);
    eas_ap_wrap(&der, enctype, &eas_ticket_creds(ticket)->ticket);
    eas_spnego_wrap_init(&der);
    len = (apr_size_t)(der.end - der.at) - form->ap.cipher_len;
    form->rest_len = (unsigned)(len % 3);
    len -= form->rest_len;
    memcpy(form->rest, der.at + len, form->rest_len);
    memcpy(form->text, scheme, SCHEME_SIZE);
    eas_base64_encode(form->text + SCHEME_SIZE, der.at, len);
    form->text_len = SCHEME_SIZE + base64_size(len);
    free(scratch);
}

static krb5_error_code form_of(krb5_context ctx, const struct eas_ticket *ticket,
                               const struct eas_ticket_key *key, const struct form **out)
{
    struct form *form;
    krb5_error_code code;

    *out = eas_ticket_prepared(ticket);
    if (*out != NULL) {
        return 0;
    }
    form = calloc(1, eas_token_form_max(ticket));
    if (form == NULL) {
        abort();
    }
    code =
        eas_ap_form(ctx, key, eas_ticket_creds(ticket), form->text + text_max(ticket), &form->ap);
    if (code != 0) {
        free(form);
        return code;
    }
    encode_begin(form, ticket, eas_ticket_key_enctype(key));
    *out = eas_ticket_prepare(ticket, form);
    return 0;
}

static krb5_error_code make_value(krb5_context ctx, struct eas_ticket_key *key, apr_pool_t *pool,
                                  const struct eas_token_request *request, struct eas_token *token)
{
    unsigned char checksum[EAS_AP_CHECKSUM_SIZE];
    const struct form *form;
    struct eas_der der;
    krb5_error_code code = make_checksum(ctx, request->binding, checksum);
    apr_size_t room;

    if (code == 0) {
        code = form_of(ctx, request->ticket, key, &form);
    }
    if (code != 0) {
        return code;
    }
    room = form->ap.cipher_len + sizeof(form->rest);
    der = eas_der_begin(apr_palloc(pool, room), room);
    code = eas_ap_authenticator(ctx, key, &form->ap, checksum, &token->pending->time, &der);
    if (code == 0) {
        eas_der_put(&der, form->rest, form->rest_len);
        set_value(pool, form->text, form->text_len, der.at, (apr_size_t)(der.end - der.at), token);
    }
    eas_secret_erase(der.at, (apr_size_t)(der.end - der.at));
    return code;
}

/* libk5crypto has no use for a context: that of the maker, which threads share, is not touched. */
static const char *make_natively(apr_pool_t *pool, const struct eas_token_request *request,
                                 struct eas_token *token)
{
    krb5_context ctx = NULL;
    struct eas_ticket_key *key;
    krb5_error_code code = eas_ap_now(eas_ticket_creds(request->ticket), &token->pending->time);

    if (code == 0) {
        code = eas_ticket_checkout_key(request->ticket, ctx, &key);
    }
    if (code == 0) {
        code = make_value(ctx, key, pool, request, token);
        eas_ticket_checkin_key(request->ticket, key);
    }
    return words_of(ctx, pool, code);
}

static const char *make_by_gssapi(struct eas_token_maker *maker, apr_pool_t *pool,
                                  apr_pool_t *text_pool, const struct eas_token_request *request,
                                  struct eas_token *token)
{
    struct eas_secret *octets;
    krb5_context ctx;
    krb5_error_code code = checkout_context(maker, &ctx);
    const char *words;

    if (code != 0) {
        return words_of(NULL, pool, code);
    }
    words = eas_gss_token_make(ctx, pool, request->ticket, request->binding, &token->pending->gss,
                               &octets);
    checkin_context(maker, ctx);
    if (words == NULL) {
        set_value(text_pool, scheme, SCHEME_SIZE, octets->bytes, octets->len, token);
        eas_secret_wipe(octets);
    }
    return words;
}

enum eas_rc eas_token_make(struct eas_token_maker *maker, apr_pool_t *pool,
                           const struct eas_token_request *request, struct eas_token *token_out,
                           struct eas_err *err)
{
    struct eas_token token = { .pending = apr_pcalloc(pool, sizeof(*token.pending)) };
    apr_pool_t *text_pool = request->text_pool != NULL ? request->text_pool : pool;
    const char *words;

    token.pending->ticket = request->ticket;
    words = request->by == EAS_TOKEN_GSSAPI
                ? make_by_gssapi(maker, pool, text_pool, request, &token)
                : make_natively(text_pool, request, &token);
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

static krb5_error_code check_reply(const struct eas_pending_ap *pending, struct eas_bytes token)
{
    struct eas_bytes ap_rep;
    krb5_error_code code;
    struct eas_ticket_key *key;

    if (!eas_spnego_find_ap_rep(token, &ap_rep)) {
        return KRB5KRB_AP_ERR_MSG_TYPE;
    }
    code = eas_ticket_checkout_key(pending->ticket, NULL, &key);
    if (code == 0) {
        code = eas_ap_check_reply(NULL, key, ap_rep, &pending->time);
        eas_ticket_checkin_key(pending->ticket, key);
    }
    return code;
}

enum eas_rc eas_token_verify(apr_pool_t *pool, struct eas_pending_ap *pending, const char *value,
                             struct eas_err *err)
{
    struct eas_bytes token;
    const char *words;

    if (!decode(pool, value, &token)) {
        words = words_of(NULL, pool, KRB5KRB_AP_ERR_MSG_TYPE);
    }
    else {
        words = pending->gss != NULL ? eas_gss_token_verify(pending->gss, pool, token)
                                     : words_of(NULL, pool, check_reply(pending, token));
    }
    return words == NULL
               ? EAS_OK
               : eas_fail(err, EAS_BACKEND, 2053,
                          "mutual authentication failed: the backend's reply does not belong to "
                          "the token: %s",
                          words);
}
