/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/hmac.h - reusable HMAC contexts of OpenSSL */

#ifndef EAS_AUTH_BASE_HMAC_H
#define EAS_AUTH_BASE_HMAC_H

#include <apr_pools.h>
#include <openssl/evp.h>

/*
 * A context with this key and digest ("SHA256"), for EVP_MAC_update(), EVP_MAC_final() and
 * EVP_MAC_CTX_dup(); EVP_MAC_init() without a key starts the next message.  NULL if OpenSSL fails.
 * The caller frees it.
 */
EVP_MAC_CTX *eas_hmac_make(const char *digest, const unsigned char *key, size_t len);

/*
 * A key for any number of threads.  OpenSSL holds it, and cleanses it when the pool is destroyed.
 */
struct eas_hmac;

/* NULL if OpenSSL fails. */
struct eas_hmac *eas_hmac_create(apr_pool_t *pool, const char *digest, const unsigned char *key,
                                 size_t len);

/*
 * Checks out a context for one message, or NULL if OpenSSL fails.  Checkin resets it for the next;
 * it takes NULL, too.
 */
EVP_MAC_CTX *eas_hmac_checkout(struct eas_hmac *mac);
void eas_hmac_checkin(struct eas_hmac *mac, EVP_MAC_CTX *ctx);

#endif
