/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/hmac.h - reusable HMAC contexts of OpenSSL */

#ifndef EAS_AUTH_BASE_HMAC_H
#define EAS_AUTH_BASE_HMAC_H

#include <apr_pools.h>
#include <openssl/evp.h>

/*
 * A key for any number of threads, for EVP_MAC_update() and EVP_MAC_final().  OpenSSL holds it, and
 * cleanses it when the pool is destroyed.
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
