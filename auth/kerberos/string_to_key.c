/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/string_to_key.c - key of a password for the AES enctypes of RFC 3962 */

#include "auth/kerberos/string_to_key.h"
#include "auth/base/hmac_sha1.h"
#include "auth/kerberos/derive_key.h"

#include <openssl/crypto.h>
#include <string.h>

#define DIGEST EAS_HMAC_SHA1_SIZE

/* Block number n of PBKDF2's result (RFC 8018 5.2). */
static void make_block(const struct eas_hmac_sha1 *hmac, const struct eas_string_to_key *parameters,
                       unsigned char n, unsigned char out[DIGEST])
{
    unsigned char first[EAS_STRING_TO_KEY_SALT_MAX + 4] = { 0 }, u[DIGEST];
    size_t len = parameters->salt.len;

    if (len > 0) {
        memcpy(first, parameters->salt.at, len);
    }
    first[len + 3] = n;
    eas_hmac_sha1(hmac, eas_bytes_make(first, len + 4), u);
    memcpy(out, u, DIGEST);
    eas_hmac_sha1_chain(hmac, parameters->iterations - 1, u, out);
    OPENSSL_cleanse(u, sizeof(u));
}

size_t eas_string_to_key(const struct eas_string_to_key *parameters, struct eas_bytes password,
                         unsigned char key_out[EAS_STRING_TO_KEY_MAX])
{
    size_t len = parameters->enctype == ENCTYPE_AES256_CTS_HMAC_SHA1_96   ? 32
                 : parameters->enctype == ENCTYPE_AES128_CTS_HMAC_SHA1_96 ? 16
                                                                          : 0;
    unsigned char blocks[2 * DIGEST];
    struct eas_hmac_sha1 hmac;

    if (len == 0 || parameters->iterations == 0
        || parameters->salt.len > EAS_STRING_TO_KEY_SALT_MAX) {
        return 0;
    }
    eas_hmac_sha1_init(&hmac, password);
    make_block(&hmac, parameters, 1, blocks);
    if (len > DIGEST) {
        make_block(&hmac, parameters, 2, blocks + DIGEST);
    }
    if (!eas_derive_key(eas_bytes_make(blocks, len), eas_bytes_of_text("kerberos"), key_out)) {
        len = 0;
    }
    OPENSSL_cleanse(blocks, sizeof(blocks));
    OPENSSL_cleanse(&hmac, sizeof(hmac));
    return len;
}
