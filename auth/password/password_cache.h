/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/password_cache.h - proved passwords, remembered as keyed digests, so that a warm user costs no KDC */

#ifndef EAS_AUTH_PASSWORD_PASSWORD_CACHE_H
#define EAS_AUTH_PASSWORD_PASSWORD_CACHE_H

#include "auth/password/basic.h"
#include "auth/identity.h"

#include <apr_time.h>

/*
 * One per child process, thread-safe.  The password itself is not kept: an entry is found by
 * HMAC-SHA256, under a key that the processes of a gateway share, over the length-prefixed scope, name
 * as typed and password, so that nothing collides and nothing is truncated.  An entry holds the identity and its
 * evidence ticket.
 */
struct eas_password_cache;

#define EAS_PASSWORD_CACHE_KEY_SIZE 32

/* The secret is EAS_PASSWORD_CACHE_KEY_SIZE random bytes.  EAS_OK, or EAS_UNAVAILABLE if OpenSSL fails. */
enum eas_rc eas_password_cache_create(apr_pool_t *pool, apr_size_t max_bytes,
                                      const unsigned char *secret, struct eas_password_cache **out,
                                      struct eas_err *err);

/* The digest under which these credentials are remembered; scope names the virtual host. */
enum eas_rc eas_password_cache_key(struct eas_password_cache *memory, const char *scope,
                                   const struct eas_credentials *credentials,
                                   unsigned char key_out[EAS_PASSWORD_CACHE_KEY_SIZE],
                                   struct eas_err *err);

/* An entry is good only while *current is value: somewhere a password may be seen to have changed. */
struct eas_password_version {
    volatile apr_uint32_t *current; /* outlives the memory; NULL: as long as time allows */
    apr_uint32_t value;
};

/* Remembers until expires, or until the evidence goes stale if that is earlier. */
void eas_password_cache_put(struct eas_password_cache *memory,
                            const unsigned char key[EAS_PASSWORD_CACHE_KEY_SIZE],
                            const struct eas_identity *identity, struct eas_password_version stamp,
                            apr_time_t expires);

/*
 * The identity remembered under key, as EAS_BY_CACHE, or NULL.  It is in pool, which also holds
 * a reference to its evidence.
 */
struct eas_identity *eas_password_cache_get(struct eas_password_cache *memory,
                                            const unsigned char key[EAS_PASSWORD_CACHE_KEY_SIZE],
                                            apr_time_t now, apr_pool_t *pool);

#endif
