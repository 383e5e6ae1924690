/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/seal.h - authenticated encryption and MACs with key rotation */

#ifndef EAS_AUTH_BASE_SEAL_H
#define EAS_AUTH_BASE_SEAL_H

#include "auth/base/bytes.h"
#include "auth/base/error.h"
#include "auth/base/secret.h"

#include <apr_pools.h>
#include <stdbool.h>

/*
 * The administrator's secrets, shared by all gateways that share sessions.  The first secret seals,
 * and all of them unseal; so a rotation is {old}, then {new, old}, then {new}.
 *
 * Thread-safe, and valid in every child process.  OpenSSL holds the keys, and cleanses them when
 * the pool is destroyed.
 *
 * The format of a sealed message, each with an AES-256-GCM key of its own (HKDF-SHA256: RFC 5869):
 *
 *   version (1 byte, 2) | key id (4) | random (24) | ciphertext | tag (16)
 *
 *   purpose key = HKDF(secret, no salt, info "mod_eas_kcd 1 " and the purpose's label), 32 bytes
 *   key = HMAC-SHA256(purpose key, "mod_eas_kcd 1 message" | random); nonce = 12 zero bytes
 *   additional data = version | key id | random | binding
 *   key id = HKDF(secret, no salt, info "mod_eas_kcd 1 key id"), the first 4 bytes
 *
 * So no nonce is counted: not in a child, not over restarts, not among gateways.  Two messages have
 * the same key only if they have the same 192 random bits.  The input of eas_seal_mac() begins with
 * a length of 8 bytes, and never equals that of a message key.
 */
struct eas_keyring;

/* Shorter secrets are refused.  A secret must be random: no function here stretches a password. */
#define EAS_SEAL_SECRET_MIN 32

/* Longer messages are neither sealed nor unsealed. */
#define EAS_SEAL_MAX ((apr_size_t)1 << 20)

#define EAS_SEAL_MAC_SIZE 32

/* Each purpose has keys of its own, and unseals no message of another. */
enum eas_seal_purpose {
    EAS_SEAL_SESSION,
    EAS_SEAL_EVIDENCE, /* and all other records that children and gateways share */
    EAS_SEAL_RECORD_NAME,
    EAS_SEAL_CSRF,
    EAS_SEAL_PASSWORD,
    EAS_SEAL_TYPED,    /* the input of a refused log-on, bound to the form cookie */
    EAS_SEAL_LOG_NAME, /* the hash of a typed name in the log */
    EAS_SEAL_KEYTAB    /* keys of a keytab, in memory of this server generation */
};

/*
 * Keeps no copy of the secrets; the caller wipes them.  EAS_OK; EAS_MISCONFIGURED if there is none,
 * one is too short, or two are equal; EAS_UNAVAILABLE if OpenSSL lacks an algorithm.
 */
enum eas_rc eas_seal_keyring_create(apr_pool_t *pool, const struct eas_secret *const *secrets,
                                    int n_secrets, struct eas_keyring **out, struct eas_err *err);

/* The number of secrets, for eas_seal_mac(). */
int eas_seal_keyring_size(const struct eas_keyring *ring);

/*
 * Encrypts plain for a purpose and a binding: a text, such as the virtual host, that is not in the
 * message and without which it does not unseal.  Result in pool.  EAS_OK, or EAS_UNAVAILABLE.
 */
enum eas_rc eas_seal(const struct eas_keyring *ring, apr_pool_t *pool,
                     enum eas_seal_purpose purpose, const char *binding, struct eas_bytes plain,
                     struct eas_bytes *sealed_out, struct eas_err *err);

/*
 * Decrypts a message of eas_seal() for the same purpose and binding.  The result is cleansed with
 * pool.  EAS_OK.  EAS_DENIED, always with the same error: the message is damaged, of another
 * version, of another purpose or binding, or sealed with an unknown secret.  EAS_UNAVAILABLE if
 * OpenSSL fails.
 */
enum eas_rc eas_unseal(const struct eas_keyring *ring, apr_pool_t *pool,
                       enum eas_seal_purpose purpose, const char *binding, struct eas_bytes sealed,
                       struct eas_secret **plain_out, struct eas_err *err);

/*
 * HMAC-SHA256 of the parts, with the purpose key of secret number `which`.  The length of each part
 * comes before it, so that different lists have different MACs.  New MACs use secret 0.  The name
 * of a record from before a rotation is found with 1 to eas_seal_keyring_size() - 1.  EAS_OK, or
 * EAS_UNAVAILABLE.
 */
enum eas_rc eas_seal_mac(const struct eas_keyring *ring, int which, enum eas_seal_purpose purpose,
                         const struct eas_bytes *parts, int n_parts,
                         unsigned char mac_out[EAS_SEAL_MAC_SIZE], struct eas_err *err);

/*
 * Compares a MAC with those of the parts under each secret, in constant time for one length.
 * EAS_OK; EAS_DENIED if none matches or the length differs; EAS_UNAVAILABLE.
 */
enum eas_rc eas_seal_mac_check(const struct eas_keyring *ring, enum eas_seal_purpose purpose,
                               const struct eas_bytes *parts, int n_parts, struct eas_bytes mac,
                               struct eas_err *err);

/* Text for cookies and forms: base64url without padding (RFC 4648 section 5).  Result in pool. */
const char *eas_seal_to_text(apr_pool_t *pool, const void *bytes, apr_size_t len);

/*
 * Decodes text of eas_seal_to_text().  False for any other: with padding, blanks, another alphabet,
 * or stray bits at the end.  Result in pool.
 */
bool eas_seal_from_text(apr_pool_t *pool, const char *text, struct eas_bytes *out);

#endif
