/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/hmac.h - OpenSSL's HMAC, keyed once and used many times */

#ifndef EAS_AUTH_BASE_HMAC_H
#define EAS_AUTH_BASE_HMAC_H

#include <apr_pools.h>
#include <openssl/evp.h>

/*
 * A context with this key and digest ("SHA256"), for EVP_MAC_update(), EVP_MAC_final() and
 * EVP_MAC_CTX_dup(); EVP_MAC_init() without a key begins anew.  NULL if OpenSSL has none to give.  The
 * caller frees it.
 */
EVP_MAC_CTX *eas_hmac_make(const char *digest, const unsigned char *key, size_t len);

/* A key that any number of threads use at once; in OpenSSL's hands, which cleanses it with the pool. */
struct eas_hmac;

/* NULL if OpenSSL has none to give. */
struct eas_hmac *eas_hmac_create(apr_pool_t *pool, const char *digest, const unsigned char *key,
                                 size_t len);

/*
 * A context that has read nothing yet, or NULL if OpenSSL has none to give; for one message, of which
 * nothing stays when it is returned.  Takes NULL back, too.
 */
EVP_MAC_CTX *eas_hmac_checkout(struct eas_hmac *mac);
void eas_hmac_checkin(struct eas_hmac *mac, EVP_MAC_CTX *ctx);

#endif
