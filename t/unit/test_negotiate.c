/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_negotiate.c - a client's token of scheme Negotiate, accepted; the client is real */

#include "t/unit/tokens.h"

#include "auth/kerberos/negotiate.h"
#include "auth/kerberos/spnego.h"

#include <unistd.h>

#define GATEWAY "gateway@" REALM

static const struct eas_realms realms = { REALM, NULL };

static void add_key(struct fixture *f, krb5_keytab file, const char *name, krb5_keytab_entry entry)
{
    assert_int_equal(krb5_parse_name(f->ctx, name, &entry.principal), 0);
    assert_int_equal(krb5_kt_add_entry(f->ctx, file, &entry), 0);
    krb5_free_principal(f->ctx, entry.principal);
}

/* The keytab file of the gateway with this key; and of other with the service's key, unless NULL. */
static struct eas_keytab *load_keys(struct fixture *f, krb5_keytab_entry own, const char *other)
{
    const char *path = krb5_path("negotiate.keytab");
    struct eas_keytab *loaded;
    krb5_keytab file;
    struct eas_err err;

    unlink(path);
    assert_int_equal(krb5_kt_resolve(f->ctx, apr_pstrcat(f->pool, "FILE:", path, NULL), &file), 0);
    add_key(f, file, GATEWAY, own);
    if (other != NULL) {
        add_key(f, file, other, (krb5_keytab_entry){ .vno = KVNO, .key = f->key });
    }
    krb5_kt_close(f->ctx, file);
    assert_int_equal(eas_keytab_load(f->pool, path, NULL, &loaded, &err), EAS_OK);
    unlink(path);
    return loaded;
}

/* Of an account that has the service's key. */
static struct eas_keytab *load_keytab(struct fixture *f, krb5_kvno vno)
{
    return load_keys(f, (krb5_keytab_entry){ .vno = vno, .key = f->key }, NULL);
}

static const char *text_of(const struct eas_token *token)
{
    return token->value + strlen("Negotiate ");
}

static enum eas_rc accept_text(struct fixture *f, const char *text, struct eas_negotiated *out,
                               struct eas_err *err)
{
    return eas_negotiate_accept(f->pool, load_keytab(f, KVNO), &realms, text, out, err);
}

static void assert_refused(struct fixture *f, const char *text, int tag)
{
    struct eas_negotiated out;
    struct eas_err err;

    assert_int_equal(accept_text(f, text, &out, &err), EAS_DENIED);
    assert_int_equal(err.tag, tag);
}

static void test_accepted(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    const krb5_creds *theirs = eas_ticket_creds(ticket), *ours;
    struct eas_token token = make_token(f, ticket);
    struct eas_negotiated out;
    struct eas_err err;

    assert_int_equal(accept_text(f, text_of(&token), &out, &err), EAS_OK);
    assert_string_equal(out.identity->principal, CLIENT);
    assert_int_equal(out.identity->authenticated_by, EAS_BY_TICKET);
    ours = eas_ticket_creds(out.identity->evidence);
    assert_int_equal(ours->ticket.length, theirs->ticket.length);
    assert_memory_equal(ours->ticket.data, theirs->ticket.data, theirs->ticket.length);
    assert_memory_equal(ours->keyblock.contents, theirs->keyblock.contents,
                        theirs->keyblock.length);
    assert_int_equal(ours->times.endtime, theirs->times.endtime);
    assert_true(krb5_principal_compare(f->ctx, ours->client, theirs->client));
    assert_int_equal(eas_token_verify(f->pool, token.pending,
                                      apr_pstrcat(f->pool, "Negotiate ", out.proof, NULL), &err),
                     EAS_OK);
}

/* The reply is verified after the pool of the text, which it does not need. */
static void test_text_that_ends_before_the_reply(void **state)
{
    struct fixture *f = *state;
    struct eas_token_request request = { f->by, make_ticket(f, 3600), no_binding, NULL };
    struct eas_negotiated out;
    struct eas_token token;
    struct eas_err err;

    assert_int_equal(apr_pool_create(&request.text_pool, f->pool), APR_SUCCESS);
    assert_int_equal(eas_token_make(f->maker, f->pool, &request, &token, &err), EAS_OK);
    assert_int_equal(accept_text(f, text_of(&token), &out, &err), EAS_OK);
    apr_pool_destroy(request.text_pool);
    assert_int_equal(eas_token_verify(f->pool, token.pending,
                                      apr_pstrcat(f->pool, "Negotiate ", out.proof, NULL), &err),
                     EAS_OK);
}

/* A changed token is refused, or it is that of the same user. */
static void test_changed_octets(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    struct eas_keytab *keytab = load_keytab(f, KVNO);
    struct eas_token token = make_token(f, ticket);
    struct der_text octets = octets_of(f, token.value);
    apr_size_t len = der_left(&octets), i;
    unsigned char *copy = apr_palloc(f->pool, len);
    struct eas_negotiated out;
    struct eas_err err;
    unsigned accepted = 0;

    for (i = 0; i < len; i++) {
        memcpy(copy, octets.at, len);
        copy[i] ^= (unsigned char)(1 << i % 8);
        if (eas_negotiate_accept(
                f->pool, keytab, &realms,
                apr_pencode_base64_binary(f->pool, copy, (apr_ssize_t)len, APR_ENCODE_NONE, NULL),
                &out, &err)
            == EAS_OK) {
            assert_string_equal(out.identity->principal, CLIENT);
            accepted++;
        }
    }
    assert_true(accepted < len / 4);
}

static void test_no_kerberos(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    struct eas_token token = make_token(f, ticket);

    assert_refused(f, "TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAKAGFKAAAADw==", 1171);
    assert_refused(f, "", 1172);
    assert_refused(f, "AAAA", 1172);
    assert_refused(f, "YIIB", 1172);
    assert_refused(f, "=", 1172);
    assert_refused(f, "a b", 1170);
    assert_refused(f, apr_pstrcat(f->pool, text_of(&token), ", Basic YTpi", NULL), 1170);
}

/* libkrb5's AP-REQ of a client whose clock differs; of SPNEGO, or Kerberos' alone. */
static const char *by_libkrb5(struct fixture *f, krb5_flags options, time_t offset, bool spnego)
{
    static const unsigned char frame[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
                                           0x12, 0x01, 0x02, 0x02, 0x01, 0x00 };
    krb5_creds *creds = eas_ticket_creds(make_ticket(f, 3600));
    krb5_auth_context auth = NULL;
    unsigned char room[2048];
    struct eas_der der = eas_der_begin(room, sizeof(room));
    krb5_context ctx;
    krb5_data ap_req;

    assert_int_equal(krb5_init_context(&ctx), 0);
    assert_int_equal(krb5_set_real_time(ctx, (krb5_timestamp)(time(NULL) + offset), 0), 0);
    assert_int_equal(krb5_mk_req_extended(ctx, &auth, options, NULL, creds, &ap_req), 0);
    eas_der_put(&der, ap_req.data, ap_req.length);
    if (spnego) {
        eas_spnego_wrap_init(&der);
    }
    else {
        eas_der_put(&der, frame, sizeof(frame));
        eas_der_wrap(&der, der.end, EAS_DER_APPLICATION(0));
    }
    krb5_free_data_contents(ctx, &ap_req);
    krb5_auth_con_free(ctx, auth);
    krb5_free_context(ctx);
    return apr_pencode_base64_binary(f->pool, der.at, (apr_ssize_t)(der.end - der.at),
                                     APR_ENCODE_NONE, NULL);
}

static void test_client_that_wants_no_proof(void **state)
{
    struct fixture *f = *state;
    struct eas_negotiated out;
    struct eas_err err;
    apr_size_t len;
    const unsigned char *proof;

    assert_int_equal(accept_text(f, by_libkrb5(f, 0, 0, true), &out, &err), EAS_OK);
    proof = apr_pdecode_base64_binary(f->pool, out.proof, APR_ENCODE_STRING, APR_ENCODE_NONE, &len);
    assert_true(eas_spnego_is_bare(eas_bytes_make(proof, len)));
    assert_int_equal(accept_text(f, by_libkrb5(f, 0, 0, false), &out, &err), EAS_OK);
    assert_null(out.proof);
}

/* In the form of the client's token. */
static void test_proof_without_spnego(void **state)
{
    struct fixture *f = *state;
    struct eas_negotiated out;
    struct eas_err err;

    assert_int_equal(accept_text(f, by_libkrb5(f, AP_OPTS_MUTUAL_REQUIRED, 0, false), &out, &err),
                     EAS_OK);
    assert_int_equal(*out.proof, 'Y'); /* 0x60 */
    assert_int_equal(accept_text(f, by_libkrb5(f, AP_OPTS_MUTUAL_REQUIRED, 0, true), &out, &err),
                     EAS_OK);
    assert_int_equal(*out.proof, 'o'); /* 0xa1 */
}

static void test_clocks(void **state)
{
    struct fixture *f = *state;
    struct eas_negotiated out;
    struct eas_err err;

    assert_int_equal(accept_text(f, by_libkrb5(f, 0, -200, true), &out, &err), EAS_OK);
    assert_refused(f, by_libkrb5(f, 0, -400, true), 1174);
    assert_refused(f, by_libkrb5(f, 0, 400, true), 1174);
}

static void test_ticket_that_is_over(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, -3600);
    struct eas_token token;

    eas_ticket_creds(ticket)->times.endtime += 7200; /* a client that does not know */
    token = make_token(f, ticket);
    assert_refused(f, text_of(&token), 1175);
}

static void test_key_of_another_account(void **state)
{
    struct fixture *f = *state;
    struct eas_token token = make_token(f, make_ticket(f, 3600));

    assert_int_equal(krb5_c_make_random_key(f->ctx, ENCTYPE, &f->key), 0);
    assert_refused(f, text_of(&token), 1173);
}

/* A keytab of several accounts: what is for one of them is not for the gateway. */
static void test_ticket_for_another_account_of_the_keytab(void **state)
{
    struct fixture *f = *state;
    struct eas_token token = make_token(f, make_ticket(f, 3600));
    krb5_keytab_entry own = { .vno = KVNO }, shared = { .vno = KVNO, .key = f->key };
    struct eas_negotiated out;
    struct eas_err err;
    int i;

    assert_int_equal(krb5_c_make_random_key(f->ctx, ENCTYPE, &own.key), 0);
    for (i = 0; i < 2; i++) {
        own.vno = KVNO + (krb5_kvno)i;
        assert_int_equal(eas_negotiate_accept(f->pool, load_keys(f, own, SERVICE), &realms,
                                              text_of(&token), &out, &err),
                         EAS_DENIED);
        assert_int_equal(err.tag, 1179);
    }
    krb5_free_keyblock_contents(f->ctx, &own.key);
    assert_int_equal(eas_negotiate_accept(f->pool, load_keys(f, shared, SERVICE), &realms,
                                          text_of(&token), &out, &err),
                     EAS_OK);
}

static void test_user_of_another_realm(void **state)
{
    static const struct eas_realms others = { "OTHER.TEST", NULL };
    struct fixture *f = *state;
    struct eas_token token = make_token(f, make_ticket(f, 3600));
    struct eas_negotiated out;
    struct eas_err err;

    assert_int_equal(
        eas_negotiate_accept(f->pool, load_keytab(f, KVNO), &others, text_of(&token), &out, &err),
        EAS_DENIED);
    assert_int_equal(err.tag, 1007);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_accepted),
        TOKEN_TEST(test_text_that_ends_before_the_reply),
        NATIVE_TEST(test_changed_octets),
        NATIVE_TEST(test_no_kerberos),
        NATIVE_TEST(test_client_that_wants_no_proof),
        NATIVE_TEST(test_proof_without_spnego),
        NATIVE_TEST(test_clocks),
        NATIVE_TEST(test_ticket_that_is_over),
        NATIVE_TEST(test_key_of_another_account),
        NATIVE_TEST(test_ticket_for_another_account_of_the_keytab),
        NATIVE_TEST(test_user_of_another_realm),
    };

    return cmocka_run_group_tests(tests, krb5_files_start, krb5_files_end);
}
