/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/hmac_sha1.c - HMAC-SHA1 (RFC 2104) of short messages, without an allocation */

/* OpenSSL 3 has the functions of SHA_CTX, and warns of them. */
#define OPENSSL_API_COMPAT 10100

#include "auth/base/hmac_sha1.h"

#include <openssl/crypto.h>
#include <string.h>

static void begin(SHA_CTX *state, const unsigned char key[SHA_CBLOCK], unsigned char pad)
{
    unsigned char block[SHA_CBLOCK];
    size_t i;

    for (i = 0; i < sizeof(block); i++) {
        block[i] = key[i] ^ pad;
    }
    SHA1_Init(state);
    SHA1_Update(state, block, sizeof(block));
    OPENSSL_cleanse(block, sizeof(block));
}

void eas_hmac_sha1_init(struct eas_hmac_sha1 *hmac, struct eas_bytes key)
{
    unsigned char block[SHA_CBLOCK] = { 0 };
    SHA_CTX digest;

    if (key.len > sizeof(block)) {
        SHA1_Init(&digest);
        SHA1_Update(&digest, key.at, key.len);
        SHA1_Final(block, &digest);
    }
    else if (key.len > 0) {
        memcpy(block, key.at, key.len);
    }
    begin(&hmac->inner, block, 0x36);
    begin(&hmac->outer, block, 0x5c);
    OPENSSL_cleanse(block, sizeof(block));
}

/* SHA1_Final() wipes what is left of a message. */
void eas_hmac_sha1(const struct eas_hmac_sha1 *hmac, struct eas_bytes message,
                   unsigned char out[EAS_HMAC_SHA1_SIZE])
{
    SHA_CTX state = hmac->inner;

    SHA1_Update(&state, message.at, message.len);
    SHA1_Final(out, &state);
    state = hmac->outer;
    SHA1_Update(&state, out, EAS_HMAC_SHA1_SIZE);
    SHA1_Final(out, &state);
}
