/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/secret.h - a password in memory: a type of its own and a short life */

#ifndef EAS_AUTH_BASE_SECRET_H
#define EAS_AUTH_BASE_SECRET_H

#include <apr_pools.h>

/*
 * The bytes are followed by a NUL that len does not count, because krb5 takes C strings; a secret
 * with a NUL inside is therefore refused by whoever would hand it on.  The bytes are cleansed when
 * the pool goes, or earlier by eas_secret_wipe().  No function formats or logs a secret.
 */
struct eas_secret {
    char *bytes;
    apr_size_t len;
};

/* A copy of the bytes in the pool, to be cleansed with it. */
struct eas_secret *eas_secret_make(apr_pool_t *pool, const char *bytes, apr_size_t len);

/* Room for a secret of len bytes, to be filled in by the caller. */
struct eas_secret *eas_secret_room(apr_pool_t *pool, apr_size_t len);

/* Cleanses the bytes now; the secret is empty afterwards. */
void eas_secret_wipe(struct eas_secret *secret);

#endif
