/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_ticket_key.c - Session key for the AP exchange, against libk5crypto */

#include "t/unit/kdc_by_hand.h"
#include "t/unit/unit.h"

#include "auth/kerberos/ticket_key.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST 300
#define ROOM (LONGEST + 64)

struct fixture {
    krb5_context ctx;
    krb5_keyblock session;
    struct eas_ticket_key *key;
};

static struct fixture start(krb5_enctype enctype)
{
    struct fixture f;

    assert_int_equal(krb5_init_context(&f.ctx), 0);
    assert_int_equal(krb5_c_make_random_key(f.ctx, enctype, &f.session), 0);
    assert_int_equal(eas_ticket_key_make(f.ctx, &f.session, &f.key), 0);
    assert_int_equal(eas_ticket_key_enctype(f.key), enctype);
    return f;
}

static void end(struct fixture *f)
{
    eas_ticket_key_free(f->key);
    krb5_free_keyblock_contents(f->ctx, &f->session);
    krb5_free_context(f->ctx);
}

static krb5_data octets(char *room, unsigned len)
{
    krb5_data data = { 0, len, room };
    unsigned i;

    for (i = 0; i < len; i++) {
        room[i] = (char)(i * 7 + 1);
    }
    return data;
}

/* Lengths around several blocks, because ciphertext stealing swaps the last two. */
static void test_libk5crypto_decrypts_authenticators(void **state)
{
    char plain[LONGEST], cipher[ROOM], read[ROOM];
    size_t i, len;
    unsigned n;

    (void)state;
    for (i = 0; i < COUNT_OF(session_enctypes); i++) {
        struct fixture f = start(session_enctypes[i]);

        for (n = 1; n <= LONGEST; n += n < 70 ? 1 : 23) {
            krb5_data in = octets(plain, n), out = { 0, 0, cipher }, result = { 0, ROOM, read };
            krb5_enc_data sent = { 0, session_enctypes[i], 0, { 0, 0, cipher } };

            assert_int_equal(eas_ticket_key_cipher_length(f.ctx, f.key, n, &len), 0);
            sent.ciphertext.length = out.length = (unsigned)len;
            assert_int_equal(eas_ticket_key_encrypt(f.ctx, f.key, &in, &out), 0);
            assert_int_equal(
                krb5_c_decrypt(f.ctx, &f.session, USAGE_AUTHENTICATOR, NULL, &sent, &result), 0);
            assert_memory_equal(read, plain, n);
        }
        end(&f);
    }
}

/* No octet of the buffer is used twice, whatever the lengths are. */
static void test_random_octets_differ(void **state)
{
    static const size_t pieces[] = { 36, 16, 128, 1, 128, 100 };
    unsigned char seen[200][4];
    struct fixture f = start(session_enctypes[0]);
    size_t n, i;

    (void)state;
    for (n = 0; n < COUNT_OF(seen); n++) {
        unsigned char piece[128] = { 0 };
        size_t len = pieces[n % COUNT_OF(pieces)];

        assert_int_equal(eas_ticket_key_random(f.ctx, f.key, piece, len), 0);
        assert_true(len == 1 || memcmp(piece + len / 2, "\0\0\0\0\0\0\0", 8) != 0);
        memcpy(seen[n], piece, 4);
        for (i = 0; i < n && len > 1; i++) {
            assert_memory_not_equal(seen[i], piece, 4);
        }
    }
    end(&f);
}

static void test_ciphertexts_differ(void **state)
{
    char plain[48], one[ROOM], two[ROOM];
    krb5_data in = octets(plain, sizeof(plain)), out;
    struct fixture f = start(session_enctypes[0]);

    (void)state;
    out = (krb5_data){ 0, 16 + sizeof(plain) + 12, one };
    assert_int_equal(eas_ticket_key_encrypt(f.ctx, f.key, &in, &out), 0);
    out.data = two;
    assert_int_equal(eas_ticket_key_encrypt(f.ctx, f.key, &in, &out), 0);
    assert_memory_not_equal(one, two, 16);
    end(&f);
}

/* Octets encrypted by libk5crypto for this usage. */
static krb5_enc_data encrypted_for(struct fixture *f, krb5_keyusage usage, unsigned len,
                                   char *cipher)
{
    char plain[LONGEST];
    krb5_data in = octets(plain, len);
    krb5_enc_data out = { 0, 0, 0, { 0, ROOM, cipher } };

    assert_int_equal(krb5_c_encrypt(f->ctx, &f->session, usage, NULL, &in, &out), 0);
    return out;
}

static krb5_error_code decrypt(struct fixture *f, const krb5_enc_data *cipher, krb5_data *plain)
{
    static unsigned char room[ROOM];

    return eas_ticket_key_decrypt(f->ctx, f->key, cipher, room, plain);
}

static void test_replies_of_libk5crypto_are_decrypted(void **state)
{
    char cipher[ROOM], expected[LONGEST];
    size_t i;
    unsigned n;

    (void)state;
    for (i = 0; i < COUNT_OF(session_enctypes); i++) {
        struct fixture f = start(session_enctypes[i]);

        for (n = 1; n <= LONGEST; n += n < 70 ? 1 : 23) {
            krb5_enc_data in = encrypted_for(&f, USAGE_AP_REP, n, cipher);
            krb5_data plain;

            assert_int_equal(decrypt(&f, &in, &plain), 0);
            assert_true(plain.length >= n);
            octets(expected, n);
            assert_memory_equal(plain.data, expected, n);
        }
        end(&f);
    }
}

static void test_damaged_replies_are_refused(void **state)
{
    char cipher[ROOM];
    krb5_data plain;
    size_t i;
    unsigned at;

    (void)state;
    for (i = 0; i < COUNT_OF(session_enctypes); i++) {
        struct fixture f = start(session_enctypes[i]), other = start(session_enctypes[i]);
        krb5_enc_data in = encrypted_for(&f, USAGE_AP_REP, 40, cipher);
        unsigned len = in.ciphertext.length;

        for (at = 0; at < len; at++) {
            cipher[at] ^= 0x10;
            assert_int_not_equal(decrypt(&f, &in, &plain), 0);
            cipher[at] ^= 0x10;
        }
        for (in.ciphertext.length = 0; in.ciphertext.length < len; in.ciphertext.length++) {
            assert_int_not_equal(decrypt(&f, &in, &plain), 0);
        }
        assert_int_not_equal(decrypt(&other, &in, &plain), 0);
        in.enctype = session_enctypes[(i + 1) % COUNT_OF(session_enctypes)];
        assert_int_not_equal(decrypt(&f, &in, &plain), 0);
        in = encrypted_for(&f, USAGE_AUTHENTICATOR, 40, cipher); /* the right key, another usage */
        assert_int_not_equal(decrypt(&f, &in, &plain), 0);
        in = encrypted_for(&f, USAGE_AP_REP, 40, cipher);
        assert_int_equal(decrypt(&f, &in, &plain), 0); /* the failures have no effect */
        end(&other);
        end(&f);
    }
}

static void test_key_of_wrong_length(void **state)
{
    unsigned char contents[32] = { 0 };
    krb5_keyblock half = { 0, ENCTYPE_AES256_CTS_HMAC_SHA1_96, 16, contents };
    char room[64];
    krb5_data plain = octets(room, 16), cipher = { 0, 44, room };
    struct eas_ticket_key *key;

    (void)state;
    /* libk5crypto checks the length when the key is used. */
    if (eas_ticket_key_make(NULL, &half, &key) == 0) {
        assert_int_not_equal(eas_ticket_key_encrypt(NULL, key, &plain, &cipher), 0);
        eas_ticket_key_free(key);
    }
    eas_ticket_key_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_libk5crypto_decrypts_authenticators),
        cmocka_unit_test(test_random_octets_differ),
        cmocka_unit_test(test_ciphertexts_differ),
        cmocka_unit_test(test_replies_of_libk5crypto_are_decrypted),
        cmocka_unit_test(test_damaged_replies_are_refused),
        cmocka_unit_test(test_key_of_wrong_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
