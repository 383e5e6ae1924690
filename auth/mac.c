/* SPDX-License-Identifier: Apache-2.0 */
/* auth/mac.c - OpenSSL's HMAC, keyed once and used many times */

#include "auth/mac.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

EVP_MAC_CTX *eas_mac_make(const char *digest, const unsigned char *key, size_t len)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;

    if (ctx != NULL && EVP_MAC_init(ctx, key, len, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_MAC_free(hmac);
    return ctx;
}
