/* SPDX-License-Identifier: Apache-2.0 */
/* auth/mac.h - OpenSSL's HMAC, keyed once and used many times */

#ifndef EAS_AUTH_MAC_H
#define EAS_AUTH_MAC_H

#include <openssl/evp.h>

/*
 * A context with this key and digest ("SHA256"), for EVP_MAC_update(), EVP_MAC_final() and
 * EVP_MAC_CTX_dup(); EVP_MAC_init() without a key begins anew.  NULL if OpenSSL has none to give.  The
 * caller frees it.
 */
EVP_MAC_CTX *eas_mac_make(const char *digest, const unsigned char *key, size_t len);

#endif
