/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/password_cache.c - Per-process cache of verified users */

#include "auth/password/password_cache.h"
#include "auth/base/counters.h"
#include "auth/base/hmac.h"
#include "auth/base/lru.h"
#include "auth/base/siphash.h"
#include "auth/kerberos/ticket.h"

#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

struct eas_password_cache {
    struct eas_hmac *hmac;
    struct eas_lru *entries;
    unsigned char digest_key[EAS_SIPHASH_SIZE];
    struct eas_lru *keys; /* NULL if OpenSSL has no random bytes */
};

/* Kept keys. */
struct known_key {
    atomic_uint refs;
    struct eas_password_cache_key key;
};

struct entry {
    atomic_uint refs;
    struct eas_ticket *evidence;
    struct eas_password_version version;
    char principal[];
};

static void retain_entry(void *value)
{
    atomic_fetch_add(&((struct entry *)value)->refs, 1);
}

static void release_entry(void *value)
{
    struct entry *entry = value;

    if (atomic_fetch_sub(&entry->refs, 1) == 1) {
        eas_ticket_unref(entry->evidence);
        free(entry);
    }
}

static void retain_key(void *value)
{
    atomic_fetch_add(&((struct known_key *)value)->refs, 1);
}

static void release_key(void *value)
{
    if (atomic_fetch_sub(&((struct known_key *)value)->refs, 1) == 1) {
        free(value);
    }
}

static apr_status_t wipe_digest_key(void *data)
{
    struct eas_password_cache *cache = data;

    OPENSSL_cleanse(cache->digest_key, sizeof(cache->digest_key));
    return APR_SUCCESS;
}

static void make_keys(apr_pool_t *pool, struct eas_password_cache *cache)
{
    static const struct eas_lru_ops ops = { retain_key, release_key };

    if (RAND_bytes(cache->digest_key, sizeof(cache->digest_key)) == 1) {
        apr_pool_cleanup_register(pool, cache, wipe_digest_key, apr_pool_cleanup_null);
        cache->keys = eas_lru_create(pool, EAS_PASSWORD_CACHE_KEYS_BYTES, ops);
    }
}

enum eas_rc eas_password_cache_create(apr_pool_t *pool, apr_size_t max_bytes,
                                      const unsigned char *secret, struct eas_password_cache **out,
                                      struct eas_err *err)
{
    static const struct eas_lru_ops ops = { retain_entry, release_entry };
    struct eas_password_cache *cache = apr_pcalloc(pool, sizeof(*cache));

    cache->hmac = eas_hmac_create(pool, "SHA256", secret, EAS_PASSWORD_CACHE_SECRET_SIZE);
    if (cache->hmac == NULL) {
        return eas_fail(err, EAS_UNAVAILABLE, 1050, "OpenSSL provides no HMAC-SHA256");
    }
    cache->entries = eas_lru_create(pool, max_bytes, ops);
    make_keys(pool, cache);
    *out = cache;
    return EAS_OK;
}

/* The length comes first, so that "ab" and "c" differ from "a" and "bc". */
static bool add_field(EVP_MAC_CTX *ctx, struct eas_bytes field)
{
    apr_uint64_t prefix = field.len;

    return EVP_MAC_update(ctx, (const unsigned char *)&prefix, sizeof(prefix)) == 1
           && EVP_MAC_update(ctx, field.at, field.len) == 1;
}

static enum eas_rc make_key(struct eas_password_cache *cache, enum eas_password_cache_kind kind,
                            const struct eas_bytes *fields, int n_fields,
                            struct eas_password_cache_key *key_out, struct eas_err *err)
{
    EVP_MAC_CTX *ctx = eas_hmac_checkout(cache->hmac);
    bool ok = ctx != NULL;
    size_t len;
    int i;

    for (i = 0; ok && i < n_fields; i++) {
        ok = add_field(ctx, fields[i]);
    }
    ok = ok && EVP_MAC_final(ctx, key_out->id, &len, sizeof(key_out->id)) == 1;
    eas_hmac_checkin(cache->hmac, ctx);
    key_out->kind = (unsigned char)kind;
    return ok ? EAS_OK : eas_fail(err, EAS_UNAVAILABLE, 1051, "OpenSSL could not compute a digest");
}

enum eas_rc eas_password_cache_credentials_key(struct eas_password_cache *cache,
                                               const char *vhost_key,
                                               const struct eas_credentials *credentials,
                                               struct eas_password_cache_key *key_out,
                                               struct eas_err *err)
{
    const struct eas_bytes fields[] = {
        eas_bytes_of_text(vhost_key),
        eas_bytes_make(credentials->name, credentials->name_len),
        eas_bytes_make(credentials->password->bytes, credentials->password->len),
    };

    return make_key(cache, EAS_PASSWORD_CACHE_CREDENTIALS, fields, 3, key_out, err);
}

enum eas_rc eas_password_cache_user_key(struct eas_password_cache *cache, const char *vhost_key,
                                        const char *principal,
                                        struct eas_password_cache_key *key_out, struct eas_err *err)
{
    const struct eas_bytes fields[] = { eas_bytes_of_text(vhost_key),
                                        eas_bytes_of_text(principal) };

    return make_key(cache, EAS_PASSWORD_CACHE_USER, fields, 2, key_out, err);
}

bool eas_password_cache_known_key(struct eas_password_cache *cache, const char *vhost_key,
                                  const struct eas_credentials *credentials,
                                  unsigned char digest_out[EAS_PASSWORD_CACHE_DIGEST_SIZE],
                                  struct eas_password_cache_key *key_out)
{
    /* The address is shorter than the text.  By the length, "ab" and "c" differ from "a" and "bc". */
    const uint64_t begin[] = { (uintptr_t)vhost_key, credentials->name_len };
    struct eas_siphash hash;
    struct known_key *known;

    if (cache->keys == NULL) {
        return false;
    }
    eas_siphash_begin(&hash, cache->digest_key);
    eas_siphash_add(&hash, begin, sizeof(begin));
    eas_siphash_add(&hash, credentials->name, credentials->name_len);
    eas_siphash_add(&hash, credentials->password->bytes, credentials->password->len);
    eas_siphash_end(&hash, digest_out);
    OPENSSL_cleanse(&hash, sizeof(hash));
    known = eas_lru_get(cache->keys, digest_out, EAS_PASSWORD_CACHE_DIGEST_SIZE, 0);
    if (known == NULL) {
        return false;
    }
    *key_out = known->key;
    release_key(known);
    return true;
}

void eas_password_cache_keep_key(struct eas_password_cache *cache,
                                 const unsigned char digest[EAS_PASSWORD_CACHE_DIGEST_SIZE],
                                 const struct eas_password_cache_key *key)
{
    struct known_key *known = cache->keys != NULL ? malloc(sizeof(*known)) : NULL;

    if (known != NULL) {
        atomic_init(&known->refs, 1);
        known->key = *key;
        eas_lru_put(cache->keys, digest, EAS_PASSWORD_CACHE_DIGEST_SIZE, known, sizeof(*known),
                    APR_INT64_MAX);
        release_key(known);
    }
}

struct eas_password_cache_key eas_password_cache_session_key(struct eas_bytes session_id)
{
    struct eas_password_cache_key key = { EAS_PASSWORD_CACHE_SESSION, { 0 } };

    memcpy(key.id, session_id.at,
           session_id.len < sizeof(key.id) ? session_id.len : sizeof(key.id));
    return key;
}

void eas_password_cache_put(struct eas_password_cache *cache,
                            const struct eas_password_cache_key *key,
                            const struct eas_identity *identity,
                            struct eas_password_version version, apr_time_t expires)
{
    apr_size_t len = strlen(identity->principal) + 1;
    struct entry *entry = malloc(sizeof(*entry) + len);
    apr_time_t stale_at = eas_ticket_stale_at(identity->evidence);

    if (entry == NULL) {
        return; /* the next request asks the KDC again */
    }
    atomic_init(&entry->refs, 1);
    entry->evidence = eas_ticket_ref(identity->evidence);
    entry->version = version;
    memcpy(entry->principal, identity->principal, len);
    eas_lru_put(cache->entries, key, sizeof(*key), entry,
                /* With room for the PAC, which is smaller than its ticket. */
                sizeof(*entry) + len + eas_ticket_size(entry->evidence)
                    + eas_ticket_creds(entry->evidence)->ticket.length,
                expires < stale_at ? expires : stale_at);
    eas_counters_set(EAS_GAUGE_CACHED_PASSWORDS, (int64_t)eas_lru_count(cache->entries));
    release_entry(entry);
}

static bool is_current(const struct entry *entry)
{
    return entry->version.current == NULL
           || atomic_load(entry->version.current) == entry->version.value;
}

struct eas_identity *eas_password_cache_get(struct eas_password_cache *cache,
                                            const struct eas_password_cache_key *key,
                                            apr_time_t now, apr_pool_t *pool)
{
    struct entry *entry = eas_lru_get(cache->entries, key, sizeof(*key), now);
    struct eas_identity *identity;

    if (entry == NULL) {
        return NULL;
    }
    if (!is_current(entry)) {
        eas_lru_drop(cache->entries, key, sizeof(*key));
        release_entry(entry);
        return NULL;
    }
    identity = apr_pcalloc(pool, sizeof(*identity));
    identity->principal = apr_pstrdup(pool, entry->principal);
    identity->authenticated_by = EAS_BY_CACHE;
    identity->evidence = eas_ticket_to_pool(eas_ticket_ref(entry->evidence), pool);
    release_entry(entry);
    return identity;
}
