/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_string_to_key.c - Key of a password, against RFC 3962 and libk5crypto */

#include "t/unit/unit.h"

#include "auth/kerberos/string_to_key.h"

#include <stdlib.h>
#include <string.h>

#define X16 "XXXXXXXXXXXXXXXX"
#define G_CLEF "\xf0\x9d\x84\x9e"

/* RFC 3962, appendix B. */
static const struct {
    const char *password, *salt;
    uint32_t iterations;
    const char *aes128, *aes256;
} vectors[] = {
    { "password", "ATHENA.MIT.EDUraeburn", 1,
      "\x42\x26\x3c\x6e\x89\xf4\xfc\x28\xb8\xdf\x68\xee\x09\x79\x9f\x15",
      "\xfe\x69\x7b\x52\xbc\x0d\x3c\xe1\x44\x32\xba\x03\x6a\x92\xe6\x5b\xbb\x52\x28\x09\x90\xa2\xfa\x27\x88\x39\x98\xd7\x2a\xf3\x01\x61" },
    { "password", "ATHENA.MIT.EDUraeburn", 2,
      "\xc6\x51\xbf\x29\xe2\x30\x0a\xc2\x7f\xa4\x69\xd6\x93\xbd\xda\x13",
      "\xa2\xe1\x6d\x16\xb3\x60\x69\xc1\x35\xd5\xe9\xd2\xe2\x5f\x89\x61\x02\x68\x56\x18\xb9\x59\x14\xb4\x67\xc6\x76\x22\x22\x58\x24\xff" },
    { "password", "ATHENA.MIT.EDUraeburn", 1200,
      "\x4c\x01\xcd\x46\xd6\x32\xd0\x1e\x6d\xbe\x23\x0a\x01\xed\x64\x2a",
      "\x55\xa6\xac\x74\x0a\xd1\x7b\x48\x46\x94\x10\x51\xe1\xe8\xb0\xa7\x54\x8d\x93\xb0\xab\x30\xa8\xbc\x3f\xf1\x62\x80\x38\x2b\x8c\x2a" },
    { "password", "\x12\x34\x56\x78\x78\x56\x34\x12", 5,
      "\xe9\xb2\x3d\x52\x27\x37\x47\xdd\x5c\x35\xcb\x55\xbe\x61\x9d\x8e",
      "\x97\xa4\xe7\x86\xbe\x20\xd8\x1a\x38\x2d\x5e\xbc\x96\xd5\x90\x9c\xab\xcd\xad\xc8\x7c\xa4\x8f\x57\x45\x04\x15\x9f\x16\xc3\x6e\x31" },
    { X16 X16 X16 X16, "pass phrase equals block size", 1200,
      "\x59\xd1\xbb\x78\x9a\x82\x8b\x1a\xa5\x4e\xf9\xc2\x88\x3f\x69\xed",
      "\x89\xad\xee\x36\x08\xdb\x8b\xc7\x1f\x1b\xfb\xfe\x45\x94\x86\xb0\x56\x18\xb7\x0c\xba\xe2\x20\x92\x53\x4e\x56\xc5\x53\xba\x4b\x34" },
    { X16 X16 X16 X16 "X", "pass phrase exceeds block size", 1200,
      "\xcb\x80\x05\xdc\x5f\x90\x17\x9a\x7f\x02\x10\x4c\x00\x18\x75\x1d",
      "\xd7\x8c\x5c\x9c\xb8\x72\xa8\xc9\xda\xd4\x69\x7f\x0b\xb5\xb2\xd2\x14\x96\xc8\x2b\xeb\x2c\xae\xda\x21\x12\xfc\xee\xa0\x57\x40\x1b" },
    { G_CLEF, "EXAMPLE.COMpianist", 50,
      "\xf1\x49\xc1\xf2\xe1\x54\xa7\x34\x52\xd4\x3e\x7f\xe6\x2a\x56\xe5",
      "\x4b\x6d\x98\x39\xf8\x44\x06\xdf\x1f\x09\xcc\x16\x6d\xb4\xb8\x3c\x57\x18\x48\xb7\x84\xa3\xd6\xbd\xc3\x46\x58\x9a\x3e\x39\x3f\x9e" },
};

static size_t make(krb5_enctype enctype, struct eas_bytes password, struct eas_bytes salt,
                   uint32_t iterations, unsigned char key[EAS_STRING_TO_KEY_MAX])
{
    const struct eas_string_to_key parameters = { enctype, salt, iterations };

    return eas_string_to_key(&parameters, password, key);
}

static void test_known_answers(void **state)
{
    unsigned char key[EAS_STRING_TO_KEY_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(vectors); i++) {
        struct eas_bytes password = eas_bytes_of_text(vectors[i].password);
        struct eas_bytes salt = eas_bytes_of_text(vectors[i].salt);

        assert_int_equal(
            make(ENCTYPE_AES128_CTS_HMAC_SHA1_96, password, salt, vectors[i].iterations, key), 16);
        assert_memory_equal(key, vectors[i].aes128, 16);
        assert_int_equal(
            make(ENCTYPE_AES256_CTS_HMAC_SHA1_96, password, salt, vectors[i].iterations, key), 32);
        assert_memory_equal(key, vectors[i].aes256, 32);
    }
}

static void assert_as_libk5crypto(krb5_context ctx, krb5_enctype enctype, struct eas_bytes password,
                                  struct eas_bytes salt, uint32_t iterations)
{
    const char count[] = { (char)(iterations >> 24), (char)(iterations >> 16),
                           (char)(iterations >> 8), (char)iterations };
    const krb5_data given = { 0, (unsigned)password.len, (char *)password.at };
    const krb5_data salted = { 0, (unsigned)salt.len, (char *)salt.at };
    const krb5_data counted = { 0, sizeof(count), (char *)count };
    krb5_keyblock theirs = { 0 };
    unsigned char ours[EAS_STRING_TO_KEY_MAX];
    size_t len = make(enctype, password, salt, iterations, ours);

    assert_int_equal(
        krb5_c_string_to_key_with_params(ctx, enctype, &given, &salted, &counted, &theirs), 0);
    assert_int_equal(theirs.length, len);
    assert_memory_equal(theirs.contents, ours, len);
    krb5_free_keyblock_contents(ctx, &theirs);
}

/* All octets occur, so that text in UTF-8 does; the lengths are around those of SHA-1's blocks. */
static void test_random_passwords(void **state)
{
    static const size_t lens[] = { 0, 1, 2, 8, 19, 20, 21, 55, 56, 63, 64, 65, 119, 128, 200, 639 };
    unsigned char octets[2][640];
    krb5_context ctx;
    size_t i, round;

    (void)state;
    assert_int_equal(krb5_init_context(&ctx), 0);
    srand(1);
    for (round = 0; round < 160; round++) {
        for (i = 0; i < sizeof(octets); i++) {
            (&octets[0][0])[i] = (unsigned char)rand();
        }
        assert_as_libk5crypto(
            ctx, round % 2 == 0 ? ENCTYPE_AES256_CTS_HMAC_SHA1_96 : ENCTYPE_AES128_CTS_HMAC_SHA1_96,
            eas_bytes_make(octets[0], lens[round % COUNT_OF(lens)]),
            eas_bytes_make(octets[1], lens[(round / COUNT_OF(lens) * 3 + round) % COUNT_OF(lens)]),
            4096 + (uint32_t)rand() % 3);
    }
    assert_as_libk5crypto(ctx, ENCTYPE_AES256_CTS_HMAC_SHA1_96, eas_bytes_of_text("Grüße, Ünï"),
                          eas_bytes_of_text("CORP.EXAMPLE.TESTalice"), 4096);
    krb5_free_context(ctx);
}

static void test_keys_that_are_left_to_libkrb5(void **state)
{
    static const struct {
        krb5_enctype enctype;
        uint32_t iterations;
    } rows[] = {
        { ENCTYPE_ARCFOUR_HMAC, 4096 },
        { ENCTYPE_AES256_CTS_HMAC_SHA384_192, 32768 },
        { ENCTYPE_NULL, 4096 },
        { ENCTYPE_AES256_CTS_HMAC_SHA1_96, 0 },
    };
    unsigned char key[EAS_STRING_TO_KEY_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(make(rows[i].enctype, eas_bytes_of_text("secret"),
                              eas_bytes_of_text("salt"), rows[i].iterations, key),
                         0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_random_passwords),
        cmocka_unit_test(test_keys_that_are_left_to_libkrb5),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
