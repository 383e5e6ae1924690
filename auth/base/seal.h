/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/seal.h - what leaves this process and must come back unread and unchanged */

#ifndef EAS_AUTH_BASE_SEAL_H
#define EAS_AUTH_BASE_SEAL_H

#include "auth/base/bytes.h"
#include "auth/base/error.h"
#include "auth/base/secret.h"

#include <apr_pools.h>
#include <stdbool.h>

/*
 * The administrator's secrets, shared by all gateways that share sessions.  The first one seals, all
 * of them open, so that a secret is replaced by {old}, then {new, old}, then {new}.
 *
 * Thread-safe, and good in every child process.  Its keys are OpenSSL's to keep, which cleanses them
 * with the pool that the ring was created in.
 *
 * A sealed message, whose AES-256-GCM key serves for it alone (HKDF-SHA256: RFC 5869):
 *
 *   version (1 byte, 2) | key id (4) | random (24) | ciphertext | tag (16)
 *
 *   purpose key = HKDF(secret, no salt, info "mod_eas_kcd 1 " and the purpose's label), 32 bytes
 *   key = HMAC-SHA256(purpose key, "mod_eas_kcd 1 message" | random); nonce = 12 zero bytes
 *   additional data = version | key id | random | binding
 *   key id = HKDF(secret, no salt, info "mod_eas_kcd 1 key id"), the first 4 bytes
 *
 * So nothing needs counting: not by child, not over restarts, not among gateways.  Two messages would
 * have to have the same 192 random bits to have the same key.  What eas_seal_mac() digests begins with
 * a length, and never as a message key's does.
 */
struct eas_keyring;

/* A shorter secret is refused.  It must be random bytes: nothing here stretches a password. */
#define EAS_SEAL_SECRET_MIN 32

/* Longer messages are neither sealed nor opened. */
#define EAS_SEAL_MAX ((apr_size_t)1 << 20)

#define EAS_SEAL_MAC_SIZE 32

/* Each has keys of its own: what is sealed for one is nothing to another. */
enum eas_seal_purpose {
    EAS_SEAL_SESSION,
    EAS_SEAL_EVIDENCE, /* and all else that children and gateways share */
    EAS_SEAL_RECORD_NAME,
    EAS_SEAL_CSRF,
    EAS_SEAL_PASSWORD
};

/*
 * The secrets are not kept; their owner wipes them.  EAS_OK; EAS_MISCONFIGURED if there is none, one
 * is too short, or two are the same; EAS_UNAVAILABLE if OpenSSL lacks an algorithm.
 */
enum eas_rc eas_seal_keyring_create(apr_pool_t *pool, const struct eas_secret *const *secrets,
                                    int n_secrets, struct eas_keyring **out, struct eas_err *err);

/* How many secrets there are, for eas_seal_mac(). */
int eas_seal_keyring_size(const struct eas_keyring *ring);

/*
 * Seals plain for a purpose and a binding: a text that is not in the message, and that who opens
 * it must know (such as the virtual host).  Result in pool.  EAS_OK, or EAS_UNAVAILABLE.
 */
enum eas_rc eas_seal(const struct eas_keyring *ring, apr_pool_t *pool,
                     enum eas_seal_purpose purpose, const char *binding, struct eas_bytes plain,
                     struct eas_bytes *sealed_out, struct eas_err *err);

/*
 * Opens what eas_seal() made for the same purpose and binding.  The result is cleansed with pool.
 * EAS_OK; EAS_DENIED, always with the same error, for anything that does not open: damaged, of
 * another purpose or binding, by an unknown secret, of another version; EAS_UNAVAILABLE if OpenSSL
 * fails.
 */
enum eas_rc eas_unseal(const struct eas_keyring *ring, apr_pool_t *pool,
                       enum eas_seal_purpose purpose, const char *binding, struct eas_bytes sealed,
                       struct eas_secret **plain_out, struct eas_err *err);

/*
 * HMAC-SHA256 of the parts, each after its length, so that no two lists of parts run together; with
 * the purpose key of the secret number `which`.  Make with 0.  What was made before the secrets
 * changed (the name of a record) is found with 1 and up to eas_seal_keyring_size() - 1.
 * EAS_OK, or EAS_UNAVAILABLE.
 */
enum eas_rc eas_seal_mac(const struct eas_keyring *ring, int which, enum eas_seal_purpose purpose,
                         const struct eas_bytes *parts, int n_parts,
                         unsigned char mac_out[EAS_SEAL_MAC_SIZE], struct eas_err *err);

/*
 * Is it the MAC of these parts, by any of the secrets?  In constant time for one length.  EAS_OK;
 * EAS_DENIED if not, or of another length; EAS_UNAVAILABLE.
 */
enum eas_rc eas_seal_mac_check(const struct eas_keyring *ring, enum eas_seal_purpose purpose,
                               const struct eas_bytes *parts, int n_parts, struct eas_bytes mac,
                               struct eas_err *err);

/* As text for cookies and forms: base64url without padding (RFC 4648 section 5).  In pool. */
const char *eas_seal_to_text(apr_pool_t *pool, const void *bytes, apr_size_t len);

/*
 * Takes exactly what eas_seal_to_text() gives: no padding, no other alphabet, no blanks, no stray
 * bits at the end.  Result in pool.
 */
bool eas_seal_from_text(apr_pool_t *pool, const char *text, struct eas_bytes *out);

#endif
