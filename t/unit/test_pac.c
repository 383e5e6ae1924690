/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_pac.c - PAC of a ticket for the gateway: which are believed */

#include "t/unit/krb5_files.h"
#include "t/unit/logon_infos.h"
#include "t/unit/seals.h"
#include "t/unit/unit.h"

#include "auth/kerberos/pac.h"
#include "auth/kerberos/ticket.h"

#define GATEWAY "gateway@" REALM
#define CLIENT "bob@" REALM
#define AUTHTIME 1700000000

/* libkrb5 exports these for KDCs, and declares them nowhere. */
krb5_error_code krb5_encrypt_tkt_part(krb5_context ctx, const krb5_keyblock *key,
                                      krb5_ticket *ticket);
krb5_error_code encode_krb5_ticket(const krb5_ticket *ticket, krb5_data **out);

struct fixture {
    apr_pool_t *pool;
    krb5_context ctx;
    krb5_keytab_entry entry; /* of the keytab file */
    struct eas_keytab *keytab;
};

/* A ticket, and what differs from what a KDC does. */
struct made {
    const char *client;        /* whom the PAC is for; NULL: no PAC */
    const krb5_keyblock *sign; /* the key of its signature */
    bool twice;                /* the same PAC again */
    bool garbage;              /* no LOGON_INFO that is one */
};

static int start_test(void **state)
{
    static struct fixture fixture;
    struct fixture *f = *state = &fixture;
    char name[128];
    krb5_keytab file;
    struct eas_err err;

    memset(f, 0, sizeof(*f));
    assert_int_equal(apr_pool_create(&f->pool, NULL), APR_SUCCESS);
    assert_int_equal(krb5_init_context(&f->ctx), 0);
    assert_int_equal(krb5_parse_name(f->ctx, GATEWAY, &f->entry.principal), 0);
    f->entry.vno = 3;
    assert_int_equal(krb5_c_make_random_key(f->ctx, ENCTYPE_AES256_CTS_HMAC_SHA1_96, &f->entry.key),
                     0);
    snprintf(name, sizeof(name), "FILE:%s", krb5_path("pac.keytab"));
    assert_int_equal(krb5_kt_resolve(f->ctx, name, &file), 0);
    assert_int_equal(krb5_kt_add_entry(f->ctx, file, &f->entry), 0);
    krb5_kt_close(f->ctx, file);
    assert_int_equal(eas_keytab_load(f->pool, krb5_path("pac.keytab"), NULL, &f->keytab, &err),
                     EAS_OK);
    return 0;
}

static int end_test(void **state)
{
    struct fixture *f = *state;

    krb5_free_keytab_entry_contents(f->ctx, &f->entry);
    krb5_free_context(f->ctx);
    apr_pool_destroy(f->pool);
    unlink(krb5_path("pac.keytab"));
    return 0;
}

static krb5_principal principal(struct fixture *f, const char *name)
{
    krb5_principal made;

    assert_int_equal(krb5_parse_name(f->ctx, name, &made), 0);
    return made;
}

static void add_buffer(struct fixture *f, krb5_pac pac, krb5_ui_4 type, struct eas_bytes octets)
{
    const krb5_data data = { 0, (unsigned)octets.len, (char *)octets.at };

    assert_int_equal(krb5_pac_add_buffer(f->ctx, pac, type, &data), 0);
}

static krb5_data sign_pac(struct fixture *f, const struct made *made)
{
    static const unsigned char upn[] = { 6, 0, 16, 0, 0, 0,   0, 0,   0, 0,   0,
                                         0, 0, 0,  0, 0, 'b', 0, '@', 0, 'c', 0 };
    struct logon_infos_parts parts = { .name = eas_bytes_make("b\0o\0b", 6), .flags = 0x4000 };
    krb5_principal client = principal(f, made->client);
    krb5_data signed_pac;
    krb5_pac pac;

    assert_int_equal(krb5_pac_init(f->ctx, &pac), 0);
    add_buffer(f, pac, KRB5_PAC_LOGON_INFO,
               made->garbage ? eas_bytes_of_text("no logon info")
                             : logon_infos_make(f->pool, &parts));
    add_buffer(f, pac, KRB5_PAC_UPN_DNS_INFO, eas_bytes_make(upn, sizeof(upn)));
    assert_int_equal(
        krb5_pac_sign(f->ctx, pac, AUTHTIME, client, made->sign, made->sign, &signed_pac), 0);
    krb5_pac_free(f->ctx, pac);
    krb5_free_principal(f->ctx, client);
    return signed_pac;
}

/* AD-IF-RELEVANT around the PAC, as KDCs have it. */
static krb5_authdata **wrap_pac(struct fixture *f, const struct made *made)
{
    krb5_data pac = sign_pac(f, made);
    krb5_authdata one = { KV5M_AUTHDATA, KRB5_AUTHDATA_WIN2K_PAC, pac.length,
                          (krb5_octet *)pac.data };
    krb5_authdata *list[] = { &one, made->twice ? &one : NULL, NULL }, **wrapped;

    assert_int_equal(
        krb5_encode_authdata_container(f->ctx, KRB5_AUTHDATA_IF_RELEVANT, list, &wrapped), 0);
    krb5_free_data_contents(f->ctx, &pac);
    return wrapped;
}

static struct eas_ticket *make_ticket(struct fixture *f, const struct made *made, krb5_kvno kvno)
{
    krb5_enc_tkt_part part = { .client = principal(f, CLIENT),
                               .session = &f->entry.key,
                               .times = { .authtime = AUTHTIME, .endtime = AUTHTIME + 3600 } };
    krb5_ticket ticket = { .server = f->entry.principal, .enc_part2 = &part };
    krb5_data *encoded;
    krb5_creds creds;

    if (made->client != NULL) {
        part.authorization_data = wrap_pac(f, made);
    }
    assert_int_equal(krb5_encrypt_tkt_part(f->ctx, &f->entry.key, &ticket), 0);
    ticket.enc_part.kvno = kvno;
    assert_int_equal(encode_krb5_ticket(&ticket, &encoded), 0);
    memset(&creds, 0, sizeof(creds));
    creds.ticket = *encoded;
    free(encoded);
    krb5_free_data_contents(f->ctx, &ticket.enc_part.ciphertext);
    krb5_free_authdata(f->ctx, part.authorization_data);
    krb5_free_principal(f->ctx, part.client);
    return eas_ticket_to_pool(eas_ticket_take(&creds), f->pool);
}

static void test_signed(void **state)
{
    struct fixture *f = *state;
    const struct made made = { .client = CLIENT, .sign = &f->entry.key };
    const struct eas_ticket *ticket = make_ticket(f, &made, 3);
    const struct eas_pac *pac = eas_ticket_pac(ticket, f->ctx, f->keytab);

    assert_non_null(pac);
    assert_null(pac->fault);
    assert_string_equal(pac->account, "bob");
    assert_string_equal(pac->upn, "b@c");
    assert_true(pac->logon_info.sensitive);
    assert_ptr_equal(eas_ticket_pac(ticket, NULL, f->keytab), pac);
    assert_string_equal(eas_ticket_pac(make_ticket(f, &made, 3), NULL, f->keytab)->account, "bob");
}

/* Nothing is taken from a PAC that this client could have put there. */
static void test_not_believed(void **state)
{
    struct fixture *f = *state;
    krb5_keyblock other;
    const struct {
        struct made made;
        const char *fault;
    } rows[] = {
        { { .client = NULL }, "has no PAC" },
        { { .client = CLIENT, .sign = &other }, "not signed" },
        { { .client = "alice@" REALM, .sign = &f->entry.key }, "not signed" },
        { { .client = CLIENT, .sign = &f->entry.key, .twice = true }, "has no PAC" },
        { { .client = CLIENT, .sign = &f->entry.key, .garbage = true }, "malformed" },
    };
    size_t i;

    assert_int_equal(krb5_c_make_random_key(f->ctx, ENCTYPE_AES256_CTS_HMAC_SHA1_96, &other), 0);
    for (i = 0; i < COUNT_OF(rows); i++) {
        const struct eas_pac *pac =
            eas_ticket_pac(make_ticket(f, &rows[i].made, 3), f->ctx, f->keytab);

        assert_non_null(pac);
        assert_non_null(strstr(pac->fault, rows[i].fault));
        assert_true(pac->account == NULL && pac->upn == NULL && !pac->logon_info.sensitive);
    }
    krb5_free_keyblock_contents(f->ctx, &other);
}

/* The verification of a password has decrypted the ticket already. */
static void test_of_a_decrypted_ticket(void **state)
{
    struct fixture *f = *state;
    const struct made made = { .client = CLIENT, .sign = &f->entry.key };
    const struct eas_ticket *ticket = make_ticket(f, &made, 3), *unread = make_ticket(f, &made, 4);
    krb5_keytab keys = eas_keytab_handle(f->keytab);
    krb5_const_principal us = eas_keytab_principal(f->keytab);
    struct eas_pac *pac;
    krb5_ticket *decoded;

    assert_int_equal(krb5_decode_ticket(&eas_ticket_creds(ticket)->ticket, &decoded), 0);
    assert_int_equal(krb5_server_decrypt_ticket_keytab(f->ctx, keys, decoded), 0);
    pac = eas_pac_of_decrypted(f->ctx, keys, us, decoded);
    assert_string_equal(pac->account, "bob");
    eas_ticket_keep_pac(unread, NULL);
    assert_null(eas_ticket_pac(unread, f->ctx, f->keytab));
    eas_ticket_keep_pac(unread, pac);
    assert_ptr_equal(eas_ticket_pac(unread, f->ctx, f->keytab), pac);
    eas_ticket_keep_pac(unread, eas_pac_of_decrypted(f->ctx, keys, us, decoded));
    assert_ptr_equal(eas_ticket_pac(unread, f->ctx, f->keytab), pac);
    decoded->enc_part.kvno = 4;
    assert_null(eas_pac_of_decrypted(f->ctx, keys, us, decoded));
    krb5_free_ticket(f->ctx, decoded);
}

static void test_not_decrypted(void **state)
{
    struct fixture *f = *state;
    const struct made made = { .client = CLIENT, .sign = &f->entry.key };
    const krb5_data garbage = { 0, 4, (char *)"abcd" };

    assert_null(eas_ticket_pac(make_ticket(f, &made, 4), f->ctx, f->keytab));
    assert_null(eas_pac_read(f->ctx, f->keytab, &garbage));
}

/* A key that the parent process has read, and this process has had no use for yet. */
static void test_key_that_is_new(void **state)
{
    struct fixture *f = *state;
    const struct made made = { .client = CLIENT, .sign = &f->entry.key };
    const struct eas_ticket *ticket = make_ticket(f, &made, 4);
    struct eas_keyring *ring = ring_of(f->pool, "a");
    void *memory = apr_pcalloc(f->pool, eas_keytab_share_size());
    krb5_keytab changed;
    struct eas_err err;

    eas_keytab_attach(f->keytab, eas_keytab_share_create(f->pool, memory, ring, "x"));
    assert_null(eas_ticket_pac(ticket, f->ctx, f->keytab));
    f->entry.vno = 4;
    assert_int_equal(krb5_kt_resolve(f->ctx, "MEMORY:changed", &changed), 0);
    assert_int_equal(krb5_kt_add_entry(f->ctx, changed, &f->entry), 0);
    assert_int_equal(eas_keytab_share_put(eas_keytab_share_create(f->pool, memory, ring, "x"),
                                          f->ctx, changed, &err),
                     EAS_OK);
    assert_non_null(eas_ticket_pac(ticket, f->ctx, f->keytab));
    krb5_kt_close(f->ctx, changed);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, start_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_signed),        CASE(test_not_believed),    CASE(test_of_a_decrypted_ticket),
        CASE(test_not_decrypted), CASE(test_key_that_is_new),
    };

    return cmocka_run_group_tests(tests, krb5_files_start, krb5_files_end);
}
