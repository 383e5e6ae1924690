/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/password_cache.h - Per-process cache of verified users */

#ifndef EAS_AUTH_PASSWORD_PASSWORD_CACHE_H
#define EAS_AUTH_PASSWORD_PASSWORD_CACHE_H

#include "auth/base/bytes.h"
#include "auth/identity.h"
#include "auth/password/basic.h"

#include <apr_time.h>
#include <stdatomic.h>
#include <stdbool.h>

/*
 * One per child process, thread-safe.  An entry holds the canonical name and the evidence ticket of
 * a user whom the KDC has authenticated.  The cache keeps no password.
 */
struct eas_password_cache;

#define EAS_PASSWORD_CACHE_SECRET_SIZE 32
#define EAS_PASSWORD_CACHE_ID_SIZE 32

/* Keys of different kinds differ, whatever their ids are. */
enum eas_password_cache_kind {
    EAS_PASSWORD_CACHE_CREDENTIALS, /* id: keyed digest of virtual host, login name and password */
    EAS_PASSWORD_CACHE_SESSION,     /* id: session id, padded with zeroes */
    EAS_PASSWORD_CACHE_USER         /* id: keyed digest of virtual host and principal */
};

/* Bytes only, because the LRU cache compares keys as bytes. */
struct eas_password_cache_key {
    unsigned char kind;
    unsigned char id[EAS_PASSWORD_CACHE_ID_SIZE];
};

/*
 * The secret is EAS_PASSWORD_CACHE_SECRET_SIZE random bytes, the same in all processes that compare
 * digests.  EAS_OK, or EAS_UNAVAILABLE if OpenSSL fails.
 */
enum eas_rc eas_password_cache_create(apr_pool_t *pool, apr_size_t max_bytes,
                                      const unsigned char *secret, struct eas_password_cache **out,
                                      struct eas_err *err);

/*
 * The key of these credentials: HMAC-SHA256 over vhost key, login name as typed and password, each
 * after its length.  EAS_OK or EAS_UNAVAILABLE.
 */
enum eas_rc eas_password_cache_credentials_key(struct eas_password_cache *cache,
                                               const char *vhost_key,
                                               const struct eas_credentials *credentials,
                                               struct eas_password_cache_key *key_out,
                                               struct eas_err *err);

/* Likewise, for a user without a password.  EAS_OK or EAS_UNAVAILABLE. */
enum eas_rc eas_password_cache_user_key(struct eas_password_cache *cache, const char *vhost_key,
                                        const char *principal,
                                        struct eas_password_cache_key *key_out,
                                        struct eas_err *err);

/*
 * Keys of credentials that the cache had, under a SipHash of the same fields with a random key of
 * the process: a look-up takes less time than the HMAC.  The address of the vhost key
 * stands for its text, which stays there while the process lives.  Other credentials have the same
 * digest with a probability of 2^-128.  Only verified credentials get an entry, so that guesses
 * evict none.  At most EAS_PASSWORD_CACHE_KEYS_BYTES, for some 20 000 of them; the least recently
 * used leave first.  The loss of an entry costs an HMAC.
 */
#define EAS_PASSWORD_CACHE_KEYS_BYTES ((apr_size_t)4 << 20)
#define EAS_PASSWORD_CACHE_DIGEST_SIZE 16

/* The digest of the credentials, and their key if it is there.  Whether it is. */
bool eas_password_cache_known_key(struct eas_password_cache *cache, const char *vhost_key,
                                  const struct eas_credentials *credentials,
                                  unsigned char digest_out[EAS_PASSWORD_CACHE_DIGEST_SIZE],
                                  struct eas_password_cache_key *key_out);

/* Keeps the key of verified credentials. */
void eas_password_cache_keep_key(struct eas_password_cache *cache,
                                 const unsigned char digest[EAS_PASSWORD_CACHE_DIGEST_SIZE],
                                 const struct eas_password_cache_key *key);

/* The key of a session id of at most EAS_PASSWORD_CACHE_ID_SIZE bytes. */
struct eas_password_cache_key eas_password_cache_session_key(struct eas_bytes session_id);

/* Password version of a user.  An entry is valid only while *current equals value. */
struct eas_password_version {
    _Atomic(apr_uint32_t) *current; /* outlives the cache; NULL: valid until the entry expires */
    apr_uint32_t value;
};

/* Keeps an entry until expires, or until its evidence is stale if that is earlier. */
void eas_password_cache_put(struct eas_password_cache *cache,
                            const struct eas_password_cache_key *key,
                            const struct eas_identity *identity,
                            struct eas_password_version version, apr_time_t expires);

/*
 * The identity under the key, authenticated by EAS_BY_CACHE, or NULL.  It is in pool, which also
 * holds a reference to its evidence.
 */
struct eas_identity *eas_password_cache_get(struct eas_password_cache *cache,
                                            const struct eas_password_cache_key *key,
                                            apr_time_t now, apr_pool_t *pool);

#endif
