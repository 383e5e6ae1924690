/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/tokens.h - a token maker, tickets for it, and the service that accepts its tokens */

#ifndef EAS_T_UNIT_TOKENS_H
#define EAS_T_UNIT_TOKENS_H

#include "t/unit/der.h"
#include "t/unit/kdc_by_hand.h"
#include "t/unit/krb5_files.h"
#include "t/unit/unit.h"

#include "delegation/kerberos/token.h"

#include <apr_encode.h>
#include <apr_strings.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#define CLIENT "alice@" REALM
#define SERVICE "HTTP/cas1.eas.test@" REALM
#define KEYTAB "MEMORY:test_token"
#define ENCTYPE ENCTYPE_AES256_CTS_HMAC_SHA1_96

struct fixture {
    apr_pool_t *pool;
    krb5_context ctx;
    krb5_keytab keytab; /* with the service's key */
    krb5_keyblock key;
    struct eas_token_maker *maker;
    enum eas_token_by by;
};

static inline void make_service_key(struct fixture *f)
{
    krb5_keytab_entry entry;

    memset(&entry, 0, sizeof(entry));
    assert_int_equal(krb5_c_make_random_key(f->ctx, ENCTYPE, &f->key), 0);
    assert_int_equal(krb5_kt_resolve(f->ctx, KEYTAB, &f->keytab), 0);
    assert_int_equal(krb5_parse_name(f->ctx, SERVICE, &entry.principal), 0);
    entry.vno = KVNO;
    entry.key = f->key;
    assert_int_equal(krb5_kt_add_entry(f->ctx, f->keytab, &entry), 0);
    krb5_free_principal(f->ctx, entry.principal);
}

static inline int start_test(void **state)
{
    static struct fixture fixture;

    *state = &fixture;
    if (apr_pool_create(&fixture.pool, NULL) != APR_SUCCESS
        || krb5_init_context(&fixture.ctx) != 0) {
        return -1;
    }
    make_service_key(&fixture);
    fixture.maker = eas_token_maker_create(fixture.pool);
    fixture.by = EAS_TOKEN_NATIVE;
    return 0;
}

static inline int start_gssapi_test(void **state)
{
    int failed = start_test(state);

    ((struct fixture *)*state)->by = EAS_TOKEN_GSSAPI;
    return failed;
}

static inline int end_test(void **state)
{
    struct fixture *f = *state;

    apr_pool_destroy(f->pool);
    krb5_kt_close(f->ctx, f->keytab);
    krb5_free_keyblock_contents(f->ctx, &f->key);
    krb5_free_context(f->ctx);
    return 0;
}

/* Alice's credentials for the service, still without a ticket. */
static inline krb5_creds alices_creds(struct fixture *f, int end, krb5_enctype enctype)
{
    time_t now = time(NULL);
    krb5_creds creds;

    memset(&creds, 0, sizeof(creds));
    assert_int_equal(krb5_parse_name(f->ctx, CLIENT, &creds.client), 0);
    assert_int_equal(krb5_parse_name(f->ctx, SERVICE, &creds.server), 0);
    assert_int_equal(krb5_c_make_random_key(f->ctx, enctype, &creds.keyblock), 0);
    creds.times.authtime = creds.times.starttime = (krb5_timestamp)(now - 7200);
    creds.times.endtime = (krb5_timestamp)(now + end);
    return creds;
}

/* Takes over the credentials. */
static inline struct eas_ticket *issue_ticket(struct fixture *f, krb5_creds creds)
{
    struct blob der = ticket_der(f->ctx, &f->key, &creds);

    creds.ticket.data = malloc(der.len);
    assert_non_null(creds.ticket.data);
    memcpy(creds.ticket.data, der.bytes, der.len);
    creds.ticket.length = (unsigned)der.len;
    return eas_ticket_to_pool(eas_ticket_take(&creds), f->pool);
}

/* Alice's ticket for the service, with a session key of that enctype; it ends in end seconds. */
static inline struct eas_ticket *make_ticket_for(struct fixture *f, int end, krb5_enctype enctype)
{
    return issue_ticket(f, alices_creds(f, end, enctype));
}

static inline struct eas_ticket *make_ticket(struct fixture *f, int end)
{
    return make_ticket_for(f, end, ENCTYPE);
}

static const struct eas_bytes no_binding = { NULL, 0 };

static inline struct eas_token make_bound_token(struct fixture *f, const struct eas_ticket *ticket,
                                                struct eas_bytes binding)
{
    const struct eas_token_request request = { f->by, ticket, binding, NULL };
    struct eas_err err = { EAS_OK, 0, "" };
    struct eas_token token = { NULL, NULL };

    if (eas_token_make(f->maker, f->pool, &request, &token, &err) != EAS_OK) {
        fail_msg("EAS%d %s", err.tag, err.text);
    }
    return token;
}

static inline struct eas_token make_token(struct fixture *f, const struct eas_ticket *ticket)
{
    return make_bound_token(f, ticket, no_binding);
}

/* The octets of a header's value.  The decoder is not the one of the code under test. */
static inline struct der_text octets_of(struct fixture *f, const char *value)
{
    const char *base64 = value + strlen("Negotiate ");
    size_t len = strlen(base64);
    unsigned char *octets = apr_palloc(f->pool, len);
    int n;

    assert_int_equal(strncmp(value, "Negotiate ", strlen("Negotiate ")), 0);
    n = EVP_DecodeBlock(octets, (const unsigned char *)base64, (int)len);
    assert_true(n > 2);
    return der_begin(octets, (size_t)n - (base64[len - 1] == '=') - (base64[len - 2] == '='));
}

static inline void assert_name(gss_name_t name, const char *expected)
{
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
    OM_uint32 minor;

    assert_int_equal(gss_display_name(&minor, name, &text, NULL), GSS_S_COMPLETE);
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.value, expected, text.length);
    gss_release_buffer(&minor, &text);
}

static inline gss_cred_id_t acceptor(void)
{
    gss_key_value_element_desc elements[] = { { "keytab", KEYTAB }, { "rcache", "none:" } };
    const gss_key_value_set_desc store = { COUNT_OF(elements), elements };
    gss_cred_id_t cred = GSS_C_NO_CREDENTIAL;
    OM_uint32 minor;

    assert_int_equal(gss_acquire_cred_from(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE,
                                           GSS_C_NO_OID_SET, GSS_C_ACCEPT, &store, &cred, NULL,
                                           NULL),
                     GSS_S_COMPLETE);
    return cred;
}

/* The service's side of one token. */
struct accepted {
    OM_uint32 major;
    OM_uint32 flags;
    const char *reply; /* the value of WWW-Authenticate */
    gss_name_t client;
    gss_cred_id_t delegated;
};

/* As IIS does it: the whole token in one step, with a reply for mutual authentication. */
static inline struct accepted accept_token(struct fixture *f, const char *value,
                                           const char *channel)
{
    struct accepted a = { .client = GSS_C_NO_NAME, .delegated = GSS_C_NO_CREDENTIAL };
    struct gss_channel_bindings_struct bindings = { 0 };
    struct der_text token = octets_of(f, value);
    gss_buffer_desc in = { der_left(&token), (void *)token.at }, out = GSS_C_EMPTY_BUFFER;
    gss_ctx_id_t context = GSS_C_NO_CONTEXT;
    gss_cred_id_t cred = acceptor();
    OM_uint32 minor;

    if (channel != NULL) {
        bindings.application_data.value = (void *)channel;
        bindings.application_data.length = strlen(channel);
    }
    a.major = gss_accept_sec_context(&minor, &context, cred, &in,
                                     channel != NULL ? &bindings : GSS_C_NO_CHANNEL_BINDINGS,
                                     &a.client, NULL, &out, &a.flags, NULL, &a.delegated);
    if (a.major == GSS_S_COMPLETE) {
        a.reply = apr_pstrcat(
            f->pool, "Negotiate ",
            apr_pencode_base64_binary(f->pool, out.value, (apr_ssize_t)out.length, 0, NULL), NULL);
    }
    gss_release_buffer(&minor, &out);
    gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
    gss_release_cred(&minor, &cred);
    return a;
}

static inline void forget_accepted(struct accepted *a)
{
    OM_uint32 minor;

    gss_release_name(&minor, &a->client);
}

/* An AP-REQ that the service has read; closed by close_request(). */
struct request {
    krb5_auth_context auth;
    krb5_authenticator *authenticator;
    krb5_flags options;
};

static inline struct request read_request(struct fixture *f, const char *value)
{
    struct der_text token = octets_of(f, value), inner = der_enter_spnego(&token);
    krb5_data ap_req = { 0, (unsigned)der_left(&inner), (char *)inner.at };
    struct request request = { NULL, NULL, 0 };

    assert_int_equal(krb5_auth_con_init(f->ctx, &request.auth), 0);
    assert_int_equal(krb5_auth_con_setflags(f->ctx, request.auth, 0), 0);
    assert_int_equal(
        krb5_rd_req(f->ctx, &request.auth, &ap_req, NULL, f->keytab, &request.options, NULL), 0);
    assert_int_equal(krb5_auth_con_getauthenticator(f->ctx, request.auth, &request.authenticator),
                     0);
    return request;
}

static inline void close_request(struct fixture *f, struct request *request)
{
    krb5_free_authenticator(f->ctx, request->authenticator);
    krb5_auth_con_free(f->ctx, request->auth);
}

#define NATIVE_TEST(test) cmocka_unit_test_setup_teardown(test, start_test, end_test)
#define GSSAPI_TEST(test)                                             \
    {                                                                 \
#test " by GSSAPI", (test), start_gssapi_test, end_test, NULL \
    }

/* In both settings of EasKcdToken. */
#define TOKEN_TEST(test) NATIVE_TEST(test), GSSAPI_TEST(test)

#endif
