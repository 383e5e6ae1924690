/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/hmac_sha1.c - HMAC-SHA1 (RFC 2104) of short messages, without an allocation */

/* OpenSSL 3 has the functions of SHA_CTX, and warns of them. */
#define OPENSSL_API_COMPAT 10100

#include "auth/base/hmac_sha1.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <stddef.h>
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

/* --- HMACs of HMACs --------------------------------------------------------------------------- */

/* OpenSSL reads and writes 16 octets at once; a store of fewer would make its next load wait. */
typedef uint32_t four_words __attribute__((vector_size(16)));

#define BLOCK_WORDS (SHA_CBLOCK / sizeof(four_words))

/* Bits of a message and the padded key before it. */
#define BITS (8 * (SHA_CBLOCK + EAS_HMAC_SHA1_SIZE))

_Static_assert(offsetof(SHA_CTX, h0) == 0 && offsetof(SHA_CTX, h4) == sizeof(four_words),
               "the digest's words are the first ones");

/* To SHA-1's order of octets, or from it. */
static four_words swap(four_words words)
{
    return htonl(1) == 1
               ? words
               : words << 24 | (words & 0xff00) << 8 | (words >> 8 & 0xff00) | words >> 24;
}

/* The block is a digest with SHA-1's padding; the next digest takes the place of this one. */
static void transform(const SHA_CTX *begun, SHA_CTX *state, four_words block[BLOCK_WORDS])
{
    four_words words;

    memcpy(state, begun, EAS_HMAC_SHA1_SIZE);
    SHA1_Transform(state, (const unsigned char *)block);
    memcpy(&words, state, sizeof(words));
    block[0] = swap(words);
    block[1] = swap((four_words){ state->h4, 0x80000000 });
}

void eas_hmac_sha1_chain(const struct eas_hmac_sha1 *hmac, uint32_t rounds,
                         const unsigned char first[EAS_HMAC_SHA1_SIZE],
                         unsigned char sum[EAS_HMAC_SHA1_SIZE])
{
    four_words block[BLOCK_WORDS] = { { 0 } }, added[2] = { { 0 } };
    SHA_CTX state;
    size_t i;

    memcpy(block, first, EAS_HMAC_SHA1_SIZE);
    block[1] |= swap((four_words){ 0, 0x80000000 });
    block[3] = swap((four_words){ 0, 0, 0, BITS });
    for (; rounds > 0; rounds--) {
        transform(&hmac->inner, &state, block);
        transform(&hmac->outer, &state, block);
        added[0] ^= block[0];
        added[1] ^= block[1];
    }
    for (i = 0; i < EAS_HMAC_SHA1_SIZE; i++) {
        sum[i] ^= ((const unsigned char *)added)[i];
    }
    OPENSSL_cleanse(block, sizeof(block));
    OPENSSL_cleanse(added, sizeof(added));
    OPENSSL_cleanse(&state, EAS_HMAC_SHA1_SIZE);
}
