/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_siphash.c - the published vectors, and OpenSSL's */

#include "t/unit/unit.h"

#include "auth/base/siphash.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

static void digest(const unsigned char *key, const unsigned char *message, size_t len, size_t step,
                   unsigned char *out)
{
    struct eas_siphash hash;
    size_t at, n;

    eas_siphash_begin(&hash, key);
    for (at = 0; at < len; at += n) {
        n = len - at < step ? len - at : step;
        eas_siphash_add(&hash, message + at, n);
    }
    eas_siphash_end(&hash, out);
}

/* Of the reference implementation: the key is 0 to 15, the message 0, 1, 2, … */
static void test_vectors(void **state)
{
    static const struct {
        size_t len;
        unsigned char digest[EAS_SIPHASH_SIZE];
    } vectors[] = {
        { 0,
          { 0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55,
            0x02, 0x93 } },
        { 1,
          { 0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22,
            0xfc, 0x45 } },
    };
    unsigned char octets[16], out[EAS_SIPHASH_SIZE];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(octets); i++) {
        octets[i] = (unsigned char)i;
    }
    for (i = 0; i < COUNT_OF(vectors); i++) {
        digest(octets, octets, vectors[i].len, 1, out);
        assert_memory_equal(out, vectors[i].digest, sizeof(out));
    }
}

static void test_openssl_agrees(void **state)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    unsigned char key[EAS_SIPHASH_SIZE], message[300], ours[EAS_SIPHASH_SIZE], theirs[16];
    size_t len, n;

    (void)state;
    if (mac == NULL) {
        skip();
    }
    for (len = 0; len <= sizeof(message); len++) {
        EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);

        assert_int_equal(RAND_bytes(key, sizeof(key)), 1);
        assert_int_equal(RAND_bytes(message, sizeof(message)), 1);
        assert_int_equal(EVP_MAC_init(ctx, key, sizeof(key), NULL), 1);
        assert_int_equal(EVP_MAC_update(ctx, message, len), 1);
        assert_int_equal(EVP_MAC_final(ctx, theirs, &n, sizeof(theirs)), 1);
        EVP_MAC_CTX_free(ctx);
        assert_int_equal(n, sizeof(ours));
        digest(key, message, len, 1 + len % 19, ours);
        assert_memory_equal(ours, theirs, sizeof(ours));
    }
    EVP_MAC_free(mac);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_openssl_agrees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
