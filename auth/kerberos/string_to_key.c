/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/string_to_key.c - key of a password for the AES enctypes of RFC 3962 */

/*
 * A SHA_CTX is copied by an assignment.  PKCS5_PBKDF2_HMAC() allocates an EVP_MD_CTX for each of
 * its 8192 HMACs instead, and takes three times as long.
 */
#define OPENSSL_API_COMPAT 10100

#include "auth/kerberos/string_to_key.h"
#include "auth/kerberos/derive_key.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#define BLOCK SHA_CBLOCK
#define DIGEST SHA_DIGEST_LENGTH

/* HMAC-SHA1 (RFC 2104): the states after the padded key, inner and outer. */
struct hmac {
    SHA_CTX inner, outer;
};

static void hmac_pad(SHA_CTX *state, const unsigned char key[BLOCK], unsigned char pad)
{
    unsigned char block[BLOCK];
    size_t i;

    for (i = 0; i < BLOCK; i++) {
        block[i] = key[i] ^ pad;
    }
    SHA1_Init(state);
    SHA1_Update(state, block, BLOCK);
    OPENSSL_cleanse(block, sizeof(block));
}

static void hmac_init(struct hmac *hmac, struct eas_bytes key)
{
    unsigned char block[BLOCK] = { 0 };
    SHA_CTX digest;

    if (key.len > BLOCK) {
        SHA1_Init(&digest);
        SHA1_Update(&digest, key.at, key.len);
        SHA1_Final(block, &digest);
    }
    else if (key.len > 0) {
        memcpy(block, key.at, key.len);
    }
    hmac_pad(&hmac->inner, block, 0x36);
    hmac_pad(&hmac->outer, block, 0x5c);
    OPENSSL_cleanse(block, sizeof(block));
}

/* Ends the inner digest; its state is that of hmac->inner after a message. */
static void hmac_final(const struct hmac *hmac, SHA_CTX *inner, unsigned char out[DIGEST])
{
    SHA_CTX outer = hmac->outer;

    SHA1_Final(out, inner);
    SHA1_Update(&outer, out, DIGEST);
    SHA1_Final(out, &outer);
}

/* Block number n of PBKDF2's result (RFC 8018 5.2). */
static void make_block(const struct hmac *hmac, const struct eas_string_to_key *parameters,
                       unsigned char n, unsigned char out[DIGEST])
{
    const unsigned char number[] = { 0, 0, 0, n };
    unsigned char u[DIGEST];
    SHA_CTX state = hmac->inner;
    uint32_t round;
    size_t i;

    SHA1_Update(&state, parameters->salt.at, parameters->salt.len);
    SHA1_Update(&state, number, sizeof(number));
    hmac_final(hmac, &state, u);
    memcpy(out, u, DIGEST);
    for (round = 1; round < parameters->iterations; round++) {
        state = hmac->inner;
        SHA1_Update(&state, u, DIGEST);
        hmac_final(hmac, &state, u);
        for (i = 0; i < DIGEST; i++) {
            out[i] ^= u[i];
        }
    }
    OPENSSL_cleanse(u, sizeof(u));
    OPENSSL_cleanse(&state, sizeof(state));
}

size_t eas_string_to_key(const struct eas_string_to_key *parameters, struct eas_bytes password,
                         unsigned char key_out[EAS_STRING_TO_KEY_MAX])
{
    size_t len = parameters->enctype == ENCTYPE_AES256_CTS_HMAC_SHA1_96   ? 32
                 : parameters->enctype == ENCTYPE_AES128_CTS_HMAC_SHA1_96 ? 16
                                                                          : 0;
    unsigned char blocks[2 * DIGEST];
    struct hmac hmac;

    if (len == 0 || parameters->iterations == 0) {
        return 0;
    }
    hmac_init(&hmac, password);
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
