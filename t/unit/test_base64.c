/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_base64.c - every group of octets, and each length, against OpenSSL's encoder */

#include "t/unit/unit.h"

#include "auth/base/base64.h"

#include <openssl/evp.h>
#include <string.h>

#define LONGEST 70

static void check(const unsigned char *octets, size_t len)
{
    char text[2 * LONGEST], expected[2 * LONGEST];

    memset(text, '#', sizeof(text));
    EVP_EncodeBlock((unsigned char *)expected, octets, (int)len);
    eas_base64_encode(text, octets, len);
    assert_string_equal(text, expected);
    assert_int_equal(text[strlen(expected) + 1], '#');
}

static void test_each_length(void **state)
{
    unsigned char octets[LONGEST];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(octets); i++) {
        check(octets, i);
        octets[i] = (unsigned char)(i * 37 + 11);
    }
}

/* In each place of a group, and beside others. */
static void test_each_octet(void **state)
{
    unsigned char octets[3] = { 0x00, 0xff, 0xa5 };
    unsigned i, place;

    (void)state;
    for (place = 0; place < sizeof(octets); place++) {
        for (i = 0; i < 256; i++) {
            octets[place] = (unsigned char)i;
            check(octets, 1);
            check(octets, 2);
            check(octets, 3);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_length),
        cmocka_unit_test(test_each_octet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
