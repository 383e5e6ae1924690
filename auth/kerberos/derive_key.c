/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/derive_key.c - DK of the AES enctypes (RFC 3961 5.1, RFC 3962), by OpenSSL */

#include "auth/kerberos/derive_key.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#define AES256_LEN 32

bool eas_derive_key(struct eas_bytes key, struct eas_bytes constant, unsigned char *out)
{
    const char *cipher = key.len == AES256_LEN ? "AES-256-CBC" : "AES-128-CBC";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_CIPHER, (char *)cipher, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key.at, key.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_CONSTANT, (void *)constant.at,
                                          constant.len),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "KRB5KDF", NULL);
    EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    bool derived = ctx != NULL && EVP_KDF_derive(ctx, out, key.len, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return derived;
}
