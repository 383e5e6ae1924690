/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_mint.c - the token of one request, seen by the one who must accept it, and the answer */

#include "t/unit/der.h"
#include "t/unit/kdc_by_hand.h"
#include "t/unit/krb5_files.h"
#include "t/unit/unit.h"

#include "delegation/mint.h"

#include <apr_encode.h>
#include <apr_strings.h>
#include <gssapi/gssapi_ext.h>
#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#define CLIENT "alice@" REALM
#define SERVICE "HTTP/cas1.eas.test@" REALM
#define KEYTAB "MEMORY:test_mint"
#define ENCTYPE ENCTYPE_AES256_CTS_HMAC_SHA1_96
#define FLAGS                                                                      \
    (GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_CONF_FLAG \
     | GSS_C_INTEG_FLAG)

/* --- fixture ----------------------------------------------------------------------------- */

struct fixture {
    apr_pool_t *pool;
    krb5_context ctx;
    krb5_keytab keytab; /* with the service's key */
    krb5_keyblock key;
    struct eas_mint *mint;
};

static void make_service_key(struct fixture *f)
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

static int start_test(void **state)
{
    static struct fixture fixture;

    *state = &fixture;
    if (apr_pool_create(&fixture.pool, NULL) != APR_SUCCESS
        || krb5_init_context(&fixture.ctx) != 0) {
        return -1;
    }
    make_service_key(&fixture);
    fixture.mint = eas_mint_create(fixture.pool);
    return 0;
}

static int end_test(void **state)
{
    struct fixture *f = *state;

    apr_pool_destroy(f->pool);
    krb5_kt_close(f->ctx, f->keytab);
    krb5_free_keyblock_contents(f->ctx, &f->key);
    krb5_free_context(f->ctx);
    return 0;
}

/* Alice's ticket for the service, with such a session key, ending so many seconds from now. */
static struct eas_ticket *make_ticket_for(struct fixture *f, int end, krb5_enctype enctype)
{
    time_t now = time(NULL);
    krb5_creds creds;
    struct blob der;

    memset(&creds, 0, sizeof(creds));
    assert_int_equal(krb5_parse_name(f->ctx, CLIENT, &creds.client), 0);
    assert_int_equal(krb5_parse_name(f->ctx, SERVICE, &creds.server), 0);
    assert_int_equal(krb5_c_make_random_key(f->ctx, enctype, &creds.keyblock), 0);
    creds.times.authtime = creds.times.starttime = (krb5_timestamp)(now - 7200);
    creds.times.endtime = (krb5_timestamp)(now + end);
    der = ticket_der(f->ctx, &f->key, &creds);
    creds.ticket.data = malloc(der.len);
    assert_non_null(creds.ticket.data);
    memcpy(creds.ticket.data, der.bytes, der.len);
    creds.ticket.length = (unsigned)der.len;
    return eas_ticket_to_pool(eas_ticket_take(&creds), f->pool);
}

static struct eas_ticket *make_ticket(struct fixture *f, int end)
{
    return make_ticket_for(f, end, ENCTYPE);
}

static const char *mint(struct fixture *f, const struct eas_ticket *ticket,
                        const struct eas_binding *binding, struct eas_handshake **handshake)
{
    struct eas_err err = { EAS_OK, 0, "" };
    const char *value = NULL;

    if (eas_mint_token(f->mint, f->pool, ticket, binding, &value, handshake, &err) != EAS_OK) {
        fail_msg("EAS%d %s", err.tag, err.text);
    }
    return value;
}

static const char *mint_value(struct fixture *f, const struct eas_ticket *ticket)
{
    struct eas_handshake *handshake;

    return mint(f, ticket, NULL, &handshake);
}

/* The octets of a header's value, by another decoder than the one of the library that made it. */
static struct der_text token_of(struct fixture *f, const char *value)
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

/* --- as Kerberos sees it ----------------------------------------------------------------- */

/* What the service has read; closed by close_request(). */
struct request {
    krb5_auth_context auth;
    krb5_authenticator *authenticator;
    krb5_flags options;
};

static struct request read_request(struct fixture *f, const char *value)
{
    struct der_text token = token_of(f, value), inner = der_enter_spnego(&token);
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

static void close_request(struct fixture *f, struct request *request)
{
    krb5_free_authenticator(f->ctx, request->authenticator);
    krb5_auth_con_free(f->ctx, request->auth);
}

static void test_authenticator(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    struct request request = read_request(f, mint_value(f, ticket));
    const krb5_authenticator *a = request.authenticator;
    time_t now = time(NULL);

    assert_true(krb5_principal_compare(f->ctx, a->client, eas_ticket_creds(ticket)->client));
    assert_in_range((uint32_t)a->ctime, now - 60, now);
    assert_int_equal(request.options, AP_OPTS_MUTUAL_REQUIRED);
    assert_non_null(a->subkey);
    assert_int_equal(a->subkey->length, 32);
    assert_memory_not_equal(a->subkey->contents, eas_ticket_creds(ticket)->keyblock.contents, 32);
    assert_true(a->seq_number != 0);
    close_request(f, &request);
}

/* RFC 4121 section 4.1.1: length of the bindings, the bindings, the flags; nothing delegated. */
static void test_checksum_of_gssapi(void **state)
{
    static const unsigned char expected[24] = { 16, 0, 0, 0, [20] = FLAGS };
    struct fixture *f = *state;
    struct request request = read_request(f, mint_value(f, make_ticket(f, 3600)));
    const krb5_checksum *checksum = request.authenticator->checksum;

    assert_non_null(checksum);
    assert_int_equal(checksum->checksum_type, 0x8003);
    assert_int_equal(checksum->length, sizeof(expected));
    assert_memory_equal(checksum->contents, expected, sizeof(expected));
    close_request(f, &request);
}

static void test_tokens_are_used_once(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    const char *one = mint_value(f, ticket), *two = mint_value(f, ticket);
    struct request r1 = read_request(f, one), r2 = read_request(f, two);

    assert_string_not_equal(one, two);
    assert_true(r1.authenticator->cusec != r2.authenticator->cusec
                || r1.authenticator->ctime != r2.authenticator->ctime);
    assert_memory_not_equal(r1.authenticator->subkey->contents, r2.authenticator->subkey->contents,
                            32);
    close_request(f, &r1);
    close_request(f, &r2);
}

static void test_ticket_is_not_changed(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    krb5_creds before = *eas_ticket_creds(ticket);
    struct blob der = bytes(before.ticket.data, before.ticket.length);

    mint_value(f, ticket);
    assert_memory_equal(eas_ticket_creds(ticket), &before, sizeof(before));
    assert_memory_equal(before.ticket.data, der.bytes, der.len);
}

/* --- as GSSAPI sees it ------------------------------------------------------------------- */

static void assert_name(gss_name_t name, const char *expected)
{
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
    OM_uint32 minor;

    assert_int_equal(gss_display_name(&minor, name, &text, NULL), GSS_S_COMPLETE);
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.value, expected, text.length);
    gss_release_buffer(&minor, &text);
}

static gss_cred_id_t acceptor(void)
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

/* As IIS does it: the whole token, in one step, with an answer that proves the service. */
static struct accepted accept_token(struct fixture *f, const char *value, const char *channel)
{
    struct accepted a = { .client = GSS_C_NO_NAME, .delegated = GSS_C_NO_CREDENTIAL };
    struct gss_channel_bindings_struct bindings = { 0 };
    struct der_text token = token_of(f, value);
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

static void forget_accepted(struct accepted *a)
{
    OM_uint32 minor;

    gss_release_name(&minor, &a->client);
}

static void test_gssapi_accepts_the_token(void **state)
{
    struct fixture *f = *state;
    struct accepted a = accept_token(f, mint_value(f, make_ticket(f, 3600)), NULL);

    assert_int_equal(a.major, GSS_S_COMPLETE);
    assert_name(a.client, CLIENT);
    assert_int_equal(a.flags & (FLAGS | GSS_C_DELEG_FLAG | GSS_C_ANON_FLAG), FLAGS);
    assert_ptr_equal(a.delegated, GSS_C_NO_CREDENTIAL);
    forget_accepted(&a);
}

#define CHANNEL "tls-server-end-point:0123456789abcdef0123456789abcdef"

static void test_channel_bindings(void **state)
{
    const struct eas_binding binding = { CHANNEL, strlen(CHANNEL) };
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    struct eas_handshake *handshake;
    struct accepted right = accept_token(f, mint(f, ticket, &binding, &handshake), CHANNEL);
    struct accepted wrong =
        accept_token(f, mint(f, ticket, &binding, &handshake), "tls-server-end-point:x");
    struct accepted without = accept_token(f, mint_value(f, ticket), CHANNEL);

    assert_int_equal(right.major, GSS_S_COMPLETE);
    assert_true(right.flags & GSS_C_CHANNEL_BOUND_FLAG);
    assert_int_equal(wrong.major, GSS_S_BAD_BINDINGS);
    assert_int_equal(without.major, GSS_S_COMPLETE);
    assert_false(without.flags & GSS_C_CHANNEL_BOUND_FLAG);
    forget_accepted(&right);
    forget_accepted(&wrong);
    forget_accepted(&without);
}

static void test_binding_that_is_too_long(void **state)
{
    static const char bytes[256];
    const struct eas_binding binding = { bytes, sizeof(bytes) };
    struct fixture *f = *state;
    struct eas_handshake *handshake;
    struct eas_err err = { EAS_OK, 0, "" };
    const char *value;

    assert_int_equal(
        eas_mint_token(f->mint, f->pool, make_ticket(f, 3600), &binding, &value, &handshake, &err),
        EAS_UNAVAILABLE);
    assert_int_equal(err.tag, 2002);
}

/* --- the answer -------------------------------------------------------------------------- */

static void assert_verified(struct fixture *f, struct eas_handshake *handshake, const char *reply,
                            enum eas_rc expected)
{
    struct eas_err err = { EAS_OK, 0, "" };

    assert_int_equal(eas_mint_verify(f->mint, f->pool, handshake, reply, &err), expected);
    assert_int_equal(err.tag, expected == EAS_OK ? 0 : 2053);
}

static void test_reply_to_this_token_alone(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    struct eas_handshake *one, *two;
    struct accepted a = accept_token(f, mint(f, ticket, NULL, &one), NULL);
    struct accepted b = accept_token(f, mint(f, ticket, NULL, &two), NULL);

    assert_verified(f, one, a.reply, EAS_OK);
    assert_verified(f, two, a.reply, EAS_BACKEND); /* replayed */
    assert_verified(f, two, b.reply, EAS_OK);
    forget_accepted(&a);
    forget_accepted(&b);
}

static void test_reply_with_another_key(void **state)
{
    struct fixture *f = *state;
    struct eas_handshake *ours, *theirs;
    struct accepted a;

    mint(f, make_ticket(f, 3600), NULL, &ours);
    a = accept_token(f, mint(f, make_ticket(f, 3600), NULL, &theirs), NULL);
    assert_verified(f, ours, a.reply, EAS_BACKEND);
    forget_accepted(&a);
}

static const char *as_value(struct fixture *f, const void *octets, size_t len)
{
    return apr_pstrcat(f->pool, "Negotiate ",
                       apr_pencode_base64_binary(f->pool, octets, (apr_ssize_t)len, 0, NULL), NULL);
}

/* RFC 4120's AP-REP, which ends the token; all of it counts but the number of the service's key. */
static void test_reply_that_was_changed(void **state)
{
    struct fixture *f = *state;
    struct eas_handshake *handshake;
    struct accepted a = accept_token(f, mint(f, make_ticket(f, 3600), NULL, &handshake), NULL);
    struct der_text token = token_of(f, a.reply);
    unsigned char *octets = apr_pmemdup(f->pool, token.at, der_left(&token));
    size_t len = der_left(&token), ap_rep = len;

    while (octets[ap_rep] != 0x6f) {
        ap_rep--;
    }
    for (size_t i = ap_rep; i < len; i++) {
        octets[i] ^= 1;
        assert_verified(f, handshake, as_value(f, octets, len), EAS_BACKEND);
        octets[i] ^= 1;
    }
    assert_verified(f, handshake, a.reply, EAS_OK);
    forget_accepted(&a);
}

static void test_reply_that_was_cut(void **state)
{
    struct fixture *f = *state;
    struct eas_handshake *handshake;
    struct accepted a = accept_token(f, mint(f, make_ticket(f, 3600), NULL, &handshake), NULL);
    struct der_text token = token_of(f, a.reply);
    size_t len;

    for (len = der_left(&token) - 1; len > 0; len--) {
        assert_verified(f, handshake, as_value(f, token.at, len), EAS_BACKEND);
    }
    forget_accepted(&a);
}

/* A NegTokenResp with an AP-REP of this encrypted part. */
static struct blob reply_with(struct blob encrypted)
{
    static const unsigned char completed[] = { 0x0a, 0x01, 0x00 };
    static const unsigned char framing[] = "\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x02\x00";
    struct blob ap_rep = { .len = 0 }, framed = bytes(framing, sizeof(framing) - 1);
    struct blob resp = { .len = 0 };

    field(&ap_rep, 0, integer(5));
    field(&ap_rep, 1, integer(15));
    field(&ap_rep, 2, encrypted);
    append(&framed, tlv(0x6f, tlv(0x30, ap_rep)));
    field(&resp, 0, bytes(completed, sizeof(completed)));
    field(&resp, 2, tlv(0x04, tlv(0x60, framed)));
    return tlv(0xa1, tlv(0x30, resp));
}

/* What is made with the right key, for the right moment, and by us. */
static void test_reply_made_of_our_own_request(void **state)
{
    struct fixture *f = *state;
    struct eas_handshake *handshake;
    const char *value = mint(f, make_ticket(f, 3600), NULL, &handshake);
    struct der_text token = token_of(f, value), ap_req = der_enter_spnego(&token), fields, last;
    struct blob reply;
    unsigned char n;

    fields = der_enter(&ap_req, 0x6e);
    fields = der_enter(&fields, 0x30);
    for (n = 0; n < 4; n++) {
        der_enter(&fields, 0xa0 | n);
    }
    last = der_enter(&fields, 0xa4);
    reply = reply_with(bytes(last.at, der_left(&last)));
    assert_verified(f, handshake, as_value(f, reply.bytes, reply.len), EAS_BACKEND);
    assert_verified(f, handshake, value, EAS_BACKEND);
}

/* Whatever session key Active Directory may choose: both sides of the exchange. */
static void test_every_cipher(void **state)
{
    static const krb5_enctype enctypes[] = {
        ENCTYPE_AES256_CTS_HMAC_SHA1_96,
        ENCTYPE_AES128_CTS_HMAC_SHA1_96,
        ENCTYPE_AES256_CTS_HMAC_SHA384_192,
        ENCTYPE_AES128_CTS_HMAC_SHA256_128,
        ENCTYPE_ARCFOUR_HMAC,
    };
    struct fixture *f = *state;
    size_t i;

    for (i = 0; i < COUNT_OF(enctypes); i++) {
        struct eas_ticket *ticket = make_ticket_for(f, 3600, enctypes[i]);
        struct eas_handshake *handshake;
        struct accepted a = accept_token(f, mint(f, ticket, NULL, &handshake), NULL);

        assert_int_equal(a.major, GSS_S_COMPLETE);
        assert_name(a.client, CLIENT);
        assert_verified(f, handshake, a.reply, EAS_OK);
        forget_accepted(&a);
    }
}

static void test_what_is_no_reply(void **state)
{
    static const char *const values[] = { "",
                                          "Negotiate",
                                          "Negotiate ",
                                          "NTLM TlRM",
                                          "Negotiate YII",
                                          "Negotiate ====",
                                          "Negotiate oQcwBaADCgEA" };
    struct fixture *f = *state;
    struct eas_handshake *handshake;
    size_t i;

    mint(f, make_ticket(f, 3600), NULL, &handshake);
    for (i = 0; i < COUNT_OF(values); i++) {
        assert_verified(f, handshake, values[i], EAS_BACKEND);
    }
}

/* --- refusals and threads ---------------------------------------------------------------- */

static void assert_no_token(struct fixture *f, const struct eas_ticket *ticket, const char *words)
{
    struct eas_err err = { EAS_OK, 0, "" };
    struct eas_handshake *handshake;
    const char *value = NULL;

    assert_int_equal(eas_mint_token(f->mint, f->pool, ticket, NULL, &value, &handshake, &err),
                     EAS_UNAVAILABLE);
    assert_int_equal(err.rc, EAS_UNAVAILABLE);
    assert_int_equal(err.tag, 2002);
    assert_non_null(strstr(err.text, words));
    assert_null(value);
}

static void test_expired_ticket(void **state)
{
    assert_no_token(*state, make_ticket(*state, 0), "Ticket expired");
    assert_no_token(*state, make_ticket(*state, -3600), "Ticket expired");
}

static void test_no_ticket_in_the_credentials(void **state)
{
    struct fixture *f = *state;
    krb5_creds creds;

    memset(&creds, 0, sizeof(creds));
    creds.times.endtime = (krb5_timestamp)(time(NULL) + 3600);
    assert_no_token(f, eas_ticket_to_pool(eas_ticket_take(&creds), f->pool), "cannot make");
}

/* The context of a failure goes back to the others, and must still be good. */
static void test_mint_works_after_a_failure(void **state)
{
    struct fixture *f = *state;
    struct request request;

    test_expired_ticket(state);
    request = read_request(f, mint_value(f, make_ticket(f, 3600)));
    close_request(f, &request);
}

#define EACH 40

/* A thread of the next test, and what it has minted. */
struct minter {
    struct fixture *f;
    struct eas_ticket *ticket;
    apr_pool_t *pool;
    const char *values[EACH];
};

static void *APR_THREAD_FUNC mint_many(apr_thread_t *thread, void *data)
{
    struct minter *minter = data;
    struct eas_handshake *handshake;
    struct eas_err err;
    int i;

    (void)thread;
    for (i = 0; i < EACH; i++) {
        eas_mint_token(minter->f->mint, minter->pool, minter->ticket, NULL, &minter->values[i],
                       &handshake, &err);
    }
    return NULL;
}

static int compare_values(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void test_eight_threads(void **state)
{
    struct fixture *f = *state;
    struct minter minters[UNIT_THREADS];
    const char *all[UNIT_THREADS * EACH];
    size_t i;

    memset(minters, 0, sizeof(minters));
    for (i = 0; i < UNIT_THREADS; i++) {
        minters[i].f = f;
        minters[i].ticket = i == 0 ? make_ticket(f, 3600) : minters[0].ticket;
        assert_int_equal(apr_pool_create(&minters[i].pool, f->pool), APR_SUCCESS);
    }
    unit_run_threads(f->pool, mint_many, minters, sizeof(minters[0]));
    for (i = 0; i < COUNT_OF(all); i++) {
        struct request request;

        all[i] = minters[i / EACH].values[i % EACH];
        assert_non_null(all[i]);
        request = read_request(f, all[i]);
        close_request(f, &request);
    }
    qsort(all, COUNT_OF(all), sizeof(all[0]), compare_values);
    for (i = 1; i < COUNT_OF(all); i++) {
        assert_string_not_equal(all[i - 1], all[i]);
    }
}

#define MINT_TEST(test) cmocka_unit_test_setup_teardown(test, start_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MINT_TEST(test_authenticator),
        MINT_TEST(test_checksum_of_gssapi),
        MINT_TEST(test_tokens_are_used_once),
        MINT_TEST(test_ticket_is_not_changed),
        MINT_TEST(test_gssapi_accepts_the_token),
        MINT_TEST(test_channel_bindings),
        MINT_TEST(test_binding_that_is_too_long),
        MINT_TEST(test_reply_to_this_token_alone),
        MINT_TEST(test_reply_with_another_key),
        MINT_TEST(test_reply_that_was_changed),
        MINT_TEST(test_reply_that_was_cut),
        MINT_TEST(test_reply_made_of_our_own_request),
        MINT_TEST(test_every_cipher),
        MINT_TEST(test_what_is_no_reply),
        MINT_TEST(test_expired_ticket),
        MINT_TEST(test_no_ticket_in_the_credentials),
        MINT_TEST(test_mint_works_after_a_failure),
        MINT_TEST(test_eight_threads),
    };

    return cmocka_run_group_tests(tests, krb5_files_start, krb5_files_end);
}
