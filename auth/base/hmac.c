/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/hmac.c - reusable HMAC contexts of OpenSSL */

#include "auth/base/hmac.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdatomic.h>

struct eas_hmac {
    EVP_MAC_CTX *keyed;        /* only duplicated, hence thread-safe */
    EVP_MAC_CTX *_Atomic idle; /* an unused duplicate, or NULL */
};

static EVP_MAC_CTX *make(const char *digest, const unsigned char *key, size_t len)
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

static apr_status_t mac_cleanup(void *data)
{
    struct eas_hmac *mac = data;

    EVP_MAC_CTX_free(atomic_load(&mac->idle));
    EVP_MAC_CTX_free(mac->keyed);
    return APR_SUCCESS;
}

struct eas_hmac *eas_hmac_create(apr_pool_t *pool, const char *digest, const unsigned char *key,
                                 size_t len)
{
    EVP_MAC_CTX *keyed = make(digest, key, len);
    struct eas_hmac *mac;

    if (keyed == NULL) {
        return NULL;
    }
    mac = apr_palloc(pool, sizeof(*mac));
    mac->keyed = keyed;
    atomic_init(&mac->idle, NULL);
    apr_pool_cleanup_register(pool, mac, mac_cleanup, apr_pool_cleanup_null);
    return mac;
}

/* EVP_MAC_CTX_dup() costs as much as a digest, so checkin keeps one duplicate. */
EVP_MAC_CTX *eas_hmac_checkout(struct eas_hmac *mac)
{
    EVP_MAC_CTX *idle = atomic_exchange(&mac->idle, NULL);

    return idle != NULL ? idle : EVP_MAC_CTX_dup(mac->keyed);
}

void eas_hmac_checkin(struct eas_hmac *mac, EVP_MAC_CTX *ctx)
{
    if (ctx != NULL && EVP_MAC_init(ctx, NULL, 0, NULL) == 1) {
        ctx = atomic_exchange(&mac->idle, ctx);
    }
    EVP_MAC_CTX_free(ctx);
}
