/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/hmac_sha1.h - HMAC-SHA1 (RFC 2104) of short messages, without an allocation */

#ifndef EAS_AUTH_BASE_HMAC_SHA1_H
#define EAS_AUTH_BASE_HMAC_SHA1_H

#include "auth/base/bytes.h"

#include <openssl/sha.h>
#include <stdint.h>

#define EAS_HMAC_SHA1_SIZE SHA_DIGEST_LENGTH

/*
 * The digests' states after the padded key.  Threads may share it.  Its owner wipes it.
 *
 * An assignment copies a SHA_CTX.  EVP_MAC and PKCS5_PBKDF2_HMAC() allocate an EVP_MD_CTX for each
 * message instead.
 */
struct eas_hmac_sha1 {
    SHA_CTX inner, outer;
};

void eas_hmac_sha1_init(struct eas_hmac_sha1 *hmac, struct eas_bytes key);

/* out may lie in the message. */
void eas_hmac_sha1(const struct eas_hmac_sha1 *hmac, struct eas_bytes message,
                   unsigned char out[EAS_HMAC_SHA1_SIZE]);

/*
 * The HMAC of first, the HMAC of that, and so on, as PBKDF2 has them (RFC 8018 5.2): sum becomes the
 * exclusive or of sum and all of them.  Such a message and its padding fill one block of SHA-1.
 * SHA1_Update() and SHA1_Final() would copy and wipe as much as they compute.
 */
void eas_hmac_sha1_chain(const struct eas_hmac_sha1 *hmac, uint32_t rounds,
                         const unsigned char first[EAS_HMAC_SHA1_SIZE],
                         unsigned char sum[EAS_HMAC_SHA1_SIZE]);

#endif
