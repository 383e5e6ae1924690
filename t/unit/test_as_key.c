/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_as_key.c - Key of a password in an AS exchange, called as libkrb5 calls it */

#include "t/unit/unit.h"

#include "auth/kerberos/as_key.h"

#include <string.h>

#define SALT "EAS.TESTalice"
#define ENTRY_RC4 "\x30\x05\xa0\x03\x02\x01\x17"
#define ENTRY_AES256 "\x30\x16\xa0\x03\x02\x01\x12\xa1\x0f\x1b\x0d" SALT
#define ENTRY_AES128 "\x30\x16\xa0\x03\x02\x01\x11\xa1\x0f\x1b\x0d" SALT
#define ENTRY_BARE "\x30\x05\xa0\x03\x02\x01\x12"
#define ENTRY_WEAK "\x30\x1e\xa0\x03\x02\x01\x12\xa1\x0f\x1b\x0d" SALT "\xa2\x06\x04\x04\0\0\0\1"

#define BYTES(octets)                                       \
    {                                                       \
        (const unsigned char *)(octets), sizeof(octets) - 1 \
    }

static const struct eas_bytes all = BYTES("\x30\x37" ENTRY_RC4 ENTRY_AES256 ENTRY_AES128);

/* The stand-in for libkrb5. */
static struct {
    krb5_enctype enctype; /* that libkrb5 has chosen */
    unsigned calls, len;
    unsigned char key[EAS_STRING_TO_KEY_MAX];
} seen;

static krb5_enctype get_etype(krb5_context ctx, krb5_clpreauth_rock rock)
{
    (void)ctx;
    (void)rock;
    return seen.enctype;
}

static krb5_error_code set_as_key(krb5_context ctx, krb5_clpreauth_rock rock,
                                  const krb5_keyblock *key)
{
    (void)ctx;
    (void)rock;
    seen.calls++;
    seen.len = key->length;
    assert_int_equal(key->enctype, seen.enctype);
    memcpy(seen.key, key->contents, key->length);
    return 0;
}

/* Whether a key was set.  The plugin makes no padata, and never fails. */
static bool process(krb5_enctype enctype, struct eas_bytes etype_info2)
{
    struct krb5_clpreauth_callbacks_st callbacks = { .vers = 3,
                                                     .get_etype = get_etype,
                                                     .set_as_key = set_as_key };
    struct krb5_clpreauth_vtable_st table = { 0 };
    krb5_pa_data padata = { .pa_type = KRB5_PADATA_ETYPE_INFO2,
                            .length = (unsigned)etype_info2.len,
                            .contents = (krb5_octet *)etype_info2.at };
    krb5_pa_data **made = NULL;

    memset(&seen, 0, sizeof(seen));
    seen.enctype = enctype;
    assert_int_equal(clpreauth_eas_kcd_initvt(NULL, 1, 2, (krb5_plugin_vtable)&table), 0);
    assert_int_equal(table.flags(NULL, KRB5_PADATA_ETYPE_INFO2), PA_INFO);
    assert_int_equal(table.process(NULL, NULL, NULL, NULL, &callbacks, NULL, NULL, NULL, NULL,
                                   &padata, NULL, NULL, &made),
                     0);
    assert_null(made);
    return seen.calls == 1;
}

static void test_key_of_the_enctype_that_libkrb5_has_chosen(void **state)
{
    static const krb5_enctype enctypes[] = { ENCTYPE_AES256_CTS_HMAC_SHA1_96,
                                             ENCTYPE_AES128_CTS_HMAC_SHA1_96 };
    static const krb5_data password = { 0, 6, (char *)"secret" }, salt = { 0, 13, (char *)SALT };
    krb5_context ctx;
    size_t i;

    (void)state;
    assert_int_equal(krb5_init_context(&ctx), 0);
    for (i = 0; i < COUNT_OF(enctypes); i++) {
        struct eas_kdc_as as = { .password = "secret", .is_error = true };
        krb5_keyblock theirs = { 0 };

        eas_as_key_set_exchange(&as);
        assert_true(process(enctypes[i], all));
        assert_int_equal(krb5_c_string_to_key(ctx, enctypes[i], &password, &salt, &theirs), 0);
        assert_int_equal(seen.len, theirs.length);
        assert_memory_equal(seen.key, theirs.contents, theirs.length);
        krb5_free_keyblock_contents(ctx, &theirs);
    }
    eas_as_key_set_exchange(NULL);
    krb5_free_context(ctx);
}

/* A mechanism may have replaced the first one. */
static void test_one_key_of_an_exchange(void **state)
{
    struct eas_kdc_as as = { .password = "secret", .is_error = true };

    (void)state;
    eas_as_key_set_exchange(&as);
    assert_true(process(ENCTYPE_AES256_CTS_HMAC_SHA1_96, all));
    assert_false(process(ENCTYPE_AES256_CTS_HMAC_SHA1_96, all));
    eas_as_key_set_exchange(NULL);
}

static void test_keys_that_are_left_to_libkrb5(void **state)
{
    static const struct {
        krb5_enctype enctype;
        struct eas_bytes etype_info2;
    } rows[] = {
        { ENCTYPE_ARCFOUR_HMAC, BYTES("\x30\x37" ENTRY_RC4 ENTRY_AES256 ENTRY_AES128) },
        { ENCTYPE_AES128_CTS_HMAC_SHA1_96, BYTES("\x30\x18" ENTRY_AES256) },
        { ENCTYPE_AES256_CTS_HMAC_SHA384_192, BYTES("\x30\x18" ENTRY_AES256) },
        { ENCTYPE_AES256_CTS_HMAC_SHA1_96, BYTES("\x30\x20" ENTRY_WEAK) },
        { ENCTYPE_AES256_CTS_HMAC_SHA1_96, BYTES("\x30\x1f" ENTRY_BARE ENTRY_AES256) },
        { ENCTYPE_AES256_CTS_HMAC_SHA1_96, BYTES("\x30\x18" ENTRY_AES256 "x") },
        { ENCTYPE_AES256_CTS_HMAC_SHA1_96, BYTES("x") },
        { ENCTYPE_AES256_CTS_HMAC_SHA1_96, BYTES("") },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_kdc_as as = { .password = "secret", .is_error = true };

        eas_as_key_set_exchange(&as);
        assert_false(process(rows[i].enctype, rows[i].etype_info2));
    }
    eas_as_key_set_exchange(NULL);
}

/* Other exchanges: the gateway's by its keytab, another plugin user's, a user without a proof. */
static void test_no_password_to_make_a_key_of(void **state)
{
    struct eas_kdc_as of_keytab = { .is_error = true }, reply = { .password = "secret" };

    (void)state;
    assert_false(process(ENCTYPE_AES256_CTS_HMAC_SHA1_96, all));
    eas_as_key_set_exchange(&of_keytab);
    assert_false(process(ENCTYPE_AES256_CTS_HMAC_SHA1_96, all));
    eas_as_key_set_exchange(&reply);
    assert_false(process(ENCTYPE_AES256_CTS_HMAC_SHA1_96, all));
    eas_as_key_set_exchange(NULL);
}

static void test_other_version_of_the_interface(void **state)
{
    struct krb5_clpreauth_vtable_st table = { 0 };

    (void)state;
    assert_int_equal(clpreauth_eas_kcd_initvt(NULL, 2, 1, (krb5_plugin_vtable)&table),
                     KRB5_PLUGIN_VER_NOTSUPP);
    assert_null(eas_as_key_plugin());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_of_the_enctype_that_libkrb5_has_chosen),
        cmocka_unit_test(test_one_key_of_an_exchange),
        cmocka_unit_test(test_keys_that_are_left_to_libkrb5),
        cmocka_unit_test(test_no_password_to_make_a_key_of),
        cmocka_unit_test(test_other_version_of_the_interface),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
