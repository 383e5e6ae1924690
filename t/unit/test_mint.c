/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_mint.c - the token of one request, seen by the one who must accept it */

#include "t/unit/der.h"
#include "t/unit/krb5_files.h"
#include "t/unit/unit.h"

#include "delegation/mint.h"

#include <gssapi/gssapi_ext.h>
#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#define CLIENT "alice@" REALM
#define SERVICE "HTTP/cas1.eas.test@" REALM
#define KEYTAB "MEMORY:test_mint"
#define ENCTYPE ENCTYPE_AES256_CTS_HMAC_SHA1_96
#define KVNO 5

/* RFC 4120 section 7.5.1: what a ticket is encrypted for. */
#define USAGE_TICKET 2

#define FLAGS                                                                      \
    (GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_CONF_FLAG \
     | GSS_C_INTEG_FLAG)

/* --- a KDC's work, by hand --------------------------------------------------------------- */

/* DER that is put together from the inside outwards. */
struct blob {
    unsigned char bytes[1024];
    size_t len;
};

static struct blob bytes(const void *data, size_t len)
{
    struct blob blob;

    assert_true(len <= sizeof(blob.bytes));
    memcpy(blob.bytes, data, len);
    blob.len = len;
    return blob;
}

static void append(struct blob *to, struct blob more)
{
    assert_true(to->len + more.len <= sizeof(to->bytes));
    memcpy(to->bytes + to->len, more.bytes, more.len);
    to->len += more.len;
}

static struct blob tlv(unsigned char tag, struct blob contents)
{
    unsigned char head[4] = { tag, 0x82, (unsigned char)(contents.len >> 8),
                              (unsigned char)contents.len };
    struct blob blob = contents.len < 0x80    ? bytes((unsigned char[]){ tag, head[3] }, 2)
                       : contents.len < 0x100 ? bytes((unsigned char[]){ tag, 0x81, head[3] }, 3)
                                              : bytes(head, 4);

    append(&blob, contents);
    return blob;
}

/* A field of a SEQUENCE: [n] of an element. */
static void field(struct blob *sequence, unsigned char n, struct blob element)
{
    append(sequence, tlv(0xa0 | n, element));
}

static struct blob integer(unsigned char value)
{
    return tlv(0x02, bytes(&value, 1));
}

static struct blob string(krb5_data data)
{
    return tlv(0x1b, bytes(data.data, data.length));
}

static struct blob kerberos_time(time_t when)
{
    char text[16];
    struct tm tm;

    assert_int_equal(strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", gmtime_r(&when, &tm)), 15);
    return tlv(0x18, bytes(text, 15));
}

static struct blob principal_name(krb5_const_principal principal)
{
    struct blob names = { .len = 0 }, name = { .len = 0 };
    int i;

    for (i = 0; i < principal->length; i++) {
        append(&names, string(principal->data[i]));
    }
    field(&name, 0, integer((unsigned char)principal->type));
    field(&name, 1, tlv(0x30, names));
    return tlv(0x30, name);
}

/* EncTicketPart, RFC 4120 section 5.3. */
static struct blob enc_ticket_part(const krb5_creds *creds)
{
    struct blob part = { .len = 0 }, key = { .len = 0 }, transited = { .len = 0 };

    field(&key, 0, integer((unsigned char)creds->keyblock.enctype));
    field(&key, 1, tlv(0x04, bytes(creds->keyblock.contents, creds->keyblock.length)));
    field(&transited, 0, integer(1));
    field(&transited, 1, tlv(0x04, bytes("", 0)));
    field(&part, 0, tlv(0x03, bytes("\0\0\0\0\0", 5)));
    field(&part, 1, tlv(0x30, key));
    field(&part, 2, string(creds->client->realm));
    field(&part, 3, principal_name(creds->client));
    field(&part, 4, tlv(0x30, transited));
    field(&part, 5, kerberos_time(creds->times.authtime));
    field(&part, 6, kerberos_time(creds->times.starttime));
    field(&part, 7, kerberos_time(creds->times.endtime));
    return tlv(0x63, tlv(0x30, part));
}

static struct blob encrypted(krb5_context ctx, const krb5_keyblock *key, struct blob plain)
{
    struct blob cipher, data = { .len = 0 };
    krb5_data in = { 0, (unsigned)plain.len, (char *)plain.bytes };
    krb5_enc_data out;

    memset(&out, 0, sizeof(out));
    out.ciphertext.data = (char *)cipher.bytes;
    out.ciphertext.length = sizeof(cipher.bytes);
    assert_int_equal(krb5_c_encrypt(ctx, key, USAGE_TICKET, NULL, &in, &out), 0);
    cipher.len = out.ciphertext.length;
    field(&data, 0, integer((unsigned char)key->enctype));
    field(&data, 1, integer(KVNO));
    field(&data, 2, tlv(0x04, cipher));
    return tlv(0x30, data);
}

static struct blob ticket_der(krb5_context ctx, const krb5_keyblock *key, const krb5_creds *creds)
{
    struct blob ticket = { .len = 0 };

    field(&ticket, 0, integer(5));
    field(&ticket, 1, string(creds->server->realm));
    field(&ticket, 2, principal_name(creds->server));
    field(&ticket, 3, encrypted(ctx, key, enc_ticket_part(creds)));
    return tlv(0x61, tlv(0x30, ticket));
}

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

/* Alice's ticket for the service, ending so many seconds from now. */
static struct eas_ticket *make_ticket(struct fixture *f, int end)
{
    time_t now = time(NULL);
    krb5_creds creds;
    struct blob der;

    memset(&creds, 0, sizeof(creds));
    assert_int_equal(krb5_parse_name(f->ctx, CLIENT, &creds.client), 0);
    assert_int_equal(krb5_parse_name(f->ctx, SERVICE, &creds.server), 0);
    assert_int_equal(krb5_c_make_random_key(f->ctx, ENCTYPE, &creds.keyblock), 0);
    creds.times.authtime = creds.times.starttime = (krb5_timestamp)(now - 7200);
    creds.times.endtime = (krb5_timestamp)(now + end);
    der = ticket_der(f->ctx, &f->key, &creds);
    creds.ticket.data = malloc(der.len);
    assert_non_null(creds.ticket.data);
    memcpy(creds.ticket.data, der.bytes, der.len);
    creds.ticket.length = (unsigned)der.len;
    return eas_ticket_to_pool(eas_ticket_take(&creds), f->pool);
}

static const char *mint_value(struct fixture *f, const struct eas_ticket *ticket)
{
    struct eas_err err = { EAS_OK, 0, "" };
    const char *value = NULL;

    if (eas_mint_token(f->mint, f->pool, ticket, &value, &err) != EAS_OK) {
        fail_msg("EAS%d %s", err.tag, err.text);
    }
    return value;
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

/* As IIS does it: the whole token, in one step, with an answer that proves the service. */
static void test_gssapi_accepts_the_token(void **state)
{
    struct fixture *f = *state;
    struct der_text token = token_of(f, mint_value(f, make_ticket(f, 3600)));
    gss_buffer_desc in = { der_left(&token), (void *)token.at }, out = GSS_C_EMPTY_BUFFER;
    gss_ctx_id_t context = GSS_C_NO_CONTEXT;
    gss_cred_id_t cred = acceptor(), delegated = GSS_C_NO_CREDENTIAL;
    gss_name_t client = GSS_C_NO_NAME;
    OM_uint32 minor, flags = 0;

    assert_int_equal(gss_accept_sec_context(&minor, &context, cred, &in, GSS_C_NO_CHANNEL_BINDINGS,
                                            &client, NULL, &out, &flags, NULL, &delegated),
                     GSS_S_COMPLETE);
    assert_name(client, CLIENT);
    assert_int_equal(flags & (FLAGS | GSS_C_DELEG_FLAG | GSS_C_ANON_FLAG), FLAGS);
    assert_ptr_equal(delegated, GSS_C_NO_CREDENTIAL);
    assert_true(out.length > 0);
    gss_release_buffer(&minor, &out);
    gss_release_name(&minor, &client);
    gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
    gss_release_cred(&minor, &cred);
}

/* --- refusals and threads ---------------------------------------------------------------- */

static void assert_no_token(struct fixture *f, const struct eas_ticket *ticket, const char *words)
{
    struct eas_err err = { EAS_OK, 0, "" };
    const char *value = NULL;

    assert_int_equal(eas_mint_token(f->mint, f->pool, ticket, &value, &err), EAS_UNAVAILABLE);
    assert_int_equal(err.rc, EAS_UNAVAILABLE);
    assert_int_equal(err.tag, 2002);
    assert_non_null(strstr(err.text, words));
    assert_null(value);
}

/* libkrb5 allows for five minutes between clocks. */
static void test_expired_ticket(void **state)
{
    assert_no_token(*state, make_ticket(*state, -400), "Ticket expired");
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
    struct eas_err err;
    int i;

    (void)thread;
    for (i = 0; i < EACH; i++) {
        eas_mint_token(minter->f->mint, minter->pool, minter->ticket, &minter->values[i], &err);
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
        MINT_TEST(test_expired_ticket),
        MINT_TEST(test_no_ticket_in_the_credentials),
        MINT_TEST(test_mint_works_after_a_failure),
        MINT_TEST(test_eight_threads),
    };

    return cmocka_run_group_tests(tests, krb5_files_start, krb5_files_end);
}
