/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t/benchmark/token.c - cost of a token, made from a ticket: CPU microseconds of
 * krb5_mk_req_extended(), and of eas_token_make() with each EasKcdToken, which makes a whole
 * header value; and of eas_token_verify() with the reply of GSSAPI's acceptor
 *
 * token CCACHE SERVICE COUNT: the ticket must be in the cache, and the service's key in the keytab.
 * Built and run by t/bench.
 */

#include "delegation/kerberos/token.h"

#include <apr_encode.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <gssapi/gssapi.h>
#include <krb5/krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void must(krb5_error_code code, const char *what)
{
    if (code != 0) {
        fprintf(stderr, "%s: %d\n", what, (int)code);
        exit(1);
    }
}

static krb5_creds *find_ticket(krb5_context ctx, const char *name, const char *service)
{
    krb5_creds wanted = { 0 }, *found;
    krb5_ccache ccache;

    must(krb5_cc_resolve(ctx, name, &ccache), "ccache");
    must(krb5_cc_get_principal(ctx, ccache, &wanted.client), "client");
    must(krb5_parse_name(ctx, service, &wanted.server), "service");
    must(krb5_get_credentials(ctx, KRB5_GC_CACHED, ccache, &wanted, &found), "ticket");
    krb5_free_cred_contents(ctx, &wanted);
    must(krb5_cc_close(ctx, ccache), "ccache");
    return found;
}

static void make_token(krb5_context ctx, krb5_creds *ticket)
{
    char checksum[24] = { 0x10 }; /* RFC 4121, 4.1.1, without flags and bindings */
    krb5_data in = { 0, sizeof(checksum), checksum }, out = { 0 };
    krb5_auth_context auth;

    must(krb5_auth_con_init(ctx, &auth), "auth context");
    must(krb5_auth_con_setflags(ctx, auth, KRB5_AUTH_CONTEXT_DO_SEQUENCE), "flags");
    must(krb5_auth_con_set_req_cksumtype(ctx, auth, 0x8003), "checksum type");
    must(krb5_mk_req_extended(ctx, &auth, AP_OPTS_MUTUAL_REQUIRED | AP_OPTS_USE_SUBKEY, &in, ticket,
                              &out),
         "token");
    krb5_free_data_contents(ctx, &out);
    must(krb5_auth_con_free(ctx, auth), "auth context");
}

static double microseconds_each(clock_t began, long count)
{
    return (double)(clock() - began) * 1e6 / CLOCKS_PER_SEC / (double)count;
}

static double by_libkrb5(krb5_context ctx, krb5_creds *ticket, long count)
{
    clock_t began = clock();

    for (long n = 0; n < count; n++) {
        make_token(ctx, ticket);
    }
    return microseconds_each(began, count);
}

static double by_token_maker(enum eas_token_by by, const struct eas_ticket *ticket, long count)
{
    const struct eas_token_request ask = { .by = by, .ticket = ticket };
    struct eas_token_maker *maker;
    struct eas_token token;
    struct eas_err err;
    apr_pool_t *pool, *request;
    clock_t began;

    apr_pool_create(&pool, NULL);
    apr_pool_create(&request, pool);
    maker = eas_token_maker_create(pool);
    began = clock();
    for (long n = 0; n < count; n++) {
        if (eas_token_make(maker, request, &ask, &token, &err) != EAS_OK) {
            fprintf(stderr, "%s\n", err.text);
            exit(1);
        }
        apr_pool_clear(request);
    }
    return microseconds_each(began, count);
}

/* The acceptor's answer to a token, as a header's value. */
static const char *answer(apr_pool_t *pool, const char *token)
{
    gss_buffer_desc in, out = GSS_C_EMPTY_BUFFER;
    gss_ctx_id_t context = GSS_C_NO_CONTEXT;
    OM_uint32 minor;
    const char *value;

    in.value = (void *)apr_pdecode_base64_binary(pool, token + strlen("Negotiate "),
                                                 APR_ENCODE_STRING, APR_ENCODE_NONE, &in.length);
    must((krb5_error_code)gss_accept_sec_context(&minor, &context, GSS_C_NO_CREDENTIAL, &in,
                                                 GSS_C_NO_CHANNEL_BINDINGS, NULL, NULL, &out, NULL,
                                                 NULL, NULL),
         "acceptor");
    value = apr_pstrcat(
        pool, "Negotiate ",
        apr_pencode_base64_binary(pool, out.value, (apr_ssize_t)out.length, APR_ENCODE_NONE, NULL),
        NULL);
    gss_release_buffer(&minor, &out);
    gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
    return value;
}

static double by_verifier(const struct eas_ticket *ticket, long count)
{
    const struct eas_token_request ask = { .by = EAS_TOKEN_NATIVE, .ticket = ticket };
    struct eas_token token;
    struct eas_err err;
    apr_pool_t *pool, *request;
    const char *value;
    clock_t began;

    apr_pool_create(&pool, NULL);
    apr_pool_create(&request, pool);
    must(eas_token_make(eas_token_maker_create(pool), pool, &ask, &token, &err) != EAS_OK, "token");
    value = answer(pool, token.value);
    began = clock();
    for (long n = 0; n < count; n++) {
        must(eas_token_verify(request, token.pending, value, &err) != EAS_OK, "proof");
        apr_pool_clear(request);
    }
    return microseconds_each(began, count);
}

int main(int argc, char **argv)
{
    krb5_context ctx;
    krb5_creds *creds;
    struct eas_ticket *ticket;
    long count = argc == 4 ? atol(argv[3]) : 0;

    if (count <= 0) {
        fprintf(stderr, "usage: token CCACHE SERVICE COUNT\n");
        return 2;
    }
    apr_initialize();
    must(krb5_init_context(&ctx), "context");
    creds = find_ticket(ctx, argv[1], argv[2]);
    printf("%.2f ", by_libkrb5(ctx, creds, count));
    ticket = eas_ticket_take(creds);
    printf("%.2f ", by_token_maker(EAS_TOKEN_NATIVE, ticket, count));
    printf("%.2f ", by_token_maker(EAS_TOKEN_GSSAPI, ticket, count));
    printf("%.2f\n", by_verifier(ticket, count));
    eas_ticket_unref(ticket);
    krb5_free_creds(ctx, creds);
    krb5_free_context(ctx);
    apr_terminate();
    return 0;
}
