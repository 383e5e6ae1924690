/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_service_tgt.c - the gateway's own TGT: evidence whose key the KDC has forgotten */

#include "t/unit/krb5_files.h"
#include "t/unit/tickets.h"
#include "t/unit/unit.h"

#include "auth/kerberos/service_tgt.h"

#define GATEWAY "gateway@" REALM
#define OLD 1000u
#define END 4000000000u

/* libkrb5 exports this for KDCs, and declares it nowhere. */
krb5_error_code encode_krb5_ticket(const krb5_ticket *ticket, krb5_data **out);

struct fixture {
    apr_pool_t *pool;
    krb5_context ctx;
    krb5_keytab_entry entry;
    struct eas_service_tgt *service_tgt; /* of a keytab with the versions 3 and 4 */
};

static int start_test(void **state)
{
    static struct fixture fixture;
    struct fixture *f = *state = &fixture;
    struct eas_keytab *keytab;
    char name[128];
    krb5_keytab file;
    struct eas_err err;

    memset(f, 0, sizeof(*f));
    assert_int_equal(apr_pool_create(&f->pool, NULL), APR_SUCCESS);
    assert_int_equal(krb5_init_context(&f->ctx), 0);
    assert_int_equal(krb5_parse_name(f->ctx, GATEWAY, &f->entry.principal), 0);
    assert_int_equal(krb5_c_make_random_key(f->ctx, ENCTYPE_AES256_CTS_HMAC_SHA1_96, &f->entry.key),
                     0);
    snprintf(name, sizeof(name), "FILE:%s", krb5_path("tgt.keytab"));
    assert_int_equal(krb5_kt_resolve(f->ctx, name, &file), 0);
    for (f->entry.vno = 3; f->entry.vno <= 4; f->entry.vno++) {
        assert_int_equal(krb5_kt_add_entry(f->ctx, file, &f->entry), 0);
    }
    krb5_kt_close(f->ctx, file);
    assert_int_equal(eas_keytab_load(f->pool, name, NULL, &keytab, &err), EAS_OK);
    f->service_tgt = eas_service_tgt_create(f->pool, keytab);
    return 0;
}

static int end_test(void **state)
{
    struct fixture *f = *state;

    krb5_free_keytab_entry_contents(f->ctx, &f->entry);
    krb5_free_context(f->ctx);
    apr_pool_destroy(f->pool);
    unlink(krb5_path("tgt.keytab"));
    return 0;
}

static struct eas_ticket *evidence(struct fixture *f, krb5_kvno kvno, uint32_t start)
{
    krb5_ticket ticket = {
        .server = f->entry.principal,
        .enc_part = { .enctype = ENCTYPE_AES256_CTS_HMAC_SHA1_96,
                      .kvno = kvno,
                      .ciphertext = { .length = 1, .data = (char *)"x" } },
    };
    krb5_creds creds = tickets_creds(start, start, END);
    krb5_data *encoded;

    assert_int_equal(encode_krb5_ticket(&ticket, &encoded), 0);
    free(creds.ticket.data);
    creds.ticket = *encoded;
    free(encoded);
    return eas_ticket_to_pool(eas_ticket_take(&creds), f->pool);
}

static uint32_t later(void)
{
    return (uint32_t)apr_time_sec(apr_time_now()) + 1;
}

/* That of the newest key is none: the KDC has another reason. */
static void test_what_is_old(void **state)
{
    struct fixture *f = *state;

    assert_false(eas_service_tgt_note_old_evidence(f->service_tgt, f->ctx, evidence(f, 4, OLD)));
    assert_false(eas_service_tgt_note_old_evidence(f->service_tgt, f->ctx, evidence(f, 5, OLD)));
    assert_false(eas_service_tgt_is_void(f->service_tgt, evidence(f, 4, OLD)));
    assert_false(eas_service_tgt_is_void(f->service_tgt, evidence(f, 3, OLD)));
    assert_true(eas_service_tgt_note_old_evidence(f->service_tgt, f->ctx, evidence(f, 3, OLD)));
}

static void test_old_keys_are_void(void **state)
{
    struct fixture *f = *state;

    assert_true(eas_service_tgt_note_old_evidence(f->service_tgt, f->ctx, evidence(f, 3, OLD)));
    assert_true(eas_service_tgt_note_old_evidence(f->service_tgt, f->ctx, evidence(f, 2, OLD)));
    assert_true(eas_service_tgt_is_void(f->service_tgt, evidence(f, 2, OLD)));
    assert_true(eas_service_tgt_is_void(f->service_tgt, evidence(f, 3, OLD + 1)));
    assert_false(eas_service_tgt_is_void(f->service_tgt, evidence(f, 4, OLD)));
}

/*
 * A KDC that issues evidence with the key after the refusal knows the key: the keytab has the next one before
 * the account, or the refusal had another reason.
 */
static void test_later_evidence_is_valid(void **state)
{
    struct fixture *f = *state;

    assert_true(eas_service_tgt_note_old_evidence(f->service_tgt, f->ctx, evidence(f, 3, OLD)));
    assert_false(eas_service_tgt_is_void(f->service_tgt, evidence(f, 3, later())));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, start_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_is_old),
        CASE(test_old_keys_are_void),
        CASE(test_later_evidence_is_valid),
    };

    return cmocka_run_group_tests(tests, krb5_files_start, krb5_files_end);
}
