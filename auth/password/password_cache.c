/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/password_cache.c - proved passwords, remembered as keyed digests, so that a warm user costs no KDC */

#include "auth/password/password_cache.h"
#include "auth/base/lru.h"
#include "auth/base/hmac.h"
#include "auth/kerberos/ticket.h"

#include <apr_atomic.h>
#include <apr_strings.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct eas_password_cache {
    struct eas_hmac *mac;
    struct eas_lru *entries;
};

/* What an entry keeps. */
struct proved {
    volatile apr_uint32_t refs;
    struct eas_ticket *evidence;
    struct eas_password_version stamp;
    char principal[];
};

static void proved_retain(void *value)
{
    apr_atomic_inc32(&((struct proved *)value)->refs);
}

static void proved_release(void *value)
{
    struct proved *proved = value;

    if (apr_atomic_dec32(&proved->refs) == 0) {
        eas_ticket_unref(proved->evidence);
        free(proved);
    }
}

enum eas_rc eas_password_cache_create(apr_pool_t *pool, apr_size_t max_bytes,
                                      const unsigned char *secret, struct eas_password_cache **out,
                                      struct eas_err *err)
{
    static const struct eas_lru_ops ops = { proved_retain, proved_release };
    struct eas_password_cache *memory = apr_pcalloc(pool, sizeof(*memory));

    memory->mac = eas_hmac_create(pool, "SHA256", secret, EAS_PASSWORD_CACHE_KEY_SIZE);
    if (memory->mac == NULL) {
        return eas_fail(err, EAS_UNAVAILABLE, 1050, "OpenSSL has no HMAC to give");
    }
    memory->entries = eas_lru_create(pool, max_bytes, ops);
    *out = memory;
    return EAS_OK;
}

/* Length first, so that "ab"+"c" differs from "a"+"bc". */
static int mac_field(EVP_MAC_CTX *ctx, const char *bytes, apr_size_t len)
{
    apr_uint64_t prefix = len;

    return EVP_MAC_update(ctx, (const unsigned char *)&prefix, sizeof(prefix)) == 1
           && EVP_MAC_update(ctx, (const unsigned char *)bytes, len) == 1;
}

enum eas_rc eas_password_cache_key(struct eas_password_cache *memory, const char *scope,
                                   const struct eas_credentials *credentials,
                                   unsigned char key_out[EAS_PASSWORD_CACHE_KEY_SIZE],
                                   struct eas_err *err)
{
    EVP_MAC_CTX *ctx = eas_hmac_checkout(memory->mac);
    size_t len;
    int ok = ctx != NULL && mac_field(ctx, scope, strlen(scope))
             && mac_field(ctx, credentials->name, credentials->name_len)
             && mac_field(ctx, credentials->password->bytes, credentials->password->len)
             && EVP_MAC_final(ctx, key_out, &len, EAS_PASSWORD_CACHE_KEY_SIZE) == 1;

    eas_hmac_checkin(memory->mac, ctx);
    return ok ? EAS_OK : eas_fail(err, EAS_UNAVAILABLE, 1051, "OpenSSL could not compute a digest");
}

void eas_password_cache_put(struct eas_password_cache *memory,
                            const unsigned char key[EAS_PASSWORD_CACHE_KEY_SIZE],
                            const struct eas_identity *identity, struct eas_password_version stamp,
                            apr_time_t expires)
{
    apr_size_t len = strlen(identity->principal) + 1;
    struct proved *proved = malloc(sizeof(*proved) + len);
    apr_time_t stale_at = eas_ticket_stale_at(identity->evidence);

    if (proved == NULL) {
        return; /* not remembered is only slower */
    }
    proved->refs = 1;
    proved->evidence = eas_ticket_ref(identity->evidence);
    proved->stamp = stamp;
    memcpy(proved->principal, identity->principal, len);
    eas_lru_put(memory->entries, key, EAS_PASSWORD_CACHE_KEY_SIZE, proved,
                sizeof(*proved) + len + eas_ticket_size(proved->evidence),
                expires < stale_at ? expires : stale_at);
    proved_release(proved);
}

static bool is_good(const struct proved *proved)
{
    return proved->stamp.current == NULL
           || apr_atomic_read32(proved->stamp.current) == proved->stamp.value;
}

struct eas_identity *eas_password_cache_get(struct eas_password_cache *memory,
                                            const unsigned char key[EAS_PASSWORD_CACHE_KEY_SIZE],
                                            apr_time_t now, apr_pool_t *pool)
{
    struct proved *proved = eas_lru_get(memory->entries, key, EAS_PASSWORD_CACHE_KEY_SIZE, now);
    struct eas_identity *identity;

    if (proved == NULL) {
        return NULL;
    }
    if (!is_good(proved)) {
        eas_lru_drop(memory->entries, key, EAS_PASSWORD_CACHE_KEY_SIZE);
        proved_release(proved);
        return NULL;
    }
    identity = apr_pcalloc(pool, sizeof(*identity));
    identity->principal = apr_pstrdup(pool, proved->principal);
    identity->authenticated_by = EAS_BY_CACHE;
    identity->evidence = eas_ticket_to_pool(eas_ticket_ref(proved->evidence), pool);
    proved_release(proved);
    return identity;
}
